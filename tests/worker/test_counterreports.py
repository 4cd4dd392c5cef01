"""Tests for `revproxy.worker.counterreports`: what was counted is told once, and nothing of it is lost."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane import counters
from revproxy.plan.versionid import VersionId
from revproxy.plan.words import Counters, VersionCounters
from revproxy.worker.counterreports import INTERVAL, CounterReports


class VersionDouble:
    """A version that counts."""

    def __init__(self, name: str, number: str = "1") -> None:
        self.name = name
        self.id = VersionId(number)
        self.counters = counters.Counters()
        self.instances = {object()}


class ReportTests(SynchronousTestCase):
    """`CounterReports`."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.told: list[Counters] = []
        self.retired: dict[str, int] = {}
        self.gated: tuple[str, ...] = ()
        self.reports = CounterReports(self.clock, self.told.append, lambda: self.retired, lambda: self.gated)
        self.version: Any = VersionDouble("a")
        self.reports.watch([self.version])

    def calls(self) -> list[tuple[str, int]]:
        """Plugin and calls of each that was told of since the last time."""
        told = [(version.plugin, version.calls) for word in self.told for version in word.versions]
        self.told.clear()
        return told

    def test_difference(self) -> None:
        """What is new since the last time, in all figures."""
        for calls in (5, 7):
            figures = self.version.counters
            figures.calls, figures.errors, figures.timeouts, figures.interrupts, figures.stalls = calls, 4, 3, 2, 1
            figures.seconds = calls / 2
            self.reports.report()
        self.assertEqual([word.versions for word in self.told], [
            (VersionCounters("a", VersionId("1"), 5, 4, 3, 2, 1, 2.5),),
            (VersionCounters("a", VersionId("1"), calls=2, seconds=1.0),),
        ])

    def test_nothingNew(self) -> None:
        """Nothing new is not worth a word, unless somebody asks; the answer says what it answers."""
        self.reports.report()
        self.assertEqual(self.told, [])
        self.reports.report(3)
        self.assertEqual(self.told, [Counters(asked=3)])

    def test_eachSecond(self) -> None:
        """It is told each second, from the start until the stop."""
        self.version.counters.calls = 1
        self.clock.advance(INTERVAL)
        self.assertEqual(self.told, [])
        self.reports.start()
        for _ in range(3):
            self.version.counters.calls += 1
            self.clock.advance(INTERVAL)
        self.assertEqual(self.calls(), [("a", 2), ("a", 1), ("a", 1)])
        self.reports.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.reports.stop()

    def test_ended(self) -> None:
        """What a version does while it ends is told, and what it did last; then it is let go."""
        self.version.counters.calls = 1
        self.reports.report()
        self.reports.watch([other := VersionDouble("b")])  # type: ignore[list-item]
        self.version.counters.calls = 3
        self.version.instances.clear()
        other.counters.calls = 1
        self.reports.report()
        self.assertEqual(self.calls(), [("a", 1), ("a", 2), ("b", 1)])
        self.version.counters.calls = 9
        self.reports.report()
        self.assertEqual(self.calls(), [])

    def test_watchedAgain(self) -> None:
        """A version that is adopted again with the next plan is not told of twice."""
        self.version.counters.calls = 1
        self.reports.report()
        self.reports.watch([self.version])
        self.reports.report()
        self.assertEqual(self.calls(), [("a", 1)])

    def test_gated(self) -> None:
        """Which plugins have gates is told when it changes."""
        for gated in (("a",), ("a",), ()):
            self.gated = gated
            self.reports.report()
        self.assertEqual([word.gated for word in self.told], [("a",), ()])

    def test_retired(self) -> None:
        """How many versions remain is told when it changes, also when it becomes none."""
        for retired in ({"a": 1}, {"a": 1}, {}):
            self.retired = retired
            self.reports.report()
        self.assertEqual([word.retired for word in self.told], [{"a": 1}, {}])
