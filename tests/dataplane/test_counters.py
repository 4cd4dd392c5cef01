"""Tests for :mod:`revproxy.dataplane.counters`."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from revproxy.dataplane.chain import Chain
from revproxy.dataplane.counters import SAMPLE, Counters
from revproxy.dataplane.generation import Generation
from revproxy.dataplane.routing import Route, Tree
from revproxy.errors import PluginStalled, PluginTimeout, WrongAnswer
from revproxy.interfaces import IMiddleware, IObserver, IResponseMiddleware
from revproxy.loop.deadlines import Deadlines
from revproxy.worker.guard.gate import Gate
from tests.dataplane.doubles import EdgeDouble, RecordingLeaf, makeLink


@implementer(IMiddleware)
class Refusing:
    """Lets every second request pass, and fails at the path ``/fail``."""

    name = "refusing"
    calls = 0

    def handle(self, context: object) -> bool:
        """Part of IMiddleware."""
        self.calls += 1
        if context.request.path == "/fail":  # type: ignore[attr-defined]
            raise ValueError("as told")
        if self.calls % 2:
            return True
        context.respond(403)  # type: ignore[attr-defined]
        return False


class TallyTests(SynchronousTestCase):
    """What one version of a plugin has done."""

    def test_sharedByChains(self) -> None:
        """It goes on over the generations that the version is part of: nothing is counted twice or forgotten."""
        leaf = RecordingLeaf()
        double = EdgeDouble(leaf)
        counters, plugin = Counters(), Refusing()
        for number in range(2):
            link = makeLink(plugin, Deadlines(double.clock, 0.5), name="refusing", open=True, counters=counters)
            double.edge.generation = Generation(number, Tree([Route("a", b"", b"/", leaf)]), [Chain([link])])
            for path in (b"/", b"/", b"/fail"):
                double.connect().send(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path)
        self.flushLoggedErrors(ValueError)
        self.assertEqual((counters.calls, counters.errors, counters.interrupts), (6, 2, 2))
        self.assertEqual((counters.timeouts, counters.stalls), (0, 0))
        self.assertGreaterEqual(counters.seconds, 0.0)
        self.assertEqual(counters.takePhases()["handle"].failures, {"error": 2})


class PhaseTests(SynchronousTestCase):
    """By phase."""

    def setUp(self) -> None:
        self.counters = Counters((0.001, 0.1))

    def test_failures(self) -> None:
        """Failures are told apart by kind; each is one of all."""
        for error in (ValueError(), PluginTimeout(), PluginStalled(), WrongAnswer("handle", "7"), KeyError()):
            self.counters.failed(Failure(error), "handle")
        self.assertEqual(
            self.counters.takePhases()["handle"].failures, {"error": 2, "timeout": 1, "stall": 1, "answer": 1}
        )
        self.assertEqual((self.counters.errors, self.counters.timeouts, self.counters.stalls), (5, 1, 1))

    def test_taken(self) -> None:
        """What was taken begins anew; sums of all phases go on."""
        for phase in ("handle", "body"):
            self.counters.interrupted(phase)
        self.counters.skipped("handle", "gate")
        self.counters.took(2.0, "handle", 16)
        phases = self.counters.takePhases()
        self.assertEqual([(name, each.interrupts, each.skipped) for name, each in phases.items()],
                         [("handle", 1, {"gate": 1}), ("body", 1, {})])  # fmt: skip
        self.assertEqual((phases["handle"].seconds, self.counters.seconds, self.counters.interrupts), (32.0, 32.0, 2))
        self.assertEqual(self.counters.takePhases(), {})

    def test_buckets(self) -> None:
        """A call is in the first bucket whose bound is not less, as often as what it stands for; or in none."""
        for seconds in (0.0, 0.001, 0.05, 7.0):
            self.counters.lasted(seconds, "handle", 2)
        self.assertEqual(self.counters.takePhases()["handle"].buckets, [4, 2, 2])
        plain = Counters()
        plain.lasted(1.0, "handle")
        self.assertEqual(plain.takePhases(), {})


@implementer(IMiddleware, IResponseMiddleware, IObserver)
class Everywhere:
    """Is called in each phase; answers as it is told."""

    name = "everywhere"

    def __init__(self) -> None:
        self.answer: Any = lambda: True

    def handle(self, context: object) -> Any:
        """Part of IMiddleware."""
        return self.answer()

    def handleResponse(self, context: object) -> None:
        """Part of IResponseMiddleware."""

    def finished(self, context: object) -> None:
        """Part of IObserver."""


class CallTests(SynchronousTestCase):
    """Calls of a middleware in a chain."""

    def setUp(self) -> None:
        self.leaf = RecordingLeaf()
        self.double = EdgeDouble(self.leaf)
        self.counters, self.plugin = Counters((0.5, 5.0)), Everywhere()
        link = makeLink(self.plugin, Deadlines(self.double.clock, 0.5), timeout=9.0, counters=self.counters)
        self.double.edge.generation = Generation(1, Tree([Route("a", b"", b"/", self.leaf)]), [Chain([link])])

    def ask(self) -> None:
        """A request that is answered as soon as the plugin lets it pass."""
        known = len(self.leaf.exchanges)
        self.double.connect().send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        if len(self.leaf.exchanges) > known:
            self.leaf.answer(-1)

    def test_each(self) -> None:
        """Every call of every method counts, one in so many is timed, and stands for all of them."""
        for _ in range(2 * SAMPLE):
            self.ask()
        self.assertEqual((self.counters.calls, self.counters.responses, self.counters.observed), (2 * SAMPLE,) * 3)
        phases = self.counters.takePhases()
        self.assertEqual([sum(phases[phase].buckets) for phase in ("handle", "handleResponse")], [2 * SAMPLE] * 2)

    def test_letPast(self) -> None:
        """What a gate lets past, or refuses, is no call of the version behind it, in no phase."""
        gate = Gate(self.plugin, "everywhere", True, self.double.clock.seconds, counters=self.counters,
                    onEvent=lambda *told: None, onRestored=lambda: None)  # fmt: skip
        link = makeLink(gate, Deadlines(self.double.clock, 0.5), counters=self.counters)
        self.double.edge.generation = Generation(2, Tree([Route("a", b"", b"/", self.leaf)]), [Chain([link])])
        for gate.open in (True, False):
            for _ in range(2 * SAMPLE):
                self.ask()
        self.assertEqual((self.counters.calls, self.counters.responses, self.counters.observed), (0, 0, 0))
        phases = self.counters.takePhases()
        self.assertEqual({name: sum(each.buckets) for name, each in phases.items() if each.buckets}, {})
        self.assertEqual(phases["handle"].skipped, {"gate": 2 * SAMPLE})

    def test_awaited(self) -> None:
        """An answer that is awaited is in flight until it comes, is late, or nobody waits for it any more."""
        waiting: list[Deferred[bool]] = []
        self.plugin.answer = lambda: waiting.append(Deferred()) or waiting[-1]  # type: ignore[func-returns-value]
        self.ask()
        self.ask()
        self.assertEqual(self.counters.inFlight, 2)
        waiting[0].callback(True)
        self.assertEqual(self.counters.inFlight, 1)
        self.double.pass_(10)
        self.assertEqual((self.counters.inFlight, self.counters.timeouts), (0, 1))
        client = self.double.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(self.counters.inFlight, 1)
        client.leave()
        self.assertEqual(self.counters.inFlight, 0)
        self.flushLoggedErrors(PluginTimeout)

    def test_coroutines(self) -> None:
        """Of a coroutine all steps together are one call, whether or not its beginning was timed."""
        clock = self.double.clock

        async def work() -> bool:
            clock.advance(0.3)
            await succeed(None)
            clock.advance(0.3)
            return True

        self.plugin.answer = work
        for _ in range(SAMPLE):
            self.ask()
        handle = self.counters.takePhases()["handle"]
        self.assertEqual(handle.buckets, [0, SAMPLE, 0])
        self.assertAlmostEqual(handle.seconds, 0.6 * SAMPLE)
