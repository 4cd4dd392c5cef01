"""Tests for :mod:`revproxy.loop.waiting`."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, TimeoutError, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy import host
from revproxy.loop.waiting import notLonger


class NotLongerTests(SynchronousTestCase):
    """What foreign code answers, or a time-out."""

    def setUp(self) -> None:
        self.clock = Clock()

    def test_answered(self) -> None:
        """What is there already is the same Deferred; what comes in time is passed on, a failure too."""
        ready = succeed(1)
        self.assertIs(notLonger(ready, 5, self.clock), ready)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        for answer, check in (("yes", self.successResultOf), (ValueError(), self.failureResultOf)):
            inner: Deferred[Any] = Deferred()
            outer = notLonger(inner, 5, self.clock)
            self.clock.advance(4)
            inner.callback(answer) if isinstance(answer, str) else inner.errback(answer)
            result = check(outer)
            self.assertEqual(getattr(result, "value", result), answer)
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_late(self) -> None:
        """Too late, it is cancelled."""
        inner: Deferred[Any] = Deferred()
        outer = notLonger(inner, 5, self.clock)
        self.clock.advance(5)
        self.failureResultOf(outer, TimeoutError)
        self.assertTrue(inner.called)

    def test_goesOn(self) -> None:
        """A coroutine that catches its cancellation is not waited for, and what it answers later is dropped."""
        said: list[str] = []
        first: Deferred[None] = Deferred()
        second: Deferred[str] = Deferred()

        async def stubborn() -> None:
            try:
                await first
            except CancelledError:
                said.append(await second)

        outer = notLonger(Deferred.fromCoroutine(stubborn()), 5, self.clock)
        self.clock.advance(5)
        self.failureResultOf(outer, TimeoutError)
        second.callback("late")
        self.assertEqual(said, ["late"])

    def test_oldName(self) -> None:
        """It is known by the name under which plugins' hosts have it, too."""
        self.assertIs(host.notLonger, notLonger)
