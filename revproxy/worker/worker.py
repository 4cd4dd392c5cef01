"""
A worker: all that makes plans real in one process, from the words of control to running requests.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from time import monotonic
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from revproxy.config.explainconfig import ExplainConfig
from revproxy.config.settings import Config, LoggingConfig
from revproxy.config.tracesconfig import TracesConfig
from revproxy.dataplane.edge import Edge
from revproxy.dataplane.explainer import Explainer, explainsNothing
from revproxy.dataplane.generation import Generation
from revproxy.dataplane.http.tracing import Tracing
from revproxy.dataplane.routing import Tree
from revproxy.loop.deadlines import Deadlines
from revproxy.loop.jobthread import READING, JobThread
from revproxy.plan.versionid import UNKNOWN
from revproxy.plan.words import (
    Abandon,
    Ask,
    Commit,
    Down,
    Notice,
    Prepare,
    Readiness,
    Ready,
    Record,
    Rehearse,
    Stalled,
    Target,
    TargetChanged,
    Up,
)
from revproxy.worker.accesslogging import AccessLogging
from revproxy.worker.applier import Applier
from revproxy.worker.bounds import Bounds
from revproxy.worker.connectionreports import ConnectionReports
from revproxy.worker.counterreports import CounterReports
from revproxy.worker.edgereports import EdgeReports
from revproxy.worker.generations import Generations
from revproxy.worker.guard.culprits import Culprits
from revproxy.worker.guard.stallguard import Stall, StallGuard
from revproxy.worker.guard.versionhealth import VersionHealth
from revproxy.worker.lifecycle.dropins import DropInFactories
from revproxy.worker.lifecycle.instance import Version
from revproxy.worker.lifecycle.retirement import Retirement
from revproxy.worker.lifecycle.stages import StageLimits
from revproxy.worker.listeners import ListenerSet
from revproxy.worker.lockedplugins import LockedPlugins
from revproxy.worker.logform import ownForm
from revproxy.worker.namedupstreams import NamedUpstreams
from revproxy.worker.participant import Participant
from revproxy.worker.pluginstores import PluginStores
from revproxy.worker.recording import Recording
from revproxy.worker.rehearsals import Rehearsals
from revproxy.worker.rollout.recordings import Recordings
from revproxy.worker.rollout.shadow import Shadow
from revproxy.worker.rollout.shadowcopy import CopyParts
from revproxy.worker.rollout.takendown import TakenDown
from revproxy.worker.rollout.trials import Trials
from revproxy.worker.routes import Routes
from revproxy.worker.staging import Staging
from revproxy.worker.stdlibrecords import StdlibRecords
from revproxy.worker.upstreamfactory import Known, Parts, PluginClient

NOTHING = Generation(0, Tree([]), [])
"""What requests go through before the first plan takes effect: there is no route."""


class Worker:
    """
    Parts, and the way of words between them and control.

    :ivar edge: the data plane.
    :ivar routes: its route table; the first of the participants in a change, as are the five after it.
    :ivar staging: its plugins.
    :ivar locked: those of them that run in locked processes.
    :ivar listeners: its endpoints.
    :ivar accessLogging: its log.
    :ivar recording: who wants to know of requests that are over.
    :ivar bounds: its limits and time-outs.
    :ivar shadow: has versions that do not serve try requests.
    :ivar trials: what is written down of versions on trial.
    :ivar generations: what requests go through.
    :ivar recordings: what is taken down of requests, for somebody to keep it.
    :ivar retirement: sees off instances that are not used any more.
    :ivar health: what fails of plugins, and gates before them.
    :ivar counters: tells what is counted.
    :ivar connections: tells of connections.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        config: Config,
        tell: Callable[[Up], None],
        inThread: Callable[..., Deferred[Any]],
        *,
        inPool: Callable[..., Deferred[Any]] | None = None,
        dropIns: Iterable[Any] | None = None,
        limits: StageLimits | None = None,
        routesMade: Callable[[], None] = lambda: None,
        monotonic: Callable[[], float] = monotonic,
    ) -> None:
        """
        Makes everything and opens nothing; then says `DropIns`. Longer than other functions, for here all parts are
        made, each of those above it.

        :param config: whose limits and time-outs hold until the first plan takes effect.
        :param tell: takes what is said to control.
        :param inThread: runs a function, with arguments, in a thread: for changes, and the log.
        :param inPool: the same for requests, which may be many; the former if left out.
        :param dropIns: `IMiddlewareFactory` providers, instead of what Twisted's plugin system finds.
        :param limits: how much plugins are given outside of requests.
        :param routesMade: called before the first plugins are loaded, with all there that does not depend on them.
        :param monotonic: the time in seconds, for deadlines.
        """
        self._tell = tell
        self._deadlines = Deadlines(reactor, 0.5, monotonic)
        self._answers = Deadlines(reactor, 0.02, monotonic)
        self._files = JobThread(reactor, inThread, READING)
        self._culprits = Culprits()
        self._records = StdlibRecords(self._culprits)
        self._takeLogging(config.logging)
        self._guard = StallGuard(reactor, self._culprits.identify, self._stalled)
        parts = self._parts = Parts(reactor, self._deadlines, self._answers, self._targetChanged, inPool or inThread)
        self._client = PluginClient(config, parts)
        self.edge = Edge(reactor, self._deadlines, NOTHING, config.limits, config.timeouts, None, monotonic=monotonic)
        self.recording = Recording(reactor, self.edge, tell)
        self.recordings = Recordings(reactor, tell)
        self.retirement = Retirement(reactor, tell, config.pluginDrain)
        self.retirement.breakOff = self.edge.breakOffChains
        self.health = VersionHealth(reactor.seconds, tell)
        reports = EdgeReports(reactor, self.edge, self.recording, self._upstreams, inThread, monotonic)
        self.counters = CounterReports(
            reactor, tell, self.retirement.counts, self.health.gated, self.health.tellRest, reports
        )
        self._stores = PluginStores(reactor, config, tell)
        dropInFactories = DropInFactories(dropIns, config.trust)
        self.routes = Routes(parts, self._client.client, self._files, routesMade)
        self.locked = LockedPlugins(
            reactor, config.trust, self._answers, NamedUpstreams(self._upstreams, reactor).ask, inPool or inThread,
            tell=tell,
        )  # fmt: skip
        self.staging = Staging(
            reactor,
            limits or StageLimits(),
            self.retirement,
            self._culprits,
            factoryOf=dropInFactories.of,
            makeClient=lambda: self._client.client,
            tell=tell,
            onAdopted=self.counters.watch,
            onFailure=self.health.failed,
            storeOf=self._stores.of,
            destinations=self.routes.destinations,
            locked=self.locked.make,
        )
        self.listeners = ListenerSet(reactor, self.edge, self._files, tell)
        self.connections = ConnectionReports(reactor, self.edge, self.listeners.endpoints, tell)
        self.rehearsals = Rehearsals(reactor, self.edge, self.listeners.listenerFor, tell)
        self.accessLogging = AccessLogging(reactor, self.recording, inThread, tell)
        self.bounds = Bounds(self._takeBounds)
        copies = CopyParts(
            reactor, limits or StageLimits(), self._culprits, self.retirement, self.locked.makeCopy,
            self.routes.destinations,
        )  # fmt: skip
        self.shadow = Shadow(copies, now=monotonic)
        self.trials = Trials(
            reactor, tell, TakenDown(), self.recordings, monotonic=monotonic,
            tapsOf=self.shadow.tapsOf, pairs=self.shadow.told, adopted=self.shadow.adopt,
        )  # fmt: skip
        self.generations = Generations(self.edge, self.staging, self.routes, self.health, self._answers, self.trials)
        self.recordings.onChanged = self.generations.rebuild
        self._applier = Applier(self._participants(), tell, self.staging.hurry)
        tell(dropInFactories.told)
        for text in dropInFactories.untrusted:
            tell(Notice("untrusted", text))

    def _participants(self) -> Sequence[Participant]:
        """
        In the order in which they prepare and get ready: the generation is built of what instances are after they have
        taken other configurations. They take effect the other way: it is swapped before instances are seen off.
        """
        return self.routes, self.staging, self.listeners, self.accessLogging, self.bounds, self.generations

    def receive(self, word: Down) -> None:
        """Control says something."""
        if isinstance(word, Prepare | Ready | Commit | Abandon):
            self._applier.apply(word)
        elif isinstance(word, Target):
            self.routes.steer(word)
        elif isinstance(word, Readiness):
            self._parts.health.isReady = word.isReady
        elif isinstance(word, Ask):
            self._ask(word)
        elif isinstance(word, Rehearse):
            self.rehearsals.begin(word)
        elif isinstance(word, Record):
            self.recordings.hear(word)

    # Beginning and end

    async def listen(self, config: Config) -> None:
        """
        Open the log, and bind what the first plan has prepared. What connects waits in the kernel.

        :raises OSError, CannotListenError: it cannot be done.
        """
        self.accessLogging.open(config.logging)
        await self.listeners.bind()

    def start(self) -> None:
        """The loop is about to run: watch it, and count. The log was opened since this was made."""
        self._takeLogging(self.accessLogging.config)
        self._stores.open()
        self._guard.start()
        self.counters.start()

    def hurry(self) -> None:
        """The edge ends: wait for no disk any more, and for no step of a plugin."""
        self._files.hurry()
        self.staging.hurry()
        self.accessLogging.hurry()

    async def stopAccepting(self) -> None:
        """Close all ports; connections go on."""
        await self.listeners.stop()

    async def drain(self) -> None:
        """Let running requests finish; what is still there after the drain time is broken off."""
        if self.edge.connections:
            self._log.info("draining {count} connections", count=len(self.edge.connections))
        await self.edge.drain()

    async def endPlugins(self) -> None:
        """Stop all plugins, and wait for those that are leaving. Requests are over by now."""
        self.routes.end()
        self.shadow.end()
        await self.staging.end()
        await self.locked.close()
        self._client.close()
        self.recording.flush()
        self.trials.stop()
        self.recordings.stop()
        self.counters.report()
        self.counters.stop()
        self.connections.stop()
        self._guard.stop()

    async def end(self) -> None:
        """Nothing is done after this; the log is written out."""
        self._answers.stop()
        self._deadlines.stop()
        await self.accessLogging.close()
        self._records.remove()

    # What parts say

    def _takeBounds(self, config: Config) -> None:
        self.edge.limits = config.limits
        self.edge.timeouts = config.timeouts
        self.edge.tracing = _tracingOf(config.traces)
        self.retirement.drainTime = config.pluginDrain
        self._client.adopt(config)
        self._stores.adopt(config)
        self.locked.adopt(config.trust)
        self.recording.adopt(config)
        self._takeLogging(config.logging)
        self._takeExplain(config.explain)

    def _takeExplain(self, config: ExplainConfig) -> None:
        edge = self.edge
        edge.slow = config.slower if config.collect else math.inf
        edge.explain = Explainer(config.slower, edge.monotonic).explain if config.collect else explainsNothing

    def _takeLogging(self, config: LoggingConfig) -> None:
        ownForm.adopt(config)
        self._records.adopt(config)

    def _ask(self, word: Ask) -> None:
        if word.what == "connections":
            self.connections.ask(word.number)
        else:
            self.counters.report(word.number)

    def _upstreams(self) -> Known:
        return {} if self.routes.table is None else self.routes.table.upstreams

    def _stalled(self, stall: Stall) -> None:
        version = stall.key if isinstance(stall.key, Version) else None
        if version is not None and version.isCopy:
            trial = self.shadow.held(version)
            if trial is not None:  # it serves nobody: that is all that comes of it
                self.trials.stalledIn(*trial, stall)
            return
        name, versionId = ("", UNKNOWN) if version is None else (version.name, version.id)
        self.trials.stalled(stall)
        isProbe = version is not None and self.health.isOut(version)
        self._tell(Stalled(name, versionId, stall.function, stall.where, stall.seconds, stall.ended, isProbe))

    def _targetChanged(self, upstream: str, url: str, isUp: bool, reason: str) -> None:
        self._tell(TargetChanged(upstream, url, isUp, reason))


def _tracingOf(config: TracesConfig) -> Tracing | None:
    """What gives requests their traces; None: they have none. What nobody exports is not sampled."""
    return Tracing(config.accept, config.sample if config.otlp else 0.0) if config.propagate else None
