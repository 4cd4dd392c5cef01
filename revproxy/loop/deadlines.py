"""
Coarse, shared deadlines.

A timer per request would cost more than parsing it (a ``callLater`` and its cancel: 1.2 µs). Instead everything that
waits carries an attribute ``deadline``, a time; setting it is the whole price. One sweep per period compares all that
are watched with the time. So a deadline is noticed up to one period late, never early.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

NEVER = float("inf")


class Waiting(Protocol):
    """What can be watched."""

    deadline: float

    def deadlineExpired(self) -> None:
        """The deadline has passed. It is not reset: set a later one, or be forgotten."""


class Deadlines:
    """
    Watches things that wait. The sweep runs only while there is something to watch.

    :ivar now: seconds of a clock that is never set back: to compute deadlines with.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, period: float, now: Callable[[], float] | None = None) -> None:
        """
        :param period: seconds between two sweeps: how late a deadline may be noticed.
        :param now: instead of the clock's ``seconds``, which for a reactor is the time of day.
        """
        self.now = now or clock.seconds
        self._clock = clock
        self._period = period
        self._watched: set[Waiting] = set()
        self._call: IDelayedCall | None = None

    def watch(self, waiting: Waiting) -> None:
        """Include it in the sweeps from now on."""
        self._watched.add(waiting)
        if self._call is None:
            self._call = self._clock.callLater(self._period, self._sweep)

    def forget(self, waiting: Waiting) -> None:
        """Leave it out of the sweeps; what is not watched is no error."""
        self._watched.discard(waiting)

    def later(self, function: Callable[[], None]) -> IDelayedCall:
        """Call a function in the next turn of the event loop: others get theirs before."""
        return self._clock.callLater(0, function)

    def stop(self) -> None:
        """Forget everything and end the sweep."""
        self._watched.clear()
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _sweep(self) -> None:
        now = self.now()
        expired = [waiting for waiting in self._watched if waiting.deadline <= now]
        for waiting in expired:
            # The end of one before it may have ended this one.
            if waiting in self._watched and waiting.deadline <= now:
                try:
                    waiting.deadlineExpired()
                except Exception:
                    self._log.failure("a deadline's handler raised")
        self._call = self._clock.callLater(self._period, self._sweep) if self._watched else None
