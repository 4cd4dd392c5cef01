"""
How much of a processor a process takes over a minute, whatever it does with it.
"""

from __future__ import annotations

from collections import deque
from typing import Final

WINDOW: Final = 60.0
"""Seconds that are looked back."""

SAMPLE: Final = 5.0
"""Seconds between two samples."""


class CpuShare:
    """
    Of one process.

    >>> share = CpuShare()
    >>> [share.add(now, now * 0.95) for now in (0.0, 30.0, 60.0)]
    [None, None, 0.95]
    """

    __slots__ = ("_samples",)

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque()

    def add(self, now: float, seconds: float) -> float | None:
        """
        :param seconds: of CPU, that it has used in all by now.
        :returns: the part of one processor that it has used over a minute; None: it is not that old.
        """
        samples = self._samples
        samples.append((now, seconds))
        while len(samples) > 1 and samples[1][0] <= now - WINDOW:
            samples.popleft()
        since, before = samples[0]
        return (seconds - before) / (now - since) if now - since >= WINDOW else None
