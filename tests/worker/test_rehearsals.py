"""Requests that are rehearsed: what is true of them, and what is not touched."""

from __future__ import annotations

from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from revproxy.addresses import AddressSet
from revproxy.context import Context
from revproxy.dataplane.chain import Chain
from revproxy.dataplane.generation import Generation
from revproxy.dataplane.routing import Route, Tree
from revproxy.explained import Changes, Explained, decodeExplained
from revproxy.plan.words import Rehearse, Rehearsed
from revproxy.requestrecord import RequestRecord
from revproxy.testing import DestinationsDouble
from revproxy.worker.guard.barrier import Barrier
from revproxy.worker.guard.gate import Gate
from revproxy.worker.rehearsals import MOST, SECONDS, Rehearsals
from tests.dataplane.doubles import EdgeDouble, RecordingLeaf, makeLink
from tests.dataplane.test_explainer import Does, sets, setsLater


class RehearsalCase(SynchronousTestCase):
    """An edge with two routes."""

    def begin(self, *plugins: Any, **options: Any) -> None:
        self.leaf = RecordingLeaf()
        routes = [
            Route("all", b"", b"/", self.leaf),
            Route("api", b"shop", b"/api", RecordingLeaf(), 0, frozenset((b"GET", b"HEAD"))),
        ]
        self.edge = EdgeDouble(routes=routes, middleware=plugins, **options)
        self.told: list[Rehearsed] = []
        edge = self.edge
        self.rehearsals = Rehearsals(edge.clock, edge.edge, lambda scheme: edge.listener, self.told.append)

    def ask(self, target: str = "/", method: str = "GET", **more: Any) -> None:
        asked = {"host": "shop", "scheme": "http", "plugins": True, **more}
        self.rehearsals.begin(Rehearse(1, method, target, **asked))
        self.edge.settle()

    def answer(self, *arguments: Any, **more: Any) -> Rehearsed:
        """What is told."""
        self.ask(*arguments, **more)
        return self.told.pop()

    def record(self, *arguments: Any, **more: Any) -> RequestRecord:
        """Of what is told, the record."""
        answer = self.answer(*arguments, **more)
        self.assertEqual(answer.refused, "")
        return msgspec.msgpack.decode(answer.record, type=RequestRecord)

    def explained(self, *arguments: Any, **more: Any) -> Explained:
        """Of the record, what is noted."""
        return decodeExplained(self.record(*arguments, **more).explained)

    def tearDown(self) -> None:
        self.assertEqual((self.rehearsals.running, self.edge.active), (0, 0))
        self.assertEqual((self.edge.log.records, self.leaf.exchanges), ([], []))


class RoutingTests(RehearsalCase):
    """Without plugins."""

    def setUp(self) -> None:
        self.begin(Does("a", lambda context: context.respond(403)))

    def test_route(self) -> None:
        """The route that a real request would take, and that it would be sent on."""
        answer = self.answer("/api/x?y", plugins=False)
        self.assertEqual((answer.plan, answer.reached, answer.status, answer.methods), (1, True, 200, ("GET", "HEAD")))
        self.assertEqual(self.record("/api/x", plugins=False).route, "api")
        self.assertEqual(self.record("/API", plugins=False).route, "all")

    def test_refused(self) -> None:
        """As a real request would be: a method, a path that origins read differently, a line that is no request."""
        record = self.record("/api", "PUT", plugins=False)
        self.assertEqual((record.status, record.error), (405, "MethodNotAllowed: PUT on this route"))
        record = self.record("/x/..;/api", plugins=False)
        self.assertIn("AmbiguousPath", record.error or "")
        for more, text, status in (
            ({"method": "G T"}, "BadRequest: the request line has not exactly two spaces", 400),
            ({"target": "/\x7f"}, "BadRequest", 400),
            ({"method": "CONNECT"}, "NotSupported", 501),
            ({"target": "/" + "x" * 9000}, "TargetTooLong", 414),
            ({"host": "a b"}, "BadRequest", 400),
            ({"headers": (("X Y", "1"),)}, "BadRequest", 400),
            ({"headers": tuple((f"X-{number}", "1") for number in range(200))}, "HeadersTooLarge", 431),
        ):
            answer = self.answer(plugins=False, **more)
            self.assertEqual((answer.status, answer.record), (status, b""), more)
            self.assertIn(text, answer.refused)

    def test_smuggled(self) -> None:
        """What would be another line on the wire is no field; nor does a body come along."""
        for more in (
            {"headers": (("X-A", "1\r\nX-B: 2"),)}, {"target": "/ HTTP/1.1\r\nX-A: 1"}, {"host": "a\nb"},
            {"headers": (("X-A\0", "1"),)}, {"method": "GET\n"},
        ):  # fmt: skip
            self.assertIn("line break", self.answer(**more).refused)
        self.assertIn("no body", self.answer(headers=(("Content-Length", "5"),)).refused)
        self.assertIn("no body", self.answer(headers=(("Transfer-Encoding", "chunked"),), method="POST").refused)
        self.assertIn("latin-1", self.answer("/€").refused)
        self.assertIn("limits.max_header_bytes", self.answer(headers=(("X", "y" * 40_000),)).refused)

    def test_misdirected(self) -> None:
        """A protected host takes only what came by a handshake for it."""
        self.begin(tls=True, guards=lambda name, host: name != host.decode())
        self.assertEqual(self.record(scheme="https", serverName="shop", plugins=False).error, None)
        record = self.record(scheme="https", serverName="blog", plugins=False)
        self.assertEqual((record.status, (record.error or "").partition(":")[0]), (421, "Misdirected"))

    def test_client(self) -> None:
        """The client that a trusted proxy names, and no other."""
        self.begin(trusted=AddressSet(["10.0.0.0/8"]))
        forwarded = (("X-Forwarded-For", "192.0.2.9"),)
        self.assertEqual(self.record(client="10.0.0.1", headers=forwarded).peer, "192.0.2.9")
        self.assertEqual(self.record(client="192.0.2.1", headers=forwarded).peer, "192.0.2.1")

    def test_missing(self) -> None:
        """What lets nobody pass does so without plugins, too."""
        chain = Chain([makeLink(Barrier("door"), self.edge.edge.deadlines, name="door")])
        self.edge.chains = [chain]
        self.edge.edge.generation = Generation(2, Tree([Route("all", b"", b"/", self.leaf)]), [chain])
        answer = self.answer(plugins=False)
        self.assertEqual((answer.plan, answer.reached, answer.status), (2, False, 503))


