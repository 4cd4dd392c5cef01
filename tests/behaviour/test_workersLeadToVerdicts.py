"""
What a worker writes down of calls, told to the judge each second, leads to the right verdict: over warm-up, a ramp, and
figures that the worker has to learn first.
"""

from __future__ import annotations

import random

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.rolloutpolicy import Step, Until
from revproxy.control.rollout.judge import Judge
from revproxy.control.rollout.verdict import Verdict
from revproxy.worker.rollout.trialbook import SAMPLES, TrialBook
from tests.control.rollout.evidences import drawn, labels
from tests.trials import trial

NONE, TENTH, HALF = drawn(0, 410, 2048)


def step(share: float) -> Step:
    """
    A canary that 5 % faults are to be excluded in.
    """
    return Step("canary", share, Until(fault=0.05, power=0.9))


class JudgeByEvidenceTests(SynchronousTestCase):
    """
    A worker's book and a judge, with one clock.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1e9)
        self.chance = random.Random(11)
        self.book = TrialBook(trial("a", stage="shadow", canary=NONE), self.clock.seconds, self.clock.seconds)
        self.judge = Judge(now=self.clock.seconds())
        self.judge.begin(Step("shadow", 0.1, Until(pairs=10)), NONE, self.clock.seconds())
        self.faults = self.slower = 0.0

    def canary(self, share: float, canary: bytes) -> None:
        """
        All workers have committed to this step.
        """
        self.book.adopt(trial("a", canary=canary))
        if share < 0.5:
            self.book.cool(True)
        self.clock.advance(0.01)
        self.judge.begin(step(share), canary, self.clock.seconds())

    def second(self, calls: int = 200) -> Verdict:
        """
        So many calls of as many clients, and what the judge says of them.
        """
        isCandidates = labels(self.book.trial.canary)
        for _ in range(calls):
            self.clock.advance(1 / calls)
            bucket = self.chance.randrange(4096)
            isOurs = isCandidates[bucket]
            if not self.book.asked(isOurs, False):
                continue
            late = self.slower if isOurs else 0.0
            self.book.took("a", isOurs, bucket, 0.0001 * self.chance.lognormvariate(0, 0.5) + late)
            if isOurs and self.chance.random() < self.faults:
                self.book.failed(True, bucket)
        told = self.book.take()
        if told is not None:
            self.judge.heard(told)
        return self.judge.verdict(self.clock.seconds())

    def until(self, *kinds: str, most: int = 60) -> tuple[Verdict, int]:
        """
        The first verdict of these, and after how many seconds it came.
        """
        for second in range(1, most + 1):
            verdict = self.second()
            if verdict.kind in kinds:
                return verdict, second
        raise AssertionError(f"none of {kinds} in {most} s: {verdict}")

    def test_equalVersionGoesThroughItsSteps(self) -> None:
        """
        Thresholds are learnt in the shadow, and the second step takes no longer than the first.
        """
        for _ in range(SAMPLES // 200 + 2):
            self.second()
        self.assertEqual(set(self.judge.thresholds), {"a"})
        self.canary(0.1, TENTH)
        self.assertEqual(self.second().kind, "no-traffic")
        _, first = self.until("no-regression", "regression")
        self.canary(0.5, HALF)
        verdict, second = self.until("no-regression", "regression")
        self.assertEqual(verdict.kind, "no-regression")
        self.assertTrue(first < 30 and second < 15, (first, second))

    def test_faultsAreFound(self) -> None:
        """
        Those that begin with the second step, too.
        """
        self.canary(0.1, TENTH)
        self.until("no-regression")
        self.canary(0.5, HALF)
        self.faults = 0.3
        verdict, seconds = self.until("regression")
        self.assertEqual((verdict.family, seconds < 5), ("faults", True))

    def test_whatIsSlowAfterTheRampIsFound(self) -> None:
        """
        Although nearly all buckets have had a call that was slow before.
        """
        for _ in range(SAMPLES // 200 + 2):
            self.second()
        self.canary(0.1, TENTH)
        for _ in range(40):
            self.second(800)
        self.canary(0.5, HALF)
        self.slower = 0.002
        verdict, seconds = self.until("regression")
        self.assertTrue(verdict.family.startswith("slow"), verdict)
        self.assertLess(seconds, 4)
