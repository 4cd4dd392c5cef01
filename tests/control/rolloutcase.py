"""
An edge without a reactor on which what is saved takes steps.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.steering import Asker
from revproxy.plan.evidence import ArmCounts, Fingerprint, TrialEvidence
from revproxy.plan.words import Evidence
from tests.coordinators import Bench

STEPS = "[{shadow: 20%, until: {pairs: 30}}, " \
        "{canary: 5%, until: {fault: 1%}, at_most: 60s}, {canary: 50%, at_most: 9s}]"


def policy(steps: str = STEPS, more: str = "") -> str:
    """A section of the configuration: what is saved takes these steps."""
    return f"plugins: {{directory: plugins, rollout: {{default: {{steps: {steps}{more}}}}}}}"


class RolloutCase(SynchronousTestCase):
    """
    An edge on which a 1.0.0 runs, and all that is saved takes steps.
    """

    steps = STEPS
    more = ""

    def setUp(self) -> None:
        self.bench = Bench(Path(self.mktemp()), extra=policy(self.steps, self.more))
        self.bench.write("a")
        self.begin()
        self.addCleanup(self.end)

    def begin(self) -> None:
        """As a process does."""
        self.bench.start()
        self.rollouts = self.bench.control.rollouts
        self.driver = self.bench.control.rolloutDriver

    def end(self) -> None:
        """So."""
        self.bench.control.stop()
        self.bench.stop()

    def restart(self) -> None:
        """The edge ends, and another one begins."""
        self.bench.control.stop()
        self.bench.result(self.bench.control.end())
        self.bench.stop()
        self.begin()

    def save(self, version: str, name: str = "a", **more: Any) -> None:
        """A new version is saved."""
        self.bench.write(name, version=version, **more)
        self.bench.apply()
        self.settle()

    def settle(self) -> None:
        """What was begun comes to its end."""
        for _ in range(3):
            self.bench.clock.advance(0.01)

    def pass_(self, seconds: int) -> None:
        """So many seconds, one after the other."""
        for _ in range(seconds):
            self.bench.clock.advance(1.0)

    def view(self, name: str = "a") -> dict[str, Any]:
        """What is told of it."""
        return self.rollouts.view(name)

    def state(self, name: str = "a") -> str:
        """In a word."""
        return str(self.view(name)["state"])

    def do(self, command: str, name: str = "a", *arguments: Any) -> dict[str, Any]:
        """A command."""
        outcome = self.bench.result(getattr(self.rollouts, command)(Asker(), name, *arguments))
        self.settle()
        return dict(outcome)

    def runs(self, name: str = "a") -> str:
        """Which version does."""
        plan = self.bench.coordinator.plan
        assert plan is not None
        found = plan.find(name)
        return "" if found is None else found.entry.version.number

    def trialIds(self) -> list[str]:
        """Those that workers take part in."""
        plan = self.bench.coordinator.plan
        assert plan is not None
        return [trial.id for trial in plan.trials]

    def tell(self, name: str = "a", **evidence: Any) -> None:
        """A worker tells something of the trial of a plugin."""
        rollout = self.driver.book.find(name)
        assert rollout is not None
        now = self.bench.clock.seconds()
        self.driver.heard(0, Evidence(now, (TrialEvidence(rollout.id, **evidence),)))
        self.settle()

    def worse(self, name: str = "a") -> None:
        """The candidate raises something new for three clients."""
        prints = tuple(Fingerprint(bucket, True, "KeyError", "plugin.py", "handle") for bucket in (1, 2, 3))
        counts = ArmCounts(10, faults=3)
        self.tell(name, running=ArmCounts(100), candidate=counts, fingerprints=prints)

    def kinds(self) -> list[str]:
        """Of the events about rollouts."""
        return [kind for kind, _ in self.bench.kinds() if kind.startswith("rollout")]
