"""
A plan: pure data that says what the edge is to be. Configuration, and which bundle each plugin runs.

It comes about in two steps, both pure. `choose` decides for each plugin by itself which of its versions is meant:
what its folder holds, what is pinned, or, where the folder holds nothing usable, what runs already. `resolve` finds
out whether these go together. If not, as many changes as do are made, and the rest is refused with the reasons: a
failing plugin never keeps another from loading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from revproxy.bundles.versionstore import StoreError
from revproxy.config.problems import ConfigErrors, Problem
from revproxy.config.settings import Config
from revproxy.control.state.records import Ledger
from revproxy.plan.catalog import BrokenPlugin, Catalog, CatalogEntry, Selected, chains, duplicate

Entries = Mapping[str, CatalogEntry]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A change that was not made.

    :ivar plugin: its name; empty for the configuration file.
    :ivar stage: how far it came: ``files``, ``store``, ``order``, ``import``, ``main``, ``start``, …
    :ivar version: of what was refused, as far as it is known.
    :ivar digest: of the bundle that was refused, if its files could be read.
    :ivar message: where, what, and what to do; may have several lines.
    :ivar traceback: of foreign code, or empty.
    """

    plugin: str
    stage: str
    version: str
    digest: str | None
    message: str
    traceback: str = ""

    @property
    def isItsOwn(self) -> bool:
        """Whether it failed by itself, and will again, whatever becomes of other plugins."""
        return self.stage not in ("files", "order", "store", "held")

    @property
    def label(self) -> str:
        """Version and the beginning of the digest, as far as they are known."""
        return f"{self.version} ({self.digest[:12]})".strip() if self.digest else self.version


@dataclass(frozen=True, slots=True)
class Plan:
    """What the edge is to be.

    :ivar number: counts up from 1.
    :ivar entries: every plugin there is, with the version that would run, also those that are off.
    :ivar selected: those that run somewhere.
    :ivar perLane: for each lane of the configuration its plugins in order, each with its configuration there.
    :ivar switches: what ``revproxy enable`` and ``disable`` said.
    """

    number: int
    config: Config
    entries: Entries
    selected: tuple[Selected, ...]
    perLane: tuple[tuple[tuple[Selected, Any], ...], ...]
    switches: Mapping[str, bool] = field(default_factory=dict)

    def describe(self) -> dict[str, Any]:
        """As JSON: all that another process with the same version store needs to build the same."""
        document = self.config.document
        return {
            "number": self.number,
            "config": None if document is None else document.value,
            "plugins": {
                one.manifest.name: {"version": str(one.manifest.version), "digest": one.entry.digest}
                for one in self.selected
            },
            "switches": dict(self.switches),
        }


def isSetAnew(was: Selected, before: Plan, now: Selected, plan: Plan) -> bool:
    """Whether a plugin has another configuration, on any route, than it had in another plan."""
    if was.config != now.config:
        return True
    if before.config is plan.config:
        return was.lanes != now.lanes
    return _onRoutes(was, before.config) != _onRoutes(now, plan.config)


def _onRoutes(one: Selected, config: Config) -> dict[str, Mapping[str, Any] | None]:
    places = ((index, settings) for lane, settings in one.lanes.items() for index in config.routeGroups[lane].routes)
    return {config.routes[index].name: settings for index, settings in places}


@dataclass(frozen=True, slots=True)
class Choice:
    """Which version of each plugin is meant.

    :ivar entries: by name.
    :ivar broken: plugins that cannot be used and have no other version to stand in for them.
    :ivar refusals: what was found and will not do.
    :ivar released: names whose pin ended, because their folder has something new.
    :ivar strangers: where folders are that cannot be used, and are nobody's, each with its digest as far as it is
        known. They do not tell their names, or those of others.
    """

    entries: Entries
    broken: tuple[BrokenPlugin, ...]
    refusals: tuple[Refusal, ...]
    released: tuple[str, ...]
    strangers: Mapping[str, str | None]


def choose(
    found: Catalog,
    running: Entries,
    homes: Mapping[str, Path],
    ledger: Ledger,
    stored: Callable[[str, str], CatalogEntry],
    avoid: Callable[[CatalogEntry], bool] = lambda entry: False,
    needed: Callable[[str], bool] = lambda name: False,
) -> Choice:
    """Decide for each plugin by itself.

    :param running: what runs now, or ran before a restart.
    :param homes: the folders that keep their plugins' names.
    :param stored: name and digest to the version kept; raises `StoreError` or `ConfigErrors`.
    :param avoid: whether this version was tried before and failed by itself.
    :param needed: whether a plugin that cannot be used is not to be left out, by its name.
    """
    return _Chooser(found, running, homes, ledger, stored, avoid, needed).run()


