"""
The listener's side of HTTP, in memory.
"""

from __future__ import annotations

import gzip
from typing import Any

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.trial.unittest import SynchronousTestCase

from revproxy.admin.metrics.scraper import Scrape
from revproxy.admin.metrics.site import CONNECTIONS, OPEN_METRICS, PLAIN, TIMEOUT, MetricsSite

HERE = IPv4Address("TCP", "127.0.0.1", 5)
THERE = IPv4Address("TCP", "192.0.2.1", 5)


class Transport(StringTransportWithDisconnection):
    """
    A client's. :ivar isAborted: whether it was ended without another word.
    """

    isAborted = False

    def abortConnection(self) -> None:
        self.isAborted = True
        self.loseConnection()


class FakeScraper:
    """
    Has this, once it is there.
    """

    def __init__(self) -> None:
        self.chunks = (b"a 1\n", b"b 2\n")
        self.asked: list[bool] = []
        self.waits: Deferred[Any] | None = None

    def scrape(self, openMetrics: bool) -> Deferred[Any]:
        self.asked.append(openMetrics)
        scrape = Scrape(self.chunks, lambda function, argument: succeed(function(argument)))
        if self.waits is not None:
            return self.waits.addCallback(lambda _: scrape)
        return succeed(scrape)


class SiteCase(SynchronousTestCase):
    """
    Clients of a site.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.scraper = FakeScraper()
        scraper: Any = self.scraper
        self.site = MetricsSite(scraper, self.clock)
        self.addCleanup(self.site.endAll)

    def connect(self, peer: Any = HERE) -> Transport | None:
        """:returns: None where there is no place."""
        protocol = self.site.buildProtocol(peer)
        if protocol is None:
            return None
        transport = Transport(peerAddress=peer)
        transport.protocol = protocol
        protocol.makeConnection(transport)
        return transport

    def ask(self, text: bytes, peer: Any = HERE) -> tuple[bytes, dict[bytes, bytes], bytes]:
        """:returns: status line, fields, body."""
        transport = self.connect(peer)
        assert transport is not None
        self.send(transport, text)
        return self.answer(transport)

    def send(self, transport: Transport | None, text: bytes) -> None:
        """A client sends this; what is to be done in the next turn of the loop is done."""
        assert transport is not None
        transport.protocol.dataReceived(text)
        self.clock.advance(0)

    def answer(self, transport: Transport) -> tuple[bytes, dict[bytes, bytes], bytes]:
        head, _, body = transport.value().partition(b"\r\n\r\n")
        line, *fields = head.split(b"\r\n")
        pairs = (field.partition(b": ")[::2] for field in fields)
        return line, {name.lower(): value for name, value in pairs}, body


class AskedTests(SiteCase):
    """
    What is answered.
    """

    def test_text(self) -> None:
        """
        The text format, for whoever does not say anything else.
        """
        line, fields, body = self.ask(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual((line, body), (b"HTTP/1.1 200 OK", b"a 1\nb 2\n"))
        self.assertEqual(fields[b"content-type"], PLAIN)
        self.assertEqual(fields[b"content-length"], b"8")
        self.assertEqual(fields[b"server"], b"revproxy")
        self.assertEqual(fields[b"vary"], b"Accept, Accept-Encoding")
        self.assertEqual(self.scraper.asked, [False])

    def test_openMetrics(self) -> None:
        """
        OpenMetrics for whoever takes it.
        """
        accept = b"Accept: application/openmetrics-text\r\n"
        _, fields, _ = self.ask(b"GET /metrics?name=x HTTP/1.1\r\nHost: a\r\n" + accept + b"\r\n")
        self.assertEqual(fields[b"content-type"], OPEN_METRICS)
        self.assertEqual(self.scraper.asked, [True])

    def test_head(self) -> None:
        """
        HEAD has the fields, and nothing behind them.
        """
        line, fields, body = self.ask(b"HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual((line, body, fields[b"content-length"]), (b"HTTP/1.1 200 OK", b"", b"8"))

    def test_elsewhere(self) -> None:
        """
        There is nothing else here, however it is asked for.
        """
        for path in (b"/", b"/metrics/", b"/Metrics", b"/metrics/x", b"//metrics", b"/api/v1/status", b"/%6detrics"):
            line, fields, body = self.ask(b"GET " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n")
            self.assertEqual(line, b"HTTP/1.1 404 Not Found", path)
            self.assertEqual(body, b"there is /metrics here, and nothing else\n")
            self.assertEqual(fields[b"content-type"], b"text/plain; charset=utf-8")
        self.assertEqual(self.scraper.asked, [])

    def test_methods(self) -> None:
        """
        Only GET and HEAD are methods here; and no word of what Twisted this is.
        """
        for method, status in ((b"POST", b"405"), (b"PUT", b"501"), (b"DELETE", b"501"), (b"OPTIONS", b"501")):
            line, _, body = self.ask(method + b" /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
            self.assertIn(line.split()[1], (status, b"405", b"501"), method)
            self.assertNotIn(b"twisted", (line + body).lower())
        self.assertEqual(self.scraper.asked, [])

    def test_bodies(self) -> None:
        """
        Of a body nothing is kept.
        """
        transport = self.connect()
        assert transport is not None
        self.send(transport, b"POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")
        for _ in range(50):
            self.send(transport, b"x" * 65536)
        request = transport.protocol.wrappedProtocol._channel.requests[0]
        self.assertEqual(request.content.getvalue(), b"")

    def test_persistent(self) -> None:
        """
        A connection serves for one scrape after the other.
        """
        transport = self.connect()
        assert transport is not None
        for _ in range(3):
            transport.clear()
            self.send(transport, b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
            self.assertEqual(self.answer(transport)[2], b"a 1\nb 2\n")
            self.clock.advance(TIMEOUT * 0.9)
        self.assertFalse(transport.isAborted)

    def test_slowly(self) -> None:
        """
        Who takes the answer bit by bit is given it bit by bit.
        """
        transport = self.connect()
        assert transport is not None
        transport.write = lambda data, write=transport.write: (  # type: ignore[method-assign]
            write(data), transport.producer.pauseProducing()
        )
        self.send(transport, b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertTrue(transport.value().endswith(b"a 1\n"))
        transport.producer.resumeProducing()
        self.assertTrue(transport.value().endswith(b"b 2\n"))

    def test_fails(self) -> None:
        """
        What cannot be told is told so, and logged.
        """
        self.scraper.waits = Deferred()
        transport = self.connect()
        assert transport is not None
        self.send(transport, b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
        self.scraper.waits.errback(RuntimeError("no"))
        line, _, body = self.answer(transport)
        self.assertEqual(line, b"HTTP/1.1 503 Service Unavailable")
        self.assertEqual(body, b"this cannot be told now; the edge's log has more\n")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class CompressedTests(SiteCase):
    """
    For whom it is compressed.
    """

    request = b"GET /metrics HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n"

    def setUp(self) -> None:
        super().setUp()
        self.scraper.chunks = (b"a 1\n" * 2000, b"b 2\n" * 2000)

    def test_there(self) -> None:
        """
        Whoever is elsewhere, and takes it, gets less.
        """
        _, fields, body = self.ask(self.request, THERE)
        self.assertEqual(fields[b"content-encoding"], b"gzip")
        self.assertEqual(int(fields[b"content-length"]), len(body))
        self.assertEqual(gzip.decompress(body), b"".join(self.scraper.chunks))

    def test_here(self) -> None:
        """
        On the same machine it is not worth it; nor is it for little.
        """
        for peer in (HERE, IPv4Address("TCP", "::1", 5), UNIXAddress(None)):
            _, fields, body = self.ask(self.request, peer)
            self.assertNotIn(b"content-encoding", fields)
            self.assertEqual(len(body), 16_000)
        self.scraper.chunks = (b"a 1\n",)
        self.assertNotIn(b"content-encoding", self.ask(self.request, THERE)[1])


class BoundsTests(SiteCase):
    """
    What nobody can do here.
    """

    def test_silent(self) -> None:
        """
        Who is silent, or sends a request bit by bit, or does not take the answer, is cut off after a time.
        """
        silent, slow, idle = self.connect(), self.connect(), self.connect()
        assert silent is not None and slow is not None and idle is not None
        self.send(slow, b"GET /metrics HTTP/1.1\r\n")
        self.send(idle, b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
        for _ in range(int(TIMEOUT)):
            self.clock.advance(1)
            if not slow.isAborted:
                self.send(slow, b"X: a\r\n")
        self.assertTrue(silent.isAborted and slow.isAborted and idle.isAborted)
        self.assertEqual(self.site.open, {})
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_givesWay(self) -> None:
        """
        Where there is no place, who asks nothing gives way to a new one: the one that was silent longest.
        """
        clients = [self.connect() for _ in range(CONNECTIONS)]
        assert clients[0] is not None
        self.send(clients[0], b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
        self.answer(clients[0])
        self.assertIsNotNone(self.connect())
        self.assertEqual([client.isAborted for client in clients if client][:3], [False, True, False])
        self.assertEqual(len(self.site.open), CONNECTIONS)

    def test_full(self) -> None:
        """
        Where all wait for answers, a new one is turned away.
        """
        self.scraper.waits = Deferred()
        clients = [self.connect() for _ in range(CONNECTIONS)]
        for client in clients:
            assert client is not None
            self.send(client, b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertIsNone(self.connect())
        self.assertFalse(any(client.isAborted for client in clients if client))

    def test_slowReaders(self) -> None:
        """
        Who has not taken the answer for a while gives way to a new one: the one that has asked first.
        """
        self.scraper.waits = Deferred()
        clients = [self.connect() for _ in range(CONNECTIONS)]
        for client in clients:
            assert client is not None
            self.clock.advance(1)
            self.send(client, b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertIsNotNone(self.connect())
        self.assertEqual([client.isAborted for client in clients if client], [True] + [False] * (CONNECTIONS - 1))

    def test_turns(self) -> None:
        """
        Requests that come together are begun one in each turn of the loop, whatever they ask for.
        """
        transport, turns = self.connect(), 0
        assert transport is not None
        for path in (b"/x", b"/metrics") * 20:
            transport.protocol.dataReceived(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % path)
        counts = [transport.value().count(b"HTTP/1.1 ")]
        while (due := [call for call in self.clock.getDelayedCalls() if call.getTime() <= self.clock.seconds()]):
            turns += 1
            self.clock.calls.remove(due[0])
            due[0].called = 1
            due[0].func(*due[0].args, **due[0].kw)
            counts.append(transport.value().count(b"HTTP/1.1 "))
        self.assertEqual(counts, list(range(41)))

    def test_longHead(self) -> None:
        """
        A head without end is refused.
        """
        transport = self.connect()
        assert transport is not None
        self.send(transport, b"GET /metrics HTTP/1.1\r\n" + b"X: " + b"y" * 20_000 + b"\r\n")
        self.assertTrue(transport.disconnecting or not transport.connected)

    def test_leaves(self) -> None:
        """
        Who leaves while it is made is forgotten, and nothing is logged.
        """
        self.scraper.waits = Deferred()
        transport = self.connect()
        assert transport is not None
        self.send(transport, b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
        transport.loseConnection()
        self.scraper.waits.callback(None)
        self.assertEqual(self.site.open, {})
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_endAll(self) -> None:
        """
        At the end all are ended.
        """
        clients = [self.connect() for _ in range(3)]
        self.site.endAll()
        self.assertTrue(all(client.isAborted for client in clients if client))
