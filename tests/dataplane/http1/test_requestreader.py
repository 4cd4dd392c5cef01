"""Tests for :mod:`revproxy.dataplane.http1.requestreader`: transcripts, with no socket."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import NOT_DONE_YET

from revproxy.body import Body
from revproxy.context import Headers, Response
from revproxy.dataplane.http.limits import Limits, Timeouts
from revproxy.dataplane.leaves.fixed import Leaf, RespondLeaf
from revproxy.errors import BodyTooLarge, ClientGone, RequestTimeout
from tests.dataplane.doubles import EdgeDouble, RecordingLeaf
from tests.dataplane.http1.served import CHUNKED, EMPTY, GET, HI, ReadingLeaf, Recorded, hello, post
from tests.dataplane.malformed import REQUESTS


class RequestTests(SynchronousTestCase):
    """What of the request is given on."""

    def test_request(self) -> None:
        """The request is as it was written, without the connection's fields."""
        recorded = Recorded()
        recorded.client.send(
            b"GET /a%20b/../c?x=1 HTTP/1.1\r\nHost: A.example:80\r\nX-One: 1\r\nx-one: 2\r\n"
            b"Connection: keep-alive, X-Gone\r\nX-Gone: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\n\r\n"
        )
        (request,) = recorded.requests
        self.assertEqual((request.method, request.target, request.host), ("GET", "/a%20b/../c?x=1", "A.example:80"))
        self.assertEqual(list(request.headers), [("Host", "A.example:80"), ("X-One", "1"), ("x-one", "2")])
        self.assertEqual((request.version, request.scheme), ("1.1", "http"))
        self.assertEqual(
            (request.peer.host, request.peer.port, request.peer.connected), ("192.0.2.1", 50000, "192.0.2.1")
        )
        self.assertFalse(request.hasBody)

    def test_forwardingOfStrangers(self) -> None:
        """Who has not been named as trusted cannot speak for others."""
        recorded = Recorded()
        recorded.client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 9.9.9.9\r\nForwarded: for=9.9.9.9\r\n\r\n")
        self.assertEqual(list(recorded.requests[0].headers), [("Host", "a")])
        self.assertEqual(recorded.requests[0].peer.host, "192.0.2.1")

    def test_forwardingOfTrusted(self) -> None:
        """A trusted proxy names the client and its scheme."""

        class Trusted:
            def contains(self, host: str) -> bool:
                return host == "192.0.2.1"

        recorded = Recorded(trusted=Trusted())
        recorded.client.send(
            b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 198.51.100.7\r\nX-Forwarded-Proto: https\r\n\r\n"
        )
        (request,) = recorded.requests
        self.assertEqual((request.peer.host, request.peer.connected), ("198.51.100.7", "192.0.2.1"))
        self.assertEqual(request.scheme, "https")

    def test_misdirected(self) -> None:
        """A host that is protected from this TLS name is refused with 421 (RFC 9110 §15.5.20)."""

        class Info:
            serverName = "open.example"

        def guards(serverName: str | None, hostname: bytes) -> bool:
            return hostname == b"closed.example" and serverName != "closed.example"

        leaf = RecordingLeaf()
        client = EdgeDouble(leaf, tls=True, guards=guards).connect(tlsInfo=Info())
        client.send(b"GET / HTTP/1.1\r\nHost: closed.example\r\n\r\n")
        self.assertTrue(client.received().startswith(b"HTTP/1.1 421 "))
        client.send(b"GET / HTTP/1.1\r\nHost: open.example\r\n\r\n")
        self.assertEqual(len(leaf.exchanges), 1)
        self.assertEqual(leaf.exchanges[0].context.request.scheme, "https")

    def test_generation(self) -> None:
        """A request keeps the chain it began with; the next takes that of the new generation."""
        recorded = Recorded()
        recorded.client.send(GET)
        other = hello().generation
        recorded.edge.edge.generation = other
        idle: list[None] = []
        recorded.edge.chains[0].whenIdle().addCallback(idle.append)
        self.assertEqual((recorded.edge.active, idle), (1, []))
        recorded.leaf.answer(0)
        self.assertEqual((recorded.edge.active, idle), (0, [None]))
        recorded.client.received()
        recorded.client.send(GET)
        self.assertEqual(recorded.client.received(), HI)


