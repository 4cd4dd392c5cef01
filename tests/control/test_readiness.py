"""Whether the edge is ready for requests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.crew import Crew
from revproxy.control.readiness import SLACK, Readiness
from revproxy.control.targetstates import TargetStates
from revproxy.plan import words
from revproxy.plan.events import EventLog
from revproxy.plan.plan import Plan
from revproxy.plan.words import TargetChanged
from tests.control.conversations import FakeLink, makeConfig

CONFIG = makeConfig("upstreams: {web: {fail_timeout: 20, targets: ['http://a', 'http://b']}}\n")


class CoordinatorDouble:
    """As much of a coordinator as is looked at."""

    plan: Plan | None = None
    hasEnded = False


class ReadinessTests(SynchronousTestCase):
    """An edge with an upstream."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.told: list[Any] = []
        self.crew = Crew(self.clock)
        self.crew.employ([FakeLink(self.told.append)])
        self.coordinator: Any = CoordinatorDouble()
        self.targets = TargetStates(EventLog(self.clock.seconds))
        self.readiness = Readiness(self.coordinator, self.targets, self.crew, self.clock)

    def commit(self, **changes: Any) -> None:
        """A plan is in force."""
        self.coordinator.plan = replace(Plan(1, CONFIG, {}, (), ()), **changes)
        self.targets.committed(CONFIG)
        self.readiness.look()

    def says(self, host: str, isUp: bool) -> None:
        """The worker passes a target over, or no longer."""
        self.targets.changed(0, TargetChanged("web", f"http://{host}", isUp, "" if isUp else "refused"))

    def heard(self) -> list[bool]:
        """What the worker was told."""
        return [word.isReady for word in self.told if isinstance(word, words.Readiness)]

    def test_way(self) -> None:
        """Not while it starts, and not from the moment on that it is to end."""
        self.assertEqual(self.readiness.reasons, ("it is starting",))
        self.commit()
        self.assertEqual((self.readiness.reasons, self.readiness.isReady), ((), True))
        self.coordinator.hasEnded = True
        self.readiness.look()
        self.assertEqual(self.readiness.reasons, ("it is being stopped",))
        self.assertEqual(self.heard(), [True, False])

    def test_onlyChanges(self) -> None:
        """Workers are told what is new to them, and no more; those that come later are told first of all."""
        for _ in range(3):
            self.commit()
        self.assertEqual(self.heard(), [True])
        self.assertEqual(self.readiness.word(), words.Readiness(True))

    def test_missing(self) -> None:
        """Plugins that are required and missing are named."""
        self.commit(missing={"auth": (0,), "audit": (0,)})
        self.assertEqual(self.readiness.reasons, (
            "plugin audit is required, and missing", "plugin auth is required, and missing"))
        self.commit()
        self.assertEqual(self.heard(), [True])

    def test_upstreamDown(self) -> None:
        """Not ready with the last target that is down, ready with the first that answers."""
        self.commit()
        self.says("a", False)
        self.assertTrue(self.readiness.isReady)
        self.says("b", False)
        self.assertEqual(self.readiness.reasons, ("upstream web: no target answers",))
        self.says("a", True)
        self.assertEqual(self.heard(), [True, False, True])
        self.clock.advance(60)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_notForEver(self) -> None:
        """Without requests nobody would find out: it is ready again after a while, and not if they fail as before."""
        self.commit()
        for host in "ab":
            self.says(host, False)
        self.clock.pump([1] * 20)
        self.assertFalse(self.readiness.isReady)
        self.says("b", False)
        self.clock.pump([1] * 24)
        self.assertEqual(self.heard(), [True, False])
        self.clock.pump([1] * int(SLACK))
        self.assertEqual(self.heard(), [True, False, True])
        self.says("a", False)
        self.assertEqual(self.heard(), [True, False, True, False])

    def test_drained(self) -> None:
        """With all targets drained it is not ready, however long; with one that is left, that one counts."""
        self.commit()
        self.targets.drained({("web", "http://a"), ("web", "http://b")})
        self.clock.pump([10] * 30)
        self.assertEqual(self.readiness.reasons, ("upstream web: all its targets are drained",))
        self.targets.drained({("web", "http://a")})
        self.assertTrue(self.readiness.isReady)
        self.says("b", False)
        self.assertEqual(self.readiness.reasons, ("upstream web: no target answers",))

    def test_end(self) -> None:
        """At the end nothing is looked at any more."""
        self.commit()
        for host in "ab":
            self.says(host, False)
        self.coordinator.hasEnded = True
        self.readiness.look()
        self.assertEqual(self.clock.getDelayedCalls(), [])
