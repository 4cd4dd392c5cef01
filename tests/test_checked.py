"""What plugins assign, or hand over, is looked at there and then: the traceback has the plugin's line."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.body import Body
from revproxy.checked import checked, content, finalStatus, oneOf, only
from revproxy.context import Context, Headers, Peer, Response
from revproxy.testing import EdgeDouble, makeContext, makeResponse
from tests.dataplane.test_exchange import GET, ExchangeCase


def _assigned(part: str, name: str, value: Any) -> Callable[[Context], Any]:
    return lambda context: setattr(getattr(context, part) if part else context, name, value)


WRONG: dict[str, tuple[Callable[[Context], Any], type[Exception], str]] = {
    "replaced by text": (lambda c: c.response.body.replace("text"), TypeError, 'text.encode("utf-8")'),
    "replaced by None": (lambda c: c.response.body.replace(None), TypeError, "is bytes, not None"),
    "replaced by a number": (lambda c: c.request.body.replace(5), TypeError, "is bytes"),
    "a dict responded": (lambda c: c.respond(200, {"a": 1}), TypeError, "json.dumps"),
    "a list responded": (lambda c: c.respond(200, ["a"]), TypeError, "json.dumps"),
    "a number responded": (lambda c: c.respond(200, 5), TypeError, "json.dumps"),
    "None responded": (lambda c: c.respond(200, None), TypeError, "not None"),
    "a set responded": (lambda c: c.respond(200, {1}), TypeError, "not a value of type set"),
    "a textual status responded": (lambda c: c.respond("200"), TypeError, "an int"),
    "a true status responded": (lambda c: c.respond(True), TypeError, "an int"),
    "an interim status responded": (lambda c: c.respond(103), ValueError, "from 200 to 599"),
    "no headers responded": (lambda c: c.respond(200, "", "x-a: 1"), TypeError, "pairs"),
    "numbers in headers responded": (lambda c: c.respond(200, "", {"X-A": 1}), TypeError, "header value is text"),
    "a textual status": (_assigned("response", "status", "201"), TypeError, "an int"),
    "a true status": (_assigned("response", "status", True), TypeError, "an int"),
    "no status": (_assigned("response", "status", None), TypeError, "an int"),
    "status 99": (_assigned("response", "status", 99), ValueError, "not 99"),
    "status 101": (_assigned("response", "status", 101), ValueError, "not 101"),
    "status 600": (_assigned("response", "status", 600), ValueError, "not 600"),
    "a dict of response headers": (_assigned("response", "headers", {"a": "b"}), TypeError, "Headers.of"),
    "a dict of request headers": (_assigned("request", "headers", {}), TypeError, "Headers.of"),
    "headers of a dict": (lambda c: Headers({"a": "b"}), TypeError, "Headers.of"),  # type: ignore[arg-type]
    "a response body": (_assigned("response", "body", b"x"), AttributeError, "response.body.replace(data)"),
    "a request body": (_assigned("request", "body", b"x"), AttributeError, "request.body.replace(data)"),
    "a body of text": (lambda c: Body.of("x"), TypeError, "encode"),  # type: ignore[arg-type]
    "a response of text": (_assigned("", "response", "x"), TypeError, "context.respond(status, body, headers)"),
    "no response": (_assigned("", "response", None), TypeError, "context.respond(status, body, headers)"),
    "a response of parts": (
        lambda c: setattr(c, "response", Response(200, None, {}, None)), TypeError, "Headers.of"  # type: ignore[arg-type]
    ),
    "a response with a body of bytes": (
        lambda c: setattr(c, "response", Response(200, None, Headers(), b"")), TypeError, "Body.of"  # type: ignore[arg-type]
    ),
    "a response of status 7": (lambda c: setattr(c, "response", Response(7, None, Headers(), None)), ValueError, "7"),
    "a reason of bytes": (_assigned("response", "reason", b"Fine"), TypeError, "is text"),
    "a header of a number": (lambda c: c.response.headers.set("X-A", 5), TypeError, "is text (str)"),
    "a header of bytes": (lambda c: c.response.headers.add("X-A", b"5"), TypeError, "is text (str)"),
    "a header of None": (lambda c: c.request.headers.set("X-A", None), TypeError, "is text (str), not None"),
    "a header name of bytes": (lambda c: c.request.headers.set(b"X-A", "5"), TypeError, "header name is text"),
    "asking for bytes": (lambda c: c.request.headers.get(b"X-A"), TypeError, "header name is text"),
    "values": (_assigned("", "values", {}), AttributeError, "context.values["),
    "an id": (_assigned("", "id", 5), TypeError, "an id is text"),
    "a method": (_assigned("request", "method", 5), TypeError, "a method is text"),
    "a target": (_assigned("request", "target", b"/x"), TypeError, "a target is text"),
    "a path": (_assigned("request", "path", None), TypeError, "a path is text"),
    "a query": (_assigned("request", "query", {"a": 1}), TypeError, "a query is text"),
    "a host": (_assigned("request", "host", b"h"), TypeError, "a host is text"),
    "a peer": (_assigned("request", "peer", "192.0.2.1"), TypeError, "Peer(host, port, connected)"),
    "a scheme": (_assigned("request", "scheme", "ftp"), ValueError, "'http' or 'https'"),
    "a version": (_assigned("request", "version", "2"), ValueError, "'1.0' or '1.1'"),
    "a filter": (lambda c: c.response.body.addFilter(b"x"), TypeError, "(data, last)"),
}
"""What plugins may get wrong: how, the error, and what its text has."""


class WrongTests(SynchronousTestCase):
    """By itself."""

    def test_refused(self) -> None:
        """Each is an error at the very place; nothing has changed."""
        for name, (does, kind, text) in WRONG.items():
            context = makeContext()
            context.response = before = makeResponse(204)
            error = self.assertRaises(kind, does, context)
            self.assertIn(text, str(error), name)
            self.assertIs(context.response, before)
            self.assertEqual((before.status, len(before.headers), before.body.changed), (204, 0, False), name)

    def test_inTheDouble(self) -> None:
        """Authors meet the same in their tests."""

        class Wrong:
            name = "wrong"

            def handle(self, context: Context) -> bool:
                return context.respond(200, {"a": 1})  # type: ignore[arg-type]

        self.assertRaises(TypeError, EdgeDouble(Wrong()).get)  # type: ignore[arg-type]


class EdgeTests(ExchangeCase):
    """Through the edge: each costs one request, which is answered, and is the plugin's."""

    def test_answered(self) -> None:
        """500, an empty reply never; the plugin is named, and its line is in the traceback."""
        for name, (does, kind, _) in WRONG.items():
            self.setUp()
            self.plugin.onExit = lambda context, does=does: does(context) and None
            self.client.send(GET)
            self.connection.says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
            self.assertTrue(self.client.received().startswith(b"HTTP/1.1 500 "), name)
            self.assertOver(500, "PluginFailed: onlooker")
            self.assertEqual(self.edge.log.records[0].pluginErrors, ("onlooker",))
            (failure,) = self.flushLoggedErrors(kind)
            self.assertIn("test_checked.py", failure.getTraceback(), name)