class PipeliningTests(SynchronousTestCase):
    """Requests sent ahead (RFC 9112 §9.3.2)."""

    def test_inOrder(self) -> None:
        """The second request begins when the first is answered."""
        recorded = Recorded()
        recorded.client.send(GET + GET.replace(b"/ ", b"/two "))
        self.assertEqual(len(recorded.requests), 1)
        recorded.leaf.answer(0, b"one")
        self.assertEqual([request.target for request in recorded.requests], ["/", "/two"])
        recorded.leaf.answer(1, b"two")
        received = recorded.client.received()
        self.assertTrue(received.index(b"one") < received.index(b"two"))

    def test_thousand(self) -> None:
        """A thousand requests in one piece are answered without a thousand nested calls."""
        edge = hello()
        client = edge.connect()
        client.send(GET * 1000)
        edge.settle()
        self.assertEqual(client.received(), HI * 1000)

    def test_bounded(self) -> None:
        """Who sends too much ahead is not read until the answer is out."""
        recorded = Recorded()
        recorded.client.send(GET)
        recorded.client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n" + b"x" * 70000)
        self.assertFalse(recorded.client.transport.reading)
        recorded.leaf.answer(0)
        self.assertTrue(recorded.client.transport.reading)
        self.assertEqual(recorded.sink(1).data, b"x" * 70000)

    def test_readAgain(self) -> None:
        """Once what was sent ahead is used up, the client is read again: more requests, a larger head, its leaving."""
        large = b"GET /large HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 150_000 + b"\r\n\r\n"
        recorded = Recorded(limits=Limits(maxHeaderBytes=200_000))
        recorded.client.send(GET)
        recorded.client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n" + b"x" * 70000)
        recorded.leaf.answer(0)
        recorded.leaf.answer(1)
        self.assertTrue(recorded.client.transport.reading)
        recorded.client.send(GET + large[:70_000])
        self.assertFalse(recorded.client.transport.reading)
        recorded.leaf.answer(2)
        self.assertTrue(recorded.client.transport.reading)
        recorded.client.send(large[70_000:140_000])
        self.assertTrue(recorded.client.transport.reading)
        recorded.client.send(large[140_000:])
        self.assertEqual(recorded.requests[3].target, "/large")

    def test_failsInItsTurn(self) -> None:
        """A mistake of ours in the turn of a pipeline ends its connection: nobody else would."""
        edge = hello()
        client = edge.connect()
        client.send(GET * 20)
        edge.listener.newExchange = None  # type: ignore[assignment,method-assign]
        self.assertRaises(TypeError, edge.settle)
        self.assertEqual(client.end, "abort")

    def test_pausedBody(self) -> None:
        """Where the receiver of a body asks for a pause, what was sent ahead of it does not undo that."""
        recorded = Recorded()
        recorded.client.send(GET)
        recorded.client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + b"x" * 70000)
        self.assertFalse(recorded.client.transport.reading)
        recorded.leaf.answer(0)
        # Nobody takes it yet, and 64 KB are held.
        self.assertFalse(recorded.client.transport.reading)
        sink = recorded.sink(1)
        self.assertTrue(recorded.client.transport.reading)
        recorded.client.send(b"x" * 130_000)
        self.assertEqual(len(sink.data), 200_000)

    def test_bodyThenRequest(self) -> None:
        """What follows a body is the next request, however the bytes are cut."""
        data = post(5) + b"hello" + CHUNKED + b"3\r\nabc\r\n0\r\n\r\n" + GET
        for size in (1, 2, 3, 7, 50, len(data)):
            client = EdgeDouble(ReadingLeaf()).connect()
            for at in range(0, len(data), size):
                client.send(data[at : at + size])
            self.assertEqual(client.received(), HI * 3, size)


class EchoLeaf(Leaf):
    """Answers, when told to, with the body it got."""

    def __init__(self) -> None:
        super().__init__()
        self.ready: list[Deferred[None]] = []

    def render(self, exchange: Any) -> int:
        def got(data: bytes) -> None:
            self.ready.append(Deferred())
            answer = Response(200, None, Headers(), Body.of(data))
            exchange.wait(self.ready[-1], lambda _: exchange.answered(answer))

        exchange.wait(exchange.context.request.body.read(1000), got)
        return NOT_DONE_YET

    def go(self) -> None:
        while self.ready:
            self.ready.pop(0).callback(None)


