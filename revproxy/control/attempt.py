"""
What one transaction tries: the changes that are still to be made, and those that were refused on the way.

Pure: nothing here waits, reads or tells.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from functools import partial

from revproxy.config.problems import ConfigErrors, Problem
from revproxy.config.settings import Config, documentOf
from revproxy.control.changes import ChangeRefused, ChangeReport, ChangeRequest, ConfigRefused
from revproxy.control.planning.choice import Choice
from revproxy.control.planning.deferredremovals import DeferredRemovals
from revproxy.control.planning.difference import Difference, renewedIn
from revproxy.control.planning.ongoing import Ongoing, Rolled
from revproxy.control.planning.requireddifference import allDifferencesOf
from revproxy.control.planning.requirement import Retention, isRequired, missingIn
from revproxy.control.planning.resolution import Resolution, resolve
from revproxy.control.planning.selection import select
from revproxy.control.planning.settings import Former
from revproxy.control.planning.switching import runsSomewhere
from revproxy.control.planning.tiers import Bounds
from revproxy.control.rolling import Rolling
from revproxy.control.snapshot import Snapshot
from revproxy.control.state.records import PluginRecords
from revproxy.control.trust.sieve import Sifted
from revproxy.control.trust.trust import Trust
from revproxy.plan.catalog import BrokenModule, BrokenPlugin, Catalog, CatalogEntry, Entries, Selected
from revproxy.plan.plan import Plan
from revproxy.plan.refusal import BY_STEPS, HELD, REVOKED, UNTRUSTED, Refusal
from revproxy.plan.versionid import UNKNOWN

NOT_OF_THE_CONFIG = frozenset(("files", "worker", "stop"))
"""Stages at which a change fails because of a disk, a worker that says nothing, or the end: another configuration would
not help."""

_REVOKED = "what ran of it was revoked, and nothing else of it runs"

_ASIDE = "not changed yet, for a plugin lets it wait: it is tried again, and `revproxy events` tells how it ends"


class Attempt:
    """
    One transaction's.

    :ivar choice: the versions that are meant; changes that fail are taken out of it.
    :ivar refusals: what will not be done.
    :ivar records: as they are to be.
    :ivar aside: what was asked for, and is not done for now.
    :ivar isWhole: whether all is tried that there is: it is no rescue, and nothing is set aside.
    """

    def __init__(
        self,
        request: ChangeRequest,
        snapshot: Snapshot,
        records: PluginRecords,
        choice: Choice,
        removals: DeferredRemovals,
        running: Entries,
        before: Plan | None,
        isNeeded: Callable[[str], bool],
        lost: AbstractSet[str] = frozenset(),
        trust: Trust | None = None,
        ongoing: tuple[Ongoing, ...] = (),
        former: Mapping[str, Former] | None = None,
        configBefore: Config | None = None,
    ) -> None:
        """
        :param running: what runs; before a first plan, what ran before a restart.
        :param before: the plan that is in force.
        :param isNeeded: whether nothing starts without a plugin, by its name.
        :param lost: names of plugins that went with all others, as with a disk that is not mounted any more.
        :param trust: says what may run; None: everything.
        :param ongoing: the rollouts that are not over.
        :param former: by name, what plugins run by, though the configuration says otherwise.
        :param configBefore: before a first plan, what an edge before this one ran by; None: nobody knows.
        """
        self.request = request
        self.snapshot = snapshot
        self.records = records
        self.choice = choice
        self.refusals: list[Refusal] = []
        self.aside: list[Refusal] = []
        self.isWhole = not request.isOfWhatRuns
        self._untried: set[str] = set()
        self._removals = removals
        self._running = running
        self._before = before
        self._isNeeded = isNeeded
        self._resolved: list[Refusal] = []
        self._switches = switchesOf(records)
        self._lost = lost
        self._trust = trust
        self._sifted = Sifted(choice)
        self._config = snapshot.config
        self._rolling = Rolling(
            request, snapshot, records, running, before, self._switches, ongoing, lost, former, configBefore
        )

    def resolve(self) -> Plan:
        """
        The plan with as many of the changes as go together.

        :raises ConfigErrors: not even what runs would do.
        """
        before, config = self._before, self.snapshot.config
        resolution = self._resolution()
        known = {_keyOf(refusal) for refusal in self.refusals if refusal not in self._resolved}
        # Those of an earlier resolution hold no more: what stood in the way may have been dropped.
        self.refusals[:] = [refusal for refusal in self.refusals if refusal not in self._resolved]
        self._resolved = [refusal for refusal in resolution.refusals if _keyOf(refusal) not in known]
        self.refusals += self._resolved
        plan = resolution.plan
        # With the configuration before, the certificates that were read may be those of another one.
        certificates = self.snapshot.certificates
        if before is not None and plan.config is not config:
            certificates = before.certificates
        required = tuple(sorted(each.name for each in plan.selected if isRequired(each.entry, plan.config)))
        gates, missing = self._gatesOf(plan), self._missingIn(plan)
        plan = replace(plan, certificates=certificates, gates=gates, required=required, missing=missing)
        plan, refused = self._rolling.withTrials(plan, self._selected)
        for refusal in refused:
            self._dropCandidate(refusal)
        return plan

    def _resolution(self) -> Resolution:
        """What goes together: with the configuration as it is to be, or else with the one that is in force."""
        before, config = self._before, self.snapshot.config
        sifted = self._sift(config)
        if before is None and sifted.problems:
            raise ConfigErrors(sifted.problems)
        if before is None or config is before.config:
            return self._resolvedUnder(config, sifted)
        if sifted.problems:
            refused = [_unfit(sifted.problems)]
        else:
            resolution = self._resolvedUnder(config, sifted)
            if resolution.plan.config is config:
                return resolution
            refused = [refusal for refusal in resolution.refusals if not refusal.plugin]
        # What is refused as a whole does not say who may come, nor what may leave.
        resolution = self._resolvedUnder(before.config, self._sift(before.config))
        return replace(resolution, refusals=(*refused, *resolution.refusals))

    def _resolvedUnder(self, config: Config, sifted: Sifted) -> Resolution:
        """
        :param config: says what is not to leave.
        :param sifted: what may run by it.
        """
        self._sifted, self._config = sifted, config
        self._removals.refused.update(sifted.refused)
        choice, held = Retention(sifted.running, self._switches, self._lost).kept(sifted.choice, config)
        resolution = self._removals.resolve(choice, sifted.running, self._together)
        gone = sifted.withdrawn.keys() - resolution.plan.entries.keys() - {each.plugin for each in sifted.refusals}
        revoked = (Refusal(name, REVOKED, _REVOKED, sifted.withdrawn[name].version) for name in sorted(gone))
        return replace(resolution, refusals=(*resolution.refusals, *held, *sifted.refusals, *revoked))

    def _sift(self, config: Config) -> Sifted:
        """What of the choice may run under a configuration, and does not take steps first."""
        choice = self.choice
        if config.plugins.directory != self.snapshot.config.plugins.directory:
            choice = replace(choice, entries=self._running)  # what was read is another folder's
        return self._rolling.sifted(choice, config, partial(self._trusted, config))

    def _trusted(self, config: Config, choice: Choice, stored: Mapping[str, str]) -> Sifted:
        """
        What of a choice may run under a configuration.

        :param stored: by name, the digests of further versions that come from the store.
        """
        if self._trust is None:
            return Sifted(choice, running=self._running)
        pins = {name: record.pin.digest for name, record in self.records.plugins.items() if record.pin is not None}
        kept = {**pins, **stored}

        def wouldRun(entry: CatalogEntry) -> bool:
            return runsSomewhere(entry, config, self._switches)

        return self._trust.sift(choice, config, self._before, self._running, kept, wouldRun, self._isNeeded)

    def _together(self, choice: Choice) -> Resolution:
        before, sifted = self._before, self._sifted
        number = 1 if before is None else before.number + 1
        remembered = self.records.plugins.keys()
        return resolve(
            number, self._config, choice, before, sifted.running, self._switches, self._modules, remembered,
            sifted.withdrawn, sifted.bounds, self._rolling.former,
        )  # fmt: skip

    @property
    def _modules(self) -> tuple[BrokenModule, ...]:
        return () if self.snapshot.catalog is None else self.snapshot.catalog.modules

    def _selected(
        self, entries: Entries, bounds: Mapping[str, Bounds], candidates: Collection[str]
    ) -> tuple[Selected, ...]:
        """
        Who would run where, if these were the plugins.

        :param candidates: the names of those that are set as the configuration says.
        :raises ConfigErrors: that does not go together.
        """
        sifted, remembered = self._sifted, self.records.plugins.keys()
        catalog = Catalog(dict(sorted(entries.items())), sifted.choice.broken, self._modules)
        former = {name: config for name, config in self._rolling.former.items() if name not in candidates}
        bounds = {**sifted.bounds, **bounds}
        return select(catalog, self._config, self._switches, remembered, sifted.withdrawn, bounds, former)

    def _missingIn(self, plan: Plan) -> dict[str, tuple[int, ...]]:
        """
        What was not tried yet is not missing yet; what was revoked is, whether its folder is there or not. That a
        stranger's plugin.json says that nothing passes without it is nobody's word.
        """
        strangers = self._sifted.strangers - {*plan.config.plugins.required}
        catalog = self.snapshot.catalog
        if catalog is not None and strangers:
            known = {name: entry for name, entry in catalog.entries.items() if name not in strangers}
            catalog = replace(catalog, entries=known)
        missing = missingIn(catalog, plan.entries, plan.config, self._switches)
        revoked = missingIn(Catalog(self._sifted.withdrawn), plan.entries, plan.config, self._switches)
        before = {} if self._before is None else self._before.missing
        untried = missing.keys() if self.request.isOfWhatRuns else self._untried
        found = {name: groups for name, groups in missing.items() if name in before or name not in untried}
        return dict(sorted({**found, **revoked}.items()))

    def refuseAnotherState(self, plan: Plan) -> None:
        """:raises ConfigRefused: what a configuration may not change while the edge runs."""
        config, before = plan.config, self._before
        if before is not None and config.state != before.config.state:
            message = f"it is {before.config.state} while the edge runs; restart it to change that"
            problem = documentOf(config).problem(("state",), message)
            raise ConfigRefused(config, Refusal("", "listen", str(problem), problems=(problem,)))

    def drop(self, refusal: Refusal) -> bool:
        """
        Take the change of a plugin that failed out of what is tried.

        :returns: False if it is not its own change that failed.
        """
        if self._dropCandidate(refusal):
            return True
        name, running = refusal.plugin, self._running
        entries = dict(self.choice.entries)
        if name not in entries or entries[name] is running.get(name):
            return False
        isFirst = self._before is None
        if name not in running and (self._isNeeded(name) or (isFirst and self._isRequired(entries[name]))):
            return False
        self.refusals.append(refusal)
        broken = self.choice.broken
        if name in running:
            entries[name] = running[name]
        else:
            entry = entries.pop(name)
            problem = Problem(entry.source, 0, 0, "", refusal.message)
            broken = (*broken, BrokenPlugin(name, False, entry.source, (problem,)))
            self._removals.refused[entry.source] = entry.digest
        self.choice = replace(self.choice, entries=entries, broken=broken)
        return True

    def _dropCandidate(self, refusal: Refusal) -> bool:
        """End the rollout of a version that failed. :returns: whether it was on trial."""
        candidates = self._rolling.refuse(refusal)
        if not candidates:
            return False
        self.refusals.append(refusal)
        # What its folder has is not what runs, and is not tried again within this change.
        entries = dict(self.choice.entries)
        for name, candidate in candidates.items():
            if name in entries and entries[name].digest == candidate.digest:
                entries[name] = self._running[name]
        self.choice = replace(self.choice, entries=entries)
        return True

    def rolled(self, plan: Plan) -> Rolled:
        """What has become of rollouts by this plan."""
        return self._rolling.rolled(plan)

    def rolledLines(self, plan: Plan) -> tuple[str, ...]:
        """A line for each version that takes steps."""
        return tuple(self._rolling.lines(plan))

    def dropOrRefuse(self, refusal: Refusal) -> None:
        """
        Go on without the change of a plugin that failed.

        :raises ConfigRefused: what failed can only be the new configuration.
        :raises ChangeRefused: what failed can only be what was asked for.
        """
        config, before = self.snapshot.config, self._before
        if self.drop(refusal):
            return
        isSame = before is not None and config is before.config
        if isSame or (not refusal.plugin and refusal.stage in NOT_OF_THE_CONFIG):
            raise ChangeRefused(refusal)
        if refusal.plugin:
            message = f"{config.source}: with it, plugin {refusal.plugin} {refusal.version.number}: {refusal.message}"
            refusal = Refusal("", refusal.stage, message, traceback=refusal.traceback)
        raise ConfigRefused(config, refusal)

    def setAside(self, name: str, digest: str | None) -> bool:
        """
        Go on without the change of a plugin for now, which is no fault of it.

        :param digest: of the version that is not to be taken up.
        :returns: False if it has none; then what it lets wait may be the configuration's.
        :raises ChangeRefused: something else was asked for than what its folder has, and cannot be had without that.
        """
        if name in self.choice.entries and self.choice.entries[name].digest != digest:
            return True  # it is another one by now
        before = list(self.refusals)
        isDropped = self.drop(Refusal(name, "held", ""))
        self.refusals[:] = before
        if isDropped:
            self._untried.add(name)
            self.tellAside(name)
            if self.aside and not self.request.force:
                raise ChangeRefused(*self.aside)
        return isDropped

    def tellAside(self, name: str) -> None:
        """
        Whoever asked for what is set aside is told so.

        :param name: of a plugin; empty: it is the configuration's change.
        """
        self.isWhole = False
        if self.request.reads or (name and name == self.request.plugin):
            self.aside.append(Refusal(name, "late", _ASIDE))

    def leaveOut(self, name: str) -> bool:
        """
        Go on without a plugin, to find all that is wrong.

        :returns: whether it was there to be left out.
        """
        if name not in self.choice.entries:
            return False
        entries = {other: entry for other, entry in self.choice.entries.items() if other != name}
        broken = (*self.choice.broken, BrokenPlugin(name, False, name, ()))
        self.choice = replace(self.choice, entries=entries, broken=broken)
        return True

    def refuseAsked(self) -> None:
        """
        :raises ChangeRefused: the plugin whose change was asked for is among the refused, or the configuration is that
            was to be written, or anything is where all is to be done or nothing.
        """
        request = self.request
        asked = {request.plugin, *self._rolling.promoted} - {""}
        refused = [each for each in self.refusals if each.plugin in asked or request.isWhole]
        refused = [each for each in refused if each.stage not in ("files", BY_STEPS, *HELD)]
        if request.edit is not None:
            refused += [each for each in self.refusals if not each.plugin and each not in refused]
        if refused:
            raise ChangeRefused(*refused)

    def withoutReleased(self, plan: Plan) -> tuple[PluginRecords, list[Difference]]:
        """Pins end when what is new in the folder runs, not when it was tried. :returns: with what there is to tell."""
        records, told = self.records, []
        for name in self.choice.released:
            record, entry = records.get(name), plan.entries.get(name)
            if record.pin is not None and (entry is None or entry.digest != record.pin.digest):
                line = f"its folder has something new: no longer pinned to {record.pinnedTo} by {record.pin.by}"
                told.append(Difference("unpinned", line, name, UNKNOWN if entry is None else entry.version))
                records = records.unpinned(name)
        return records, told

    def wouldBe(self, plan: Plan, current: Plan) -> ChangeReport:
        """What is told of a trial that would come to this plan."""
        told = [*map(str, allDifferencesOf(current, plan)), *map(str, self.withoutReleased(plan)[1])]
        told += self.rolledLines(plan)
        return ChangeReport((*told, *renewedIn(current, plan)), tuple(self.refusals))

    def _isRequired(self, entry: CatalogEntry) -> bool:
        return isRequired(entry, self.snapshot.config)

    def _gatesOf(self, plan: Plan) -> Mapping[str, int]:
        """Gates are for the code that runs, and stay with it."""
        before, request = self._before, self.request
        if before is None:
            return {}
        wanted = {**before.gates, request.gate: plan.number}
        gates: dict[str, int] = {}
        for name, number in wanted.items():
            plugin, known = plan.find(name), before.entries.get(name)
            if name != request.lift and plugin is not None and known is not None and plugin.entry.isCodeOf(known):
                gates[name] = number
        return gates


def _unfit(problems: tuple[Problem, ...]) -> Refusal:
    """Why a configuration will not do: by it, what runs would not be trusted, or nothing can be."""
    return Refusal("", UNTRUSTED, "\n".join(map(str, problems)), problems=problems)


def switchesOf(records: PluginRecords) -> dict[str, bool]:
    """What was said of plugins by ``revproxy enable`` and ``disable``."""
    return {name: record.enabled for name, record in records.plugins.items() if record.enabled is not None}


def _keyOf(refusal: Refusal) -> tuple[str, str, str | None]:
    return refusal.plugin, refusal.stage, refusal.digest
