"""What one plugin does wrong costs its own requests only; a version that fails often is taken out, and nothing else."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from revproxy.control.changes import ChangeRequest
from revproxy.loading.bundlefinder import finder
from tests.behaviour.changes import UPSTREAMS, ChangingCase
from tests.behaviour.pipeline import Client

HEALTH = """
    def checkHealth(self):
        if self.mark in self.stage.ill:
            raise LookupError("unwell")
    def stop(self):
        from twisted.internet.defer import Deferred
        self.stage.stopped(self)
        if self.mark in self.stage.slow:
            waiting = Deferred()
            self.stage.slow[self.mark].append(waiting)
            return waiting
"""
STOPS = """
    def handle(self, context):
        self.stage.visit(self, "in", context)
        if context.request.path.startswith("/stop"):
            return context.respond(403)
        return True
"""


class FailingCase(ChangingCase):
    """Plugins a, b and c; b is the one that fails."""

    def setUp(self) -> None:
        super().setUp()
        self.failing: dict[str, str] = {}
        self.stage.raises = self.fails
        self.stage.ill = set()  # type: ignore[attr-defined]
        self.stage.slow = {}  # type: ignore[attr-defined]

    def fails(self, way: str, plugin: str, path: str) -> bool:
        """Those of ``failing``, on the way that is said there."""
        isMeant = f"/bad/for/{plugin}/" in path if "/for/" in path else "/bad" in path
        return isMeant and self.failing.get(plugin) == way

    def begin(self, **manifest: Any) -> None:
        """:param manifest: more of plugin b's."""
        self.bench.stamp("a", "1")
        self.bench.stamp("b", "1", **manifest)
        self.bench.stamp("c", "1")
        self.bench.start()

    def ask(self, path: str, client: Client | None = None) -> int:
        """:returns: the status."""
        client = client or self.bench.connect()
        before = len(client.statuses())
        self.bench.ask(path, client)
        statuses = client.statuses()[before:]
        return statuses[0] if statuses else 0

    def forgive(self, count: int) -> None:
        """So many errors were logged."""
        self.assertEqual(len(self.flushLoggedErrors(ArithmeticError)), count)

    def trip(self, *names: str, way: str = "in") -> None:
        """These fail five times, and what follows of that at once follows."""
        self.failing.update(dict.fromkeys(names, way))
        for number in range(5):
            for name in names:
                self.ask(f"/bad/for/{name}/{number}")
        self.failing.clear()
        self.bench.settle()
        self.flushLoggedErrors(ArithmeticError)

    def counters(self, name: str) -> Any:
        """What the version that runs has done."""
        assert self.bench.worker.staging.running is not None
        return self.bench.worker.staging.running.versions[name].counters

    def kinds(self, name: str) -> list[str]:
        """Of its events."""
        return [kind for kind, plugin in self.bench.kinds() if plugin == name]


class ApartTests(FailingCase):
    """Exceptions."""

    def test_otherRequests(self) -> None:
        """A request in which a plugin raises fails by itself: those before, beside and after it are answered."""
        for way in ("in", "out"):
            self.setUp()
            self.begin()
            self.failing = {"b": way}
            self.stage.holds = lambda way, plugin, path: plugin == "c" and way == "in" and path == "/beside"
            beside = self.bench.ask("/beside")
            statuses = [self.ask(path) for path in ("/1", "/bad/1", "/2", "/bad/2", "/3")]
            self.stage.release("/beside")
            self.bench.settle()
            self.assertEqual(statuses, [200, 500, 200, 500, 200])
            self.assertTrue(beside.got.endswith(b"answer to /beside"))
            self.forgive(2)

    def test_otherPlugins(self) -> None:
        """The other plugins see the failed request's end, and have no errors of their own."""
        for way, handled in (("in", ["a"]), ("out", ["a", "b", "c"]), ("end", ["a", "b", "c"])):
            self.setUp()
            self.begin()
            self.failing = {"b": way}
            self.stage.raises = self.fails if way != "end" else lambda way, plugin, path: False
            if way == "end":
                self.bench.stamp("b", "1", body="    def finished(self, context): raise ArithmeticError('end')")
                self.bench.apply()
            self.assertEqual(self.ask("/bad"), 200 if way == "end" else 500)
            seen = self.stage.seen["/bad"]
            self.assertEqual([name for way, name, _ in seen if way == "in" and name != "b"],
                             [name for name in handled if name != "b"])
            self.assertIn(("end", "a", "1"), seen)
            self.assertIn(("end", "c", "1"), seen)
            self.assertEqual([self.counters(name).errors for name in "abc"], [0, 1, 0])
            self.forgive(1)

    def test_open(self) -> None:
        """With ``on_error: open`` the request goes on without it."""
        self.begin(on_error="open")
        for way in ("in", "out"):
            self.failing = {"b": way}
            self.assertEqual(self.ask(f"/bad/{way}"), 200)
            self.assertEqual(self.stage.marks(f"/bad/{way}", "out").keys() | {"b"}, {"a", "b", "c"})
        self.forgive(2)

    def test_late(self) -> None:
        """The same when it fails after it has waited."""
        self.begin()
        self.stage.holds = lambda way, plugin, path: plugin == "b" and way == "in" and "/bad" in path
        client = self.bench.ask("/bad")
        self.assertEqual(self.ask("/1"), 200)
        self.stage._waiting.pop("/bad").errback(ArithmeticError("late"))
        self.bench.settle()
        self.assertEqual(client.statuses(), [500])
        self.forgive(1)


