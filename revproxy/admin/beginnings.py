"""
Requests that are there to their end, and begin: one in each turn of the loop, so that however many have come at once,
requests for the data plane go on between them. What rescues goes before all others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any


class Beginnings:
    """Those of one door."""

    def __init__(self, clock: Any) -> None:
        """:param clock: provides `IReactorTime`."""
        self._clock = clock
        self._rescues: deque[Callable[[], object]] = deque()
        self._others: deque[Callable[[], object]] = deque()
        self._isDue = False

    def soon(self, begin: Callable[[], object], isRescue: bool) -> None:
        """Call it in a turn that nobody else begins in."""
        (self._rescues if isRescue else self._others).append(begin)
        self._again()

    def _again(self) -> None:
        if not self._isDue and (self._rescues or self._others):
            self._isDue = True
            self._clock.callLater(0, self._next)

    def _next(self) -> None:
        self._isDue = False
        begin = (self._rescues or self._others).popleft()
        self._again()
        begin()


__all__ = ["Beginnings"]
