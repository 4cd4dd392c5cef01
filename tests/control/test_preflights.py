"""
Pre-flights: what is asked, and what the answers mean.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from revproxy.bundles.bundle import makeBundle
from revproxy.config.configfile import parseConfig
from revproxy.config.rolloutpolicy import Expectation, Step
from revproxy.control.preflights import Preflights
from revproxy.control.rollout.preflight import PreflightReport
from revproxy.plan.catalog import CatalogEntry, Selected, entryOf
from revproxy.plan.evidence import DifferenceCount
from revproxy.proving.orders import Report
from tests.proving.subjects import plugin

CONFIG = parseConfig("listeners: [{endpoint: 'tcp:0'}]\nroutes: [{respond: {status: 200}}]\n", "r.yaml", Path("/"))

REPLAY = Step("preflight", replay=Path("/corpus.jsonl"))


def selected() -> Selected:
    """A version of ``shop``."""
    entry = entryOf(makeBundle("shop", plugin()), "plugin.json")
    assert isinstance(entry, CatalogEntry)
    return Selected(entry, {})


class ProofDouble:
    """:ivar ended: how often it was given up."""

    ended = 0

    def run(self) -> None:
        """For a thread, which is a double, too."""

    def end(self) -> None:
        self.ended += 1


class PreflightsTests(SynchronousTestCase):
    """Of one edge."""

    def setUp(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.proof = ProofDouble()
        self.thread: Deferred[Any] = Deferred()
        self.preflights = Preflights(lambda: CONFIG, lambda function: self.thread, self.makes)

    def makes(self, *asked: Any) -> ProofDouble:
        self.asked.append(asked)
        return self.proof

    def report(self, found: Any, step: Step = REPLAY, *expect: Expectation) -> PreflightReport:
        self.thread = Deferred()
        result = self.preflights.run(selected(), step, expect, selected())
        self.thread.callback(found)
        return self.successResultOf(result)

    def test_asked(self) -> None:
        """The version, what runs if there is anything to replay, and the time of the step."""
        self.report(Report())
        candidate, running, corpus, seconds, level, uids = self.asked[0]
        self.assertEqual((candidate.name, running.name, corpus, seconds), ("shop", "shop", REPLAY.replay, 300.0))
        self.assertEqual((level, uids), ("C", None))
        self.report(Report(), Step("preflight", atMost=60.0))
        self.assertEqual(self.asked[1][1:4], (None, None, 60.0))

    def test_passes(self) -> None:
        """Nothing is wrong: the figures are told."""
        found = Report(tests=3, calls=9, replayed=8, incomparable={"no answer": 1}, cut="r:9: cut off")
        report = self.report(found)
        self.assertTrue(report.ok)
        self.assertEqual((report.tests, report.replayed, report.incomparable), (3, 8, {"no answer": 1}))
        self.assertEqual(report.notes, ("r:9: cut off",))

    def test_problems(self) -> None:
        """What the processes say is told, with what they have printed."""
        report = self.report(Report(("it does not load",), output="Traceback"))
        self.assertEqual((report.ok, report.problems, report.output), (False, ("it does not load",), "Traceback"))

    def test_differences(self) -> None:
        """Those that nobody has meant are problems, each in a line; noise is not."""
        differences = (
            DifferenceCount("status", "changed", 3, 0, 0, (("GET shop/a", "200", "503"),)),
            DifferenceCount("header:x-new", "added", 9, 0, 0),
            DifferenceCount("header:date", "changed", 2, 2, 5),
        )
        found = Report(calls=9, replayed=9, differences=differences)
        report = self.report(found, REPLAY, Expectation("header:x-*"))
        told = (
            "status changed in 3 of 9 replayed calls: 200 became 503; revproxy replay shows in which requests",
        )
        self.assertEqual((report.problems, report.differences), (told, differences))
        both = self.report(found, REPLAY)
        self.assertEqual(both.problems[1], "header:x-new added in 9 of 9 replayed calls")
        self.assertTrue(self.report(found, REPLAY, Expectation("*")).ok)

    def test_nothingOfRequests(self) -> None:
        """What clients have sent is in no problem: those who may see no request may see these."""
        differs = DifferenceCount("header:x-who", "added", 3, 0, 0, (("GET shop/of-ann", "", "ann"),))
        (problem,) = self.report(Report(calls=9, replayed=9, differences=(differs,)), REPLAY).problems
        self.assertNotIn("ann", problem)

    def test_silence(self) -> None:
        """A recording that shows nothing is no success."""
        self.assertEqual(
            self.report(Report()).problems, ("the recording has no calls of shop: record a route that it is on",)
        )
        report = self.report(Report(calls=4, incomparable={"rare": 1, "it looks at what was redacted: cookie": 3}))
        self.assertEqual(
            report.problems, ("none of 4 recorded calls could be compared: it looks at what was redacted: cookie",)
        )
        self.assertTrue(self.report(Report(), Step("preflight")).ok)

    def test_many(self) -> None:
        """Of very many differences some are named."""
        differences = tuple(DifferenceCount(f"values.{number}", "added", 1, 0, 0) for number in range(30))
        report = self.report(Report(calls=1, replayed=1, differences=differences, unnamed=5))
        self.assertEqual(len(report.problems), 22)
        self.assertEqual(report.problems[-2], "10 more kinds of differences")

    def test_broken(self) -> None:
        """What goes wrong with the proof itself is a problem, and no failure."""
        report = self.report(Failure(OSError(24, "Too many open files")))
        self.assertIn("it could not be proved: OSError(24", report.problems[0])

    def test_cancelled(self) -> None:
        """Who gives it up ends the processes; what they still say is nobody's business."""
        result = self.preflights.run(selected(), REPLAY)
        result.cancel()
        self.failureResultOf(result, CancelledError)
        self.assertEqual(self.proof.ended, 1)
        self.thread.callback(Report())
