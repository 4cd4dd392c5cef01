"""Tests for :mod:`revproxy.context`."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import Interface

from revproxy.context import Context
from revproxy.testing import ToolboxDouble, makeContext, makeResponse


class IAccounts(Interface):
    """Something a plugin provides."""


class RequestTests(SynchronousTestCase):
    """What plugins read of a request, and what they may assign."""

    def test_parts(self) -> None:
        """Path and query are the target's two sides, not decoded."""
        request = makeContext(target="/a%20b//c?x=1?&y=%2F").request
        self.assertEqual((request.method, request.path, request.query), ("GET", "/a%20b//c", "x=1?&y=%2F"))

    def test_pathKeepsQuery(self) -> None:
        """Assigning the path leaves the query, an empty one too."""
        for target, wanted in (("/a?q", "/b?q"), ("/a?", "/b?"), ("/a", "/b"), ("*", "/b")):
            request = makeContext(target=target).request
            request.path = "/b"
            self.assertEqual(request.target, wanted)

    def test_queryKeepsPath(self) -> None:
        """Assigning the query leaves the path; an empty query takes the question mark away."""
        request = makeContext(target="/a?q").request
        request.query = "x=1"
        self.assertEqual(request.rawTarget, b"/a?x=1")
        request.query = ""
        self.assertEqual(request.rawTarget, b"/a")

    def test_refusesTargets(self) -> None:
        """A target that would be another request line, or another target, on the wire is refused."""
        request = makeContext(target="/a").request
        for target in ("", "a", "/a b", "/a\r\nX: y", "/\0", "/\x7f", "http://x/", "/caf€", "/☃?x"):
            with self.assertRaises(ValueError):
                request.target = target
        for target in ("/é", "/a#b", "/a%00"):
            with self.assertRaises(ValueError):
                request.target = target
        request.query = "%00"
        request.target = "/a"
        with self.assertRaises(ValueError):
            request.path = "/a?b"
        with self.assertRaises(ValueError):
            request.query = "a b"
        self.assertEqual(request.target, "/a")

    def test_edgesOwn(self) -> None:
        """What the edge keeps is not to be assigned, so that nobody else has to find out what is wrong with it."""
        context = makeContext(target="/a")
        context.respond(200, b"")
        assert context.response is not None
        kept = {
            context: ("depth", "interruptedBy", "outcome", "pluginErrors", "pluginsSkipped", "serial"),
            context.request: ("rawHost", "rawMethod", "rawTarget", "tls"),
            context.response: ("rawReason",),
            context.response.body: ("announced", "length"),
        }
        for thing, names in kept.items():
            for name in names:
                with self.assertRaisesRegex(AttributeError, "is not assigned"):
                    setattr(thing, name, getattr(thing, name))
        for protocols in ("websocket", b"", b"a\r\nb", 1):
            with self.assertRaises(TypeError):
                context.request.upgrade = protocols  # type: ignore[assignment]
        context.request.upgrade = None

    def test_refusesMethods(self) -> None:
        """A method is a token, and its case is kept."""
        request = makeContext().request
        for method in ("", "GET /", "A\r\n", "é"):
            with self.assertRaises(ValueError):
                request.method = method
        request.method = "purge"
        self.assertEqual(request.rawMethod, b"purge")

    def test_hostChangesField(self) -> None:
        """Assigning the host changes the Host field with it."""
        request = makeContext(host="a.example").request
        request.host = "b.example:8080"
        self.assertEqual(request.headers.getAll("host"), ["b.example:8080"])
        self.assertEqual(request.rawHost, b"b.example:8080")
        request.host = "[2001:db8::1]:80"
        self.assertEqual(request.host, "[2001:db8::1]:80")

    def test_refusesHosts(self) -> None:
        """A host that would mean something else on the wire is refused, and nothing changes."""
        request = makeContext(host="a.example").request
        for host in ("", "a b", "a\r\n", "user@b", "b/x", "b?x", "b#", "é", "a,b"):
            with self.assertRaises(ValueError):
                request.host = host
        self.assertEqual((request.host, request.headers.get("Host")), ("a.example", "a.example"))

    def test_noBody(self) -> None:
        """A request without a body has an empty one to read."""
        request = makeContext().request
        self.assertFalse(request.hasBody)
        self.assertEqual(self.successResultOf(request.body.read(0)), b"")
        request.body.addFilter(lambda data, last: data)
        self.assertFalse(request.hasBody)
        self.assertIsNone(request._body)

    def test_givenBody(self) -> None:
        """A request without a body gets one when a plugin replaces or fills it."""
        request = makeContext().request
        body = request.body
        body.replace(b"new")
        self.assertTrue(request.hasBody)
        self.assertIs(request._body, body)
        self.assertIs(request.body, body)
        filled = makeContext().request
        filled.body.addFilter(lambda data, last: b"filled")
        assert filled._body is not None
        self.assertEqual(filled._body.take(), b"filled")

    def test_emptyBody(self) -> None:
        """A body of length 0 is a body."""
        self.assertTrue(makeContext(body=b"").request.hasBody)


