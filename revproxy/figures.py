"""
Figures of a plugin's own: counters and histograms, named as Prometheus does it.

    >>> figures = Figures()
    >>> sold = figures.counter("shop_sold_total", "Things that were sold.", labels=("kind",))
    >>> sold.inc(kind="book")
    >>> sold.inc(3, kind="pen")
    >>> figures.value("shop_sold_total", kind="pen")
    3
    >>> took = figures.histogram("shop_seconds", buckets=(0.1, 1))
    >>> took.observe(0.25)
    >>> figures.value("shop_seconds")
    (1, 0.25)

A plugin gets them by `revproxy.interfaces.IHost.counter` and ``histogram``; the edge adds up what all its versions and
instances have counted. Any thread may count. Everything has a bound: the number of figures, of their combinations of
label values, and the length of each value. Combinations beyond the bound are counted together, under :data:`OTHER`.

What was counted is kept until somebody takes it; then it is counted from nothing again. So telling it costs what is
new, and not what there is.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from threading import RLock
from typing import Any

__all__ = ["OTHER", "Counted", "Counter", "Figures", "Histogram"]

MOST_FIGURES = 50
"""Figures that one version of a plugin may have."""

MOST_SERIES = 1_000
"""Combinations of label values, of all its figures together."""

MOST_LABELS = 10
"""Labels of one figure."""

MOST_BUCKETS = 30
"""Buckets of one histogram."""

LONGEST_NAME = 100
"""Characters of the name of a figure or label."""

LONGEST_VALUE = 100
"""Characters of a label's value; more are cut."""

OTHER = "other"
"""The value of each label where there are too many combinations."""

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of a histogram's buckets, where none are named: good for seconds."""

_TEXT = {str}
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Counted:
    """
    What a figure has counted since it was asked last.

    :ivar kind: ``counter`` or ``histogram``.
    :ivar buckets: upper bounds, without infinity.
    :ivar series: label values, the sum, and for a histogram how many values are in each bucket, infinity's last.
    """

    name: str
    kind: str
    description: str
    labels: tuple[str, ...]
    buckets: tuple[float, ...]
    series: tuple[tuple[Key, float, tuple[int, ...]], ...]


class _Figure:
    """
    What counters and histograms have in common.
    """

    kind = ""

    def __init__(
        self, figures: Figures, name: str, description: str, labels: tuple[str, ...], buckets: tuple[float, ...] = ()
    ) -> None:
        self.name = name
        self.description = description
        self.labels = labels
        self.buckets = buckets
        self._figures = figures
        self._lock = figures.lock
        self._known: set[Key] = set()
        self._pending: dict[Any, Any] = {}

    @property
    def definition(self) -> tuple[Any, ...]:
        """Two with the same are one."""
        return self.kind, self.labels, self.buckets

    def _keyOf(self, labels: dict[str, Any]) -> Key:
        """
        Their values as texts. That may run foreign code, which must not hold the lock.

        :raises TypeError: other labels were given than it has.
        """
        try:
            if len(labels) == len(self.labels):
                key = tuple(map(labels.__getitem__, self.labels))
                return key if {*map(type, key)} == _TEXT else tuple(map(_textOf, key))
        except KeyError:
            pass
        wanted = ", ".join(self.labels) or "none"
        raise TypeError(f"{self.name} has these labels: {wanted}; given were: {', '.join(labels) or 'none'}")

    def _entered(self, key: Key) -> Key:
        """The combination under which is counted: this one, if there is room for it."""
        plain = tuple(map(_valueOf, key))
        if plain not in self._known:
            if not self._figures.takes(plain):
                plain = (OTHER,) * len(self.labels)
            self._known.add(plain)
        return plain

    def take(self) -> Counted | None:
        """What was counted since it was taken last; None if nothing was."""
        with self._lock:
            if not self._pending:
                return None
            pending, self._pending = self._pending, {}
        return Counted(self.name, self.kind, self.description, self.labels, self.buckets, tuple(self._told(pending)))

    def _told(self, pending: dict[Key, Any]) -> Iterator[tuple[Key, float, tuple[int, ...]]]:
        raise NotImplementedError


