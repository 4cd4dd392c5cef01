"""Tests for :mod:`revproxy.loop.deadlines`."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.loop.deadlines import NEVER, Deadlines


class Waiter:
    """Counts how often its deadline was noticed."""

    def __init__(self, deadline: float, then: Callable[[], None] = lambda: None) -> None:
        self.deadline = deadline
        self.expired = 0
        self._then = then

    def deadlineExpired(self) -> None:
        self.expired += 1
        self.deadline = NEVER
        self._then()


class DeadlinesTests(SynchronousTestCase):
    """One sweep looks at all."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.deadlines = Deadlines(self.clock, 0.5)

    def test_expires(self) -> None:
        """A deadline is noticed late by at most a period, never early, and once."""
        waiter = Waiter(1.2)
        self.deadlines.watch(waiter)
        self.clock.pump([0.5, 0.5])
        self.assertEqual(waiter.expired, 0)
        self.clock.pump([0.5] * 4)
        self.assertEqual(waiter.expired, 1)

    def test_moved(self) -> None:
        """A deadline is moved by setting it."""
        waiter = Waiter(1.0)
        self.deadlines.watch(waiter)
        self.clock.advance(0.5)
        waiter.deadline = 2.0
        self.clock.pump([0.5, 0.5])
        self.assertEqual(waiter.expired, 0)
        self.clock.pump([0.5, 0.5])
        self.assertEqual(waiter.expired, 1)

    def test_forgotten(self) -> None:
        """What is forgotten does not expire; forgetting a stranger is no error."""
        waiter = Waiter(0.5)
        self.deadlines.watch(waiter)
        self.deadlines.forget(waiter)
        self.deadlines.forget(Waiter(1))
        self.clock.pump([0.5] * 3)
        self.assertEqual(waiter.expired, 0)

    def test_onlyWhileNeeded(self) -> None:
        """With nothing to watch there is no timer, and it comes back with the next."""
        self.assertEqual(self.clock.getDelayedCalls(), [])
        waiter = Waiter(NEVER)
        self.deadlines.watch(waiter)
        self.deadlines.watch(Waiter(NEVER))
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.deadlines.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.deadlines.watch(waiter)
        self.deadlines.forget(waiter)
        self.clock.advance(0.5)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.deadlines.watch(waiter)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_raises(self) -> None:
        """What one raises is logged and harms no other."""

        def fail() -> None:
            raise ValueError("x")

        waiters = [Waiter(0.5, fail), Waiter(0.5), Waiter(0.5, fail)]
        for waiter in waiters:
            self.deadlines.watch(waiter)
        self.clock.pump([0.5, 0.5])
        self.assertEqual([waiter.expired for waiter in waiters], [1, 1, 1])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)

    def test_oneEndsAnother(self) -> None:
        """If the first to expire lets go of the second, or moves its deadline, that one does not expire."""
        pair: list[Waiter] = []

        def forgetBoth() -> None:
            for waiter in pair:
                self.deadlines.forget(waiter)

        pair += [Waiter(0.5, forgetBoth), Waiter(0.5, forgetBoth)]
        for waiter in pair:
            self.deadlines.watch(waiter)
        self.clock.pump([0.5, 0.5])
        self.assertEqual(sum(waiter.expired for waiter in pair), 1)

    def test_watchWhileSweeping(self) -> None:
        """Something new may be watched by what expires."""
        new = Waiter(1.0)
        self.deadlines.watch(Waiter(0.5, lambda: self.deadlines.watch(new)))
        self.clock.pump([0.5, 0.5])
        self.assertEqual(new.expired, 1)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
