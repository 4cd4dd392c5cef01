"""
What the plugin counts, told to the edge each second.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from revproxy.figures import Figures
from revproxy.isolation.frames import Counted, FigureCounted

INTERVAL: Final = 1.0
"""Seconds between one telling and the next; with no figures there is none."""


class EdgeFigures:
    """
    Tells them, from when there is the first.
    """

    def __init__(self, figures: Figures, clock: Any, send: Callable[[Counted], None]) -> None:
        self._figures = figures
        self._clock = clock
        self._send = send
        self._isTelling = False

    def begin(self) -> None:
        """The plugin makes a figure."""
        if not self._isTelling:
            self._isTelling = True
            self._clock.callLater(INTERVAL, self._turn)

    def _turn(self) -> None:
        self.tell()
        self._clock.callLater(INTERVAL, self._turn)

    def tell(self) -> None:
        """Tell what was counted since it was told last."""
        counted = self._figures.take()
        if counted:
            self._send(Counted(tuple(_told(each) for each in counted)))


def _told(counted: Any) -> FigureCounted:
    series = tuple((key, (total, *map(float, counts))) for key, total, counts in counted.series)
    return FigureCounted(counted.name, counted.description, counted.labels, counted.buckets, series)
