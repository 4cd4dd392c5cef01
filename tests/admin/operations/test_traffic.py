"""Tests for `revproxy.admin.operations.traffic`."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from revproxy.admin.operations.traffic import trafficOperations
from revproxy.admin.problem import Problem
from revproxy.plan.counted import VersionCounters
from revproxy.plan.versionid import VersionId
from revproxy.plan.words import Counters
from tests.admin.operations.controls import NOW, ControlCase
from tests.control.traffic.test_traffic import attempts, requests


class TrafficTests(ControlCase):
    """``GET /traffic``."""

    def setUp(self) -> None:
        super().setUp()
        self.offer(trafficOperations)
        self.commit("upstreams: {web: {targets: ['http://a']}}\n")

    def problem(self, **values: object) -> Problem:
        """That it cannot be had."""
        asked: Deferred[object] = self.begin("getTraffic", **values)
        found: Problem = self.failureResultOf(asked, Problem).value
        return found

    def test_total(self) -> None:
        """Everything, of all workers, in steps of ten seconds over an hour; each step is there."""
        for worker in self.workers:
            worker.says(Counters(requests=(requests("/", 200, 0.1), requests("", 404, 0.1), requests("/", 500, 0.1))))
        answer = self.ask("getTraffic")
        self.assertEqual((answer["step_seconds"], len(answer["points"])), (10, 360))
        self.assertEqual(answer["from"], answer["points"][0]["at"])
        last = answer["points"][-1]
        self.assertTrue(last["at"] <= NOW < last["at"] + 10)
        self.assertEqual((last["requests"], last["errors_4xx"], last["errors_5xx"]), (6, 2, 2))
        self.assertEqual({point["requests"] for point in answer["points"][:-1]}, {0})

    def test_each(self) -> None:
        """A route, an upstream, a plugin; one that is known and had nothing to do has zeros."""
        self.assertEqual(self.ask("getTraffic", of="upstream", name="web", seconds=10)["points"][0]["p50_ms"], None)
        self.workers[0].says(Counters(
            (VersionCounters("a", VersionId("1"), 5, 2, interrupts=1),),
            requests=(requests("/", 200, 0.1),), attempts=(attempts("web", "http://a", 502, 0.1),),
        ))  # fmt: skip
        for of, name, figures in (
            ("route", "/", (1, 0, 0)), ("route", "", (0, 0, 0)),
            ("upstream", "web", (1, 0, 1)), ("plugin", "a", (5, 1, 2)),
        ):  # fmt: skip
            point = self.ask("getTraffic", of=of, name=name, seconds=10)["points"][-1]
            self.assertEqual((point["requests"], point["errors_4xx"], point["errors_5xx"]), figures, of)

    def test_seconds(self) -> None:
        """The last minute is known by the second."""
        self.workers[0].says(Counters(requests=(requests("/", 200, 0.1),)))
        self.clock.advance(3)
        points = self.ask("getTraffic", seconds=5, step=1)["points"]
        self.assertEqual([point["requests"] for point in points], [0, 1, 0, 0, 0])

    def test_refused(self) -> None:
        """What is not known, or cannot be, is said, with what there is instead."""
        problem = self.problem(of="route", name="/shop")
        self.assertEqual((problem.status, problem.detail), (404, 'no route named "/shop"; there is "/"'))
        self.assertEqual(self.problem(of="upstream", name="w").status, 404)
        self.assertEqual(self.problem(of="plugin").status, 404)
        self.assertIn("of=route", self.problem(name="web").detail)
        self.assertEqual(self.problem(step=7).status, 400)
