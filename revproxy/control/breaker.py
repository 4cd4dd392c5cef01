"""
When a version of a plugin has failed often enough to be taken out.

A version that works pays nothing: the breaker is told of failures only, and asks for the number of calls when it is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

WINDOW = 30.0
"""Seconds that are looked back."""

MINIMUM = 5
"""Failures below which nothing happens, whatever their share."""

RATIO = 0.5
"""The share of failed calls from which a version is taken out."""

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

    It trips when within the last 30 seconds (``window``) at least 5 calls (``minimum``) failed and these are at least
    half (``ratio``) of all calls since the first of them; or when 3 calls (``stalls``) held the reactor. Between calls
    and failures there may be some time: of asynchronous calls, those count that began since.

    The window moves in steps of a second, and there is one record per second that had failures.
    """

    def __init__(
        self,
        calls: Callable[[], int],
        now: Callable[[], float],
        onTrip: Callable[[str], None],
        *,
        window: float = WINDOW,
        minimum: int = MINIMUM,
        ratio: float = RATIO,
        stalls: int = STALLS,
    ) -> None:
        """
        :param calls: how many calls there have been so far, those under way included.
        :param minimum: failures.
        :param now: the time in seconds, monotonic.
        :param onTrip: told why, as a text for humans, in the middle of :meth:`failed` or :meth:`stalled`.
        :param ratio: of failures to calls, above 0 and up to 1.
        :param window: seconds.
        """
        self._calls = calls
        self._now = now
        self._onTrip = onTrip
        self._window = window
        self._minimum = minimum
        self._ratio = ratio
        self._seconds: deque[_Second] = deque()
        self._stalls: deque[float] = deque(maxlen=stalls)
        self._tripped = False

    def failed(self) -> None:
        """One call failed: it raised, answered nonsense, or did not answer in time. After the trip, nothing happens."""
        if self._tripped:
            return
        now = self._now()
        calls = self._calls()
        seconds = self._seconds
        while seconds and seconds[0].second < now - self._window:
            seconds.popleft()
        second = int(now)
        if not seconds or seconds[-1].second != second:
            seconds.append(_Second(second, calls - 1))
        seconds[-1].failures += 1
        failures = sum(known.failures for known in seconds)
        # Calls that were under way at the first failure, and observers, can fail more often than was called since.
        total = max(calls - seconds[0].before, failures)
        if failures >= self._minimum and failures >= self._ratio * total:
            self._trip(f"{failures} of {total} calls failed within {self._window:g} s")

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
        if len(stalls) == stalls.maxlen and now - stalls[0] <= self._window:
            times = "one call" if len(stalls) == 1 else f"{len(stalls)} calls"
            self._trip(f"{times} held the reactor too long within {self._window:g} s")

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