class PluginsTests(RehearsalCase):
    """Through the plugins."""

    def test_passed(self) -> None:
        """Forth and back, with all that is noted of a request in the sample."""
        self.begin(Does("a", sets("X-A"), setsLater("X-B")))
        told = self.explained(headers=(("X-A", "1"),))
        self.assertEqual([(step.plugin, step.call) for step in told.steps], [("a", "handle"), ("a", "handleResponse")])
        self.assertEqual((told.request, told.response), (Changes((), ("x-a",)), Changes(("x-b",))))

    def test_answered(self) -> None:
        """Whose plugin answers is not sent on."""
        self.begin(Does("a", lambda context: context.respond(403)))
        answer = self.answer()
        self.assertEqual((answer.reached, answer.status), (False, 403))
        self.assertEqual(self.record().interruptedBy, "a")

    def test_nothingCounted(self) -> None:
        """No figure of the plugin moves, nobody is told of its failure, and nothing is in the log."""

        def fails(context: Context) -> bool:
            raise ValueError("no")

        self.begin(Does("a", fails))
        failures: list[Any] = []
        (link,) = self.edge.chains[0].links
        link.onFailure = failures.append
        record = self.record()
        self.assertEqual((record.status, record.pluginErrors), (500, ("a",)))
        self.assertEqual((link.counters.calls, link.counters.errors, failures), (0, 0, []))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_nothingSent(self) -> None:
        """A plugin's client sends nothing, and an upstream that is chosen hears nothing."""

        def asks(context: Context) -> Any:
            return context.client.get("http://auth/")

        self.begin(Does("a", asks))
        self.assertIn("this is a rehearsal: nothing is sent anywhere", self.record().error or "")

        def chooses(context: Context) -> bool:
            context.upstream = "other"
            return True

        self.begin(Does("a", chooses))
        self.edge.chains[0].links[0].destinations = DestinationsDouble({"other": ["http://b"]})
        told = self.explained()
        self.assertEqual(told.upstream, "other")

    def test_rerouted(self) -> None:
        """Where a plugin has the route chosen anew."""

        def moves(context: Context) -> bool:
            if not context.request.path.startswith("/api"):
                context.request.path = "/api"
                context.reroute()
            return True

        self.begin(Does("a", moves))
        record = self.record("/x")
        self.assertEqual(record.route, "api")
        self.assertEqual(decodeExplained(record.explained).notes, (("a", "rerouted from all to api"),))

    def test_gate(self) -> None:
        """A plugin in quarantine is not asked, and a rehearsal is no probe of it."""
        for open, status in ((True, 200), (False, 503)):
            self.begin(Does("a"))
            told: list[Any] = []
            gate = Gate(Does("a", told.append), "a", open, self.edge.clock.seconds, onEvent=print, onRestored=print)
            self.edge.clock.advance(3600)
            self.edge.chains[0].links[0].instance = gate
            self.assertEqual((self.answer().status, told), (status, []))

    def test_overdue(self) -> None:
        """Plugins that do not come to an end are given up."""
        cancelled: list[Any] = []
        self.begin(Does("a", lambda context: Deferred(cancelled.append)))
        self.ask()
        self.edge.clock.advance(SECONDS - 0.1)
        self.assertEqual(self.told, [])
        self.edge.clock.advance(0.1)
        self.edge.settle()
        (answer,) = self.told
        self.assertEqual((answer.isOverdue, answer.reached, len(cancelled)), (True, False, 1))

    def test_most(self) -> None:
        """So many at once, and no more."""
        waiting: list[Deferred[bool]] = []

        def waits(context: Context) -> Deferred[bool]:
            waiting.append(Deferred())
            return waiting[-1]

        self.begin(Does("a", waits))
        for _ in range(MOST + 1):
            self.ask()
        self.assertIn("try again in a second", self.told.pop().refused)
        for each in waiting:
            each.callback(True)
        self.edge.settle()
        self.assertEqual(len(self.told), MOST)

    def test_swapped(self) -> None:
        """A plan that is followed by another meanwhile stays in use until it is over, and is the one that is told."""
        waiting: Deferred[bool] = Deferred()
        self.begin(Does("a", lambda context: waiting))
        real = self.edge.chains[0]
        self.ask()
        self.edge.edge.generation = Generation(2, Tree([]), [])
        idle = real.whenIdle()
        self.assertNoResult(idle)
        waiting.callback(True)
        self.edge.settle()
        self.successResultOf(idle)
        self.assertEqual((self.told[0].plan, self.told[0].reached), (1, True))

    def test_broken(self) -> None:
        """What a plugin leaves that cannot be told is refused, and counts as over."""

        def handle(context: Context) -> bool:
            context._fields = {"a": object()}  # type: ignore[assignment]
            return True

        self.begin(Does("a", handle))
        self.assertIn("cannot be told", self.answer().refused)
