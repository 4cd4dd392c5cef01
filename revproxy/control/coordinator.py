"""
How the edge becomes another one: one transaction at a time, from the files to the swap.

    snapshot ─▶ choose ─▶ resolve ─▶ crew: Prepare ─▶ store ─▶ crew: Ready ─▶ crew: Commit ─▶ tell ─▶ record
                             ▲                │                        │
                             └── refused: drop those changes, and try the rest ──┘

Whatever fails before the commit leaves what runs untouched. When one plugin's change is refused, that change is dropped
and the rest is tried again without it; what workers have prepared for the others is kept. When the configuration file's
change is refused, the plugins' changes are tried with the configuration that is in force.

A long file, so that a transaction can be read from its beginning to its end in one place; each step is elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from revproxy.config.problems import ConfigErrors
from revproxy.config.settings import Config
from revproxy.control.attempt import Attempt
from revproxy.control.candidates import remembered
from revproxy.control.changes import NOTHING_ASKED, ChangeRefused, ChangeReport, ChangeRequest, ConfigRefused, Tried
from revproxy.control.configwriting import ConfigWriting
from revproxy.control.crew import Crew
from revproxy.control.planning.choice import Choice, choose, chooseOne
from revproxy.control.planning.deferredremovals import DeferredRemovals
from revproxy.control.planning.difference import Difference, renewedIn
from revproxy.control.planning.folderowners import folderOwners
from revproxy.control.planning.lostmount import LostMount
from revproxy.control.planning.ongoing import Move, Ongoing, Rolled
from revproxy.control.planning.requireddifference import allDifferencesOf
from revproxy.control.planning.requirement import isNeededAtStart
from revproxy.control.planning.settings import Former
from revproxy.control.precedence import GivenWay, Precedence
from revproxy.control.refusalbook import RefusalBook
from revproxy.control.snapshot import Snapshot, SnapshotReader
from revproxy.control.state.keeper import StateKeeper
from revproxy.control.state.records import PluginRecords
from revproxy.control.trust.memory import Memory
from revproxy.control.trust.trust import Trust
from revproxy.control.trust.trustfiles import TrustFiles
from revproxy.control.turns import Turns
from revproxy.control.vetting import Vetting
from revproxy.loop.jobthread import DiskSilent, JobThread
from revproxy.plan.catalog import BrokenPlugin, Catalog, Entries
from revproxy.plan.events import EventLog
from revproxy.plan.plan import Plan
from revproxy.plan.refusal import BY_STEPS, Refusal
from revproxy.plan.trial import Trial
from revproxy.plan.words import Abandon, Commit, Prepare, Ready

_STOPPED = Refusal("", "stop", "the edge is being stopped")


class Coordinator:
    """
    Keeps the edge what files and records say it is to be.

    :ivar plan: what is in force; None before the first commit.
    :ivar starting: the plan that is to be the first; None after its commit.
    :ivar config: the configuration that is in force; before the first commit, the one that is to be.
    :ivar catalog: what plugins there are, as they were read last.
    :ivar broken: those of them that cannot be used, and have nothing to stand in for them.
    :ivar turns: whoever changes something takes one.
    :ivar precedence: which change goes before which.
    :ivar keeper: what is remembered, also over a restart.
    :ivar trust: whose code may run; ``vetting``: what of what is stored.
    :ivar refused: what was refused last, and still stands.
    :ivar onCommitted: called with the plan before and the one that has taken effect.
    :ivar onTried: called with each transaction that is over.
    :ivar ongoing: tells the rollouts that are not over; ``former``: by name, what plugins run by, though the
        configuration says otherwise, for that did not come through its steps; ``configBefore``: what an edge before
        this one ran by, if that is known.
    :ivar onRolled: called with what a transaction that is about to be told of has done to rollouts.
    """

    _log = Logger()

    def __init__(
        self,
        config: Config,
        snapshots: SnapshotReader,
        crew: Crew,
        keeper: StateKeeper,
        events: EventLog,
        files: JobThread,
        now: Callable[[], float],
        turns: Turns,
        callLater: Callable[..., IDelayedCall],
        trust: Trust | None = None,
    ) -> None:
        """
        :param snapshots: reads the files.
        :param files: what they are read with.
        :param now: seconds since the epoch.
        :param turns: those of all who change something.
        :param callLater: as of `IReactorTime`.
        :param trust: says what may run; None: by what the configuration says, and nothing is remembered of it.
        """
        self.trust = trust or Trust(TrustFiles(), Memory(), events, now)
        self.plan: Plan | None = None
        self.starting: Plan | None = None
        self.config = config
        self.catalog = Catalog({})
        self.keeper = keeper
        self.vetting = Vetting(self.trust, keeper)
        self.events = events
        self.refused = RefusalBook(events, now)
        self.onCommitted: list[Callable[[Plan | None, Plan], None]] = []
        self.onTried: list[Callable[[Tried], None]] = []
        self.ongoing: Callable[[], tuple[Ongoing, ...]] = tuple
        self.former: Callable[[], Mapping[str, Former]] = dict
        self.configBefore: Callable[[], Config | None] = lambda: None
        self.onRolled: list[Callable[[ChangeRequest, Rolled], None]] = []
        self.crew = crew
        self.snapshots = snapshots
        self.files = files
        self.now = now
        self.turns = turns
        self.callLater = callLater
        self.precedence = Precedence(turns, callLater, self._giveUp)
        self.writing = ConfigWriting(files, events, snapshots, self.precedence.onDisk)
        self.broken: tuple[BrokenPlugin, ...] = ()
        self.removals = DeferredRemovals()
        self.mount = LostMount()
        self.transaction = 0
        self._isOpen = False
        self._givingUp: Deferred[None] | None = None
        self._configRead = config
        # The file that was refused last is not tried with every change of a plugin.
        self._refusedConfig: tuple[Config, Refusal] | None = None

    @property
    def records(self) -> PluginRecords:
        """What is remembered of each plugin."""
        return self.keeper.records

    @property
    def shown(self) -> Plan | None:
        """What people are told of: what is in force, or is being started."""
        return self.plan or self.starting

    @property
    def hasEnded(self) -> bool:
        """Whether the edge is being stopped."""
        return self.turns.hasEnded

    # Changes, one at a time

    async def apply(
        self, request: ChangeRequest = NOTHING_ASKED, begun: Callable[[], None] = lambda: None
    ) -> ChangeReport:
        """
        Read the files, and become what they and the records say.

        :param begun: called when its turn has come, before anything is read.
        :raises ChangeRefused: the change that was asked for cannot be made; nothing was changed.
        """
        if request.actor.deed is not None and self.onTried:
            request.actor.deed.isTaken = True
        try:
            return await self.turns.take(self._apply(request, begun), first=request.isRescue)
        except ChangeRefused as refused:
            for refusal in refused.refusals:
                if refusal.stage == BY_STEPS:
                    continue  # of a rollout that is over by now: nothing is wrong with what was refused
                self.events.add("refused", refusal.message, refusal.plugin, refusal.version, refusal.traceback)
            raise

    async def _apply(self, request: ChangeRequest, begun: Callable[[], None]) -> ChangeReport:
        begun()
        if self.hasEnded or self.plan is None:
            self.tell(Tried(request, self.plan, self.records, (), (_STOPPED,), False))
            return ChangeReport()
        return await self.transact(request)

    def halt(self) -> None:
        """Change nothing any more; what is under way is given up."""
        self.turns.hasEnded = True
        self.files.hurry()
        self.keeper.disk.hurry()
        self._giveUp()

    def _giveUp(self) -> None:
        """Have the crew come to the end of the step that is under way."""
        if self._isOpen:
            self._givingUp = Deferred.fromCoroutine(self.abandon())
            self._givingUp.addErrback(lambda failure: self._log.failure("giving up a change", failure))

    async def end(self) -> None:
        """Wait until nothing is under way, here or in the crew, and write what could not be written."""
        self.halt()
        await self.turns.take(self._end())

    async def _end(self) -> None:
        if self._givingUp is not None:
            await self._givingUp
        await self.keeper.end()

    # One transaction

    async def transact(self, request: ChangeRequest) -> ChangeReport:
        """As :meth:`apply`, for work that has taken a turn. :raises ChangeRefused:"""
        try:
            report = await self._transact(request)
        except Exception as error:
            self.tell(Tried.failed(request, self.plan, self.records, error))
            raise
        self.tell(Tried(request, self.plan, self.records, report.text, report.news))
        return report

    def tell(self, tried: Tried) -> None:
        """A transaction is over."""
        for heard in () if tried.request.isTrial else self.onTried:
            heard(tried)

    async def _transact(self, request: ChangeRequest) -> ChangeReport:
        given = 0
        while True:
            assert self.plan is not None
            self.transaction += 1
            self.precedence.begin(request, given)
            try:
                report = await self._become(request, self.plan)
                self.precedence.made(request)
                return report
            except DiskSilent as silent:
                raise ChangeRefused(Refusal("", "files", f"the files cannot be looked at: {silent}")) from None
            except GivenWay as way:
                gave = way
            finally:
                self.precedence.end()
                await self._abandoned()
            given += 1
            if not await self.precedence.giveWay(request, gave):
                raise ChangeRefused(Refusal(request.plugin, "overruled", "given up: a later command was about it"))
            self._refuseAtEnd()

    async def _abandoned(self) -> None:
        """Nothing is prepared any more."""
        await self.abandon()
        if self._givingUp is not None and not self.hasEnded:  # else it is waited for at the end
            await self._givingUp

    async def abandon(self) -> None:
        """Have the crew give up what it has prepared, if it has prepared anything."""
        if self._isOpen:
            self._isOpen = False
            await self.crew.do(Abandon(self.transaction))

    async def prepare(self, plan: Plan, request: ChangeRequest, starts: bool = True) -> tuple[Refusal, ...]:
        """
        Have the crew prepare a plan.

        :param starts: whether instances are started.
        :returns: why not; empty if it has.
        """
        self._isOpen = True
        return await self.crew.do(Prepare(self.transaction, plan, starts, request.withoutState, request.isRescue))

    async def ready(self, plan: Plan) -> tuple[Refusal, ...]:
        """Store what is about to run, and have the crew do what comes last. :returns: why not; empty if it has."""
        if self.plan is None:
            await self.keeper.keep(plan)
        else:
            await self.precedence.onDisk(self.keeper.keep(plan))
        if self.hasEnded:  # all was given up meanwhile
            return (_STOPPED,)
        return await self.crew.do(Ready(self.transaction))

    async def _become(self, request: ChangeRequest, current: Plan) -> ChangeReport:
        """Try it with the configuration file as it is; if that is refused, with the configuration that is in force."""
        refusals: list[Refusal] = []
        useCurrent = False
        while True:
            try:
                begin = self._rescue if request.isOfWhatRuns else self._begin
                attempt = await begin(request, current, useCurrent)
                attempt.refusals[:0] = refusals
                return await self._try(attempt, current)
            except ConfigRefused as refused:
                if useCurrent or request.edit is not None:
                    raise ChangeRefused(refused.refusal) from None
                refusals.append(refused.refusal)
                useCurrent = True
                if refused.refusal.stage != "listen":  # a port may become free
                    self._refusedConfig = refused.config, refused.refusal

    async def _begin(self, request: ChangeRequest, current: Plan, useCurrent: bool) -> Attempt:
        """
        :returns: what is to be tried.
        :raises ConfigRefused: the file has the configuration that was refused last.
        """
        running, records = current.entries, self.records
        owners = folderOwners(running, records, current.config.plugins.directory)
        reads = self.snapshots.read if request.reads or current.config.plugins.watch else self.snapshots.again
        edited = () if request.edit is None else (request.edit.config,)
        snapshot = await self._read(reads, current.config, owners, useCurrent, *edited)
        refused = self._refusedConfig
        if refused is not None and snapshot.config is refused[0] and not (request.force or useCurrent):
            raise ConfigRefused(*refused)
        # With another configuration everything is worth another try.
        retries = request.force or snapshot.config is not self._configRead
        attempt = await self.attempt(request, snapshot, running, retries, self._read)
        self._configRead = snapshot.config
        for name, digest in self.precedence.aside:
            # A configuration waits for newcomers: there may be routes in it that only they guard.
            isDone = attempt.setAside(name, digest) and name in running
            if not isDone and request.edit is not None:
                raise ChangeRefused(Refusal("", "late", f"it waits for plugin {name}, which takes long; try again"))
            if not isDone and snapshot.config is not current.config:
                attempt = await self._begin(request, current, True)
                attempt.tellAside("")
                break
        return attempt

    async def _read(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await self.precedence.onDisk(self.files.do(function, *arguments))

    async def _rescue(self, request: ChangeRequest, current: Plan, useCurrent: bool) -> Attempt:
        """
        What runs, and what was asked for. The files are not looked at: they may hold what hangs, or hang themselves.

        :raises ChangeRefused: by what was asked for.
        """
        name, running = request.plugin, current.entries
        records = self.records if request.mutate is None else request.mutate(self.records, self.catalog)
        stored = partial(self.keeper.stored, plugins=current.config.plugins.directory)
        given = name, running, records, self.broken, stored
        choosing = partial(self.vetting.choice, current.config, running.values(), chooseOne, *given)
        pin = records.get(name).pin
        if pin is not None and (name not in running or running[name].digest != pin.digest):
            choice = await self.precedence.onDisk(self.keeper.disk.do(choosing))
        else:
            choice = choosing()
        snapshot = Snapshot(current.config, self.catalog, current.certificates)
        return self._attempt(request, snapshot, records, choice, running)

    async def rehearsed(self, trial: Trial) -> Plan:
        """
        What the plan would be with a trial of a rollout that goes on. Nothing is prepared.

        :raises ChangeRefused: its candidates do not go together with what runs, or may not run.
        """
        current = self.plan
        assert current is not None
        attempt = await self._rescue(ChangeRequest(rollout=Move(trial.id, trial=trial)), current, False)
        plan = attempt.resolve()
        if all(each.id != trial.id for each in plan.trials):
            ended = [ending.reason for each, ending in attempt.rolled(plan).ended if each.id == trial.id]
            raise ChangeRefused(Refusal(trial.plugins[0], BY_STEPS, "; ".join(ended)))
        return plan

    async def attempt(
        self,
        request: ChangeRequest,
        snapshot: Snapshot,
        running: Entries,
        retries: bool,
        inThread: Callable[..., Coroutine[Any, Any, Any]],
    ) -> Attempt:
        """
        Choose, for each plugin by itself.

        :param running: what runs; before a first plan, what ran before a restart.
        :param retries: whether versions that failed are tried again.
        :param inThread: runs a function that reads files.
        :raises ChangeRefused: by what was asked for.
        """
        refusals = []
        if snapshot.configErrors is not None:
            refusals.append(Refusal("", "files", str(snapshot.configErrors)))
        catalog = snapshot.catalog
        if catalog is None:
            # The whole folder is gone, or not mounted: that is nobody's wish to be without plugins.
            refusals.append(Refusal("", "files", str(snapshot.catalogErrors)))
            catalog = Catalog(running)
        records = self.records if request.mutate is None else request.mutate(self.records, catalog)
        plugins = snapshot.config.plugins.directory
        owners = folderOwners(running, self.records, plugins)
        stored = partial(self.keeper.stored, plugins=plugins)
        hasFailed = (lambda entry: False) if retries else self.refused.hasFailed
        self.trust.found(catalog)
        given = catalog, running, owners, records, stored, hasFailed, self.isNeeded
        others = (*running.values(), *catalog.entries.values())
        choice = await inThread(self.vetting.choice, snapshot.config, others, choose, *given)
        self.catalog = catalog
        if snapshot.catalog is not None:
            self.mount.judge(catalog, snapshot.place, running, plugins != self.config.plugins.directory)
        gone = running.keys() - choice.entries.keys()
        self.removals = self.removals.ofNextChange(gone, choice.refusedNewcomers)
        return self._attempt(request, snapshot, records, choice, running, *refusals)

    def _attempt(self, request: ChangeRequest, snapshot: Snapshot, records: PluginRecords, choice: Choice,
                 running: Entries, *refusals: Refusal) -> Attempt:  # fmt: skip
        removals, plan, lost = self.removals, self.plan, self.mount.lost
        attempt = Attempt(
            request, snapshot, records, choice, removals, running, plan, self.isNeeded, lost, self.trust,
            self.ongoing(), self.former(), self.configBefore(),
        )  # fmt: skip
        attempt.refusals += [*refusals, *choice.refusals]
        return attempt

    async def _try(self, attempt: Attempt, current: Plan) -> ChangeReport:
        request = attempt.request
        while True:
            try:
                plan = attempt.resolve()
            except ConfigErrors as errors:
                # It goes with the files as they are, but not with what was asked for.
                raise ChangeRefused(Refusal(request.plugin, "order", str(errors))) from None
            attempt.refuseAsked()
            if plan.isLike(current) and request.isTrial:
                return attempt.wouldBe(plan, current)
            if plan.isLike(current):
                await self.writing.write(request.edit)
                return await self._record(attempt, current, ())
            attempt.refuseAnotherState(plan)
            self._refuseAtEnd()
            refusals = await self.prepare(plan, request)
            self.precedence.check(refusals)
            if not refusals and request.isTrial:
                return attempt.wouldBe(plan, current)
            if not refusals:
                refusals = await self._readyWith(request, plan)
            if refusals:
                for refusal in refusals:
                    if not refusal.plugin:
                        self._refuseAtEnd()
                    attempt.dropOrRefuse(refusal)
                attempt.refuseAsked()
                continue
            await self.commit(plan)
            text = (*self._tell(allDifferencesOf(current, plan)), *renewedIn(current, plan))
            return await self._record(attempt, plan, text)

    async def _readyWith(self, request: ChangeRequest, plan: Plan) -> tuple[Refusal, ...]:
        """As :meth:`ready`, with the configuration file as it is to be; if that comes to nothing, as it was."""
        self._refuseAtEnd()
        async with self.writing.of(request.edit) as written:
            refusals = await self.ready(plan)
            self.precedence.check(refusals)
            self._refuseAtEnd()
            written.stays = not refusals
        return refusals

    async def commit(self, plan: Plan) -> None:
        """The swap: everything is ready, and it cannot fail."""
        before, self.plan, self.config = self.plan, plan, plan.config
        self._isOpen = False
        self.precedence.end()
        await self.crew.do(Commit(self.transaction))
        if self._refusedConfig is not None and self._refusedConfig[0] is plan.config:
            self._refusedConfig = None  # tried once more, it would do
        for name, entry in {} if before is None else before.entries.items():
            now = plan.entries.get(name)
            if now is not None and now.digest != entry.digest and now.isCodeOf(entry):
                self.keeper.totals.carryOver(name, entry.version, now.version)
        self.trust.committed(before, plan)
        for committed in self.onCommitted:
            committed(before, plan)

    async def _record(self, attempt: Attempt, plan: Plan, text: tuple[str, ...]) -> ChangeReport:
        records, released = attempt.withoutReleased(plan)
        unpinned, rolled = self._tell(released), attempt.rolled(plan)
        isOfWhatRuns = attempt.request.isOfWhatRuns
        if not isOfWhatRuns:
            self.broken = attempt.choice.broken
        records = await remembered(self.keeper, records, plan, rolled, self.ongoing(), self.now())
        await self.keeper.record(records, plan, None if isOfWhatRuns else attempt.snapshot.catalog)
        await self.vetting.recorded(plan)
        only = None if attempt.isWhole else attempt.request.plugin
        news = self.refused.note(attempt.refusals, plan, self.catalog, only)
        refused = (*attempt.refusals, *attempt.aside)
        for heard in self.onRolled:
            heard(attempt.request, rolled)
        return ChangeReport((*text, *unpinned, *attempt.rolledLines(plan)), refused, self.keeper.unwritten, news)

    def _tell(self, differences: Iterable[Difference]) -> tuple[str, ...]:
        """An event for each thing that has changed. :returns: a line for each."""
        lines = []
        for difference in differences:
            self.events.add(difference.kind, difference.text, difference.plugin, difference.version)
            lines.append(str(difference))
        return tuple(lines)

    def isNeeded(self, name: str) -> bool:
        """Whether the edge does not start without a plugin."""
        return self.plan is None and isNeededAtStart(name, self.records, self.config)

    def _refuseAtEnd(self) -> None:
        """:raises ChangeRefused: the edge is being stopped."""
        if self.hasEnded:
            raise ChangeRefused(_STOPPED)