class TallyTests(FailingCase):
    """What each version has done, exactly."""

    def test_counts(self) -> None:
        """Calls, errors, interrupts and time-outs, of each version for itself, over a swap."""
        self.begin(body=STOPS)
        self.failing = {"b": "out"}
        for path in ("/1", "/stop/1", "/bad", "/2", "/stop/2", "/3"):
            self.ask(path)
        first = self.counters("b")
        self.bench.stamp("b", "2", body=STOPS)
        self.bench.apply()
        for path in ("/4", "/bad/2", "/stop/3"):
            self.ask(path)
        second = self.counters("b")
        self.assertIsNot(first, second)
        figures = [(one.calls, one.errors, one.interrupts, one.timeouts) for one in (first, second)]
        self.assertEqual(figures, [(6, 1, 2, 0), (3, 1, 1, 0)])
        self.assertEqual((self.counters("a").calls, self.counters("a").errors), (9, 0))
        self.assertEqual(self.counters("c").calls, 6)
        self.forgive(2)

    def test_timeouts(self) -> None:
        """An answer that does not come in time is an error, and a time-out."""
        self.begin(limits={"timeout_ms": 2000})
        self.stage.holds = lambda way, plugin, path: plugin == "b" and path == "/slow"
        client = self.bench.ask("/slow")
        self.bench.wait(3)
        self.assertEqual(client.statuses(), [500])
        self.assertEqual((self.counters("b").errors, self.counters("b").timeouts, self.counters("a").errors), (1, 1, 0))
        self.assertEqual(len(self.flushLoggedErrors()), 1)

    def test_sharedByConfigurations(self) -> None:
        """A version's instances, with several configurations, are counted together; so they are over a change of it."""
        self.bench.configure("[{upstream: app}, {path: /x, upstream: app, plugins: {b: {mark: x}}}]", UPSTREAMS)
        self.begin()
        for path in ("/1", "/x/1"):
            self.ask(path)
        self.bench.stamp("b", "1", config={"mark": " new"})
        self.bench.apply()
        self.ask("/2")
        self.assertEqual(self.stage.marks("/2", "in")["b"], "1 new")
        self.assertEqual(self.counters("b").calls, 3)


