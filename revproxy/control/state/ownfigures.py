"""
What plugins count by themselves, added up over workers, versions and instances: figures go on from one version to the
next.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from revproxy.figures import MOST_FIGURES, MOST_SERIES, OTHER
from revproxy.plan.counted import OwnFigure

_MOST_FIGURES = 2 * MOST_FIGURES
_MOST_SERIES = 2 * MOST_SERIES
"""Of one plugin: versions may have different ones, and what the earlier have counted stays."""


class OwnSums:
    """
    One figure.

    :ivar told: as it was told last.
    :ivar series: by label values, the sum, and how many are in each bucket.
    """

    def __init__(self, told: OwnFigure) -> None:
        self.told = told
        self.series: dict[tuple[str, ...], tuple[float, tuple[int, ...]]] = {}

    def isOf(self, told: OwnFigure) -> bool:
        """Whether what is told now can be added."""
        known = self.told
        return (known.kind, known.labels, known.buckets) == (told.kind, told.labels, told.buckets)

    def asDict(self) -> dict[str, Any]:
        """As JSON shows it. Counts of buckets are cumulative, as Prometheus has them; that of infinity is the count."""
        told = self.told
        return {
            "name": told.name,
            "kind": told.kind,
            "description": told.description,
            "series": [self._seriesAsDict(key, *sums) for key, sums in sorted(self.series.items())],
        }

    def _seriesAsDict(self, key: tuple[str, ...], value: float, counts: tuple[int, ...]) -> dict[str, Any]:
        labels = dict(zip(self.told.labels, key, strict=True))
        if self.told.kind == "counter":
            return {"labels": labels, "value": value}
        buckets, count = {}, 0
        for bound, more in zip(self.told.buckets, counts, strict=False):
            count += more
            buckets[f"{bound:g}"] = count
        return {"labels": labels, "count": sum(counts), "sum": value, "buckets": buckets}


class OwnFigures:
    """
    By plugin and name.
    """

    def __init__(self) -> None:
        self._figures: dict[str, dict[str, OwnSums]] = {}

    def add(self, told: OwnFigure) -> None:
        """So much more. A figure that is another kind of figure by now begins anew."""
        figures = self._figures.setdefault(told.plugin, {})
        sums = figures.get(told.name)
        if sums is None or not sums.isOf(told):
            if sums is None and len(figures) >= _MOST_FIGURES:
                return
            sums = figures[told.name] = OwnSums(told)
        sums.told = told
        room = _MOST_SERIES - sum(len(each.series) for each in figures.values())
        for series in told.series:
            key = series.labels
            if key not in sums.series:
                if room <= 0:
                    key = (OTHER,) * len(key)
                room -= 1
            value, counts = sums.series.get(key, (0.0, (0,) * len(series.counts)))
            added = tuple(before + more for before, more in zip(counts, series.counts, strict=True))
            sums.series[key] = value + series.value, added

    def of(self, plugin: str) -> list[dict[str, Any]]:
        """All of a plugin's, as JSON shows them, in the order of their names."""
        return [sums.asDict() for _, sums in sorted(self._figures.get(plugin, {}).items())]

    def all(self) -> list[tuple[str, OwnSums]]:
        """Each with its plugin's name, in the order of these and of the figures' names."""
        return [(name, sums) for name, own in sorted(self._figures.items()) for _, sums in sorted(own.items())]

    def keepOnly(self, plugins: Collection[str]) -> None:
        """Forget those of plugins that are not remembered."""
        self._figures = {name: figures for name, figures in self._figures.items() if name in plugins}
