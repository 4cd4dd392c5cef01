"""
Tests for `revproxy.control.traffic`: sums over time are those of all workers, and are forgotten in time.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.traffic import traffic as trafficModule
from revproxy.control.traffic.course import Course
from revproxy.control.traffic.traffic import SHARE, Traffic
from revproxy.control.traffic.window import Sum, Window
from revproxy.plan.counted import AttemptSeries, PhaseCounters, RequestSeries, VersionCounters
from revproxy.plan.durations import SELF_TIME, fine
from revproxy.plan.versionid import VersionId
from revproxy.plan.words import Counters


def requests(route: str = "shop", status: int = 200, *seconds: float) -> RequestSeries:
    """Requests that took so long."""
    buckets: dict[int, int] = {}
    for each in seconds:
        buckets[fine(each)] = buckets.get(fine(each), 0) + 1
    return RequestSeries(route, "GET", status, "https", "1.1", "", len(seconds), sum(seconds), buckets)


def attempts(upstream: str, target: str, status: int, *seconds: float) -> AttemptSeries:
    """Requests that went to a target."""
    series = requests("", status, *seconds)
    return AttemptSeries(upstream, target, "GET", status, "", series.count, series.seconds, series.buckets)


class TrafficCase(SynchronousTestCase):
    """At a time that the test says."""

    def setUp(self) -> None:
        self.at = 1_700_000_000.0 - 7200
        self.traffic = Traffic(lambda: self.at)
        self.at = 1_700_000_000.0

    def told(self, *series: RequestSeries, worker: int = 0) -> None:
        """A worker has counted this."""
        self.traffic.counted(worker, Counters(requests=series))


class WindowTests(TrafficCase):
    """`Traffic.window`."""

    def test_workers(self) -> None:
        """What all workers tell is added up."""
        for worker in range(3):
            self.told(requests("shop", 200, 0.1, 0.2), requests("shop", 404, 0.1), worker=worker)
            self.told(requests("", 503, 1.0), worker=worker)
        shop = self.traffic.window(10, route="shop")
        self.assertEqual((shop.requests, shop.errors4xx, shop.errors5xx), (9, 3, 0))
        self.assertAlmostEqual(shop.duration, 1.2)
        self.assertEqual(shop.rate, 0.9)
        total = self.traffic.window(10)
        self.assertEqual((total.requests, total.errors4xx, total.errors5xx, total.errorShare), (12, 3, 3, 0.25))

    def test_nothing(self) -> None:
        """Of what nobody knows there is nothing, and that is no error."""
        for window in (self.traffic.window(10), self.traffic.window(3600, route="no"), self.traffic.window(0)):
            figures = window.requests, window.rate, window.errorShare, window.loopShare, window.quantile(0.5)
            self.assertEqual(figures, (0, 0.0, 0.0, 0.0, None))

    def test_passes(self) -> None:
        """What is older is not in it."""
        self.told(requests("shop", 200, 0.1))
        for seconds, known in ((9, (1, 1, 1, 1)), (10, (0, 1, 1, 1)), (59, (0, 1, 1, 1)), (60, (0, 0, 1, 1)),
                               (320, (0, 0, 0, 1)), (3570, (0, 0, 0, 1)), (3611, (0, 0, 0, 0))):
            self.at = 1_700_000_000.0 + seconds
            found = tuple(self.traffic.window(each, route="shop").requests for each in (10, 60, 300, 3600))
            self.assertEqual(found, known, seconds)

    def test_young(self) -> None:
        """Rates are of the time that it has been there."""
        traffic = Traffic(lambda: self.at)
        traffic.counted(0, Counters(requests=(requests("shop", 200, *[0.1] * 8),)))
        self.assertEqual(traffic.window(3600).rate, 8.0)
        self.at += 4
        self.assertEqual((traffic.window(3600).rate, traffic.window(10).rate, traffic.window(2).rate), (2.0, 2.0, 0.0))

    def test_quantiles(self) -> None:
        """Percentiles are of the window, within some per cent."""
        self.told(requests("shop", 200, *[0.01] * 90, *[0.2] * 8, *[3.0] * 2))
        window = self.traffic.window(10, route="shop")
        for q, exact in ((0.5, 0.01), (0.95, 0.2), (0.99, 3.0)):
            found = window.quantile(q)
            assert found is not None
            self.assertLess(abs(found - exact) / exact, 0.25)

    def test_upstreams(self) -> None:
        """Upstreams, and each target of them."""
        self.traffic.counted(0, Counters(attempts=(
            attempts("web", "http://a", 200, 0.1), attempts("web", "http://b", 502, 0.3, 0.3),
            attempts("api", "http://a", 200, 0.1),
        )))  # fmt: skip
        web = self.traffic.window(10, upstream="web")
        self.assertEqual((web.requests, web.errors5xx), (3, 2))
        self.assertEqual(self.traffic.window(10, upstream="web", target="http://a").requests, 1)
        self.assertEqual(self.traffic.window(10, upstream="api", target="http://a").requests, 1)
        self.assertEqual(self.traffic.window(10).requests, 0)
        self.assertEqual(self.traffic.names("target"), [("web", "http://a"), ("web", "http://b"), ("api", "http://a")])

    def test_plugins(self) -> None:
        """Of plugins: calls, failures, interrupts, self time with its share of the loop's; all versions together."""
        phases = (PhaseCounters("handle", 3, buckets=(1, 0, 2)), PhaseCounters("handleResponse", 1, buckets=(0, 1)))
        self.traffic.counted(0, Counters((
            VersionCounters("a", VersionId("1"), 4, 2, interrupts=1, seconds=5.0, phases=phases),
            VersionCounters("a", VersionId("2"), 1),
        )))  # fmt: skip
        window = self.traffic.window(10, plugin="a")
        self.assertEqual((window.requests, window.errors5xx, window.errors4xx), (5, 2, 1))
        self.assertEqual((window.loopShare, window.buckets, window.bounds), (0.5, {0: 1, 2: 2, 1: 1}, SELF_TIME))

    @given(some.lists(some.tuples(some.integers(0, 400), some.integers(1, 5)), max_size=60))
    def test_hour(self, steps: list[tuple[int, int]]) -> None:
        """The hour's sum, which is kept as it goes, is that of its slots."""
        self.at = 1_700_000_000.0
        self.traffic = Traffic(lambda: self.at)
        for seconds, count in steps:
            self.at += seconds
            self.told(requests("shop", 200 + 300 * (count > 3), *[count / 10] * count))
        self.at += 7
        points = self.traffic.points("route", "shop", 3600, 10)
        hour = self.traffic.window(3600, route="shop")
        self.assertEqual(hour.requests, sum(window.requests for _, window in points))
        self.assertEqual(hour.errors5xx, sum(window.errors5xx for _, window in points))
        self.assertEqual(sum(hour.buckets.values()), hour.requests)
        self.assertFalse(any(count < 0 for count in hour.buckets.values()))


