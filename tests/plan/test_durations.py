"""Tests for `revproxy.plan.durations`."""

from __future__ import annotations

from itertools import pairwise
from statistics import quantiles as exactly

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from revproxy.plan.durations import FINE, SELF_TIME, STANDARD, fine, quantiles, standard


def counted(values: list[float]) -> list[int]:
    """How many are in each bucket."""
    counts = [0] * (len(FINE) + 1)
    for value in values:
        counts[fine(value)] += 1
    return counts


class DurationsTests(SynchronousTestCase):
    """Buckets."""

    def test_bounds(self) -> None:
        """They rise, at most by a quarter or so from 10 µs to 80 s, and the standard ones are among them."""
        self.assertEqual(sorted(set(FINE)), list(FINE))
        self.assertLess(max(high / low for low, high in pairwise(FINE)), 1.3)
        self.assertLessEqual(set(STANDARD), set(FINE))
        self.assertEqual((len(STANDARD), len(SELF_TIME), sorted(SELF_TIME)), (14, 14, list(SELF_TIME)))

    def test_fine(self) -> None:
        """A duration is in the first bucket whose bound is not less."""
        self.assertEqual((fine(0.0), fine(FINE[0]), fine(FINE[0] * 1.01)), (0, 0, 1))
        self.assertEqual((fine(FINE[-1]), fine(1e9), fine(-1.0)), (len(FINE) - 1, len(FINE), 0))

    @given(some.lists(some.floats(0, 200), max_size=50))
    def test_standard(self, values: list[float]) -> None:
        """What is counted finely is in the same standard bucket as if it had been counted so."""
        wanted = [0] * (len(STANDARD) + 1)
        for value in values:
            wanted[next((at for at, bound in enumerate(STANDARD) if value <= bound), len(STANDARD))] += 1
        self.assertEqual(standard(enumerate(counted(values))), wanted)
        self.assertEqual(standard(dict(enumerate(counted(values)))), wanted)

    @given(some.lists(some.floats(2e-5, 90), min_size=100, max_size=300))
    def test_quantile(self, values: list[float]) -> None:
        """A percentile is at most a bucket away from what it is."""
        exact = exactly(values, n=100, method="inclusive")
        buckets = dict(enumerate(counted(values)))
        for percent, found in zip((50, 95, 99), quantiles(buckets, (0.5, 0.95, 0.99)), strict=True):
            assert found is not None
            ranked = sorted(values)
            low, high = ranked[max(0, int(len(ranked) * percent / 100) - 1)], max(exact[percent - 1], ranked[0])
            self.assertGreaterEqual(found, min(low, high) / 1.3)
            self.assertLessEqual(found, ranked[min(len(ranked) - 1, int(len(ranked) * percent / 100))] * 1.3)

    def test_none(self) -> None:
        """Of nothing there is no percentile; of what is above all bounds, the last of them."""
        self.assertEqual(quantiles({}, (0.5, 0.9)), [None, None])
        self.assertEqual(quantiles({3: 0}, (0.5,)), [None])
        self.assertEqual(quantiles({fine(1000.0): 1}, (0.5,)), [FINE[-1]])
        self.assertEqual(quantiles({0: 1, 1: 1}, (0.0, 0.5, 0.75, 1.0), [1.0, 2.0]), [0.0, 1.0, 1.5, 2.0])