class AnyOrderTests(SynchronousTestCase):
    """Whatever the pieces, and whenever the leaf answers."""

    @given(
        st.lists(st.tuples(st.binary(max_size=30), st.sampled_from(["none", "length", "chunks"])), max_size=6),
        st.lists(st.integers(1, 60), max_size=40),
        st.lists(st.booleans(), max_size=40),
    )
    def test_anyPieces(self, bodies: list[tuple[bytes, str]], sizes: list[int], answers: list[bool]) -> None:
        """Every request is answered once, in order, with its own body."""
        wire, expected = b"", b""
        for body, kind in bodies:
            if kind == "none":
                wire, body = wire + GET, b""
            elif kind == "length":
                wire += post(len(body)) + body
            else:
                wire += CHUNKED + b"".join(b"1\r\n%c\r\n" % octet for octet in body) + b"0\r\n\r\n"
            expected += b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        leaf = EchoLeaf()
        edge = EdgeDouble(leaf)
        client = edge.connect()
        for size, answer in zip(sizes, answers, strict=False):
            if wire:
                client.send(wire[:size])
                wire = wire[size:]
            if answer:
                leaf.go()
        if wire:
            client.send(wire)
        leaf.go()
        self.assertEqual(client.received(), expected)
        self.assertTrue(client.transport.reading)
        self.assertEqual((edge.active, len(edge.log.records)), (0, len(bodies)))


