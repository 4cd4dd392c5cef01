"""
A family of figures, and its lines in what Prometheus reads: text 0.0.4, and OpenMetrics 1.0.

The two differ in little more than the heads of families, so the lines of a series are made once for both, as a template
with a place for each of its numbers::

    revproxy_events_total{kind="loaded"} %s

All that is told by others (names of routes, values of plugins' labels) is in label values and helps, and is escaped
there. Names are ours, or have been checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Literal

Kind = Literal["counter", "gauge", "histogram", "info"]

Labels = tuple[str, ...]
"""The values of a family's labels, in its order."""

Values = tuple[Any, ...]
"""The numbers of a series, in the order of its lines."""

Point = tuple[Labels, Values]
"""One series."""

_SUFFIXES = {
    "counter": ("", "_total", "_created"),
    "gauge": ("",),
    "histogram": ("", "_bucket", "_sum", "_count", "_created"),
    "info": ("", "_info"),
}


@dataclass(frozen=True, slots=True)
class Family:
    """
    What is told of some series together. Two are equal if series of both can stand together, whatever their help.

    :ivar name: as Prometheus stores it: that of a counter ends in ``_total``, that of an info in ``_info``.
    :ivar help: one sentence.
    :ivar labels: names.
    :ivar bounds: of a histogram: the upper bounds of its buckets, without infinity.
    """

    name: str
    kind: Kind
    help: str = field(compare=False)
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()

    @property
    def base(self) -> str:
        """Its name in OpenMetrics, where a counter has it without ``_total``, and an info without ``_info``."""
        suffix = {"counter": "_total", "info": "_info"}.get(self.kind, "")
        return self.name.removesuffix(suffix)

    @property
    def names(self) -> frozenset[str]:
        """All names that no other family may have."""
        return frozenset(self.base + suffix for suffix in _SUFFIXES[self.kind])

    @property
    def lines(self) -> int:
        """How many lines a series has."""
        return len(self.bounds) + 3 if self.kind == "histogram" else 1

    def head(self, openMetrics: bool) -> str:
        """The two lines before its series."""
        name, kind, text = self.name, self.kind, _escaped(self.help)
        if openMetrics:
            name, text = self.base, text.replace('"', '\\"')
        elif kind == "info":
            kind = "gauge"
        return f"# HELP {name} {text}\n# TYPE {name} {kind}\n"

    def template(self, labels: Labels) -> str:
        """
        The lines of a series, with ``%s`` for each number: of a histogram, those of its buckets, infinity's last, the
        sum, and the count. A label without a value is none, to Prometheus as well, and is left out.
        """
        given = zip(self.labels, labels, strict=True)
        pairs = [f'{name}="{labelText(value)}"' for name, value in given if value]
        if self.kind != "histogram":
            return _line(self.name, pairs)
        bounds = [*(repr(float(bound)) for bound in self.bounds), "+Inf"]
        lines = [_line(f"{self.name}_bucket", [*pairs, f'le="{bound}"']) for bound in bounds]
        return "".join((*lines, _line(f"{self.name}_sum", pairs), _line(f"{self.name}_count", pairs)))


def distribution(counts: Sequence[int], total: float) -> Values:
    """
    The numbers of a histogram.

    :param counts: how many values are in each bucket, infinity's last.
    :param total: their sum.
    """
    rising = tuple(accumulate(counts))
    return (*rising, total, rising[-1])


def scalar(points: Iterable[tuple[Labels, float]]) -> Iterator[Point]:
    """Series that have one number each."""
    return ((labels, (value,)) for labels, value in points)


def labelText(value: str) -> str:
    """A label's value between its quotes. What UTF-8 cannot say is written out."""
    return _escaped(value).replace('"', '\\"')


def _escaped(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode().replace("\\", "\\\\").replace("\n", "\\n")


def _line(name: str, pairs: Sequence[str]) -> str:
    labels = f"{{{','.join(pairs)}}}" if pairs else ""
    return f"{name}{labels}".replace("%", "%%") + " %s\n"
