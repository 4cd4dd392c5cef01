"""Tests for `revproxy.worker.rollout.trials`: what is written down of a trial lives as long as that."""

from __future__ import annotations

import builtins
import sys
from itertools import product

from twisted.internet.defer import Deferred

from revproxy.loading.bundlefinder import ROOT
from revproxy.plan.catalog import CatalogEntry
from revproxy.plan.plan import Plan
from revproxy.plan.words import Evidence, Ready, Record, Remains
from tests.dataplane.doubles import TransportDouble
from tests.trials import onTrial, trial
from tests.worker.rollout.trialcase import TrialCase, answering

LAST = {"config": {"last": True}}

WAITS = """
    async def handle(self, context):
        await WAITING()
        context.request.body.addFilter(lambda data, last: data)
        return True

    async def handleResponse(self, context):
        await WAITING()
        context.response.headers.set("X-Version", "{number}")
"""


class TrialsTests(TrialCase):
    """A plugin that answers."""

    def setUp(self) -> None:
        super().setUp()
        self.b, self.next = answering("b", **LAST), answering("b", "2.0", **LAST)
        self.runs(self.b)

    def tried(self, id: str) -> Plan:
        """A plan with the next version on trial."""
        plan = self.plan(self.number + 1, self.settings, self.b)
        return onTrial(plan, (trial("b", id=id, sampled=1.0), [self.next]))

    def modules(self) -> int:
        """How many modules of plugins there are."""
        return sum(name.startswith(f"{ROOT}.") for name in sys.modules)

    def test_abandoned(self) -> None:
        """One that is prepared and given up leaves nothing, whatever was recorded meanwhile."""
        before = self.modules()
        self.assertEqual(self.prepare(self.tried("r1")), ())
        self.assertEqual(self.step(Ready(self.transaction)), ())
        self.worker.receive(Record("r", (), 1.0))
        self.assertEqual(self.seen(), "b 1.0;")
        self.abandon()
        self.assertEqual(self.seen(), "b 1.0;")
        self.settle(5)
        self.assertEqual((self.worker.trials._books, self.modules()), ({}, before))
        self.assertEqual([word for word in self.told if isinstance(word, Remains)], [])

    def test_abandonedAmongOthers(self) -> None:
        """What another one has shown meanwhile is kept."""
        self.become(self.tried("r1"))
        self.assertEqual(self.prepare(self.tried("r2")), ())
        self.seen()
        self.abandon()
        self.seen()
        self.reactor.advance(1)
        trials = [each for word in self.told if isinstance(word, Evidence) for each in word.trials]
        self.assertEqual({each.trial for each in trials}, {"r1"})
        self.assertEqual(sum(each.candidate.warming for each in trials), 2)


class UnderWayTests(TrialCase):
    """A candidate that waits, forth and back, for a request that is taken down, whose body is still on its way."""

    def setUp(self) -> None:
        super().setUp()
        self.waiting: list[Deferred[None]] = []
        builtins.__dict__["WAITING"] = self.wait
        self.addCleanup(builtins.__dict__.pop, "WAITING")
        self.b = answering("b", **LAST)

    def wait(self) -> Deferred[None]:
        self.waiting.append(Deferred())
        return self.waiting[-1]

    def version(self, number: str) -> CatalogEntry:
        return answering("a", number, WAITS.format(number=number), "IResponseMiddleware")

    def goOn(self) -> None:
        """What waits has come, unless it is given up."""
        waiting, self.waiting = self.waiting, []
        for deferred in waiting:
            deferred.callback(None)
        for _ in range(5):
            self.reactor.advance(0.01)

    def change(self, what: str) -> None:
        running, candidate = self.version("1.0"), self.version("2.0")
        if what == "promoted":
            self.runs(candidate, self.b)
        elif what == "rolled back":
            self.runs(running, self.b)
        elif what == "superseded":
            self.runs(running, self.b, tried=[(trial("a", id=f"s{self.number}", sampled=1.0), [self.version("3.0")])])
        else:
            self.runs(self.b)

    def test_changes(self) -> None:
        """
        Whatever becomes of the trial meanwhile, the request ends with the version that it began with, or with its
        client; and nothing of that version stays.
        """
        self.worker.receive(Record("r", (), 1.0))
        for isBack, what, leaves in product(
            (False, True), ("promoted", "rolled back", "superseded", "gone"), (None, "before", "after")
        ):
            tried = trial("a", id=f"r{self.number}", sampled=1.0)
            self.runs(self.version("1.0"), self.b, tried=[(tried, [self.version("2.0")])])
            transport = TransportDouble()
            server = self.connect(transport)
            server.dataReceived(b"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 3\r\n\r\nab")
            if isBack:
                self.goOn()
            if leaves == "before":
                self.lose(server)
            self.change(what)
            if leaves == "after":
                self.lose(server)
            elif not leaves:
                server.dataReceived(b"c")
                self.goOn()
                self.goOn()
                self.assertIn(b"X-Version: 2.0", transport.sent, (isBack, what))
                self.lose(server)
            self.runs(self.b)
            for _ in range(5):
                self.goOn()
            self.assertEqual(len(self.worker.trials._takenDown), 0)
        self.settle(10)
        self.assertEqual(self.worker.retirement.counts(), {})
        self.assertEqual([word for word in self.told if isinstance(word, Remains)], [])
