"""Tests for :mod:`revproxy.dataplane.http1.server`: transcripts, with no socket."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from revproxy.body import Body
from revproxy.context import Headers, Response
from revproxy.dataplane.http.limits import Limits, Timeouts
from revproxy.dataplane.leaves.fixed import RespondLeaf
from revproxy.dataplane.leaves.leaf import Leaf
from revproxy.errors import RequestTimeout, UpstreamError
from revproxy.interfaces import IMiddleware
from revproxy.testing import SourceDouble
from tests.dataplane.doubles import ClientDouble, EdgeDouble, RecordingLeaf
from tests.dataplane.http1.served import CHUNKED, EMPTY, GET, HI, Recorded, hello, post


class AnswerTests(SynchronousTestCase):
    """Simple requests and answers at once."""

    def test_get(self) -> None:
        """A request is answered in one write, head and body, and the connection stays."""
        client = hello().connect()
        client.send(GET)
        self.assertEqual(client.received(), HI)
        self.assertEqual(client.transport.writes, 1)
        self.assertIsNone(client.end)

    def test_keepAlive(self) -> None:
        """A second request on the same connection is answered too."""
        edge = hello()
        client = edge.connect()
        for _ in range(3):
            client.send(GET)
            self.assertEqual(client.received(), HI)
        self.assertEqual(client.server.served, 3)
        self.assertEqual(edge.active, 0)

    def test_byteByByte(self) -> None:
        """It does not matter in how many pieces a head arrives."""
        client = hello().connect()
        client.sendSlowly(GET + GET)
        self.assertEqual(client.received(), HI + HI)

    def test_emptyLinesBefore(self) -> None:
        """Empty lines before a request are passed over (RFC 9112 §2.2)."""
        for prefix in (b"\r\n", b"\r\n\r\n\r\n"):
            client = hello().connect()
            client.send(prefix + GET)
            client.sendSlowly(prefix + GET)
            self.assertEqual(client.received(), HI + HI)

    def test_close(self) -> None:
        """A client that says close gets Connection: close, and the close."""
        client = hello().connect()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        self.assertIn(b"\r\nConnection: close\r\n\r\nhi", client.received())
        self.assertEqual(client.end, "close")

    def test_afterClose(self) -> None:
        """What comes after a request with close is not answered."""
        client = hello().connect()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + GET)
        self.assertEqual(client.received().count(b"HTTP/1.1 "), 1)
        client.send(GET)
        self.assertEqual(client.received(), b"")

    def test_http10(self) -> None:
        """A 1.0 client gets its answer and a close, with no Host needed."""
        client = hello().connect()
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        received = client.received()
        self.assertTrue(received.endswith(b"Connection: close\r\n\r\nhi"), received)
        self.assertEqual(client.end, "close")

    def test_http10KeepAlive(self) -> None:
        """A 1.0 client that asks to keep the connection is told that it is kept."""
        client = hello().connect()
        client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" * 2)
        received = client.received()
        self.assertEqual(received.count(b"Connection: keep-alive\r\n\r\nhi"), 2, received)
        self.assertIsNone(client.end)

    def test_head(self) -> None:
        """HEAD has the fields of GET and no body; what follows is understood."""
        client = hello().connect()
        client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" + GET)
        self.assertEqual(client.received(), HI[:-2] + HI)

    def test_headOfStream(self) -> None:
        """HEAD of an answer whose body would stream: its source is told that nobody wants it."""
        recorded = Recorded()
        recorded.client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
        source = SourceDouble([b"abc"])
        recorded.leaf.stream(0, source, [(b"Content-Length", b"3")])
        self.assertEqual(recorded.client.received(), b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n")
        self.assertTrue(source.stopped)

    def test_headOfFiltered(self) -> None:
        """HEAD of an answer that a plugin filters has no length: the origin's is wrong, and that of nothing too."""
        for filtered in (b"", b"appended"):
            recorded = Recorded()
            recorded.client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
            body = Body.of(b"")
            body.framed = True
            body.addFilter(lambda data, last, filtered=filtered: filtered)  # type: ignore[misc]
            headers = Headers([(b"content-length", b"Content-Length", b"300"), (b"etag", b"ETag", b"x")])
            recorded.leaf.exchanges[0].answered(Response(200, None, headers, body))
            self.assertEqual(recorded.client.received(), b"HTTP/1.1 200 OK\r\nETag: x\r\n\r\n")

    def test_noContent(self) -> None:
        """204 has neither body nor length; 304 no body (RFC 9110 §8.6, §15.4.5)."""
        recorded = Recorded()
        recorded.client.send(GET)
        recorded.leaf.answer(0, b"not to be sent", 204)
        self.assertEqual(recorded.client.received(), b"HTTP/1.1 204 No Content\r\n\r\n")
        recorded.client.send(GET)
        recorded.leaf.exchanges[1].answered(Response(304, None, Headers(), None))
        self.assertEqual(recorded.client.received(), b"HTTP/1.1 304 Not Modified\r\n\r\n")

    def test_reason(self) -> None:
        """An origin's own reason phrase is kept, and an unknown status needs none."""
        recorded = Recorded()
        recorded.client.send(GET + GET)
        recorded.leaf.exchanges[0].answered(Response(200, b"Fine", Headers(), None))
        recorded.leaf.exchanges[1].answered(Response(299, None, Headers(), None))
        self.assertEqual(
            recorded.client.received(),
            b"HTTP/1.1 200 Fine\r\nContent-Length: 0\r\n\r\nHTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n",
        )

    def test_informational(self) -> None:
        """1xx answers go before the final one, and not to 1.0 clients (RFC 9110 §15.2)."""
        recorded = Recorded()
        recorded.client.send(GET)
        recorded.leaf.exchanges[0].informational(103, Headers.of({"Link": "</a>; rel=preload"}))
        recorded.leaf.answer(0)
        self.assertEqual(
            recorded.client.received(), b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n" + EMPTY
        )
        recorded.client.send(b"GET / HTTP/1.0\r\n\r\n")
        recorded.leaf.exchanges[1].informational(103, Headers())
        self.assertEqual(recorded.client.received(), b"")

    def test_large(self) -> None:
        """A body that is too large to be copied goes in a write of its own."""
        recorded = Recorded()
        recorded.client.send(GET)
        recorded.leaf.answer(0, b"x" * 100_000)
        self.assertTrue(recorded.client.received().endswith(b"\r\n\r\n" + b"x" * 100_000))
        self.assertEqual(recorded.client.transport.writes, 2)


