"""
``revproxy.control.rollout.mediantime``.
"""

from __future__ import annotations

import random
from math import log

from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.rollout.mediantime import STAKE, MedianTime
from revproxy.plan.evidence import BucketTime
from tests.control.rollout.evidences import drawn, labels


class MedianTimeTests(SynchronousTestCase):
    """
    ``MedianTime``.
    """

    def setUp(self) -> None:
        self.isOurs = labels(*drawn(400))

    def calls(self, made: MedianTime, chance: random.Random, factor: float, isBefore: bool = False) -> None:
        """
        Ten calls of each of 1,000 buckets, of clients whose calls take more or less; slower by a factor where it is
        the candidate's.
        """
        for bucket in range(1000):
            usual = -9.2 + random.Random(bucket).gauss(0, 0.5)
            own = usual + (log(factor) if self.isOurs[bucket] and not isBefore else 0.0)
            logs = sum(own + chance.gauss(0, 0.8) for _ in range(10))
            made.heard(BucketTime(bucket, self.isOurs[bucket], 10, logs), isBefore)

    def looked(self, factor: float, seed: int = 1) -> MedianTime:
        """
        After one look.
        """
        made = MedianTime()
        made.begin()
        self.calls(made, random.Random(seed), factor)
        self.assertTrue(made.look(5.0, self.isOurs))
        return made

    def test_slowerThroughoutIsFound(self) -> None:
        """
        By a half: certainly.
        """
        made = self.looked(1.5)
        self.assertGreater(made.odds, 125)
        self.assertGreater(made.slower[0] / made.of[0], made.slower[1] / made.of[1])

    def test_fasterAndATenthSlowerAreNot(self) -> None:
        """
        The sign is looked at, and a tenth is let off.
        """
        for factor in (0.5, 1.0, 1.1):
            self.assertLess(self.looked(factor).odds, 1)

    def test_whatBucketsTookBeforeSharpensIt(self) -> None:
        """
        Clients whose calls always took long are not held against the candidate.
        """
        plain, sharp = MedianTime(), MedianTime()
        self.calls(sharp, random.Random(8), 1.0, isBefore=True)
        for made in (plain, sharp):
            made.begin()
            self.calls(made, random.Random(9), 1.25)
            made.look(5.0, self.isOurs)
        self.assertGreater(sharp.odds, 10 * plain.odds)

    def test_looksAreFewAndCostMoreEachTime(self) -> None:
        """
        At 5 s, 7.5 s, 11.25 s…, and after a pause once.
        """
        made = MedianTime()
        made.begin()
        looked = [second for second in range(60) if made.look(float(second), self.isOurs)]
        self.assertEqual(looked, [5, 8, 12, 17, 26, 38, 57])
        self.assertTrue(made.look(1000.0, self.isOurs))
        self.assertFalse(made.look(1001.0, self.isOurs))

    def test_lookHasItsPartOfTheStake(self) -> None:
        """
        The same sum weighs less in the second look than in the first, three times.
        """
        made = self.looked(1.3)
        first = made.odds
        made.look(8.0, self.isOurs)
        self.assertAlmostEqual(first / made.odds, 3.0, places=6)
        self.assertAlmostEqual(sum(STAKE / (k * (k + 1)) for k in range(1, 100_000)), STAKE, places=6)

    def test_threeBucketsAreTooFew(self) -> None:
        """
        However slow they are, and nothing at all is no reason, either.
        """
        made = MedianTime()
        made.begin()
        made.look(5.0, self.isOurs)
        self.assertEqual((made.odds < 1, made.of), (True, (0, 0)))
        ours = [bucket for bucket in range(4096) if self.isOurs[bucket]][:3]
        for bucket in ours:
            made.heard(BucketTime(bucket, True, 1000, 0.0), False)
        for bucket in range(100):
            if not self.isOurs[bucket]:
                made.heard(BucketTime(bucket, False, 10, -92.0), False)
        made.look(8.0, self.isOurs)
        self.assertLess(made.odds, 1)

    def test_allAlikeIsNoReason(self) -> None:
        """
        Figures that are equal share their rank.
        """
        made = MedianTime()
        made.begin()
        isOurs = [bucket < 50 for bucket in range(4096)]
        for bucket in range(50, 100):
            made.heard(BucketTime(bucket, False, 10, -92.0), False)
        for bucket in range(50):
            made.heard(BucketTime(bucket, True, 10, -92.0 + 10 * log(1.1)), False)
        made.look(5.0, isOurs)
        self.assertLess(made.odds, 1)

    def test_equalCandidatesAreRarelyFound(self) -> None:
        """
        In 100 rollouts of three looks hardly any: 0.15 % is staked on those.
        """
        found = 0
        for seed in range(100):
            self.isOurs = labels(*drawn(400, seed=seed))
            made, chance = MedianTime(), random.Random(seed)
            made.begin()
            for second in (5.0, 8.0, 12.0):
                for bucket in range(300):
                    logs = random.Random(bucket).gauss(-9, 0.5) + chance.gauss(0, 0.8)
                    made.heard(BucketTime(bucket, self.isOurs[bucket], 1, logs), False)
                made.look(second, self.isOurs)
                found += made.odds >= 125
        self.assertLessEqual(found, 1)

    def test_goesOnWhereItWas(self) -> None:
        """
        What was kept is enough, to seven digits; damage is told.
        """
        made = self.looked(1.3)
        again = MedianTime()
        again.restore(made.saved(), self.isOurs)
        self.assertEqual(again.active, made.active)
        for each in (made, again):
            self.calls(each, random.Random(4), 1.3)
            each.look(8.0, self.isOurs)
        self.assertAlmostEqual(again.odds / made.odds, 1.0, places=2)
        damaged = made.saved()
        damaged = type(damaged)(b"x", b"", b"", b"", 0, 0, 0.0, (0, 0), (0, 0))
        self.assertRaises(ValueError, again.restore, damaged, self.isOurs)
