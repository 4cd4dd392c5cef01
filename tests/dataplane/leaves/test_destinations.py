"""Tests for :mod:`revproxy.dataplane.leaves.destinations`."""

from __future__ import annotations

from revproxy.dataplane.leaves.destinations import Destinations
from revproxy.dataplane.leaves.proxy import TARGET
from revproxy.dataplane.upstream.treqclient import PoolAgent, UpstreamClient
from revproxy.testing import makeContext
from tests.dataplane.origins import OriginCase


class DestinationsTests(OriginCase):
    """One upstream, whose origins are to see their own name."""

    def setUp(self) -> None:
        super().setUp()
        client = UpstreamClient(PoolAgent(lambda *_: self.upstream), self.clock)
        self.there = Destinations(client, {"app": (self.upstream, TARGET)})
        [self.url] = self.there.origins("app")

    def test_names(self) -> None:
        """What is not there is refused, and what is there is said."""
        self.assertEqual(self.there.available("app"), [self.url])
        for wrong in ("other", None, 5, ["app"]):
            error = self.assertRaises(ValueError, self.there.origins, wrong)
            self.assertIn("there are app", str(error))
        error = self.assertRaises(ValueError, Destinations(self.there._client, {}).available, "app")
        self.assertIn("none is configured", str(error))

    def test_leaf(self) -> None:
        """It writes heads as the upstream wants them, takes the prefix off, and is made once."""
        leaf = self.there.leaf("app", None, b"/api")
        self.assertIs(self.there.leaf("app", None, b"/api"), leaf)
        self.assertIsNot(self.there.leaf("app", self.url, b"/api"), leaf)
        request = makeContext(target="/api/x", host="shop").request
        head = leaf.headFor(request, self.origin.target, False).split(b"\r\n")
        self.assertEqual(head[:2], [b"GET /x HTTP/1.1", b"Host: origin"])
