"""Tests for `revproxy.worker.routes`: the table that requests are routed by, and what of it outlives a change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.web.resource import Resource

from revproxy.config.settings import Config
from revproxy.dataplane.upstream.upstream import Upstream
from revproxy.loop.jobthread import JobThread
from revproxy.plan.words import Abandon, Commit, Prepare, Ready
from tests.worker.workers import WorkerCase

made: list[Resource] = []


def factory() -> Resource:
    """A resource that is known."""
    made.append(Resource())
    return made[-1]


class RoutesCase(WorkerCase):
    """A worker with an upstream and a mounted resource."""

    def setUp(self) -> None:
        super().setUp()
        made.clear()
        self.usual = self.upstreams("http://127.0.0.1:1")
        self.become(self.plan(1, self.usual))

    def upstreams(self, target: str, more: str = "") -> Config:
        return self.config(
            f"upstreams: {{app: {{targets: ['{target}']}}}}\n"
            f"routes: [{{path: /, upstream: app}}, {{path: /m, resource: {__name__}.factory}}{more}]\n")

    @property
    def app(self) -> Upstream:
        """The upstream that requests go to."""
        table = self.worker.routes.table
        assert table is not None
        return table.upstreams["app"][1]


class ChangeTests(RoutesCase):
    """From one table to another."""

    def test_same(self) -> None:
        """With the same configuration the table is the same object."""
        table = self.worker.routes.table
        self.become(self.plan(2, self.usual))
        self.assertIs(self.worker.routes.table, table)

    def test_shared(self) -> None:
        """What would be the same in another configuration is: upstreams, and resources with what they hold."""
        app, table = self.app, self.worker.routes.table
        self.become(self.plan(2, self.upstreams("http://127.0.0.1:1", ", {path: /x, respond: {}}")))
        self.assertIsNot(self.worker.routes.table, table)
        self.assertIs(self.app, app)
        self.assertEqual(len(made), 1)

    def test_closed(self) -> None:
        """An upstream that is not shared is closed, once the other table has taken effect."""
        closed: list[Any] = []
        self.patch(Upstream, "close", lambda upstream: closed.append(upstream))
        app = self.app
        self.assertEqual(self.prepare(self.plan(2, self.upstreams("http://127.0.0.1:2"))), ())
        self.step(Ready(self.transaction))
        self.assertEqual((self.app, closed), (app, []))
        self.step(Commit(self.transaction))
        self.assertEqual(closed, [app])

    def test_abandoned(self) -> None:
        """A table that was given up has closed nothing."""
        closed: list[Any] = []
        self.patch(Upstream, "close", lambda upstream: closed.append(upstream))
        app = self.app
        self.prepare(self.plan(2, self.upstreams("http://127.0.0.1:2")))
        self.step(Abandon(self.transaction))
        self.assertEqual((self.app, closed, self.worker.routes.next), (app, [], None))

    def test_refusedConfiguration(self) -> None:
        """After a configuration that was refused, the one that serves keeps its upstreams and resources."""
        app, table = self.app, self.worker.routes.table
        self.prepare(self.plan(2, self.upstreams("http://127.0.0.1:2")))
        self.step(Prepare(self.transaction, self.plan(2, self.usual)))
        self.step(Ready(self.transaction))
        self.step(Commit(self.transaction))
        self.assertIs(self.worker.routes.table, table)
        self.assertEqual((self.app, len(made)), (app, 1))

    def test_preparedAgain(self) -> None:
        """Another try with the same new configuration has the table of the one before."""
        config = self.upstreams("http://127.0.0.1:2")
        self.prepare(self.plan(2, config))
        table = self.worker.routes.next
        self.step(Prepare(self.transaction, self.plan(2, config)))
        self.assertIs(self.worker.routes.next, table)


class RefusalTests(RoutesCase):
    """Tables that cannot be made."""

    def test_problems(self) -> None:
        """All problems are in the refusal, each with its place."""
        self.transaction += 1
        config = self.config("routes: [{path: /a, resource: no.such}, {path: /b, resource: nor.this}]\n")
        answer = self.say(Prepare(self.transaction, self.plan(2, config)))
        assert answer is not None
        [refusal] = answer.refusals
        self.assertEqual((refusal.plugin, refusal.stage, len(refusal.problems)), ("", "build", 2))
        self.assertIn("$.routes[1].resource: nor.this cannot be mounted", refusal.message)
        self.assertEqual([problem.source for problem in refusal.problems], ["r.yaml", "r.yaml"])
        self.abandon()

    def test_silentDisk(self) -> None:
        """Files that do not answer refuse the change, as something that may be over later."""
        jobs: list[Callable[..., Any]] = []
        silent = JobThread(self.reactor, lambda *job: jobs.append(job) or Deferred(), 1.0)  # type: ignore[func-returns-value]
        self.patch(self.worker.routes, "_files", silent)
        self.transaction += 1
        answer = self.say(Prepare(self.transaction, self.plan(2, self.upstreams("http://127.0.0.1:2"))))
        assert answer is not None
        [refusal] = answer.refusals
        self.assertEqual((refusal.stage, len(jobs)), ("files", 1))
        self.assertFalse(refusal.isItsOwn)
        self.abandon()
