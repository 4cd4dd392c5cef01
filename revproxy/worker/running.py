"""
Which instance stands for each plugin and configuration of a plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from revproxy.plan.plan import Plan
from revproxy.worker.lifecycle.instance import Instance, Version, configKey

Members = Mapping[tuple[str, str], Instance]
"""Instances by the name of the plugin and the `configKey` of its configuration."""

NONE: Members = MappingProxyType({})


class Running:
    """
    A plan with its instances.

    :ivar members: of what runs; ``candidates``: of the versions on trial.
    :ivar versions: by the plugin's name, those that run; ``candidateVersions``: those on trial.
    """

    def __init__(self, plan: Plan, members: Members, candidates: Members = NONE) -> None:
        self.plan = plan
        self.members = members
        self.candidates = candidates
        self.versions: dict[str, Version] = {name: instance.version for (name, _), instance in members.items()}
        self.candidateVersions: dict[str, Version] = {
            name: instance.version for (name, _), instance in candidates.items()
        }
        self._byName: dict[str, list[Instance]] = {}
        for (name, _), instance in members.items():
            self._byName.setdefault(name, []).append(instance)
        self._keys: dict[int, str] = {}

    @property
    def instances(self) -> list[Instance]:
        """All of them, versions on trial last."""
        return [*self.members.values(), *self.candidates.values()]

    @property
    def allVersions(self) -> list[Version]:
        """All of them, those on trial last."""
        return [*self.versions.values(), *self.candidateVersions.values()]

    def member(self, name: str, settings: Mapping[str, Any]) -> Instance:
        """The instance of a plugin with a configuration of the plan."""
        return self.members[name, self.keyOf(settings)]

    def candidate(self, name: str, settings: Mapping[str, Any]) -> Instance:
        """The instance of a version on trial with a configuration of an arm of the plan."""
        return self.candidates[name, self.keyOf(settings)]

    def keyOf(self, settings: Mapping[str, Any]) -> str:
        """`configKey`, once for each configuration of the plan."""
        key = self._keys.get(id(settings))
        if key is None:
            key = self._keys[id(settings)] = configKey(settings)
        return key

    def of(self, name: str) -> list[Instance]:
        """The instances of a plugin, as it runs."""
        return list(self._byName.get(name, ()))

    def serving(self, name: str, isCandidate: bool) -> list[Instance]:
        """The instances of a plugin, as it runs or of its version on trial."""
        members = self.candidates if isCandidate else self.members
        return [instance for (each, _), instance in members.items() if each == name]

    def inGroups(self, name: str, groups: Iterable[int]) -> Iterator[Instance]:
        """The instances of a plugin in some route groups of the plan."""
        plugin = self.plan.find(name)
        if plugin is None:
            return
        for settings in map(plugin.configFor, groups):
            instance = None if settings is None else self.members.get((name, self.keyOf(settings)))
            if instance is not None:
                yield instance

    def counterparts(self) -> dict[tuple[Instance, Instance], None]:
        """Pairs of what runs and what is on trial in its place, on the same routes; in order."""
        pairs: dict[tuple[Instance, Instance], None] = {}
        for _, candidate in self.plan.candidates():
            plugin = self.plan.find(candidate.name)
            for group in range(len(self.plan.orderPerGroup)):
                mine, its = None if plugin is None else plugin.configFor(group), candidate.configFor(group)
                if mine is not None and its is not None:
                    old = self.members.get((candidate.name, self.keyOf(mine)))
                    new = self.candidates.get((candidate.name, self.keyOf(its)))
                    if old is not None and new is not None:
                        pairs[old, new] = None
        return pairs
