"""The connection to an origin: what it makes of answers, good and bad, and how it ends."""

from __future__ import annotations

from revproxy.body import Body
from revproxy.context import Response
from revproxy.dataplane.http.limits import Limits, Timeouts
from revproxy.dataplane.http1.client import Switched
from revproxy.errors import BadResponse, ConnectionStale, TunnelsFull, UpstreamError, UpstreamTimeout
from revproxy.headers import Headers
from revproxy.testing import SinkDouble, SourceDouble
from tests.dataplane.origins import OK, Arrived, Asked, Origin, OriginCase, OriginTransport

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def readBody(response: Response) -> SinkDouble:
    return SinkDouble(response.body)


class ClientCase(OriginCase):
    """One request on one connection."""

    def begin(
        self, method: bytes = b"GET", body: Body | None = None, upgrade: bytes | None = None
    ) -> tuple[Asked, Arrived]:
        asked = self.ask(method, body, upgrade)
        return asked, self.origin.arrived[-1]

    def assertKept(self) -> None:
        """The connection waits for another request."""
        self.assertEqual([len(self.origin.pool.idle), self.origin.pool.open], [1, 1])
        self.assertIsNone(self.origin.arrived[-1].end)
        self.assertTrue(self.origin.arrived[-1].transport.reading)

    def assertGone(self, end: str) -> None:
        """The connection has been given up, and its place is free."""
        self.assertEqual([len(self.origin.pool.idle), self.origin.pool.open], [0, 0])
        self.assertEqual(self.origin.arrived[-1].end, end)