class PointsTests(TrafficCase):
    """`Traffic.points`."""

    def test_steps(self) -> None:
        """Each step has what came in it, also nothing; the last one goes on still."""
        for seconds, count in ((0, 1), (5, 2), (30, 4)):
            self.at = 1_700_000_000.0 + seconds
            self.told(requests("shop", 200, *[0.1] * count))
        points = self.traffic.points("route", "shop", 40, 10)
        self.assertEqual([(at - 1_700_000_000, window.requests) for at, window in points],
                         [(0, 3), (10, 0), (20, 0), (30, 4)])  # fmt: skip
        points = self.traffic.points("total", "", 60, 30)
        self.assertEqual(sum(window.requests for _, window in points), 7)

    def test_seconds(self) -> None:
        """The last minute is known by the second."""
        self.told(requests("shop", 200, 0.1))
        self.at += 2
        self.told(requests("shop", 200, 0.1, 0.2))
        points = self.traffic.points("route", "shop", 4, 1)
        self.assertEqual([window.requests for _, window in points], [0, 1, 0, 2])
        self.assertEqual(len(self.traffic.points("route", "nobody", 60, 5)), 12)


class BoundTests(TrafficCase):
    """Memory, and time."""

    def test_many(self) -> None:
        """
        Of very many routes, a report adds up a tenth, each in its turn; what waits is there all the same for whoever
        looks, and is not kept for long.
        """
        settled: list[int] = []
        settle = Course.settle

        def noted(course: Course, now: float) -> bool:
            settled.append(len(course._noted))
            return settle(course, now)

        series = [requests(f"r{number}", 200, 0.1) for number in range(500)]
        self.patch(Course, "settle", noted)
        for second in range(40):
            self.at = 1_700_000_000.0 + second
            settled.clear()
            self.told(*series)
            self.assertLessEqual(len(settled), 500 // SHARE + 1)
            self.assertLessEqual(max(settled), 2 * SHARE + 2)
        self.assertEqual(self.traffic.window(40, route="r7").requests, 40)
        self.assertEqual(self.traffic.window(10).requests, 5000)

    def test_names(self) -> None:
        """There are so many names at most; then what has been idle for an hour gives way."""
        self.patch(trafficModule, "MOST_NAMES", 4)
        for route in "abcde":
            self.told(requests(route, 200, 0.1))
        self.assertEqual(self.traffic.names("route"), ["a", "b", "c"])
        self.assertEqual(self.traffic.window(10).requests, 5)
        self.at += 3700
        self.told(requests("f", 200, 0.1))
        self.assertEqual(self.traffic.names("route"), ["f"])

    def test_small(self) -> None:
        """What is packed is some dozen bytes, and the same afterwards."""
        total = Sum()
        total.add(1000, 3, 2, 12.5, [(bucket, 100) for bucket in range(20, 30)])
        packed, again = total.packed(), Sum()
        self.assertLess(len(packed), 64)
        again.addPacked(packed)
        figures: list[Any] = [[getattr(each, name) for name in Sum.__slots__] for each in (total, again)]
        self.assertEqual(figures[0], figures[1])
        again.addPacked(packed, -1)
        self.assertEqual((again.requests, again.duration, set(again.buckets.values())), (0, 0.0, {0}))

    def test_frozen(self) -> None:
        """Nobody changes a window."""
        self.assertRaises(AttributeError, setattr, Window(10), "requests", 3)
