"""Tests for :mod:`revproxy.dataplane.http1.server`: transcripts, with no socket."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from revproxy.addresses import AddressSet
from revproxy.body import Body
from revproxy.context import Headers, Response
from revproxy.dataplane.http.limits import Limits, Timeouts
from revproxy.dataplane.leaves.fixed import RespondLeaf
from revproxy.dataplane.leaves.leaf import Leaf
from revproxy.errors import BodyTooLarge, ClientGone, RequestTimeout, UpstreamError
from revproxy.interfaces import IMiddleware
from revproxy.testing import SinkDouble, SourceDouble
from tests.dataplane.doubles import ClientDouble, EdgeDouble, RecordingLeaf
from tests.dataplane.malformed import REQUESTS

GET = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
HI = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 2\r\n\r\nhi"
EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def hello() -> EdgeDouble:
    return EdgeDouble(RespondLeaf(200, b"hi", {}))


def post(length: int, more: bytes = b"") -> bytes:
    return b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: %d\r\n%b\r\n" % (length, more)


CHUNKED = b"POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n"


class ReadingLeaf(Leaf):
    """Reads the body, and answers as :func:`hello` does."""

    def render(self, exchange: Any) -> int:
        headers = Headers.of({"Content-Type": "text/plain; charset=utf-8"})
        answer = Response(200, None, headers, Body.of(b"hi"))
        exchange.wait(exchange.context.request.body.read(100), lambda _: exchange.answered(answer))
        return NOT_DONE_YET


class Recorded:
    """An edge whose leaf keeps the exchanges, and one client."""

    def __init__(self, **options: Any) -> None:
        self.leaf = RecordingLeaf()
        self.edge = EdgeDouble(self.leaf, **options)
        self.client = self.edge.connect()

    @property
    def requests(self) -> list[Any]:
        return [exchange.context.request for exchange in self.leaf.exchanges]

    def sink(self, index: int = 0) -> SinkDouble:
        return SinkDouble(self.requests[index].body)


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


class StreamingTests(SynchronousTestCase):
    """Answers whose body is still to come."""

    def start(self, request: bytes = GET, **options: Any) -> tuple[Recorded, SourceDouble]:
        recorded = Recorded(**options)
        recorded.client.send(request)
        return recorded, SourceDouble()

    def test_chunked(self) -> None:
        """Without a length, a 1.1 client gets chunks as they come."""
        recorded, source = self.start()
        recorded.leaf.stream(0, source)
        self.assertEqual(recorded.client.received(), b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        source.feed(b"abc")
        self.assertEqual(recorded.client.received(), b"3\r\nabc\r\n")
        source.finish()
        self.assertEqual(recorded.client.received(), b"0\r\n\r\n")
        recorded.client.send(GET)
        self.assertEqual(len(recorded.requests), 2)

    def test_trailers(self) -> None:
        """Announced trailers are announced on, and follow the last chunk."""
        recorded = Recorded()
        recorded.client.send(GET)
        source = SourceDouble(trailers=Headers.of({"X-Sum": "3"}))
        source.body.announced = b"X-Sum"
        recorded.leaf.stream(0, source)
        source.feed(b"abc")
        source.finish()
        self.assertEqual(
            recorded.client.received(),
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 3\r\n\r\n",
        )

    def test_withLength(self) -> None:
        """With a length, bytes go as they are."""
        recorded, source = self.start()
        recorded.leaf.stream(0, source, [(b"Content-Length", b"6")])
        source.feed(b"abc")
        source.feed(b"def")
        source.finish()
        self.assertEqual(recorded.client.received(), b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef")
        self.assertEqual(recorded.edge.log.records[0].bytesOut, 81)

    def test_http10(self) -> None:
        """To a 1.0 client the close is the end of a body without a length, whatever it asked for."""
        recorded, source = self.start(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        recorded.leaf.stream(0, source)
        source.feed(b"abc")
        self.assertIsNone(recorded.client.end)
        source.finish()
        self.assertEqual(recorded.client.received(), b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc")
        self.assertEqual(recorded.client.end, "close")

    def test_filtered(self) -> None:
        """A filtered body loses its length and is chunked."""
        recorded, source = self.start()
        source.body.addFilter(lambda data, last: data.upper())
        recorded.leaf.stream(0, source, [(b"Content-Length", b"3")])
        source.feed(b"abc")
        source.finish()
        self.assertEqual(
            recorded.client.received(), b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nABC\r\n0\r\n\r\n"
        )

    def test_firstPieceWithHead(self) -> None:
        """What is there already goes out with the head, in one write."""
        recorded, source = self.start()
        source.feed(b"abc")
        recorded.leaf.stream(0, source)
        self.assertEqual(recorded.client.transport.writes, 1)

    def test_slowReader(self) -> None:
        """A client that does not read pauses the source; the rest follows when it reads on."""
        recorded, source = self.start()
        recorded.leaf.stream(0, source)
        recorded.client.transport.stall()
        source.feed(b"x" * 70_000)
        self.assertTrue(source.paused)
        recorded.client.transport.take()
        self.assertFalse(source.paused)
        source.finish()
        self.assertTrue(recorded.client.received().endswith(b"x\r\n0\r\n\r\n"))

    def test_stalledReader(self) -> None:
        """A client that reads nothing for the body's time is broken off; one that reads a little is not."""
        recorded, source = self.start(timeouts=Timeouts(body=5))
        recorded.leaf.stream(0, source)
        recorded.client.transport.stall()
        source.feed(b"x" * 100_000)
        for _ in range(4):
            recorded.client.transport.take(1000)
            recorded.edge.pass_(5)
            self.assertIsNone(recorded.client.end)
        recorded.edge.pass_(6)
        self.assertEqual(recorded.client.end, "abort")
        recorded.client.leave(rudely=True)
        self.assertTrue(source.stopped)
        self.assertEqual(recorded.edge.active, 0)

    def test_slowReaderOfLastBytes(self) -> None:
        """Also after the last byte is queued and the connection is to be closed, slow reading is reading."""
        recorded, source = self.start(
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", timeouts=Timeouts(body=5, linger=2)
        )
        recorded.leaf.stream(0, source)
        recorded.client.transport.stall()
        source.feed(b"x" * 50_000)
        source.finish()
        self.assertEqual(recorded.client.end, "close")
        for _ in range(4):
            recorded.client.transport.take(1000)
            recorded.edge.pass_(5)
            self.assertEqual(recorded.client.end, "close")
        recorded.edge.pass_(11)
        self.assertEqual(recorded.client.end, "abort")

    def test_bodyFails(self) -> None:
        """A body that breaks off breaks off the connection, without a last chunk."""
        recorded, source = self.start()
        recorded.leaf.stream(0, source)
        source.feed(b"abc")
        source.fail(UpstreamError("gone"))
        self.assertFalse(recorded.client.received().endswith(b"0\r\n\r\n"))
        self.assertEqual(recorded.client.end, "abort")
        recorded.client.leave()
        self.assertEqual(len(recorded.edge.log.records), 1)
        self.assertIn("gone", recorded.edge.log.records[0].error)
        self.assertEqual(recorded.edge.active, 0)

    def test_clientLeaves(self) -> None:
        """A client that leaves stops the source, and is logged once."""
        recorded, source = self.start()
        recorded.leaf.stream(0, source)
        source.feed(b"abc")
        recorded.client.leave()
        self.assertTrue(source.stopped)
        self.assertEqual(len(recorded.edge.log.records), 1)
        self.assertIn("ClientGone", recorded.edge.log.records[0].error)
        self.assertEqual(recorded.edge.active, 0)

    def test_whileUploading(self) -> None:
        """Request and answer can stream at the same time."""
        recorded, source = self.start(post(6) + b"abc")
        sink = recorded.sink()
        recorded.leaf.stream(0, source, [(b"Content-Length", b"2")])
        source.feed(b"1")
        recorded.client.send(b"def")
        self.assertTrue(sink.finished)
        source.feed(b"2")
        source.finish()
        self.assertEqual(recorded.client.received(), b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n12")
        recorded.client.send(GET)
        self.assertEqual(len(recorded.requests), 2)

    @given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.booleans())
    def test_anyPieces(self, pieces: list[bytes], framed: bool) -> None:
        """Whatever the pieces, an independent client reads the same body."""
        import h11

        recorded, source = self.start()
        whole = b"".join(pieces)
        recorded.leaf.stream(0, source, [(b"Content-Length", b"%d" % len(whole))] if framed else ())
        for piece in pieces:
            source.feed(piece)
        source.finish()
        reader = h11.Connection(h11.CLIENT)
        reader.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
        reader.send(h11.EndOfMessage())
        reader.receive_data(recorded.client.received())
        self.assertEqual(reader.next_event().status_code, 200)
        got = b""
        while isinstance(event := reader.next_event(), h11.Data):
            got += event.data
        self.assertIsInstance(event, h11.EndOfMessage)
        self.assertEqual(got, whole)


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
        from twisted.python.failure import Failure

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

    def test_manyOfOneClient(self) -> None:
        """Each client may have so many connections; IPv6 addresses of one /64 are one client."""
        edge = EdgeDouble(RespondLeaf(200, b"", {}), limits=Limits(maxConnectionsPerClient=2))
        for first, second, other in (
            ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
            ("2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1"),
            ("198.51.100.1", "::ffff:198.51.100.1", "::ffff:198.51.100.2"),
        ):
            client = edge.connect(first)
            edge.connect(second)
            self.assertFalse(edge.admits(first), first)
            self.assertFalse(edge.admits(second), second)
            self.assertTrue(edge.admits(other), other)
            client.leave()
            self.assertTrue(edge.admits(second), second)
        self.assertEqual((edge.edge.turnedAway, edge.edge.clients.turnedAway), (6, 6))

    def test_manyOfNobody(self) -> None:
        """Clients without an address, and trusted proxies, have as many as they want; others are counted always."""
        edge = EdgeDouble(RespondLeaf(200, b"", {}), trusted=AddressSet(["10.0.0.0/8"]))
        for host in ("", "10.1.2.3", "192.0.2.1"):
            for _ in range(3):
                edge.connect(host)
        edge.edge.limits = Limits(maxConnectionsPerClient=3)
        self.assertEqual([edge.admits(host) for host in ("", "10.1.2.3", "192.0.2.1")], [True, True, False])
        for server in list(edge.edge.connections):
            server.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(len(edge.edge.clients), 0)

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
