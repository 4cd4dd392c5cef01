"""
Figures of a plugin's own.
"""

from __future__ import annotations

import threading
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.figures import LONGEST_VALUE, MOST_FIGURES, MOST_SERIES, OTHER, Counted, Figures


class CountingTests(SynchronousTestCase):
    """
    What is counted is told once.
    """

    def setUp(self) -> None:
        self.figures = Figures()

    def test_counter(self) -> None:
        """
        It counts up, by label values.
        """
        sold = self.figures.counter("sold_total", "Things.", ["kind", "shop"])
        sold.inc(kind="pen", shop="a")
        sold.inc(2.5, shop="a", kind="pen")
        sold.inc(kind="book", shop=7)
        self.assertEqual(self.figures.take(), (
            Counted("sold_total", "counter", "Things.", ("kind", "shop"), (),
                    ((("pen", "a"), 3.5, ()), (("book", "7"), 1.0, ()))),
        ))  # fmt: skip
        self.assertEqual(self.figures.take(), ())
        sold.inc(kind="pen", shop="a")
        ((series,),) = (counted.series for counted in self.figures.take())
        self.assertEqual(series, (("pen", "a"), 1.0, ()))

    def test_plain(self) -> None:
        """
        One without labels, and one that nobody has counted with.
        """
        self.figures.counter("never")
        self.figures.counter("plain").inc(5)
        self.assertEqual([counted.series for counted in self.figures.take()], [(((), 5.0, ()),)])

    def test_histogram(self) -> None:
        """
        Values by their size: a bound belongs to its bucket, what is above all of them to the last.
        """
        took = self.figures.histogram("took", buckets=(0.1, 1, float("inf")))
        for value in (0, 0.1, 0.2, 1, 1.1, 50, -3):
            took.observe(value)
        (counted,) = self.figures.take()
        self.assertEqual((counted.kind, counted.buckets), ("histogram", (0.1, 1.0)))
        ((key, total, counts),) = counted.series
        self.assertEqual((key, round(total, 6), counts), ((), 49.4, (3, 2, 2)))

    def test_labels(self) -> None:
        """
        Exactly its labels are wanted.
        """
        sold = self.figures.counter("sold", labels=["kind"])
        took = self.figures.histogram("took")
        for call, words in (
            (sold.inc, {}),
            (sold.inc, {"kind": "a", "x": "b"}),
            (sold.inc, {"x": "b"}),
            (took.observe, {"x": "b"}),
        ):
            arguments = [0.5] if call == took.observe else []
            error = self.assertRaises(TypeError, call, *arguments, **words)
            self.assertIn("has these labels: ", str(error))
        self.assertEqual(self.figures.take(), ())

    def test_foreignLabels(self) -> None:
        """While the text of a label is made, which may not come back, others count, and what was counted is taken."""
        held, free = threading.Event(), threading.Event()
        counter = self.figures.counter("shop_total", labels=("kind",))

        class Slow(str):
            def __str__(self) -> str:
                held.set()
                free.wait(10)
                counter.inc(kind="inside")
                return self

            def __hash__(self) -> int:
                raise AssertionError("foreign code")

        thread = threading.Thread(target=lambda: counter.inc(kind=Slow("slow")))
        thread.start()
        held.wait(10)
        taking = threading.Thread(target=self.figures.take, daemon=True)
        taking.start()
        taking.join(5)
        self.assertFalse(taking.is_alive())
        free.set()
        thread.join(10)
        self.assertEqual([self.figures.value("shop_total", kind=kind) for kind in ("slow", "inside")], [1, 1])

    def test_amounts(self) -> None:
        """
        Counters only go up, and by what is a number.
        """
        counter, histogram = self.figures.counter("a"), self.figures.histogram("b")
        for amount in (-1, float("nan"), float("inf")):
            self.assertRaises(ValueError, counter.inc, amount)
        for value in (float("nan"), float("-inf")):
            self.assertRaises(ValueError, histogram.observe, value)
        self.assertRaises(TypeError, counter.inc, "1")
        self.assertRaises(TypeError, histogram.observe, None)
        self.assertEqual(self.figures.take(), ())

    def test_threads(self) -> None:
        """
        Any thread may count, and nothing is lost, while another takes what there is.
        """
        counter = self.figures.counter("a", labels=["x"])
        found = 0.0

        def count() -> None:
            for _ in range(5000):
                counter.inc(x="y")

        threads = [threading.Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            found += sum(series[1] for counted in self.figures.take() for series in counted.series)
        found += sum(series[1] for counted in self.figures.take() for series in counted.series)
        self.assertEqual(found, 20_000)


class BoundTests(SynchronousTestCase):
    """
    Nothing grows without end.
    """

    def setUp(self) -> None:
        self.figures = Figures()

    def test_series(self) -> None:
        """
        Combinations beyond the bound are counted together; those that were there before go on.
        """
        users, plain = self.figures.counter("users", labels=["user", "x"]), self.figures.counter("plain")
        for number in range(MOST_SERIES + 500):
            self.assertEqual(self.figures.isFull, number > MOST_SERIES)
            users.inc(user=f"u{number}", x="y")
        plain.inc()
        series = {key: value for counted in self.figures.take() for key, value, _ in counted.series}
        self.assertEqual((len(series), series[OTHER, OTHER], series[()]), (MOST_SERIES + 2, 500, 1))
        for user in ("u0", "u1400", "new"):
            users.inc(user=user, x="y")
        series = {key: value for counted in self.figures.take() for key, value, _ in counted.series}
        self.assertEqual(series, {("u0", "y"): 1, (OTHER, OTHER): 2})
        self.assertLessEqual(len(users._known), MOST_SERIES + 1)

    def test_values(self) -> None:
        """
        A label's value is cut, and can be written.
        """
        counter = self.figures.counter("a", labels=["x"])
        for value in ("y" * 10_000, "\udc80", None, 1.5):
            counter.inc(x=value)
        values = [key[0] for counted in self.figures.take() for key, _, _ in counted.series]
        self.assertEqual(values, ["y" * LONGEST_VALUE, "\\udc80", "None", "1.5"])

    def test_figures(self) -> None:
        """
        There are so many figures, and no more; those that are there can be had again.
        """
        for number in range(MOST_FIGURES):
            self.figures.counter(f"a{number}")
        self.assertIn("50 figures at most", str(self.assertRaises(ValueError, self.figures.counter, "b")))
        self.figures.counter("a0")


class DefinitionTests(SynchronousTestCase):
    """
    Names and labels that Prometheus takes.
    """

    def setUp(self) -> None:
        self.figures = Figures()

    def test_same(self) -> None:
        """
        Instances share what they define in the same way; another way is an error.
        """
        first = self.figures.counter("a", "one", ["x"])
        self.assertIs(self.figures.counter("a", "two", ("x",)), first)
        self.assertRaises(ValueError, self.figures.counter, "a")
        self.assertRaises(ValueError, self.figures.histogram, "a", labels=["x"])
        self.figures.histogram("h")
        self.assertRaises(ValueError, self.figures.histogram, "h", buckets=(1,))

    def test_names(self) -> None:
        """
        Names that are none, that are the edge's, or that a histogram needs.
        """
        for name in ("", "1a", "a-b", "a:b", "ä", "a\n", "a" * 101, "revproxy_x"):
            self.assertRaises(ValueError, self.figures.counter, name)
        self.assertRaises(TypeError, self.figures.counter, b"a")
        self.assertRaises(TypeError, self.figures.counter, "a", 5)
        self.figures.histogram("took")
        self.assertRaises(ValueError, self.figures.counter, "took_sum")
        self.figures.counter("paid_count")
        self.assertRaises(ValueError, self.figures.histogram, "paid")

    def test_badLabels(self) -> None:
        """
        Labels that are none, twice, too many, or what others need.
        """
        bad: list[Any] = [["le"], ["plugin"], ["__x"], ["a", "a"], ["a-b"], [f"l{n}" for n in range(11)]]
        for labels in bad:
            self.assertRaises(ValueError, self.figures.counter, "a", labels=labels)
        self.assertRaises(TypeError, self.figures.counter, "a", labels="kind")
        self.assertRaises(TypeError, self.figures.counter, "a", labels=[5])

    def test_badBuckets(self) -> None:
        """
        Buckets go up, and there are some.
        """
        bad: list[Any] = [(), (float("inf"),), (1, 1), (2, 1), (float("nan"), 1), range(31)]
        for buckets in bad:
            self.assertRaises(ValueError, self.figures.histogram, "a", buckets=buckets)
