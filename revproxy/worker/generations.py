"""
The generation that requests go through, and its swap: one assignment.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from twisted.logger import Logger

from revproxy.dataplane.edge import Edge
from revproxy.loop.deadlines import Deadlines
from revproxy.plan.catalog import Selected
from revproxy.plan.words import Prepare
from revproxy.worker.assembly import BuiltGeneration, Member, buildGeneration, notInChain
from revproxy.worker.guard.versionhealth import VersionHealth
from revproxy.worker.lifecycle.instance import Instance
from revproxy.worker.participant import Refused
from revproxy.worker.rollout.trials import Trials
from revproxy.worker.routes import Routes
from revproxy.worker.routetable import RouteTable
from revproxy.worker.running import Running
from revproxy.worker.staging import Staging


class Generations:
    """
    A worker's generations; see `Participant`. Built from what staging and routes have prepared.

    :ivar built: what serves requests; None before the first commit.
    """

    _log = Logger()

    def __init__(
        self, edge: Edge, staging: Staging, routes: Routes, health: VersionHealth, answers: Deadlines, trials: Trials
    ) -> None:
        """
        :param answers: for middleware that do not answer at once.
        """
        self.built: BuiltGeneration | None = None
        self._edge = edge
        self._staging = staging
        self._routes = routes
        self._health = health
        self._answers = answers
        self._trials = trials
        self._next: BuiltGeneration | None = None

    async def prepare(self, word: Prepare) -> None:
        """Nothing: it is built when all that it is made of is there."""

    async def ready(self) -> None:
        """Build it; nobody sees it yet."""
        running, table = self._staging.next, self._routes.next
        if running is not None and table is not None:
            self._next = self._build(running, table)

    def commit(self) -> None:
        """The swap."""
        built, running = self._next, self._staging.next
        if built is None or running is None:
            return
        self._next = None
        self._swap(built)
        self._health.adopt(set(built.instances), running.plan)
        self._trials.adopt(running.plan, running.serving)

    def _swap(self, built: BuiltGeneration) -> None:
        for chain, instances in built.chains.items():
            for instance in instances:
                instance.chains.add(chain)
        self._edge.generation = built.generation
        self.built = built

    async def abandon(self) -> None:
        """It was never seen."""
        self._next = None
        self._health.abandon()
        running = self._staging.running
        if running is not None:
            self._trials.adopt(running.plan, running.serving)

    def rebuild(self) -> None:
        """
        Requests are taken down on other routes than before: the same plan, with other forks. What is being prepared
        meanwhile is built so, too.
        """
        serving, next = self._staging.running, self._staging.next
        try:
            if serving is not None and self._routes.table is not None:
                self._swap(self._build(serving, self._routes.table))
            if self._next is not None and next is not None and self._routes.next is not None:
                self._next = self._build(next, self._routes.next)
        except Refused:  # a plugin that lets nobody look at it any more
            self._log.failure("nothing is taken down of requests")

    def _build(self, running: Running, table: RouteTable) -> BuiltGeneration:
        arms, member = self._trials.forkMaker(running.plan), partial(self._member, running)
        return buildGeneration(running.plan, table, member, self._successor, self._answers, arms)

    def _member(self, running: Running, plugin: Selected, settings: Mapping[str, Any], isCandidate: bool) -> Member:
        find = running.candidate if isCandidate else running.member
        instance = find(plugin.name, settings)
        try:
            middleware = self._health.inChain(instance, running.plan)
        except BaseException as error:  # foreign code: it was verified, and is another thing now
            raise notInChain(instance, error) from None
        return Member(instance, middleware, partial(self._health.failed, instance))

    def _successor(self, name: str) -> Instance | None:
        """What runs of a plugin now."""
        running = self._staging.running
        return None if running is None else next(iter(running.of(name)), None)
