"""
Families, and what is written of them.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.admin.metrics.family import Family, distribution, scalar

COUNTER = Family("app_sold_total", "counter", "What was sold.", ("kind",))


class HeadTests(SynchronousTestCase):
    """
    The lines before the series of a family.
    """

    def test_counter(self) -> None:
        """
        OpenMetrics has a counter's name without its end.
        """
        self.assertEqual(
            COUNTER.head(False), "# HELP app_sold_total What was sold.\n# TYPE app_sold_total counter\n"
        )
        self.assertEqual(COUNTER.head(True), "# HELP app_sold What was sold.\n# TYPE app_sold counter\n")

    def test_info(self) -> None:
        """
        The text format does not know infos: there it is a gauge.
        """
        info = Family("app_info", "info", "Which.", ("version",))
        self.assertEqual(info.head(False), "# HELP app_info Which.\n# TYPE app_info gauge\n")
        self.assertEqual(info.head(True), "# HELP app Which.\n# TYPE app info\n")

    def test_escaped(self) -> None:
        """
        A help stays in its line; only OpenMetrics escapes quotes in it.
        """
        gauge = Family("app", "gauge", 'a "b"\\\n# TYPE app counter \ud800')
        self.assertEqual(
            gauge.head(False), '# HELP app a "b"\\\\\\n# TYPE app counter \\\\ud800\n# TYPE app gauge\n'
        )
        self.assertEqual(
            gauge.head(True), '# HELP app a \\"b\\"\\\\\\n# TYPE app counter \\\\ud800\n# TYPE app gauge\n'
        )


class TemplateTests(SynchronousTestCase):
    """
    The lines of a series.
    """

    def test_scalar(self) -> None:
        """
        One line, with a place for its number.
        """
        self.assertEqual(COUNTER.template(("book",)) % (3,), 'app_sold_total{kind="book"} 3\n')
        self.assertEqual(COUNTER.lines, 1)

    def test_withoutValue(self) -> None:
        """
        Labels without a value are left out, and so are the braces around none.
        """
        self.assertEqual(COUNTER.template(("",)) % (3.5,), "app_sold_total 3.5\n")

    def test_escaped(self) -> None:
        """
        A value cannot end its quotes, or its line, nor take the place of a number.
        """
        hostile = '"} 1\n# TYPE x counter\n\\%s%d%% \ud83d'
        self.assertEqual(
            COUNTER.template((hostile,)) % (3,),
            'app_sold_total{kind="\\"} 1\\n# TYPE x counter\\n\\\\%s%d%% \\\\ud83d"} 3\n',
        )

    def test_histogram(self) -> None:
        """
        A line for each bucket, each with all below it, then the sum, and the count.
        """
        took = Family("app_seconds", "histogram", "How long.", ("kind",), (0.1, 1))
        self.assertEqual(
            took.template(("a",)) % distribution([1, 0, 2], 7.5),
            'app_seconds_bucket{kind="a",le="0.1"} 1\n'
            'app_seconds_bucket{kind="a",le="1.0"} 1\n'
            'app_seconds_bucket{kind="a",le="+Inf"} 3\n'
            'app_seconds_sum{kind="a"} 7.5\n'
            'app_seconds_count{kind="a"} 3\n',
        )
        self.assertEqual(took.lines, 5)


class NamesTests(SynchronousTestCase):
    """
    Names that no other family may have.
    """

    def test_names(self) -> None:
        """
        Those of its series, and those that OpenMetrics keeps free for it.
        """
        self.assertEqual(COUNTER.names, {"app_sold", "app_sold_total", "app_sold_created"})
        self.assertEqual(Family("a", "histogram", "").names, {"a", "a_bucket", "a_sum", "a_count", "a_created"})
        self.assertEqual(Family("a_info", "info", "").names, {"a", "a_info"})
        self.assertEqual(Family("a", "gauge", "").names, {"a"})

    def test_equal(self) -> None:
        """
        Families that differ in their help only are one.
        """
        self.assertEqual(Family("a", "gauge", "one"), Family("a", "gauge", "two"))
        self.assertNotEqual(Family("a", "gauge", "one"), Family("a", "gauge", "one", ("label",)))

    def test_scalar(self) -> None:
        """
        Numbers become points.
        """
        self.assertEqual(list(scalar([(("a",), 1), (("b",), 2)])), [(("a",), (1,)), (("b",), (2,))])
