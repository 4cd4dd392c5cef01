"""
``revproxy.control.rollout.power``.
"""

from __future__ import annotations

import random
from math import exp, inf

from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.rollout.power import Expected, averageFor, chanceOf


class PowerTests(SynchronousTestCase):
    """
    ``chanceOf``, ``averageFor``.
    """

    def test_chanceIsPoissons(self) -> None:
        """
        Of one at least, of two at least; at the ends.
        """
        self.assertAlmostEqual(chanceOf(1, 2.0), 1 - exp(-2))
        self.assertAlmostEqual(chanceOf(2, 2.0), 1 - 3 * exp(-2))
        self.assertEqual([chanceOf(0, 0.0), chanceOf(1, 0.0), chanceOf(0, 5.0)], [1.0, 0.0, 1.0])
        self.assertEqual([chanceOf(3, 5000.0), chanceOf(501, 5000.0)], [1.0, 0.0])

    def test_averageIsTheOneOfWhichThatIsTheChance(self) -> None:
        """
        Three faults with the probability 0.9 take 5.3 on average.
        """
        self.assertAlmostEqual(averageFor(3, 0.9), 5.322, places=3)
        for faults in (1, 4, 13, 120):
            for power in (0.5, 0.9, 0.99):
                self.assertAlmostEqual(chanceOf(faults, averageFor(faults, power)), power, places=6)

    def test_whatCannotBeShownTakesForEver(self) -> None:
        """
        More faults than anybody counts.
        """
        self.assertEqual(averageFor(501, 0.9), inf)
        self.assertAlmostEqual(averageFor(0, 0.9), 0.0)


class ExpectedTests(SynchronousTestCase):
    """
    ``Expected``.
    """

    def test_onlyTheFirstFaultOfABucketCounts(self) -> None:
        """
        A thousand calls of one client show one, of a thousand clients ten.
        """
        one, many = Expected(0.01), Expected(0.01)
        one.called(0, 400)
        one.called(400, 1000)
        for _ in range(1000):
            many.called(0, 1)
        self.assertAlmostEqual(one.faults, 1.0, places=3)
        self.assertAlmostEqual(many.faults, 10.0)

    def test_isWhatComesOnAverage(self) -> None:
        """
        Of buckets with some calls each.
        """
        chance, expected = random.Random(4), Expected(0.05)
        seen = 0
        for _ in range(4000):
            calls = chance.randrange(1, 30)
            expected.called(0, calls)
            seen += any(chance.random() < 0.05 for _ in range(calls))
        self.assertTrue(0.95 < seen / expected.faults < 1.05, seen)
