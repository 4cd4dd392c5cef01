"""Tests for :mod:`revproxy.dataplane.upstream.onetarget`."""

from __future__ import annotations

from twisted.python.failure import Failure

from revproxy.dataplane.upstream.onetarget import OneTarget
from revproxy.errors import ConnectFailed
from tests.dataplane.origins import OK, Asked, Origin, OriginCase


class OneTargetTests(OriginCase):
    """Of two targets, the second."""

    def setUp(self) -> None:
        super().setUp()
        self.origins = [Origin(self.clock, url="http://o0"), Origin(self.clock, url="http://o1")]
        self.upstream = self.upstreamOf(*self.origins, maxFails=1)
        self.one = OneTarget(self.upstream, self.origins[1].target)

    def test_pick(self) -> None:
        """That one, and no other; out of service, too."""
        target = self.origins[1].target
        self.upstream.steer(target.url, False, None)
        self.assertEqual((self.one.name, self.one.pick(()), self.one.pick([target])), ("app", target, None))

    def test_counts(self) -> None:
        """Its failures and answers are the upstream's."""
        self.one.failedAt(self.origins[1].target, Failure(ConnectFailed("x")))
        self.assertEqual(self.upstream.available(), ["http://o0"])
        asked = Asked(self.one, b"GET", None, None).go()  # type: ignore[arg-type]
        self.origins[1].arrived[0].says(OK)
        self.assertEqual(asked.got.status, 200)
        self.assertEqual(self.upstream.available(), ["http://o0", "http://o1"])
