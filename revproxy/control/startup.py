"""
How the edge comes to its first plan, in two halves.

`Startup.prepare` at once, before anything is bound or a loop runs, so that all that is wrong with a configuration is
said at the prompt; `Startup.begin` when the edge starts. What ran before a restart stands in for what fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from revproxy.config.problems import ConfigErrors, Problem
from revproxy.control.actor import EDGE
from revproxy.control.attempt import Attempt, switchesOf
from revproxy.control.candidates import remembered
from revproxy.control.changes import NOTHING_ASKED, ChangeRequest, Tried
from revproxy.control.coordinator import Coordinator
from revproxy.control.planning.deferredremovals import DeferredRemovals
from revproxy.control.planning.folderowners import folderOwners, movedOwners
from revproxy.control.planning.switching import saysOff
from revproxy.control.snapshot import Snapshot
from revproxy.plan.catalog import Catalog, Entries
from revproxy.plan.plan import Plan
from revproxy.plan.refusal import REVOKED, Refusal

_START = ChangeRequest(actor=EDGE, action="start")


class StartRefused(Exception):
    """
    The edge cannot start.

    :ivar refusal: why; of a plugin that nothing can stand in for, or of the configuration.
    """

    def __init__(self, refusal: Refusal) -> None:
        plugin = f"plugin {refusal.plugin} {refusal.version.number}: {refusal.stage}: " if refusal.plugin else ""
        super().__init__(f"{plugin}{refusal.message}")
        self.refusal = refusal


class Startup:
    """
    One edge's.
    """

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator
        self._ranBefore: Entries = {}
        self._attempt: Attempt | None = None

    async def prepare(self) -> None:
        """
        Find the first plan, and have it prepared; nothing is started. Waits for nothing.

        :raises ConfigErrors: with all that is wrong, and nothing that ran before can stand in for it.
        """
        coordinator = self._coordinator
        coordinator.transaction += 1
        self._ranBefore = coordinator.keeper.ranBefore(coordinator.config.plugins.directory)
        snapshot = self._snapshot()
        if snapshot.catalogErrors is not None:
            raise snapshot.catalogErrors
        if snapshot.catalog is not None:
            coordinator.removals = _copies(snapshot.catalog)
        attempt = self._attempt = await coordinator.attempt(
            NOTHING_ASKED, snapshot, self._ranBefore, False, _atOnce
        )
        problems = self._lostIn(snapshot)
        try:
            await self._prepare(attempt, problems)
        except ConfigErrors as errors:
            problems += errors.problems
        if problems:
            await coordinator.abandon()
            raise self._errors(attempt, problems)

    async def _prepare(self, attempt: Attempt, problems: list[Problem]) -> None:
        """
        :param problems: added to these is what nothing can stand in for; the other plugins are prepared without it, to
            find all that is wrong.
        :raises ConfigErrors: the plugins do not go together, so nothing more can be tried.
        """
        while True:
            plan = self._coordinator.starting = attempt.resolve()
            problems += _missingIn(plan, attempt)
            refusals = await self._coordinator.prepare(plan, NOTHING_ASKED, starts=False)
            ofPlugins = [refusal for refusal in refusals if refusal.plugin]
            goesOn = bool(ofPlugins)
            for refusal in ofPlugins:
                if not attempt.drop(refusal):
                    problems += _problemsOf([refusal], attempt)
                    goesOn &= attempt.leaveOut(refusal.plugin)
            if not goesOn:
                problems += _problemsOf([refusal for refusal in refusals if not refusal.plugin], attempt)
                return

    async def begin(self) -> None:
        """
        Start what was prepared, and let requests in. Changes that are asked for meanwhile wait.

        :raises StartRefused: nothing can stand in for what fails.
        """
        await self._coordinator.turns.take(self._begin())

    async def _begin(self) -> None:
        coordinator, attempt = self._coordinator, self._attempt
        plan = coordinator.starting
        assert attempt is not None and plan is not None
        while True:
            refusals = await coordinator.prepare(plan, NOTHING_ASKED)
            if not refusals:
                refusals = await coordinator.ready(plan)
            if not refusals:
                break
            for refusal in refusals:
                if coordinator.hasEnded or not attempt.drop(refusal):
                    await coordinator.abandon()
                    raise StartRefused(refusal)
            plan = coordinator.starting = attempt.resolve()
        if coordinator.hasEnded:
            return
        await coordinator.commit(plan)
        self._attempt = coordinator.starting = None
        await self._settle(attempt, plan)

    async def _settle(self, attempt: Attempt, plan: Plan) -> None:
        coordinator, ranBefore = self._coordinator, self._ranBefore
        coordinator.broken = attempt.choice.broken
        for name in ranBefore.keys() - _running(plan) - {refusal.plugin for refusal in attempt.refusals}:
            text = "it ran when the edge ended, and its folder is gone since, or it was switched off"
            kind = "required-off" if coordinator.records.get(name).required else "removed"
            coordinator.events.add(kind, text, name, ranBefore[name].version)
        records, released = attempt.withoutReleased(plan)
        for each in released:
            coordinator.events.add(each.kind, each.text, each.plugin, each.version)
        for plugin in plan.selected:
            if plugin.entry.digest is not None:
                records = records.cleared(plugin.name, plugin.entry.digest)  # it is well until it fails again
        rolled = attempt.rolled(plan)
        records = await remembered(coordinator.keeper, records, plan, rolled, coordinator.ongoing(), coordinator.now())
        await coordinator.keeper.record(records, plan, attempt.snapshot.catalog)
        await coordinator.vetting.recorded(plan)
        news = coordinator.refused.note(attempt.refusals, plan, coordinator.catalog)
        for heard in coordinator.onRolled:
            heard(_START, rolled)
        coordinator.tell(Tried(_START, plan, coordinator.records, (), news))

    def _snapshot(self) -> Snapshot:
        coordinator, running = self._coordinator, self._ranBefore
        config = coordinator.config
        owners = folderOwners(running, coordinator.records, config.plugins.directory)
        snapshot = coordinator.snapshots.read(config, owners, useCurrent=True)
        if snapshot.catalog is not None:
            moved = movedOwners(owners, running, snapshot.catalog)
            if moved:
                return coordinator.snapshots.read(config, moved, useCurrent=True)
        return snapshot

    def _lostIn(self, snapshot: Snapshot) -> list[Problem]:
        """Required plugins that ran, and are neither in their folder nor in the store."""
        keeper, config = self._coordinator.keeper, self._coordinator.config
        catalog = snapshot.catalog or Catalog({})
        here = {*catalog.entries, *(broken.name for broken in catalog.broken)}
        switches = switchesOf(keeper.records)
        problems = []
        for name, reason in keeper.lost.items():
            record = keeper.records.get(name)
            isRequired = record.required or name in config.plugins.required
            if isRequired and name not in here and not saysOff(name, config, switches):
                folder = Path(config.plugins.directory or "plugins", record.folder or name)
                text = (
                    f"plugin {name} is required, and is not there any more, nor is the version that ran: {reason}. "
                    f"Copy the folder back, or write {name}: false under plugins.config in {config.source}"
                )
                problems.append(Problem(str(folder), 0, 0, "", text))
        return problems

    def _errors(self, attempt: Attempt, problems: list[Problem]) -> ConfigErrors:
        """These, and why nothing stands in for those among them that did run when the edge ended."""
        keeper = self._coordinator.keeper
        sources = {problem.source for problem in problems}
        failed = {broken.name for broken in attempt.choice.broken}
        failed |= {name for name, entry in attempt.choice.entries.items() if entry.source in sources}
        if failed - keeper.records.plugins.keys():
            # A folder that does not tell its name may be that of any plugin that seems to be gone.
            failed |= keeper.lost.keys() - attempt.choice.entries.keys()
        lost = [(name, text) for name, text in keeper.lost.items() if name in failed]
        return ConfigErrors(
            [*problems, *(Problem(name, 0, 0, "", f"what ran before cannot stand in: {text}") for name, text in lost)]
        )


def _copies(catalog: Catalog) -> DeferredRemovals:
    """After a restart all are new; but copies that say whose they are have most likely been there before."""
    copies = [broken for broken in catalog.broken if broken.name in catalog.entries]
    return DeferredRemovals(refused={copy.source: copy.digest for copy in copies})


def _running(plan: Plan) -> set[str]:
    return {plugin.name for plugin in plan.selected}


def _missingIn(plan: Plan, attempt: Attempt) -> list[Problem]:
    """
    Required plugins that were refused, and that nothing stands in for; but for those that were revoked: requests must
    not pass without them, and the others are served.
    """
    missing = [refusal for refusal in attempt.refusals if refusal.plugin in plan.missing]
    return _problemsOf([refusal for refusal in missing if refusal.stage != REVOKED], attempt)


def _problemsOf(refusals: Iterable[Refusal], attempt: Attempt) -> list[Problem]:
    """What refusals say, each with its place: that of the plugin, or of the configuration, where they tell none."""
    problems = []
    for refusal in refusals:
        named = f" (plugin {refusal.plugin})" if refusal.plugin else ""
        entry = attempt.choice.entries.get(refusal.plugin)
        source = attempt.snapshot.config.source if entry is None else entry.source
        for problem in refusal.problems or (Problem(source, 0, 0, "", refusal.message),):
            problems.append(replace(problem, message=problem.message + named))
    return problems


async def _atOnce(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)
