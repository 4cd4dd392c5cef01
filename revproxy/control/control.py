"""
Control: all that decides what the edge is to be, over whatever crew makes it so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger
from twisted.python.failure import Failure

from revproxy.config.settings import Config
from revproxy.control.alertmeasures import AlertMeasures, standsFor
from revproxy.control.alerts.alertfile import MAX_BYTES as ALERT_BYTES
from revproxy.control.alerts.alerts import Alerts
from revproxy.control.alerts.sender import HTTPSender
from revproxy.control.certificatetimes import CertificateTimes
from revproxy.control.changes import ChangeRefused
from revproxy.control.configfile import ConfigFile
from revproxy.control.coordinator import Coordinator
from revproxy.control.crew import Crew
from revproxy.control.granting import Granting
from revproxy.control.history.audit import Audit
from revproxy.control.history.auditfiles import AuditFiles
from revproxy.control.history.history import History
from revproxy.control.history.historyfiles import HistoryFiles
from revproxy.control.inbox import Inbox
from revproxy.control.lifetime import Lifetime
from revproxy.control.pluginview import PluginView
from revproxy.control.preflights import Preflights
from revproxy.control.quarantine import Quarantine
from revproxy.control.readiness import Readiness
from revproxy.control.recorder import Recorder
from revproxy.control.recordingfiles import RecordingFiles
from revproxy.control.recordings import Recordings
from revproxy.control.reverting import Reverting
from revproxy.control.rollout.rolloutfile import MAX_BYTES as ROLLOUT_BYTES
from revproxy.control.rolloutbook import RolloutBook
from revproxy.control.rolloutdriver import RolloutDriver
from revproxy.control.rollouts import Rollouts
from revproxy.control.slowplugins import SlowPlugins
from revproxy.control.snapshot import SnapshotReader
from revproxy.control.sourcedifference import sourceDifference
from revproxy.control.startup import Startup
from revproxy.control.state.directory import StateFolder
from revproxy.control.state.eventfile import EventFile
from revproxy.control.state.eventkeeper import EventKeeper
from revproxy.control.state.keeper import StateKeeper
from revproxy.control.state.latestfile import MAX_BYTES, LatestFile
from revproxy.control.state.records import PluginRecords
from revproxy.control.steering import Steering
from revproxy.control.targetgauges import TargetGauges
from revproxy.control.targetoverrides import TargetOverrides
from revproxy.control.traces.traceexport import TraceExport
from revproxy.control.traffic.goings import Goings
from revproxy.control.traffic.pastplans import PastPlans
from revproxy.control.traffic.recentrequests import RecentRequests
from revproxy.control.traffic.traffic import Traffic
from revproxy.control.trust.expiries import Expiries
from revproxy.control.trust.memory import MAX_BYTES as TRUST_BYTES
from revproxy.control.trust.memory import Memory
from revproxy.control.trust.trust import Trust
from revproxy.control.trustview import TrustView
from revproxy.control.turns import Turns
from revproxy.loop.jobthread import READING, JobThread
from revproxy.plan.events import EventLog
from revproxy.plan.plan import Plan
from revproxy.plan.words import Down

InThread = Callable[..., Deferred[Any]]
"""Runs a function, with arguments, in a thread."""


class Control:
    """
    Parts, and what they are given of each other.

    :ivar snapshots: reads the files.
    :ivar coordinator: makes changes.
    :ivar startup: comes to the first plan.
    :ivar lifetime: tells of beginning and end.
    :ivar keeper: remembers.
    :ivar eventKeeper: remembers events.
    :ivar audit: has written down who changed what.
    :ivar history: knows what was changed, and how things stood.
    :ivar configFile: the configuration file, read and written for others.
    :ivar reverting: goes back to how things stood.
    :ivar granting: gives plugins what they ask for.
    :ivar trustView: tells whose code runs.
    :ivar expiries: tells of keys that near their end, and looks whether something was revoked.
    :ivar rolloutDriver: leads rollouts through their steps; ``rollouts``: tells of them, and steers.
    :ivar slowPlugins: tells of those that hold the event loop.
    :ivar steering: carries out commands.
    :ivar gauges: what goes on at targets now.
    :ivar pluginView: tells of plugins.
    :ivar recordings: what is taken down of requests, to be replayed.
    :ivar traces: exports them.
    :ivar readiness: whether the edge is ready for requests.
    :ivar overrides: what somebody has said of targets.
    :ivar certificates: which of them near their end.
    :ivar alerts: which rules fire, and who is told.
    :ivar files: what is kept in the state folder besides.
    :ivar inbox: takes what workers say.
    :ivar traffic: what went through the edge in the last hour; ``goings``: what goes on now.
    :ivar startedAt: when the edge began to start, in seconds since the epoch.
    :ivar recent: the last requests; and ``pastPlans``, what the plans had that they came in with.
    :ivar events: what has happened.
    """

    _log = Logger()

    def __init__(
        self,
        config: Config,
        path: Path | None,
        crew: Crew,
        state: StateFolder,
        records: PluginRecords,
        events: EventLog,
        clock: Any,
        readsIn: InThread,
        writesIn: InThread,
    ) -> None:
        """
        :param path: the configuration file; None where there is none.
        :param records: what is remembered from before.
        :param clock: provides `IReactorTime`, in seconds since the epoch.
        :param readsIn: the thread for files that say what the edge is to be.
        :param writesIn: the thread for the state folder.
        """
        self.events = events
        snapshots = self.snapshots = SnapshotReader(path, config)
        turns = Turns()
        self.keeper = StateKeeper(state, records, events, clock, writesIn, turns.takeUnlessEnded)
        self.eventKeeper = EventKeeper(
            events, EventFile(state.eventsPath), clock, writesIn, lambda: self.keeper.isWritable, state.guarded
        )
        self.audit = Audit(
            AuditFiles(state.auditPath), events, clock, writesIn, lambda: self.keeper.isWritable, state.guarded
        )
        self.history = History(
            HistoryFiles(state.historyPath), events, clock, writesIn, lambda: self.keeper.isWritable, state.guarded
        )
        files = JobThread(clock, readsIn, READING)
        self._latestFile = partial(
            LatestFile, clock=clock, inThread=writesIn, isOurs=lambda: self.keeper.isWritable, guarded=state.guarded,
            tell=events.add,
        )  # fmt: skip
        self.files: list[LatestFile] = []
        trustFile = self.latestFile(state.trustPath, TRUST_BYTES)
        remembered, damaged = trustFile.read(Memory.parse, None)
        if damaged is not None:
            events.add("ledger-damaged", damaged)
        trust = Trust(snapshots.trustFiles, Memory(remembered, trustFile), events, clock.seconds)
        self.coordinator = Coordinator(
            config, snapshots, crew, self.keeper, events, files, clock.seconds, turns, clock.callLater, trust
        )
        self.configFile = ConfigFile(self.coordinator, path)
        self.granting = Granting(self.coordinator, self.configFile)
        self.expiries = Expiries(trust.memory, clock, events, self._lookAtRevoked)
        self.reverting = Reverting(self.coordinator, self.history, self.configFile)
        self.coordinator.onTried.append(Recorder(self.audit, self.history, snapshots.textOf).tried)
        self.coordinator.onTried.append(lambda tried: self.tryAgain())
        self.lifetime = Lifetime(self.coordinator)
        self.startup = Startup(self.coordinator)
        self.quarantine = Quarantine(self.coordinator, clock)
        book = RolloutBook(
            self.latestFile(state.rolloutsPath, ROLLOUT_BYTES), self.keeper, events, clock.seconds
        )
        book.restore(config.plugins.directory, path)
        self.rolloutDriver = RolloutDriver(
            self.coordinator, clock, book, Preflights(lambda: self.coordinator.config, readsIn)
        )
        self.quarantine.onCandidate = self.rolloutDriver.tripped
        self.slowPlugins = SlowPlugins(clock, events, self.quarantine.overLoop)
        self.inbox = Inbox(events, self.keeper.totals, snapshots, self.quarantine, self.slowPlugins)
        self.traffic = Traffic(clock.seconds)
        self.rollouts = Rollouts(self.coordinator, self.rolloutDriver, self.traffic)
        self.gauges = TargetGauges()
        self.goings = Goings()
        self.inbox.onCounters += (self.traffic.counted, self.gauges.counted, self.goings.counted)
        self.startedAt = clock.seconds()
        self.recent = RecentRequests(clock, config.logging.remember, config.logging.rememberBytes)
        self.inbox.onRecords.append(self.recent.told)
        self.inbox.onLocking.append(trust.heard)
        self.inbox.onEvidence.append(self.rolloutDriver.heard)
        self.inbox.onRemains.append(self.rolloutDriver.remains)
        self.pastPlans = PastPlans()
        self.steering = Steering(self.coordinator)
        self.trustView = TrustView(self.coordinator, self.inbox)
        self.pluginView = PluginView(self.coordinator, self.trustView)
        self.recordings = Recordings(
            RecordingFiles(state.recordingsPath), clock, writesIn, crew.tell, events, self._routeNames,
            state.guarded,
        )  # fmt: skip
        self.inbox.onRecorded.append(self.recordings.heard)
        self._sources = JobThread(clock, readsIn)
        self._store = state.store
        self.overrides = TargetOverrides(
            self.inbox.targets, crew, events, clock, self.latestFile(state.targetsPath), self.audit
        )
        self.certificates = CertificateTimes(events, clock, self.latestFile(state.certificatesPath))
        self.inbox.onCertificates.append(self.certificates.heard)
        self._measures = AlertMeasures(
            self.traffic, self.slowPlugins, lambda: self.inbox.certificates, clock.seconds
        )
        stands = standsFor(self.coordinator, self.inbox)
        alertFile = self.latestFile(state.alertsPath, ALERT_BYTES)
        self.alerts = Alerts(events, clock, self._measures, stands, HTTPSender(clock, readsIn), alertFile)
        self.coordinator.onCommitted += (
            self.slowPlugins.committed, self.inbox.committed, self._committed, self.expiries.committed
        )  # fmt: skip
        self.traces = TraceExport(events, clock, readsIn)
        self.inbox.onRecords.append(self.traces.told)
        self.readiness = Readiness(self.coordinator, self.inbox.targets, crew, clock)
        crew.onWord = self.inbox.receive
        crew.standing = self._standing

    async def sources(self, name: str, before: str, after: str) -> list[dict[str, str]]:
        """What is different between two stored versions of a plugin; see `sourceDifference`."""
        found: list[dict[str, str]] = await self._sources.do(sourceDifference, self._store, name, before, after)
        return found

    def latestFile(self, path: Path, maxBytes: int = MAX_BYTES) -> LatestFile:
        """A small file of the state folder, which is written as all of them are."""
        file = self._latestFile(path, maxBytes=maxBytes)
        self.files.append(file)
        return file

    def _standing(self) -> Iterator[Down]:
        yield from self.overrides.words()
        yield from self.recordings.words()
        yield self.readiness.word()

    def _routeNames(self) -> list[str]:
        return [route.name for route in self.coordinator.config.routes]

    def _committed(self, before: Plan | None, plan: Plan) -> None:
        self.gauges.committed(plan.config)
        self.overrides.committed(plan.config)
        self.certificates.committed(plan.config)
        self.readiness.look()
        self.traces.adopt(plan.config.traces)
        self._measures.committed(plan)
        self.alerts.adopt(plan.config.alerts)
        logging = plan.config.logging
        self.recent.adopt(logging.remember, logging.rememberBytes)
        self.pastPlans.committed(plan, self.recent.clock.seconds())

    async def _lookAtRevoked(self, config: Config) -> None:
        """Have what is revoked taken up, if that file is another one by now."""
        files = self.coordinator.files
        if await files.do(self.snapshots.trustFiles.isStale, config.trust):
            with suppress(ChangeRefused):  # an event says so
                await self.coordinator.apply()

    def kept(self) -> tuple[str, ...]:
        """The small files that have to be in the state folder, as paths below it."""
        return tuple(name for file in self.files for name in file.kept)

    def restored(self) -> None:
        """The state folder is there again: what is kept in it is written once more."""
        self.tryAgain()
        for file in self.files:
            file.restore()

    def tryAgain(self) -> None:
        """What could not be written may be written now: somebody has made room, and gives a command."""
        self.eventKeeper.tryAgain()
        self.audit.tryAgain()
        self.history.tryAgain()
        for file in self.files:
            file.tryAgain()

    def stop(self) -> None:
        """Nothing happens by itself any more; the edge is about to end."""
        self.readiness.look()
        self.rolloutDriver.stop()
        self.slowPlugins.stop()
        self.overrides.stop()
        self.traces.stop()
        self.certificates.stop()
        self.expiries.stop()
        self.alerts.stop()

    def _failed(self, failure: Failure) -> None:
        self._log.failure("writing what is to be kept", failure)

    async def end(self) -> None:
        """Write what is to be kept, all at once: a disk that does not answer is waited for once, not for each part."""
        self.alerts.save()
        ends = [file.end() for file in self.files]
        ends += [self.recordings.end(), self.history.end(), self.traces.end(), self.audit.end()]
        await DeferredList([Deferred.fromCoroutine(end).addErrback(self._failed) for end in ends])
        self.lifetime.ended()
        await self.eventKeeper.end()
