"""Tests for `revproxy.worker.worker`: which word goes where, and the way from the beginning to the end."""

from __future__ import annotations

import socket
from collections import Counter
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.python.failure import Failure

from revproxy.dropin import DropIn
from revproxy.errors import BadResponse
from revproxy.plan.versionid import UNKNOWN
from revproxy.plan.words import (
    Ask,
    Commit,
    Counters,
    DropIns,
    Prepare,
    Readiness,
    Ready,
    Stalled,
    Target,
    TargetChanged,
)
from revproxy.worker.guard.stallguard import Stall
from revproxy.worker.worker import Worker
from tests.harness import freePort
from tests.worker.workers import WorkerCase, entry

UPSTREAM = "upstreams: {app: {targets: ['http://127.0.0.1:1', 'http://127.0.0.1:2']}}\nroutes: [{upstream: app}]\n"
IMPATIENT = UPSTREAM.replace("{targets", "{max_fails: 1, targets")
PATIENT = UPSTREAM.replace("{targets", "{max_fails: 9, targets")


class ExchangeDouble:
    """Takes an answer."""

    def answered(self, response: Any) -> None:
        self.response = response


class WordTests(WorkerCase):
    """Words that are no steps of a change."""

    def test_first(self) -> None:
        """What is installed is the first that it says."""
        self.assertEqual(self.told, [DropIns()])
        dropIn = DropIn({"name": "d", "version": "1"}, lambda config: None)
        told: list[Any] = []
        Worker(self.reactor, self.config(), told.append, self.inThread, dropIns=[dropIn])
        [word] = told
        self.assertEqual([found.manifest.name for found in word.entries], ["d"])

    def picked(self, count: int = 4) -> dict[str, int]:
        """By target, how many of so many requests it gets."""
        table = self.worker.routes.table
        assert table is not None
        upstream = table.upstreams["app"][1]
        return Counter(upstream.pick(()).url[-1] for _ in range(count))  # type: ignore[union-attr]

    def test_target(self) -> None:
        """A target is taken out of service, weighed, and put back; one that there is not is passed over."""
        self.become(self.plan(1, self.config(UPSTREAM)))
        self.told.clear()
        url = "http://127.0.0.1:1"
        self.say(Target("app", url, False))
        self.assertEqual(self.picked(), {"2": 4})
        self.say(Target("app", url, True, 3))
        self.assertEqual(self.picked(), {"1": 3, "2": 1})
        self.say(Target("app", url, True))
        self.assertEqual(self.picked(), {"1": 2, "2": 2})
        for upstreamName, target in (("other", url), ("app", "http://127.0.0.1:3")):
            self.say(Target(upstreamName, target, False))
        self.assertEqual(self.told, [])

    def test_targetOfLaterPlans(self) -> None:
        """What was said of a target holds for upstreams that are made anew, also for those that are being made."""
        first, second = (f"http://127.0.0.1:{port}" for port in (1, 2))
        self.say(Target("app", first, False))
        self.become(self.plan(1, self.config(UPSTREAM)))
        self.assertEqual(self.picked(), {"2": 4})
        self.become(self.plan(2, self.config(PATIENT)))
        self.assertEqual(self.picked(), {"2": 4})
        self.say(Prepare(3, self.plan(3, self.config(IMPATIENT))))
        self.say(Target("app", first, True))
        self.say(Target("app", second, False))
        self.say(Ready(3))
        self.say(Commit(3))
        self.assertEqual(self.picked(), {"1": 4})

    def test_targetOfAnotherUpstream(self) -> None:
        """A target that is passed over is not, once its upstream is made anew: that is told."""
        self.become(self.plan(1, self.config(UPSTREAM)))
        table = self.worker.routes.table
        assert table is not None
        upstream = table.upstreams["app"][1]
        for _ in range(3):
            upstream.failedAt(upstream.targets[0], Failure(BadResponse("oh")))
        self.told.clear()
        self.become(self.plan(2, self.config(PATIENT)))
        self.assertEqual([word for word in self.told if isinstance(word, TargetChanged)], [
            TargetChanged("app", "http://127.0.0.1:1", True, "its upstream is another one now")])

    def test_readiness(self) -> None:
        """Whether the edge is ready, is for routes that tell it; also for those that are there already."""
        self.become(self.plan(1, self.config("routes: [{health: ready}]\n")))
        table = self.worker.routes.table
        assert table is not None
        [(leaf, *_)] = table.leaves.values()
        answers = []
        for isReady in (None, True, False):
            if isReady is not None:
                self.say(Readiness(isReady))
            exchange: Any = ExchangeDouble()
            leaf.render(exchange)
            answers.append(exchange.response.status)
        self.assertEqual(answers, [503, 200, 503])

    def test_targetBeforeThePlan(self) -> None:
        """Before there is a plan there are no targets."""
        self.say(Target("app", "http://127.0.0.1:1", False))
        self.assertEqual(self.told, [DropIns()])

    def test_ask(self) -> None:
        """It tells what it has counted, at once."""
        plugin = entry("a")
        self.become(self.plan(1, self.config(), plugin))
        self.seen()
        self.told.clear()
        self.say(Ask(7))
        [word] = self.told
        assert isinstance(word, Counters)
        self.assertEqual((word.asked, [(each.plugin, each.version, each.calls) for each in word.versions]),
                         (7, [("a", plugin.version, 1)]))

    def test_stalled(self) -> None:
        """Who held the loop is told: a version, or nobody's code."""
        plugin = entry("a")
        self.become(self.plan(1, self.config(), plugin))
        version = self.worker.staging.running.versions["a"]  # type: ignore[union-attr]
        self.told.clear()
        for key in (version, None):
            self.worker._stalled(Stall("a", "1", "a.py:3", "f", 0.5, True, key))
        self.assertEqual(self.told, [
            Stalled("a", plugin.version, "f", "a.py:3", 0.5, True), Stalled("", UNKNOWN, "f", "a.py:3", 0.5, True)])


    def test_stalledProbe(self) -> None:
        """A call of a version of which every instance has a gate was a probe."""
        plugin = entry("a")
        self.become(self.plan(1, self.config(), plugin))
        self.become(self.plan(2, self.config(), plugin, gates={"a": 2}))
        version = self.worker.staging.running.versions["a"]  # type: ignore[union-attr]
        self.told.clear()
        self.worker._stalled(Stall("a", "1", "a.py:3", "f", 0.5, True, version))
        self.assertEqual(self.told, [Stalled("a", plugin.version, "f", "a.py:3", 0.5, True, True)])