class LongAnswerLeaf(Leaf):
    """Answers, in the moment in which it has the body, with much."""

    answer = b"x" * 40_000

    def render(self, exchange: Any) -> int:
        def got(_: bytes) -> None:
            exchange.answered(Response(200, None, Headers(), Body.of(self.answer)))

        exchange.wait(exchange.context.request.body.read(1000), got)
        return NOT_DONE_YET


class UntakenTests(SynchronousTestCase):
    """Answers to whole bodies, and clients that take them in their own time."""

    def test_answeredWithTheLastByte(self) -> None:
        """An answer that the last byte of a body brings about, and that is not taken at once, is waited for once."""
        client = EdgeDouble(LongAnswerLeaf()).connect()
        client.transport.stall()
        for _ in range(2):
            client.send(post(2) + b"h")
            client.send(b"i")
        client.send(post(2) + b"h")
        client.transport.take()
        client.send(b"i")
        self.assertEqual(client.received().count(LongAnswerLeaf.answer), 3)

    @given(
        st.lists(st.sampled_from([GET, post(2) + b"hi", CHUNKED + b"1\r\nh\r\n1\r\ni\r\n0\r\n\r\n"]), max_size=8),
        st.lists(st.integers(1, 300), max_size=30),
        st.lists(st.sampled_from([0, 1, 30_000, 100_000]), max_size=30),
    )
    def test_anyPieces(self, requests: list[bytes], sizes: list[int], takes: list[int]) -> None:
        """Whatever the pieces, and however much is taken between them, all requests are answered."""
        wire = b"".join(requests)
        edge = EdgeDouble(LongAnswerLeaf())
        client = edge.connect()
        client.transport.stall()
        for size, take in zip(sizes, takes, strict=False):
            if wire:
                client.send(wire[:size])
                wire = wire[size:]
            client.transport.take(take)
        if wire:
            client.send(wire)
        client.transport.take()
        self.assertEqual(client.received().count(LongAnswerLeaf.answer), len(requests))
        self.assertTrue(client.transport.reading)
        self.assertEqual((edge.active, len(edge.log.records)), (0, len(requests)))


