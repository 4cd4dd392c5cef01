"""Of hundreds of changes, good and bad, with requests all the time, nothing is left: objects, books, files, threads."""

from __future__ import annotations

import gc
import os
import shutil
import sys
import threading
from collections import Counter
from types import FunctionType
from typing import Any

from twisted.internet.error import ConnectionDone

from revproxy.control.traffic.pastplans import MOST_PLANS
from revproxy.loading.bundlefinder import ROOT
from revproxy.plan.versionid import VersionId
from tests.behaviour.changes import UPSTREAMS, ChangingCase

FAILING = "    def checkHealth(self): raise LookupError('unwell')"
SLOW_STOP = """
    def checkHealth(self): raise LookupError('unwell')
    def stop(self):
        from twisted.internet.defer import Deferred
        return Deferred()
"""
TAKES = """
    def exportState(self): return {"mark": self.mark}
    def importState(self, state, version): self.before = state["mark"]
"""


def _ours(one: object) -> str | None:
    """What it is, if that is something of the edge, of a plugin or of these tests: the one who runs them has memory,
    too."""
    kind = one if isinstance(one, FunctionType) else type(one)
    return kind.__qualname__ if str(kind.__module__).startswith(("revproxy", "tests.behaviour")) else None


class NothingStaysTests(ChangingCase):
    """Round after round of every kind of change."""

    def setUp(self) -> None:
        super().setUp()
        self.bench.stamp("a", "0")
        self.bench.stamp("b", "0")
        self.bench.start()
        self.bench.control.history.beginWithout()
        self.bench.control.alerts.start()
        self.client = self.bench.connect()
        self.swaps = self.requests = 0
        # Its memory is bounded, and full from the beginning.
        for _ in range(1000):
            self.bench.events.add("noise", "", "nobody", version=VersionId("1"))

    def request(self) -> None:
        self.requests += 1
        before = len(self.client.wire.sent)
        self.bench.ask(f"/{self.requests}", self.client)
        self.assertIn(b" 200 ", self.client.got[before:])
        self.client.wire.sent.clear()
        self.stage.seen.clear()

    def apply(self) -> None:
        before = self.bench.edge.generation.number
        self.bench.apply()
        self.swaps += self.bench.edge.generation.number - before
        self.request()

    def round(self, number: int) -> None:
        """Each kind of change."""
        bench = self.bench
        client = bench.ask(f"/long/{number}")
        bench.stamp("a", str(number), version=f"1.{number}", body=TAKES, interfaces=", IStateful")
        self.apply()
        bench.stamp("b", "0", config={"mark": f" {number}"})
        self.apply()
        bench.stamp(f"new{number % 2}", str(number))
        self.apply()
        bench.stamp("bad", str(number), body=FAILING, interfaces=", IHealthCheck")
        bench.stamp("a", str(-number), version=f"2.{number}")
        self.apply()
        shutil.rmtree(bench.plugins / "bad")
        shutil.rmtree(bench.plugins / f"new{number % 2}")
        upstreams = UPSTREAMS.replace("9000\"]}", f"9000\"], max_queue: {number}}}") if number % 2 else UPSTREAMS
        route = f"{{path: /r{number}, upstream: echo, plugins: {{a: {{mark: x}}}}}}"
        bench.configure(f"[{{upstream: app}}, {route}]", upstreams)
        self.apply()
        client.wire.leave(ConnectionDone())
        bench.settle()

    def measure(self) -> tuple[dict[str, int], Counter[str]]:
        """What there is, once all that is on its way out is out."""
        for _ in range(60):
            self.bench.wait(1)
        self.bench.origin.connections = [one for one in self.bench.origin.connections if not one.wire.lost]
        self.bench.origin.heard.clear()
        self.bench.origin.asked.clear()
        self.stage.stops.clear()
        self.stage.starts.clear()
        self.stage._dead.clear()
        self.stage._within.clear()
        gc.collect()
        gc.collect()
        types = Counter(filter(None, map(_ours, gc.get_objects())))
        for past in ("PastPlan", "PastPlugin", "PastRoute"):  # of the last plans, as explain needs them: few values
            self.assertLessEqual(types.pop(past, 0), MOST_PLANS * 8)
        worker: Any = self.bench.worker
        control: Any = self.bench.control
        retirement, records, running = worker.retirement, control.keeper.records, worker.staging.running
        books = {
            "breakers": len(control.quarantine._watched),
            "packages": len(worker._culprits._packages),
            "gates": len(worker.health.gates),
            "failures": len(list(control.coordinator.refused)),
            "leaving": len(retirement._leaving),
            "retired versions": sum(map(len, retirement._versions.values())),
            "watched": len(retirement._proof._watched),
            "events": len(self.bench.events.latest(10_000)),
            "remembered": sum(len(record.versions) for record in records.plugins.values()),
            "plugins remembered": len(records.plugins),
            "totals": len(control.keeper.totals._sums),
            "counted": len(worker.counters._told),
            "questions": len(control.coordinator.crew._questions),
            "steps": len(control.coordinator.crew._waiting),
            "stored": sum(1 for _ in (self.bench.root / "var").rglob("*")),
            "chains": sum(len(instance.chains) for instance in worker.generations.built.instances),
            "instances": sum(len(version.instances) for version in running.versions.values()),
            "ended": sum(len(version.ended) for version in running.versions.values()),
            "origin": len(self.bench.origin.connections),
            "timers": len(self.bench.clock.getDelayedCalls()),
            "descriptors": len(os.listdir("/proc/self/fd")),
            "threads": threading.active_count(),
            "modules": sum(name.startswith(f"{ROOT}.") for name in sys.modules),
        }
        return books, types

    def test_flat(self) -> None:
        """After three hundred swaps there is as much as after a hundred."""
        for number in range(1, 21):
            self.round(number)
        before, types = self.measure()
        for number in range(21, 62):
            self.round(number)
        after, later = self.measure()
        self.assertGreater(self.swaps, 300)
        for name in ("descriptors", "threads"):
            # Those of other tests in this process may end meanwhile.
            self.assertLessEqual(after.pop(name), before.pop(name), name)
        self.assertEqual(after, before)
        grown = {name: count - types[name] for name, count in later.items() if count - types[name] > 20}
        self.assertLess(sum(later.values()) - sum(types.values()), 100, grown)
        self.check()
