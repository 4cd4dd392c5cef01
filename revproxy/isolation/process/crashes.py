"""
Crashes of versions, and how long the next process has to wait.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Final

LONGEST: Final = 30.0
"""Seconds of the longest wait."""

WELL: Final = 60.0
"""Seconds that one has run without a crash, after which all is as if there had been none."""

_KEPT: Final = 1000
"""Versions that are remembered."""


@dataclass(slots=True)
class _Row:
    count: int
    last: float


class Crashes:
    """
    Crashes in a row, by version: after the first the next process comes at once, then after 1, 2, 4 … 30 seconds.
    """

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._rows: dict[str, _Row] = {}

    def crashed(self, version: str, lived: float) -> None:
        """:param lived: seconds that it had run."""
        row = self._rows.pop(version, None)
        if row is None or lived >= WELL:
            row = _Row(0, 0.0)
        row.count += 1
        row.last = self._now()
        self._rows[version] = row
        if len(self._rows) > _KEPT:
            del self._rows[next(iter(self._rows))]  # the one whose last crash is longest ago

    def waits(self, version: str) -> float:
        """Seconds from now until a process of that version may begin."""
        row = self._rows.get(version)
        if row is None or row.count < 2:
            return 0.0
        wait = min(LONGEST, 2.0 ** min(row.count - 2, 10))
        return max(0.0, row.last + wait - self._now())
