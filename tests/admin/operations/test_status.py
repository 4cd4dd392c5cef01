"""Tests for `revproxy.admin.operations.status`."""

from __future__ import annotations

from typing import Any

from revproxy.admin.operations import status as statusModule
from revproxy.admin.operations.status import statusOperations
from revproxy.plan.counted import EdgeCounters, RouteNow
from revproxy.plan.words import Counters
from tests.admin.operations.controls import NOW, ControlCase
from tests.control.traffic.test_traffic import requests

ROUTES = "upstreams: {web: {targets: ['http://a']}}\n"


class StatusTests(ControlCase):
    """``GET /status``."""

    def setUp(self) -> None:
        super().setUp()
        self.offer(statusOperations)

    def test_starting(self) -> None:
        """Before the first plan: nothing has gone through, and it says that it is not ready, and why."""
        status = self.ask("getStatus")
        self.assertEqual((status["state"], status["is_ready"], status["not_ready"]),
                         ("starting", False, ["it is starting"]))  # fmt: skip
        self.assertEqual((status["plan"], status["routes"], status["workers"]), (0, [], 2))
        self.assertEqual(status["total"]["last_10s"], {
            "requests": 0, "rate": 0.0, "share_4xx": 0.0, "share_5xx": 0.0, "p50_ms": None, "p95_ms": None,
            "p99_ms": None})  # fmt: skip

    def test_serving(self) -> None:
        """What it is, since when, and what the configuration is."""
        self.commit(ROUTES)
        self.clock.advance(5)
        status = self.ask("getStatus")
        self.assertEqual((status["name"], status["started_at"], status["now"]), ("revproxy", NOW, NOW + 5))
        self.assertEqual((status["is_ready"], status["not_ready"], status["plan"]), (True, [], 3))
        self.assertEqual(status["config"], {"source": "first.yaml", "failure": None})
        self.assertEqual(status["plugins"], {"running": 0, "quarantined": 0, "failed": 0, "off": 0})

    def test_draining(self) -> None:
        """An edge that is being stopped says so."""
        self.commit(ROUTES)
        self.control.coordinator.halt()
        status = self.ask("getStatus")
        self.assertEqual((status["state"], status["not_ready"]), ("draining", ["it is being stopped"]))

    def test_workers(self) -> None:
        """Figures of a route are of all workers together; so is what is under way, with the oldest of all."""
        self.commit(ROUTES)
        for number, worker in enumerate(self.workers):
            worker.says(Counters(
                requests=(requests("/", 200, 0.1, 0.1, 0.1), requests("/", 503, 0.5)),
                routes=(RouteNow("/", 2, NOW - 60 * number),), edge=EdgeCounters(7),
            ))  # fmt: skip
            worker.silent = True
        status = self.ask("getStatus")
        (route,) = status["routes"]
        self.assertEqual((route["route"], route["upstream"], route["in_flight"]), ("/", None, 4))
        self.assertEqual((route["last_10s"]["requests"], route["last_10s"]["share_5xx"]), (8, 0.25))
        self.assertEqual(route["oldest_seconds"], status["oldest_request_seconds"])
        self.assertTrue(60 <= route["oldest_seconds"] < 62)
        self.assertEqual((status["connections"], status["requests_in_flight"]), (14, 4))
        self.assertEqual(status["total"]["last_hour"]["requests"], 8)
        self.assertTrue(80 < route["last_hour"]["p50_ms"] <= 100 < 400 < route["last_hour"]["p99_ms"] <= 500)

    def test_noRoute(self) -> None:
        """Requests without a route have a line, the last, if there were any."""
        self.commit(ROUTES)
        self.workers[0].says(Counters(requests=(requests("", 404, 0.1),)))
        self.assertEqual([route["route"] for route in self.ask("getStatus")["routes"]], ["/", ""])

    def test_fresh(self) -> None:
        """Workers are asked first; one that does not answer costs a second, and what it told before counts."""
        self.commit(ROUTES)
        self.workers[1].says(Counters(edge=EdgeCounters(3)))
        self.workers[1].silent = True
        asked = self.begin("getStatus")
        self.assertNoResult(asked)
        self.clock.advance(1.0)
        self.assertEqual(self.successResultOf(asked)["connections"], 3)

    def test_slices(self) -> None:
        """Many routes are looked at some at a time: others have the loop between."""
        self.patch(statusModule, "SLICE", 0.0)
        routes = "".join(f"  - {{path: /{number}, respond: {{}}}}\n" for number in range(35))
        self.commit("", f"listeners: [{{endpoint: 'tcp:1'}}]\nroutes:\n{routes}")
        coordinator, turns = self.control.coordinator, []
        callLater = coordinator.callLater

        def noted(seconds: float, *call: Any) -> Any:
            turns.append(seconds)
            return callLater(seconds, *call)

        coordinator.callLater = noted
        status = self.ask("getStatus")
        self.assertEqual((len(status["routes"]), turns), (35, [0] * 35))
