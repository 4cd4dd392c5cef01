"""Tests for :mod:`revproxy.dataplane.leaves.resourcechannel`: what becomes of what a resource writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IPullProducer, IPushProducer
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, GzipEncoderFactory
from zope.interface import implementer

from tests.dataplane.doubles import ClientDouble
from tests.dataplane.leaves.mountedresources import MountedCase, Page


class ResponseTests(MountedCase):
    """What becomes of what a resource writes."""

    def test_bytes(self) -> None:
        """Bytes are a whole answer, in one write, with what the resource set."""

        def render(request: Any) -> bytes:
            request.setResponseCode(201, b"Made")
            request.setHeader("X-One", "1")
            request.responseHeaders.addRawHeader("X-Two", "a")
            request.responseHeaders.addRawHeader("X-Two", "b")
            request.addCookie("k", "v")
            return b"hello"

        self.mount(Page(render))
        client = self.get()
        self.assertEqual(client.transport.writes, 1)
        self.assertEqual(self.body(client), b"hello")
        self.assertTrue(self.head.startswith(b"HTTP/1.1 201 Made\r\n"))
        for line in (b"X-One: 1", b"X-Two: a", b"X-Two: b", b"Set-Cookie: k=v", b"Content-Length: 5", b"text/html"):
            self.assertIn(line, self.head)
        self.assertNotIn(b"Transfer-Encoding", self.head)
        self.assertEqual(self.edge.active, 0)

    def test_tree(self) -> None:
        """A tree is walked; what is not in it is 404; the connection lives on."""
        root, child = Resource(), Page(lambda request: b"child of " + b"/".join(request.prepath))
        root.putChild(b"x", child)
        self.mount(root)
        client = self.get("/app/x")
        self.assertEqual(self.body(client), b"child of app/x")
        client.send(b"GET /app/y HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertTrue(client.received().startswith(b"HTTP/1.1 404 "))
        self.assertIsNone(client.end)

    def test_methods(self) -> None:
        """Methods a resource does not have are 405 with Allow, HEAD is made from GET."""

        class Get(Resource):
            isLeaf = True

            def render_GET(self, request: Any) -> bytes:
                return b"hello"

        self.mount(Get())
        self.assertEqual(self.body(self.get(method="HEAD")), b"")
        self.assertIn(b"Content-Length: 5", self.head)
        self.assertIn(b"405 ", self.get(method="POST").received())

    def test_later(self) -> None:
        """NOT_DONE_YET: the answer comes when the resource writes, in chunks, until it finishes."""
        requests: list[Any] = []
        self.mount(Page(lambda request: requests.append(request) or NOT_DONE_YET))
        client = self.get()
        self.assertEqual(client.received(), b"")
        requests[0].write(b"one")
        received = client.received()
        self.assertIn(b"Transfer-Encoding: chunked\r\n", received)
        self.assertTrue(received.endswith(b"\r\n\r\n3\r\none\r\n"), received)
        requests[0].write(b"two")
        self.assertEqual(client.received(), b"3\r\ntwo\r\n")
        done: list[Any] = []
        requests[0].notifyFinish().addBoth(done.append)
        requests[0].finish()
        self.assertEqual((client.received(), done), (b"0\r\n\r\n", [None]))
        self.assertIsNone(client.end)

    def test_deferred(self) -> None:
        """Rendering may wait for a Deferred."""

        def render(request: Any) -> int:
            def answer(_: Any) -> None:
                request.setHeader(b"Content-Length", b"4")
                request.write(b"late")
                request.finish()

            deferLater(self.edge.clock, 3, lambda: None).addCallback(answer)
            return NOT_DONE_YET

        self.mount(Page(render))
        client = self.get()
        self.edge.clock.advance(2)
        self.assertEqual(client.received(), b"")
        self.edge.clock.advance(2)
        self.assertEqual(self.body(client), b"late")
        self.assertIn(b"Content-Length: 4", self.head)

    def test_raises(self) -> None:
        """What a resource raises is our 500, without its words, and in the log."""
        for error in (ValueError("secret"), SystemExit(1)):

            def render(request: Any, error: BaseException = error) -> Any:
                raise error

            self.mount(Page(render))
            client = self.get()
            received = client.received()
            self.assertTrue(received.startswith(b"HTTP/1.1 500 "), received)
            self.assertNotIn(b"secret", received)
            self.assertEqual(len(self.flushLoggedErrors(type(error))), 1)
            self.assertEqual(self.edge.active, 0)

    def test_processingFailed(self) -> None:
        """The customary way to fail later."""
        requests: list[Any] = []
        self.mount(Page(lambda request: requests.append(request) or NOT_DONE_YET))
        client = self.get()
        finished: list[Any] = []
        requests[0].notifyFinish().addErrback(finished.append)
        requests[0].processingFailed(Failure(ValueError("secret")))
        self.assertTrue(client.received().startswith(b"HTTP/1.1 500 "))
        self.assertEqual(len(finished), 1)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_failsInTheMiddle(self) -> None:
        """Failing after the first byte breaks off: half a page must not pass for a whole one."""
        requests: list[Any] = []
        self.mount(Page(lambda request: requests.append(request) or NOT_DONE_YET))
        client = self.get()
        requests[0].write(b"half")
        requests[0].processingFailed(Failure(ValueError("x")))
        self.assertFalse(client.received().endswith(b"0\r\n\r\n"))
        self.assertEqual(client.end, "abort")
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_wrongLength(self) -> None:
        """Fewer or more bytes than its Content-Length says break off as well."""
        for data in (b"1234", b"123456"):
            requests: list[Any] = []
            self.mount(Page(lambda request, requests=requests: requests.append(request) or NOT_DONE_YET))
            client = self.get()
            requests[0].setHeader(b"Content-Length", b"5")
            requests[0].write(data)
            if len(data) < 5:
                requests[0].finish()
            self.assertEqual(client.end, "abort", data)
            self.assertNotIn(b"6", client.received().partition(b"\r\n\r\n")[2])
            self.flushLoggedErrors()

    def test_badHead(self) -> None:
        """A status or field that cannot be sent is 500."""

        def status(request: Any) -> bytes:
            request.setResponseCode(199)
            return b"x"

        def length(request: Any) -> int:
            request.setHeader(b"Content-Length", b"many")
            request.write(b"x")
            request.finish()
            return NOT_DONE_YET

        def control(request: Any) -> bytes:
            request.setHeader(b"X", b"a\x00b")
            return b"x"

        for render in (status, length, control):
            self.mount(Page(render))
            self.assertTrue(self.get().received().startswith(b"HTTP/1.1 500 "), render)
            self.flushLoggedErrors()

    def test_noContent(self) -> None:
        """204 and 304 have no body."""
        for status in (204, 304):

            def render(request: Any, status: int = status) -> bytes:
                request.setResponseCode(status)
                return b""

            self.mount(Page(render))
            self.assertEqual(self.body(self.get()), b"")
            self.assertNotIn(b"Transfer-Encoding", self.head)

    def test_encoder(self) -> None:
        """Resources that compress do so."""
        import gzip

        from twisted.web.resource import EncodingResourceWrapper

        self.mount(EncodingResourceWrapper(Page(lambda request: b"hello" * 100), [GzipEncoderFactory()]))
        client = self.get(fields="Accept-Encoding: gzip\r\nConnection: close\r\n")
        body = self.body(client)
        self.assertIn(b"Content-Encoding: gzip", self.head)
        self.assertEqual(gzip.decompress(self.unchunked(body)), b"hello" * 100)

    def unchunked(self, body: bytes) -> bytes:
        if b"chunked" not in self.head:
            return body
        out = b""
        while body:
            size, _, body = body.partition(b"\r\n")
            out, body = out + body[: int(size, 16)], body[int(size, 16) + 2 :]
        return out

    def test_loseConnection(self) -> None:
        """A resource that closes the connection closes it."""
        requests: list[Any] = []
        self.mount(Page(lambda request: requests.append(request) or NOT_DONE_YET))
        client = self.get()
        requests[0].write(b"x")
        requests[0].loseConnection()
        self.assertEqual(client.end, "abort")
        self.flushLoggedErrors()


class LeavingTests(MountedCase):
    """notifyFinish, when the client leaves."""

    def test_beforeTheHead(self) -> None:
        """While the resource is still thinking."""
        self.leaves(lambda request: None)

    def test_inTheBody(self) -> None:
        """While it is writing."""
        self.leaves(lambda request: request.write(b"x"))

    def leaves(self, begin: Callable[[Any], None]) -> None:
        requests: list[Any] = []
        self.mount(Page(lambda request: requests.append(request) or NOT_DONE_YET))
        client = self.get()
        ends: list[Any] = []
        requests[0].notifyFinish().addBoth(ends.append)
        begin(requests[0])
        client.leave()
        self.assertTrue(ends[0].check(ConnectionLost))
        self.assertEqual(self.edge.active, 0)
        requests[0].write(b"into the void")
        with self.assertRaises(RuntimeError):
            requests[0].finish()


@implementer(IPushProducer, IPullProducer)
class Producer:
    """Keeps what it is told; when pulled, writes 10,000 bytes, ``pieces`` times."""

    def __init__(self, request: Any, pieces: int = 0) -> None:
        self.request = request
        self.calls: list[str] = []
        self.pieces = pieces

    def pauseProducing(self) -> None:
        self.calls.append("pause")

    def resumeProducing(self) -> None:
        self.calls.append("resume")
        if self.pieces:
            self.pieces -= 1
            self.request.write(b"x" * 10_000)
            if not self.pieces:
                self.request.unregisterProducer()
                self.request.finish()

    def stopProducing(self) -> None:
        self.calls.append("stop")


class ProducerTests(MountedCase):
    """Backpressure reaches the resource."""

    def start(self, streaming: bool, pieces: int = 0) -> tuple[ClientDouble, Producer]:
        producers: list[Producer] = []

        def render(request: Any) -> int:
            producers.append(Producer(request, pieces))
            request.registerProducer(producers[0], streaming)
            return NOT_DONE_YET

        self.mount(Page(render))
        client = self.get()
        return client, producers[0]

    def test_push(self) -> None:
        """A push producer is paused when the client is slow, and resumed."""
        client, producer = self.start(True)
        producer.request.write(b"x")
        client.transport.stall()
        producer.request.write(b"x" * 70_000)
        self.assertEqual(producer.calls, ["pause"])
        client.transport.take()
        self.assertEqual(producer.calls, ["pause", "resume"])
        producer.request.unregisterProducer()
        producer.request.finish()
        self.assertTrue(client.received().endswith(b"0\r\n\r\n"))

    def test_pull(self) -> None:
        """A pull producer is pulled in turns of the loop, while the client keeps up."""
        client, producer = self.start(False, 100)
        client.transport.stall()
        self.edge.clock.advance(0)
        self.assertLess(len(client.transport.dataBuffer), 100_000)
        self.assertGreater(producer.pieces, 80)
        client.transport.take()
        self.edge.clock.advance(0)
        self.assertEqual(producer.pieces, 0)
        self.assertEqual(client.received().count(b"x" * 10_000), 100)

    def test_leaves(self) -> None:
        """When the client leaves, either kind is stopped and not called again."""
        for streaming in (True, False):
            client, producer = self.start(streaming, 100)
            client.transport.stall()
            self.edge.clock.advance(0)
            client.leave()
            self.assertEqual(producer.calls[-1], "stop")
            before = len(producer.calls)
            self.edge.clock.advance(1)
            self.assertEqual(len(producer.calls), before)

    def test_pullRaises(self) -> None:
        """A pull producer that raises breaks off."""
        client, producer = self.start(False, 100)
        client.transport.stall()
        self.edge.clock.advance(0)
        producer.request = None
        client.transport.take()
        self.edge.clock.advance(0)
        self.assertEqual(client.end, "abort")
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 1)
