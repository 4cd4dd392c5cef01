"""
What a change does about versions on trial: it makes their instances beside those that run, keeps them as long as the
trial lives, and in the end has them run, or takes them out.

The code of a version on trial is loaded by itself, also where nothing but its configuration is new: what it counts, and
what it fails with, is its own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from revproxy.plan.catalog import Selected
from revproxy.plan.plan import Plan
from revproxy.worker.lifecycle.instance import Instance, Version, configKey
from revproxy.worker.running import Running

MakeVersion = Callable[[Selected], Version]

MakeInstance = Callable[[Version, Mapping[str, Any], str], tuple[Instance, bool]]
"""Gives an instance of this change with a configuration and its key, and whether it was made just now."""


class StagedTrials:
    """
    Of one change.

    :ivar loaded: the versions that it has made for trials.
    """

    def __init__(self, before: Running | None, newVersion: MakeVersion, make: MakeInstance) -> None:
        """:param before: what serves while the change is made."""
        self._before = before
        self._newVersion = newVersion
        self._make = make
        self.loaded: list[Version] = []

    def version(self, plugin: Selected) -> Version:
        """That of a plugin on trial."""
        for known in (self._onTrial(plugin.name), *self.loaded):
            if known is not None and known.name == plugin.name and known.isAs(plugin):
                return known
        version = self._newVersion(plugin)
        self.loaded.append(version)
        return version

    def making(self, plan: Plan) -> Iterator[tuple[tuple[str, str], Instance, bool]]:
        """
        The instance of each version on trial with each of its configurations, by plugin and key, and whether it was
        made just now.

        :raises StageFailed:
        """
        for plugin, settings in plan.candidatePairs():
            key = configKey(settings)
            instance, isNew = self.instance(self.version(plugin), settings, key)
            yield (plugin.name, key), instance, isNew

    def instance(self, version: Version, settings: Mapping[str, Any], key: str) -> tuple[Instance, bool]:
        """The one that has been on trial so far, or one of this change, and whether that was made just now."""
        before = self._before
        known = None if before is None else before.candidates.get((version.name, key))
        if known is not None and known.version is version and not known.retiring:
            return known, False
        return self._make(version, settings, key)

    def promoted(self, plugin: Selected, wanted: Collection[str]) -> Version | None:
        """
        The version that was on trial, if it is to run from now on.

        :param wanted: the keys of all configurations that the plugin runs with.
        """
        before, version = self._before, self._onTrial(plugin.name)
        if before is None or version is None or not version.isAs(plugin):
            return None
        running = before.versions.get(plugin.name)
        if running is None or not running.isAs(plugin):
            return version
        # One code, two configurations: which of them runs is what was decided.
        name = plugin.name
        tried = all((name, key) in before.candidates for key in wanted)
        return version if tried and not all((name, key) in before.members for key in wanted) else None

    def before(self, instance: Instance) -> list[Instance]:
        """Those of the same version that were on trial so far: one that has another configuration follows them."""
        before = self._before
        known = () if before is None else before.candidates.values()
        return [each for each in known if each.version is instance.version and each is not instance]

    def ending(self, next: Running) -> Iterator[tuple[Instance, Instance, bool]]:
        """
        Of each trial that ends: what leaves, what served beside it on the same routes and stays, and whether that is
        the version that was on trial.
        """
        before = self._before
        if before is None:
            return
        run, used = set(next.members.values()), set(next.instances)
        for old, new in before.counterparts():
            if new in run and old not in used:
                yield old, new, True
            elif old in run and new not in used:
                yield new, old, False

    def _onTrial(self, name: str) -> Version | None:
        return None if self._before is None else self._before.candidateVersions.get(name)
