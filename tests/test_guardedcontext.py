"""Tests for `revproxy.guardedcontext` and its parts: what a plugin with permissions sees, and what it may do."""

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
from revproxy.guardedheaders import GuardedHeaders, guardedHeaders
from revproxy.guardedmessages import GuardedRequest, GuardedResponse
from revproxy.headers import Headers, JoinedHeaders
from revproxy.messages import Peer, Request, Response
from revproxy.permissions import NAMED_ONLY, Permissions
from revproxy.permit import Permit
from revproxy.testing import makeContext, makeResponse

FIELDS = {"X-Tenant": "a", "X-Secret": "s", "Cookie": "c=1", "Authorization": "Basic eA=="}

EVERYTHING = Permissions.of({
    "read_headers": ["*", ":path", ":authority", *NAMED_ONLY], "body": "write", "respond": True,
    "write_headers": ["*", ":path", ":method", ":authority", *NAMED_ONLY], "upstreams": ["billing", "none"],
})  # fmt: skip


def guarded(context: Context | None = None, **permissions: Any) -> tuple[Context, Any]:
    """A context with an answer, and its facade."""
    if context is None:
        context = makeContext(target="/a?q=1", headers=FIELDS, body=b"body")
        context._response = makeResponse(200, {"Set-Cookie": "s=1", "X-Tenant": "b"}, b"answer")
    return context, GuardedContext(context, Permit(Permissions.of(permissions)))


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


class HeaderTests(SynchronousTestCase):
    """What of the fields is seen, and changed."""

    def test_hidden(self) -> None:
        """A field that may not be read is nowhere to be found."""
        _, facade = guarded(read_headers=["X-Tenant"])
        headers = facade.request.headers
        self.assertEqual((headers.get("x-tenant"), headers.get("Cookie"), headers.get("X-Secret", "no")),
                         ("a", None, "no"))
        self.assertEqual((headers.getAll("Cookie"), headers.getAll("X-Tenant")), ([], ["a"]))
        self.assertEqual((headers.find(b"cookie"), headers.find(b"x-tenant")), (None, b"a"))
        self.assertEqual(("Cookie" in headers, "X-Tenant" in headers), (False, True))
        self.assertEqual((list(headers), len(headers), repr(headers)), ([("X-Tenant", "a")], 1, "<Headers X-Tenant>"))
        self.assertEqual(headers.fields, [(b"x-tenant", b"X-Tenant", b"a")])
        self.assertEqual(list(headers.copy()), [("X-Tenant", "a")])
        self.assertEqual(list(facade.response.headers), [("X-Tenant", "b")])

    def test_allButSecrets(self) -> None:
        """The asterisk is all but what lets people in, however it is spelt."""
        _, facade = guarded(read_headers=["*"])
        self.assertEqual([name for name, _ in facade.request.headers], ["Host", "X-Tenant", "X-Secret"])
        self.assertEqual([name for name, _ in facade.response.headers], ["X-Tenant"])
        permit = Permit(Permissions.of({"read_headers": ["*"], "write_headers": ["*"]}))
        headers = Headers([(b"proxy_authorization", b"Proxy_Authorization", b"x"), (b"set.cookie", b"Set.Cookie", b"")])
        self.assertEqual(list(guardedHeaders(headers, permit)), [])
        self.assertRaises(NotPermitted, guardedHeaders(headers, permit).set, "Proxy_Authorization", "z")

    def test_named(self) -> None:
        """What is named is seen, secrets and the host, too."""
        _, facade = guarded(read_headers=["cookie", ":authority"])
        self.assertEqual(list(facade.request.headers), [("Host", "www.example.com"), ("Cookie", "c=1")])

    def test_written(self) -> None:
        """What may not be written raises, and stays; the error says what to ask for."""
        context, facade = guarded(read_headers=["*"], write_headers=["X-New", "X-Tenant"])
        headers = facade.request.headers
        headers.set("X-New", "1")
        headers.add("X-New", "2")
        headers.remove("X-Tenant")
        headers.setRaw(b"x-tenant", b"X-Tenant", b"b")
        before = list(context.request.headers)
        for call in (
            lambda: headers.set("x-secret", "t"), lambda: headers.add("X-Secret", "t"),
            lambda: headers.remove("X-SECRET"), lambda: headers.setRaw(b"x-secret", b"X-Secret", b"t"),
            lambda: headers.removeRaw(b"x-secret"),
        ):  # fmt: skip
            error = self.assertRaises(NotPermitted, call)
            self.assertEqual(error.permission, "write_headers: X-Secret")
            self.assertIn("plugin.json", str(error))
        self.assertRaises(NotPermitted, headers.set, "Host", "elsewhere.example")
        self.assertEqual(list(context.request.headers), before)
        self.assertEqual(context.request.headers.getAll("X-New"), ["1", "2"])
        self.assertEqual(context.request.headers.get("X-Tenant"), "b")

    def test_raw(self) -> None:
        """The list of fields is no way around: it is looked at, or assigned as a whole."""
        context, facade = guarded(read_headers=["*"], write_headers=["X-New"])
        headers = facade.request.headers
        for change in (lambda: headers.fields.append(0), lambda: headers.fields.clear(),
                       lambda: headers.fields.__setitem__(0, 0), lambda: headers.fields.remove(0)):
            self.assertRaises(TypeError, change)
        headers.fields = [*headers.fields, (b"x-new", b"X-New", b"1")]
        self.assertEqual(context.request.headers.get("X-New"), "1")
        self.assertEqual(context.request.headers.get("Cookie"), "c=1")
        before = list(context.request.headers)
        self.assertRaises(NotPermitted, setattr, headers, "fields", [])
        self.assertRaises(NotPermitted, setattr, facade.request, "headers", Headers.of({"X-Other": "1"}))
        self.assertEqual(list(context.request.headers), before)

    def test_writtenUnseen(self) -> None:
        """What may be set and not be seen takes the place of what was there; cookies of others stay."""
        context, facade = guarded(write_headers=["X-Secret", "Set-Cookie"])
        facade.request.headers.set("X-Secret", "t")
        self.assertEqual(context.request.headers.getAll("X-Secret"), ["t"])
        facade.response.headers.set("Set-Cookie", "mine=1")
        self.assertEqual(context._response.headers.getAll("Set-Cookie"), ["s=1", "mine=1"])  # type: ignore[union-attr]
        facade.request.headers.fields = [(b"x-secret", b"X-Secret", b"u")]
        self.assertEqual(context.request.headers.getAll("X-Secret"), ["u"])
        self.assertEqual(context.request.headers.get("Cookie"), "c=1")

    def test_joined(self) -> None:
        """Where underscores are hyphens, permissions take them so as well."""
        headers = JoinedHeaders()
        headers.add("X_Tenant", "a")
        headers.add("Proxy_Authorization", "b")
        permissions = Permissions.of({"read_headers": ["x_tenant"], "write_headers": ["X-Tenant"]})
        seen = guardedHeaders(headers, Permit(permissions))
        self.assertEqual((seen.get("x-tenant"), seen.get("X_Tenant"), seen.get("Proxy-Authorization")),
                         ("a", "a", None))
        self.assertEqual([name for name, _ in seen], ["X_Tenant"])
        seen.set("X.Tenant", "b")
        self.assertEqual(headers.getAll("X-Tenant"), ["b"])
        self.assertRaises(NotPermitted, seen.set, "Proxy_Authorization", "c")
        self.assertIsInstance(seen.copy(), JoinedHeaders)

    def test_everything(self) -> None:
        """Whoever may do with fields what he likes is given the section itself."""
        context = makeContext(headers=FIELDS)
        facade = GuardedContext(context, Permit(EVERYTHING))
        self.assertIs(facade.request.headers, context.request.headers)


