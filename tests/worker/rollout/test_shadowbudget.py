"""Tests for `revproxy.worker.rollout.shadowbudget`."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.worker.rollout.shadowbudget import LATE, MOST, PAUSE, SHARE, ShadowBudget


class BudgetTests(SynchronousTestCase):
    """Shadows have a small share of the loop."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.budget = ShadowBudget(self.clock.seconds)

    def test_share(self) -> None:
        """What is used up comes back in time, as a share of it."""
        self.budget.spent(MOST + 1.0)
        self.assertFalse(self.budget.isOpen)
        self.clock.advance(0.99 / SHARE)
        self.assertFalse(self.budget.isOpen)
        self.clock.advance(0.02 / SHARE)
        self.assertTrue(self.budget.isOpen)

    def test_most(self) -> None:
        """No more is saved up than that, however long nothing was used."""
        self.clock.advance(1000)
        self.assertTrue(self.budget.isOpen)
        self.budget.spent(MOST)
        self.assertFalse(self.budget.isOpen)

    def test_longRun(self) -> None:
        """Whoever takes all there is has had that share in the end."""
        used = 0.0
        for _ in range(10_000):
            self.clock.advance(0.01)
            while self.budget.isOpen:
                self.budget.spent(0.001)
                used += 0.001
        self.assertLess(abs(used / self.clock.seconds() - SHARE), 0.002)

    def test_late(self) -> None:
        """Where others wait for the loop, there is nothing for a while."""
        self.assertFalse(self.budget.wasLate(LATE / 2))
        self.assertTrue(self.budget.isOpen)
        self.assertTrue(self.budget.wasLate(LATE))
        self.assertFalse(self.budget.isOpen)
        self.clock.advance(PAUSE)
        self.assertTrue(self.budget.isOpen)
