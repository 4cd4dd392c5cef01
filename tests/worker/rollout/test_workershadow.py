"""A shadow in a whole worker: of requests that go through it, and of nothing else."""

from __future__ import annotations

from typing import Any

from revproxy.plan.catalog import CatalogEntry
from revproxy.plan.plan import Plan
from revproxy.plan.words import Evidence, Stalled
from revproxy.testing import makeContext
from revproxy.worker.guard.stallguard import Stall
from revproxy.worker.rollout.shadowcopy import HOLDS
from tests.plan.trials import trialOf, withTrials
from tests.worker.workers import WorkerCase, entry

REPLACED = """
    def handle(self, context):
        context.values["seen"] = ["other"]
        return True
"""


class WorkerShadowTests(WorkerCase):
    """A plugin whose next version is tried on each request."""

    def setUp(self) -> None:
        super().setUp()
        self.running, self.candidate = entry("p", "1.0"), entry("p", "2.0", REPLACED)

    def onTrial(self, running: CatalogEntry, candidate: CatalogEntry, **more: Any) -> Plan:
        config = self.config("routes: [{name: r, respond: {}}]\n")
        plan = self.plan(1, config, running)
        given = {"stage": "shadow", "sampled": 1.0, **more}
        return withTrials(plan, (trialOf("p", **given), {"p": candidate}))

    def request(self) -> Any:
        """One that comes, and is over."""
        generation = self.worker.edge.generation
        route = generation.find(b"h", b"/")
        assert route is not None
        context = makeContext()
        context._route = route
        self.assertIs(generation.chains[route.group].enter(context), True)
        context.over()
        for _ in range(10):  # turns of a loop that has not much to do
            self.reactor.advance(0.01)
        return context

    def test_compared(self) -> None:
        """What the candidate does is told, and what serves counts its own calls only."""
        self.become(self.onTrial(self.running, self.candidate))
        self.assertEqual(self.request().values, {"seen": ["p 1.0"]})
        self.reactor.advance(1)
        ((pairs,),) = [word.pairs for word in self.told if isinstance(word, Evidence) and word.pairs]
        self.assertEqual((pairs.trial, pairs.compared, pairs.differences[0].field), ("r1", 1, "values.seen"))
        running = self.worker.staging.running
        assert running is not None
        self.assertEqual(running.versions["p"].counters.calls, 1)

    def test_over(self) -> None:
        """When the trial is over, its copies are gone, and nothing is taken down any more."""
        self.become(self.onTrial(self.running, self.candidate))
        self.request()
        self.become(self.plan(3, self.config("routes: [{name: r, respond: {}}]\n"), self.running))
        self.assertEqual(self.request()._made, ())
        self.settle(5)
        ((pairs,),) = [word.pairs for word in self.told if isinstance(word, Evidence) and word.pairs]
        self.assertEqual(pairs.compared, 1)
        self.assertEqual(self.worker.retirement.counts(), {})

    def stalls(self, isCandidate: bool) -> None:
        """A copy holds the loop."""
        copies = self.worker.shadow._trials["r1"].plugins["p"]
        copy = copies.candidate if isCandidate else copies.running
        self.worker._stalled(Stall("p", "1.0", "plugin.py:1", "handle", 1.0, True, copy._version, 0.1))

    def test_stall(self) -> None:
        """A copy that holds the loop is no failure of what serves, but its trial is told: real requests have waited."""
        self.become(self.onTrial(self.running, self.candidate))
        self.request()
        for isCandidate in (False, True):
            self.stalls(isCandidate)
        self.assertEqual([word for word in self.told if isinstance(word, Stalled)], [])
        told = [each for word in self.told if isinstance(word, Evidence) for each in word.trials]
        stalls = [(each.trial, stall.isCandidate, stall.seconds) for each in told for stall in each.stalls]
        self.assertEqual(stalls, [("r1", False, 1.0), ("r1", True, 1.0)])
        running = self.worker.staging.running
        assert running is not None
        self.worker._stalled(Stall("p", "1.0", "plugin.py:1", "handle", 1.0, True, running.versions["p"]))
        self.assertEqual(len([word for word in self.told if isinstance(word, Stalled)]), 1)

    def test_stallsAgain(self) -> None:
        """One that does so twice is not tried any more."""
        self.become(self.onTrial(self.running, self.candidate))
        self.request()
        self.stalls(True)
        self.request()
        self.stalls(True)
        self.request()
        self.reactor.advance(1)
        pairs = [each for word in self.told if isinstance(word, Evidence) for each in word.pairs]
        self.assertEqual(sum(each.compared for each in pairs), 2)
        self.assertEqual([each.incomparable for each in pairs if each.incomparable], [{HOLDS: 1}])

    def test_end(self) -> None:
        """The worker ends with copies in it."""
        self.become(self.onTrial(self.running, self.candidate))
        self.request()
        self.end()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
