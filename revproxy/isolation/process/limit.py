"""
How long something may take that a process does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from revproxy.isolation.process.descriptors import Descriptors

SECOND_LOOK: Final = 0.5
"""Seconds that are given besides: the edge itself may have been held up, and what has come meanwhile is heard first."""


class Limit:
    """
    Calls something when the time is over, unless it was cancelled.
    """

    def __init__(self, descriptors: Descriptors, seconds: float, call: Callable[[], None]) -> None:
        self._descriptors = descriptors
        self._call = call
        self._timer: Any = descriptors.later(seconds, self._isLate)

    def _isLate(self) -> None:
        self._timer = self._descriptors.later(SECOND_LOOK, self._isOver)

    def _isOver(self) -> None:
        self._timer = None
        self._call()

    def cancel(self) -> None:
        """It has come, or is over already."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
