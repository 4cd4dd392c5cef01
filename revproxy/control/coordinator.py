"""
How the edge becomes another one: one transaction at a time, from a look at the files to the swap.

    look ─▶ choose ─▶ resolve ─▶ make ─▶ hand over, start, check health ─▶ lay out ─▶ store ─▶ build ─▶ swap ─▶ retire
             (plan.py: pure)      (draft.py: nothing serves yet)      (layout.py)      (one assignment) (retirement.py)

Whatever fails before the swap leaves what runs untouched. When one plugin's change fails, that change is dropped and
the rest is tried again without it; what was prepared for the others is kept. When the configuration file's change
fails, the plugins' changes are tried with the configuration that is in force.

The first generation comes about in the same way, in two halves: `Lifecycle.prepare` at once, before anything is bound,
and `Lifecycle.begin` when the edge starts. What ran before a restart is what stands in for a plugin that fails.

A long file, for it is one procedure: each step is elsewhere, and what to do when one fails is best read in one place.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol
from weakref import WeakValueDictionary

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from revproxy.config.problems import ConfigErrors, Problem
from revproxy.config.settings import Config
from revproxy.control.changes import NOTHING_ASKED, Change, ChangeRefused, Report
from revproxy.control.planning.deferredremovals import HeldBack
from revproxy.control.planning.difference import differencesOf
from revproxy.control.planning.folderowners import homesOf, moved
from revproxy.control.quarantine import Ward
from revproxy.control.snapshot import Look, Scan
from revproxy.control.state.arrears import Arrears
from revproxy.control.state.directory import StateFolder
from revproxy.control.state.keeper import Memory
from revproxy.control.state.records import Ledger
from revproxy.dataplane.edge import Edge
from revproxy.loop.jobthread import READING, DiskSilent, JobThread
from revproxy.plan.catalog import BrokenPlugin, Catalog, CatalogEntry, Selected
from revproxy.plan.events import EventLog
from revproxy.plan.plan import Choice, Plan, Refusal, choose, resolve
from revproxy.worker.assembly import Built, Member, buildGeneration
from revproxy.worker.lifecycle.instance import Instance, StageFailed, StageLimits, Version
from revproxy.worker.lifecycle.loader import ROOT
from revproxy.worker.lifecycle.retirement import Retirement
from revproxy.worker.routetable import Layout, layOut, layOutWhileServing
from revproxy.worker.staging import Draft, Running
from revproxy.worker.upstreamfactory import Parts, PluginClient


class Surroundings(Protocol):
    """What of a configuration is not in a generation: listeners, limits, logs."""

    async def prepareConfig(self, config: Config) -> Any:
        """Make ready; nothing changes yet. :raises ConfigErrors: it cannot be done; all is as it was."""

    def commitConfig(self, prepared: Any) -> None:
        """Make it so, at once."""

    async def discardConfig(self, prepared: Any) -> None:
        """Give it up."""


@dataclass(slots=True)
class _Attempt:
    """A transaction's notes."""

    change: Change
    look: Look
    ledger: Ledger
    choice: Choice
    refusals: list[Refusal] = field(default_factory=list)
    resolved: list[Refusal] = field(default_factory=list)