class WayTests(WorkerCase):
    """From the beginning to the end."""

    def test_listen(self) -> None:
        """The ports of the first plan are bound before the loop runs; clients get in with its commit."""
        number = freePort()
        listeners = f"listeners: [{{endpoint: 'tcp:{number}:interface=127.0.0.1'}}]\n"
        config = self.config(f"{listeners}logging: {{access: a.log}}\n")
        plan = self.plan(1, config)
        self.assertEqual(self.prepare(plan, starts=False), ())
        self.assertEqual((self.reactor.getReaders(), (self.root / "a.log").exists()), ([], False))
        self.done(self.worker.listen(config))
        self.assertTrue((self.root / "a.log").exists())
        socket.create_connection(("127.0.0.1", number)).close()
        self.assertEqual(self.reactor.getReaders(), [])
        self.transaction -= 1
        self.become(plan)
        self.assertEqual(self.reactor.getReaders(), self.worker.listeners.ports)

    def test_taken(self) -> None:
        """A port that somebody else has is an error of the start."""
        with socket.create_server(("127.0.0.1", 0)) as other:
            number = other.getsockname()[1]
            config = self.config(f"listeners: [{{endpoint: 'tcp:{number}:interface=127.0.0.1'}}]\n")
            self.prepare(self.plan(1, config), starts=False)
            listening = Deferred.fromCoroutine(self.worker.listen(config))
            self.failureResultOf(listening, CannotListenError)

    def test_firstRoutes(self) -> None:
        """Who waits for the first route table is told once, before a plugin is imported."""
        noted: list[str] = []
        options: dict[str, Any] = {"dropIns": (), "routesMade": lambda: noted.append("made")}
        worker = Worker(self.reactor, self.config(), self.told.append, self.inThread, **options)
        plugin = entry("a", code="raise RuntimeError('imported')")
        for transaction in (1, 2):
            worker.receive(Prepare(transaction, self.plan(1, self.config(), plugin), starts=False))
            noted.append(self.told[-1].refusals[0].stage)  # type: ignore[union-attr]
        self.assertEqual(noted, ["made", "import", "import"])

    def test_bounds(self) -> None:
        """Limits and time-outs hold wherever they are looked at: in the edge, and where plugins are seen off."""
        self.become(self.plan(1, self.config("limits: {max_connections: 3}\ntimeouts: {drain: 7}\n")))
        edge = self.worker.edge
        self.assertEqual((edge.limits.maxConnections, edge.timeouts.drain), (3, 7))
        self.assertEqual(self.worker.retirement.drainTime, 7)
        self.become(self.plan(2, self.config("plugins: {drain: 1h}\ntimeouts: {drain: 7}\n")))
        self.assertEqual((edge.timeouts.drain, self.worker.retirement.drainTime), (7, 3600))

    def test_end(self) -> None:
        """At the end nothing is left to be called, bound or open; what was counted last is told."""
        self.become(self.plan(1, self.config(), entry("a")))
        self.worker.counters.start()
        self.seen()
        self.told.clear()
        self.end()
        self.assertEqual((self.reactor.getDelayedCalls(), self.reactor.getReaders()), ([], []))
        [word] = [word for word in self.told if isinstance(word, Counters)]
        self.assertEqual([version.calls for version in word.versions], [1])
