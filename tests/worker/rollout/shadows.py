"""
A shadow with a plan, versions that serve, and requests that are taken down.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.configfile import parseConfig
from revproxy.context import Context
from revproxy.dataplane.chain import Chain
from revproxy.dataplane.draw import Standing
from revproxy.dataplane.fork import Tap
from revproxy.guardedmiddleware import guardedMiddleware
from revproxy.loop.deadlines import Deadlines
from revproxy.plan.catalog import CatalogEntry, Selected
from revproxy.plan.evidence import TrialPairs
from revproxy.plan.plan import Plan
from revproxy.plan.words import Up
from revproxy.testing import makeContext, makeResponse
from revproxy.worker.guard.culprits import Culprits
from revproxy.worker.lifecycle.instance import Instance, Version
from revproxy.worker.lifecycle.retirement import Retirement
from revproxy.worker.lifecycle.stages import StageLimits
from revproxy.worker.rollout.shadow import Shadow
from revproxy.worker.rollout.shadowcopy import CopyParts
from revproxy.worker.rollout.takendown import TakenDown
from tests.dataplane.doubles import makeLink
from tests.plan.trials import trialOf, withTrials
from tests.worker.workers import entry

CONFIG = "listeners: [{endpoint: 'tcp:0:interface=127.0.0.1'}]\nroutes: [{respond: {}}]\nstate: var\nplugins: {}\n"

CODE = """
from zope.interface import implementer
from revproxy.interfaces import IMiddleware, IHosted, ILifecycle, IObserver, IResponseMiddleware

COUNT = []

@implementer(IMiddleware{interfaces})
class P:
    name = "p"
    def __init__(self, config):
        self.config = config
{body}
PluginMain = P
"""


def version(number: str, body: str, interfaces: str = "", **manifest: Any) -> CatalogEntry:
    """
    A version of the plugin ``p``.

    :param body: its methods, indented by four; ``interfaces``: that it provides besides.
    """
    return entry("p", number, code=CODE.format(body=body, interfaces=interfaces and f", {interfaces}"), **manifest)


class ShadowCase(SynchronousTestCase):
    """
    :ivar chance: what `random` gives next, again and again.
    :ivar cpu: the time that passes in calls: advanced by whoever wants it to.
    """

    stage = "shadow"
    sampled = 1.0

    def setUp(self) -> None:
        self.clock: Any = Clock()
        self.clock.advance(1000)
        self.cpu: Any = Clock()
        self.chance = [0.0, 0.9]
        self.words: list[Up] = []
        self.takenDown = TakenDown(now=self.cpu.seconds)
        self.culprits = Culprits()
        self.retirement = Retirement(self.clock, self.words.append, 1.0)
        # That versions are gone is proved elsewhere, and takes its time.
        self.patch(self.retirement._proof, "watch", lambda *arguments: None)
        parts = CopyParts(self.clock, StageLimits(), self.culprits, self.retirement, now=self.cpu.seconds)
        self.shadow = Shadow(parts, self.random, self.clock.seconds)
        self.config = parseConfig(CONFIG, "r.yaml", Path("/nowhere"))
        self.addCleanup(self.end)
        self.instances: list[Instance] = []

    def end(self) -> None:
        self.shadow.end()
        self.retirement.retire(self.instances)
        self.clock.advance(0)

    def random(self) -> float:
        self.chance.append(self.chance.pop(0))
        return self.chance[-1]

    def plan(self, running: CatalogEntry, candidate: CatalogEntry, **more: Any) -> Plan:
        """One where a plugin is on trial."""
        selected = Selected(running, running.manifest.config, permissions=running.manifest.permissions)
        plan = Plan(
            1, self.config, {"p": running}, (selected,), (((selected, running.manifest.config),),)
        )
        given = {"stage": self.stage, "sampled": self.sampled, **more}
        return withTrials(plan, (trialOf("p", **given), {"p": candidate}))

    def begin(self, running: CatalogEntry, candidate: CatalogEntry, **more: Any) -> None:
        """The plan takes effect."""
        self.at = self.plan(running, candidate, **more)
        self.shadow.adopt(self.at)
        self.chains = [self.chain(each) for each in (running, candidate)]

    def chain(self, entry: CatalogEntry) -> Chain:
        """What requests are served by that are taken down."""
        serving = Version(entry, StageLimits(), permissions=entry.manifest.permissions)
        instance = serving.make(entry.manifest.config, self.clock, object)
        self.instances.append(instance)
        middleware = self.takenDown.wrap(instance, guardedMiddleware(instance.object, serving.guardedBy))
        return Chain([makeLink(middleware, Deadlines(self.clock, 0.02), name="p")])

    def request(
        self,
        *arguments: Any,
        isCandidate: bool = False,
        isTester: bool = False,
        taps: Sequence[Tap] | None = None,
        **more: Any,
    ) -> Context:
        """One that comes in, is answered, and is over."""
        context = makeContext(*arguments, **more)
        standing = Standing(7, isCandidate)
        if isTester:
            standing = standing.ofTester(isCandidate)
        taps = self.shadow.tapsOf(self.at.trials[0]) if taps is None else taps
        takers = tuple(taker for tap in taps for taker in tap(context, {"r1": standing, "r2": standing}))
        if takers:
            self.takenDown.begin(context, takers)
        chain = self.chains[isCandidate]
        if chain.enter(context) is True:
            context.response = makeResponse(200, {"X": "1"}, b"<p>")
            chain.leave(context)
        context.over()
        return context

    def told(self) -> TrialPairs:
        """What is told of one direction, after time for all that waits."""
        for _ in range(100):
            self.clock.advance(0.01)
        (pairs,) = self.shadow.told()
        return pairs

    def counts(self) -> list[tuple[str, str, int, int, int]]:
        """The differences that are told."""
        return [
            (each.field, each.kind, each.candidate, each.control, each.both) for each in self.told().differences
        ]
