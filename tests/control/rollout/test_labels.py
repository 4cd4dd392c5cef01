"""
``revproxy.control.rollout.labels``.
"""

from __future__ import annotations

import random
from math import isclose

from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.rollout.labels import MARGIN, Labels
from revproxy.control.rollout.mixture import Mixture
from revproxy.plan.trial import BUCKETS
from tests.control.rollout.evidences import drawn, labels, split


def begun(*canaries: bytes) -> Labels:
    """
    After the beginnings of steps with these.
    """
    made = Labels()
    for number, canary in enumerate(canaries, 1):
        made.begin(number, labels(canary))
    return made


class LabelsTests(SynchronousTestCase):
    """
    ``Labels``.
    """

    def setUp(self) -> None:
        self.small, self.large = drawn(205, 2048)
        self.ours, self.theirs = split(self.small)

    def test_oddsAreThoseOfTheBucketsLeft(self) -> None:
        """
        Drawn without replacement: (K - k) to the others left, and a quarter more is let off.
        """
        family = begun(self.small)
        expected = Mixture()
        expected.saw(True, 205 / 3891 * MARGIN)
        expected.saw(False, 204 / 3891 * MARGIN)
        expected.saw(True, 204 / 3890 * MARGIN)
        for bucket in (self.ours[0], self.theirs[0], self.ours[1]):
            family.happened(bucket)
        self.assertTrue(isclose(family.more.odds(), expected.odds()))
        self.assertEqual((family.candidate, family.running), (2, 1))

    def test_secondEventOfABucketSaysNothing(self) -> None:
        """
        One client that fails a thousand times is one.
        """
        family = begun(self.small)
        for _ in range(1000):
            family.happened(self.ours[0])
        once = begun(self.small)
        once.happened(self.ours[0])
        self.assertEqual(family.saved(), once.saved())

    def test_threeOfThreeDecideAtFivePercent(self) -> None:
        """
        Weighted with what faults have at stake.
        """
        family = begun(self.small)
        for bucket in self.ours[:2]:
            family.happened(bucket)
        self.assertLess(0.4 * family.more.odds(), 125)
        family.happened(self.ours[2])
        self.assertGreater(0.4 * family.more.odds(), 125)

    def test_fewerIsTheOtherWayRound(self) -> None:
        """
        Where it happens to the running version's clients alone, it happens less often to the candidate's.
        """
        family = begun(self.large)
        ours, theirs = split(self.large)
        for bucket in theirs[:40]:
            family.happened(bucket)
        self.assertGreater(family.fewer.odds(), 1000)
        self.assertLess(family.more.odds(), 0.1)
        for bucket in ours[:60]:
            family.happened(bucket)
        self.assertLess(family.fewer.odds(), 1)

    def test_nothingIsSaidWhereItIsCertainWhoseABucketIs(self) -> None:
        """
        No bucket is the candidate's, or all are: nothing is drawn.
        """
        for count in (0, BUCKETS):
            family = begun(*drawn(count))
            for bucket in range(100):
                family.happened(bucket)
            self.assertEqual((family.more.odds(), family.fewer.odds()), (1.0, 1.0))
            self.assertIsNone(family.oddsLeft())

    def test_everyBucketAtLast(self) -> None:
        """
        When it has happened to all, there is no odds left to reckon with.
        """
        family = begun(self.small)
        for bucket in range(BUCKETS):
            family.happened(bucket)
        self.assertIsNone(family.oddsLeft())
        self.assertEqual((family.candidate, family.running), (205, BUCKETS - 205))

    def test_rampDrawsAgainFromThoseThatWereTheRunningVersions(self) -> None:
        """
        In the next step an event in such a bucket counts again, with odds of its own; of the candidate's it does not.
        """
        family = begun(self.small)
        for bucket in (self.ours[0], *self.theirs[:100]):
            family.happened(bucket)
        before = family.more.logs[:]
        family.begin(2, labels(self.large))
        self.assertEqual((family.candidate, family.running), (0, 0))
        family.happened(self.ours[0])
        self.assertEqual(family.more.logs, before)
        isOurs = labels(self.large)
        again = self.theirs[:100]
        odds = sum(isOurs[bucket] for bucket in again) / sum(not isOurs[bucket] for bucket in again)
        expected = Mixture()
        expected.restore(before)
        expected.saw(isOurs[again[7]], odds * MARGIN)
        family.happened(again[7])
        self.assertTrue(isclose(family.more.odds(), expected.odds()))

    def test_stepWithTheSameBucketsSaysNothingNewOfThose(self) -> None:
        """
        Whose they are is known.
        """
        family = begun(self.small)
        for bucket in (*self.ours[:1], *self.theirs[:50]):
            family.happened(bucket)
        before = family.more.logs[:]
        family.begin(2, labels(self.small))
        for bucket in (*self.ours[:1], *self.theirs[:50]):
            family.happened(bucket)
        self.assertEqual(family.more.logs, before)

    def test_stepThatIsMeasuredAnewDrawsNothingAgain(self) -> None:
        """
        Whose bucket it was when it happened first is known since, and the odds stay those of the others.
        """
        family = begun(self.small)
        for bucket in self.theirs[:100]:
            family.happened(bucket)
        family.begin(2, labels(self.large))
        for bucket in self.theirs[:50]:
            family.happened(bucket)
        before = family.saved()
        family.anew()
        self.assertEqual((family.candidate, family.running), (0, 0))
        for bucket in self.theirs[:50]:
            family.happened(bucket)
        self.assertEqual((family.saved().sets, family.more.logs), (before.sets, list(before.more)))

    def test_equalCandidatesRarelyDecideOverARamp(self) -> None:
        """
        Over 5, 25 and 50 %, with everything happening to every second bucket in each step: 1 in 100 gets to 100.
        """
        chance, found = random.Random(3), 0
        for seed in range(300):
            family = Labels()
            highest = 0.0
            for number, canary in enumerate(drawn(205, 1024, 2048, seed=seed), 1):
                family.begin(number, labels(canary))
                for bucket in chance.sample(range(BUCKETS), 200):
                    family.happened(bucket)
                    highest = max(highest, family.more.logs[0], family.more.logs[2])
            found += highest > 4.6
        self.assertLessEqual(found, 6)

    def test_goesOnWhereItWas(self) -> None:
        """
        What was kept is all there is.
        """
        family = begun(self.small, self.large)
        for bucket in (*self.ours[:3], *self.theirs[:3]):
            family.happened(bucket)
        again = Labels()
        again.restore(family.saved(), labels(self.large))
        for made in (family, again):
            made.happened(self.theirs[9])
            made.begin(3, labels(self.large))
            made.happened(self.theirs[1])
        self.assertEqual(again.saved(), family.saved())

    def test_otherNumbersOfBucketsAreRefused(self) -> None:
        """
        What was kept has to fit.
        """
        saved = begun(self.small).saved()
        self.assertRaises(ValueError, Labels().restore, type(saved)(b"", saved.more, saved.fewer, 0, 0), [])
        for counts in ((1 << 40, 0), (0, -1)):
            damaged = type(saved)(saved.sets, saved.more, saved.fewer, *counts)
            self.assertRaises(ValueError, Labels().restore, damaged, [])