class PreviousVersionTests(FailingCase):
    """There is a version to go back to."""

    def setUp(self) -> None:
        super().setUp()
        self.begin()
        self.bench.stamp("b", "2", version="2.0")
        self.bench.apply()

    def mark(self, path: str) -> str:
        """Which version serves."""
        self.ask(path)
        return self.stage.marks(path, "in").get("b", "")

    def test_back(self) -> None:
        """It runs again, as a new instance; one event has the reason; nothing else was touched."""
        self.trip("b")
        self.assertEqual(self.mark("/1"), "1")
        self.assertEqual(self.kinds("b")[-1], "quarantined")
        event = next(event for event in reversed(self.bench.events.latest(100)) if event.kind == "quarantined")
        self.assertIn("5 of 5 calls failed within 30 s; back to 1.0.0", event.text)
        self.assertEqual([stop for stop, _ in self.stage.stops], ["b 1", "b 2"])
        self.assertEqual(self.bench.seen and self.stage.starts.count("a 1"), 1)
        self.check()

    def test_underWay(self) -> None:
        """Requests that are in the version which is taken out end well, and only then it is stopped."""
        self.stage.holds = lambda way, plugin, path: plugin == "b" and path == "/held"
        held = self.bench.ask("/held")
        self.trip("b")
        self.assertEqual(self.mark("/1"), "1")
        self.assertEqual(self.stage.stopsOf("b 2"), 0)
        for _ in range(2):
            self.stage.release("/held")
            self.bench.settle()
        self.assertEqual(held.statuses(), [200])
        self.assertEqual(self.stage.marks("/held", "end")["b"], "2")
        self.assertEqual(self.stage.stopsOf("b 2"), 1)
        self.check()

    def test_newerInFolder(self) -> None:
        """It is taken out also when its folder has another version by now that cannot be used."""
        self.bench.write("b", "1 / 0", version="3.0")
        self.bench.apply()
        self.assertEqual(self.mark("/1"), "2")
        self.trip("b")
        self.assertEqual(self.mark("/2"), "1")
        self.bench.apply()
        self.assertEqual(self.mark("/3"), "1")
        self.bench.stamp("b", "4", version="4.0")
        self.bench.apply()
        self.assertEqual(self.mark("/4"), "4")

    def test_newInFolder(self) -> None:
        """If its folder has one that can be used, that one runs."""
        self.bench.stamp("b", "3", version="3.0")
        self.trip("b")
        self.assertEqual(self.mark("/1"), "3")

    def test_previousFails(self) -> None:
        """If the previous one does not start any more, the gate is closed."""
        self.bench.stamp("b", "1", body=HEALTH, interfaces=", IHealthCheck", version="1.5")
        self.bench.apply()
        self.bench.stamp("b", "2", version="2.5")
        self.bench.apply()
        self.stage.ill.add("1")  # type: ignore[attr-defined]
        self.trip("b")
        self.assertEqual(self.ask("/1"), 503)
        self.assertTrue(self.bench.control.quarantine.isGated("b"))

    def test_twice(self) -> None:
        """If the previous one fails too, and there is none before, the gate is closed."""
        self.trip("b")
        self.assertEqual(self.mark("/1"), "1")
        self.trip("b")
        self.assertEqual(self.ask("/2"), 503)
        self.check()

    def test_duringTransaction(self) -> None:
        """Tripping at any step of somebody else's transaction: it is taken out once that is over."""
        for chosen in range(6):
            self.setUp()
            self.bench.stamp("a", "2", version="2.0")
            for step in self.bench.changing():
                if step == chosen:
                    self.trip("b")
            self.bench.settle()
            self.bench.clock.drain()
            self.assertEqual(self.mark("/after"), "1", chosen)
            self.assertEqual(self.stage.marks("/after", "in")["a"], "2")
            self.assertEqual(self.kinds("b").count("quarantined"), 1)
            self.check()

    def test_replacedMeanwhile(self) -> None:
        """Tripping at any step of the transaction that replaces it: the new one runs, and is not blamed."""
        for chosen in range(3):
            self.setUp()
            self.bench.stamp("b", "3", version="3.0")
            for step in self.bench.changing():
                if step == chosen:
                    self.assertEqual(self.bench.marks()["b"], "2")
                    self.trip("b")
            self.bench.settle()
            self.bench.clock.drain()
            self.assertEqual(self.mark("/after"), "3", chosen)
            self.assertNotIn("quarantined", self.kinds("b"))
            self.check()

    def test_twoAtOnce(self) -> None:
        """Two plugins that trip in the same moment are both taken out, each for itself."""
        self.bench.stamp("a", "2", version="2.0")
        self.bench.apply()
        self.trip("a", "b")
        self.ask("/1")
        self.assertEqual(self.stage.marks("/1", "in"), {"a": "1", "b": "1", "c": "1"})
        self.assertEqual([plugin for kind, plugin in self.bench.kinds() if kind == "quarantined"], ["a", "b"])
        self.check()


