"""
Carries out the commands that change something in a running edge: ``revproxy rollback`` and so on.

Whoever brings them adds nothing to them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from revproxy.config.problems import quoted, suggestion
from revproxy.control.actor import EDGE, Actor
from revproxy.control.changes import ChangeReport, ChangeRequest, Tried
from revproxy.control.commands import CommandError, NotThere
from revproxy.control.coordinator import Coordinator
from revproxy.control.pinning import broughtBack, digestIn, meantVersion, shownVersion
from revproxy.control.state.records import Pin, PluginRecords
from revproxy.control.telling import Telling
from revproxy.plan.catalog import Catalog, CatalogEntry, Entries


@dataclass(frozen=True, slots=True)
class Asker:
    """:ivar reason: why, in its own words."""

    actor: Actor = EDGE
    reason: str = ""

    def request(self, action: str, name: str = "", change: Any = None, **more: Any) -> ChangeRequest:
        """
        What is asked for.

        :param action: what it is called where changes are shown.
        :param more: as for `ChangeRequest`.
        """
        return ChangeRequest(name, change, actor=self.actor, action=action, reason=self.reason, **more)

    @property
    def about(self) -> dict[str, str]:
        """For an event."""
        named = {"via": self.actor.via, "actor": self.actor.name, "token": self.actor.token, "reason": self.reason}
        return {key: value for key, value in named.items() if value}


class Steering:
    """
    Of one edge. Each command answers as `Telling.outcomeOf` says, and raises `CommandError` where it cannot be done;
    the text says why.
    """

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator
        self._telling = Telling(coordinator)

    async def reload(self, asker: Asker, without_state: bool = False) -> dict[str, Any]:
        """Read all files now, also what failed before."""
        return await self._apply(asker.request("reload", force=True, reads=True, withoutState=without_state))

    async def rollback(self, asker: Asker, name: str, version: str | None = None) -> dict[str, Any]:
        """Go back to a version of a plugin; by default the one that ran well before. A rescue."""
        self._directoryPlugin(name)
        self._asked(asker, "rollback", name, version)
        making = self._goBack(asker, name, version)
        return await self._telling.outcomeOf(making, f"{name}: pinned until its folder has something new", name, True)

    async def _goBack(self, asker: Asker, name: str, version: str | None) -> ChangeReport:
        if asker.actor.deed is not None:  # whoever asks is answered before the store is, if that takes long
            asker.actor.deed.isTaken = True
        try:
            target, left = (version, ()) if version is not None else await self._earlierGood(name)
        except CommandError as error:
            coordinator, asked = self._coordinator, asker.request("rollback", name)
            coordinator.tell(Tried.failed(asked, coordinator.plan, coordinator.records, error))
            raise
        change = asker.request(
            "rollback", name, self._pinning(name, target, "rollback", left), withoutState=True, isRescue=True
        )
        report = await self._coordinator.apply(change)
        plan = self._coordinator.plan
        runs = None if plan is None else plan.find(name)
        if report.text and runs is not None:
            text = f"{runs.entry.version} runs again, until its folder has something new"
            self._coordinator.events.add("rolled-back", text, name, runs.entry.version, about=asker.about)
        return report

    async def pin(self, asker: Asker, name: str, version: str | None = None) -> dict[str, Any]:
        """Keep a plugin at a version; by default the one that runs. A rescue."""
        self._directoryPlugin(name)
        self._asked(asker, "pin", name, version)
        change = asker.request("pin", name, self._pinning(name, version, "user"), isRescue=True)
        return await self._apply(change, f"{name}: pinned")

    async def unpin(self, asker: Asker, name: str) -> dict[str, Any]:
        """Let a plugin follow its folder again."""
        self._known(name)
        if self._coordinator.records.get(name).pin is None:
            raise CommandError(f"{name} is not pinned")
        change = asker.request("unpin", name, lambda records, found: records.unpinned(name), force=True)
        self._asked(asker, "unpin", name)
        return await self._apply(change, f"{name}: not pinned any more; it follows its folder")

    async def enable(self, asker: Asker, name: str) -> dict[str, Any]:
        """Switch a plugin on."""
        return await self._switch(asker, name, True)

    async def disable(self, asker: Asker, name: str) -> dict[str, Any]:
        """Switch a plugin off."""
        return await self._switch(asker, name, False)

    async def _switch(self, asker: Asker, name: str, on: bool) -> dict[str, Any]:
        self._known(name)
        coordinator, last = self._coordinator, None
        if on and not self._isThere(name, coordinator.catalog):
            good = coordinator.records.goodBefore(name, "")
            # If none can be had, what is said of the first of them says why.
            last = await coordinator.vetting.firstUsable(name, good, coordinator.config) or next(iter(good), None)

        def mutate(records: PluginRecords, found: Catalog) -> PluginRecords:
            if on and not self._isThere(name, found):
                records = broughtBack(records, name, last)
            return records.switched(name, on)

        command = "enable" if on else "disable"
        change = asker.request(command, name, mutate, force=on, isRescue=not on)
        self._asked(asker, command, name)
        return await self._apply(change, f"{name}: switched {'on' if on else 'off'}")

    def _asked(self, asker: Asker, command: str, name: str, version: str | None = None) -> None:
        """Add an event: the events show what somebody asked for, and what came from the files."""
        shown = None if version is None else shownVersion(version)
        text = " ".join(filter(None, ("revproxy", command, name, shown)))
        self._coordinator.events.add("asked", text, name, about=asker.about)

    async def _earlierGood(self, name: str) -> tuple[str, tuple[str, ...]]:
        """
        The digest of the version that ran before, was not taken out, and is stored; and those that were gone back from.
        Where none did, and another is rolled out: of the one that runs.

        :raises CommandError: there is none.
        """
        record = self._coordinator.records.get(name)
        # The versions that rollbacks have gone back from do not count: another rollback goes further back.
        pin, running = record.pin, record.running or ""
        left = (*pin.left, pin.against or "") if pin is not None and pin.by == "rollback" else ()
        candidates = self._coordinator.records.forgotten(name, left).goodBefore(name, running)
        coordinator = self._coordinator
        good = await coordinator.vetting.firstUsable(name, candidates, coordinator.config)
        if good is None and any(name in each.candidates for each in coordinator.ongoing()):
            return running, left  # a rollback ends a rollout, whatever else there is
        if good is None:
            versions = ", ".join(str(one.id) for one in candidates)
            lost = f", for what ran before is not stored, or may not run: {versions}"
            raise CommandError(f"{name} has no earlier version to go back to{lost if candidates else ''}; name one: "
                                f"`revproxy plugins {name}` lists them")
        return good.digest, (*left, running)

    def _pinning(self, name: str, wanted: str | None, by: str, left: tuple[str, ...] = ()) -> Any:
        def mutate(records: PluginRecords, found: Catalog) -> PluginRecords:
            target = meantVersion(records, name, wanted)
            against = digestIn(found, name, records.get(name))
            if by == "rollback":
                records = records.cleared(name, target.digest)
            return records.pinned(name, Pin(target.digest, by, against, left))  # type: ignore[arg-type]

        return mutate

    async def _apply(self, change: ChangeRequest, done: str = "") -> dict[str, Any]:
        """:param done: what to say when it succeeds, before what it has changed."""
        making = self._coordinator.apply(change)
        return await self._telling.outcomeOf(making, done, change.plugin, change.isRescue)

    def _known(self, name: str) -> CatalogEntry | None:
        """
        The entry of a plugin in the catalog, if it has one.

        :raises CommandError: there is no such plugin.
        """
        coordinator = self._coordinator
        current: Entries = {} if coordinator.shown is None else coordinator.shown.entries
        known = {*current, *coordinator.catalog.entries, *coordinator.records.plugins, *coordinator.refused} - {""}
        if name not in known:
            raise NotThere(f"no plugin named {quoted(name)}{suggestion(name, known)}")
        return current.get(name) or coordinator.catalog.entries.get(name)

    def _isThere(self, name: str, found: Catalog) -> bool:
        """Whether a folder, or what runs, has a version of a plugin, or it is pinned to one."""
        coordinator = self._coordinator
        runs = coordinator.plan is not None and name in coordinator.plan.entries
        isBroken = any(broken.name == name for broken in found.broken)
        return runs or isBroken or name in found.entries or coordinator.records.get(name).pin is not None

    def _directoryPlugin(self, name: str) -> None:
        """:raises CommandError: there is no such plugin, or it has no versions because it is installed with Python."""
        entry = self._known(name)
        if entry is not None and entry.origin != "directory":
            raise CommandError(f"{name} is installed with Python ({entry.source}) and has no versions here; use pip")



__all__ = ["Asker", "Steering"]
