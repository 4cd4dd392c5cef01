"""
How much of an event loop the long calls of one version of a plugin take.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Load:
    """
    What long calls took within a window.

    :ivar calls: how many.
    :ivar seconds: how long they held the loop, all together.
    :ivar span: seconds since the first of them, at least 1 and at most the window.
    :ivar share: the part of the window that they held the loop.
    """

    calls: int
    seconds: float
    span: float
    share: float

    def __str__(self) -> str:
        rate, each = self.calls / self.span, self.seconds / max(1, self.calls)
        part = min(1.0, self.seconds / self.span)
        return f"{rate:.2g} calls a second held the event loop for {each:.2f} s each, {part:.0%} of {self.span:.0f} s"


class LoopShare:
    """
    Of one version in one worker. There is one record for each second that had long calls.
    """

    def __init__(self) -> None:
        self._seconds: deque[list[float]] = deque()

    def add(self, now: float, calls: int, seconds: float) -> None:
        """
        So many more, which have ended now.
        """
        if self._seconds and self._seconds[-1][0] > now - 1:
            self._seconds[-1][1] += calls
            self._seconds[-1][2] += seconds
        else:
            self._seconds.append([now, calls, seconds])

    def within(self, window: float, now: float) -> Load:
        """
        What there was in the last seconds; what is older is forgotten.
        """
        known = self._seconds
        while known and known[0][0] <= now - window:
            known.popleft()
        if not known:
            return Load(0, 0.0, 1.0, 0.0)
        calls, seconds = sum(each[1] for each in known), sum(each[2] for each in known)
        # What is told in one second has begun up to a second before, or longer ago if it took so long.
        span = max(1.0, min(window, max(now - known[0][0] + 1, seconds)))
        return Load(int(calls), seconds, span, min(1.0, seconds / window))
