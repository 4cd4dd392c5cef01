"""The treq client, transparent and as plugins use it; and each of treq's and Agent's habits that must not come back."""

from __future__ import annotations

import gzip
from io import BytesIO
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.interfaces import IConsumer
from twisted.internet.task import Clock, Cooperator
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import FileBodyProducer, readBody
from twisted.web.http_headers import Headers as TwistedHeaders
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer
from zope.interface.verify import verifyObject

from revproxy.dataplane.leaves.proxy import ProxyLeaf
from revproxy.dataplane.upstream.treqclient import AgentResponse, PoolAgent, UpstreamClient
from revproxy.dataplane.upstream.upstream import Upstream
from revproxy.errors import BadResponse
from tests.dataplane.doubles import EdgeDouble
from tests.dataplane.origins import OK, Arrived, Origin

COOKIE = b"HTTP/1.1 200 OK\r\nSet-Cookie: session=alice; Path=/\r\nContent-Length: 2\r\n\r\nhi"


@implementer(IBodyProducer)
class FailingProducer:
    """Fails at once, or waits."""

    def __init__(self, length: int, waiting: Deferred[None] | None = None) -> None:
        self.length = length
        self.stopped = False
        self._waiting = waiting

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        return self._waiting or fail(ZeroDivisionError())

    def stopProducing(self) -> None:
        self.stopped = True

    def pauseProducing(self) -> None:
        pass

    def resumeProducing(self) -> None:
        pass