class _Chooser:
    """One run of `choose`."""

    def __init__(
        self,
        found: Catalog,
        running: Entries,
        homes: Mapping[str, Path],
        ledger: Ledger,
        stored: Callable[[str, str], CatalogEntry],
        avoid: Callable[[CatalogEntry], bool],
        needed: Callable[[str], bool],
    ) -> None:
        self.found = found
        self.running = running
        self.owners = {str(folder / "plugin.json"): name for name, folder in homes.items()}
        self.ledger = ledger
        self.stored = stored
        self.avoid = avoid
        self.needed = needed
        self.entries: dict[str, CatalogEntry] = {}
        self.left: list[BrokenPlugin] = []
        self.refusals: list[Refusal] = []
        self.released: list[str] = []
        self.strangers: dict[str, str | None] = {}

    def run(self) -> Choice:
        broken: dict[str, BrokenPlugin] = {}
        present = dict(self.found.entries)
        for one in self.found.broken:
            # Its manifest may be what is broken: then whose folder it is tells its name.
            name = self._add(broken, one)
            # While it is broken, another folder that claims its name is not in its place.
            claims = present.pop(name, None) if one.source in self.owners else None
            if claims is not None and claims.source != one.source:
                self._add(broken, duplicate(claims, one.source))
        pinned = {name for name, record in self.ledger.plugins.items() if record.pin is not None}
        here = {*self.found.entries, *broken, *pinned}
        for name in sorted(here):
            self._one(name, present.get(name), broken.get(name))
        return Choice(self.entries, tuple(self.left), tuple(self.refusals), tuple(self.released), self.strangers)

    def _add(self, broken: dict[str, BrokenPlugin], one: BrokenPlugin) -> str:
        """:returns: the name of the plugin whose it is."""
        if one.source not in self.owners:
            self.strangers[one.source] = None if one.bundle is None else one.bundle.digest
        name = self.owners.get(one.source, one.name)
        broken.setdefault(name, replace(one, name=name))
        return name

    def _one(self, name: str, present: CatalogEntry | None, broken: BrokenPlugin | None) -> None:
        if broken is not None:
            self._refuse(broken)
        pin = self.ledger.get(name).pin
        if pin is not None and pin.by != "user" and _digestHere(present) not in (None, pin.against):
            self.released.append(name)
            pin = None
        if pin is not None:
            self._pinned(name, pin.digest)
        elif present is not None and self._isRunning(present):
            self.entries[name] = self.running[name]
        elif present is not None and not self.avoid(present):
            self.entries[name] = present
            if broken is not None and present.origin == "dropin" and self.needed(name):
                self.left.append(broken)  # a folder whose plugin cannot be had, for the name is an installed one's
        elif name in self.running:
            self.entries[name] = self.running[name]
        elif broken is not None:
            self.left.append(replace(broken, wanted=broken.wanted and self.needed(name)))
        elif present is not None:
            message = f"version {present.manifest.version} failed before; `revproxy plugins {name}` says why"
            problem = Problem(present.source, 0, 0, "", message)
            self.left.append(BrokenPlugin(name, False, present.source, (problem,), present.bundle))

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
            self.refusals.append(Refusal(name, "store", "", digest, message))
            if now is not None:
                self.entries[name] = now
            else:
                self.left.append(BrokenPlugin(name, self.needed(name), name, (Problem(name, 0, 0, "", message),)))

    def _refuse(self, broken: BrokenPlugin) -> None:
        digest = None if broken.bundle is None else broken.bundle.digest
        message = "\n".join(str(problem) for problem in broken.problems)
        self.refusals.append(Refusal(broken.name, "files", "", digest, message))


def _digestHere(present: CatalogEntry | None) -> str | None:
    return None if present is None else present.digest


@dataclass(frozen=True, slots=True)
class Resolution:
    """What goes together.

    :ivar refusals: changes that do not.
    """

    plan: Plan
    refusals: tuple[Refusal, ...]


