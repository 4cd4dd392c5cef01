"""
What went through one name, second by second for a minute and ten seconds by ten seconds for an hour.

A slot is packed once it is over: a name that was busy all the hour takes some 30 KB. Slots in which nothing happened do
not exist. What comes is only noted at first, and added up when somebody looks, or has the time: workers tell of
thousands of names at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from revproxy.control.traffic.window import Sum

HOUR = 3600
MINUTE = 60
TEN = 10


class _Slots:
    """Slots of so many seconds, the last one still open."""

    __slots__ = ("_at", "_open", "_over", "_span", "_step")

    def __init__(self, step: int, span: int) -> None:
        self._step = step
        self._span = span
        self._at = 0
        self._open: Sum | None = None
        self._over: deque[tuple[int, bytes]] = deque()

    def current(self, now: float) -> Sum:
        """The slot that is now."""
        at = int(now) // self._step * self._step
        if self._open is None or at > self._at:
            self._close()
            self._at = at
            self._open = Sum()
        return self._open

    def _close(self) -> None:
        if self._open is not None:
            self._over.append((self._at, self._open.packed()))
        self._open = None

    def dropped(self, now: float) -> Iterable[bytes]:
        """Forget what is too old. :returns: what that was."""
        if self._open is not None and self._at <= now - self._span:
            self._close()
        over, first = self._over, now - self._span
        while over and over[0][0] <= first:
            yield over.popleft()[1]

    def since(self, first: float) -> Iterable[tuple[int, bytes]]:
        """The slots that began then or later, with when."""
        for slot in self._over:
            if slot[0] >= first:
                yield slot
        if self._open is not None and self._at >= first:
            yield self._at, self._open.packed()

    def __bool__(self) -> bool:
        return self._open is not None or bool(self._over)


Figures = tuple[int, int, int, float, Iterable[tuple[int, int]]]
"""Requests, of these with 4xx and with 5xx, their duration, and how many in each bucket."""


class Course:
    """
    What went through one name.
    """

    __slots__ = ("_hour", "_noted", "_seconds", "_tens")

    def __init__(self) -> None:
        self._noted: list[tuple[float, Figures]] = []
        self._seconds = _Slots(1, MINUTE)
        self._tens = _Slots(TEN, HOUR)
        self._hour = Sum()

    def note(self, now: float, figures: Figures) -> None:
        """So many have come now."""
        self._noted.append((now, figures))

    def settle(self, now: float) -> bool:
        """Add up what is noted, and forget what is older than an hour. :returns: whether anything remains."""
        noted, self._noted = self._noted, []
        for at, figures in noted:
            for each in (self._seconds.current(at), self._tens.current(at), self._hour):
                each.add(*figures)
        for _ in self._seconds.dropped(now):
            pass
        for packed in self._tens.dropped(now):
            self._hour.addPacked(packed, -1)
        return bool(self._tens)

    def total(self, now: float, seconds: float) -> Sum:
        """
        What came in the last so many seconds: exact to a second up to a minute, to ten seconds up to an hour.
        """
        self.settle(now)
        if seconds >= HOUR:
            return self._hour
        total = Sum()
        slots = self._seconds if seconds <= MINUTE else self._tens
        for _, packed in slots.since(int(now) - seconds + (1 if seconds <= MINUTE else 0)):
            total.addPacked(packed)
        return total

    def points(self, now: float, first: int, step: int) -> dict[int, Sum]:
        """
        By when each step begins, what it has brought; those with nothing are not in it.

        :param first: when the first of them begins, in seconds since the epoch.
        :param step: seconds; below ten only the last minute is known.
        """
        self.settle(now)
        found: dict[int, Sum] = {}
        slots = self._tens if step % TEN == 0 else self._seconds
        for at, packed in slots.since(first):
            found.setdefault(first + (at - first) // step * step, Sum()).addPacked(packed)
        return found
