"""
Which version of each plugin is meant: what its folder holds, what is pinned, or, where the folder holds nothing usable,
what runs already. Each plugin by itself; whether they go together is for `resolution`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from revproxy.bundles.versionstore import StoreError
from revproxy.config.problems import ConfigErrors, Problem
from revproxy.control.planning.heldback import heldBack, notThrough, trialOf
from revproxy.control.state.records import PluginRecords
from revproxy.plan.catalog import BrokenPlugin, Catalog, CatalogEntry, Entries, duplicate
from revproxy.plan.refusal import BY_STEPS, Refusal
from revproxy.plan.versionid import VersionId

Newcomers = Mapping[str, str | None]
"""Plugins that do not run: by their sources, which two never share, their digests as far as they are known."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which version of each plugin is meant.

    :ivar entries: by name.
    :ivar broken: plugins that cannot be used and have no other version to stand in for them.
    :ivar refusals: what was found and will not do.
    :ivar released: names whose pin ended, because their folder has something new.
    :ivar refusedNewcomers: of what was found, and is not what runs, that which cannot be used, or failed before.
    """

    entries: Entries
    broken: tuple[BrokenPlugin, ...]
    refusals: tuple[Refusal, ...]
    released: tuple[str, ...]
    refusedNewcomers: Newcomers


def choose(
    found: Catalog,
    running: Entries,
    owners: Mapping[str, Path],
    records: PluginRecords,
    stored: Callable[[str, str], CatalogEntry],
    hasFailed: Callable[[CatalogEntry], bool] = lambda entry: False,
    isNeeded: Callable[[str], bool] = lambda name: False,
) -> Choice:
    """Decide for each plugin by itself.

    :param running: what runs now, or ran before a restart.
    :param owners: the folders that keep their plugins' names.
    :param stored: name and digest to the version kept; raises `StoreError` or `ConfigErrors`.
    :param hasFailed: whether this version was tried before and failed by itself.
    :param isNeeded: whether a plugin that cannot be used is not to be left out, by its name.
    """
    return _Chooser(found, running, owners, records, stored, hasFailed, isNeeded).run()


def chooseOne(
    name: str,
    running: Entries,
    records: PluginRecords,
    broken: tuple[BrokenPlugin, ...],
    stored: Callable[[str, str], CatalogEntry],
) -> Choice:
    """What runs; of one plugin, what it is pinned to. The folders have no part in it.

    :param broken: what could not be used before.
    """
    still = tuple(each for each in broken if each.name not in running)
    if records.get(name).pin is None:
        return Choice(running, still, (), (), {})
    wanted = choose(Catalog({}), running, {}, records.only(name), stored)
    return Choice({**running, **wanted.entries}, still, wanted.refusals, (), {})


class _Chooser:
    """One run of `choose`."""

    def __init__(
        self,
        found: Catalog,
        running: Entries,
        owners: Mapping[str, Path],
        records: PluginRecords,
        stored: Callable[[str, str], CatalogEntry],
        hasFailed: Callable[[CatalogEntry], bool],
        isNeeded: Callable[[str], bool],
    ) -> None:
        self.found = found
        self.running = running
        self.owners = {str(folder / "plugin.json"): name for name, folder in owners.items()}
        self.records = records
        self.stored = stored
        self.hasFailed = hasFailed
        self.isNeeded = isNeeded
        self.entries: dict[str, CatalogEntry] = {}
        self.unusable: list[BrokenPlugin] = []
        self.refusals: list[Refusal] = []
        self.released: list[str] = []
        self.newcomers: dict[str, str | None] = {}

    def run(self) -> Choice:
        broken: dict[str, BrokenPlugin] = {}
        present = dict(self.found.entries)
        for plugin in self.found.broken:
            # Its manifest may be what is broken: then whose folder it is tells its name.
            name = self._add(broken, plugin)
            # While it is broken, another folder that claims its name does not take its place.
            claims = present.pop(name, None) if plugin.source in self.owners else None
            if claims is not None and claims.source != plugin.source:
                self._add(broken, duplicate(claims, plugin.source))
        pinned = {name for name, record in self.records.plugins.items() if record.pin is not None}
        here = {*self.found.entries, *broken, *pinned}
        for name in sorted(here):
            self._chooseFor(name, present.get(name), broken.get(name))
        return Choice(self.entries, tuple(self.unusable), tuple(self.refusals), tuple(self.released), self.newcomers)

    def _add(self, broken: dict[str, BrokenPlugin], plugin: BrokenPlugin) -> str:
        """:returns: the name of the plugin that the folder belongs to."""
        if plugin.source not in self.owners:
            self.newcomers[plugin.source] = plugin.digest
        name = self.owners.get(plugin.source, plugin.name)
        broken.setdefault(name, replace(plugin, name=name))
        return name

    def _chooseFor(self, name: str, present: CatalogEntry | None, broken: BrokenPlugin | None) -> None:
        if broken is not None:
            self._refuse(broken)
        pin = self.records.get(name).pin
        if pin is not None and pin.by != "user" and _digestHere(present) not in (None, pin.against):
            self.released.append(name)
            pin = None
        if pin is not None:
            self._pinned(name, pin.digest)
        elif present is not None and self._isRunning(present):
            self.entries[name] = self.running[name]
        elif present is not None and name not in self.running and self._isHeldBack(present):
            pass
        elif present is not None and not self.hasFailed(present):
            self.entries[name] = present
            if broken is not None and present.origin == "dropin" and self.isNeeded(name):
                self.unusable.append(broken)  # a folder whose plugin cannot be had, for the name is an installed one's
        elif name in self.running:
            self.entries[name] = self.running[name]
        elif broken is not None:
            self.unusable.append(replace(broken, wanted=broken.wanted and self.isNeeded(name)))
        elif present is not None:
            message = f"version {present.manifest.version} failed before; `revproxy plugins {name}` says why"
            problem = Problem(present.source, 0, 0, "", message)
            self.unusable.append(BrokenPlugin(name, False, present.source, (problem,), present.bundle))
            self.newcomers[present.source] = present.digest

    def _isHeldBack(self, present: CatalogEntry) -> bool:
        """Whether what is found did not come through its steps. Then what ran last runs, though nothing does now."""
        name, trial = present.manifest.name, trialOf(present, self.records)
        if trial is None:
            return False
        for known in self.records.goodBefore(name, ""):
            try:
                self.entries[name] = self.stored(name, known.digest)
            except (StoreError, ConfigErrors):
                continue
            self.refusals.append(heldBack(present, trial))
            return True
        text = f"{notThrough(trial)}, and nothing that ran before can be had"
        text = f"{text}; `revproxy pin {name} {present.manifest.version}` has it run all the same"
        self.refusals.append(Refusal(name, BY_STEPS, text, present.version))
        problem = Problem(present.source, 0, 0, "", text)
        self.unusable.append(BrokenPlugin(name, self.isNeeded(name), present.source, (problem,), present.bundle))
        self.newcomers[present.source] = present.digest
        return True

    def _isRunning(self, present: CatalogEntry) -> bool:
        now = self.running.get(present.manifest.name)
        return now is not None and now.digest is not None and now.digest == present.digest

    def _pinned(self, name: str, digest: str) -> None:
        now = self.running.get(name)
        if now is not None and now.digest == digest:
            self.entries[name] = now
            return
        try:
            self.entries[name] = self.stored(name, digest)
        except (StoreError, ConfigErrors) as error:
            instead = f"choose another: revproxy rollback {name} VERSION, or revproxy unpin {name}"
            message = f"the wanted version cannot be had: {error}; {instead}"
            self.refusals.append(Refusal(name, "store", message, VersionId(digest=digest)))
            if now is not None:
                self.entries[name] = now
            else:
                self.unusable.append(BrokenPlugin(name, self.isNeeded(name), name, (Problem(name, 0, 0, "", message),)))

    def _refuse(self, broken: BrokenPlugin) -> None:
        message = "\n".join(str(problem) for problem in broken.problems)
        self.refusals.append(Refusal(broken.name, "files", message, VersionId(digest=broken.digest)))


def _digestHere(present: CatalogEntry | None) -> str | None:
    return None if present is None else present.digest