class Counter(_Figure):
    """
    Counts up.
    """

    kind = "counter"

    def inc(self, amount: float = 1, /, **labels: Any) -> None:
        """
        Count so many more. Any thread may.

        :param labels: a value for each of its labels.
        :raises ValueError: it is less than nothing, or no number.
        """
        if not 0 <= amount < inf:
            raise ValueError(f"{self.name} counts up: {amount!r} is not 0 or more")
        key = self._keyOf(labels) if labels or self.labels else ()
        with self._lock:
            if key not in self._pending:
                key = self._entered(key)
                self._pending.setdefault(key, 0)
            self._pending[key] += amount

    def _told(self, pending: dict[Key, Any]) -> Iterator[tuple[Key, float, tuple[int, ...]]]:
        for key, value in pending.items():
            yield key, float(value), ()


class Histogram(_Figure):
    """
    Counts values by their size.
    """

    kind = "histogram"

    def observe(self, value: float, /, **labels: Any) -> None:
        """
        Count a value. Any thread may.

        :param labels: a value for each of its labels.
        :raises ValueError: it is no number, or infinite.
        """
        if not isfinite(value):
            raise ValueError(f"{self.name}: {value!r} is no finite number")
        key = self._keyOf(labels) if labels or self.labels else ()
        bucket = bisect_left(self.buckets, value)
        with self._lock:
            counts = self._pending.get(key)
            if counts is None:
                counts = self._pending.setdefault(self._entered(key), [0.0] + [0] * (len(self.buckets) + 1))
            counts[0] += value
            counts[bucket + 1] += 1

    def add(self, total: float, counts: Sequence[int], /, **labels: Any) -> None:
        """
        Count values that were counted elsewhere. Any thread may.

        :param total: their sum.
        :param counts: how many of them are in each bucket, infinity's last.
        :raises ValueError: it is no finite number, or there are other buckets, or less than nothing in one.
        """
        if not isfinite(total) or len(counts) != len(self.buckets) + 1 or min(counts) < 0:
            raise ValueError(f"{self.name}: these are no counts of its {len(self.buckets) + 1} buckets")
        key = self._keyOf(labels) if labels or self.labels else ()
        with self._lock:
            known = self._pending.get(key)
            if known is None:
                known = self._pending.setdefault(self._entered(key), [0.0] + [0] * len(counts))
            known[0] += total
            known[1:] = [have + new for have, new in zip(known[1:], counts, strict=True)]

    def _told(self, pending: dict[Key, Any]) -> Iterator[tuple[Key, float, tuple[int, ...]]]:
        for key, counts in pending.items():
            yield key, float(counts[0]), tuple(counts[1:])