class GateTests(FailingCase):
    """There is none to go back to."""

    def test_closed(self) -> None:
        """Requests are answered 503, and the other plugins see them, until three probes were well."""
        self.begin()
        self.trip("b")
        self.assertEqual([self.ask(f"/{number}") for number in range(3)], [503] * 3)
        self.assertEqual(self.stage.seen["/0"], [("in", "a", "1"), ("out", "a", "1"), ("end", "a", "1"),
                                                 ("end", "c", "1")])
        self.bench.wait(11)
        self.assertEqual([self.ask(f"/probe/{number}") for number in range(3)], [200] * 3)
        self.assertEqual(self.kinds("b")[-6:],
                         ["quarantined", "half-open", "probe-well", "probe-well", "probe-well", "restored"])
        self.assertFalse(self.bench.control.quarantine.isGated("b"))
        self.assertEqual([self.ask(f"/after/{number}") for number in range(3)], [200] * 3)
        self.assertEqual(self.stage.stops, [])
        self.check()

    def test_open(self) -> None:
        """With ``on_error: open`` requests pass without it, and are not counted as its own."""
        self.begin(on_error="open")
        self.trip("b")
        calls = self.counters("b").calls
        self.assertEqual([self.ask(f"/{number}") for number in range(3)], [200] * 3)
        self.assertNotIn("b", self.stage.marks("/0", "in"))
        self.assertNotIn("b", self.stage.marks("/0", "end"))
        self.assertEqual(self.counters("b").calls, calls)
        self.bench.wait(11)
        self.assertEqual([self.ask(f"/probe/{number}") for number in range(3)], [200] * 3)
        self.assertEqual(self.stage.marks("/probe/0", "end")["b"], "1")
        self.assertEqual(self.counters("b").calls, calls + 3)
        self.check()

    def test_refusedAreNotCounted(self) -> None:
        """What the gate refuses is no call of the version, and no error."""
        self.begin()
        self.trip("b")
        before = self.counters("b").calls, self.counters("b").errors
        for number in range(4):
            self.ask(f"/{number}")
        self.assertEqual((self.counters("b").calls, self.counters("b").errors), before)

    def test_probeFails(self) -> None:
        """A probe that fails is one failed request, and the next comes after twice the time."""
        self.begin()
        self.trip("b")
        self.failing = {"b": "in"}
        self.bench.wait(11)
        self.assertEqual([self.ask("/bad/probe"), self.ask("/1")], [500, 503])
        self.bench.wait(11)
        self.assertEqual(self.ask("/2"), 503)
        self.bench.wait(10)
        self.assertEqual(self.ask("/3"), 200)
        self.forgive(1)

    def test_oneAtATime(self) -> None:
        """While a probe is under way, others are refused; when its client leaves, the next is one."""
        self.begin()
        self.trip("b")
        self.bench.wait(11)
        self.stage.holds = lambda way, plugin, path: plugin == "b" and path == "/probe"
        client = self.bench.ask("/probe")
        self.assertEqual([self.ask("/1"), self.ask("/2")], [503, 503])
        client.wire.leave()
        self.bench.settle()
        self.assertEqual(self.ask("/3"), 200)

    def test_twoAtOnce(self) -> None:
        """Two gates at once: each is opened by its own probes."""
        self.begin(on_error="open")
        self.trip("b", "c")
        self.assertEqual(self.ask("/1"), 503)
        self.bench.wait(11)
        for number in range(4):
            self.ask(f"/probe/{number}")
        self.assertEqual(self.stage.marks("/probe/3", "end"), {"a": "1", "b": "1", "c": "1"})
        self.assertEqual([self.kinds(name).count("restored") for name in "abc"], [0, 1, 1])
        self.check()

    def test_others(self) -> None:
        """Other plugins change while the gate is closed, and it stays closed."""
        self.begin()
        self.trip("b")
        self.bench.swap("a", "2")
        self.assertEqual(self.ask("/1"), 503)
        self.bench.wait(11)
        self.ask("/probe/1")
        self.bench.swap("a", "3")
        self.assertEqual([self.ask("/probe/2"), self.ask("/probe/3")], [200, 200])
        self.bench.swap("a", "4")
        self.ask("/2")
        self.assertEqual(self.stage.marks("/2", "end"), {"a": "4", "b": "1", "c": "1"})
        self.check()

    def test_underWay(self) -> None:
        """Requests that were in it when the gate closed end well."""
        self.begin()
        self.stage.holds = lambda way, plugin, path: plugin == "b" and path == "/held"
        held = self.bench.ask("/held")
        self.trip("b")
        for _ in range(2):
            self.stage.release("/held")
            self.bench.settle()
        self.assertEqual(held.statuses(), [200])
        self.assertEqual(self.ask("/1"), 503)

    def test_replaced(self) -> None:
        """A new version ends the quarantine; it can be taken out itself."""
        self.begin()
        self.trip("b")
        self.bench.stamp("b", "2", version="2.0")
        self.bench.apply()
        self.assertEqual(self.ask("/1"), 200)
        self.trip("b")
        self.assertEqual(self.kinds("b").count("quarantined"), 2)
        self.assertEqual(self.ask("/2"), 503, "the one that was taken out before is nothing to go back to")
        self.check()

    def test_newConfiguration(self) -> None:
        """Another configuration is a new try of the same code; when it fails again, it is taken out again."""
        self.begin()
        self.trip("b")
        self.bench.stamp("b", "1", config={"mark": " new"})
        self.bench.apply()
        self.assertEqual(self.ask("/1"), 200)
        self.trip("b")
        self.assertEqual(self.ask("/2"), 503)
        self.check()

    def test_newRoute(self) -> None:
        """So is another configuration of it beside the one that is gated."""
        self.begin()
        self.trip("b")
        self.bench.configure("[{upstream: app}, {path: /x, upstream: app, plugins: {b: {mark: x}}}]", UPSTREAMS)
        self.bench.apply()
        self.assertEqual([self.ask("/1"), self.ask("/x/1")], [503, 200])
        self.failing = {"b": "in"}
        for number in range(5):
            self.ask(f"/x/bad/{number}")
        self.forgive(5)
        self.assertEqual([self.ask("/2"), self.ask("/x/2")], [503, 503])
        self.check()

    def test_again(self) -> None:
        """After it was restored it can be taken out again."""
        self.begin()
        self.trip("b")
        self.bench.wait(11)
        for number in range(4):
            self.ask(f"/probe/{number}")
        self.trip("b")
        self.assertEqual(self.ask("/1"), 503)
        self.assertEqual(self.kinds("b").count("quarantined"), 2)