class Lifecycle:
    """
    Keeps the edge what files and ledger say it is to be.

    :ivar current: what serves requests; None before `prepare`.
    :ivar built: its generation.
    :ivar memory: what is remembered, also over a restart.
    :ivar ward: versions that fail while they run.
    :ivar retirement: versions that do not run any more.
    :ivar failures: the last refusal of each plugin, or (under an empty name) the configuration, that still holds; with
        its time in seconds since the epoch.
    :ivar files: what the files are on.
    :ivar edge: set once there is one; before that a swap is only noted.
    :ivar surroundings: set by the service.
    """

    _log = Logger()

    def __init__(
        self,
        config: Config,
        scan: Scan,
        parts: Parts,
        events: EventLog,
        state: StateFolder,
        ledger: Ledger,
        limits: StageLimits | None = None,
    ) -> None:
        self.parts = parts
        self.events = events
        self.config = config
        self.current: Running | None = None
        self.built: Built | None = None
        self.catalog: Catalog = Catalog({})
        self.failures: dict[str, tuple[float, Refusal]] = {}
        self.edge: Edge | None = None
        self.surroundings: Surroundings | None = None
        self.files = JobThread(parts.reactor, self._inThread, READING)
        self.memory = Memory(state, ledger, events, parts.reactor, self._inThread)
        self._arrears = Arrears(self.memory, parts.reactor, self.exclusively, self._plan)
        self.ward = Ward(self)
        self.retirement = Retirement(parts.reactor, events, config.timeouts.drain)
        self.limits = limits or StageLimits()
        self._scan = scan
        self._lock = DeferredLock()
        self._loading: Version | None = None
        self._packages: WeakValueDictionary[str, Version] = WeakValueDictionary()
        self._client = PluginClient(config, parts)
        self._draft: Draft | None = None
        self._attempt: _Attempt | None = None
        self._ended = False
        self._ranBefore: dict[str, CatalogEntry] = {}
        self._lookedAt: Config = config
        # The file that was refused last is not tried with every change of a plugin.
        self._badConfig: tuple[Config, Refusal] | None = None
        self._begun = False
        self._heldBack = HeldBack()
        self._now = parts.reactor.seconds

    @property
    def ledger(self) -> Ledger:
        """What is remembered of each plugin."""
        return self.memory.ledger

    # The first generation

    def prepare(self, laidOut: Callable[[], None] = lambda: None) -> Built:
        """
        Make the first generation; nothing is started.

        :param laidOut: called before plugins are loaded, with all there that does not depend on them.
        :raises ConfigErrors: it cannot be made, and nothing that ran before can stand in.
        """
        running = self._ranBefore = self.memory.ranBefore(self.config.plugins.directory)
        homes = homesOf(running, self.ledger, self.config.plugins.directory)
        look = self._scan.look(self.config, homes, useCurrent=True)
        if look.catalog is not None and (others := moved(homes, running, look.catalog)):
            look = self._scan.look(self.config, others, useCurrent=True)
        attempt = self._choose(Change(), look, running)
        if attempt.look.catalogErrors is not None:
            raise attempt.look.catalogErrors
        self._draft = self._newDraft(Change())
        self._attempt = attempt
        problems: list[Problem] = []
        layout: Layout | None = None
        try:
            layout = layOut(self.config, self.parts, self._client.client)
        except ConfigErrors as errors:
            problems += errors.problems
        laidOut()
        while True:
            try:
                plan = self._resolve(attempt, running)
                members = self._draft.make(plan)
            except StageFailed as failed:
                if not self._revert(attempt, failed, running):
                    # What fails for good is left out of the next try, to find all that fails; then all is said.
                    problems.append(Problem(failed.where, 0, 0, "", f"{failed.reason} (plugin {failed.plugin})"))
                    if not self._leaveOut(attempt, failed.plugin):
                        raise self._refusal(attempt, problems) from None
                continue
            except ConfigErrors as errors:
                raise self._refusal(attempt, [*problems, *errors.problems]) from None
            if problems or layout is None:
                self._giveUp(self._draft.unused(None), self._draft.versions())
                raise self._refusal(attempt, problems)
            self._build(plan, members, layout)
            assert self.built is not None
            return self.built

    async def begin(self) -> None:
        """
        Start what `prepare` made. What ran before a restart stands in for what fails.

        :raises StageFailed: of a plugin that nothing can stand in for.
        """
        await self._lock.acquire()
        try:
            await self._begin()
        finally:
            self._lock.release()

    async def _begin(self) -> None:
        attempt, draft = self._attempt, self._draft
        assert attempt is not None and draft is not None and self.current is not None
        running = self._ranBefore
        again = False
        while True:
            try:
                if again:
                    plan = self._resolve(attempt, running)
                    self._build(plan, draft.make(plan), self._layOut(plan))
                await draft.begin(self.current.plan, self.current.members)
                break
            except StageFailed as failed:
                if self._ended or not self._revert(attempt, failed, running):
                    await self.retirement.discard(draft.unused(None), draft.versions())
                    raise
                again = True
        self._draft = self._attempt = None
        self._begun = True
        if self.edge is not None and self.built is not None:
            self.edge.generation = self.built.generation
        await self.retirement.discard(draft.unused(self.current.members), draft.versions())
        await self.memory.keep(self.current.plan)
        self._adopt(self.current)
        for name in running.keys() - self.current.versions.keys() - {refusal.plugin for refusal in attempt.refusals}:
            text = "it ran when the edge ended, and its folder is gone since, or it was switched off"
            self.events.add("removed", text, name, running[name].label)
        ledger, _ = self._unpinned(attempt, self.current.plan)
        for version in self.current.versions.values():
            if version.digest is not None:
                ledger = ledger.cleared(version.name, version.digest)  # it is well until it fails again
        await self.memory.record(ledger, self.current.plan, attempt.look.catalog)
        self._note(attempt.refusals, self.current.plan)

    def _plan(self) -> Plan | None:
        """What has started."""
        return self.current.plan if self.current is not None and self._begun else None

    def _isNeeded(self, name: str) -> bool:
        """
        Whether the edge does not start without a plugin: it may be the one that guards the door. If nothing ever ran
        here, that is every one; after that, those that ran.
        """
        if self._begun:
            return False
        record = self.ledger.get(name)
        return not self.ledger.plugins or record.running is not None or record.pin is not None

    def _refusal(self, attempt: _Attempt, problems: list[Problem]) -> ConfigErrors:
        """These, and why nothing stands in for those among them that did run when the edge ended."""
        sources = {problem.source for problem in problems}
        failed = {one.name for one in attempt.choice.broken}
        failed |= {name for name, entry in attempt.choice.entries.items() if entry.source in sources}
        if failed - self.ledger.plugins.keys():
            # A folder that does not tell its name may be any one's that seems to be gone.
            failed |= self.memory.lost.keys() - attempt.choice.entries.keys()
        lost = [(name, text) for name, text in self.memory.lost.items() if name in failed]
        return ConfigErrors(
            [*problems, *(Problem(name, 0, 0, "", f"what ran before cannot stand in: {text}") for name, text in lost)]
        )

    def _leaveOut(self, attempt: _Attempt, name: str) -> bool:
        """:returns: whether it was there to be left out."""
        if name not in attempt.choice.entries:
            return False
        entries = {each: entry for each, entry in attempt.choice.entries.items() if each != name}
        broken = (*attempt.choice.broken, BrokenPlugin(name, False, name, ()))
        attempt.choice = replace(attempt.choice, entries=entries, broken=broken)
        return True

    # Transactions

    async def apply(self, change: Change = NOTHING_ASKED) -> Report:
        """
        Look at the files, and become what they and the ledger say.

        :raises ChangeRefused: the change that was asked for cannot be made; nothing was changed.
        """
        await self._lock.acquire()
        try:
            if self._ended or self.current is None:
                return Report()
            return await self.transact(change)
        except ChangeRefused as refused:
            for one in refused.refusals:
                self.events.add("refused", one.message, one.plugin, one.label, one.traceback)
            raise
        finally:
            self._lock.release()

    async def exclusively(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something when no transaction runs, and let none run meanwhile. After the end it is not done."""
        await self._lock.acquire()
        try:
            if self._ended:
                work.close()
            else:
                await work
        finally:
            self._lock.release()

    async def transact(self, change: Change) -> Report:
        """As :meth:`apply`, for who has come in through :meth:`exclusively`. :raises ChangeRefused:"""
        current = self.current
        assert current is not None
        draft = self._draft = self._newDraft(change)
        try:
            return await self._transactWith(draft, change, current)
        except DiskSilent as silent:
            reason = f"the files cannot be looked at: {silent}"
            raise ChangeRefused((Refusal("", "files", "", None, reason),)) from None
        finally:
            self._draft = None

    async def _transactWith(self, draft: Draft, change: Change, current: Running) -> Report:
        running = current.plan.entries
        homes = homesOf(running, self.ledger, current.plan.config.plugins.directory)
        useCurrent = False
        refusals: list[Refusal] = []
        while True:
            look = await self.files.do(self._scan.look, current.plan.config, homes, useCurrent)
            bad = self._badConfig
            if bad is not None and look.config is bad[0] and not (change.force or useCurrent):
                refusals.append(bad[1])
                useCurrent = True
                continue
            try:
                attempt = await self.files.do(self._choose, change, look, running)
                attempt.refusals[:0] = refusals
                return await self._try(attempt, draft, current)
            except _ConfigFailed as failed:
                await draft.undo()
                if useCurrent:
                    self._giveUp(draft.unused(None), draft.versions())
                    raise ChangeRefused((failed.refusal,)) from None
                refusals.append(failed.refusal)
                useCurrent = True
                if failed.refusal.stage != "listen":  # a port may become free
                    self._badConfig = look.config, failed.refusal
            except BaseException:
                await draft.undo()
                self._giveUp(draft.unused(None), draft.versions())
                raise

    def _choose(self, change: Change, look: Look, running: Mapping[str, CatalogEntry]) -> _Attempt:
        refusals = []
        if look.configErrors is not None:
            refusals.append(Refusal("", "files", "", None, str(look.configErrors)))
        catalog = look.catalog
        if catalog is None:
            # The whole folder is gone, or not mounted: that is nobody's wish to be without plugins.
            refusals.append(Refusal("", "files", "", None, str(look.catalogErrors)))
            catalog = Catalog(running)
        ledger = self.ledger if change.mutate is None else change.mutate(self.ledger, catalog)
        # With another configuration everything is worth another try.
        retries = change.force or look.config is not self._lookedAt
        avoid: Callable[[CatalogEntry], bool] = (lambda entry: False) if retries else self._failedBefore
        self._lookedAt = look.config
        stored = partial(self.memory.stored, plugins=look.config.plugins.directory)
        homes = homesOf(running, self.ledger, look.config.plugins.directory)
        choice = choose(catalog, running, homes, ledger, stored, avoid, self._isNeeded)
        self.catalog = catalog
        attempt = _Attempt(change, look, ledger, choice, [*refusals, *choice.refusals])
        here = {*catalog.entries, *(one.name for one in catalog.broken)}
        known = {name: refusal.digest for name, (_, refusal) in self.failures.items() if name in here}
        # After a restart all are new; a copy that says whose it is has most likely been there before.
        copies = {one.source for one in catalog.broken if one.name in catalog.entries and not self._begun}
        strangers = {source: digest for source, digest in choice.strangers.items() if source not in copies}
        self._heldBack.look(running.keys() - choice.entries.keys(), known, strangers)
        return attempt

    async def _try(self, attempt: _Attempt, draft: Draft, current: Running) -> Report:
        running = current.plan.entries
        change = attempt.change
        while True:
            try:
                plan = self._resolve(attempt, running)
            except ConfigErrors as errors:
                # It goes with the files as they are, but not with what was asked for.
                raise ChangeRefused((Refusal(change.plugin, "order", "", None, str(errors)),)) from None
            self._refuseAsked(attempt)
            if not change.rebuild and _same(plan, current.plan):
                return await self._unchanged(attempt, draft, current)
            try:
                self._refuseAtEnd()
                members = await draft.makeWhileServing(plan)
                self._refuseAtEnd()
                await draft.begin(plan, members)
                self._refuseAtEnd()
                prepared = await self._prepareConfig(plan, current)
            except StageFailed as failed:
                if not self._revert(attempt, failed, running):
                    self._failConfig(attempt, failed, current)
                self._refuseAsked(attempt)
                continue
            try:
                layout = await self._layOutWhileServing(plan)
                await self.memory.keep(plan)
                await draft.finish(members.values())
                self._refuseAtEnd()
                before = self._swap(plan, members, prepared, layout)
            except BaseException as error:
                await draft.undo()
                await self._discardConfig(prepared)
                if isinstance(error, StageFailed):
                    if not self._revert(attempt, error, running):
                        self._failConfig(attempt, error, current)
                    self._refuseAsked(attempt)
                    continue
                if isinstance(error, ConfigErrors):
                    raise _ConfigFailed(Refusal("", "build", "", None, str(error))) from None
                raise
            self._giveUp(draft.settle(members), draft.versions())
            return await self._settled(attempt, before, plan)

    def _resolve(self, attempt: _Attempt, running: Mapping[str, CatalogEntry]) -> Plan:
        """:raises ConfigErrors: not even what runs would do."""
        before = None if self.current is None or self.edge is None else self.current.plan
        number = 1 if before is None else before.number + 1
        config, switches = attempt.look.config, _switches(attempt.ledger)
        resolution = self._heldBack.resolve(
            attempt.choice, running, lambda choice: resolve(number, config, choice, before, running, switches)
        )
        known = {(one.plugin, one.stage, one.digest) for one in attempt.refusals if one not in attempt.resolved}
        # Those of an earlier resolution hold no more: what stood in the way may have been dropped.
        attempt.refusals[:] = [one for one in attempt.refusals if one not in attempt.resolved]
        attempt.resolved = [one for one in resolution.refusals if (one.plugin, one.stage, one.digest) not in known]
        attempt.refusals += attempt.resolved
        return resolution.plan

    def _revert(self, attempt: _Attempt, failed: StageFailed, running: Mapping[str, CatalogEntry]) -> bool:
        """
        Drop the change of a plugin that failed.

        :returns: False if it is not its own change that failed.
        """
        name = failed.plugin
        entries = dict(attempt.choice.entries)
        if name not in entries or entries[name] is running.get(name):
            return False
        if name not in running and self._isNeeded(name):
            return False
        attempt.refusals.append(
            Refusal(name, failed.stage, failed.version, failed.digest, failed.message, failed.traceback)
        )
        broken = attempt.choice.broken
        if name in running:
            entries[name] = running[name]
        else:
            source = entries.pop(name).source
            problem = Problem(source, 0, 0, "", failed.message)
            broken = (*broken, BrokenPlugin(name, False, source, (problem,)))
            self._heldBack.refuse(name, failed.digest)
        attempt.choice = replace(attempt.choice, entries=entries, broken=broken)
        return True

    def _failConfig(self, attempt: _Attempt, failed: StageFailed, current: Running) -> None:
        """:raises _ConfigFailed: what failed can only be the new configuration, or the change that was asked for."""
        message = f"plugin {failed.plugin} {failed.version}: {failed.message}"
        if attempt.look.config is not current.plan.config:
            message = f"{attempt.look.config.source}: with it, {message}"
            raise _ConfigFailed(Refusal("", failed.stage, "", None, message, failed.traceback))
        raise ChangeRefused(
            (Refusal(failed.plugin, failed.stage, failed.version, failed.digest, failed.message, failed.traceback),)
        )

    def _refuseAtEnd(self) -> None:
        """:raises ChangeRefused: the edge is being stopped."""
        if self._ended:
            raise ChangeRefused((Refusal("", "stop", "", None, "the edge is being stopped"),))

    def _refuseAsked(self, attempt: _Attempt) -> None:
        """:raises ChangeRefused: the plugin whose change was asked for is among the refused."""
        name = attempt.change.plugin
        mine = [one for one in attempt.refusals if name and one.plugin == name]
        refused = tuple(one for one in mine if one.stage not in ("files", "held"))
        if refused:
            raise ChangeRefused(refused)

    async def _unchanged(self, attempt: _Attempt, draft: Draft, current: Running) -> Report:
        self._giveUp(draft.unused(None), draft.versions())
        ledger, text = self._unpinned(attempt, current.plan)
        await self.memory.record(ledger, current.plan, attempt.look.catalog)
        self._note(attempt.refusals, current.plan)
        return Report(tuple(text), tuple(attempt.refusals), self.memory.unwritten)

    # The swap

    def _swap(self, plan: Plan, members: Mapping[tuple[str, str], Instance], prepared: Any, layout: Layout) -> Running:
        """From one moment to the next."""
        before, beforeBuilt = self.current, self.built
        assert before is not None and beforeBuilt is not None
        self._build(plan, members, layout)
        built, edge = self.built, self.edge
        assert built is not None
        if self._badConfig is not None and self._badConfig[0] is plan.config:
            self._badConfig = None  # tried once more, it would do
        if prepared is not None and self.surroundings is not None:
            self.surroundings.commitConfig(prepared)
            self.retirement.drainTime = plan.config.timeouts.drain
            self._client.adopt(plan.config)
        if edge is not None:
            edge.generation = built.generation
        assert self.current is not None
        self._adopt(self.current)
        beforeBuilt.close(built)
        kept = set(built.instances)
        gone = [one for one in beforeBuilt.instances if one not in kept]
        self.ward.discharge(gone)
        self.retirement.retire(gone)
        return before

    def _layOut(self, plan: Plan) -> Layout:
        """:raises ConfigErrors: it cannot be done."""
        before = None if self.built is None else self.built.layout
        return layOut(plan.config, self.parts, self._client.client, before)

    async def _layOutWhileServing(self, plan: Plan) -> Layout:
        """:raises ConfigErrors: it cannot be done."""
        assert self.built is not None
        return await layOutWhileServing(
            plan.config, self.parts, self._client.client, self.built.layout, self.files.do
        )

    def _build(self, plan: Plan, members: Mapping[tuple[str, str], Instance], layout: Layout) -> None:
        running = Running(plan, members)
        built = buildGeneration(plan, partial(self._member, running), self._runningNow, self.parts, layout)
        for chain, instances in built.chains.items():
            for instance in instances:
                instance.chains.add(chain)
        self.current, self.built, self.config = running, built, plan.config

    def _runningNow(self, name: str) -> Instance | None:
        return next(iter(self.current.of(name)), None) if self.current is not None else None

    def _member(self, running: Running, one: Selected, settings: Mapping[str, Any]) -> Member:
        instance = running.member(one.manifest.name, settings)
        return Member(instance, self.ward.middleware(instance), partial(self.ward.failed, instance.version))

    def _adopt(self, running: Running) -> None:
        """What is loaded now, for the guard and the breakers."""
        for one in running.plan.selected:
            version = running.versions.get(one.manifest.name)
            if version is not None and version.entry is not one.entry:
                version.rebase(one.entry)
            if version is not None:
                self.memory.tallies[version.name, version.digest] = version.tally
        for instance in running.members.values():
            self._packages[_packageOf(instance)] = instance.version
        self.ward.watch(running.versions.values())

    def identify(self, module: str) -> Version | None:
        """The version whose code a module is, by the module's name; for the guard against stalls."""
        if not module.startswith(ROOT):
            return self._packages.get(module)
        package = ".".join(module.split(".", 2)[:2])
        return self._packages.get(package) or self._loading

    async def _settled(self, attempt: _Attempt, before: Running, plan: Plan) -> Report:
        text = self._tell(before)
        ledger, unpinned = self._unpinned(attempt, plan)
        await self.memory.record(ledger, plan, attempt.look.catalog)
        self._note(attempt.refusals, plan)
        return Report((*text, *unpinned), tuple(attempt.refusals), self.memory.unwritten)

    def _tell(self, before: Running) -> list[str]:
        """An event for each thing that has changed. :returns: a line for each."""
        assert self.current is not None
        differences = list(differencesOf(before, self.current))
        for one in differences:
            self.events.add(one.kind, one.text, one.plugin, one.version)
        return [str(one) for one in differences]

    def _unpinned(self, attempt: _Attempt, plan: Plan) -> tuple[Ledger, list[str]]:
        """Pins end when what is new in the folder runs, not when it was tried. :returns: with what there is to tell."""
        ledger, text = attempt.ledger, []
        for name in attempt.choice.released:
            record, entry = ledger.get(name), plan.entries.get(name)
            if record.pin is not None and (entry is None or entry.digest != record.pin.digest):
                line = f"its folder has something new: no longer pinned to {record.pinnedTo} by {record.pin.by}"
                self.events.add("unpinned", line, name, "" if entry is None else entry.label)
                text.append(f"{name}: {line}")
                ledger = ledger.unpinned(name)
        return ledger, text

    def _failedBefore(self, entry: CatalogEntry) -> bool:
        known = self.failures.get(entry.manifest.name)
        if known is None or entry.digest is None:
            return False
        return known[1].digest == entry.digest and known[1].isItsOwn

    def _note(self, refusals: list[Refusal], plan: Plan) -> None:
        """Tell of what is newly refused; forget what holds no more."""
        now = {refusal.plugin: refusal for refusal in refusals}
        present = self.catalog.entries
        for name, (_, known) in list(self.failures.items()):
            entry = plan.entries.get(name)
            here = present.get(name)
            # It stands while the folder still has what failed, and that does not run.
            runs = entry is not None and entry.digest == known.digest
            if name not in now and (runs or here is None or here is entry or here.digest != known.digest):
                del self.failures[name]
        for name, refusal in now.items():
            if self.failures.get(name, (0.0, None))[1] != refusal:
                self.failures[name] = self._now(), refusal
                self.events.add("refused", refusal.message, name, refusal.label, refusal.traceback)

    # The end

    def halt(self) -> None:
        """Change nothing any more; what is under way is given up."""
        self._ended = True
        self.files.hurry()
        self.memory.disk.hurry()
        if self._draft is not None:
            self._draft.hurry()

    async def end(self) -> None:
        """Stop all instances, in the reverse order of their start. Requests are over by now."""
        self.halt()
        await self._lock.acquire()
        try:
            await self._arrears.settle()
            if self.built is not None:
                self.built.close()
                for instance in reversed(self.built.instances):
                    instance.retiring = True
                    failed = await instance.close()
                    if failed is not None:
                        text = failed.message
                        self.events.add("stop-failed", text, failed.plugin, failed.version, failed.traceback)
            await self.retirement.finish()
            self._client.close()
        finally:
            self._lock.release()

    # Small things

    def _newDraft(self, change: Change) -> Draft:
        return Draft(
            self.current,
            self.limits,
            self.parts.reactor,
            lambda: self._client.client,
            self.events,
            self._setLoading,
            self.memory.tallyOf,
            change.withoutState,
        )

    def _setLoading(self, version: Version | None) -> None:
        loaded, self._loading = self._loading, version
        if loaded is not None and loaded.module is not None:
            # Its start and the rest are to be known by name, long before it serves.
            self._packages[loaded.module.package] = loaded

    def _giveUp(self, instances: list[Instance], versions: list[Version]) -> None:
        later = self.retirement.discard(instances, versions)
        later.addErrback(lambda failure: self._log.failure("closing what was not used", failure))

    async def _prepareConfig(self, plan: Plan, current: Running) -> Any:
        if plan.config is current.plan.config or self.surroundings is None:
            return None
        try:
            return await self.surroundings.prepareConfig(plan.config)
        except ConfigErrors as errors:
            raise _ConfigFailed(Refusal("", "listen", "", None, str(errors))) from None

    async def _discardConfig(self, prepared: Any) -> None:
        if prepared is not None and self.surroundings is not None:
            await self.surroundings.discardConfig(prepared)

    def _inThread(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        reactor = self.parts.reactor
        return deferToThreadPool(reactor, reactor.getThreadPool(), function, *args)


class _ConfigFailed(Exception):
    """The configuration file's change is to be dropped."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def _same(one: Plan, other: Plan) -> bool:
    """Whether both amount to the same generation."""
    return (
        one.config is other.config
        and one.switches == other.switches
        and one.entries.keys() == other.entries.keys()
        and all(entry is other.entries[name] for name, entry in one.entries.items())
    )


def _switches(ledger: Ledger) -> dict[str, bool]:
    return {name: record.enabled for name, record in ledger.plugins.items() if record.enabled is not None}


def _packageOf(instance: Instance) -> str:
    module = instance.version.module
    return module.package if module is not None else type(instance.object).__module__