class DeadlineTests(SynchronousTestCase):
    """Whoever waits too long is let go; the clock is advanced by hand."""

    def test_silentFromTheStart(self) -> None:
        """A connection that never says anything is closed without a word."""
        edge = hello()
        client = edge.connect()
        edge.pass_(9.5)
        self.assertIsNone(client.end)
        edge.pass_(1)
        self.assertEqual((client.end, client.received()), ("close", b""))

    def test_handshake(self) -> None:
        """The time for the head begins after the handshake, which has its own."""
        edge = EdgeDouble(RespondLeaf(200, b"hi", {}), tls=True, timeouts=Timeouts(handshake=4, header=10))
        silent, quick = edge.connect(), edge.connect()
        edge.pass_(3)
        quick.server.handshakeCompleted()
        edge.pass_(2)
        self.assertEqual((silent.end, quick.end), ("close", None))
        edge.pass_(7)
        self.assertIsNone(quick.end)
        edge.pass_(2)
        self.assertEqual(quick.end, "close")

    def test_slowHead(self) -> None:
        """A head that trickles is 408 after the header's time, from its first byte on."""
        edge = hello()
        client = edge.connect()
        client.send(GET)
        client.received()
        edge.pass_(30)
        for _ in range(19):
            client.send(b"G")
            edge.pass_(0.5)
        self.assertIsNone(client.end)
        edge.pass_(1)
        self.assertTrue(client.received().startswith(b"HTTP/1.1 408 "))
        self.assertEqual(client.end, "half")
        edge.pass_(3)
        self.assertEqual(client.end, "abort")

    def test_idle(self) -> None:
        """A kept connection is closed after the idle time."""
        edge = hello()
        client = edge.connect()
        client.send(GET)
        client.received()
        edge.pass_(59)
        self.assertIsNone(client.end)
        edge.pass_(2)
        self.assertEqual((client.end, client.received()), ("close", b""))

    def test_idleButReading(self) -> None:
        """A client that still reads its answer is not idle."""
        recorded = Recorded()
        recorded.client.send(GET)
        recorded.client.transport.stall()
        recorded.leaf.answer(0, b"x" * 500_000)
        for _ in range(4):
            recorded.client.transport.take(1000)
            recorded.edge.pass_(61)
            self.assertIsNone(recorded.client.end)
        recorded.edge.pass_(130)
        self.assertIsNotNone(recorded.client.end)

    def test_longAnswer(self) -> None:
        """Waiting for an answer has no deadline here: that is the origin's."""
        recorded = Recorded()
        recorded.client.send(GET)
        recorded.edge.pass_(1000)
        self.assertIsNone(recorded.client.end)
        recorded.leaf.answer(0)
        self.assertEqual(recorded.client.received(), EMPTY)

    def test_framingIsNoProgress(self) -> None:
        """A chunk's size, its extensions and the CRLF behind it, byte by byte, give the body no more time."""
        for dripped in (b"0" * 15, b"5;" + b"a" * 1000, b'5;a="' + b"b" * 1000):
            recorded = Recorded(timeouts=Timeouts(body=5))
            recorded.client.send(CHUNKED + b"5\r\nhello\r\n")
            sink = recorded.sink()
            for _ in range(9):
                recorded.client.send(dripped[:1])
                dripped = dripped[1:]
                recorded.edge.pass_(0.5)
            self.assertIsNone(sink.failure)
            recorded.edge.pass_(1)
            assert sink.failure is not None
            self.assertIs(sink.failure.type, RequestTimeout)

    def test_slowContent(self) -> None:
        """Content is progress, a byte at a time for as long as it takes."""
        recorded = Recorded(timeouts=Timeouts(body=5))
        recorded.client.send(CHUNKED + b"14\r\n")
        sink = recorded.sink()
        for _ in range(20):
            recorded.edge.pass_(4)
            recorded.client.send(b"x")
        recorded.client.send(b"\r\n0\r\n\r\n")
        self.assertTrue(sink.finished)

    def test_slowTrailers(self) -> None:
        """The trailer section has the time of a head, from the last chunk on, however much of it comes."""
        recorded = Recorded(timeouts=Timeouts(header=10, body=60))
        recorded.client.send(CHUNKED + b"5\r\nhello\r\n0\r\n")
        sink = recorded.sink()
        for _ in range(19):
            recorded.client.send(b"A: b\r\n")
            recorded.edge.pass_(0.5)
        self.assertIsNone(sink.failure)
        recorded.edge.pass_(1)
        assert sink.failure is not None
        self.assertIs(sink.failure.type, RequestTimeout)

    def test_trailersAfterAPause(self) -> None:
        """An origin that was slow before the last chunk does not give the trailer section more time."""
        recorded = Recorded(timeouts=Timeouts(header=10, body=60))
        recorded.client.send(CHUNKED + b"11170\r\n" + b"x" * 70000 + b"\r\n0\r\n")
        self.assertFalse(recorded.client.transport.reading)
        recorded.edge.pass_(100)
        sink = recorded.sink()
        self.assertTrue(recorded.client.transport.reading)
        recorded.edge.pass_(9)
        self.assertIsNone(sink.failure)
        recorded.edge.pass_(2)
        assert sink.failure is not None
        self.assertIs(sink.failure.type, RequestTimeout)

    def test_slowOriginIsNotTheClientsFault(self) -> None:
        """While the origin does not take the body, the client is not timed out."""
        recorded = Recorded(timeouts=Timeouts(body=5))
        recorded.client.send(post(200_000))
        recorded.client.send(b"x" * 70_000)
        self.assertFalse(recorded.client.transport.reading)
        recorded.edge.pass_(60)
        sink = recorded.sink()
        self.assertIsNone(sink.failure)
        recorded.client.send(b"x" * 130_000)
        self.assertTrue(sink.finished)

    def answeredEarly(self) -> Recorded:
        """A client that takes nothing of a long answer, which came before the body was whole."""
        recorded = Recorded(timeouts=Timeouts(body=5))
        recorded.client.send(post(200_000) + b"x")
        recorded.client.transport.stall()
        source = SourceDouble()
        recorded.leaf.stream(0, source)
        source.feed(b"x" * 70_000)
        self.assertTrue(source.paused)
        return recorded

    def test_takesNothingAfterTheBody(self) -> None:
        """Who takes nothing of an answer is let go, also if its body has become whole in the meantime."""
        recorded = self.answeredEarly()
        sink = recorded.sink()
        recorded.client.send(b"x" * 199_999)
        self.assertTrue(sink.finished)
        recorded.edge.pass_(4)
        recorded.client.transport.take(1000)
        recorded.edge.pass_(5)
        self.assertIsNone(recorded.client.end)
        recorded.edge.pass_(2)
        self.assertEqual(recorded.client.end, "abort")

    def test_takesNothingOfAnEcho(self) -> None:
        """Also if the origin takes no more of the body, perhaps because nothing is taken of its answer."""
        recorded = self.answeredEarly()
        recorded.client.send(b"x" * 70_000)
        self.assertFalse(recorded.client.transport.reading)
        recorded.edge.pass_(9)
        self.assertIsNone(recorded.client.end)
        recorded.edge.pass_(2)
        self.assertEqual(recorded.client.end, "abort")

    def test_takesAgain(self) -> None:
        """Once it is taken, whose turn it is has the time: here the origin, which has any."""
        recorded = self.answeredEarly()
        recorded.client.send(b"x" * 70_000)
        recorded.client.transport.take()
        recorded.edge.pass_(60)
        self.assertIsNone(recorded.client.end)
        sink = recorded.sink()
        recorded.client.send(b"x" * 129_999)
        self.assertTrue(sink.finished)
        recorded.edge.pass_(60)
        self.assertIsNone(recorded.client.end)

    def test_stalledWhileDropped(self) -> None:
        """A client that stops in the middle of a body nobody wants is let go, without an error of ours."""
        recorded = Recorded(timeouts=Timeouts(body=5))
        recorded.client.send(post(10) + b"abc")
        recorded.leaf.answer(0)
        recorded.edge.pass_(6)
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertIsNotNone(recorded.client.end)

    def test_stalledWhileReplaced(self) -> None:
        """The same while the answer is still awaited: it is delivered, then the connection ends."""
        recorded = Recorded(timeouts=Timeouts(body=5))
        recorded.client.send(post(10) + b"abc")
        recorded.requests[0].body.replace(b"other")
        recorded.edge.pass_(6)
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertIsNone(recorded.client.end)
        recorded.leaf.answer(0)
        self.assertIn(b"Connection: close", recorded.client.received())
        self.assertIsNotNone(recorded.client.end)

    def test_closedButNotGone(self) -> None:
        """A client that does not close after us is broken off."""
        edge = hello()
        client = edge.connect()
        edge.pass_(11)
        self.assertEqual(client.end, "close")
        edge.pass_(3)
        self.assertEqual(client.end, "abort")
        client.leave()
        self.assertEqual(edge.clock.getDelayedCalls()[1:], [])


