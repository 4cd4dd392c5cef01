"""Tests for `revproxy.guardedcontext`: nothing is left out, answers of a plugin's own, and how like a context it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.body import Body
from revproxy.context import Context
from revproxy.errors import NotPermitted
from revproxy.guardedbody import GuardedBody
from revproxy.guardedcontext import GuardedContext
from revproxy.guardedheaders import GuardedHeaders
from revproxy.guardedmessages import GuardedRequest, GuardedResponse
from revproxy.headers import Headers
from revproxy.messages import Request, Response
from revproxy.permissions import Permissions
from revproxy.permit import Permit
from revproxy.testing import makeContext, makeResponse
from tests.guardedcontexts import EVERYTHING, FIELDS, guarded


class CompletenessTests(SynchronousTestCase):
    """Nothing is left out: whoever adds a member decides what it takes."""

    def test_everyMember(self) -> None:
        """Each public member of what plugins are given is one of the facade's own."""
        for plain, facade in (
            (Context, GuardedContext), (Request, GuardedRequest), (Response, GuardedResponse), (Body, GuardedBody),
        ):  # fmt: skip
            own = {name for kind in facade.__mro__[: facade.__mro__.index(plain)] for name in vars(kind)}
            self.assertEqual({name for name in dir(plain) if not name.startswith("_")} - own, set(), plain)

    def test_headers(self) -> None:
        """Those of headers that are not, go by ``fields`` and ``find``, which are."""
        own = set(vars(GuardedHeaders))
        rest = {name for name in dir(Headers) if not name.startswith("_")} - own
        self.assertEqual(rest, {"of"})
        self.assertTrue({"fields", "find"} <= own)

    def test_isA(self) -> None:
        """Code that asks what it was given finds what it expects."""
        _, facade = guarded()
        for value, kind in (
            (facade, Context), (facade.request, Request), (facade.response, Response), (facade.request.body, Body),
            (facade.request.headers, Headers), (facade.response.headers, Headers),
        ):  # fmt: skip
            self.assertIsInstance(value, kind)

    def test_same(self) -> None:
        """The facades of one thing are equal, in whichever call: plugins remember requests by their context."""
        context, facade = guarded()
        _, other = guarded(context)
        for mine, another in (
            (facade, other), (facade.request, other.request), (facade.response, other.response),
            (facade.request.body, other.request.body), (facade.request.headers, other.request.headers),
        ):  # fmt: skip
            self.assertEqual(mine, another)
            self.assertEqual({mine: 1}[another], 1)
        self.assertIs(facade.request, facade.request)
        self.assertIs(facade.request.headers, facade.request.headers)
        self.assertIs(facade.response.body, facade.response.body)
        self.assertNotEqual(facade, guarded()[1])


class AnswerTests(SynchronousTestCase):
    """Answers of the plugin's own."""

    def test_own(self) -> None:
        """What it has made is all its own."""
        context, facade = guarded(respond=True)
        self.assertFalse(facade.respond(403, b"no", {"X-Why": "because"}))
        self.assertEqual(facade.response.headers.get("X-Why"), "because")
        facade.response.headers.set("X-More", "1")
        facade.response.status = 404
        self.assertIs(facade.response, context.response)

    def test_otherOnes(self) -> None:
        """What another plugin has made is not, in a later call."""
        context, facade = guarded(respond=True)
        facade.respond(403)
        self.assertRaises(NotPermitted, guarded(context, respond=True)[1].response.headers.set, "X-A", "1")

    def test_secrets(self) -> None:
        """Cookies have to be granted in an answer of its own, too, however it is made."""
        context, facade = guarded(respond=True)
        before = context.response
        for make in (
            lambda: facade.respond(200, b"", {"Set-Cookie": "a=1"}),
            lambda: facade.respond(200, b"", {"set_cookie": "a=1"}),
            lambda: facade.sendInformational(103, {"Set-Cookie": "a=1"}),
            lambda: setattr(facade, "response", makeResponse(200, {"Set-Cookie": "a=1"})),
        ):
            self.assertEqual(self.assertRaises(NotPermitted, make).permission, "write_headers: Set-Cookie")
        self.assertIs(context.response, before)
        facade = guarded(context, respond=True, write_headers=["Set-Cookie"])[1]
        facade.respond(200, b"", {"Set-Cookie": "a=1"})
        self.assertEqual(context.response.headers.get("set-cookie"), "a=1")  # type: ignore[union-attr]

    def test_assigned(self) -> None:
        """An answer made of guarded parts has the parts themselves: the edge sees no facade."""
        context, facade = guarded(respond=True, read_headers=["*"])
        facade.response = facade.response  # nothing is changed
        old = context.response
        facade.response = Response(404, None, facade.response.headers, facade.response.body)
        response = context.response
        assert response is not None and old is not None
        self.assertIs(type(response.headers), Headers)
        self.assertEqual(list(response.headers), [("X-Tenant", "b")])
        self.assertIs(response._body, old._body)
        self.assertRaises(TypeError, setattr, facade, "response", 7)
        self.assertRaises(TypeError, setattr, facade, "response", None)

    def test_none(self) -> None:
        """There is none in handle."""
        self.assertIsNone(guarded(makeContext())[1].response)


NAMES = st.sampled_from(["X-A", "x-a", "X-B", "Cookie", "Host", "Content-Length", "bad name", "Set-Cookie"])
VALUES = st.sampled_from(["1", "2", "a b", "bad\n", ""])

_Step = tuple[str, ...]