class PluginClientTests(SynchronousTestCase):
    """``context.client``."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.asked: list[tuple[bytes, str, int]] = []
        self.origins: list[Origin] = []
        self.agent = PoolAgent(self.upstreamFor, capacity=2)
        self.client = UpstreamClient(self.agent, self.clock, 10.0)

    def upstreamFor(self, scheme: bytes, host: str, port: int) -> Upstream:
        self.asked.append((scheme, host, port))
        self.origins.append(Origin(self.clock, maxPause=20.0))
        return Upstream("o", [self.origins[-1].target], self.clock.seconds)

    def producer(self, data: bytes = b"hello") -> FileBodyProducer:
        """Gives it as the clock goes on."""
        cooperator = Cooperator(scheduler=lambda call: self.clock.callLater(0, call))
        return FileBodyProducer(BytesIO(data), cooperator)

    @property
    def connection(self) -> Arrived:
        return self.origins[-1].arrived[-1]

    def test_interfaces(self) -> None:
        """What others call an agent and a response."""
        verifyObject(IAgent, self.agent)
        self.client.get("http://o/")
        self.connection.says(OK)
        answer = self.agent.request(b"GET", b"http://o/")
        self.connection.says(OK)
        response = self.successResultOf(answer)
        self.assertIsInstance(response, AgentResponse)
        verifyObject(IResponse, response)

    def test_get(self) -> None:
        """As treq: a URL, an answer, its text."""
        answer = self.client.get("http://o.example:81/a?b=c", headers={"X-A": "1"})
        self.assertEqual(self.asked, [(b"http", "o.example", 81)])
        heard = self.connection.heard()
        self.assertTrue(heard.startswith(b"GET /a?b=c HTTP/1.1\r\nHost: o.example:81\r\n"), heard)
        self.assertIn(b"X-A: 1\r\n", heard)
        self.connection.says(OK)
        response = self.successResultOf(answer)
        self.assertEqual(response.code, 200)
        self.assertEqual(self.successResultOf(response.text()), "hi")

    def test_noCookieJar(self) -> None:
        """One user's Set-Cookie is never in another's request."""
        self.successResultOf(self.sent("http://o/login", COOKIE))
        answer = self.client.get("http://o/")
        self.assertNotIn(b"alice", self.connection.heard())
        self.connection.says(OK)
        self.assertEqual(list(self.successResultOf(answer).cookies()), [])

    def sent(self, url: str, answer: bytes) -> Deferred[Any]:
        sent: Deferred[Any] = self.client.get(url)
        self.connection.says(answer)
        self.connection.heard()
        return sent

    def test_post(self) -> None:
        """A body has its length, an empty one too."""
        for data, length, body in ((self.producer(), b"5", b"hello"), (b"", b"0", b""), (None, b"0", b"")):
            answer = self.client.post("http://o/", data=data)
            for _ in range(3):
                self.clock.advance(0)
            heard = self.connection.heard()
            self.assertIn(b"Content-Length: " + length + b"\r\n", heard)
            self.assertEqual(heard.partition(b"\r\n\r\n")[2], body)
            self.connection.says(OK)
            self.successResultOf(answer)

    def test_smallPostsAreNoUploads(self) -> None:
        """Small bodies are had whole before a connection is taken: any number at once, and slow ones hold none."""
        answers = [self.client.post("http://o/", data=self.producer()) for _ in range(6)]
        slow = self.client.post("http://o/", data=FileBodyProducer(BytesIO(b"x"), Cooperator(scheduler=lambda _: None)))
        self.assertEqual(self.origins[0].arrived, [])
        for _ in range(3):
            self.clock.advance(0)
        self.assertEqual(self.origins[0].pool.open, 4)
        for connection in (*self.origins[0].arrived, *self.origins[0].arrived[:2]):
            self.assertTrue(connection.heard().endswith(b"hello"))
            connection.says(OK)
        self.assertEqual([self.successResultOf(answer).code for answer in answers], [200] * 6)
        self.clock.advance(10)
        self.failureResultOf(slow)
        self.assertEqual([len(self.origins[0].arrived), self.origins[0].pool.shares.uploads], [4, 0])

    def test_producerFails(self) -> None:
        """What a producer fails with is what the request fails with, and a producer that is given up is stopped."""
        answer = self.client.post("http://o/", data=FailingProducer(5))
        self.failureResultOf(answer, ZeroDivisionError)
        producer = FailingProducer(5, Deferred())
        answer = self.client.post("http://o/", data=producer)
        answer.cancel()
        self.failureResultOf(answer, CancelledError)
        self.assertTrue(producer.stopped)
        self.assertEqual(self.origins[0].arrived, [])

    def test_timeout(self) -> None:
        """A request that takes too long is given up, and its connection with it."""
        answer = self.client.get("http://o/")
        self.clock.advance(10)
        self.failureResultOf(answer)
        self.assertEqual(self.connection.end, "abort")
        self.assertEqual(self.origins[0].pool.open, 0)

    def test_unread(self) -> None:
        """A body that a plugin never reads does not keep its connection for good."""
        answer = self.client.get("http://o/", unbuffered=True)
        self.connection.says(b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n" + b"x" * 70000)
        self.assertEqual(self.successResultOf(answer).code, 200)
        self.assertFalse(self.connection.transport.reading)
        for _ in range(50):
            self.clock.advance(0.5)
        self.assertEqual(self.connection.end, "abort")
        self.assertEqual(self.origins[0].pool.open, 0)

    def test_headersRefused(self) -> None:
        """What would end a line early is never sent."""
        for name, value in ((b"X", b"a\r\nY: b"), (b"X Y", b"a"), (b"X", b"a\0")):
            headers = TwistedHeaders()
            headers._rawHeaders[name] = [value]
            self.failureResultOf(self.agent.request(b"GET", b"http://o/", headers), ValueError)
        self.failureResultOf(self.agent.request(b"GET /", b"http://o/"), ValueError)
        self.failureResultOf(self.agent.request(b"GET", b"ftp://o/"), ValueError)
        self.assertEqual([origin.arrived for origin in self.origins if origin.arrived], [])

    def test_truncated(self) -> None:
        """A body that breaks off fails."""
        answer = self.agent.request(b"GET", b"http://o/")
        self.connection.says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
        body = readBody(self.successResultOf(answer))
        self.connection.leaves()
        self.failureResultOf(body, BadResponse)

    def test_readCancelled(self) -> None:
        """Cancelling the reading of a body ends the connection."""
        answer = self.agent.request(b"GET", b"http://o/")
        self.connection.says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
        body = readBody(self.successResultOf(answer))
        body.cancel()
        self.failureResultOf(body)
        self.assertEqual(self.connection.end, "abort")
        self.assertEqual(self.origins[0].pool.open, 0)
        self.assertEqual(self.flushWarnings(), [])

    def test_leastRecentlyUsed(self) -> None:
        """Only so many origins' connections are kept."""
        for host in ("a", "b", "a", "c"):
            self.successResultOf(self.sentTo(host))
        self.assertEqual([host for _, host, _ in self.asked], ["a", "b", "c"])
        self.assertEqual([bool(origin.arrived[0].end) for origin in self.origins], [False, True, False])

    def sentTo(self, host: str) -> Deferred[Any]:
        sent: Deferred[Any] = self.client.get(f"http://{host}/")
        for origin in self.origins:
            for arrived in origin.arrived:
                if arrived.heard():
                    arrived.says(OK)
        return sent

    def test_wrongLength(self) -> None:
        """A producer that gives more, or less, than it said fails the request: what follows would be another's."""
        for size, promised in ((5, 3), (5, 8), (70000, 69999), (70000, 70001)):
            producer = self.producer(b"x" * (size - 1) + b"y")
            producer.length = promised
            answer = self.agent.request(b"POST", b"http://o/", None, producer)
            for _ in range(9):
                self.clock.advance(0)
            self.failureResultOf(answer, ValueError)
            if size == 5:
                self.assertEqual(self.origins[0].arrived, [])
            else:
                self.assertEqual(self.connection.end, "abort")
                self.assertEqual(self.connection.heard().endswith(b"y"), promised > size)

    def test_close(self) -> None:
        """After the end nothing is sent, and a producer that never began is not told to stop."""
        self.successResultOf(self.sent("http://o/", OK))
        self.agent.close()
        self.failureResultOf(self.agent.request(b"POST", b"http://o/", None, self.producer()))
        self.clock.advance(0)