class RightTests(SynchronousTestCase):
    """What is allowed."""

    def setUp(self) -> None:
        self.context = makeContext()
        self.context.response = self.response = makeResponse(204)

    def test_bytes(self) -> None:
        """What is like bytes is copied."""
        data = bytearray(b"abc")
        for similar in (data, memoryview(data), b"abc"):
            self.response.body.replace(similar)
            self.context.respond(200, similar)
            data[0] = ord("x")
            assert self.context.response is not None
            for body in (self.response.body, self.context.response.body):
                self.assertEqual(self.successResultOf(body.read(9)), b"abc")
            data[0] = ord("a")

    def test_statuses(self) -> None:
        """An enumeration is a number."""
        self.response.status = HTTPStatus.CREATED
        self.assertIs(type(self.response._status), int)
        self.assertEqual((self.response.status, self.response.reason), (201, "Created"))

    def test_parts(self) -> None:
        """Headers, another response, a peer."""
        self.response.headers = headers = Headers.of([("X-A", "1")])
        self.context.request.headers = headers
        self.context.request.peer = Peer("192.0.2.7", 0, "192.0.2.1")
        self.context.request.scheme, self.context.request.version = "http", "1.0"
        self.context.response = other = makeResponse(200)
        self.assertIs(self.context.response, other)
        self.assertIs(self.context.request.headers, headers)
        self.assertEqual(self.context.request.peer.host, "192.0.2.7")


class CheckedTests(SynchronousTestCase):
    """The attributes themselves."""

    def test_attributes(self) -> None:
        """They read and write a slot, if the check lets it."""

        class Owner:
            __slots__ = ("_a", "_c")
            a = checked("_a", only(int, "take a number"))
            c = checked("_c", oneOf("x"))

        owner = Owner()
        owner.a, owner.c = 2, "x"
        self.assertEqual((owner.a, owner.c), (2, "x"))
        error = self.assertRaises(TypeError, setattr, owner, "a", "secret")
        self.assertEqual(str(error), "a value of type str is no int: take a number")
        self.assertRaises(ValueError, setattr, owner, "c", "y")

    def test_values(self) -> None:
        """The checks that stand alone."""
        self.assertEqual(finalStatus(599), 599)
        self.assertEqual(content(memoryview(b"x")), b"x")
        self.assertRaises(TypeError, content, object())