STEPS: st.SearchStrategy[list[tuple[Any, ...]]] = st.lists(st.one_of(
    st.tuples(st.sampled_from(["get", "getAll", "remove"]), NAMES),
    st.tuples(st.sampled_from(["set", "add"]), NAMES, VALUES),
    st.tuples(st.just("assign"), st.lists(st.tuples(NAMES, VALUES), max_size=3)),
    st.tuples(st.just("request"), st.sampled_from(["method", "target", "path", "query", "host", "scheme", "version"]),
              st.sampled_from(["GET", "/x", "/x?y", "y", "http", "1.0", "a.example", "b\n"])),
    st.tuples(st.just("body"), st.sampled_from([b"", b"new"])),
    st.tuples(st.just("filter"), st.sampled_from([b"", b"!"])),
    st.tuples(st.just("respond"), st.sampled_from([100, 200, 404, 700]), st.sampled_from([b"", "text", 7])),
    st.tuples(st.just("status"), st.sampled_from([200, 404, 99])),
    st.tuples(st.just("response"), st.sampled_from(["old", "new", 7])),
    st.tuples(st.sampled_from(["upstream", "origin"]), st.sampled_from(["billing", "none", None])),
    st.tuples(st.just("values"), st.sampled_from(["a", "b"])),
    st.tuples(st.just("id"), st.sampled_from(["i", "bad\n", 7])),
), max_size=12)  # fmt: skip


def do(context: Any, step: tuple[Any, ...]) -> Any:
    """One step of a plugin's, and what it gives."""
    action, *rest = step
    headers = context.request.headers
    if action in ("get", "getAll", "remove", "set", "add"):
        return getattr(headers, action)(*rest)
    if action == "assign":
        context.request.headers = Headers.of(rest[0])
    elif action == "request":
        setattr(context.request, rest[0], rest[1])
    elif action == "body":
        context.request.body.replace(rest[0])
    elif action == "filter":
        context.request.body.addFilter(lambda data, last: data + rest[0])
    elif action == "respond":
        return context.respond(*rest)
    elif action == "status" and context.response is not None:
        context.response.status = rest[0]
    elif action == "response":
        context.response = {"old": context.response, "new": makeResponse(201)}.get(rest[0], 7)
    elif action in ("upstream", "origin", "id"):
        setattr(context, action, rest[0])
    elif action == "values":
        context.values[rest[0]] = context.values.get(rest[0], 0) + 1
    return None


def seen(context: Any) -> Iterator[Any]:
    """All that is to be seen of a context."""
    for message in (context.request, context.response):
        if message is not None:
            yield list(message.headers), message.headers.fields, len(message.headers), repr(message.headers)
            yield message.body.length, message.body.complete, message.body.changed
    request, response = context.request, context.response
    yield request.method, request.target, request.path, request.query, request.host, request.peer, request.hasBody
    yield request.rawMethod, request.rawTarget, request.rawHost, request.scheme, request.version, request.tls
    yield None if response is None else (response.status, response.reason, response.rawReason)
    yield context.upstream, context.origin, context.id, context.values, dict(context.fields), context.route
    yield context.serial, context.depth, context.outcome, context.isAnswered, context.isReadingBody


class LikeTheContextTests(SynchronousTestCase):
    """With every permission, a facade is the context in all that plugins see of it."""

    def compare(self, steps: list[tuple[Any, ...]], facadeOf: Callable[[Context], Any]) -> None:
        """The same steps come to the same, and so does each of them."""
        contexts = [makeContext("POST", "/a?q=1", FIELDS, b"body", upstream="billing") for _ in range(2)]
        plain: Any = contexts[0]
        facade = facadeOf(contexts[1])
        for step in steps:
            results = []
            for context in (plain, facade):
                try:
                    results.append(do(context, step))
                except (ValueError, TypeError, RuntimeError, AttributeError) as error:
                    results.append((type(error), str(error)))
            self.assertEqual(results[0], results[1], step)
        self.assertEqual(list(seen(plain)), list(seen(facade)))
        self.assertEqual(list(seen(plain)), list(seen(contexts[1])))

    @given(STEPS)
    def test_everything(self, steps: list[tuple[Any, ...]]) -> None:
        """Where nothing is left to guard."""
        self.compare(steps, lambda context: GuardedContext(context, Permit(EVERYTHING)))

    @given(STEPS)
    def test_guarded(self, steps: list[tuple[Any, ...]]) -> None:
        """The same through a guard of header fields that lets all through."""

        def facadeOf(context: Context) -> Any:
            permit = Permit(EVERYTHING)
            permit.isAllFields = False
            return GuardedContext(context, permit)

        self.compare(steps, facadeOf)

    @given(STEPS)
    def test_hidden(self, steps: list[tuple[Any, ...]]) -> None:
        """Whatever a plugin does that may do nothing, the request stays, and what it may not see it is not given."""
        context = makeContext("POST", "/a?q=1", FIELDS, b"body", upstream="billing")
        facade: Any = GuardedContext(context, Permit(Permissions()))
        for step in steps:
            try:
                given = do(facade, step)
            except (ValueError, TypeError, RuntimeError, AttributeError, NotPermitted):
                continue
            self.assertIn(given, (None, []))
        request = context.request
        self.assertEqual({name: value for name, value in request.headers if name != "Host"}, FIELDS)
        self.assertEqual((request.method, request.target, request.host, request.body.length, context.response),
                         ("POST", "/a?q=1", "www.example.com", 4, None))