class WholeAnswersTests(ClientCase):
    """Answers that are what they should be."""

    def test_atOnce(self) -> None:
        """Head and body in one piece; the connection is kept."""
        asked, connection = self.begin()
        self.assertEqual(connection.heard(), b"GET / HTTP/1.1\r\nHost: origin\r\n\r\n")
        connection.says(OK)
        self.assertEqual([asked.got.status, asked.got.reason], [200, "OK"])
        self.assertEqual(readBody(asked.got).data, b"hi")
        self.assertKept()

    def test_byteByByte(self) -> None:
        """In any pieces."""
        for answer, body in (
            (OK, b"hi"),
            (CHUNKED + b"3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\n", b"abcd"),
            (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
            (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 50\r\n\r\n", b""),
        ):
            asked, connection = self.begin()
            connection.saysSlowly(answer)
            sink = readBody(asked.got)
            self.assertEqual([sink.data, sink.finished], [body, True])
            self.assertKept()
        self.assertEqual(len(self.origin.arrived), 1)

    def test_head(self) -> None:
        """The length in an answer to HEAD is that of another answer."""
        asked, connection = self.begin(b"HEAD")
        connection.says(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")
        self.assertTrue(readBody(asked.got).finished)
        self.assertEqual(asked.got.headers.get("content-length"), "5000")
        self.assertKept()

    def test_untilClose(self) -> None:
        """A body without framing ends with the connection."""
        asked, connection = self.begin()
        connection.says(b"HTTP/1.1 200 OK\r\n\r\nab")
        sink = readBody(asked.got)
        connection.says(b"cd")
        self.assertFalse(sink.ended)
        connection.leaves()
        self.assertEqual([sink.data, sink.finished], [b"abcd", True])
        self.assertEqual(self.origin.pool.open, 0)

    def test_http10(self) -> None:
        """A 1.0 origin closes unless it says that it does not."""
        for line, kept in ((b"", 0), (b"Connection: keep-alive\r\n", 1)):
            asked, connection = self.begin()
            connection.says(b"HTTP/1.0 200 OK\r\n" + line + b"Content-Length: 2\r\n\r\nhi")
            self.assertEqual(readBody(asked.got).data, b"hi")
            self.assertEqual(len(self.origin.pool.idle), kept)

    def test_closeIsGentle(self) -> None:
        """After Connection: close the connection ends with a goodbye; one that is not heard is cut short."""
        asked, connection = self.begin()
        connection.says(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi")
        self.assertEqual(asked.got.status, 200)
        self.assertIsNone(asked.got.headers.get("connection"))
        self.assertGone("close")
        self.pass_(3)
        self.assertGone("abort")

    def test_trailers(self) -> None:
        """Announced trailers are passed on; what was not announced, or may not trail, is not."""
        asked, connection = self.begin()
        connection.says(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Digest, Content-Length\r\n\r\n"
            b"1\r\na\r\n0\r\nDigest: x\r\nContent-Length: 9\r\nOther: y\r\n\r\n"
        )
        self.assertEqual(asked.got.body.trailers.fields, [(b"digest", b"Digest", b"x")])
        self.assertKept()

    def test_informational(self) -> None:
        """1xx answers come before, each on its own."""
        asked, connection = self.begin()
        connection.saysSlowly(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK)
        self.assertEqual(asked.informed, [100, 103])
        self.assertEqual(asked.got.status, 200)
        self.assertKept()

    def test_backpressure(self) -> None:
        """A receiver that takes no more stops the reading, and no deadline runs against it; it goes on when told."""
        asked, connection = self.begin()
        connection.says(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"x" * 70000)
        self.assertFalse(connection.transport.reading)
        self.pass_(500)
        sink = readBody(asked.got)
        self.assertTrue(connection.transport.reading)
        connection.says(b"x" * 130000)
        self.assertEqual([len(sink.data), sink.finished], [200000, True])
        self.assertKept()

    def test_lastPieceTooMuch(self) -> None:
        """A connection whose last piece made the receiver ask for a pause is read again for the next answer."""
        for framing, end in (
            (b"Content-Length: 4\r\n", b"cd"),
            (b"Transfer-Encoding: chunked\r\n", b"2\r\ncd\r\n0\r\n\r\n"),
        ):
            asked, connection = self.begin()
            connection.says(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n")

            class Reluctant(SinkDouble):
                def bodyData(self, data: bytes) -> None:
                    super().bodyData(data)
                    self.body.pauseProducing()

            sink = Reluctant()
            sink.body = asked.got.body
            asked.got.body.attach(sink)
            connection.says(b"ab" if framing.startswith(b"C") else b"2\r\nab\r\n")
            asked.got.body.resumeProducing()
            connection.says(end)
            self.assertEqual([sink.data, sink.finished], [b"abcd", True])
            self.assertKept()

    def test_interim(self) -> None:
        """More interim answers than anyone needs end it."""
        asked, connection = self.begin()
        connection.says(b"HTTP/1.1 102 Processing\r\n\r\n" * 40)
        self.assertFailed(asked, BadResponse)
        self.assertGone("abort")


class BadAnswersTests(ClientCase):
    """Answers that may not be passed on: the exchange fails, the connection ends."""

    def test_malformed(self) -> None:
        """None of these is an answer."""
        for answer in (
            b"SSH-2.0-OpenSSH_9.2\r\n",
            b"\r\nHTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/2.0 200 OK\r\n\r\n",
            b"HTTP/1.1 20 OK\r\n\r\n",
            b"HTTP/1.1 999 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi!",
            b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nhi",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA b: c\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n folded: c\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nConnection: content-length\r\nContent-Length: 2\r\n\r\nhi",
        ):
            asked, connection = self.begin()
            connection.says(answer)
            self.assertFailed(asked, BadResponse)
            self.assertGone("abort")

    def test_badFirstChunk(self) -> None:
        """A body that is wrong before any of the answer was passed on fails the request, and nothing is passed on."""
        asked, connection = self.begin()
        connection.says(CHUNKED + b"zz\r\n")
        self.assertFailed(asked, BadResponse)
        self.assertGone("abort")

    def test_limits(self) -> None:
        """A head over the limits, arrived or arriving, and too many fields."""
        self.origin = Origin(self.clock, limits=Limits(maxHeaderBytes=1000, maxHeaders=5))
        self.upstream = self.upstreamOf(self.origin)
        for answer in (
            b"HTTP/1.1 200 OK\r\nA: " + b"a" * 1000,
            b"HTTP/1.1 200 OK\r\nA: " + b"a" * 1000 + b"\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n" + b"A: a\r\n" * 6 + b"\r\n",
        ):
            asked, connection = self.begin()
            connection.says(answer)
            self.assertFailed(asked, BadResponse)
            self.assertGone("abort")

    def test_truncated(self) -> None:
        """An end in the middle of a body, however that is framed, is no end."""
        for answer, rudely, truncated in (
            (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", False, False),
            (CHUNKED + b"9\r\nabc", False, False),
            (CHUNKED + b"3\r\nabc\r\n", False, False),
            (CHUNKED + b"3\r\nabc\r\n0\r\n", False, False),
            (b"HTTP/1.1 200 OK\r\n\r\nabc", True, False),
            (b"HTTP/1.1 200 OK\r\n\r\nabc", False, True),
        ):
            asked, connection = self.begin()
            connection.says(answer)
            sink = readBody(asked.got)
            connection.leaves(rudely=rudely, truncated=truncated)
            self.assertEqual([sink.data, sink.finished], [b"abc", False], answer)
            assert sink.failure is not None
            self.assertIs(sink.failure.type, BadResponse)
            self.assertEqual(self.origin.pool.open, 0)

    def test_beforeAndInTheHead(self) -> None:
        """An end before the answer is the origin's failure; in the head it is a bad answer."""
        for said, kind in ((b"", UpstreamError), (b"HTTP/1.1 200 OK\r\nA", BadResponse)):
            asked, connection = self.begin(b"POST")
            if said:
                connection.says(said)
            connection.leaves()
            self.assertFailed(asked, kind)
            self.assertEqual(self.origin.pool.open, 0)

    def test_tooLong(self) -> None:
        """Bytes behind an answer end the connection; the answer itself is good."""
        asked, connection = self.begin()
        connection.says(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        self.assertEqual(readBody(asked.got).data, b"hi")
        self.assertGone("abort")
        self.assertEqual(self.origin.pool.poisoned, 1)

    def test_unasked(self) -> None:
        """Bytes on an idle connection end it, and never answer the next request."""
        _, connection = self.begin()
        connection.says(OK)
        connection.says(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        self.assertGone("abort")
        again, fresh = self.begin()
        self.assertIsNot(fresh, connection)
        self.assertIsNone(again.got)
        fresh.says(OK)
        self.assertEqual(readBody(again.got).data, b"hi")

    def test_bodyWhereThereIsNone(self) -> None:
        """A body behind 204, 304 or an answer to HEAD is passed on to nobody."""
        for method, answer in (
            (b"GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nevil"),
            (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nevil"),
            (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"),
        ):
            asked, connection = self.begin(method)
            connection.says(answer)
            self.assertEqual(readBody(asked.got).data, b"")
            self.assertGone("abort")


class DeadlineTests(ClientCase):
    """What does not come in time."""

    def setUp(self) -> None:
        super().setUp()
        self.origin = Origin(self.clock, timeouts=Timeouts(response=10, body=5, linger=1))
        self.upstream = self.upstreamOf(self.origin)

    def test_response(self) -> None:
        """No head within the time: 504. A beginning of one is not enough."""
        for said in (b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\n"):
            asked, connection = self.begin()
            if said:
                connection.says(said)
            self.pass_(9.5)
            self.assertIsNone(asked.got)
            self.pass_(1.5)
            self.assertFailed(asked, UpstreamTimeout)
            self.assertGone("abort")

    def test_body(self) -> None:
        """A body that does not go on breaks off; every piece gives it more time."""
        asked, connection = self.begin()
        connection.says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
        sink = readBody(asked.got)
        for _ in range(4):
            self.pass_(4)
            connection.says(b"x")
        self.assertFalse(sink.ended)
        self.pass_(6)
        assert sink.failure is not None
        self.assertIs(sink.failure.type, UpstreamTimeout)
        self.assertGone("abort")

    def test_framingIsNoProgress(self) -> None:
        """Bytes that frame content are none of it, and give a body no more time."""
        asked, connection = self.begin()
        connection.says(CHUNKED + b"1\r\nx\r\n")
        sink = readBody(asked.got)
        for _ in range(9):
            connection.says(b"0")
            self.pass_(0.5)
        self.assertFalse(sink.ended)
        self.pass_(1)
        assert sink.failure is not None
        self.assertIs(sink.failure.type, UpstreamTimeout)
        self.assertGone("abort")

    def test_slowTrailers(self) -> None:
        """A trailer section has the time of a client's head, from the last chunk on."""
        asked, connection = self.begin()
        connection.says(CHUNKED + b"1\r\nx\r\n0\r\n")
        sink = readBody(asked.got)
        for _ in range(19):
            connection.says(b"A: b\r\n")
            self.pass_(0.5)
        self.assertFalse(sink.ended)
        self.pass_(1)
        assert sink.failure is not None
        self.assertIs(sink.failure.type, UpstreamTimeout)
        self.assertGone("abort")

    def test_pausedWhileUploading(self) -> None:
        """While the receiver of the answer wants a pause, the request's body going on starts no deadline for it."""
        source = SourceDouble(length=30)
        asked, connection = self.begin(b"POST", source.body)
        connection.says(b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n" + b"x" * 70000)
        source.feed(b"x" * 10)
        self.pass_(100)
        self.assertIsNone(connection.end)
        sink = readBody(asked.got)
        connection.says(b"x" * 20000)
        self.assertTrue(sink.finished)

    def test_uploadIsProgress(self) -> None:
        """An answer that waits for the rest of the request is not late while that goes on."""
        source = SourceDouble(length=30)
        asked, connection = self.begin(b"POST", source.body)
        connection.says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
        for _ in range(30):
            source.feed(b"x")
            self.pass_(3)
        source.finish()
        self.pass_(3)
        connection.says(b"hi")
        self.assertTrue(readBody(asked.got).finished)
        self.assertKept()

    def test_idle(self) -> None:
        """An unused connection says goodbye."""
        _, connection = self.begin()
        connection.says(OK)
        self.pass_(29)
        self.assertKept()
        self.pass_(2)
        self.assertEqual(self.origin.pool.open, 0)


class RequestBodyTests(ClientCase):
    """Sending."""

    def test_whole(self) -> None:
        """A body that is there goes with the head."""
        asked, connection = self.begin(b"POST", Body.of(b"hello"))
        self.assertTrue(connection.heard().endswith(b"Content-Length: 5\r\n\r\nhello"))
        self.assertEqual(connection.transport.writes, 1)
        connection.says(OK)
        self.assertEqual(asked.got.status, 200)
        self.assertKept()

    def test_streamed(self) -> None:
        """Of known length it goes as it comes."""
        source = SourceDouble(length=6)
        _, connection = self.begin(b"POST", source.body)
        for piece in (b"abc", b"def"):
            source.feed(piece)
        source.finish()
        self.assertTrue(connection.heard().endswith(b"Content-Length: 6\r\n\r\nabcdef"))
        connection.says(OK)
        self.assertKept()
        self.assertIsNone(connection.transport.producer)

    def test_chunked(self) -> None:
        """Of unknown length it is chunked, with its trailers."""
        source = SourceDouble(trailers=Headers.of({"Digest": "x"}))
        _, connection = self.begin(b"POST", source.body)
        for piece in (b"abc", b"def"):
            source.feed(piece)
        source.finish()
        self.assertTrue(
            connection.heard().endswith(b"chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\nDigest: x\r\n\r\n")
        )

    def test_backpressure(self) -> None:
        """An origin that reads slowly slows the client down."""
        source = SourceDouble(length=1000000)
        _, connection = self.begin(b"POST", source.body)
        connection.transport.stall()
        source.feed(b"x" * 70000)
        self.assertTrue(source.paused)
        connection.transport.take()
        self.assertFalse(source.paused)

    def test_brokenOff(self) -> None:
        """A client that breaks off ends the connection: the origin must not take half a body for whole."""
        for source in (SourceDouble(length=10), SourceDouble()):
            asked, connection = self.begin(b"POST", source.body)
            source.feed(b"abc")
            source.fail(RuntimeError("gone"))
            self.assertFailed(asked, RuntimeError)
            self.assertGone("abort")
            self.assertNotIn(b"\r\n0\r\n\r\n", connection.heard())

    def test_earlyAnswer(self) -> None:
        """An answer before the request is whole is passed on; the rest is not wanted, the connection not kept."""
        source = SourceDouble(length=1000000)
        asked, connection = self.begin(b"POST", source.body)
        source.feed(b"abc")
        connection.says(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
        self.assertEqual(asked.got.status, 413)
        self.assertTrue(source.stopped)
        self.assertGone("close")
        source.feed(b"more")

    def test_earlyAnswerStreams(self) -> None:
        """An answer that begins before the request is whole, and ends after it, leaves a connection to keep."""
        source = SourceDouble(length=6)
        asked, connection = self.begin(b"POST", source.body)
        connection.says(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc")
        sink = readBody(asked.got)
        source.feed(b"abcdef")
        source.finish()
        connection.says(b"def")
        self.assertEqual([sink.data, sink.finished, source.stopped], [b"abcdef", True, False])
        self.assertKept()

    def test_earlyAnswerThenGone(self) -> None:
        """An origin that answers early and closes: its answer counts."""
        source = SourceDouble(length=1000000)
        asked, connection = self.begin(b"POST", source.body)
        connection.says(b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\nno")
        sink = readBody(asked.got)
        connection.leaves()
        self.assertEqual([asked.got.status, sink.data, sink.finished], [403, b"no", True])
        self.assertTrue(source.stopped)
        self.assertEqual(self.origin.pool.open, 0)

    def test_goneWhileUploading(self) -> None:
        """An origin that closes without an answer."""
        source = SourceDouble(length=1000000)
        asked, connection = self.begin(b"POST", source.body)
        source.feed(b"x")
        connection.leaves(rudely=True)
        self.assertFailed(asked, UpstreamError)
        self.assertTrue(source.stopped)
        self.assertEqual(self.origin.pool.open, 0)


class IgnoredBodyTests(ClientCase):
    """Origins that do not read the body of a request that needs none: they would take it for the next request."""

    def test_notKept(self) -> None:
        """After a body of a method that gives it no meaning the connection ends, whatever the origin says."""
        for method in (b"GET", b"HEAD", b"DELETE", b"OPTIONS", b"TRACE", b"QUERY", b"post"):
            for body in (Body.of(b"GET /evil HTTP/1.1\r\nX: "), SourceDouble([b"abc"]).body):
                if not body.complete:
                    body._source.begin()  # type: ignore[union-attr]
                asked, connection = self.begin(method, body)
                connection.says(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                self.assertEqual(asked.got.status, 200)
                self.assertGone("close")

    def test_streamed(self) -> None:
        """The same where the body came bit by bit."""
        source = SourceDouble(length=3)
        asked, connection = self.begin(b"DELETE", source.body)
        source.feed(b"abc")
        source.finish()
        connection.says(OK)
        self.assertEqual(asked.got.status, 200)
        self.assertGone("close")

    def test_kept(self) -> None:
        """POST, PUT and PATCH are about their body; and no bytes are no body."""
        for method, body in (
            (b"POST", Body.of(b"abc")),
            (b"PUT", Body.of(b"abc")),
            (b"PATCH", Body.of(b"abc")),
            (b"DELETE", Body.of(b"")),
            (b"DELETE", None),
        ):
            _, connection = self.begin(method, body)
            connection.says(OK)
            self.assertKept()


class AnnouncedTests(ClientCase):
    """``Keep-Alive: timeout=N``."""

    def idleFor(self, seconds: float, announcement: bytes) -> bool:
        """Whether a connection is still used after so long."""
        self.setUp()
        _, connection = self.begin()
        connection.says(OK.replace(b"\r\n\r\n", b"\r\nKeep-Alive: " + announcement + b"\r\n\r\n"))
        self.clock.pump([0.1] * round(seconds * 10))
        return self.begin()[1] is connection

    def test_heeded(self) -> None:
        """A second less than the origin says, but not much less than it says; and no longer than is usual here."""
        for announcement, seconds in (
            (b"timeout=5", 4),
            (b"timeout=5, max=100", 4),
            (b"max=100 ,\tTimeout = 5", 4),
            (b"timeout=2", 1),
            (b"timeout=1", 0.25),
            (b"timeout=60", 30),
            (b"timeout=-5", 30),
            (b"timeout=99999999999999999999", 30),
            (b"timeout=" + b"9" * 5000, 30),
            (b"timeout=5s", 30),
            (b"timeout", 30),
            (b"5", 30),
        ):
            self.assertTrue(self.idleFor(seconds - 0.2, announcement), announcement)
            self.assertFalse(self.idleFor(seconds + 0.2, announcement), announcement)

    def test_none(self) -> None:
        """Of 0 seconds it is not kept at all."""
        self.assertFalse(self.idleFor(0, b"timeout=0"))


class CancelTests(ClientCase):
    """Nobody waits any more."""

    def test_beforeTheAnswer(self) -> None:
        """Cancelling ends the connection, and tells the source of the request's body."""
        source = SourceDouble(length=10)
        asked, _ = self.begin(b"POST", source.body)
        asked.answer.cancel()
        self.assertTrue(source.stopped)
        self.assertGone("abort")

    def test_inTheBody(self) -> None:
        """A body that nobody wants ends the connection; what still comes is dropped."""
        asked, connection = self.begin()
        connection.says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
        asked.got.body.detach()
        asked.got.body.stopProducing()
        self.assertGone("abort")
        connection.says(b"def")
        connection.leaves()
        self.assertEqual(self.origin.pool.open, 0)

    def test_filterRaises(self) -> None:
        """A filter that raises in the last piece of a body ends it once, and the books stay right."""
        asked, connection = self.begin()
        connection.says(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n")

        def filter(data: bytes, last: bool) -> bytes:
            raise RuntimeError("no")

        asked.got.body.addFilter(filter)
        sink = readBody(asked.got)
        connection.says(b"abc")
        assert sink.failure is not None
        self.assertEqual(self.origin.pool.open, 0)


class StaleTests(ClientCase):
    """A kept connection that the origin has closed meanwhile."""

    def test_known(self) -> None:
        """One that is known to be closed is not used."""
        _, connection = self.begin()
        connection.says(OK)
        connection.leaves()
        _, fresh = self.begin(b"POST")
        self.assertIsNot(fresh, connection)

    def stale(
        self, method: bytes, body: Body | None = None, upgrade: bytes | None = None, unused: float = 1.0
    ) -> Asked:
        """Two kept connections, and a request on one of them that gets no answer."""
        first, second = self.ask(), self.ask()
        for connection in self.origin.arrived:
            connection.says(OK)
        self.assertIsNotNone(first.got and second.got)
        self.clock.advance(unused)
        asked = self.ask(method, body, upgrade)
        self.origin.arrived[1].leaves()
        return asked

    def test_again(self) -> None:
        """An idempotent request is sent once more, on a fresh connection: all that were idle may be as stale."""
        asked = self.stale(b"GET")
        self.assertEqual(len(self.origin.arrived), 3)
        self.assertEqual(self.origin.arrived[0].end, "abort")
        self.assertEqual(self.origin.pool.open, 1)
        self.origin.arrived[2].says(OK)
        self.assertEqual(asked.got.status, 200)
        self.assertEqual(self.origin.target.fails, 0)

    def test_askedFor(self) -> None:
        """Where it had hardly been unused the origin may have meant the request: others keep their connections."""
        asked = self.stale(b"GET", unused=0.9)
        self.assertEqual([len(self.origin.arrived), self.origin.arrived[0].end], [3, None])
        self.origin.arrived[2].leaves()
        self.assertFailed(asked, UpstreamError)
        self.assertIsNone(self.origin.pool.closes.shortest)
        self.ask(b"POST")
        self.assertEqual([len(self.origin.arrived), self.origin.pool.open], [3, 1])

    def test_onlyOnce(self) -> None:
        """Not a third time."""
        asked = self.stale(b"DELETE")
        self.origin.arrived[2].leaves()
        self.assertFailed(asked, UpstreamError)
        self.assertEqual(len(self.origin.arrived), 3)

    def test_againWithBody(self) -> None:
        """An idempotent request with a small body that is whole is sent once more, with the same body."""
        for method in (b"PUT", b"DELETE", b"GET"):
            for body in (Body.of(b"hello"), SourceDouble([b"he", b"llo"]).body, Body.of(b"x" * 65536)):
                self.setUp()
                if not body.complete:
                    body._source.begin()  # type: ignore[union-attr]
                asked = self.stale(method, body)
                fresh = self.origin.arrived[2].heard()
                self.assertTrue(self.origin.arrived[1].heard().endswith(fresh))
                self.assertTrue(fresh.startswith(method + b" "))
                self.assertTrue(fresh.endswith((b"\r\nContent-Length: 5\r\n\r\nhello", b"x" * 65536)))
                self.origin.arrived[2].says(OK)
                self.assertEqual(asked.got.status, 200)
                self.assertFalse(body.isAtHand, "kept no longer than it may be needed")

    def test_never(self) -> None:
        """What is not idempotent, or has a body that is large or was streamed, is not sent again."""
        for method, body in ((b"POST", None), (b"POST", Body.of(b"x")), (b"PATCH", None), (b"get", None),
                             (b"PUT", SourceDouble(length=3).body), (b"PUT", Body.of(b"x" * 65537))):
            self.setUp()
            asked = self.stale(method, body)
            self.assertFailed(asked, ConnectionStale)
            self.assertEqual(len(self.origin.arrived), 2)
            self.assertEqual(self.origin.target.fails, 0, "a keep-alive race is no sign of a sick origin")

    def test_upgrade(self) -> None:
        """A handshake has asked for nothing yet: it is sent again."""
        asked = self.stale(b"GET", upgrade=b"websocket")
        self.origin.arrived[2].says(b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        self.assertIsInstance(asked.got, Switched)

    def test_answerBegun(self) -> None:
        """A request whose answer had begun is not sent again."""
        first = self.ask()
        self.origin.arrived[0].says(OK)
        self.assertIsNotNone(first.got)
        asked = self.ask()
        self.origin.arrived[0].says(b"HTTP/1.1 2")
        self.origin.arrived[0].leaves()
        self.assertFailed(asked, BadResponse)
        self.assertEqual(len(self.origin.arrived), 1)


class SwitchTests(ClientCase):
    """101."""

    SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

    def switched(self, rest: bytes = b"") -> tuple[Switched, Arrived]:
        asked, connection = self.begin(upgrade=b"websocket")
        connection.says(self.SWITCH + rest)
        assert isinstance(asked.got, Switched)
        return asked.got, connection

    def test_tunnel(self) -> None:
        """Bytes go both ways, those that came early first."""
        response, connection = self.switched(b"early")
        connection.heard()
        client = OriginTransport()
        response.tunnel.connectClient(client, 0, lambda *_: None)
        connection.says(b" late")
        self.assertEqual(client.sent, b"early late")
        response.tunnel.fromClient(b"hello")
        self.assertEqual(connection.heard(), b"hello")
        shares = self.origin.pool.shares
        self.assertEqual([shares.connections, shares.tunnels], [0, 1])
        connection.leaves()
        self.assertEqual([client.end, shares.connections, shares.tunnels], ["close", 0, 0])

    def test_nobodyThere(self) -> None:
        """Until the client is joined, the origin is not read."""
        response, connection = self.switched()
        self.assertFalse(connection.transport.reading)
        response.tunnel.connectClient(OriginTransport(), 0, lambda *_: None)
        self.assertTrue(connection.transport.reading)

    def test_deafOrigin(self) -> None:
        """An origin that takes nothing after the client has left is cut off."""
        response, connection = self.switched()
        response.tunnel.connectClient(OriginTransport(), 0, lambda *_: None)
        response.tunnel.clientLost(None)
        self.assertEqual(connection.end, "close")
        self.pass_(70)
        self.assertGone("abort")
        connection.leaves()
        self.assertEqual(self.origin.pool.shares.tunnels, 0)

    def test_offered(self) -> None:
        """Any of what was offered, in any letters."""
        for offered, chosen in (
            (b"websocket", b"WebSocket"),
            (b"a/1, b/2", b"b/2"),
            (b"TLS/1.0, HTTP/1.1", b"tls/1.0,http/1.1"),
        ):
            asked, connection = self.begin(upgrade=offered)
            connection.says(self.SWITCH.replace(b"websocket", chosen))
            self.assertIsInstance(asked.got, Switched)
            self.assertEqual(asked.got.headers.get("upgrade"), chosen.decode())

    def test_notOffered(self) -> None:
        """A protocol that was not offered, or none, is no tunnel: nobody knows what would pass through it."""
        for offered, chosen in (
            (b"websocket", b"h2c"),
            (b"websocket", b"websocket, h2c"),
            (b"a/1", b"a/2"),
            (b"a/1", b"a"),
            (b"websocket", b","),
            (b"websocket", b""),
            (None, b"websocket"),
        ):
            asked, connection = self.begin(upgrade=offered)
            connection.says(self.SWITCH.replace(b"websocket", chosen))
            self.assertFailed(asked, BadResponse)
            self.assertGone("abort")

    def test_full(self) -> None:
        """No more tunnels than allowed: 503, and the connection is closed; nothing is asked of another target."""
        self.origin = Origin(self.clock, maxTunnels=1)
        other = Origin(self.clock, url="http://other")
        self.upstream = self.upstreamOf(self.origin, other)
        _, connection = self.begin(upgrade=b"websocket")
        connection.says(self.SWITCH)
        self.ask()
        second = self.ask(upgrade=b"websocket")
        self.origin.arrived[1].says(self.SWITCH)
        self.assertFailed(second, TunnelsFull)
        self.assertGone("abort")
        self.assertEqual([len(other.arrived), self.origin.target.fails], [1, 0])
        connection.leaves()
        self.assertEqual(self.origin.pool.shares.tunnels, 0)

    def test_stays(self) -> None:
        """A silent tunnel stays."""
        response, connection = self.switched()
        response.tunnel.connectClient(OriginTransport(), 0, lambda *_: None)
        self.pass_(1000)
        self.assertIsNone(connection.end)
        self.assertTrue(connection.transport.tcpKeepAlive)

    def test_declined(self) -> None:
        """An origin may answer a handshake like any other request."""
        asked, connection = self.begin(upgrade=b"websocket")
        connection.says(OK)
        self.assertEqual(asked.got.status, 200)
        self.assertKept()