class RequestBodyTests(SynchronousTestCase):
    """Bodies stream in."""

    def test_withLength(self) -> None:
        """A body reaches the exchange as it arrives."""
        recorded = Recorded()
        recorded.client.send(post(6) + b"abc")
        (request,) = recorded.requests
        self.assertEqual(request.body.length, 6)
        sink = recorded.sink()
        self.assertEqual((sink.data, sink.finished), (b"abc", False))
        recorded.client.send(b"def")
        self.assertEqual((sink.data, sink.finished), (b"abcdef", True))
        recorded.leaf.answer(0)
        self.assertEqual(recorded.client.received(), EMPTY)
        self.assertEqual(recorded.edge.log.records[0].bytesIn, 6)

    def test_chunksAreFedTogether(self) -> None:
        """Many small chunks in one read are one piece for whoever takes the body, and not a write each."""
        recorded = Recorded()
        recorded.client.send(CHUNKED)
        body = recorded.requests[0].body
        pieces: list[bytes] = []

        def record(data: bytes, last: bool) -> bytes:
            pieces.append(data)
            return data

        body.addFilter(record)
        recorded.client.send(b"1\r\nx\r\n11\r\n0123456789abcdefg\r\n" * 1000 + b"0\r\n\r\n")
        self.assertEqual(pieces, [b"x0123456789abcdefg" * 1000, b""])

    def test_withHead(self) -> None:
        """A body that is there with its head is complete at once."""
        recorded = Recorded()
        recorded.client.send(post(3) + b"abc")
        self.assertTrue(recorded.requests[0].body.complete)
        self.assertEqual(recorded.sink().data, b"abc")
        recorded.leaf.answer(0)
        self.assertEqual(recorded.edge.log.records[0].bytesIn, 3)

    def test_empty(self) -> None:
        """A body of length 0 is none that could be waited for."""
        recorded = Recorded()
        recorded.client.send(post(0))
        self.assertTrue(recorded.requests[0].body.complete)
        recorded.leaf.answer(0)
        self.assertEqual(recorded.client.received(), EMPTY)

    def test_chunked(self) -> None:
        """A chunked body loses its coding; announced trailers are kept."""
        recorded = Recorded()
        recorded.client.send(CHUNKED.replace(b"Host", b"Trailer: X-Sum\r\nHost"))
        sink = recorded.sink()
        recorded.client.sendSlowly(b"3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\nX-Sum: 5\r\nX-Other: 1\r\n\r\n")
        self.assertEqual((sink.data, sink.finished), (b"abcde", True))
        trailers = recorded.requests[0].body.trailers
        self.assertEqual(list(trailers), [("X-Sum", "5")])

    def test_chunkedBroken(self) -> None:
        """A coding that is none fails the body with 400, and the connection ends with the answer."""
        recorded = Recorded()
        recorded.client.send(CHUNKED)
        sink = recorded.sink()
        recorded.client.send(b"3\r\nabcd\r\n" + GET)
        self.assertEqual(sink.failure.value.status, 400)
        recorded.leaf.exchanges[0].failed(sink.failure)
        received = recorded.client.received()
        self.assertTrue(received.startswith(b"HTTP/1.1 400 "), received)
        self.assertIn(b"Connection: close", received)
        self.assertIsNotNone(recorded.client.end)
        self.assertEqual(len(recorded.requests), 1)

    def test_backpressure(self) -> None:
        """While nobody takes the body, no more than the high-water mark is read; then it goes on."""
        recorded = Recorded()
        recorded.client.send(post(200_000))
        recorded.client.send(b"x" * 70_000)
        self.assertFalse(recorded.client.transport.reading)
        sink = recorded.sink()
        self.assertTrue(recorded.client.transport.reading)
        recorded.client.send(b"x" * 130_000)
        self.assertEqual((len(sink.data), sink.finished), (200_000, True))

    def test_readsAgainAfterPausedBody(self) -> None:
        """A body whose last piece made its reader wait does not leave the connection deaf."""
        recorded = Recorded()
        recorded.client.send(post(70_000))
        recorded.client.send(b"x" * 70_000)
        sink = recorded.sink()
        self.assertTrue(sink.finished)
        recorded.leaf.answer(0)
        self.assertTrue(recorded.client.transport.reading)
        recorded.client.received()
        recorded.client.send(GET)
        self.assertEqual(len(recorded.requests), 2)

    def test_tooLarge(self) -> None:
        """More than the limit is 413: at once where it is said beforehand, else when it is noticed."""
        recorded = Recorded(limits=Limits(maxBodyBytes=10))
        recorded.client.send(post(11))
        self.assertTrue(recorded.client.received().startswith(b"HTTP/1.1 413 "))
        self.assertEqual(recorded.requests, [])
        recorded = Recorded(limits=Limits(maxBodyBytes=10))
        recorded.client.send(CHUNKED)
        sink = recorded.sink()
        recorded.client.send(b"a\r\n0123456789\r\n")
        self.assertIsNone(sink.failure)
        recorded.client.send(b"1\r\n0\r\n0\r\n\r\n")
        self.assertIsInstance(sink.failure.value, BodyTooLarge)

    def test_clientLeaves(self) -> None:
        """A client that leaves in the middle of its body fails it, and the exchange is over once."""
        recorded = Recorded()
        recorded.client.send(post(6) + b"abc")
        sink = recorded.sink()
        recorded.client.leave()
        self.assertIsInstance(sink.failure.value, ClientGone)
        self.assertEqual([record.status for record in recorded.edge.log.records], [499])
        self.assertEqual(recorded.edge.active, 0)

    def test_earlyAnswerShortRest(self) -> None:
        """An answer before the end of a short body keeps the connection: the rest is read and dropped."""
        recorded = Recorded()
        recorded.client.send(post(10) + b"abc")
        recorded.leaf.answer(0)
        self.assertEqual(recorded.client.received(), EMPTY)
        recorded.client.send(b"defghij" + GET)
        self.assertEqual(len(recorded.requests), 2)
        self.assertIsNone(recorded.client.end)
        self.assertEqual(recorded.edge.log.records[0].bytesIn, 3)

    def test_earlyAnswerLongRest(self) -> None:
        """With much still to come the connection is given up, but not before the client could read the answer."""
        for head in (post(10_000_000), CHUNKED, post(10, b"Expect: 100-continue\r\n")):
            recorded = Recorded()
            recorded.client.send(head)
            recorded.leaf.answer(0)
            self.assertIn(b"Connection: close", recorded.client.received())
            self.assertEqual(recorded.client.end, "half")
            recorded.client.send(b"x" * 1000)
            self.assertEqual(recorded.client.end, "half")
            recorded.edge.pass_(3)
            self.assertEqual(recorded.client.end, "abort")

    def test_lingerBounded(self) -> None:
        """A refused client that goes on sending is cut off."""
        recorded = Recorded()
        recorded.client.send(post(10_000_000))
        recorded.leaf.answer(0)
        for _ in range(5):
            recorded.client.send(b"x" * 65536)
        self.assertEqual(recorded.client.end, "abort")

    def test_replacedBody(self) -> None:
        """A body that a plugin replaced is read and dropped, and the next request is found behind it."""
        recorded = Recorded()
        recorded.client.send(post(10) + b"abc")
        recorded.requests[0].body.replace(b"other")
        recorded.client.send(b"defghij" + GET)
        recorded.leaf.answer(0)
        self.assertEqual(len(recorded.requests), 2)

    def test_failedBodyAnswered(self) -> None:
        """After the body failed by time-out, 408 is the answer and the connection ends."""
        recorded = Recorded(timeouts=Timeouts(body=5))
        recorded.client.send(post(10) + b"abc")
        sink = recorded.sink()
        recorded.edge.pass_(4)
        self.assertIsNone(sink.failure)
        recorded.client.send(b"d")
        recorded.edge.pass_(4)
        self.assertIsNone(sink.failure)
        recorded.edge.pass_(2)
        self.assertIsInstance(sink.failure.value, RequestTimeout)
        recorded.leaf.exchanges[0].failed(sink.failure)
        received = recorded.client.received()
        self.assertTrue(received.startswith(b"HTTP/1.1 408 "))
        self.assertIn(b"Connection: close", received)
        self.assertIsNotNone(recorded.client.end)