class Figures:
    """
    All that one version of a plugin counts.

    :ivar lock: held while anything is counted or taken.
    :ivar isFull: whether there were more combinations of label values than there may be.
    """

    def __init__(self) -> None:
        self.lock = RLock()  # foreign code may run in the midst of anything: a ``__del__``
        self.isFull = False
        self._figures: dict[str, _Figure] = {}
        self._series = 0

    def counter(self, name: str, description: str = "", labels: Sequence[str] = ()) -> Counter:
        """:raises ValueError: as `revproxy.interfaces.IHost.counter` says."""
        made: Counter = self._made(Counter(self, name, description, _labelsOf(name, labels)))
        return made

    def histogram(
        self, name: str, description: str = "", labels: Sequence[str] = (), buckets: Sequence[float] = BUCKETS
    ) -> Histogram:
        """:raises ValueError: as `revproxy.interfaces.IHost.histogram` says."""
        made: Histogram = self._made(
            Histogram(self, name, description, _labelsOf(name, labels), _bucketsOf(name, buckets))
        )
        return made

    def _made(self, figure: Any) -> Any:
        name = figure.name
        _check(name, "a figure")
        if not isinstance(figure.description, str):
            raise TypeError(f"the description of {name} is text")
        figure.description = figure.description[:500]
        if name.startswith("revproxy_"):
            raise ValueError(f"{name}: names that begin with revproxy_ are the edge's own")
        known = self._figures.get(name)
        if known is None:
            self._checkFree(figure)
            self._figures[name] = figure
            return figure
        if known.definition != figure.definition:
            raise ValueError(f"{name} is a {known.kind} already, or has other labels or buckets")
        return known

    def _checkFree(self, figure: _Figure) -> None:
        if len(self._figures) >= MOST_FIGURES:
            raise ValueError(f"{figure.name}: a plugin has {MOST_FIGURES} figures at most")
        taken = {name: known for known in self._figures.values() for name in _namesOf(known)}
        for name in _namesOf(figure):
            if name in taken:
                raise ValueError(f"{figure.name}: {name} is a name of {taken[name].name}, which is a histogram too, "
                                 "or has a name that a histogram needs")

    def takes(self, key: Key) -> bool:
        """Whether there is room for one more combination. What has no labels always fits."""
        if not key:
            return True
        if self._series >= MOST_SERIES:
            self.isFull = True
            return False
        self._series += 1
        return True

    def take(self) -> tuple[Counted, ...]:
        """What was counted since it was taken last, of each figure that has counted anything."""
        if not self._figures:
            return ()
        return tuple(filter(None, (figure.take() for figure in list(self._figures.values()))))

    def value(self, name: str, /, **labels: Any) -> Any:
        """
        What was counted and not taken yet, for tests: the sum of a counter; how many, and their sum, of a histogram.

        :raises KeyError: there is no such figure.
        """
        figure = self._figures[name]
        counted = figure._pending.get(tuple(map(_valueOf, figure._keyOf(labels))))
        if isinstance(figure, Histogram):
            return (0, 0.0) if counted is None else (sum(counted[1:]), counted[0])
        return counted or 0


def _namesOf(figure: _Figure) -> Iterable[str]:
    """The names under which Prometheus knows it."""
    if figure.kind == "counter":
        return (figure.name,)
    return (figure.name, *(f"{figure.name}_{part}" for part in ("bucket", "sum", "count")))


def _labelsOf(name: str, labels: Sequence[str]) -> tuple[str, ...]:
    if isinstance(labels, str):
        raise TypeError(f"{name}: labels are a sequence of names: ({labels!r},)")
    found = tuple(labels)
    for label in found:
        _check(label, f"a label of {name}")
        if label.startswith("__") or label in ("le", "quantile", "plugin"):
            raise ValueError(f"{name}: a label cannot be named {label}")
    if len(set(found)) != len(found) or len(found) > MOST_LABELS:
        raise ValueError(f"{name}: {MOST_LABELS} labels at most, each once")
    return found


def _bucketsOf(name: str, buckets: Sequence[float]) -> tuple[float, ...]:
    found = tuple(float(bound) for bound in buckets if bound != inf)
    if not 1 <= len(found) <= MOST_BUCKETS or not all(map(isfinite, found)) or list(found) != sorted(set(found)):
        raise ValueError(f"{name}: buckets are 1 to {MOST_BUCKETS} numbers, each greater than the one before")
    return found


def _check(name: object, what: str) -> None:
    if not isinstance(name, str):
        raise TypeError(f"the name of {what} is text, and not {name!r}")
    if len(name) > LONGEST_NAME or not _NAME.match(name):
        raise ValueError(f"{name[:200]!r} is no name of {what}: letters, digits and _ (no digit first), "
                         f"{LONGEST_NAME} at most")


def _textOf(value: object) -> str:
    text = str(value)
    return text if type(text) is str else str.__str__(text)


def _valueOf(text: str) -> str:
    """A label's value as it is told."""
    return text[:LONGEST_VALUE].encode("utf-8", "backslashreplace").decode()[: 2 * LONGEST_VALUE]