class ResponseTests(SynchronousTestCase):
    """What plugins read of a response, and what they may assign."""

    def test_reason(self) -> None:
        """The registered phrase stands in until another is assigned."""
        response = makeResponse(404)
        self.assertEqual(response.reason, "Not Found")
        response.reason = "Gone fishing"
        self.assertEqual(response.rawReason, b"Gone fishing")

    def test_refusesReasons(self) -> None:
        """A phrase that would end the status line, or is not latin-1, is refused."""
        response = makeResponse()
        for reason in ("a\r\nX: y", "\n", "€"):
            with self.assertRaises(ValueError):
                response.reason = reason

    def test_unknownStatusHasNoReason(self) -> None:
        """A status nobody registered has an empty phrase."""
        self.assertEqual(makeResponse(299).reason, "")


class RespondTests(SynchronousTestCase):
    """Answering from a middleware."""

    def answered(self, context: Context) -> Any:
        assert context.response is not None
        return context.response

    def test_text(self) -> None:
        """Text is sent as UTF-8, and says so."""
        context = makeContext()
        self.assertIs(context.respond(403, "né"), False)
        response = self.answered(context)
        self.assertEqual((response.status, response.body.take()), (403, "né".encode()))
        self.assertEqual(response.headers.get("content-type"), "text/plain; charset=utf-8")

    def test_ownContentType(self) -> None:
        """A content type that is given stays, also in another spelling."""
        context = makeContext()
        context.respond(200, "{}", {"content-TYPE": "application/json"})
        self.assertEqual(self.answered(context).headers.getAll("Content-Type"), ["application/json"])

    def test_bytesHaveNoType(self) -> None:
        """Bytes are sent as they are, without a type."""
        context = makeContext()
        context.respond(200, b"x")
        self.assertEqual(list(self.answered(context).headers), [])

    def test_refuses(self) -> None:
        """Statuses that are not final and headers that cannot be sent raise, and there is no answer."""
        context = makeContext()
        for status in (0, 100, 199, 600):
            self.assertRaises(ValueError, context.respond, status)
        self.assertRaises(ValueError, context.respond, 200, b"", {"Content-Length": "3"})
        self.assertRaises(ValueError, context.respond, 200, b"", {"A": "b\r\nc"})
        self.assertIsNone(context.response)


class ContextTests(SynchronousTestCase):
    """What a context carries."""

    def test_valuesAreTheRequestsOwn(self) -> None:
        """What one plugin leaves in values another finds, in this request only."""
        context = makeContext()
        context.values["user"] = "alice"
        self.assertEqual(context.values, {"user": "alice"})
        self.assertEqual(makeContext().values, {})

    def test_id(self) -> None:
        """The id is the edge's own until a plugin assigns another."""
        context = makeContext(id="abc")
        self.assertEqual(context.id, "abc")
        context.id = "given"
        self.assertEqual(context.id, "given")
        context.id = type("Text", (str,), {})("text")
        self.assertIs(type(context.id), str)

    def test_services(self) -> None:
        """Services are found by interface; what nobody provides is a KeyError, or the default."""
        service = object()
        context = makeContext(toolbox=ToolboxDouble(provided={IAccounts: service}))
        self.assertIs(context.services[IAccounts], service)
        self.assertIs(context.services.get(IAccounts), service)
        with self.assertRaises(KeyError):
            makeContext().services[IAccounts]
        self.assertEqual(makeContext().services.get(IAccounts, 7), 7)

    def test_toolsOnlyWhileCalled(self) -> None:
        """Outside of a plugin's call there is no client, no log and no service."""
        context = Context(makeContext().request)
        for name in ("client", "log"):
            self.assertRaises(RuntimeError, getattr, context, name)
        self.assertRaises(RuntimeError, lambda: context.services)
