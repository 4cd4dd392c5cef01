"""
What a plugin in a locked process has counted, added to the figures that the edge has of it. The names of labels are
fixed with the figure; of their values there are a few, and the rest is counted together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from revproxy.errors import printable
from revproxy.figures import Counter, Figures, Histogram
from revproxy.isolation.frames import FigureCounted

MOST_VALUES: Final = 100
"""Combinations of label values of one figure."""

OTHER: Final = "_other"
"""The value of each label beyond that."""

_LARGEST: Final = 2.0**53


class ProcessFigures:
    """
    Of one version.

    :param exceeded: told of the limit that was exceeded, in words.
    """

    def __init__(self, figures: Figures, exceeded: Callable[[str], None]) -> None:
        self._figures = figures
        self._exceeded = exceeded
        self._known: dict[str, set[tuple[str, ...]]] = {}

    def add(self, counted: FigureCounted) -> None:
        """
        Add what one figure has counted.

        :raises ValueError: it is no figure, or not the one of that name; nothing is added.
        """
        figure: Counter | Histogram
        try:
            if counted.bounds:
                figure = self._figures.histogram(counted.name, counted.description, counted.labels, counted.bounds)
            else:
                figure = self._figures.counter(counted.name, counted.description, counted.labels)
        except TypeError as error:
            raise ValueError(str(error)) from None
        for key, values in counted.series:
            self._check(counted, key, values)
        for key, values in counted.series:
            labels = dict(zip(counted.labels, self._entered(counted.name, key), strict=True))
            if isinstance(figure, Histogram):
                figure.add(values[0], [int(each) for each in values[1:]], **labels)
            else:
                figure.inc(values[0], **labels)

    @staticmethod
    def _check(counted: FigureCounted, key: tuple[str, ...], values: tuple[float, ...]) -> None:
        wanted = len(counted.bounds) + 2 if counted.bounds else 1
        if len(key) != len(counted.labels) or len(values) != wanted:
            raise ValueError(f"{printable(counted.name, 100)}: its labels, or its values, are not as many as they are")
        for value in values[1:] if counted.bounds else values:
            if not 0 <= value < _LARGEST:
                raise ValueError(f"{printable(counted.name, 100)} counts up: {value!r} is not 0 or more")

    def _entered(self, name: str, key: tuple[str, ...]) -> tuple[str, ...]:
        known = self._known.setdefault(name, set())
        plain = tuple(printable(value, 100).replace("\n", " ") for value in key)
        if plain in known or not key:
            return plain
        if len(known) >= MOST_VALUES:
            self._exceeded(f"its figure {name} has more than {MOST_VALUES} combinations of label values")
            return (OTHER,) * len(key)
        known.add(plain)
        return plain
