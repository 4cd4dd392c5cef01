"""Waiting, but not for ever."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, TimeoutError, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.loop.waiting import notLonger


class NotLongerTests(SynchronousTestCase):
    """`notLonger`."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.foreign: Deferred[Any] = Deferred()

    def test_atOnce(self) -> None:
        """What has fired already is returned as it is, without a timer."""
        fired = succeed(1)
        self.assertIs(notLonger(fired, 5, self.clock), fired)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_inTime(self) -> None:
        """A result in time ends the timer."""
        waiting = notLonger(self.foreign, 5, self.clock)
        self.clock.advance(4)
        self.foreign.callback(1)
        self.assertEqual(self.successResultOf(waiting), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_failure(self) -> None:
        """So does a failure, which goes on as one."""
        waiting = notLonger(self.foreign, 5, self.clock)
        self.foreign.errback(ZeroDivisionError())
        self.failureResultOf(waiting, ZeroDivisionError)

    def test_late(self) -> None:
        """What is late is cancelled, and fails with a time-out."""
        waiting = notLonger(self.foreign, 5, self.clock)
        self.clock.advance(5)
        self.failureResultOf(waiting, TimeoutError)
        self.assertTrue(self.foreign.called)

    def test_goesOn(self) -> None:
        """A coroutine that catches its cancellation is not waited for, and what it returns is dropped."""
        second: Deferred[int] = Deferred()

        async def stubborn() -> int:
            try:
                await self.foreign
            except CancelledError:
                pass
            return await second

        waiting = notLonger(Deferred.fromCoroutine(stubborn()), 5, self.clock)
        self.clock.advance(5)
        self.failureResultOf(waiting, TimeoutError)
        second.callback(1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cancelled(self) -> None:
        """Who cancels the waiting cancels what is waited for."""
        waiting = notLonger(self.foreign, 5, self.clock)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertTrue(self.foreign.called)
        self.assertEqual(self.clock.getDelayedCalls(), [])