class RefusalTests(SynchronousTestCase):
    """Heads that are none."""

    def test_malformed(self) -> None:
        """Each is refused with its status and the end of the connection, and nobody else sees it."""
        self.assertGreaterEqual(len(REQUESTS), 60)
        for head, status in REQUESTS:
            recorded = Recorded()
            recorded.client.send(head + GET)
            received = recorded.client.received()
            self.assertTrue(received.startswith(b"HTTP/1.1 %d " % status), (head, received))
            self.assertIn(b"Connection: close\r\n", received)
            self.assertEqual(received.count(b"HTTP/1.1 "), 1, head)
            self.assertEqual(recorded.requests, [], head)
            self.assertEqual(recorded.client.end, "half", head)
            (record,) = recorded.edge.log.records
            self.assertEqual(record.status, status)

    def test_malformedSlowly(self) -> None:
        """The same, byte by byte: never accepted."""
        for head, status in REQUESTS:
            recorded = Recorded()
            recorded.client.sendSlowly(head)
            received = recorded.client.received()
            self.assertTrue(received.startswith(b"HTTP/1.1 %d " % status), (head, received))
            self.assertEqual(recorded.requests, [], head)

    def test_afterGood(self) -> None:
        """A bad head behind a good request: the good one is answered first."""
        client = hello().connect()
        client.send(GET + b"nonsense\r\n\r\n")
        received = client.received()
        self.assertTrue(received.startswith(HI + b"HTTP/1.1 400 Bad Request\r\n"), received)

    def test_headTooLarge(self) -> None:
        """A head over the limit is 431, as soon as it is."""
        limits = Limits(maxHeaderBytes=1000)
        head = b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 2000
        for data in (head, head + b"\r\n\r\n"):
            client = EdgeDouble(RespondLeaf(200, b"hi", {}), limits=limits).connect()
            client.send(data)
            self.assertTrue(client.received().startswith(b"HTTP/1.1 431 "))
            client = EdgeDouble(RespondLeaf(200, b"hi", {}), limits=limits).connect()
            client.sendSlowly(data)
            self.assertTrue(client.received().startswith(b"HTTP/1.1 431 "))

    def test_tooManyFields(self) -> None:
        """More fields than the limit are 431."""
        client = EdgeDouble(RespondLeaf(200, b"hi", {}), limits=Limits(maxHeaders=10)).connect()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: 1\r\n" * 9 + b"\r\n")
        self.assertEqual(client.received(), HI)
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: 1\r\n" * 10 + b"\r\n")
        self.assertTrue(client.received().startswith(b"HTTP/1.1 431 "))

    def test_targetTooLong(self) -> None:
        """A longer target than the limit is 414, whole or not."""
        for end in (b"", b" HTTP/1.1\r\nHost: a\r\n\r\n"):
            client = EdgeDouble(RespondLeaf(200, b"hi", {}), limits=Limits(maxTargetBytes=100)).connect()
            client.send(b"GET /" + b"x" * 200 + end)
            self.assertTrue(client.received().startswith(b"HTTP/1.1 414 "), end)

    def test_tlsBytes(self) -> None:
        """A TLS hello on a plain listener is refused at its first byte."""
        client = hello().connect()
        client.send(b"\x16\x03\x01\x02\x00\x01\x00")
        self.assertTrue(client.received().startswith(b"HTTP/1.1 400 "))
