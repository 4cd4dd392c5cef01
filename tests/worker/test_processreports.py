"""Tests for `revproxy.worker.processreports`."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.worker.processreports import PROBE, RARELY, ProcessReports


class ProcessReportsTests(SynchronousTestCase):
    """`ProcessReports`: of the process that runs the tests."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.listed: list[str] = []
        self.reports = ProcessReports(self.clock, self.inThread, self.clock.seconds)

    def inThread(self, function: Any, *arguments: Any) -> Deferred[Any]:
        """At once, and noted."""
        self.listed += arguments
        return succeed(function(*arguments))

    def test_figures(self) -> None:
        """Time, memory and descriptors are those of the process."""
        reports = ProcessReports(Clock(), self.inThread)
        now = reports.take()
        self.assertTrue(0 < now.cpuSeconds <= time.process_time() + 0.1, now)
        self.assertTrue(10 << 20 < now.residentBytes < 1 << 40, now)
        self.assertTrue(0 < now.descriptors <= now.mostDescriptors, now)

    def test_started(self) -> None:
        """The start is when the process began, and no later than now."""
        clock = Clock()
        clock.rightNow = time.time()
        started = ProcessReports(clock, self.inThread).take().startedAt
        self.assertTrue(clock.rightNow - 86400 < started <= clock.rightNow, started)

    def test_listed(self) -> None:
        """Where the kernel does not say how many descriptors there are, a thread counts them, now and then."""
        folder = Path(self.mktemp())
        folder.mkdir()
        real = os.stat(folder)
        self.patch(os, "stat", lambda path: os.stat_result((*real[:6], 0, *real[7:])))
        reports = ProcessReports(self.clock, self.inThread, self.clock.seconds, str(folder))
        counted = []
        for name in ("a", "b"):
            (folder / name).touch()
            reports.take()
            counted.append(reports.take().descriptors)
            self.clock.advance(RARELY)
        reports.take()
        counted.append(reports.take().descriptors)
        self.assertEqual((counted, len(self.listed)), ([1, 2, 2], 3))

    def test_noFolder(self) -> None:
        """Where there is no such folder, nothing is known, and nothing fails."""
        reports = ProcessReports(self.clock, self.inThread, folder="/nowhere")
        self.assertEqual(reports.take().descriptors, 0)

    def test_lag(self) -> None:
        """How late the loop was, at the worst since it was told; also while it is late still."""
        self.reports.start()
        self.clock.advance(PROBE)
        self.assertEqual(self.reports.take().loopLag, 0.0)
        self.clock.advance(PROBE + 0.5)
        self.clock.advance(PROBE)
        self.assertEqual(self.reports.take().loopLag, 0.5)
        self.assertEqual(self.reports.take().loopLag, 0.0)
        self.clock.rightNow += PROBE + 2.0
        self.assertEqual(self.reports.take().loopLag, 2.0)
        self.reports.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
