"""
``revproxy.control.rollout.soundness``; what is refused, ``test_judge`` has.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.rollout.soundness import added, lossText, pairsTrouble, trouble
from revproxy.plan.evidence import ArmCounts, ArmStall, BucketTime, DifferenceCount, First, TrialEvidence, TrialPairs


class SoundnessTests(SynchronousTestCase):
    """
    ``trouble``, ``pairsTrouble``, ``added``.
    """

    def test_whatWorkersTellIsBelieved(self) -> None:
        """
        The first and the last bucket, logarithms below nothing, a stall of which the thread's time is not known.
        """
        evidence = TrialEvidence(
            "t", ArmCounts(requests=3, times={0: 1, 14: 2}), firsts=(First(1e9, "slow999", 4095, True),),
            times=(BucketTime(0, False, 2, -18.4),), stalls=(ArmStall(False, 0.3, None, "f", "p.py:1"),),
            thresholds={"a": (0.1, 0.2, 0.3)},
        )  # fmt: skip
        self.assertEqual(trouble(evidence), "")
        pairs = TrialPairs("t", compared=3, incomparable={"x": 1}, differences=(DifferenceCount("a", "b", 1, 0, 2),))
        self.assertEqual(pairsTrouble(pairs), "")

    def test_lostEventsAreCounted(self) -> None:
        """
        For whoever reads why.
        """
        self.assertIn("could not tell 7 events", lossText(TrialEvidence("t", lost=7)))
        self.assertEqual(lossText(TrialEvidence("t")), "")
        self.assertNotEqual(pairsTrouble(TrialPairs("t", differences=(DifferenceCount("a", "b", -1, 0, 0),))), "")

    def test_countsAreAddedUp(self) -> None:
        """
        All of them, and times bucket by bucket.
        """
        first = ArmCounts(1, 2, 3, 4, 5, 0.5, {1: 1, 2: 2})
        second = ArmCounts(10, 20, 30, 40, 50, 5.0, {2: 20, 3: 30})
        self.assertEqual(added(first, second), ArmCounts(11, 22, 33, 44, 55, 5.5, {1: 1, 2: 22, 3: 30}))