class ExchangeTests(SynchronousTestCase):
    """The chain around it, as far as the connection matters."""

    def test_cancelled(self) -> None:
        """When the client leaves, what is waited for is cancelled."""
        cancelled: list[Any] = []

        @implementer(IMiddleware)
        class Waiting:
            name = "waiting"

            def handle(self, context: Any) -> Deferred[bool]:
                return Deferred(cancelled.append)

        edge = EdgeDouble(RecordingLeaf(), middleware=[Waiting()])
        client = edge.connect()
        client.send(GET)
        self.assertEqual(cancelled, [])
        client.leave()
        self.assertEqual(len(cancelled), 1)
        self.assertEqual([record.status for record in edge.log.records], [499])
        self.assertEqual(edge.active, 0)

    def test_lateAnswer(self) -> None:
        """An answer that comes after the client has left goes nowhere, and its body's source is told."""
        recorded = Recorded()
        recorded.client.send(GET)
        recorded.client.leave()
        source = SourceDouble()
        recorded.leaf.stream(0, source)
        self.assertTrue(source.stopped)
        self.assertEqual(recorded.client.received(), b"")
        self.assertEqual((len(recorded.edge.log.records), recorded.edge.active), (1, 0))

    def test_date(self) -> None:
        """Every answer has a Date; one that an origin gave is kept (RFC 9110 §6.6.1)."""
        recorded = Recorded()
        recorded.client.send(GET + GET)
        recorded.leaf.answer(0)
        self.assertIn(b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n", bytes(recorded.client.transport.sent))
        recorded.client.received()
        date = "Sun, 06 Nov 1994 08:49:37 GMT"
        recorded.leaf.exchanges[1].answered(Response(200, None, Headers.of({"Date": date}), None))
        self.assertEqual(recorded.client.received().count(b"Date: "), 1)

    def test_noRoute(self) -> None:
        """Nothing for this host and path is 404, with the request's id."""
        client = EdgeDouble(routes=[]).connect()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\n\r\n")
        received = client.received()
        self.assertTrue(received.startswith(b"HTTP/1.1 404 Not Found\r\n"))
        self.assertIn(b"application/problem+json", received)
        self.assertIsNone(client.end)

    def test_leafFails(self) -> None:
        """An error of the leaf's is a response; one that is no EdgeError is 500 and in the log."""
        recorded = Recorded()
        recorded.client.send(GET + GET)

        recorded.leaf.exchanges[0].failed(Failure(UpstreamError("secret cause")))
        recorded.leaf.exchanges[1].failed(Failure(ValueError("secret cause")))
        received = recorded.client.received()
        self.assertEqual(received.count(b"HTTP/1.1 502 "), 1)
        self.assertEqual(received.count(b"HTTP/1.1 500 "), 1)
        self.assertNotIn(b"secret", received)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)


