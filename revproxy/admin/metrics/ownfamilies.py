"""
What plugins count by themselves, as families.

A figure ``shop_sold_total`` is told as ``revproxy_plugin_own_shop_sold_total``, with the plugin's name as its first
label. So no plugin can take the name of anything else; and figures of the same name, of several plugins, are one
family. Where their kinds, labels or buckets differ they cannot be, and that of the plugin whose name comes first is
told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from revproxy.admin.metrics import families
from revproxy.admin.metrics.exposition import Source
from revproxy.admin.metrics.family import Family, Point, distribution
from revproxy.control.state.ownfigures import OwnFigures, OwnSums
from revproxy.plan.counted import OwnFigure

PREFIX = "revproxy_plugin_own_"


class OwnFamilies:
    """
    Of one edge.

    :ivar leftOut: figures that cannot be told, each as ``PLUGIN.NAME``, as of the last time.
    """

    def __init__(self, figures: OwnFigures) -> None:
        self.leftOut: tuple[str, ...] = ()
        self._figures = figures

    def sources(self) -> list[Source]:
        """What there is to be read now."""
        members: dict[Family, list[tuple[str, OwnSums]]] = {}
        taken: dict[str, Family] = dict.fromkeys(families.NAMES, families.INFO)
        leftOut = []
        for plugin, sums in self._figures.all():
            family = familyOf(sums.told)
            holders = {taken[name] for name in family.names if name in taken}
            if holders - {family}:
                leftOut.append(f"{plugin}.{sums.told.name}")
                continue
            taken.update(dict.fromkeys(family.names, family))
            members.setdefault(family, []).append((plugin, sums))
        self.leftOut = tuple(leftOut)
        return [Source(family, partial(_points, found)) for family, found in members.items()]


def familyOf(told: OwnFigure) -> Family:
    """What a figure is told as."""
    name = PREFIX + told.name
    if told.kind == "counter":
        name = name.removesuffix("_total") + "_total"
    text = told.description or f"Counted by a plugin, as {told.name}."
    return Family(name, told.kind, text, ("plugin", *told.labels), told.buckets)


def _points(members: Iterable[tuple[str, OwnSums]]) -> Iterator[Point]:
    for plugin, sums in members:
        isHistogram = sums.told.kind == "histogram"
        for key, (value, counts) in list(sums.series.items()):
            yield (plugin, *key), distribution(counts, value) if isHistogram else (value,)
