"""Tests for :mod:`revproxy.dataplane.leaves.mounted`: stock resources behind the edge's own connection."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IPullProducer, IPushProducer
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web import static
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, GzipEncoderFactory
from twisted.web.server import Request as TwistedRequest
from twisted.web.wsgi import WSGIResource
from zope.interface import implementer

from revproxy.dataplane.leaves.mounted import MountedLeaf, resolved
from revproxy.dataplane.routing import Route, Tree
from tests.dataplane.doubles import ClientDouble, EdgeDouble


class Page(Resource):
    """Calls a function for every request, whatever its method."""

    isLeaf = True

    def __init__(self, render: Callable[[Any], Any]) -> None:
        super().__init__()
        self.render = render  # type: ignore[method-assign]


class Threads:
    """
    Calls at once, and answers with a Deferred as a thread would.

    :ivar held: a list that takes the calls instead, to be made later.
    """

    def __init__(self) -> None:
        self.held: list[Callable[[], None]] | None = None

    def __call__(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        if self.held is None:
            return maybeDeferred(function, *arguments)
        result: Deferred[Any] = Deferred()
        self.held.append(lambda: result.callback(function(*arguments)))
        return result


class MountedCase(SynchronousTestCase):
    """A resource mounted at a prefix."""

    def mount(self, resource: Any, prefix: str = "/app/", **options: Any) -> None:
        self.edge = EdgeDouble(routes=[])
        self.threads = Threads()
        self.leaf = MountedLeaf(resource, prefix.encode(), self.edge.clock, self.threads, **options)
        self.edge.generation.find = Tree([Route("m", b"", prefix.encode(), self.leaf)]).find

    def send(self, data: bytes) -> ClientDouble:
        client = self.edge.connect()
        client.send(data)
        return client

    def get(
        self, target: str = "/app/", fields: str = "", method: str = "GET", host: str = "a.example"
    ) -> ClientDouble:
        return self.send(f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n".encode("latin-1"))

    def post(self, body: bytes, fields: str = "") -> ClientDouble:
        head = f"POST /app/ HTTP/1.1\r\nHost: a.example\r\n{fields}Content-Length: {len(body)}\r\n\r\n"
        return self.send(head.encode() + body)

    def body(self, client: ClientDouble) -> bytes:
        head, _, body = client.received().partition(b"\r\n\r\n")
        self.head = head
        return body


class RequestTests(MountedCase):
    """What a resource sees."""

    def see(self, look: Callable[[Any], Any], prefix: str = "/app/", **options: Any) -> list[Any]:
        seen: list[Any] = []

        def render(request: Any) -> bytes:
            seen.append(look(request))
            return b""

        self.mount(Page(render), prefix, **options)
        return seen

    def test_stock(self) -> None:
        """It is a request of twisted.web, with method, uri, path, arguments, version and headers."""
        seen = self.see(
            lambda request: (
                isinstance(request, TwistedRequest),
                request.method,
                request.uri,
                request.path,
                request.args,
                request.clientproto,
                request.getHeader("x-one"),
                request.requestHeaders.getRawHeaders("x-two"),
            )
        )
        self.get("/app/a%20b?x=1&x=2&y=", "X-One: 1\r\nX-Two: a\r\nX-Two: b\r\n")
        self.assertEqual(
            seen,
            [
                (
                    True,
                    b"GET",
                    b"/app/a%20b?x=1&x=2&y=",
                    b"/app/a%20b",
                    {b"x": [b"1", b"2"], b"y": [b""]},
                    b"HTTP/1.1",
                    "1",
                    ["a", "b"],
                )
            ],
        )

    def test_paths(self) -> None:
        """What is above the mount counts as walked."""
        for prefix, target, prepath, postpath in (
            ("/app/", "/app/x/y", [b"app"], [b"x", b"y"]),
            ("/app", "/app", [b"app"], []),
            ("/app", "/app/", [b"app"], [b""]),
            ("/a/b/", "/a/b/c", [b"a", b"b"], [b"c"]),
            ("/", "/x", [], [b"x"]),
            ("/app/", "/app//./x/../y%20z", [b"app"], [b"y z"]),
            ("/app/", "/app/x%2Fy", [b"app"], [b"x", b"y"]),
            ("/", "//x%2F..%2Fy", [], [b"y"]),
        ):
            seen = self.see(lambda request: (request.prepath, request.postpath), prefix)
            self.get(target)
            self.assertEqual(seen, [(prepath, postpath)], target)

    def test_anyCase(self) -> None:
        """Where the route ignores case, the resource is told what the client wrote."""
        seen = self.see(lambda request: (request.prepath, request.postpath), "/app/a")
        self.edge.generation.find = Tree([Route("m", b"", b"/app/a", self.leaf, ignoresCase=True)]).find
        self.get("/App/A/b")
        self.assertEqual(seen, [([b"App", b"A"], [b"b"])])

    def test_addresses(self) -> None:
        """Client and host are those that the client knows, and URLs are made from them."""
        seen = self.see(
            lambda request: (
                request.getClientAddress().host,
                request.getHost().port,
                request.isSecure(),
                request.prePathURL(),
                request.transport.getPeer().host,
            )
        )
        self.get("/app/x", host="a.example:8080")
        self.get("/app/x", host="[::1]")
        self.assertEqual(seen[0], ("192.0.2.1", 8080, False, b"http://a.example:8080/app", "192.0.2.1"))
        self.assertEqual(seen[1][1], 80)

    def test_secure(self) -> None:
        """Over TLS it is secure."""
        seen = self.see(lambda request: (request.isSecure(), request.prePathURL()))
        self.edge.listener.scheme = "https"
        self.get("/app/x")
        self.assertEqual(seen, [(True, b"https://a.example/app")])

    def test_cookiesAndAuth(self) -> None:
        """Cookies and credentials are read as ever."""
        seen = self.see(lambda request: (request.getCookie(b"a"), request.getUser(), request.getPassword()))
        self.get("/app/", "Cookie: a=1; b=2\r\nAuthorization: Basic dTpw\r\n")
        self.assertEqual(seen, [(b"1", b"u", b"p")])

    def test_proxyField(self) -> None:
        """``Proxy`` never becomes HTTP_PROXY."""
        seen = self.see(lambda request: request.getHeader("proxy"))
        self.get("/app/", "Proxy: evil\r\n")
        self.assertEqual(seen, [None])

    def test_ranges(self) -> None:
        """A field with more ranges than anybody needs is passed over, as servers may."""
        seen = self.see(lambda request: request.getHeader("range"))
        few, many = ("bytes=" + ",".join(["0-1"] * count) for count in (32, 33))
        for value in (few, many):
            self.get("/app/", f"Range: {value}\r\n")
        self.assertEqual(seen, [few, None])

    def test_form(self) -> None:
        """Forms are parsed, and the content is there to be read again."""
        seen = self.see(lambda request: (request.args, request.content.read()))
        self.post(b"a=1&b=2&a=3", "Content-Type: application/x-www-form-urlencoded\r\n")
        self.assertEqual(seen, [({b"a": [b"1", b"3"], b"b": [b"2"]}, b"a=1&b=2&a=3")])

    def test_multipart(self) -> None:
        """Multipart forms, too; broken ones are 400."""
        seen = self.see(lambda request: request.args)
        kind = "Content-Type: multipart/form-data; boundary=B\r\n"
        part = b'--B\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\ndata\r\n--B--\r\n'
        self.post(part, kind)
        self.assertEqual(seen, [{b"f": [b"data"]}])
        for broken in (kind.replace("; boundary=B", ""), kind):
            client = self.post(b"nonsense", broken)
            self.assertTrue(client.received().startswith(b"HTTP/1.1 400 "))
        self.assertEqual(len(seen), 1)

    def test_queryAndForm(self) -> None:
        """Fields of the form go over those of the query; other methods and media types have no form."""
        seen = self.see(lambda request: request.args)
        head = "%s /app/?a=1&b=2 HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\nContent-Length: 3\r\n\r\nb=3"
        for method, kind in (
            ("POST", "application/x-www-form-urlencoded; charset=utf-8"),
            ("PUT", "application/x-www-form-urlencoded"),
            ("POST", "text/plain"),
        ):
            self.send((head % (method, kind)).encode())
        self.assertEqual([args[b"b"] for args in seen], [[b"3"], [b"2"], [b"2"]])
        self.assertEqual([args[b"a"] for args in seen], [[b"1"]] * 3)

    def test_largeForm(self) -> None:
        """Large ones are read in a thread, one after the other; of who leaves meanwhile the resource does not hear."""
        seen = self.see(lambda request: (len(request.args[b"a"][0]), len(request.content.read())))
        self.threads.held = []
        kind = "Content-Type: application/x-www-form-urlencoded\r\n"
        first, second, third, last = (self.post(b"a=" + b"x" * 20_000, kind) for _ in range(4))
        for client in (first, third):
            client.leave()
        self.assertEqual(seen, [])
        while self.threads.held:
            self.threads.held.pop(0)()
            self.assertLessEqual(len(self.threads.held), 1)
        self.assertEqual(seen, [(20_000, 20_002)] * 2)
        for client in (second, last):
            self.assertIn(b"200 OK", client.received())
        self.assertEqual(self.edge.active, 0)

    def test_tooManyFields(self) -> None:
        """More fields than anybody needs are 413, in a thread or not, and the resource is not asked."""
        seen = self.see(lambda request: 1)
        for count in (10_000, 100_000):
            client = self.post(b"&" * count, "Content-Type: application/x-www-form-urlencoded\r\n")
            self.assertTrue(client.received().startswith(b"HTTP/1.1 413 "))
        self.assertEqual(seen, [])

    def test_bodyArrivesSlowly(self) -> None:
        """The resource is asked when the body is whole."""
        seen = self.see(lambda request: (request.content.read(), request.getHeader("content-length")))
        client = self.send(b"POST /app/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        self.assertEqual(seen, [])
        client.send(b"3\r\ndef\r\n0\r\n\r\n")
        self.assertEqual(seen, [(b"abcdef", "6")])

    def test_largeBody(self) -> None:
        """A body of more than 100 KB is in a file, not in memory."""
        seen = self.see(lambda request: (request.content.read(), request.content._rolled))
        client = self.send(b"POST /app/ HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n")
        for _ in range(30):
            client.send(b"x" * 10_000)
        self.assertEqual(seen, [(b"x" * 300_000, True)])

    def test_tooLarge(self) -> None:
        """More than the limit is 413, said beforehand or not, and the resource is not asked."""
        seen = self.see(lambda request: 1, maxBodyBytes=10)
        client = self.post(b"x" * 11)
        self.assertTrue(client.received().startswith(b"HTTP/1.1 413 "))
        client = self.send(b"POST /app/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.send(b"6\r\n123456\r\n")
        self.assertEqual(client.received(), b"")
        client.send(b"6\r\n123456\r\n")
        self.assertTrue(client.received().startswith(b"HTTP/1.1 413 "))
        self.assertEqual(seen, [])
        self.post(b"x" * 10)
        self.assertEqual(seen, [1])

    def test_default(self) -> None:
        """Where nothing is configured, the limit is 10 MB."""
        self.see(lambda request: 1)
        client = self.send(b"POST /app/ HTTP/1.1\r\nHost: a\r\nContent-Length: 10485761\r\n\r\n")
        self.assertTrue(client.received().startswith(b"HTTP/1.1 413 "))

    def test_expect(self) -> None:
        """A client that waits for 100 gets it: here is the origin."""
        seen = self.see(lambda request: (request.content.read(), request.getHeader("expect")))
        client = self.send(b"POST /app/ HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        self.assertEqual(client.received(), b"HTTP/1.1 100 Continue\r\n\r\n")
        client.send(b"hi")
        self.assertEqual(seen, [(b"hi", None)])

    def test_leavesWhileSending(self) -> None:
        """A client that leaves in the middle of its body: the resource never hears of it."""
        seen = self.see(lambda request: 1)
        client = self.send(b"POST /app/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab")
        client.leave()
        self.assertEqual((seen, self.edge.active), ([], 0))

    def test_session(self) -> None:
        """Sessions live as long as the mount, on its clock."""
        seen = self.see(lambda request: request.getSession().uid)
        client = self.get()
        cookie = client.received().partition(b"Set-Cookie: ")[2].partition(b";")[0].decode()
        self.get("/app/x", f"Cookie: {cookie}\r\n")
        self.assertEqual(seen[0], seen[1])
        self.edge.clock.advance(901)
        self.assertEqual(self.leaf.site.sessions, {})


class ResolvedTests(SynchronousTestCase):
    """The target as a resource may see it."""

    def test_examples(self) -> None:
        """As it was written where that is plain, else as the route understood it."""
        for target, expected in (
            (b"/a%20b?q=%2F/..", b"/a%20b?q=%2F/.."),
            (b"/%61", b"/%61"),
            (b"/a//b", b"/a/b"),
            (b"/a/../b?x", b"/b?x"),
            (b"/a%2Fb", b"/a/b"),
            (b"/%2e%2e/a", b"/a"),
            (b"/a/%2e", b"/a/"),
        ):
            self.assertEqual(resolved(target), expected)


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


class StockTests(MountedCase):
    """Resources that come with Twisted."""

    def test_file(self) -> None:
        """``static.File`` serves files and ranges."""
        folder = self.mktemp()
        os.makedirs(folder)
        data = os.urandom(300_000)
        with open(os.path.join(folder, "x.bin"), "wb") as file:
            file.write(data)
        self.mount(static.File(folder))
        client = self.get("/app/x.bin")
        self.edge.clock.advance(0)
        self.assertEqual(self.body(client) == data, True)
        client = self.get("/app/x.bin", "Range: bytes=10-19\r\n")
        self.edge.clock.advance(0)
        self.assertEqual(self.body(client), data[10:20])
        self.assertTrue(self.head.startswith(b"HTTP/1.1 206 "))
        self.assertIn(b"404 ", self.get("/app/../app/none").received())

    def test_wsgi(self) -> None:
        """WSGI applications get their environment and body."""

        class Threads:
            """Runs in the same thread; for both roles."""

            def callInThread(self, function: Any, *arguments: Any) -> None:
                function(*arguments)

            callFromThread = callInThread

        def application(environ: Any, start: Any) -> list[bytes]:
            start("200 OK", [("Content-Type", "text/plain"), ("X-A", "1")])
            names = ("REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "REMOTE_ADDR", "CONTENT_LENGTH")
            return [str([environ[name] for name in names]).encode(), environ["wsgi.input"].read()]

        resource = WSGIResource(Threads(), Threads(), application)
        self.mount(resource)
        client = self.send(b"POST /app/x/y?q HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody")
        received = client.received()
        self.assertIn(b"['POST', '/app', '/x/y', 'q', '192.0.2.1', '4']", received)
        self.assertIn(b"body", received)

    def test_neverAnswers(self) -> None:
        """A resource that never answers keeps nothing alive after its client has left."""
        self.mount(Page(lambda request: NOT_DONE_YET))
        client = self.get()
        client.leave()
        self.assertEqual((self.edge.active, self.edge.log.records[0].status), (0, 499))
