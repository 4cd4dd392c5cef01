"""
``revproxy.control.rollout.stepclock``.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.rollout.stepclock import StepClock


class StepClockTests(SynchronousTestCase):
    """
    ``StepClock``.
    """

    def setUp(self) -> None:
        self.clock = StepClock(900.0)
        self.clock.begin(1000.0)

    def test_secondsThatPassAreCounted(self) -> None:
        """
        As often as anybody looks.
        """
        for now in (1000.5, 1001.0, 1001.0, 1020.0):
            self.clock.advance(now)
        self.assertEqual((self.clock.seconds, self.clock.since), (20.0, 1000.0))
        self.assertTrue(self.clock.isLate)

    def test_leapForwardIsNoTime(self) -> None:
        """
        A machine that slept for a night has shown nothing.
        """
        self.clock.advance(1005.0)
        self.clock.advance(30_000.0)
        self.clock.advance(30_001.0)
        self.assertEqual(self.clock.seconds, 6.0)

    def test_leapBackIsNoTimeAndMovesTheBeginning(self) -> None:
        """
        What comes then is of this step, although the clock shows less.
        """
        self.clock.advance(1005.0)
        self.clock.advance(500.0)
        self.clock.advance(501.0)
        self.assertEqual((self.clock.seconds, self.clock.since), (6.0, 500.0))

    def test_whatPassedWhileNobodyLookedIsNoTime(self) -> None:
        """
        After a restart.
        """
        self.clock.advance(1005.0)
        again = StepClock(1050.0)
        again.restore(self.clock.saved())
        again.advance(1051.0)
        self.assertEqual((again.seconds, again.since), (6.0, 1000.0))
