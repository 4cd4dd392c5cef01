"""
What plugins count by themselves, added up.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.state.ownfigures import OwnFigures
from revproxy.figures import MOST_FIGURES, MOST_SERIES, OTHER
from revproxy.plan.counted import OwnFigure, Series


def counter(name: str, *series: Series, labels: tuple[str, ...] = ("x",), plugin: str = "a") -> OwnFigure:
    """As it is told."""
    return OwnFigure(plugin, name, "counter", "About it.", labels, (), series)


class OwnFiguresTests(SynchronousTestCase):
    """
    Sums.
    """

    def setUp(self) -> None:
        self.figures = OwnFigures()

    def values(self, plugin: str = "a") -> dict[str, Any]:
        """By name and label values."""
        return {
            f"{figure['name']} {' '.join(series['labels'].values())}".strip(): series["value"]
            for figure in self.figures.of(plugin) for series in figure["series"]
        }  # fmt: skip

    def test_sums(self) -> None:
        """
        What is told later is added, whoever tells it, to each series by itself.
        """
        self.figures.add(counter("b", Series(("y",), 2.0), Series(("z",), 1.0)))
        self.figures.add(counter("b", Series(("y",), 0.5)))
        self.figures.add(counter("a", Series((), 1.0), labels=()))
        self.figures.add(counter("b", Series(("y",), 7.0), plugin="other"))
        self.assertEqual(self.values(), {"a": 1.0, "b y": 2.5, "b z": 1.0})
        self.assertEqual(self.figures.of("a")[1], {
            "name": "b", "kind": "counter", "description": "About it.",
            "series": [{"labels": {"x": "y"}, "value": 2.5}, {"labels": {"x": "z"}, "value": 1.0}],
        })  # fmt: skip
        self.assertEqual(self.figures.of("nobody"), [])

    def test_histogram(self) -> None:
        """
        Buckets are cumulative.
        """
        for counts in ((1, 2, 3), (0, 1, 0)):
            told = OwnFigure("a", "t", "histogram", "", (), (0.1, 10.0), (Series((), 2.5, counts),))
            self.figures.add(told)
        self.assertEqual(self.figures.of("a")[0]["series"], [
            {"labels": {}, "count": 7, "sum": 5.0, "buckets": {"0.1": 1, "10": 4}}
        ])  # fmt: skip

    def test_another(self) -> None:
        """
        A figure that is another one in the next version begins anew; what it has not any more stays.
        """
        self.figures.add(counter("b", Series(("y",), 2.0)))
        self.figures.add(counter("c", Series(("y",), 2.0)))
        self.figures.add(counter("b", Series((), 1.0), labels=()))
        self.assertEqual(self.values(), {"b": 1.0, "c y": 2.0})

    def test_bounds(self) -> None:
        """
        Many versions with other label values and names each are bounded together.
        """
        for version in range(5):
            series = [Series((f"{version} {number}",), 1.0) for number in range(MOST_SERIES)]
            self.figures.add(counter("a", *series))
        values = self.values()
        self.assertEqual((len(values), values[f"a {OTHER}"]), (2 * MOST_SERIES + 1, 3 * MOST_SERIES))
        for number in range(3 * MOST_FIGURES):
            self.figures.add(counter(f"b{number}", Series((), 1.0), labels=()))
        self.assertLessEqual(len(self.figures.of("a")), 2 * MOST_FIGURES)

    def test_keepOnly(self) -> None:
        """
        Those of plugins that nobody remembers are forgotten.
        """
        for plugin in "ab":
            self.figures.add(counter("c", Series(("y",), 1.0), plugin=plugin))
        self.figures.keepOnly({"b"})
        self.assertEqual((self.values("a"), self.values("b")), ({}, {"c y": 1.0}))
