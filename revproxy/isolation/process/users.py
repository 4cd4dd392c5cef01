"""
Users that locked processes run as, one each.
"""

from __future__ import annotations

from collections import deque
from typing import ClassVar


class Users:
    """
    Numbers of users, each given to one process at a time; one that was given back is given again as late as can be.

    When the configuration sets others aside, those that run keep theirs: what one of these has given, none gives again.

    :ivar total: how many there are.
    """

    _given: ClassVar[set[int]] = set()

    def __init__(self, first: int, last: int) -> None:
        self.total = last - first + 1
        self._last = last
        self._next = first
        self._back: deque[int] = deque()

    def take(self) -> int | None:
        """:returns: one that nobody has; None: all are given."""
        for uid in range(self._next, self._last + 1):
            self._next = uid + 1
            if uid not in self._given:
                self._given.add(uid)
                return uid
            self._back.append(uid)
        for uid in self._back:
            if uid not in self._given:
                self._back.remove(uid)
                self._given.add(uid)
                return uid
        return None

    def give(self, uid: int) -> None:
        """The process that had it has ended."""
        self._given.discard(uid)
        self._back.append(uid)
