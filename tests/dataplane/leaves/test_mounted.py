"""Tests for :mod:`revproxy.dataplane.leaves.mounted`: stock resources behind the edge's own connection."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from twisted.web import static
from twisted.web.server import NOT_DONE_YET
from twisted.web.server import Request as TwistedRequest
from twisted.web.wsgi import WSGIResource

from revproxy.dataplane.leaves.mounted import resolved
from revproxy.dataplane.routing import Route, Tree
from tests.dataplane.leaves.mountedresources import MountedCase, Page


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
