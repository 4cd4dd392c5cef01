"""
What versions of plugins have done.
"""

from __future__ import annotations

from typing import Any

from revproxy.admin.metrics import pluginfigures
from revproxy.plan.catalog import CatalogEntry
from revproxy.plan.counted import PhaseCounters, PluginNow, ThreadFigures, VersionCounters
from revproxy.plan.refusal import Refusal
from revproxy.plan.words import Counters
from tests.admin.metrics.edges import FiguresCase
from tests.admin.metrics.reading import ofName, value
from tests.plan.plans import entry

CALLS = "revproxy_plugin_calls_total"


class PluginFiguresTests(FiguresCase):
    """
    Versions of a plugin follow each other.
    """

    def setUp(self) -> None:
        super().setUp()
        self.versions = {number: entry("a", number) for number in ("1.0", "2.0", "3.0", "4.0")}

    def did(self, version: CatalogEntry, calls: int = 0, worker: int = 0, stalls: int = 0, **more: Any) -> None:
        """A worker tells what a version did."""
        phase = PhaseCounters("handle", calls, **more)
        told = VersionCounters("a", version.version, calls=calls, stalls=stalls, phases=(phase,))
        self.tell(Counters((told,)), worker)

    def calls(self) -> dict[str, float]:
        """By version, as it is read."""
        return {dict(labels)["version"]: number for labels, number in ofName(self.read(), CALLS).items()}

    def test_sums(self) -> None:
        """
        Workers are added up, and each kind of failure, each reason for a skip by itself.
        """
        one = self.versions["1.0"]
        self.commit(one)
        self.did(one, 5, failures={"error": 1}, skipped={"gate": 2}, interrupts=1)
        self.did(one, 7, worker=1, failures={"error": 1, "timeout": 3}, stalls=1)
        found, labels = self.read(), {"plugin": "a", "version": "1.0", "phase": "handle"}
        self.assertEqual(value(found, CALLS, **labels), 12)
        self.assertEqual(value(found, "revproxy_plugin_failures_total", **labels, kind="error"), 2)
        self.assertEqual(value(found, "revproxy_plugin_failures_total", **labels, kind="timeout"), 3)
        self.assertEqual(value(found, "revproxy_plugin_skipped_total", **labels, why="gate"), 2)
        self.assertEqual(value(found, "revproxy_plugin_interrupts_total", **labels), 1)
        self.assertEqual(value(found, "revproxy_plugin_stalled_total", plugin="a"), 1)

    def test_limits(self) -> None:
        """
        How often a plugin had too much, by limit, whichever version and worker it was.
        """
        one = self.versions["1.0"]
        self.commit(one)
        for worker, exceeded in enumerate(({"memory": 2}, {"memory": 1, "wall": 1})):
            self.tell(Counters((VersionCounters("a", one.version, exceeded=exceeded),)), worker)
        name = "revproxy_plugin_limit_exceeded_total"
        self.assertEqual(value(self.read(), name, plugin="a", limit="memory"), 3)
        self.assertEqual(value(self.read(), name, plugin="a", limit="wall"), 1)

    def test_selfTime(self) -> None:
        """
        How long calls took is a histogram.
        """
        one = self.versions["1.0"]
        self.commit(one)
        self.did(one, 3, seconds=0.25, buckets=(2, *[0] * 13, 1))
        found, labels = self.read(), {"plugin": "a", "version": "1.0", "phase": "handle"}
        self.assertEqual(value(found, "revproxy_plugin_self_seconds_bucket", **labels, le="5e-06"), 2)
        self.assertEqual(value(found, "revproxy_plugin_self_seconds_count", **labels), 3)
        self.assertEqual(value(found, "revproxy_plugin_self_seconds_sum", **labels), 0.25)

    def test_versions(self) -> None:
        """
        The version that runs and the one before it have series of their own; what further ones do is counted together.
        """
        one, two, three = (self.versions[number] for number in ("1.0", "2.0", "3.0"))
        self.commit(one)
        self.did(one, 10)
        self.commit(two)
        self.did(one, 1)
        self.did(two, 20)
        self.assertEqual(self.calls(), {"1.0": 11, "2.0": 20})
        self.commit(three)
        self.did(one, 2)
        self.did(two, 1)
        self.did(three, 30)
        self.assertEqual(self.calls(), {"2.0": 21, "3.0": 30, "other": 2})

    def test_increases(self) -> None:
        """
        No series ever goes back, and what Prometheus adds up as increases is what was counted, whichever versions
        follow each other: nothing is counted a second time when a version goes over to the others.
        """
        order = ("1.0", "2.0", "3.0", "2.0", "1.0", "4.0", "1.0", "3.0", "2.0", "4.0")
        before: dict[str, float] = {}
        highest: dict[str, float] = {}
        increases = counted = 0.0
        for turn, number in enumerate(order):
            self.commit(self.versions[number])
            # A version is there, and so is its series, before anything was counted.
            for version in self.versions.values():
                self.did(version, 0)
            before = self.increased(before, 0)
            for index, version in enumerate(self.versions.values()):
                self.did(version, 10 * turn + index)
                counted += 10 * turn + index
            now = self.calls()
            increases += sum(number - before.get(name, 0) for name, number in now.items())
            self.assertEqual([name for name in now if now[name] < highest.get(name, 0)], [])
            highest |= now
            before = now
        self.assertEqual(increases, counted)

    def increased(self, before: dict[str, float], most: float) -> dict[str, float]:
        """:returns: what is read now, in which no series that was there has grown by more than so much."""
        now = self.calls()
        for name, number in before.items():
            self.assertLessEqual(now.get(name, 0) - number, most, name)
        return now

    def test_sameNumber(self) -> None:
        """
        Another configuration, or other code under the same number, goes on in the same series.
        """
        self.commit(self.versions["1.0"])
        self.did(self.versions["1.0"], 3)
        other = entry("a", "1.0", "x = 1")
        self.commit(other)
        self.did(other, 4)
        self.assertEqual(self.calls(), {"1.0": 7})

    def test_bounded(self) -> None:
        """
        Of a plugin with any number of versions, a bounded number of sums is kept, and three series at most are told.
        """
        self.patch(pluginfigures, "MOST_REMEMBERED", 5)
        for number in range(30):
            version = entry("a", f"{number}.0")
            self.commit(version)
            self.did(version, 1)
            self.assertLessEqual(len(self.calls()), 3)
        self.assertLessEqual(len(self.collection._plugins._sums["a"]), 5)

    def test_gone(self) -> None:
        """
        A plugin that is gone, and of which nothing is remembered, is not told of.
        """
        self.commit(self.versions["1.0"])
        self.did(self.versions["1.0"], 3)
        self.commit()
        self.assertEqual(self.calls(), {})
        self.assertEqual(ofName(self.read(), "revproxy_plugin_stalled_total"), {})

    def test_now(self) -> None:
        """
        What is now, of all workers: awaited answers, threads, versions in memory, gates.
        """
        one = self.versions["1.0"]
        self.commit(one)
        self.assertEqual(value(self.read(), "revproxy_plugin_in_flight", plugin="a", version="1.0"), 0)
        threads = (ThreadFigures("a", 4, 2, 1),)
        now = (PluginNow("a", one.version, 3), PluginNow("a", self.versions["2.0"].version, 1))
        self.tell(Counters(retired={"a": 2}, gated=("a",), threads=threads, plugins=now))
        self.tell(Counters(plugins=now[:1]), 1)
        found = self.read()
        self.assertEqual(value(found, "revproxy_plugin_in_flight", plugin="a", version="1.0"), 6)
        self.assertEqual(value(found, "revproxy_plugin_in_flight", plugin="a", version="other"), 1)
        self.assertEqual(value(found, "revproxy_plugin_generations_alive", plugin="a"), 3)
        self.assertEqual(value(found, "revproxy_plugin_quarantined", plugin="a"), 1)
        self.assertEqual(value(found, "revproxy_plugin_threads_busy", plugin="a"), 2)
        self.assertEqual(value(found, "revproxy_plugin_threads_queued", plugin="a"), 1)
        self.tell(Counters())
        self.assertEqual(value(self.read(), "revproxy_plugin_in_flight", plugin="a", version="1.0"), 3)

    def test_info(self) -> None:
        """
        Which version runs, and whether a change of it stands refused.
        """
        one = self.versions["1.0"]
        self.commit(one)
        found = self.read()
        assert one.digest is not None
        labels = {"plugin": "a", "version": "1.0", "digest": one.digest[:12], "origin": "directory"}
        self.assertEqual(value(found, "revproxy_plugin_info", **labels), 1)
        self.assertEqual(value(found, "revproxy_plugin_refused", plugin="a"), 0)
        coordinator = self.control.coordinator
        coordinator.refused.note([Refusal("a", "import", "no")], coordinator.plan, coordinator.catalog, None)
        self.assertEqual(value(self.read(), "revproxy_plugin_refused", plugin="a"), 1)
