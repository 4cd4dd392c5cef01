"""
Tests for `revproxy.worker.requestcounts`: every request is counted once, and no client decides how many series there
are.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.plan.counted import OTHER, AttemptSeries, RequestSeries
from revproxy.plan.durations import fine
from revproxy.worker import requestcounts
from revproxy.worker.requestcounts import OVERFLOW, RequestCounts
from tests.dataplane.test_accessline import record


class RequestCountsTests(SynchronousTestCase):
    """
    `RequestCounts`.
    """

    def setUp(self) -> None:
        self.counts = RequestCounts()

    def test_series(self) -> None:
        """
        What is the same in route, method, status, scheme, version and error is one series; it is told once.
        """
        same = {"route": "shop", "method": b"GET", "status": 200, "scheme": "https", "version": "1.1"}
        self.counts.take([record(**same, duration=0.25), record(**same, duration=0.002)])
        self.counts.take([record(**same, duration=0.002), record(**{**same, "route": ""}, duration=1.0)])
        self.assertEqual(self.counts.requests(), (
            RequestSeries("shop", "GET", 200, "https", "1.1", "", 3, 0.254, {fine(0.25): 1, fine(0.002): 2}),
            RequestSeries("", "GET", 200, "https", "1.1", "", 1, 1.0, {fine(1.0): 1}),
        ))
        self.assertEqual((self.counts.requests(), self.counts.attempts()), ((), ()))

    def test_attempts(self) -> None:
        """
        What went to a target is counted there, by the time it took to answer, or, if it did not, by all the time; and
        how many others had been tried before.
        """
        target = {"upstream": "http://127.0.0.1:9", "pool": "web", "duration": 3.0}
        self.counts.take([
            record(**target, upstreamSeconds=0.5, status=200, attempts=3),
            record(**target, upstreamSeconds=None, status=502, error="ConnectFailed: refused"),
            record(duration=9.0),
        ])
        self.assertEqual(self.counts.attempts(), (
            AttemptSeries("web", "http://127.0.0.1:9", "GET", 200, "", 1, 0.5, {fine(0.5): 1}, 2),
            AttemptSeries("web", "http://127.0.0.1:9", "GET", 502, "ConnectFailed", 1, 3.0, {fine(3.0): 1}),
        ))

    def test_errors(self) -> None:
        """
        An error has its class; a 5xx without one its status; what no error of ours is, is another one.
        """
        for error, status, wanted in (
            ("NotFound: no route", 404, "NotFound"),
            (None, 404, ""),
            (None, 503, "503"),
            ("TenantUnknown: 12345", 403, OTHER),
            ("x" * 1000, 500, OTHER),
        ):
            self.counts.take([record(error=error, status=status)])
            self.assertEqual([series.errorType for series in self.counts.requests()], [wanted], error)

    def test_clientsChooseNothing(self) -> None:
        """
        Whatever methods, targets, hosts, ids and addresses there are, there is one series for them.
        """
        self.counts.take([
            record(method=b"M%d\n\"}" % n, target=b"/%d" % n, host=b"%d" % n, id=str(n), peer=str(n), duration=1.0)
            for n in range(500)
        ])
        (series,) = self.counts.requests()
        self.assertEqual((series.method, series.count), (OTHER, 500))

    def test_overflow(self) -> None:
        """
        Beyond the bound all is counted together, and told how many that were; what has a place keeps it.
        """
        self.patch(requestcounts, "MOST_SERIES", 2)
        routes = ["a", "b", "c", "d", "a", "c"]
        self.counts.take([record(route=route, upstream=route, pool=route) for route in routes])
        counted = {series.route: series.count for series in self.counts.requests()}
        self.assertEqual(counted, {"a": 2, "b": 1, OVERFLOW: 3})
        self.assertEqual({series.upstream: series.count for series in self.counts.attempts()}, counted)
        self.assertEqual((self.counts.takeDropped(), self.counts.takeDropped()), (6, 0))
        self.counts.keepOnly({"b"}, {("b", "b")})
        self.counts.take([record(route=route, upstream=route, pool=route) for route in ("c", "b", "a")])
        self.assertEqual([series.route for series in self.counts.requests()], ["c", "b", OVERFLOW])
        self.assertEqual([series.upstream for series in self.counts.attempts()], ["c", "b", OVERFLOW])

    def test_refusedHeads(self) -> None:
        """
        A head that was no request has no version to tell apart.
        """
        self.counts.take([record(version="-", method=b"-", status=400, error="BadRequest: no")])
        (series,) = self.counts.requests()
        self.assertEqual((series.version, series.method, series.errorType), ("", OTHER, "BadRequest"))