class PartTests(SynchronousTestCase):
    """The parts of a request and an answer, one by one."""

    def refusals(self, facade: Any, cases: dict[str, Callable[[Any], Any]]) -> None:
        """Each raises, and names what to ask for."""
        for permission, call in cases.items():
            error = self.assertRaises(NotPermitted, call, facade)
            self.assertEqual(error.permission, permission.partition(" #")[0])

    def test_always(self) -> None:
        """Method and path, and what is nobody's secret."""
        context, facade = guarded()
        request = facade.request
        self.assertEqual((request.method, request.path, request.scheme, request.version, request.rawMethod),
                         ("GET", "/a", "https", "1.1", b"GET"))
        self.assertEqual((facade.route, facade.id, facade.serial, facade.upstream, facade.depth),
                         ("default", "request-1", b"request-1", None, 0))
        self.assertEqual(facade.response.status, 200)
        facade.values["a"] = 1
        facade.fields["b"] = "c"
        facade.id = "mine"
        self.assertEqual((context.values, dict(context.fields), context.id), ({"a": 1}, {"b": "c"}, "mine"))
        self.assertRaises(AttributeError, setattr, facade, "depth", 1)
        self.assertRaises(AttributeError, setattr, facade, "route", "other")

    def test_reading(self) -> None:
        """Whatever else is read takes permission."""
        self.refusals(guarded()[1], {
            "read_headers: :path # 1": lambda facade: facade.request.query,
            "read_headers: :path # 2": lambda facade: facade.request.target,
            "read_headers: :path # 3": lambda facade: facade.request.rawTarget,
            "read_headers: :authority # 1": lambda facade: facade.request.host,
            "read_headers: :authority # 2": lambda facade: facade.request.rawHost,
            "read_headers: :authority # 3": lambda facade: facade.request.tls,
            "read_headers: X-Forwarded-For": lambda facade: facade.request.peer,
            "body: read # 1": lambda facade: facade.request.hasBody,
            "body: read # 2": lambda facade: facade.request.body.read(9),
            "body: read # 3": lambda facade: facade.request.body.length,
            "body: read # 4": lambda facade: facade.response.body.trailers,
            "body: read # 5": lambda facade: facade.response.body.keep(),
            "upstreams: NAME": lambda facade: facade.origins,
        })  # fmt: skip

    def test_changing(self) -> None:
        """Whatever is changed takes permission, and stays as it was without."""
        context, facade = guarded(read_headers=["*", ":path", ":authority"], body="read")
        self.refusals(facade, {
            "write_headers: :method # 1": lambda facade: setattr(facade.request, "method", "PUT"),
            "write_headers: :method # 2": lambda facade: setattr(facade.request, "version", "1.0"),
            "write_headers: :path # 1": lambda facade: setattr(facade.request, "path", "/b"),
            "write_headers: :path # 2": lambda facade: setattr(facade.request, "query", "b"),
            "write_headers: :path # 3": lambda facade: setattr(facade.request, "target", "/b"),
            "write_headers: :authority": lambda facade: setattr(facade.request, "host", "b"),
            "write_headers: X-Forwarded-For": lambda facade: setattr(facade.request, "peer", Peer("a", 1, "a")),
            "write_headers: X-Forwarded-Proto": lambda facade: setattr(facade.request, "scheme", "http"),
            "write_headers: Upgrade": lambda facade: setattr(facade.request, "upgrade", b"x"),
            "write_headers: Te": lambda facade: setattr(facade.request, "wantsTrailers", True),
            "write_headers: Expect": lambda facade: setattr(facade.request, "expectsContinue", True),
            "body: write # 1": lambda facade: facade.request.body.replace(b""),
            "body: write # 2": lambda facade: facade.response.body.addFilter(lambda data, last: data),
            "body: write # 3": lambda facade: facade.response.body.take(),
            "body: write # 4": lambda facade: setattr(facade.request.body, "trailers", None),
            "body: write # 5": lambda facade: setattr(facade.request.body, "readLimit", None),
            "respond: true # 1": lambda facade: facade.respond(403),
            "respond: true # 2": lambda facade: facade.sendInformational(103),
            "respond: true # 3": lambda facade: setattr(facade, "response", makeResponse(500)),
            "respond: true # 4": lambda facade: setattr(facade.response, "status", 500),
            "respond: true # 5": lambda facade: setattr(facade.response, "reason", "No"),
            "write_headers: :path, or :authority": lambda facade: facade.reroute(),
            "upstreams: billing": lambda facade: setattr(facade, "upstream", "billing"),
            "upstreams: NAME # 1": lambda facade: setattr(facade, "upstream", None),
            "upstreams: NAME # 2": lambda facade: setattr(facade, "origin", "http://x"),
        })  # fmt: skip
        request, response = context.request, context.response
        self.assertEqual((request.method, request.target, request.host, request.peer.host, request.scheme),
                         ("GET", "/a?q=1", "www.example.com", "192.0.2.1", "https"))
        assert response is not None
        self.assertEqual((response.status, self.successResultOf(response.body.read(99))), (200, b"answer"))

    def test_granted(self) -> None:
        """With permission, all of it is done to the request itself."""
        context = makeContext(target="/a?q=1", headers=FIELDS, body=b"body")
        facade: Any = GuardedContext(context, Permit(EVERYTHING))
        facade.request.method = "PUT"
        facade.request.target = "/b?c"
        facade.request.host = "other.example"
        facade.request.body.replace(b"new")
        self.assertEqual((context.request.method, context.request.target, context.request.host),
                         ("PUT", "/b?c", "other.example"))
        self.assertEqual(self.successResultOf(facade.request.body.read(99)), b"new")
        self.assertEqual(context.request.body.length, 3)
        self.assertRaises(AttributeError, setattr, facade.request, "body", b"")

    def test_trailers(self) -> None:
        """Of trailers, fields are seen as of a head."""
        context, facade = guarded(body="read", read_headers=["X-Sum"])
        context.request.body.trailers = Headers.of({"X-Sum": "1", "X-Other": "2"})
        self.assertEqual(list(facade.request.body.trailers), [("X-Sum", "1")])

    def test_hints(self) -> None:
        """What may be said early may be said: ``read_headers: Forwarded`` is to see the client, too."""
        self.assertEqual(guarded(read_headers=["Forwarded"])[1].request.peer.host, "192.0.2.1")


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
