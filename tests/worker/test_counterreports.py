"""Tests for `revproxy.worker.counterreports`: what was counted is told once, and nothing of it is lost."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane import counters
from revproxy.errors import PluginTimeout
from revproxy.figures import MOST_SERIES, Figures
from revproxy.plan.counted import (
    EdgeCounters,
    OwnFigure,
    PhaseCounters,
    PluginNow,
    Series,
    ThreadFigures,
    VersionCounters,
)
from revproxy.plan.versionid import VersionId
from revproxy.plan.words import Counters, Notice
from revproxy.worker.counterreports import FULL_AGAIN, INTERVAL, CounterReports


class VersionDouble:
    """A version that counts."""

    def __init__(self, name: str, number: str = "1") -> None:
        self.name = name
        self.id = VersionId(number)
        self.counters = counters.Counters((0.1,))
        self.figures = Figures()
        self.instances = {object()}
        self.threads = ThreadsDouble()


class ThreadsDouble:
    """What threads tell of themselves."""

    most = 8
    busy = queued = rejected = 0


class ReportCase(SynchronousTestCase):
    """Reports of one version."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.told: list[Any] = []
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


class ReportTests(ReportCase):
    """`CounterReports`."""

    def test_difference(self) -> None:
        """What is new since the last time, in all figures."""
        for calls in (5, 7):
            figures = self.version.counters
            figures.calls, figures.errors, figures.timeouts, figures.interrupts, figures.stalls = calls, 4, 3, 2, 1
            figures.seconds = calls / 2
            self.reports.report()
        self.assertEqual([word.versions for word in self.told], [
            (VersionCounters("a", VersionId("1"), 5, 4, 3, 2, 1, 2.5, phases=(PhaseCounters("handle", 5),)),),
            (VersionCounters("a", VersionId("1"), calls=2, seconds=1.0, phases=(PhaseCounters("handle", 2),)),),
        ])

    def test_phases(self) -> None:
        """What is new by phase, each time anew; the last of it when the version has ended."""
        figures = self.version.counters
        figures.calls, figures.responses, figures.observed = 9, 4, 2
        figures.failed(Failure(PluginTimeout("late")), "body")
        figures.interrupted("handle")
        figures.skipped("handle", "gate")
        figures.took(0.5, "handle", 16)
        figures.lasted(0.5, "handle", 16)
        self.reports.report()
        figures.responses += 1
        self.version.instances = set()
        self.reports.report()
        self.reports.report()
        (first, second) = [word.versions[0].phases for word in self.told if isinstance(word, Counters)]
        self.assertEqual(first, (
            PhaseCounters("handle", 9, {}, 1, {"gate": 1}, 8.0, (0, 16)),
            PhaseCounters("handleResponse", 4), PhaseCounters("finished", 2), PhaseCounters("body", 0, {"timeout": 1}),
        ))  # fmt: skip
        self.assertEqual(second, (PhaseCounters("handleResponse", 1),))

    def test_inFlight(self) -> None:
        """What is awaited of a version now; of one of which nothing is, nothing is told."""
        self.version.counters.inFlight = 3
        self.reports.report(asked=1)
        self.version.counters.inFlight = 0
        self.reports.report(asked=2)
        self.assertEqual([word.plugins for word in self.told], [(PluginNow("a", VersionId("1"), 3),), ()])

    def test_edge(self) -> None:
        """What else is counted comes with it, also where plugins have nothing to tell; it starts and stops with it."""
        asked: list[Any] = []

        class Edge:
            def take(self, isAsked: bool) -> dict[str, Any]:
                asked.append(isAsked)
                return {"edge": EdgeCounters(len(asked))}

            def start(self) -> None:
                asked.append("start")

            def stop(self) -> None:
                asked.append("stop")

        edge: Any = Edge()
        reports = CounterReports(self.clock, self.told.append, dict, tuple, edge=edge)
        reports.start()
        self.clock.advance(INTERVAL)
        reports.report(7)
        reports.stop()
        self.assertEqual(asked, ["start", False, True, "stop"])
        self.assertEqual([(word.asked, word.edge) for word in self.told], [(0, EdgeCounters(2)), (7, EdgeCounters(3))])

    def test_ownFigures(self) -> None:
        """What plugins count by themselves is told, also at their end; too many combinations are an event, once."""
        counter = self.version.figures.counter("sold", "Things.", ["kind"])
        counter.inc(2, kind="pen")
        self.reports.report()
        (word,) = self.told
        self.assertEqual(word.figures, (
            OwnFigure("a", "sold", "counter", "Things.", ("kind",), (), (Series(("pen",), 2.0),)),
        ))  # fmt: skip
        for number in range(MOST_SERIES + 1):
            counter.inc(kind=str(number))
        self.version.instances.clear()
        self.told.clear()
        self.reports.report()
        self.reports.report()
        self.assertEqual([len(word.figures) for word in self.told], [1])

    def test_manySeries(self) -> None:
        """Too many combinations of label values are an event, once."""
        counter = self.version.figures.counter("sold", labels=["kind"])
        for number in range(2 * MOST_SERIES):
            counter.inc(kind=str(number))
        self.reports.report()
        counter.inc(kind="x")
        self.reports.report()
        kinds: list[Any] = [word.kind for word in self.told if not isinstance(word, Counters)]
        self.assertEqual(kinds, ["figures-full"])

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

    def test_exceeded(self) -> None:
        """What a version had too much of is told with what it did, and as an event; also if it did nothing else."""
        self.version.counters.exceeded("memory", "300 MB")
        self.reports.report()
        self.reports.report()
        notice, word = self.told
        self.assertEqual((notice.kind, notice.plugin), ("limit-exceeded", "a"))
        self.assertEqual(word.versions[0].exceeded, {"memory": 1})

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


