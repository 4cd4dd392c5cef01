"""
Versions that hold the event loop again and again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.settings import PluginsConfig, QuarantineConfig
from revproxy.control.slowplugins import SlowPlugins
from revproxy.plan.catalog import CatalogEntry, Selected
from revproxy.plan.counted import VersionCounters
from revproxy.plan.events import EventLog
from revproxy.plan.plan import Plan
from revproxy.plan.versionid import UNKNOWN, VersionId
from revproxy.plan.words import Counters, Stalled
from tests.control.conversations import makeConfig
from tests.plan.plans import entry


class SlowPluginTests(SynchronousTestCase):
    """
    One plugin runs, and a clock is turned.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.events = EventLog(self.clock.seconds)
        self.overShare: list[tuple[str, VersionId, str]] = []
        self.slow = SlowPlugins(self.clock, self.events, lambda *told: self.overShare.append(told))
        self.addCleanup(self.slow.stop)
        self.entry = entry("a", "1.0")
        self.runs(self.entry)

    def runs(self, *entries: CatalogEntry, **limits: Any) -> None:
        """
        These run from now on.
        """
        config = replace(makeConfig(), plugins=PluginsConfig(quarantine=QuarantineConfig(**limits)))
        selected = tuple(Selected(each, None, {}) for each in entries)
        plan = Plan(1, config, {each.manifest.name: each for each in entries}, selected, ())
        self.slow.committed(None, plan)

    def timed(self, calls: int, seconds: float, worker: int = 0, version: VersionId | None = None) -> None:
        """
        The chain has timed long calls.
        """
        counters = VersionCounters("a", version or self.entry.version, 100, longCalls=calls, longSeconds=seconds)
        self.slow.counted(worker, Counters((counters,)))

    def stalled(self, seconds: float = 0.4, where: str = "plugin.py:3", ended: bool = False) -> str | None:
        """
        The guard has seen a stall.
        """
        return self.slow.stalled(0, Stalled("a", self.entry.version, "handle", where, seconds, ended))

    def told(self) -> list[str]:
        """
        Events that were not told before.
        """
        events = [f"{event.kind} {event.plugin}: {event.text}" for event in self.events.latest(99)]
        self.events._events.clear()
        return events

    def test_oneEvent(self) -> None:
        """
        Calls that are each too short to be ended are one event, with rate, time and share, however long it goes on.
        """
        for _ in range(60):
            self.clock.advance(1)
            self.timed(2, 0.8)
        (text,) = self.told()
        self.assertEqual(text, "slow-plugin a: 2 calls a second held the event loop for 0.40 s each, 80% of 8 s: "
                               "nobody is served meanwhile; move that work to a thread (host.callInThread)")
        self.assertEqual(self.overShare, [])

    def test_over(self) -> None:
        """
        Once it takes much less than that, another event says so, also if nobody calls any more; then it may be slow
        again. A share in between changes nothing.
        """
        for _ in range(10):
            self.clock.advance(1)
            self.timed(2, 0.8)
        for _ in range(60):
            self.clock.advance(1)
            self.timed(1, 0.15)
        self.assertEqual(len(self.told()), 1)
        for _ in range(15):
            self.clock.advance(1)
        self.assertEqual(self.told(), [
            "slow-plugin-over a: the event loop is not held any more: long calls take 10% of it within 30 s"
        ])  # fmt: skip
        self.clock.advance(60)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.timed(2, 8.0)
        self.assertEqual(len(self.told()), 1)

    def test_rare(self) -> None:
        """
        A long call now and then is no such event.
        """
        for _ in range(100):
            self.clock.advance(10)
            self.timed(1, 0.9)
        self.assertEqual(self.told(), [])

    def test_perWorker(self) -> None:
        """
        Each worker has a loop of its own: many of them that are held a little are none that is held much.
        """
        for worker in range(10):
            self.timed(5, 2.0, worker)
        self.assertEqual(self.told(), [])

    def test_twoWitnesses(self) -> None:
        """
        What both have seen counts once.
        """
        for _ in range(8):
            self.clock.advance(1)
            self.timed(1, 0.5)
            self.stalled(0.5)
        self.assertEqual(self.told(), [])

    def test_stalls(self) -> None:
        """
        What only the guard sees counts as well: timers, body filters. In one place, one stall within the window is an
        event of its own; another place is another event.
        """
        besides = []
        for second in range(12):
            self.clock.advance(1)
            besides.append(self.stalled())
            self.assertEqual(self.stalled(where="plugin.py:9"), None if second else "")
        self.assertEqual(besides, ["", *[None] * 11])
        (text,) = self.told()
        self.assertIn("1.9 calls a second", text)
        self.runs()
        self.assertEqual(self.told(), [
            "slow-plugin-over a: the event loop is not held any more: it does not run any more; "
            "22 more stalls were not told one by one"
        ])  # fmt: skip

    def test_fewStalls(self) -> None:
        """
        After the window a stall is an event again, and tells how many were not.
        """
        self.assertEqual([self.stalled(), self.stalled()], ["", None])
        self.clock.advance(31)
        self.assertEqual(self.stalled(), "; 1 more stalls were not told one by one")

    def test_ended(self) -> None:
        """
        A call that had to be ended is an event each time: it counts for quarantine each time.
        """
        self.assertEqual([self.stalled(1.0, ended=True) for _ in range(4)], ["", "", "", ""])

    def test_manyPlaces(self) -> None:
        """
        What is remembered of places is bounded.
        """
        for line in range(1000):
            self.stalled(0.0, f"plugin.py:{line}")
        self.assertLessEqual(len(self.slow._watched["a"].toldAt), 100)

    def test_loopShare(self) -> None:
        """
        Where a share is allowed, more of it is told to the quarantine; it holds from the change of the file on.
        """
        self.timed(1, 5.0)
        self.runs(self.entry, loopShare=0.3)
        self.timed(1, 3.0)
        self.assertEqual(self.overShare, [])
        self.timed(2, 2.0)
        ((name, version, why),) = self.overShare
        self.assertEqual((name, version), ("a", self.entry.version))
        self.assertIn("4 calls a second held the event loop for 2.50 s each", why)
        self.timed(1, 1.0)
        self.assertEqual(len(self.overShare), 1)

    def test_smallShare(self) -> None:
        """
        It may be less than what is an event.
        """
        self.runs(self.entry, loopShare=0.05, window=10.0)
        self.timed(1, 0.6)
        self.assertEqual((len(self.overShare), self.told()), (1, []))

    def test_another(self) -> None:
        """
        What another version did, or no plugin, is not this one's; a version that only has another configuration is it.
        """
        self.timed(1, 20.0, version=VersionId("0.9", "b" * 64))
        self.assertEqual(self.slow.stalled(0, Stalled("", UNKNOWN, "select", "s.py:1", 20.0, False)), "")
        self.assertEqual(self.told(), [])
        self.timed(1, 5.0)
        self.runs(self.entry)
        self.timed(1, 2.0)
        self.assertEqual(len(self.told()), 1)
