"""Tests for `revproxy.worker.guard.versionhealth`: what is told of versions that fail, and gates before instances."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from revproxy.dataplane import counters
from revproxy.dataplane.chain import Chain
from revproxy.dataplane.link import Link
from revproxy.interfaces import IMiddleware
from revproxy.loop.deadlines import Deadlines
from revproxy.plan.versionid import VersionId
from revproxy.plan.words import Failures, LastFailure, Notice, Restored
from revproxy.testing import DestinationsDouble, makeContext
from revproxy.worker.guard.gate import Gate
from revproxy.worker.guard.recovery import COOLDOWN, PROBES
from revproxy.worker.guard.versionhealth import VersionHealth
from tests.worker.workers import entry


@implementer(IMiddleware)
class Plain:
    """Lets all through."""

    name = "a"

    def handle(self, context: Any) -> bool:
        return True


class VersionDouble:
    """A version."""

    def __init__(self, name: str = "a", onError: str = "closed") -> None:
        self.name = name
        self.id = VersionId("1.0")
        self.counters = counters.Counters()
        self.entry = entry(name, on_error=onError)
        self.module = None
        self.guardedBy = None


class InstanceDouble:
    """An instance of it that has run since a plan."""

    def __init__(self, version: VersionDouble, since: int | None = 1) -> None:
        self.version = version
        self.object = Plain()
        self.since = since


class PlanDouble:
    """A plan, as far as gates are concerned."""

    def __init__(self, number: int = 1, **gates: int) -> None:
        self.number = number
        self.gates = gates
        self.required: tuple[str, ...] = ()


class HealthCase(SynchronousTestCase):
    """
    One version with two instances.

    :ivar told: what control was told.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.told: list[Failures | Notice | Restored] = []
        self.health: Any = VersionHealth(self.clock.seconds, self.told.append)
        self.version = VersionDouble()
        self.first, self.second = InstanceDouble(self.version), InstanceDouble(self.version)


    def probe(self, *gates: Any) -> None:
        """Requests that go well, as many as it takes."""
        self.clock.advance(COOLDOWN)
        for chain in map(self.chain, gates):
            for _ in range(PROBES):
                context = makeContext("GET", "/")
                self.assertIs(chain.enter(context), True)
                chain.finished(context)

    def chain(self, middleware: Any) -> Any:
        """A chain with this in it."""
        link = Link(
            middleware,
            "a",
            "1.0",
            open=False,
            timeout=None,
            deadlines=Deadlines(self.clock, 1),
            makeClient=lambda: None,
            services=lambda interface: None,
            destinations=DestinationsDouble(),
            counters=self.version.counters,
        )
        self.addCleanup(link.deadlines.stop)
        return Chain([link])


