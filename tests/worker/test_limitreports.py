"""Tests for `revproxy.worker.limitreports`: what a plugin had too much of is counted, and told now and then."""

from __future__ import annotations

from typing import Any, get_args

from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.counters import HANDLE, Counters
from revproxy.errors import LimitExceeded, LimitName, PluginStalled, PluginTimeout
from revproxy.plan.versionid import VersionId
from revproxy.plan.words import Notice
from revproxy.worker.limitreports import AGAIN, WORDS, LimitReports


class VersionDouble:
    """A version that counts."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.id = VersionId("1")
        self.counters = Counters()


class LimitReportsTests(SynchronousTestCase):
    """`LimitReports`."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.told: list[Notice] = []
        self.reports = LimitReports(self.clock.seconds, self.told.append)
        self.version: Any = VersionDouble("a")

    def test_everyLimitHasWords(self) -> None:
        """An event says in words what there was too much of."""
        self.assertEqual(set(WORDS), set(get_args(LimitName)))

    def test_counted(self) -> None:
        """All are counted, whether the failure says which limit it was or the counters are told."""
        counters = self.version.counters
        for error in (PluginTimeout("late"), PluginStalled("held"), LimitExceeded("memory", "300 MB"), ValueError()):
            counters.failed(Failure(error), HANDLE)
        counters.exceeded("log", "a lot")
        self.assertEqual(self.reports.take(self.version), {"wall": 1, "cpu": 1, "memory": 1, "log": 1})
        self.assertEqual(self.reports.take(self.version), {})
        self.assertEqual({notice.kind for notice in self.told}, {"limit-exceeded"})
        self.assertIn("memory: too much memory: 300 MB", [notice.text for notice in self.told])

    def test_seldom(self) -> None:
        """One event a minute for a version and a limit, which says how often it was."""
        for _ in range(3):
            self.version.counters.exceeded("memory", "300 MB")
            self.reports.take(self.version)
            self.clock.advance(1)
        self.assertEqual([notice.text for notice in self.told], ["memory: too much memory: 300 MB"])
        self.clock.advance(AGAIN)
        self.version.counters.exceeded("memory", "400 MB")
        self.reports.take(self.version)
        again = "memory: too much memory, 3 times: 400 MB"
        self.assertEqual([notice.text for notice in self.told][1:], [again])

    def test_apart(self) -> None:
        """Neither another limit nor another version has to wait for the minute."""
        other: Any = VersionDouble("b")
        for version, limit in ((self.version, "memory"), (self.version, "log"), (other, "memory")):
            version.counters.exceeded(limit, "")
            self.reports.take(version)
        self.assertEqual([(notice.plugin, notice.text[:6]) for notice in self.told],
                         [("a", "memory"), ("a", "log: t"), ("b", "memory")])
