"""
How much of the event loop shadows may have: a small share, and nothing while others wait for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

SHARE: Final = 0.03
"""Of the loop's time."""

MOST: Final = 0.05
"""Seconds of work that may be saved up."""

LATE: Final = 0.05
"""Seconds that a turn of the loop comes late, from which on it has too much to do."""

PAUSE: Final = 1.0
"""Seconds that shadows then leave it alone."""


class ShadowBudget:
    """
    Of one worker. It is asked before a request is taken down, and before it is tried.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        """:param now: the time in seconds, monotonic."""
        self._now = now
        self._saved = MOST
        self._at = now()
        self._restsUntil = 0.0

    @property
    def isOpen(self) -> bool:
        """Whether there is time for a request."""
        now = self._now()
        self._saved = min(MOST, self._saved + (now - self._at) * SHARE)
        self._at = now
        return self._saved > 0 and now >= self._restsUntil

    def spent(self, seconds: float) -> None:
        """So much was used."""
        self._saved -= seconds

    def wasLate(self, seconds: float) -> bool:
        """
        A turn of the loop came so late.

        :returns: whether that was too late: there is no time for a while.
        """
        if seconds < LATE:
            return False
        self._restsUntil = self._now() + PAUSE
        return True