class TransparentTests(SynchronousTestCase):
    """What passes is not touched: client → edge → origin and back."""

    def setUp(self) -> None:
        self.edge = EdgeDouble(self)  # type: ignore[arg-type]
        self.origin = Origin(self.edge.clock)
        upstream = Upstream("app", [self.origin.target], self.edge.clock.seconds)
        self.leaf = ProxyLeaf(UpstreamClient(PoolAgent(lambda *_: upstream), self.edge.clock), upstream)

    def render(self, exchange: Any) -> int:
        return self.leaf.render(exchange)

    def through(self, request: bytes, answer: bytes = OK) -> tuple[bytes, bytes]:
        """:return: what the origin heard, and what the client got."""
        client = self.edge.connect()
        client.send(request)
        connection = self.origin.arrived[-1]
        heard = connection.heard()
        connection.says(answer)
        return heard, client.received()

    def test_targets(self) -> None:
        """Targets are passed on byte for byte."""
        for target in (b"/?", b"/", b"/a%2fb%2Fc", b"/[x]|y", b"/a//b/./c/../d", b"/%C3%A9?q=%zz&&=", b"/a;b=c",
                       b"/a?b?c", b"/~user", b"/{a}", b"/a\\b", b'/"q"', b"/^`", b"/?url=http://x/y"):
            heard, _ = self.through(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertEqual(heard.split(b"\r\n")[0], b"GET " + target + b" HTTP/1.1")

    def test_optionsAsterisk(self) -> None:
        """OPTIONS *."""
        heard, _ = self.through(b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertTrue(heard.startswith(b"OPTIONS * HTTP/1.1\r\n"))

    def test_emptyBody(self) -> None:
        """A body of length 0 keeps its length."""
        heard, _ = self.through(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        self.assertEqual(heard.count(b"Content-Length: 0\r\n"), 1)

    def test_gzip(self) -> None:
        """A compressed answer, its ETag and the client's Accept-Encoding are passed on as they are."""
        body = gzip.compress(b"hello" * 100)
        head = b'HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nETag: "x"\r\nContent-Length: %d\r\n\r\n' % len(body)
        heard, got = self.through(b"GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: br;q=1, gzip\r\n\r\n", head + body)
        self.assertEqual(heard.count(b"Accept-Encoding: br;q=1, gzip\r\n"), 1)
        self.assertTrue(got.endswith(b"\r\n\r\n" + body))
        self.assertIn(b'Content-Encoding: gzip\r\nETag: "x"\r\nContent-Length: %d\r\n' % len(body), got)

    def test_noAcceptEncoding(self) -> None:
        """None is added."""
        heard, _ = self.through(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertNotIn(b"accept-encoding", heard.lower())
        self.assertNotIn(b"user-agent", heard.lower())

    def test_cookies(self) -> None:
        """User A's Set-Cookie is for user A, on the same connection to the origin or not."""
        _, alice = self.through(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", COOKIE)
        self.assertIn(b"Set-Cookie: session=alice; Path=/\r\n", alice)
        heard, bob = self.through(b"GET / HTTP/1.1\r\nHost: x\r\nCookie: session=bob\r\n\r\n")
        self.assertEqual(len(self.origin.arrived), 1)
        self.assertNotIn(b"alice", heard + bob)
        self.assertIn(b"Cookie: session=bob\r\n", heard)

    def test_redirects(self) -> None:
        """A redirect is the client's to follow."""
        _, got = self.through(
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n",
        )
        self.assertTrue(got.startswith(b"HTTP/1.1 302 Found\r\n"))
        self.assertIn(b"Location: http://elsewhere/\r\n", got)

    def test_fieldsAsWritten(self) -> None:
        """Order, case and repetition of fields are kept, both ways."""
        heard, got = self.through(
            b"GET / HTTP/1.1\r\nhost: x\r\nX-b: 2\r\nx-A: 1\r\nX-B: 3\r\nX-Empty:\r\n\r\n",
            b"HTTP/1.1 200 Fine Indeed\r\nx-z: 1\r\nX-y: 2\r\nX-Z: \xe9\r\nContent-Length: 0\r\n\r\n",
        )
        self.assertIn(b"X-b: 2\r\nx-A: 1\r\nX-B: 3\r\nX-Empty: \r\n", heard)
        self.assertTrue(got.startswith(b"HTTP/1.1 200 Fine Indeed\r\nx-z: 1\r\nX-y: 2\r\nX-Z: \xe9\r\n"), got)

    def test_nominated(self) -> None:
        """What Connection names, in either direction, goes no further."""
        heard, got = self.through(
            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: X-Secret, keep-alive\r\nX-Secret: 1\r\nKeep-Alive: 5\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nConnection: X-Inner\r\nX-Inner: 1\r\nKeep-Alive: 5\r\nContent-Length: 0\r\n\r\n",
        )
        for name in (b"x-secret", b"keep-alive", b"x-inner"):
            self.assertNotIn(name, (heard + got).lower())