class GateTests(HealthCase):
    """Where there is a gate."""

    def test_none(self) -> None:
        """Without a quarantine the instance stands in the chain itself."""
        self.assertIs(self.health.inChain(self.first, PlanDouble()), self.first.object)
        self.assertIs(self.health.inChain(self.first, PlanDouble(b=2)), self.first.object)

    def test_before(self) -> None:
        """Instances that ran when it began have a gate; those made with its plan or later have none."""
        plan = PlanDouble(a=3)
        self.assertIsInstance(self.health.inChain(InstanceDouble(self.version, 2), plan), Gate)
        for since in (3, 4, None):
            instance = InstanceDouble(self.version, since)
            self.assertIs(self.health.inChain(instance, plan), instance.object)

    def test_stays(self) -> None:
        """A gate stays the same over plans that have it, with how far its instance has come back."""
        plan = PlanDouble(a=3)
        gate = self.health.inChain(self.first, plan)
        self.assertEqual(self.health.gates, {})
        self.health.adopt({self.first}, plan)
        self.assertEqual((self.health.gates, self.health.gated()), ({self.first: gate}, ("a",)))
        self.assertIs(self.health.inChain(self.first, PlanDouble(a=3, b=4)), gate)

    def test_abandoned(self) -> None:
        """A gate of a plan that was given up is made anew with the next: its cooldown has not begun."""
        plan = PlanDouble(a=3)
        gate = self.health.inChain(self.first, plan)
        self.assertIs(self.health.inChain(self.first, plan), gate)
        self.health.abandon()
        self.assertIsNot(self.health.inChain(self.first, plan), gate)

    def test_lifted(self) -> None:
        """With a plan that has no gate, or without the instance, it is given up."""
        plan = PlanDouble(a=3)
        for instance in (self.first, self.second):
            self.health.inChain(instance, plan)
        self.health.adopt({self.first, self.second}, plan)
        self.health.adopt({self.first}, plan)
        self.assertEqual(set(self.health.gates), {self.first})
        self.health.adopt({self.first}, PlanDouble())
        self.assertEqual(self.health.gates, {})

    def test_letBack(self) -> None:
        """An instance that was let back has no gate in later plans, until another quarantine begins."""
        gate = self.health.inChain(self.first, PlanDouble(a=3))
        self.health.inChain(self.second, PlanDouble(a=3))
        self.health.adopt({self.first, self.second}, PlanDouble(a=3, number=3))
        self.probe(gate)
        self.assertIs(self.health.inChain(self.first, PlanDouble(a=3)), self.first.object)
        self.assertIsInstance(self.health.inChain(self.first, PlanDouble(a=4)), Gate)
        self.assertIsInstance(self.health.inChain(self.second, PlanDouble(a=3)), Gate)

    def test_onError(self) -> None:
        """What becomes of requests meanwhile, the manifest says."""
        for onError, isOpen in (("open", True), ("closed", False)):
            instance = InstanceDouble(VersionDouble(onError=onError))
            self.assertIs(self.health.inChain(instance, PlanDouble(a=2)).open, isOpen)


class WordTests(HealthCase):
    """What control is told."""

    def failures(self, count: int, instance: Any = None) -> list[tuple[int, int, bool]]:
        """So many failures: count, calls and whether it is described, of each word."""
        self.told.clear()
        for _ in range(count):
            self.version.counters.calls += 1
            self.health.failed(instance or self.first, Failure(ValueError("no")))
        return self.words()

    def words(self) -> list[tuple[int, int, bool]]:
        """The same, of what was told since."""
        words = [word for word in self.told if isinstance(word, Failures)]
        return [(word.count, word.calls, word.last is not None) for word in words]

    def test_failed(self) -> None:
        """Each failure, with how many calls there were, and what it was."""
        self.clock.advance(100)
        self.failures(1)
        self.assertEqual(self.told, [
            Failures("a", VersionId("1.0"), 1, 1, LastFailure(100.0, "ValueError: no"))
        ])  # fmt: skip

    def test_many(self) -> None:
        """Of thousands in a second ten are told of; the rest are one word later. None is lost."""
        self.assertEqual(self.failures(10_000), [(1, number + 1, True) for number in range(10)])
        self.told.clear()
        self.health.tellRest()
        self.health.tellRest()
        self.assertEqual(self.words(), [(9_990, 10_000, False)])
        self.clock.advance(1)
        self.failures(20)
        self.clock.advance(1)
        self.assertEqual(self.failures(1), [(11, 10_021, True)])

    def test_probes(self) -> None:
        """That probes fail does not count: it is what the gate is for. What it was is told."""
        plan = PlanDouble(a=2)
        self.health.inChain(self.first, plan)
        self.health.adopt({self.first, self.second}, plan)
        self.assertEqual(self.failures(1), [(0, 1, True)])
        self.health.tellRest()
        self.assertEqual(len(self.told), 1)
        self.assertEqual(self.failures(1, self.second), [(1, 2, True)])

    def test_restored(self) -> None:
        """Each instance that has passed its probes, and how many of its version have not yet."""
        plan = PlanDouble(a=2)
        gates = [self.health.inChain(instance, plan) for instance in (self.first, self.second)]
        self.health.adopt({self.first, self.second}, plan)
        self.probe(*gates)
        words = [word for word in self.told if isinstance(word, Restored)]
        self.assertEqual(words, [Restored("a", VersionId("1.0"), 1), Restored("a", VersionId("1.0"), 0)])
        self.assertEqual(self.health.gates, {})
        notices = [word.kind for word in self.told if isinstance(word, Notice)]
        self.assertEqual((notices[0], notices.count("restored")), ("half-open", 2))
