"""
Whether the chosen versions go together. If not, as many changes as do are made, and the rest is refused with the
reasons: a failing plugin never keeps another from loading.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from revproxy.config.manifest import Manifest
from revproxy.config.problems import ConfigErrors
from revproxy.config.settings import Config
from revproxy.control.planning.choice import Choice
from revproxy.control.planning.selection import orderPerGroup, select
from revproxy.control.planning.tiers import Bounds
from revproxy.plan.catalog import BrokenModule, BrokenPlugin, Catalog, CatalogEntry, Entries
from revproxy.plan.plan import Plan
from revproxy.plan.refusal import Refusal


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
    modules: tuple[BrokenModule, ...] = (),
    remembered: Container[str] = (),
    withdrawn: Container[str] = (),
    bounds: Mapping[str, Bounds] | None = None,
    former: Mapping[str, Config] | None = None,
) -> Resolution:
    """Find the plan that has as many of the changes as go together.

    :param before: the plan that runs, if any does.
    :param running: the entries of that plan; before a first generation, those of the last run.
    :param modules: of drop-ins, that cannot be imported.
    :param remembered: names of plugins that were there once.
    :param withdrawn: names of plugins that must not run, whoever names them.
    :param bounds: by name, what there is around a plugin.
    :param former: by name, the configuration that says how a plugin is set, if it is another one.
    :raises ConfigErrors: not even what runs, or ran, would do; or nothing does yet.
    """
    trial = _Trial(number, choice.broken, switches, modules, remembered, withdrawn, bounds or {}, former or {})
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
    modules: tuple[BrokenModule, ...]
    remembered: Container[str]
    withdrawn: Container[str]
    bounds: Mapping[str, Bounds]
    former: Mapping[str, Config]

    def plan(self, config: Config, entries: Entries) -> Plan:
        """:raises ConfigErrors: these do not go together."""
        catalog = Catalog(dict(sorted(entries.items())), self.broken, self.modules)
        selected = select(catalog, config, self.switches, self.remembered, self.withdrawn, self.bounds, self.former)
        order = orderPerGroup(selected, config)
        return Plan(self.number, config, catalog.entries, selected, order, self.switches)


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
        said = {*self.config.plugins.config, *(name for group in self.config.routeGroups for name in group.plugins)}
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
        self.refusals.append(Refusal("", "order", message, problems=self.errors.problems))
        return before.config, dict(self.running)

    def _refuse(self, group: Sequence[str], errors: ConfigErrors) -> None:
        message = "\n".join(str(problem) for problem in errors.problems)
        for name in group:
            entry = self.entries.get(name)
            if entry is None:
                text = f"it was deleted, and runs on, because it is needed:\n{message}"
                self.refusals.append(Refusal(name, "order", text))
            else:
                self.refusals.append(Refusal(name, "order", message, entry.version))


def namesIn(manifest: Manifest) -> Iterable[str]:
    """All that a plugin says of others."""
    return (*manifest.requires, *manifest.conflicts, *manifest.before, *manifest.after)


def groups(
    changed: Sequence[str], sides: Iterable[Entries], said: Callable[[Manifest], Iterable[str]] = namesIn
) -> list[list[str]]:
    """Changes that may depend on each other are made together or not at all: those that name one another, or a name
    the other provides, on either side of the change.

    :param said: which names of others count.
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
        for other in said(manifest):
            for answer in answering.get(other, ()):
                leader[find(answer)] = find(name)
    found: dict[str, list[str]] = {}
    for name in changed:
        found.setdefault(find(name), []).append(name)
    return list(found.values())
