"""The leaf that passes requests on: Host and path as configured."""

from __future__ import annotations

from typing import Any

from revproxy.dataplane.leaves.proxy import TARGET, ProxyLeaf
from revproxy.dataplane.upstream.treqclient import PoolAgent, UpstreamClient
from revproxy.testing import makeContext
from tests.dataplane.origins import OriginCase


class HeadTests(OriginCase):
    """`ProxyLeaf.headFor`."""

    def head(self, target: str = "/", host: str = "shop", **options: Any) -> list[bytes]:
        leaf = ProxyLeaf(UpstreamClient(PoolAgent(lambda *_: self.upstream), self.clock), self.upstream, **options)
        request = makeContext(target=target, host=host).request
        return leaf.headFor(request, self.origin.target, False).split(b"\r\n")

    def test_host(self) -> None:
        """The client's, the target's own, or a given one; the target's where the client gave none."""
        self.assertEqual(self.head()[1], b"Host: shop")
        self.assertEqual(self.head(hostPolicy=TARGET)[1], b"Host: origin")
        self.assertEqual(self.head(hostPolicy="inner.example")[1], b"Host: inner.example")
        self.assertEqual(self.head(host="")[1], b"Host: origin")

    def test_strip(self) -> None:
        """A prefix that is taken off leaves a path."""
        for target, line in (
            ("/api/x?y", b"GET /x?y HTTP/1.1"),
            ("/api", b"GET / HTTP/1.1"),
            ("/api?q", b"GET /?q HTTP/1.1"),
        ):
            self.assertEqual(self.head(target, strip=b"/api")[0], line)
