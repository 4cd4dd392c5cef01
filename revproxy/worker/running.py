"""
Which instance stands for each plugin and configuration of a plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from revproxy.plan.plan import Plan
from revproxy.worker.lifecycle.instance import Instance, Version, configKey

Members = Mapping[tuple[str, str], Instance]
"""Instances by the name of the plugin and the `configKey` of its configuration."""


class Running:
    """
    A plan with its instances.

    :ivar versions: by the plugin's name.
    """

    def __init__(self, plan: Plan, members: Members) -> None:
        self.plan = plan
        self.members = members
        self.versions: dict[str, Version] = {name: instance.version for (name, _), instance in members.items()}
        self._byName: dict[str, list[Instance]] = {}
        for (name, _), instance in members.items():
            self._byName.setdefault(name, []).append(instance)
        self._keys: dict[int, str] = {}

    def member(self, name: str, settings: Mapping[str, Any]) -> Instance:
        """The instance of a plugin with a configuration of the plan."""
        return self.members[name, self.keyOf(settings)]

    def keyOf(self, settings: Mapping[str, Any]) -> str:
        """`configKey`, once for each configuration of the plan."""
        key = self._keys.get(id(settings))
        if key is None:
            key = self._keys[id(settings)] = configKey(settings)
        return key

    def of(self, name: str) -> list[Instance]:
        """The instances of a plugin."""
        return list(self._byName.get(name, ()))

    def inGroups(self, name: str, groups: Iterable[int]) -> Iterator[Instance]:
        """The instances of a plugin in some route groups of the plan."""
        plugin = self.plan.find(name)
        if plugin is None:
            return
        for settings in map(plugin.configFor, groups):
            instance = None if settings is None else self.members.get((name, self.keyOf(settings)))
            if instance is not None:
                yield instance
