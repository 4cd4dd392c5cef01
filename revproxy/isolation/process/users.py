"""
Users that locked processes run as, one each.
"""

from __future__ import annotations

from collections import deque


class Users:
    """
    Numbers of users, each given to one process at a time; one that was given back is given again as late as can be.

    :ivar total: how many there are.
    """

    def __init__(self, first: int, last: int) -> None:
        self.total = last - first + 1
        self._last = last
        self._next = first
        self._back: deque[int] = deque()

    def take(self) -> int | None:
        """:returns: one that nobody has; None: all are given."""
        if self._next <= self._last:
            self._next += 1
            return self._next - 1
        return self._back.popleft() if self._back else None

    def give(self, uid: int) -> None:
        """The process that had it has ended."""
        self._back.append(uid)
