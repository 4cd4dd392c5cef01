"""Methods: which a route takes, and which of them go no further (RFC 9110 §7.6.2, §9.3.7, §9.3.8, §15.5.6)."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.leaves.fixed import RespondLeaf
from revproxy.dataplane.leaves.leaf import Leaf
from revproxy.dataplane.leaves.proxy import ProxyLeaf
from revproxy.dataplane.routing import Route
from revproxy.dataplane.upstream.treqclient import PoolAgent, UpstreamClient
from revproxy.dataplane.upstream.upstream import Upstream
from tests.dataplane.doubles import EdgeDouble
from tests.dataplane.origins import OK, Origin
from tests.dataplane.test_exchange import Onlooker

TRACED = frozenset((b"GET", b"HEAD", b"TRACE"))
UNNAMED = b"DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"


class MethodCase(SynchronousTestCase):
    """A client, one plugin, a route, an origin."""

    def setUp(self) -> None:
        self.plugin = Onlooker()
        self.entered: list[str] = []
        self.plugin.onEntry = lambda context: not self.entered.append(context.request.method)

    def begin(self, methods: frozenset[bytes] | None = None, leaf: Leaf | None = None) -> None:
        route = Route("r", b"", b"/", self, 0, methods)  # type: ignore[arg-type]
        self.edge = EdgeDouble(routes=[route], middleware=[self.plugin])
        self.origin = Origin(self.edge.clock)
        upstream = Upstream("app", [self.origin.target], self.edge.clock.seconds)
        client = UpstreamClient(PoolAgent(lambda *_: upstream), self.edge.clock)
        self.leaf = leaf or ProxyLeaf(client, upstream)
        self.client = self.edge.connect()

    def render(self, exchange: Any) -> int:
        return self.leaf.render(exchange)

    def ask(self, method: bytes, *fields: bytes, body: bytes = b"") -> bytes:
        """What the client gets at once."""
        lines = b"".join(field + b"\r\n" for field in fields)
        self.client.send(method + b" /a HTTP/1.1\r\nHost: x\r\n" + lines + b"\r\n" + body)
        return self.client.received()

    def heard(self) -> bytes:
        """What the origin has got of the last request."""
        return bytes(self.origin.arrived[-1].transport.sent) if self.origin.arrived else b""


class AllowedTests(MethodCase):
    """``methods`` of a route, and TRACE."""

    def test_named(self) -> None:
        """What a route does not name is answered 405 with Allow; no plugin and no origin hears of it."""
        self.begin(frozenset((b"GET", b"HEAD", b"PURGE")))
        for method in (b"POST", b"OPTIONS", b"get", b"PURG", b"TRACE"):
            answer = self.ask(method)
            self.assertTrue(answer.startswith(b"HTTP/1.1 405 Method Not Allowed\r\n"), answer)
            self.assertIn(b"\r\nAllow: GET, HEAD, PURGE\r\n", answer)
        self.assertEqual((self.entered, self.heard()), ([], b""))
        self.assertEqual([record.status for record in self.edge.log.records], [405] * 5)
        self.assertEqual([outcome.status for outcome in self.plugin.outcomes], [405] * 5)
        self.assertEqual(self.ask(b"PURGE"), b"")
        self.assertEqual(self.entered, ["PURGE"])

    def test_body(self) -> None:
        """The body of a request that is not taken is passed over, and the connection serves the next one."""
        self.begin(frozenset((b"GET",)), RespondLeaf(200, b"hi", {}))
        answers = self.ask(b"POST", b"Content-Length: 5", body=b"helloGET /b HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual([answers.count(b"HTTP/1.1 405 "), answers.count(b"HTTP/1.1 200 ")], [1, 1])

    def test_unnamed(self) -> None:
        """A route that names none takes every method but TRACE."""
        self.begin(None, RespondLeaf(200, b"hi", {}))
        for method in (b"GET", b"get", b"BREW", b"OPTIONS", b"M-SEARCH"):
            self.assertTrue(self.ask(method).startswith(b"HTTP/1.1 200 "), method)
        answer = self.ask(b"TRACE")
        self.assertTrue(answer.startswith(b"HTTP/1.1 405 "), answer)
        self.assertIn(b"\r\nAllow: " + UNNAMED + b"\r\n", answer)

    def test_afterRoutes(self) -> None:
        """Methods do not choose the route: the longest path answers for all of them."""
        leaf = RespondLeaf(200, b"whole", {})
        routes = [Route("all", b"", b"/", leaf, 0), Route("some", b"", b"/a", leaf, 0, frozenset((b"PUT",)))]
        client = EdgeDouble(routes=routes).connect()
        client.send(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertTrue(client.received().startswith(b"HTTP/1.1 405 "))

    def test_head(self) -> None:
        """The answer to a HEAD that is not taken has no body."""
        self.begin(frozenset((b"POST",)))
        self.assertTrue(self.ask(b"HEAD").endswith(b"\r\n\r\n"))


class MaxForwardsTests(MethodCase):
    """Max-Forwards of OPTIONS and TRACE."""

    def test_lastOptions(self) -> None:
        """0: the edge answers, with the methods of the route if that names some. Plugins are asked first."""
        for methods, allow in ((None, b""), (frozenset((b"OPTIONS", b"GET")), b"Allow: GET, OPTIONS\r\n")):
            self.begin(methods)
            self.assertEqual(
                self.ask(b"OPTIONS", b"Max-Forwards: 0"), b"HTTP/1.1 200 OK\r\n" + allow + b"Content-Length: 0\r\n\r\n"
            )
            self.assertEqual(self.heard(), b"")
        self.assertEqual(self.entered, ["OPTIONS", "OPTIONS"])
        self.plugin.onEntry = lambda context: context.respond(403)
        self.assertTrue(self.ask(b"OPTIONS", b"Max-Forwards: 0").startswith(b"HTTP/1.1 403 "))

    def test_lastTrace(self) -> None:
        """0: the head comes back, without secrets."""
        self.begin(TRACED)
        answer = self.ask(
            b"TRACE", b"Max-Forwards: 0", b"A: b", b"Cookie: c=1", b"Authorization: Basic abc", b"X-Api-Key: k",
            b"Proxy-Authorization: Basic abc", b"X-CSRF-Token: t", b"Connection: close, X-Hop", b"X-Hop: h",
        )  # fmt: skip
        head, _, body = answer.partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: message/http\r\n"), head)
        self.assertEqual(body, b"TRACE /a HTTP/1.1\r\nHost: x\r\nMax-Forwards: 0\r\nA: b\r\n\r\n")
        self.assertEqual(self.heard(), b"")

    def test_counted(self) -> None:
        """More than 0: one less goes on; no more than can be counted."""
        for given, sent in ((b"1", b"0"), (b"010", b"9"), (b"999999999", b"999999998"), (b"9" * 5000, b"999999999")):
            for method in (b"OPTIONS", b"TRACE"):
                self.begin(TRACED | {b"OPTIONS"})
                self.ask(method, b"Max-Forwards: " + given)
                self.assertIn(b"\r\nMax-Forwards: " + sent + b"\r\n", self.heard(), given[:20])

    def test_noNumber(self) -> None:
        """What is no number, or said twice, is refused: the next one might read it in another way."""
        for fields in (
            (b"Max-Forwards: x",),
            (b"Max-Forwards: -1",),
            (b"Max-Forwards:",),
            (b"Max-Forwards: 1, 0",),
            (b"Max-Forwards: +0",),
            (b"Max-Forwards: \xb2",),
            (b"Max-Forwards: 0", b"Max-Forwards: 1"),
        ):
            self.begin()
            self.assertTrue(self.ask(b"OPTIONS", *fields).startswith(b"HTTP/1.1 400 "), fields)
            self.assertEqual(self.heard(), b"")

    def test_otherMethods(self) -> None:
        """Of other methods it is a field like any other."""
        self.begin()
        self.ask(b"GET", b"Max-Forwards: 0")
        self.assertIn(b"\r\nMax-Forwards: 0\r\n", self.heard())

    def test_passedOn(self) -> None:
        """Without the field both go to the origin."""
        self.begin(TRACED)
        self.ask(b"TRACE")
        self.assertTrue(self.heard().startswith(b"TRACE /a HTTP/1.1\r\n"))
        self.origin.arrived[-1].says(OK)
        self.assertTrue(self.client.received().startswith(b"HTTP/1.1 200 "))
