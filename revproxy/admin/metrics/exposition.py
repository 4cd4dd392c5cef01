"""
What Prometheus reads, made in slices, so that nothing waits long for it.

Most of it is the same each time: only numbers change. So the lines of a series are kept as a template, and a slice is
little more than as many ``%`` operations as it has series. 500 routes with three statuses each are 27,000 lines; made
line by line by a library they take most of a second, in which no request is served.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from revproxy.admin.metrics.family import Family, Labels, Point

SLICE = 500
"""Lines that are made in one go: well below a millisecond's work."""

Exemplars = Mapping[Labels, Mapping[int, str]]
"""By series of a histogram, and by bucket: what stands behind the bucket's number."""


@dataclass(frozen=True, slots=True)
class Source:
    """
    Where the series of one family come from.

    :ivar read: gives all of them, one by one. It may be a generator that others run in between.
    :ivar exemplars: those that there are now.
    """

    family: Family
    read: Callable[[], Iterable[Point]]
    exemplars: Callable[[], Exemplars] = field(default=dict)


class Exposition:
    """
    Remembers templates from one time to the next.
    """

    def __init__(self) -> None:
        self._templates: dict[Family, dict[Labels, str]] = {}

    def slices(self, sources: Sequence[Source], openMetrics: bool) -> Iterator[bytes]:
        """
        All lines, :data:`SLICE` at a time, or a few more: a series is not divided.

        :param sources: no two with a name in common.
        :param openMetrics: otherwise it is Prometheus' own text format.
        """
        pieces: list[str] = []
        lines = 0
        for source in sources:
            for piece, count in self._pieces(source, openMetrics):
                pieces.append(piece)
                lines += count
                if lines >= SLICE:
                    yield "".join(pieces).encode()
                    pieces.clear()
                    lines = 0
        if openMetrics:
            pieces.append("# EOF\n")
        yield "".join(pieces).encode()
        self._forgetFamilies({source.family for source in sources})

    def _pieces(self, source: Source, openMetrics: bool) -> Iterator[tuple[str, int]]:
        family, count = source.family, 0
        known, lines = self._templates.setdefault(family, {}), family.lines
        exemplars = source.exemplars() if openMetrics else {}
        for labels, values in source.read():
            if not count:
                yield family.head(openMetrics), 2
            count += 1
            template = known.get(labels)
            if template is None:
                template = known[labels] = family.template(labels)
            if labels in exemplars:
                values = tuple(
                    f"{value}{exemplars[labels].get(index, '')}" for index, value in enumerate(values)
                )
            yield template % values, lines
        if len(known) > 2 * count + 100:
            known.clear()  # most of it is gone: what is not will be made anew

    def _forgetFamilies(self, present: set[Family]) -> None:
        for family in self._templates.keys() - present:
            del self._templates[family]