class CandidateTests(FailingCase):
    """What was prepared for a change that failed serves nobody, however long its end takes."""

    def setUp(self) -> None:
        super().setUp()
        self.begin(body=HEALTH, interfaces=", IHealthCheck")

    def configure(self, mark: str) -> None:
        self.bench.configure(extra=f"{UPSTREAMS}plugins: {{directory: plugins, config: {{b: {{mark: {mark}}}}}}}\n",
                             routes="[{upstream: app}]")

    def test_closing(self) -> None:
        """While the instance that was unhealthy is still stopping, the same configuration is tried anew."""
        self.stage.ill.add("1x")  # type: ignore[attr-defined]
        self.stage.slow["1x"] = []  # type: ignore[attr-defined]
        self.configure("x")
        self.bench.apply()
        self.assertIn("unwell", self.bench.failure(""))
        self.assertEqual(len(self.stage.slow["1x"]), 1)  # type: ignore[attr-defined]
        self.stage.ill.clear()  # type: ignore[attr-defined]
        self.bench.apply(ChangeRequest(force=True))
        self.assertEqual(self.ask("/1"), 200)
        self.assertEqual(self.stage.marks("/1", "end")["b"], "1x")
        self.assertEqual(self.stage.starts.count("b 1x"), 2)
        self.check()
        for waiting in self.stage.slow.pop("1x"):  # type: ignore[attr-defined]
            waiting.callback(None)
        self.assertEqual(self.ask("/2"), 200)
        self.check()

    def test_unloaded(self) -> None:
        """Its version is unloaded although it was replaced while one of its instances was still stopping."""
        self.stage.ill.add("1x")  # type: ignore[attr-defined]
        self.stage.slow["1x"] = []  # type: ignore[attr-defined]
        self.configure("x")
        self.bench.apply()
        self.bench.stamp("b", "2", version="2.0")
        self.configure("y")
        self.bench.apply()
        self.ask("/1")
        self.assertEqual(self.stage.marks("/1", "end")["b"], "2y")
        waiting: list[Deferred[None]] = self.stage.slow.pop("1x")  # type: ignore[attr-defined]
        for one in waiting:
            one.callback(None)
        waiting.clear()
        self.bench.wait(10)
        self.assertEqual(self.bench.worker.retirement.alive("b"), 0)
        loaded = [one.directory for one in finder.bundles.values()]
        self.assertEqual(sorted(one.name for one in loaded if one.parent == self.bench.plugins), ["a", "b", "c"])
        self.check()
