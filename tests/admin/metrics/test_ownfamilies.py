"""
What plugins count by themselves, as Prometheus reads it.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from revproxy.admin.metrics.exposition import Exposition
from revproxy.admin.metrics.ownfamilies import OwnFamilies
from revproxy.control.state.ownfigures import OwnFigures
from revproxy.figures import Figures
from revproxy.plan.counted import OwnFigure, Series
from revproxy.plan.words import Counters
from tests.admin.metrics.edges import FiguresCase
from tests.admin.metrics.reading import ofName, parsed, value


def counter(plugin: str, name: str, number: float = 1, labels: tuple[str, ...] = ()) -> OwnFigure:
    """A counter with one series."""
    values = tuple("x" for _ in labels)
    return OwnFigure(plugin, name, "counter", "What it counts.", labels, (), (Series(values, number),))


def histogram(plugin: str, name: str) -> OwnFigure:
    """A histogram with one value."""
    return OwnFigure(plugin, name, "histogram", "", (), (0.5,), (Series((), 0.25, (1, 0)),))


class OwnFamiliesTests(FiguresCase):
    """
    Figures of plugins.
    """

    def count(self, *figures: OwnFigure) -> None:
        """A worker tells these."""
        self.tell(Counters(figures=figures))

    def test_named(self) -> None:
        """
        They have a prefix, and the plugin as a label; a counter ends as counters do.
        """
        self.count(counter("shop", "shop_sold_total", 3, ("kind",)), counter("shop", "visits", 2))
        self.count(histogram("shop", "shop_seconds"))
        for openMetrics in (False, True):
            found = self.read(openMetrics)
            self.assertEqual(value(found, "revproxy_plugin_own_shop_sold_total", plugin="shop", kind="x"), 3)
            self.assertEqual(value(found, "revproxy_plugin_own_visits_total", plugin="shop"), 2)
            self.assertEqual(value(found, "revproxy_plugin_own_shop_seconds_bucket", plugin="shop", le="0.5"), 1)
            self.assertEqual(value(found, "revproxy_plugin_own_shop_seconds_sum", plugin="shop"), 0.25)

    def test_together(self) -> None:
        """
        The same figure of several plugins is one family.
        """
        self.count(counter("a", "hits_total", 1), counter("b", "hits_total", 2))
        found = ofName(self.read(), "revproxy_plugin_own_hits_total")
        self.assertEqual(found, {frozenset({("plugin", "a")}): 1, frozenset({("plugin", "b")}): 2})

    def test_apart(self) -> None:
        """
        What cannot be told beside that of another plugin is left out, and named; the rest is told.
        """
        self.count(histogram("a", "took"), counter("b", "took"), counter("b", "took_count"), counter("b", "other"))
        self.count(counter("c", "took_sum", labels=("kind",)))
        found = self.read(True)
        self.assertIn("revproxy_plugin_own_other_total", {name for name, _ in found})
        self.assertEqual(value(found, "revproxy_plugin_own_took_count", plugin="a"), 1)
        self.assertEqual(self.collection._own.leftOut, ("b.took", "b.took_count", "c.took_sum"))

    @settings(max_examples=100, deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(("a", "b", "c-d", "e.f")),
                st.from_regex(r"[a-z_][a-z0-9_]{0,6}(_total|_sum|_count|_bucket|_created|_info)?", fullmatch=True),
                st.booleans(),
                st.lists(st.from_regex(r"[a-z][a-z0-9_]{0,4}", fullmatch=True), max_size=3, unique=True),
                st.text(max_size=20),
                st.text(max_size=20),
            ),
            max_size=12,
        ),
        st.booleans(),
    )
    def test_any(self, made: list[Any], openMetrics: bool) -> None:
        """
        Whatever plugins may count, under whatever names, labels and values: it is well-formed.
        """
        figures = OwnFigures()
        for plugin, name, isCounter, labels, description, text in made:
            own = Figures()
            values = dict.fromkeys(labels, text)
            try:
                if isCounter:
                    own.counter(name, description, labels).inc(**values)
                else:
                    own.histogram(name, description, labels, (0.1, 1)).observe(0.5, **values)
            except ValueError:
                continue  # such a name is refused to the plugin itself
            for each in own.take():
                series = tuple(Series(*found) for found in each.series)
                kind: Any = each.kind
                figures.add(OwnFigure(plugin, each.name, kind, each.description, each.labels, each.buckets, series))
        families = OwnFamilies(figures)
        text = b"".join(Exposition().slices(families.sources(), openMetrics)).decode()
        parsed(text, openMetrics)