class TunnelDouble:
    """Records what it is given."""

    def __init__(self) -> None:
        self.data = b""
        self.onClose: Any = None
        self.lost = False

    def connectClient(self, transport: Any, written: int, onClose: Any) -> None:
        self.written = written
        self.onClose = onClose

    def fromClient(self, data: bytes) -> None:
        self.data += data

    def clientLost(self, reason: Any) -> None:
        self.lost = True
        self.onClose(len(self.data), self.written)


class UpgradeTests(SynchronousTestCase):
    """101 (RFC 9110 §7.8)."""

    UPGRADE = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

    def open(self, data: bytes) -> tuple[Recorded, TunnelDouble]:
        recorded = Recorded()
        recorded.client.send(data)
        tunnel = TunnelDouble()
        response = Response(101, None, Headers([(b"upgrade", b"Upgrade", b"websocket")]), None)
        self.assertEqual(recorded.requests[0].upgrade, b"websocket")
        recorded.client.server.switchProtocols(response, tunnel)
        return recorded, tunnel

    def test_switch(self) -> None:
        """After 101 bytes go to the tunnel, also those sent ahead."""
        recorded, tunnel = self.open(self.UPGRADE + b"ahead")
        head = recorded.client.received()
        self.assertTrue(head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n"))
        self.assertIn(b"Connection: Upgrade\r\n", head)
        recorded.client.send(b", more")
        self.assertEqual(tunnel.data, b"ahead, more")
        self.assertTrue(recorded.client.transport.tcpKeepAlive)
        recorded.edge.pass_(1000)
        self.assertIsNone(recorded.client.end)

    def test_ends(self) -> None:
        """The end of the connection ends the tunnel, and the exchange with its bytes."""
        recorded, tunnel = self.open(self.UPGRADE)
        recorded.client.send(b"12345")
        recorded.client.leave()
        self.assertTrue(tunnel.lost)
        self.assertEqual(recorded.edge.active, 0)
        (record,) = recorded.edge.log.records
        self.assertEqual((record.bytesIn, record.bytesOut), (5, tunnel.written))


class DrainTests(SynchronousTestCase):
    """The edge stops."""

    def drain(self, edge: EdgeDouble) -> list[None]:
        done: list[None] = []
        edge.edge.drain().addCallback(done.append)
        return done

    def test_idleClosesNow(self) -> None:
        """Connections that wait for nothing are closed at once."""
        edge = hello()
        client = edge.connect()
        done = self.drain(edge)
        self.assertEqual((client.end, done), ("close", []))
        client.leave()
        self.assertEqual(done, [None])

    def test_runningFinishes(self) -> None:
        """A running request is answered, with Connection: close."""
        recorded = Recorded()
        recorded.client.send(GET + GET)
        done = self.drain(recorded.edge)
        self.assertIsNone(recorded.client.end)
        recorded.leaf.answer(0)
        self.assertIn(b"Connection: close", recorded.client.received())
        self.assertIsNotNone(recorded.client.end)
        self.assertEqual(len(recorded.requests), 1)
        recorded.client.leave()
        self.assertEqual(done, [None])

    def test_hardStop(self) -> None:
        """At the drain deadline the rest is broken off."""
        recorded = Recorded()
        recorded.client.send(GET)
        done = self.drain(recorded.edge)
        recorded.edge.pass_(29)
        self.assertIsNone(recorded.client.end)
        recorded.edge.pass_(2)
        self.assertEqual(recorded.client.end, "abort")
        recorded.client.leave(rudely=True)
        self.assertEqual(done, [None])

    def test_nothingNew(self) -> None:
        """While it stops, and over the connection limit, nobody new is let in."""
        edge = EdgeDouble(RespondLeaf(200, b"", {}), limits=Limits(maxConnections=2))
        edge.connect()
        client = edge.connect()
        self.assertIsNone(edge.listener.buildProtocol(client.transport.getPeer()))
        self.assertEqual(edge.edge.turnedAway, 1)
        client.leave()
        self.assertIsInstance(edge.connect(), ClientDouble)
        self.drain(edge)
        self.assertIsNone(edge.listener.buildProtocol(client.transport.getPeer()))
