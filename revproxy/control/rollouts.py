"""
What people may know of rollouts, and do about them: how new versions come into service by steps.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from revproxy.bundles.versionstore import StoreError
from revproxy.config.problems import ConfigErrors, quoted, suggestion
from revproxy.config.rolloutpolicy import USUAL, RolloutPolicy
from revproxy.control.changes import ChangeRefused, ChangeReport
from revproxy.control.commands import CommandError, NotThere
from revproxy.control.coordinator import Coordinator
from revproxy.control.pinning import meantVersion, shownVersion
from revproxy.control.planning.ongoing import Ending, Move, Newcomer
from revproxy.control.planning.resolution import groups
from revproxy.control.rollout.cautions import cautions
from revproxy.control.rollout.machine import WAITING
from revproxy.control.rollout.rollout import Rollout
from revproxy.control.rollout.wording import stepText
from revproxy.control.rolloutdriver import MOST_AT_A_TIME, WANTED, RolloutDriver
from revproxy.control.rolloutforecast import forecastView
from revproxy.control.rolloutview import viewOf
from revproxy.control.steering import Asker
from revproxy.control.telling import Telling
from revproxy.control.traffic.course import HOUR
from revproxy.control.traffic.traffic import Traffic
from revproxy.plan.catalog import CatalogEntry, Entries
from revproxy.plan.plan import Plan


class Rollouts:
    """
    Those of one edge. What a command answers is as `revproxy.control.telling.Telling` says: ``text`` and ``refused``.
    """

    def __init__(self, coordinator: Coordinator, driver: RolloutDriver, traffic: Traffic) -> None:
        """
        :param driver: leads them.
        :param traffic: knows what came in the last hour.
        """
        self._coordinator = coordinator
        self._driver = driver
        self._book = driver.book
        self._telling = Telling(coordinator)
        self._traffic = traffic

    # To look at

    def views(self) -> list[dict[str, Any]]:
        """Those that go on, and of each other plugin its last; the latest first."""
        now = self._coordinator.now()
        going = [viewOf(each, now) for each in self._book.going]
        busy = {name for view in going for name in view["plugins"]}
        over = [view for view in self._book.over.values() if not busy.intersection(view["plugins"])]
        return [*reversed(going), *reversed(over)]

    def view(self, name: str) -> dict[str, Any]:
        """
        All about the rollout of a plugin that goes on, or was its last.

        :raises NotThere: there is no such plugin, or it has none.
        """
        rollout = self._book.find(name)
        if rollout is not None:
            return viewOf(rollout, self._coordinator.now())
        for view in self._book.over.values():
            if name in view["plugins"]:
                return view
        self._known(name)
        found = self._coordinator.catalog.entries.get(name)
        if found is not None and found.origin != "directory":
            raise NotThere(f"{name} has no rollout: {_installed(name, found)}")
        raise NotThere(f"{name} has no rollout; `revproxy rollout {name} start` begins one, once it has a new version")

    def isStored(self, name: str, version: str | None) -> bool:
        """Whether a version that somebody means has run here, be it for some clients."""
        try:
            entry = self._inFolder(name, version)
            digest = meantVersion(self._coordinator.records, name, version).digest if entry is None else entry.digest
        except CommandError:
            return False
        return digest is not None and self._coordinator.records.get(name).find(digest) is not None

    async def plan(self, name: str, version: str | None = None, policy: RolloutPolicy | None = None) -> dict[str, Any]:
        """
        How long a rollout would take by the traffic of the last hour, and what it could not show. Of one that goes on,
        if no other version is named: how long it would take from its beginning.

        :param version: None: what its folder has.
        :param policy: None: the plugin's, or the usual one.
        :raises NotThere: there is no such plugin. :raises CommandError: nothing would be rolled out.
        """
        going = self._book.find(name)
        if going is not None and version is None:
            newcomer, running = going.newcomer, going.bases[name]
            newcomer = newcomer if policy is None else replace(newcomer, policy=policy)
        else:
            newcomer, running = await self.newcomer(name, version, policy), self._plan().entries[name]
        windows = [self._traffic.window(HOUR, plugin=each) for each in newcomer.candidates]
        isJudged = all(entry.manifest.judgesInterrupts for entry in (*newcomer.candidates.values(), running))
        warnings = cautions(newcomer.candidates, newcomer.policy, self._driver.isolation(newcomer.candidates))
        return forecastView(newcomer, running, windows, isJudged, warnings)

    # To steer

    async def start(
        self, asker: Asker, name: str, version: str | None = None, policy: RolloutPolicy | None = None
    ) -> dict[str, Any]:
        """
        Roll a version out: a stored one, or what the folder has.

        :param version: by its number, or the beginning of its digest; None: what the folder has, and with it what
            that is tied to by ``requires``.
        :param policy: for this time; None: the plugin's, or the usual one.
        :raises NotThere: there is no such plugin. :raises CommandError: it cannot be rolled out.
        """
        self._asked(asker, "start", name, version)
        newcomer = await self.newcomer(name, version, policy)
        change = asker.request("rollout-start", subject=name, rollout=Move("", begins=newcomer))
        steps = ", ".join(map(stepText, newcomer.policy.steps))
        versions = ", ".join(
            str(entry.version) if each == name else f"{each} {entry.version}"
            for each, entry in newcomer.candidates.items()
        )
        making = self._coordinator.apply(change)
        done = f"{name}: {versions} is rolled out: {steps}; `revproxy rollout {name}` shows how it goes"
        return await self._telling.outcomeOf(self._begun(making, newcomer, name), done, name, False)

    async def _begun(
        self, making: Coroutine[Any, Any, ChangeReport], newcomer: Newcomer, name: str
    ) -> ChangeReport:
        """What it has changed is told once."""
        report = await making
        if self._driver.lastBegun is not newcomer:
            raise CommandError(f"{name} is not rolled out: what it was to be held against does not run any more")
        return replace(report, text=())

    async def newcomer(self, name: str, version: str | None, policy: RolloutPolicy | None) -> Newcomer:
        """
        What would be rolled out.

        :raises NotThere: there is no such plugin. :raises CommandError: nothing can be.
        """
        self._known(name)
        coordinator, plan = self._coordinator, self._plan()
        candidates = await self._meant(name, version, plan)
        usual = coordinator.config.plugins.rollout.policyFor(name)
        own = policy or usual or USUAL
        if policy is not None and usual is not None:
            own = replace(policy, testers=usual.testers)
        for each, entry in candidates.items():
            self._checkFree(each, entry, plan)
        catalog, records = coordinator.catalog.entries, coordinator.records
        found = {each: catalog[each].digest if each in catalog else None for each in candidates}
        pins = {each: records.get(each).pin for each in candidates}
        former = self._book.former.get(name)
        if former is None:
            return Newcomer(candidates, own, found, pins)
        return Newcomer(candidates, own, found, pins, former.config, {name: former.rejected})

    async def step(self, asker: Asker, name: str, left: int | None = None) -> dict[str, Any]:
        """
        Go on to the next step, whatever was seen.

        :param left: the step that is meant to end, from 1; None: that in which it is. What goes on by itself may have
            left it a moment before, and nobody means to end two.
        :raises CommandError: it has no rollout that goes on, or it is in another step.
        """
        rollout = self._going(asker, "step", name)
        if rollout.state == WAITING:
            raise CommandError(f"{name} waits until one of {MOST_AT_A_TIME} other rollouts is over")
        if rollout.isBusy:
            raise CommandError(f"{name} is about to come to its next step")
        if left is not None and left != rollout.index + 1:
            raise CommandError(self._elsewhere(rollout, left))
        index = rollout.nextIndex
        done = "it serves all" if index is None else f"{stepText(rollout.steps[index])} from now on"
        making = self._driver.goOn(rollout, asker.reason or WANTED, asker)
        return await self._told(making, rollout, f"{name}: {rollout.versions}: {done}")

    def _elsewhere(self, rollout: Rollout, left: int) -> str:
        """That it is in another step than somebody means."""
        now, index = rollout.index + 1, rollout.nextIndex
        step = f"{stepText(rollout.steps[rollout.index])}, step {now} of {len(rollout.steps)}"
        after = "it serves all" if index is None else stepText(rollout.steps[index])
        return (
            f"{rollout.name} is not in step {left}: {rollout.versions} is in {step}; after that, {after}: "
            f"`revproxy rollout {rollout.name} step --from {now}`"
        )

    async def hold(self, asker: Asker, name: str) -> dict[str, Any]:
        """Stay in this step; a candidate that is worse still goes back. :raises CommandError: as :meth:`step`."""
        rollout = self._going(asker, "hold", name)
        if rollout.isHeld:
            return {"text": [f"{name}: it is held; `revproxy rollout {name} resume` has it go on"], "refused": []}
        if rollout.isBusy and rollout.nextIndex is None:
            raise CommandError(f"{name} is about to serve all; `revproxy rollout {name} abort` keeps it from that")
        self._driver.hold(rollout, asker.reason or WANTED, asker)
        return {"text": [f"{name}: {rollout.versions} stays in its step"], "refused": []}

    async def resume(self, asker: Asker, name: str) -> dict[str, Any]:
        """Go on by what is seen. :raises CommandError: as :meth:`step`, or it is not held."""
        rollout = self._going(asker, "resume", name)
        if not rollout.isHeld:
            raise CommandError(f"{name} is not held")
        self._driver.resume(rollout, asker)
        return {"text": [f"{name}: {rollout.versions} goes on by what is seen"], "refused": []}

    async def promote(self, asker: Asker, name: str) -> dict[str, Any]:
        """Have the candidate serve everybody. :raises CommandError: as :meth:`step`."""
        rollout = self._going(asker, "promote", name)
        making = self._driver.promote(rollout, asker.reason or WANTED, asker)
        return await self._told(making, rollout, f"{name}: {rollout.versions} serves all")

    async def abort(self, asker: Asker, name: str) -> dict[str, Any]:
        """Have the candidate serve nobody. A rescue. :raises CommandError: as :meth:`step`."""
        rollout = self._going(asker, "abort", name)
        reason = asker.reason or f"revproxy rollout {name} abort"
        making = self._driver.end(rollout, Ending("aborted", reason, True), asker)
        bases = ", ".join(str(entry.version) for entry in rollout.bases.values())
        done = f"{name}: {rollout.versions} serves nobody any more; {bases} runs"
        return await self._told(making, rollout, done, True)

    async def _told(
        self, making: Coroutine[Any, Any, ChangeReport], rollout: Rollout, done: str, isRescue: bool = False
    ) -> dict[str, Any]:
        """What came of it; what has changed by it is told once."""
        ended: list[str] = []

        async def made() -> ChangeReport:
            report = await making
            if rollout.state == "refused":
                ended.append(rollout.transitions[-1].reason)
            return replace(report, text=())

        outcome = await self._telling.outcomeOf(made(), done, rollout.name, isRescue)
        if ended:  # it could not be made ready
            outcome["text"] = []
            outcome["refused"] = outcome["refused"] or [
                {"plugin": rollout.name, "stage": "rollout", "message": ended[0]}
            ]
        return outcome

    # What is meant

    def _plan(self) -> Plan:
        if self._coordinator.plan is None:
            raise CommandError("the edge has not started yet")
        return self._coordinator.plan

    def _known(self, name: str) -> None:
        coordinator = self._coordinator
        plan = coordinator.shown
        known = {*coordinator.catalog.entries, *coordinator.records.plugins, *({} if plan is None else plan.entries)}
        if name not in known:
            raise NotThere(f"no plugin named {quoted(name)}{suggestion(name, known)}")

    def _going(self, asker: Asker, command: str, name: str) -> Rollout:
        """:raises NotThere: there is no such plugin. :raises CommandError: it has no rollout that goes on."""
        rollout = self._book.find(name)
        if rollout is None:
            self._known(name)
            raise CommandError(f"{name} has no rollout that goes on; `revproxy rollout {name} start` begins one")
        self._asked(asker, command, name)
        return rollout

    def _asked(self, asker: Asker, command: str, name: str, version: str | None = None) -> None:
        """Add an event: the events show what somebody asked for, and what came by itself."""
        shown = None if version is None else shownVersion(version)
        text = " ".join(filter(None, ("revproxy rollout", name, command, shown)))
        self._coordinator.events.add("asked", text, name, about=asker.about)

    async def _meant(self, name: str, version: str | None, plan: Plan) -> Entries:
        """By name, the versions that are meant, which are more than one where they are tied to each other."""
        entry = self._inFolder(name, version)
        if entry is None and version is None:
            raise CommandError(f"{name} has no folder that can be read; name a version: `revproxy plugins {name}`")
        if entry is None:
            known = meantVersion(self._coordinator.records, name, version)
            return {name: await self._stored(name, known.digest)}
        return {name: entry} if version is not None else self._tied(name, plan)

    def _inFolder(self, name: str, version: str | None) -> CatalogEntry | None:
        """What the folder of a plugin has, if that is meant."""
        entry = self._coordinator.catalog.entries.get(name)
        if entry is None or version is None or version == entry.version.number:
            return entry
        return entry if len(version) >= 4 and (entry.digest or "").startswith(version) else None

    def _tied(self, name: str, plan: Plan) -> Entries:
        """What is new in the folders, and goes together with what is new of a plugin."""
        found = self._coordinator.catalog.entries
        changed = [each for each in sorted(found) if each == name or _isNew(found[each], plan)]
        for group in groups(changed, (found, plan.entries), lambda manifest: manifest.requires):
            if name in group:
                return {each: found[each] for each in sorted(group, key=lambda each: each != name)}
        return {name: found[name]}

    async def _stored(self, name: str, digest: str) -> CatalogEntry:
        coordinator = self._coordinator
        try:
            stored: Callable[..., CatalogEntry] = coordinator.keeper.stored
            found: CatalogEntry = await coordinator.keeper.disk.do(
                stored, name, digest, coordinator.config.plugins.directory
            )
        except (StoreError, ConfigErrors) as error:
            raise CommandError(f"{name}: that version cannot be had: {error}") from None
        return found

    def _checkFree(self, name: str, entry: CatalogEntry, plan: Plan) -> None:
        """:raises CommandError: this version of a plugin cannot be rolled out now; says what can be done."""
        running, record = plan.find(name), self._coordinator.records.get(name)
        if entry.origin != "directory":
            raise CommandError(_installed(name, entry))
        if running is None:
            raise CommandError(f"{name} runs nowhere, so there is nothing to hold a version against: it comes at once")
        if running.entry.digest == entry.digest and name not in self._book.former:
            raise CommandError(f"{name}: {entry.version} runs already; name another version, or save one")
        if record.pin is not None and record.pin.by == "user":
            raise CommandError(f"{name} is pinned to {record.pinnedTo}; `revproxy unpin {name}` first")
        if name in plan.gates:
            raise CommandError(f"what runs of {name} is in quarantine; `revproxy pin {name} VERSION` has another run")
        going = self._book.find(name)
        if going is not None and going.isAbout(name, entry.digest):
            raise CommandError(f"{name}: {entry.version} is being rolled out; `revproxy rollout {name}` shows how")
        if going is not None and going.newcomer.policy.onNewer == "refuse":
            text = f"{name}: {going.versions} is being rolled out, and does not give way (on_newer: refuse)"
            raise CommandError(f"{text}; `revproxy rollout {name} abort` first")


def _installed(name: str, entry: CatalogEntry) -> str:
    """Why a drop-in takes no steps."""
    return f"{name} is installed with Python ({entry.source}): its versions come by pip, at once"


def _isNew(entry: CatalogEntry, plan: Plan) -> bool:
    running = plan.find(entry.manifest.name)
    return entry.origin == "directory" and running is not None and running.entry.digest != entry.digest


__all__ = ["ChangeRefused", "Rollouts"]
