"""
Requests and attempts, added up.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.admin.metrics import requestfigures
from revproxy.admin.metrics.exposition import Exposition
from revproxy.admin.metrics.requestfigures import SLICE, RequestFigures
from revproxy.config.configfile import parseConfig
from revproxy.plan.counted import AttemptSeries, RequestSeries
from revproxy.plan.durations import fine
from revproxy.plan.plan import Plan
from revproxy.plan.words import Counters
from tests.admin.metrics.reading import Labels, ofName, parsed, value

SERVER = "http_server_request_duration_seconds"
CLIENT = "http_client_request_duration_seconds"


def requests(route: str = "main", status: int = 200, count: int = 1, seconds: float = 0.02) -> RequestSeries:
    """So many that were alike."""
    return RequestSeries(route, "GET", status, "http", "1.1", "", count, count * seconds, {fine(seconds): count})


def attempts(target: str, count: int = 1, seconds: float = 0.02, retries: int = 0) -> AttemptSeries:
    """So many that went to a target."""
    return AttemptSeries("app", target, "GET", 200, "", count, count * seconds, {fine(seconds): count}, retries)


class RequestFiguresTests(SynchronousTestCase):
    """
    From what workers tell to what is read.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.figures = RequestFigures(self.clock)

    def tell(self, *series: Any) -> None:
        """A worker tells this."""
        ofRequests = tuple(each for each in series if isinstance(each, RequestSeries))
        ofAttempts = tuple(each for each in series if isinstance(each, AttemptSeries))
        self.figures.counted(Counters(requests=ofRequests, attempts=ofAttempts))

    def read(self) -> dict[tuple[str, Labels], float]:
        """What Prometheus reads."""
        for _ in self.figures.settle():
            pass
        return parsed(b"".join(Exposition().slices(self.figures.sources(), False)).decode())

    def test_sums(self) -> None:
        """
        Workers and seconds are added up, each combination of labels by itself.
        """
        self.tell(requests(count=3), requests(status=404))
        self.tell(requests(count=2, seconds=3.0), requests("", 0))
        found = self.read()
        main = {
            "http_request_method": "GET",
            "http_response_status_code": "200",
            "http_route": "main",
            "url_scheme": "http",
            "network_protocol_version": "1.1",
        }
        self.assertEqual(value(found, f"{SERVER}_count", **main), 5)
        self.assertAlmostEqual(value(found, f"{SERVER}_sum", **main), 6.06)
        buckets = [value(found, f"{SERVER}_bucket", **main, le=le) for le in ("0.01", "0.025", "2.5", "5.0", "+Inf")]
        self.assertEqual(buckets, [0, 3, 3, 5, 5])
        noRoute = {**main, "http_route": "-", "http_response_status_code": "_OTHER"}
        self.assertEqual(value(found, f"{SERVER}_count", **noRoute), 1)
        self.assertEqual(len(ofName(found, f"{SERVER}_count")), 3)

    def test_targets(self) -> None:
        """
        A target is its scheme, host and port, as they are configured.
        """
        self.tell(attempts("http://127.0.0.1:9000"), attempts("https://Origin.example"), attempts("http://[::1]/x"))
        places = {
            (labels["url_scheme"], labels["server_address"], labels["server_port"])
            for labels in map(dict, ofName(self.read(), f"{CLIENT}_count"))
        }
        self.assertEqual(
            places, {("http", "127.0.0.1", "9000"), ("https", "origin.example", "443"), ("http", "::1", "80")}
        )

    def test_retries(self) -> None:
        """
        How often another target was tried is counted by upstream.
        """
        self.tell(attempts("http://127.0.0.1:9000", retries=2), attempts("http://127.0.0.1:9001", retries=3))
        self.tell(attempts("http://127.0.0.1:9000"))
        self.assertEqual(value(self.read(), "revproxy_upstream_retries_total", upstream="app"), 5)

    def test_slices(self) -> None:
        """
        Much is added up bit by bit, each in a turn of the loop.
        """
        self.tell(*(requests(f"route-{number}") for number in range(3 * SLICE)))
        steps = 0
        for _ in self.figures.settle():
            steps += 1
        self.assertEqual(steps, 3)
        self.tell(requests())
        self.clock.advance(0)
        self.assertEqual(list(self.figures.settle()), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_bounded(self) -> None:
        """
        Where there is no place, requests are counted together, and that is told; none is lost.
        """
        self.patch(requestfigures, "MOST_SERIES", 3)
        self.tell(*(requests(f"route-{number}", count=2) for number in range(5)))
        self.tell(requests("route-0"), requests("route-4"))
        counts = ofName(self.read(), f"{SERVER}_count")
        self.assertEqual(len(counts), 4)
        self.assertEqual(sum(counts.values()), 12)
        self.assertEqual(self.figures.server.dropped, 5)
        self.assertEqual([n for labels, n in counts.items() if ("http_route", "_other") in labels], [5])

    def test_forgotten(self) -> None:
        """
        Routes and targets that are gone are not told any more; what is counted together stays.
        """
        text = "listeners: [{endpoint: 'tcp:1'}]\nupstreams: {app: {targets: ['http://here.example']}}\n"
        config = parseConfig(text, "a.yaml", Path("/"))
        [target] = config.upstreams["app"].targets
        route = config.routes[0].name
        self.tell(requests(route), requests("gone"), requests(""), requests("_other"))
        self.tell(attempts(target.url), attempts("http://gone.example"))
        self.read()
        self.figures.committed(Plan(1, config, {}, (), ()))
        found = self.read()
        self.assertEqual(
            {dict(labels)["http_route"] for labels in ofName(found, f"{SERVER}_count")}, {route, "-", "_other"}
        )
        self.assertEqual(
            {dict(labels)["server_address"] for labels in ofName(found, f"{CLIENT}_count")}, {target.host}
        )

    def test_stopped(self) -> None:
        """
        Nothing is left to happen at the end.
        """
        self.tell(requests())
        self.figures.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