class ThreadFiguresTests(ReportCase):
    """What is in plugins' threads."""

    def figures(self) -> list[ThreadFigures]:
        """What was told of threads last."""
        return list([word for word in self.told if isinstance(word, Counters)][-1].threads)

    def notices(self) -> list[str]:
        """Events."""
        return [word.text for word in self.told if isinstance(word, Notice)]

    def test_figures(self) -> None:
        """Told when they change; threads that have nothing to tell are left out."""
        threads = self.version.threads
        threads.busy, threads.queued = 8, 3
        self.reports.report()
        self.reports.report()
        self.assertEqual(self.told, [Counters(threads=(ThreadFigures("a", 8, 8, 3),))])
        threads.busy = threads.queued = 0
        self.reports.report()
        self.assertEqual(self.figures(), [])

    def test_left(self) -> None:
        """What still runs for a version that ended is told until it does not any more."""
        self.version.threads.busy = 2
        ended, threads = VersionDouble("a", "2"), self.version.threads
        self.reports.watch([ended])  # type: ignore[list-item]
        self.version.instances.clear()
        self.reports.report()
        self.reports.report()
        self.assertEqual(self.figures(), [ThreadFigures("a", 8, left=2)])
        threads.busy = 0
        self.reports.report()
        self.assertEqual(self.figures(), [])

    def test_full(self) -> None:
        """One event for many calls that are not taken, and one more a minute later if there are more by then."""
        threads = self.version.threads
        threads.busy, threads.queued = 8, 256
        for rejected in (5, 9, 20):
            threads.rejected = rejected
            self.reports.report()
        text = "all 8 threads are busy and 256 calls wait for them: 5 calls were not taken"
        self.assertEqual([notice[: len(text)] for notice in self.notices()], [text])
        self.assertEqual(self.figures(), [ThreadFigures("a", 8, 8, 256, 20)])
        self.clock.advance(FULL_AGAIN)
        self.reports.report()
        self.reports.report()
        self.assertIn(" 15 calls were not taken", self.notices()[-1])
        self.clock.advance(FULL_AGAIN)
        self.reports.report()
        self.assertEqual(len(self.notices()), 2)
