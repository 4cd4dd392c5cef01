"""
A figure over time, in a bounded number of points.
"""

from __future__ import annotations

from collections.abc import Iterable

POINTS = 400
"""At most twice as many are kept for a moment."""


class Curve:
    """
    :param points: to begin with: when, and the figure.
    """

    def __init__(self, points: Iterable[tuple[float, float]] = ()) -> None:
        self._points = list(points)
        self._distance = self._mean() if len(self._points) >= POINTS // 2 else 0.0

    def add(self, at: float, figure: float) -> None:
        """
        One more; where they are too many, every second is left out, and the next are not closer than those.

        :param at: seconds, not before the last; one that is, is left out.
        """
        points = self._points
        if len(points) > 1 and at - points[-2][0] < self._distance:
            points.pop()
        if not points or at > points[-1][0]:
            points.append((at, figure))
        if len(points) >= POINTS:
            del points[1:-1:2]
            self._distance = self._mean()

    def _mean(self) -> float:
        return (self._points[-1][0] - self._points[0][0]) / len(self._points)

    @property
    def points(self) -> tuple[tuple[float, float], ...]:
        """All of them, the earliest first."""
        return tuple(self._points)
