"""
The pure parts of ``benchmarks.operating``: pairs, what is to be reached, what a probe tells, what is asked.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.firstpaint import Seen
from benchmarks.loopprobe import Hold, nameOf, read
from benchmarks.operatededge import SEARCHES, OperatedEdge, silentAlerts, targetOf
from benchmarks.operating import Half, Outcome, Pairs, report, searchTarget, verdicts
from revproxy.config.configfile import parseConfig
from revproxy.control.traffic.requestfilter import RequestFilter


def pairs(*p99: tuple[float, float]) -> Pairs:
    """
    With these, without and with something.
    """
    return Pairs([Half(1, before, 50) for before, _ in p99], [Half(1, after, 51) for _, after in p99])


class OutcomeTests(SynchronousTestCase):
    """
    ``Pairs``, and what they are judged by.
    """

    def outcome(self) -> Outcome:
        """
        One in which all is reached.
        """
        return Outcome(
            5000, 1e6, pairs((2, 2.1)), pairs((2, 2.1)), {"/status": [1.0, 2.0]}, {"by path": [50.0]},
            [Hold(1, 0.004, "a")], Seen([200.0], 100_000, 40),
        )  # fmt: skip

    def test_pairs(self) -> None:
        """
        The median of the pairs counts; p99 may be more by a part, or by a little.
        """
        self.assertEqual(pairs((1, 2), (10, 10.5), (2, 2.1)).ratio, 1.05)
        self.assertTrue(pairs((10, 10.9)).holds)
        self.assertTrue(pairs((0.5, 0.75)).holds)
        self.assertFalse(pairs((2, 2.5)).holds)

    def test_reached(self) -> None:
        """
        All that is to be reached is, and is told.
        """
        self.assertTrue(all(holds for _, holds, _ in verdicts(self.outcome())))
        self.assertNotIn("missed", report(self.outcome()))

    def test_missed(self) -> None:
        """
        Each target can be missed by itself.
        """
        outcome = self.outcome()
        outcome.watched = pairs((2, 3))
        outcome.alerting = pairs((2, 3))
        outcome.answers["/doctor"] = [21.0]
        outcome.searches["by path"] = [201.0]
        outcome.holds = [Hold(1, 0.0051, "Recorder._tick")]
        outcome.seen = Seen([301.0], 200_001, 40)
        told = verdicts(outcome)
        self.assertEqual([holds for _, holds, _ in told], [False] * 7)
        self.assertEqual(told[2][2], "1 of 2 take longer, at most 21.0 ms")
        self.assertEqual(told[4][2], "at most 5.1 ms: Recorder._tick")

    def test_noBrowser(self) -> None:
        """
        Without a browser the rest is told.
        """
        outcome = self.outcome()
        outcome.seen, outcome.absent = None, "no first paint: no playwright"
        self.assertIn("no playwright", report(outcome))
        self.assertEqual(len(verdicts(outcome)), 5)


class ProbeTests(SynchronousTestCase):
    """
    ``loopprobe``.
    """

    def test_read(self) -> None:
        """
        The holds of a time, the longest first; a line that is not whole yet is left out.
        """
        path = Path(self.mktemp())
        self.assertEqual(read(path, 0, 9), [])
        lines = [json.dumps(each) for each in ([1, 0.002, "a"], [2, 0.003, "b"], [9, 0.1, "late"])]
        path.write_text("\n".join(lines) + '\n[3, 0.0')
        self.assertEqual(read(path, 0, 5), [Hold(2, 0.003, "b"), Hold(1, 0.002, "a")])

    def test_name(self) -> None:
        """
        A call is named by its function; of an answer of the API by what was asked, too.
        """

        class Asked:
            path = b"/api/v1/status"

            def begin(self) -> None:
                """
                Nothing.
                """

        self.assertTrue(nameOf(partial(Asked().begin)).endswith("Asked.begin /api/v1/status"))
        self.assertEqual(nameOf(read, (Path("x"),)), "read")


class EdgeTests(SynchronousTestCase):
    """
    ``operatededge``.
    """

    def test_sections(self) -> None:
        """
        The edge takes its configuration, with alerts and without.
        """
        edge = OperatedEdge.__new__(OperatedEdge)
        edge.admin, edge.metrics = 1, 2
        base = (
            "listeners: [{endpoint: 'tcp:3'}]\nupstreams: {app: {targets: ['http://127.0.0.1:4']}}\n"
        )
        for besides in ("", silentAlerts(5)):
            config = parseConfig(base + edge.sections(besides), "r.yaml", Path("/"))
            self.assertEqual((len(config.routes), bool(config.alerts.receivers)), (500, bool(besides)))

    def test_target(self) -> None:
        """
        Only what is required is given, in the path or behind it.
        """
        given = {"name": "auth", "number": "7", "from": "7", "to": "8", "digest": "1.0"}
        name = {"name": "name", "in": "path", "required": True}
        ends = [{"name": end, "in": "query", "required": True} for end in ("from", "to")]
        self.assertEqual(targetOf("/plugins/{name}", [name, {"name": "x", "in": "query"}], given), "/plugins/auth")
        self.assertEqual(targetOf("/plugins/{name}/diff", [name, *ends], given), "/plugins/auth/diff?from=1.0&to=1.0")
        self.assertEqual(targetOf("/diff", ends, given), "/diff?from=7&to=8")

    def test_searches(self) -> None:
        """
        Each search is one that the edge takes.
        """
        for query in SEARCHES.values():
            RequestFilter.of(query, 0)
        self.assertEqual(searchTarget({"path": "/a", "status": "5xx"}), "/requests?path=/a&status=5xx")
