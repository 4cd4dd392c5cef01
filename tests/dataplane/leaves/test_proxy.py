"""Tests for :mod:`revproxy.dataplane.leaves.proxy`: Host and path as configured, and what the exchange is told."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionRefusedError

from revproxy.context import Headers
from revproxy.dataplane.leaves.proxy import TARGET, Forwarded, ProxyLeaf
from revproxy.dataplane.upstream.treqclient import PoolAgent, UpstreamClient
from revproxy.testing import makeContext
from tests.dataplane.origins import OK, Origin, OriginCase


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


class ExchangeDouble:
    """As much of an exchange as a request on its way sees."""

    def __init__(self) -> None:
        self.context = makeContext(target="/x")
        self.upstream: str | None = None
        self.pool, self.attempts = "", 0
        self.trace = self.shown = b""
        self.elapsed = 0.0
        self.informed: list[int] = []

    def informational(self, status: int, headers: Headers) -> None:
        self.informed.append(status)


class ForwardedTests(OriginCase):
    """A client's request on its way."""

    def setUp(self) -> None:
        super().setUp()
        self.origins = [Origin(self.clock, url=f"http://o{at}") for at in range(2)]
        self.upstream = self.upstreamOf(*self.origins)
        client = UpstreamClient(PoolAgent(lambda *_: self.upstream), self.clock)
        self.leaf = ProxyLeaf(client, self.upstream, hostPolicy=TARGET)
        self.exchange = ExchangeDouble()
        self.answer = client.send(Forwarded(self.leaf, self.exchange))  # type: ignore[arg-type]

    def test_first(self) -> None:
        """The exchange knows whom it is waiting for, and what it was told meanwhile."""
        self.assertEqual(self.exchange.upstream, "http://o0")
        self.origins[0].arrived[0].says(b"HTTP/1.1 103 Early\r\n\r\n" + OK)
        self.assertEqual(self.exchange.informed, [103])
        self.assertEqual(self.successResultOf(self.answer).status, 200)

    def test_next(self) -> None:
        """And if it goes to another target, that: the head is written for it anew."""
        self.origins[0].accepts = False
        exchange = ExchangeDouble()
        self.origins[1].accepts = False
        waiting = Forwarded(self.leaf, exchange).begin()  # type: ignore[arg-type]
        first = exchange.upstream
        self.assertEqual(first, "http://o1")
        self.origins[1].refuses(ConnectionRefusedError())
        self.assertEqual(exchange.upstream, "http://o0")
        self.origins[0].admits()
        self.assertIn(b"Host: o0\r\n", self.origins[0].arrived[-1].heard())
        self.origins[0].arrived[-1].says(OK)
        self.assertEqual(self.successResultOf(waiting).status, 200)

    def test_lost(self) -> None:
        """What a target was lost for is noted, for whoever asks why."""
        self.origins[0].accepts = self.origins[1].accepts = False
        exchange = ExchangeDouble()
        waiting = Forwarded(self.leaf, exchange).begin()  # type: ignore[arg-type]
        self.origins[1].refuses(ConnectionRefusedError())
        self.origins[0].admits()
        self.origins[0].arrived[-1].says(OK)
        self.successResultOf(waiting)
        story = exchange.context._story
        self.assertEqual([each.url for each in story.tries], ["http://o1"])
        self.assertIn("ConnectFailed: ", story.tries[0].reason)
        self.assertEqual((story.because, exchange.attempts, exchange.pool), ("retried", 2, "app"))
