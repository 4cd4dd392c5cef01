"""What a locked process has changed, put into the context: hostile input."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.body import Body
from revproxy.context import Response
from revproxy.errors import LimitExceeded, WrongAnswer
from revproxy.headers import Headers, JoinedHeaders
from revproxy.isolation.edits import Edits, Streams
from revproxy.isolation.frames import Answered, BodyChanged, NewResponse
from revproxy.isolation.knownrequests import KnownRequest
from revproxy.isolation.processlimits import MOST_BODY
from revproxy.permissions import NOTHING, Permissions
from tests.isolation.doubles import EVERYTHING, request

OK = NewResponse(200, None, (), b"")


FIELDS = st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=30)), max_size=3)
CHANGES = st.lists(st.tuples(st.binary(max_size=20), FIELDS), max_size=4)


async def pieces(known: KnownRequest) -> Any:
    yield b"piece"


class EditsCase(SynchronousTestCase):
    """One request."""

    def setUp(self) -> None:
        self.context = request(X_One="1")
        self.context._request._body = Body(None, None)
        self.context._request._context = self.context
        self.known = KnownRequest(1, self.context, lambda known: None)

    def apply(self, permissions: Permissions = EVERYTHING, phase: str = "handle", **changes: Any) -> Any:
        changes.setdefault("verdict", True if phase == "handle" else None)
        edits = Edits(permissions, Streams(lambda known, isResponse: lambda data, last: data, pieces))
        return edits.apply(self.known, Answered(1, **changes), phase)

    def refused(self, permissions: Permissions = EVERYTHING, phase: str = "handle", **changes: Any) -> str:
        """Why it is not taken; and nothing has changed."""
        before = self.state()
        error = self.assertRaises(WrongAnswer, self.apply, permissions, phase, **changes)
        self.assertEqual(self.state(), before)
        return str(error)

    def state(self) -> Any:
        context, made = self.context, self.context._request
        response = context._response
        return (
            made._rawMethod, made._rawTarget, made._rawHost, list(made._headers.fields), made.body.changed, context.id,
            context.upstream, context.origin, dict(context.values), dict(context.fields), response,
            response and (response._status, response._rawReason, list(response._headers.fields)),
        )  # fmt: skip

    def fields(self) -> list[tuple[str, str]]:
        return list(self.context.request.headers)[1:]


class AppliedTests(EditsCase):
    """What is granted, and sound."""

    def test_nothing(self) -> None:
        """Most change nothing."""
        before = self.state()
        self.assertIs(self.apply(NOTHING), True)
        self.assertIsNone(self.apply(NOTHING, "handleResponse"))
        self.assertEqual(self.state(), before)

    def test_fields(self) -> None:
        """Set at the place of the first, added at the end, deleted."""
        self.context.request.headers.add("X-Two", "2")
        self.apply(fields=((b"x-one", ((b"X-One", b" 1b\t"),)), (b"x-new", ((b"X-New", b"n"),))))
        self.assertEqual(self.fields(), [("X-One", "1b"), ("X-Two", "2"), ("X-New", "n")])
        self.apply(fields=((b"x-one", ((b"X-One", b"1b"), (b"x-one", b"1c"))), (b"x-new", ())))
        self.assertEqual(self.fields(), [("X-One", "1b"), ("X-Two", "2"), ("x-one", "1c")])

    def test_unseen(self) -> None:
        """What it may set and not read takes the place of what is there; cookies are added."""
        writes = Permissions.of({"write_headers": ["X-One", "Set-Cookie"]})
        self.context._response = Response(200, None, Headers.of({"Set-Cookie": "a=1"}), None)
        self.apply(writes, "handleResponse", fields=((b"x-one", ((b"X-One", b"2"),)),),
                   responseFields=((b"set-cookie", ((b"Set-Cookie", b"b=2"),)),))  # fmt: skip
        self.assertEqual(self.fields(), [("X-One", "2")])
        self.assertEqual(self.context.response.headers.getAll("Set-Cookie"), ["a=1", "b=2"])  # type: ignore[union-attr]
        self.apply(writes, "handleResponse", responseFields=((b"set-cookie", ()),))
        self.assertEqual(self.context.response.headers.getAll("Set-Cookie"), [])  # type: ignore[union-attr]

    def test_head(self) -> None:
        """Method, target and host; the field follows the host."""
        self.apply(method=b"PUT", target=b"/b?c", host=b"b.example", fields=((b"host", ((b"Host", b"b.example"),)),))
        made = self.context.request
        self.assertEqual((made.method, made.target, made.host), ("PUT", "/b?c", "b.example"))
        self.assertEqual(made.headers.get("Host"), "b.example")

    def test_goal(self) -> None:
        """An upstream, a target of it, and another route."""
        self.apply(upstream="billing", origin="http://billing:2", reroutes=True)
        goal = self.context._goal
        assert goal is not None
        self.assertEqual((goal.upstream, goal.origin, goal.isRerouting), ("billing", "http://billing:2", True))

    def test_answer(self) -> None:
        """Its own, whole or in pieces, or a change of the one that is there."""
        self.assertIs(self.apply(verdict=False, response=NewResponse(201, b"Yes", ((b"X-A", b"1"),), b"body")), False)
        response = self.context.response
        assert response is not None
        self.assertEqual((response.status, response.reason, response.body.keep()), (201, "Yes", b"body"))
        self.apply(phase="handleResponse", status=202, responseFields=((b"x-a", ()),),
                   responseBody=BodyChanged(b"other"))  # fmt: skip
        self.assertEqual((response.status, response.reason, len(response.headers)), (202, "Accepted", 0))
        self.apply(phase="handleResponse", response=NewResponse(200, None, ((b"X-B", b"1"),), None))
        self.assertTrue(self.known.streams)
        self.assertEqual(self.context.response.headers.get("X-B"), "1")  # type: ignore[union-attr]

    def test_bodies(self) -> None:
        """Replaced, and filtered."""
        self.apply(body=BodyChanged(b"new"))
        self.assertFalse(self.known.streams)
        self.assertEqual(self.context.request.body.take(), b"new")
        self.context._request._body = Body(None, None)
        self.apply(body=BodyChanged(None, True))
        self.assertTrue(self.known.streams)
        self.assertTrue(self.context.request.body.isFilteredBy("p"))

    def test_notes(self) -> None:
        """Values, fields of the log, and the id."""
        self.apply(values=msgspec.msgpack.encode({"a": [1]}), logged={"tenant": "t"}, id="mine")
        self.assertEqual((self.context.values, dict(self.context.fields), self.context.id),
                         ({"a": [1]}, {"tenant": "t"}, "mine"))  # fmt: skip


class RefusedTests(EditsCase):
    """What is not granted, or no HTTP: the whole answer is refused, and the request is as it was."""

    def test_notGranted(self) -> None:
        """Each permission that is not there."""
        self.context._response = Response(200, None, Headers(), None)
        for changes, part in (
            ({"fields": ((b"x-one", ()),)}, "x-one of the request, which it is not granted (write_headers)"),
            ({"method": b"PUT"}, "write_headers: :method"),
            ({"target": b"/b"}, "write_headers: :path"),
            ({"host": b"b"}, "write_headers: :authority"),
            ({"body": BodyChanged(b"")}, "body: write"),
            ({"body": BodyChanged(None, True)}, "body: write"),
            ({"upstream": "app"}, "(upstreams)"),
            ({"upstream": "", "origin": "http://app:1"}, "no upstream"),
            ({"reroutes": True}, ":path or :authority"),
            ({"response": OK, "verdict": False}, "(respond)"),
            ({"informational": ((103, ()),)}, "(respond)"),
            ({"phase": "handleResponse", "status": 500}, "(respond)"),
            ({"phase": "handleResponse", "responseFields": ((b"x-a", ()),)}, "(write_headers)"),
            ({"phase": "handleResponse", "responseBody": BodyChanged(b"")}, "body: write"),
        ):
            self.assertIn(part, self.refused(NOTHING, **changes), changes)  # type: ignore[arg-type]

    def test_namedOnly(self) -> None:
        """What lets people in is set where it is named, in answers of its own, too; spellings do not help."""
        most = Permissions.of({"write_headers": ["*"], "respond": True})
        for name in (b"cookie", b"authorization", b"proxy_authorization", b"set-cookie"):
            self.refused(most, fields=((name, ((name, b"a"),)),))
        cookie = NewResponse(200, None, ((b"Set-Cookie", b"a"),), b"")
        self.assertIn("set-cookie", self.refused(most, verdict=False, response=cookie))

    def test_connection(self) -> None:
        """What delimits messages belongs to nobody but the edge, whatever is granted."""
        for name in (b"content-length", b"transfer-encoding", b"connection", b"te", b"upgrade", b"host",
                     b"transfer_encoding"):  # fmt: skip
            field = ((name, ((name, b"1"),)),)
            self.refused(fields=field)
            self.refused(fields=((name, ()),))
            if name != b"host":
                self.refused(verdict=False, response=NewResponse(200, None, ((name, b"1"),), b""))

    def test_notHttp(self) -> None:
        """Names, values, heads and statuses that could not be sent."""
        for changes in (
            {"fields": ((b"x a", ((b"x a", b""),)),)},
            {"fields": ((b"X-A", ((b"X-A", b""),)),)},
            {"fields": ((b"x-a", ((b"X-B", b""),)),)},
            {"fields": ((b"x-a", ((b"X-A", b"a\r\nb: c"),)),)},
            {"fields": tuple((b"x-%d" % n, ((b"X-%d" % n, b""),)) for n in range(300))},
            {"fields": ((b"x-a", ((b"X-A", b"v" * 70_000),)),)},
            {"method": b"GET /"},
            {"target": b"no slash"},
            {"target": b"/a\r\nb"},
            {"host": b"a b"},
            {"host": b""},
            {"upstream": "nowhere"},
            {"upstream": "billing", "origin": "http://app:1"},
            {"id": ""},
            {"id": "a\nb"},
            {"logged": {"a b": 1}},
            {"values": b"\xc1"},
            {"verdict": None},
            {"verdict": False},
            {"verdict": False, "response": NewResponse(99, None, (), b"")},
            {"verdict": False, "response": NewResponse(101, None, (), b"")},
            {"verdict": False, "response": NewResponse(200, b"a\r\nb", (), b"")},
            {"informational": ((101, ()),)},
            {"informational": ((200, ()),)},
            {"informational": ((103, ()),) * 17},
            {"status": 404},
        ):
            # Something that would be taken is refused with it.
            self.refused(**{"fields": ((b"x-one", ()),), **changes})  # type: ignore[arg-type]

    def test_late(self) -> None:
        """A goal is for handle, and a body that is on its way is not changed."""
        self.refused(phase="handleResponse", upstream="app")
        self.context.request.body.sealed = True
        self.assertIn("on its way", self.refused(body=BodyChanged(b"")))

    def test_large(self) -> None:
        """Bodies have a bound, and it is named as a limit."""
        large = b"x" * (MOST_BODY + 1)
        for changes in (
            {"body": BodyChanged(large)},
            {"verdict": False, "response": NewResponse(200, None, (), large)},
        ):
            error = self.assertRaises(LimitExceeded, self.apply, **changes)
            self.assertEqual(error.limit, "reply")

    @given(CHANGES)
    def test_anyFields(self, changed: list[tuple[bytes, list[tuple[bytes, bytes]]]]) -> None:
        """Whatever a process says, what comes out can be sent and is the plugin's to set."""
        self.setUp()
        self.context._request._headers = JoinedHeaders(self.context._request._headers.fields)
        try:
            self.apply(fields=tuple((name, tuple(fields)) for name, fields in changed))
        except WrongAnswer:
            return
        for lower, name, value in self.context._request._headers.fields:
            self.assertNotIn(lower, (b"content-length", b"transfer-encoding", b"connection"))
            self.assertFalse(set(b"\r\n\0") & set(name + value))
