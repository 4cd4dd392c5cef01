"""
``revproxy.control.rollout.detection``.
"""

from __future__ import annotations

from math import inf

from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.rollout.detection import (
    LONGEST,
    UNEVEN,
    WARM_SECONDS,
    faultsNeeded,
    fewerNeeded,
    secondsUntilFound,
    secondsUntilShown,
)


class DetectionTests(SynchronousTestCase):
    """
    How long until a bad candidate is found.
    """

    def test_faultsThatDecide(self) -> None:
        """
        At 5, 10, 25 and 50 %, where the running version has none: 3, 4, 6, 13. So it was simulated.
        """
        self.assertEqual([faultsNeeded(share) for share in (0.05, 0.1, 0.25, 0.5)], [3, 4, 6, 13])

    def test_faultsOfTheRunningVersionTakeMore(self) -> None:
        """
        The more there are of them.
        """
        needed = [faultsNeeded(0.05, running) for running in (0, 10, 100)]
        self.assertEqual(needed, sorted(set(needed)))

    def test_timeIsThatOfSoManyFaults(self) -> None:
        """
        5 % of 20 in a second, 1 % of them: one in 100 s, three in 267 s in half of all cases, and the warm-up.
        """
        self.assertAlmostEqual(secondsUntilFound(20, 0.05, 0.01, uneven=1) / (267 + WARM_SECONDS), 1.0, places=1)
        self.assertAlmostEqual(secondsUntilFound(2000, 0.05, 0.01, uneven=1) / (2.67 + 1), 1.0, places=1)

    def test_unevenClientsTakeLonger(self) -> None:
        """
        The warm-up does not.
        """
        even, uneven = (secondsUntilFound(200, 0.05, 0.01, uneven=times) for times in (1.0, UNEVEN))
        self.assertAlmostEqual(uneven - WARM_SECONDS, UNEVEN * (even - WARM_SECONDS))

    def test_probabilityTakesLonger(self) -> None:
        """
        And more of it longer.
        """
        found = secondsUntilFound(200, 0.05, 0.01)
        times = [secondsUntilShown(200, 0.05, 0.01, power) for power in (0.8, 0.9, 0.99)]
        self.assertEqual([found, *times], sorted([found, *times]))

    def test_backgroundTakesLonger(self) -> None:
        """
        And a candidate no worse than that is never found.
        """
        self.assertGreater(secondsUntilFound(200, 0.05, 0.01, 0.001), 1.5 * secondsUntilFound(200, 0.05, 0.01))
        self.assertGreater(secondsUntilFound(200, 0.05, 0.01, 0.01), LONGEST)

    def test_nothingComesOfNothing(self) -> None:
        """
        No traffic, no candidate, nothing to compare with.
        """
        self.assertEqual([secondsUntilFound(*case, 0.01) for case in ((0, 0.05), (20, 0.0), (20, 1.0))], [inf] * 3)

    def test_guardsThatLetThroughTakeMany(self) -> None:
        """
        At 5 % two hundred clients that are stopped by the running version alone; with one bucket there are too few.
        """
        self.assertEqual([fewerNeeded(share) for share in (0.05, 0.5)], [194, 14])
        self.assertIsNone(fewerNeeded(0.0001))
