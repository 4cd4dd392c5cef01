"""Operations on the last requests."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from revproxy.admin.callreader import CallReader
from revproxy.admin.operation import Call
from revproxy.admin.operations.requests import AT_ONCE, GATHERED, SHOWN
from revproxy.admin.problem import Problem
from revproxy.admin.stream import StreamEvent
from revproxy.control.traffic import recentrequests
from revproxy.control.traffic.livetail import MOST_TAILS
from revproxy.control.traffic.recentrequests import MOST_SEARCHES
from revproxy.control.traffic.requestfilter import RequestFilter
from revproxy.plan.words import Records
from tests.admin.operations.operationcase import ANN, NOW, OperationCase
from tests.control.conversations import makeConfig
from tests.control.traffic.records import batch, numbered, record


class RequestsTests(OperationCase):
    """Some requests."""

    def setUp(self) -> None:
        self.begin(makeConfig(""))

    def told(self, *records: Any) -> None:
        """A worker tells of these."""
        self.crew.heard(0, Records(batch(*records), len(records)))

    async def _called(self, operation: str, call: Call) -> Any:
        self.clock.callLater(0, lambda: None)
        answer = Deferred.fromCoroutine(self.operations[operation].handler(call))
        self.clock.advance(0)
        return await answer

    def test_search(self) -> None:
        """What fits, the newest first."""
        self.told(record("a", status=500), record("b"), record("c", status=503, pluginErrors=("auth",)))
        answer = self.call("listRequests", query="status=5xx")
        self.assertEqual([one["id"] for one in answer["items"]], ["c", "a"])
        self.assertEqual((answer["next"], answer["remembered"], answer["dropped"]), (None, 3, 0))
        answer = self.call("listRequests", query="plugin=auth&since=1h&slower=1ms&path=%2F&client=192.0.2.0%2F24")
        self.assertEqual(answer["items"], [])
        self.told(record("d", startedAt=NOW, status=500, pluginErrors=("auth",)))
        answer = self.call("listRequests", query="plugin=auth&since=1h&slower=1ms&path=%2F&client=192.0.2.0%2F24")
        self.assertEqual([one["id"] for one in answer["items"]], ["d"])

    def test_pages(self) -> None:
        """Page by page, over what comes meanwhile."""
        self.crew.heard(0, Records(numbered(1, 5), 5))
        first = self.call("listRequests", query="limit=2")
        self.told(record("new"))
        second = self.call("listRequests", query=f"limit=2&cursor={first['next']}")
        third = self.call("listRequests", query=f"limit=2&cursor={second['next']}")
        ids = [one["id"] for page in (first, second, third) for one in page["items"]]
        self.assertEqual((ids, third["next"]), (["5", "4", "3", "2", "1"], None))

    def test_longAnswers(self) -> None:
        """What is found is described some requests at a time: others have the loop in between."""
        self.patch(recentrequests, "SLICE", 0.0)
        self.crew.heard(0, Records(numbered(1, 400), 400))
        turns, later = [], self.clock.callLater
        self.patch(self.clock, "callLater", lambda *given: turns.append(given) or later(*given))
        self.assertEqual(len(self.call("listRequests", query="limit=400")["items"]), 400)
        self.assertGreater(len(turns), 400 // SHOWN)

    def test_otherLife(self) -> None:
        """A cursor of an edge that was started before is none."""
        self.told(record("a"))
        self.assertEqual(self.problem("listRequests", "cursor=5-7").status, 410)

    def problem(self, operation: str, query: str) -> Problem:
        """As which it is refused."""
        try:
            call = CallReader(self.operations[operation]).read(ANN, {}, query, b"")
        except Problem as problem:
            return problem
        failure = self.failureResultOf(Deferred.fromCoroutine(self._called(operation, call)), Problem)
        assert isinstance(failure.value, Problem)
        return failure.value

    def test_refused(self) -> None:
        """What is no filter is refused, with its name and what to write."""
        for query, name in (
            ("status=fast", "status"), ("client=shop", "client"), ("path=x", "path"), ("slower=much", "slower"),
            ("since=then", "since"), ("limit=0", "limit"), ("limit=1001", "limit"), ("cursor=x", "cursor"),
            ("colour=red", "colour"),
        ):  # fmt: skip
            for operation in ("listRequests", "streamRequests"):
                problem = self.problem(operation, query)
                self.assertEqual(problem.status, 400)
                self.assertIn(name, problem.detail)
                self.assertTrue(problem.extra["problems"])

    def test_tooMany(self) -> None:
        """So many searches at once, and no more."""
        self.told(record("a"))
        for _ in range(MOST_SEARCHES):
            self.control.recent.search(RequestFilter(), 1)
        problem = self.problem("listRequests", "")
        self.assertEqual((problem.status, problem.headers), (429, {"Retry-After": "1"}))

    def test_one(self) -> None:
        """By its id; of several the newest, and that there are others."""
        self.told(record("a", status=500), record("b"), record("a", status=200, target=b"/" + b"x" * 2000))
        found = self.call("getRequest", id="a")
        self.assertEqual((found["status"], found["others"], len(found["target"])), (200, True, 2001))
        self.assertFalse(self.call("getRequest", id="b")["others"])
        text = self.refused("getRequest", Problem, id="c")
        self.assertEqual(text, "no request with this id is among the last 3; the access log may have it")

    def watch(self, query: str = "") -> tuple[list[StreamEvent], Any]:
        """What is told, and how to end it."""
        told: list[StreamEvent] = []
        call = CallReader(self.operations["streamRequests"]).read(ANN, {}, query, b"")
        stream = self.successResultOf(Deferred.fromCoroutine(self._called("streamRequests", call)))
        return told, stream.begin(told.append)

    def test_live(self) -> None:
        """What ends from now on, if it fits."""
        self.told(record("a", status=500))
        told, stop = self.watch("status=5xx")
        self.told(record("b", status=500), record("c"))
        self.clock.advance(0)
        self.assertEqual(told, [])
        self.clock.advance(GATHERED)
        self.assertEqual([(event.id, event.data["id"], event.kind) for event in told], [("2", "b", "")])
        self.told(record("d", status=500))
        stop()
        self.clock.advance(1)
        self.assertEqual((len(told), self.control.recent.live.tails), (1, []))

    def test_flood(self) -> None:
        """Of what is too much to tell, how many there were."""
        told, stop = self.watch()
        for _ in range(5):
            self.crew.heard(0, Records(numbered(1, 200), 200))
        self.clock.advance(0)
        self.clock.advance(GATHERED)
        self.assertEqual(len(told), AT_ONCE + 1)
        self.assertEqual((told[-1].kind, told[-1].data), ("missed", {"missed": 1000 - AT_ONCE}))
        stop()

    def test_tooManyWatch(self) -> None:
        """So many may watch."""
        stops = [self.watch()[1] for _ in range(MOST_TAILS)]
        self.assertEqual(self.problem("streamRequests", "").status, 503)
        stops[0]()
        self.watch()

    def test_explain(self) -> None:
        """Why one of them went as it did, with the plan that is in force."""
        self.told(record("a", generation=1, status=404, route="", host=b"blog", error="NotFound: no route"))
        found = self.call("explainRequest", id="a")
        self.assertEqual((found["request"]["id"], found["plan"]["is_current"]), ("a", True))
        self.assertEqual(found["answered_by"], {"kind": "edge", "name": "NotFound"})
        self.assertIn("no request with this id", self.refused("explainRequest", Problem, id="z"))
