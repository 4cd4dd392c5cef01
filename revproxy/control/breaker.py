"""
When a version of a plugin has failed often enough to be taken out.

A version that works pays nothing: the breaker is told of failures only, and asks for the number of calls when it is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from revproxy.config.settings import QuarantineConfig

DEFAULTS = QuarantineConfig()

STALLS = 3
"""Calls holding the reactor too long for which a version is taken out, whatever their share: each holds up all."""


class _Second:
    """
    The failures of one second.

    :ivar second: which, of the clock.
    :ivar before: calls there had been before the first failed one.
    :ivar failures: how many.
    """

    __slots__ = ("before", "failures", "second")

    def __init__(self, second: int, before: int) -> None:
        self.second = second
        self.before = before
        self.failures = 0


class Breaker:
    """
    Watches one version of a plugin over a sliding window, and trips once.

    It trips when within the window enough calls failed, and these are a large enough share of all calls since the first
    of them; or when :data:`STALLS` calls held the reactor. Between calls and failures there may be some time: of
    asynchronous calls, those count that began since.

    The window moves in steps of a second, and there is one record per second that had failures.

    :ivar limits: what is enough, and the window; other ones may take their place at any time.
    """

    def __init__(
        self,
        calls: Callable[[], int],
        now: Callable[[], float],
        onTrip: Callable[[str], None],
        limits: QuarantineConfig = DEFAULTS,
    ) -> None:
        """
        :param calls: how many calls there have been so far, those under way included.
        :param now: the time in seconds, monotonic.
        :param onTrip: told why, as a text for humans, in the middle of whichever method was called.
        """
        self.limits = limits
        self._calls = calls
        self._now = now
        self._onTrip = onTrip
        self._seconds: deque[_Second] = deque()
        self._stalls: deque[float] = deque(maxlen=STALLS)
        self._tripped = False

    def failed(self, count: int = 1) -> None:
        """So many calls failed: they raised, answered nonsense, or did not answer in time. After the trip, nothing
        happens."""
        if self._tripped:
            return
        now = self._now()
        calls = self._calls()
        seconds = self._seconds
        while seconds and seconds[0].second < now - self.limits.window:
            seconds.popleft()
        second = int(now)
        if not seconds or seconds[-1].second != second:
            seconds.append(_Second(second, calls - count))
        seconds[-1].failures += count
        failures = sum(known.failures for known in seconds)
        # Calls that were under way at the first failure, and observers, can fail more often than was called since.
        total = max(calls - seconds[0].before, failures)
        if failures >= self.limits.failures and failures >= self.limits.share * total:
            self._trip(f"{failures} of {total} calls failed within {self.limits.window:g} s")

    def stalled(self) -> None:
        """
        One call held the reactor too long.

        No failure in itself: when the call was ended, the chain tells that too; when it was not, it may have answered.
        """
        if self._tripped:
            return
        now = self._now()
        stalls = self._stalls
        stalls.append(now)
        if len(stalls) == stalls.maxlen and now - stalls[0] <= self.limits.window:
            self._trip(f"{len(stalls)} calls held the reactor too long within {self.limits.window:g} s")

    def trip(self, reason: str) -> None:
        """Something else is reason enough. After the trip, nothing happens."""
        if not self._tripped:
            self._trip(reason)

    def reset(self) -> None:
        """Forget everything, and be ready to trip again."""
        self._seconds.clear()
        self._stalls.clear()
        self._tripped = False

    def _trip(self, reason: str) -> None:
        self._tripped = True
        self._seconds.clear()
        self._stalls.clear()
        self._onTrip(reason)
