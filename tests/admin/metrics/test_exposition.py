"""
What Prometheus reads, and how much of it is made in one go.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.admin.metrics.exposition import SLICE, Exposition, Source
from revproxy.admin.metrics.family import Family, Point, distribution
from revproxy.plan.durations import STANDARD
from tests.admin.metrics.reading import parsed, value

COUNTER = Family("app_sold_total", "counter", "What was sold.", ("kind", "place"))
GAUGE = Family("app_open", "gauge", "What is open.")
TOOK = Family("app_seconds", "histogram", "How long.", ("kind",), (0.1, 1))

ROUTES = Family("http_server_request_duration_seconds", "histogram", "How long.", ("status", "route"), STANDARD)


def source(family: Family, *points: Point, **more: Any) -> Source:
    """A family with these series."""
    return Source(family, lambda: iter(points), **more)


def exposed(*sources: Source, openMetrics: bool = False) -> str:
    """All of it."""
    return b"".join(Exposition().slices(sources, openMetrics)).decode()


class TextTests(SynchronousTestCase):
    """
    Both formats, as Prometheus' library reads them.
    """

    sources = (
        source(COUNTER, (("book", "here"), (3,)), (("pen", ""), (1.5,))),
        source(GAUGE, ((), (7,))),
        source(TOOK, (("a",), distribution([1, 0, 2], 7.5))),
    )

    def test_text(self) -> None:
        """
        Families one after the other, each with its head.
        """
        self.assertEqual(exposed(*self.sources), (
            "# HELP app_sold_total What was sold.\n"
            "# TYPE app_sold_total counter\n"
            'app_sold_total{kind="book",place="here"} 3\n'
            'app_sold_total{kind="pen"} 1.5\n'
            "# HELP app_open What is open.\n"
            "# TYPE app_open gauge\n"
            "app_open 7\n"
            "# HELP app_seconds How long.\n"
            "# TYPE app_seconds histogram\n"
            'app_seconds_bucket{kind="a",le="0.1"} 1\n'
            'app_seconds_bucket{kind="a",le="1.0"} 1\n'
            'app_seconds_bucket{kind="a",le="+Inf"} 3\n'
            'app_seconds_sum{kind="a"} 7.5\n'
            'app_seconds_count{kind="a"} 3\n'
        ))

    def test_read(self) -> None:
        """
        Both formats say the same.
        """
        text, openMetrics = exposed(*self.sources), exposed(*self.sources, openMetrics=True)
        self.assertTrue(openMetrics.endswith("\n# EOF\n"))
        self.assertNotIn("# EOF", text)
        self.assertEqual(parsed(text), parsed(openMetrics, True))
        self.assertEqual(value(parsed(text), "app_sold_total", kind="book", place="here"), 3)

    def test_nothing(self) -> None:
        """
        A family without series is not there; nothing at all is well-formed, too.
        """
        self.assertEqual(exposed(source(GAUGE)), "")
        self.assertEqual(exposed(source(GAUGE), openMetrics=True), "# EOF\n")

    def test_exemplars(self) -> None:
        """
        Exemplars stand behind the numbers of buckets, in OpenMetrics only.
        """
        exemplars = {("a",): {2: ' # {trace_id="ab"} 3.5 1.25'}}
        took = source(TOOK, (("a",), distribution([1, 0, 2], 7.5)), exemplars=lambda: exemplars)
        text = exposed(took, openMetrics=True)
        self.assertIn('app_seconds_bucket{kind="a",le="+Inf"} 3 # {trace_id="ab"} 3.5 1.25\n', text)
        parsed(text, True)
        self.assertNotIn("trace_id", exposed(took))


class AgainTests(SynchronousTestCase):
    """
    The same exposition, made again.
    """

    def test_numbers(self) -> None:
        """
        Numbers are those of now, and series that are gone are gone.
        """
        points: dict[Any, Any] = {("a", ""): (1,), ("b", ""): (2,)}
        sources = [Source(COUNTER, lambda: list(points.items()))]
        exposition = Exposition()
        b"".join(exposition.slices(sources, False))
        points[("a", "")] = (5,)
        del points[("b", "")]
        text = b"".join(exposition.slices(sources, True)).decode()
        self.assertIn('app_sold_total{kind="a"} 5\n', text)
        self.assertNotIn('kind="b"', text)

    def test_otherLabels(self) -> None:
        """
        A family of the same name with other labels is another one.
        """
        exposition = Exposition()
        list(exposition.slices([source(Family("a", "gauge", "", ("x",)), (("1",), (1,)))], False))
        made = list(exposition.slices([source(Family("a", "gauge", "", ("y",)), (("1",), (1,)))], False))
        self.assertIn(b'a{y="1"} 1', b"".join(made))

    def test_bounded(self) -> None:
        """
        What is not told any more is not remembered.
        """
        exposition, many = Exposition(), Family("a", "gauge", "", ("x",))
        for first in range(0, 10_000, 1000):
            points = [((str(number),), (1,)) for number in range(first, first + 1000)]
            list(exposition.slices([source(many, *points)], False))
            list(exposition.slices([source(many)], False))
        self.assertEqual(sum(map(len, exposition._templates.values())), 0)
        list(exposition.slices([source(GAUGE, ((), (1,)))], False))
        self.assertEqual([*exposition._templates], [GAUGE])


class SliceTests(SynchronousTestCase):
    """
    How much is made in one go.
    """

    def test_fiveHundredRoutes(self) -> None:
        """
        500 routes with three statuses each are 25,500 lines; no slice has more than a series above its measure, the
        first time as well as later.
        """
        points = [
            ((str(status), f"route-{route}"), distribution([1] * 15, 1.5))
            for route in range(500)
            for status in (200, 404, 502)
        ]
        exposition = Exposition()
        for openMetrics in (False, True):
            slices = list(exposition.slices([source(ROUTES, *points)], openMetrics))
            lines = [text.count(b"\n") for text in slices]
            self.assertEqual(sum(lines), 500 * 3 * 17 + 2 + openMetrics)
            self.assertLess(max(lines), SLICE + 17 + 2)
            self.assertGreater(len(lines), 40)

    def test_manySmallFamilies(self) -> None:
        """
        Neither do many families of one series each make a long slice.
        """
        sources = [source(Family(f"app_{number}", "gauge", "x"), ((), (1,))) for number in range(5000)]
        lines = [text.count(b"\n") for text in Exposition().slices(sources, False)]
        self.assertEqual(sum(lines), 15_000)
        self.assertLess(max(lines), SLICE + 3)


NAMES = st.text(max_size=30)


class HostileTests(SynchronousTestCase):
    """
    Whatever stands in labels and helps.
    """

    @settings(max_examples=300, deadline=None)
    @given(st.lists(st.tuples(NAMES, NAMES), min_size=1, max_size=5, unique=True), NAMES, st.booleans())
    def test_anyText(self, keys: list[tuple[str, str]], text: str, openMetrics: bool) -> None:
        """
        Prometheus' library reads every value as it was, from as many samples as there were.
        """
        family = Family("app_sold_total", "counter", text, ("kind", "place"))
        points = [(key, (number,)) for number, key in enumerate(keys)]
        found = parsed(exposed(source(family, *points), openMetrics=openMetrics), openMetrics)
        expected = {}
        for (kind, place), (number,) in points:
            given = {("kind", kind), ("place", place)} - {("kind", ""), ("place", "")}
            expected["app_sold_total", frozenset(given)] = number
        self.assertEqual(found, expected)

    @settings(max_examples=200, deadline=None)
    @given(
        st.lists(st.integers(0, 10**12), min_size=3, max_size=3),
        st.floats(allow_nan=False, width=64),
        st.text(st.characters(codec=None), max_size=20),
        st.booleans(),
    )
    def test_anyNumber(self, counts: list[int], total: float, kind: str, openMetrics: bool) -> None:
        """
        Numbers of any size, and labels with half a character in them.
        """
        if openMetrics and total < 0:
            total = -total  # OpenMetrics has no negative sums where there are no negative buckets
        text = exposed(source(TOOK, ((kind,), distribution(counts, total))), openMetrics=openMetrics)
        found = parsed(text, openMetrics)
        self.assertEqual(len(found), 5)
        labels = dict(next(key for key in found if key[0] == "app_seconds_sum")[1])
        self.assertEqual(value(found, "app_seconds_count", **labels), sum(counts))
        self.assertEqual(value(found, "app_seconds_sum", **labels), total)