def resolve(
    number: int,
    config: Config,
    choice: Choice,
    before: Plan | None,
    running: Entries,
    switches: Mapping[str, bool],
) -> Resolution:
    """Find the plan that has as many of the changes as go together.

    :param before: the plan that runs, if any does.
    :param running: the entries of that plan; before a first generation, those of the last run.
    :raises ConfigErrors: not even what runs, or ran, would do; or nothing does yet.
    """
    trial = _Trial(number, choice.broken, switches)
    try:
        return Resolution(trial.plan(config, choice.entries), ())
    except ConfigErrors as errors:
        if not running and before is None:
            raise
        return _Partial(trial, config, choice.entries, before, running, errors).run()


@dataclass(frozen=True, slots=True)
class _Trial:
    number: int
    broken: tuple[BrokenPlugin, ...]
    switches: Mapping[str, bool]

    def plan(self, config: Config, entries: Entries) -> Plan:
        """:raises ConfigErrors: these do not go together."""
        catalog = Catalog(dict(sorted(entries.items())), self.broken)
        selected = catalog.select(config, self.switches)
        return Plan(self.number, config, catalog.entries, selected, chains(selected, config), self.switches)


class _Partial:
    """Adds changes to what runs, group by group, and leaves out what does not go."""

    def __init__(
        self,
        trial: _Trial,
        config: Config,
        entries: Entries,
        before: Plan | None,
        running: Entries,
        errors: ConfigErrors,
    ) -> None:
        self.trial = trial
        self.config = config
        self.entries = entries
        self.before = before
        self.running = running
        self.errors = errors
        self.refusals: list[Refusal] = []

    def run(self) -> Resolution:
        names = {*self.entries, *self.running}
        changed = [name for name in sorted(names) if self.entries.get(name) is not self.running.get(name)]
        config, kept = self._withConfig([name for name in changed if name not in self.running])
        plan: Plan | None = None
        for group in groups(changed, (self.entries, self.running)):
            wanted = {name: entry for name, entry in kept.items() if name not in group}
            wanted.update({name: self.entries[name] for name in group if name in self.entries})
            try:
                plan = self.trial.plan(config, wanted)
            except ConfigErrors as errors:
                self._refuse(group, errors)
            else:
                kept = wanted
        return Resolution(plan or self.trial.plan(config, kept), tuple(self.refusals))

    def _withConfig(self, added: Sequence[str]) -> tuple[Config, dict[str, CatalogEntry]]:
        """The new configuration if it goes with what runs; it may name plugins that have come with it."""
        said = {*self.config.plugins.config, *(name for lane in self.config.routeGroups for name in lane.plugins)}
        added = [name for name in added if name in said]
        before = self.before
        if before is None or before.config is self.config:
            return self.config, dict(self.running)
        for names in ((), added):
            kept = {**self.running, **{name: self.entries[name] for name in names}}
            try:
                self.trial.plan(self.config, kept)
                return self.config, kept
            except ConfigErrors:
                continue
        message = "\n".join(str(problem) for problem in self.errors.problems)
        self.refusals.append(Refusal("", "order", "", None, message))
        return before.config, dict(self.running)

    def _refuse(self, group: Sequence[str], errors: ConfigErrors) -> None:
        message = "\n".join(str(problem) for problem in errors.problems)
        for name in group:
            entry = self.entries.get(name)
            if entry is None:
                text = f"it was deleted, and runs on, because it is needed:\n{message}"
                self.refusals.append(Refusal(name, "order", "", None, text))
            else:
                self.refusals.append(Refusal(name, "order", str(entry.manifest.version), entry.digest, message))


def groups(changed: Sequence[str], sides: Iterable[Entries]) -> list[list[str]]:
    """Changes that may depend on each other are made together or not at all: those that name one another, or a name
    the other provides, on either side of the change.
    """
    leader = {name: name for name in changed}

    def find(name: str) -> str:
        while leader[name] != name:
            name = leader[name]
        return name

    entries = [(name, side[name].manifest) for side in sides for name in changed if name in side]
    answering: dict[str, list[str]] = {}
    for name, manifest in entries:
        for answer in (name, *manifest.provides):
            answering.setdefault(answer, []).append(name)
    for name, manifest in entries:
        for other in (*manifest.requires, *manifest.conflicts, *manifest.before, *manifest.after):
            for one in answering.get(other, ()):
                leader[find(one)] = find(name)
    found: dict[str, list[str]] = {}
    for name in changed:
        found.setdefault(find(name), []).append(name)
    return list(found.values())
