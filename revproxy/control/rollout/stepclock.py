"""
How long a step has lasted, by a clock that may be set.
"""

from __future__ import annotations

import msgspec

JUMP = 60.0
"""Seconds: more than this between two looks is no time that passed, for nobody looked."""

LATE = 10.0
"""Seconds after a step began: what happened before it was told by now."""


class SavedClock(msgspec.Struct, frozen=True, array_like=True):
    """What is remembered."""

    since: float
    seconds: float


class StepClock:
    """
    :ivar since: when the step began, in seconds since the epoch.
    :ivar seconds: how long it has lasted.
    """

    def __init__(self, now: float) -> None:
        self.since = self._last = now
        self.seconds = 0.0

    def begin(self, now: float) -> None:
        """A step begins."""
        self.since = self._last = now
        self.seconds = 0.0

    def advance(self, now: float) -> None:
        """It is later, or the clock was set: that is no time."""
        passed = now - self._last
        self._last = now
        if 0 <= passed <= JUMP:
            self.seconds += passed
        # What happens from now on is of this step, although the clock may say that it is before it.
        self.since = min(self.since, now)

    @property
    def isLate(self) -> bool:
        """Whether what happened before the step has been told by now."""
        return self.seconds > LATE

    def saved(self) -> SavedClock:
        """All that it knows."""
        return SavedClock(self.since, self.seconds)

    def restore(self, saved: SavedClock) -> None:
        """Go on from there; what passed meanwhile is no time."""
        self.since, self.seconds = saved.since, saved.seconds
