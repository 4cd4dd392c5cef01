"""
Who runs where, in what order, with which configuration: pure.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from revproxy.config.document import Document
from revproxy.config.grantedconfig import grantedConfig
from revproxy.config.manifest import ConfigLayer, Manifest, checkConfig
from revproxy.config.problems import ConfigErrors, Problem, Step, quoted, suggestion
from revproxy.config.settings import Config, PluginSetting, RouteConfig, RouteGroup
from revproxy.control.planning.order import resolveOrder
from revproxy.control.planning.settings import settingsOf
from revproxy.control.planning.switching import isOn, saysOff
from revproxy.control.planning.tiers import FREE, Bounds, globFor, grantOf, tierOf
from revproxy.plan.catalog import Catalog, CatalogEntry, Order, Selected

MAX_TOLD = 20
"""On how many routes it is told that they say the same wrong thing of a plugin: there may be ten thousand."""


def select(
    catalog: Catalog,
    config: Config,
    switches: Mapping[str, bool] | None = None,
    remembered: Container[str] = (),
    withdrawn: Container[str] = (),
    bounds: Mapping[str, Bounds] | None = None,
    former: Mapping[str, Config] | None = None,
) -> tuple[Selected, ...]:
    """
    Who runs where, with which configuration, by name.

    A plugin is on where revproxy.yaml names it with ``true`` or a mapping, and off where it is named with ``false``;
    what a route says overrides ``plugins.config``. A plugin that is not named is on if it is a directory plugin whose
    ``enabled`` is true.

    :param switches: what ``revproxy enable`` and ``disable`` said, over everything that is written: ``False`` is off on
        every route, ``True`` on where a route does not say otherwise.
    :param remembered: names of plugins that were there once: to say that one is off is no mistake.
    :param withdrawn: names of plugins that must not run: to name one is no mistake, either.
    :param bounds: by name, what there is around a plugin; those that are not in it have none.
    :param former: by name, the configuration that says how a plugin is set, if it is another one.
    :raises ConfigErrors: unknown names, wanted plugins that are broken, configuration a plugin refuses.
    """
    return _Selection(catalog, config, switches or {}, remembered, withdrawn, bounds or {}, former or {}).run()


def orderPerGroup(selected: Sequence[Selected], config: Config) -> tuple[Order, ...]:
    """
    For each route group its plugins in order, each with its configuration there. Equal groups share one tuple.

    :raises ConfigErrors: see `resolveOrder`; a problem that only some routes have names the first of them.
    """
    byName = {plugin.name: plugin for plugin in selected}
    known: dict[tuple[Any, ...], Order] = {}
    orders: dict[tuple[str, ...], tuple[Manifest, ...]] = {}
    problems: list[Problem] = []
    result = []
    for index, group in enumerate(config.routeGroups):
        found = {name: plugin.configFor(index) for name, plugin in byName.items()}
        here = {name: settings for name, settings in found.items() if settings is not None}
        names = tuple(here)
        key = tuple((name, id(settings)) for name, settings in here.items())
        if key not in known:
            if names not in orders:
                route = config.routes[group.routes[0]]
                orders[names] = _orderOn(route, [byName[name].manifest for name in names], problems)
            known[key] = tuple((byName[manifest.name], here[manifest.name]) for manifest in orders[names])
        result.append(known[key])
    if problems:
        raise ConfigErrors(problems)
    return tuple(result)


def _orderOn(route: RouteConfig, manifests: Sequence[Manifest], problems: list[Problem]) -> tuple[Manifest, ...]:
    try:
        return resolveOrder(manifests)
    except ConfigErrors as errors:
        for problem in errors.problems:
            message = f"{problem.message} (on the route {quoted(route.name)})"
            problems.append(Problem(problem.source, problem.line, problem.column, problem.path, message))
        return ()


class _Selection:
    """One run of :func:`select`."""

    def __init__(
        self,
        catalog: Catalog,
        config: Config,
        switches: Mapping[str, bool],
        remembered: Container[str],
        withdrawn: Container[str],
        bounds: Mapping[str, Bounds],
        former: Mapping[str, Config],
    ) -> None:
        self.config = config
        self.former = former
        self.catalog = catalog
        self.remembered = remembered
        self.withdrawn = withdrawn
        self.bounds = bounds
        self.switches = switches
        self.plugins = config.plugins
        self.groups = config.routeGroups
        self.document = config.document or Document("configuration", None)
        self.problems: list[Problem] = []
        #: One object per plugin and configuration: equal ones are the same, so that instances can be shared.
        self.configs: dict[tuple[str, str], Mapping[str, Any]] = {}
        self.overrides: dict[str, dict[int, PluginSetting]] = {}
        for index, group in enumerate(config.routeGroups):
            for name, setting in group.plugins.items():
                self.overrides.setdefault(name, {})[index] = setting
        for name, before in former.items():
            self.overrides[name] = dict(settingsOf(name, before, config) or {})

    def run(self) -> tuple[Selected, ...]:
        """The result, or all problems."""
        self._checkNames()
        self._checkBroken()
        found = [self._selected(entry) for entry in self.catalog.entries.values()]
        selected = tuple(plugin for plugin in found if plugin is not None)
        self._checkRequired({plugin.name for plugin in selected})
        if self.problems:
            raise ConfigErrors(self.problems)
        return selected

    def _placesOf(self, name: str) -> Iterator[tuple[Step, ...]]:
        if name in self.plugins.config:
            yield "plugins", "config", name
        if name in self.plugins.required:
            yield "plugins", "required", self.plugins.required.index(name)
        for index in sorted(route for group in self.overrides.get(name, ()) for route in self.groups[group].routes):
            yield "routes", index, "plugins", name

    def _checkNames(self) -> None:
        known = {*self.catalog.entries, *(broken.name for broken in self.catalog.broken)}
        off = {name for name, on in self.switches.items() if not on}
        off |= {name for name in self._named() if name in self.remembered and self._isOff(name)}
        absent = [name for name in self._named() if name not in known | off and name not in self.withdrawn]
        for name in absent:
            message = f"no plugin named {quoted(name)}{suggestion(name, self.catalog.entries)}"
            for module in sorted(self.catalog.modules, key=lambda each: _letters(each.name) != _letters(name))[:3]:
                message += f"; the drop-in module {module.name} cannot be imported: {module.error}"
            places = islice(self._placesOf(name), MAX_TOLD)
            self.problems += (self.document.problem(path, message) for path in places)

    def _named(self) -> dict[str, Any]:
        return {**self.plugins.config, **self.overrides, **dict.fromkeys(self.plugins.required)}

    def _isOff(self, name: str) -> bool:
        return saysOff(name, self.config, self.switches)

    def _checkRequired(self, running: Container[str]) -> None:
        """What is required and runs nowhere, though nobody said that it is off, guards nothing."""
        broken = {plugin.name for plugin in self.catalog.broken}
        for index, name in enumerate(self.plugins.required):
            if name in self.catalog.entries and name not in broken and name not in running and not self._isOff(name):
                message = f"{name} is required, and runs on no route: name it under plugins.config, or on a route"
                self.problems.append(self.document.problem(("plugins", "required", index), message))

    def _checkBroken(self) -> None:
        for broken in self.catalog.broken:
            if self.switches.get(broken.name) is False:
                continue
            says = [setting for name, setting in self._settings() if name == broken.name]
            wanted = broken.wanted or broken.name in self.plugins.required
            if any(setting is not False for setting in says) or (wanted and not says):
                self.problems.extend(broken.problems)

    def _settings(self) -> Iterator[tuple[str, PluginSetting]]:
        yield from self.plugins.config.items()
        for name, settings in self.overrides.items():
            for setting in settings.values():
                yield name, setting

    def _selected(self, entry: CatalogEntry) -> Selected | None:
        name = entry.manifest.name
        says = self.former.get(name, self.config)
        setting, document = says.plugins.config.get(name), says.document or self.document
        layers: list[ConfigLayer] = []
        if isinstance(setting, Mapping):
            layers.append(ConfigLayer(setting, document, ("plugins", "config", name), document.source))
        switch = self.switches.get(name)
        if switch is False:
            return None
        everywhere = switch is True or isOn(entry, setting)
        overrides = self.overrides.get(name, {})
        # Where every route says its own, nobody uses the common configuration, and it need not be complete.
        used = everywhere and (not self.groups or len(overrides) < len(self.groups))
        config = self._config(entry, layers) if used else None
        perGroup: dict[int, Mapping[str, Any] | None] = {}
        for index, own in overrides.items():
            perGroup[index] = self._inGroup(entry, self.groups[index], own, layers) if isOn(entry, own) else None
        if config is None and all(settings is None for settings in perGroup.values()):
            return None
        self._checkIsolation(entry)
        tier = tierOf(entry, self.plugins, self.bounds.get(name, FREE))
        return Selected(entry, config, perGroup, tier.isolation, tier.permissions)

    def _checkIsolation(self, entry: CatalogEntry) -> None:
        """What is installed with Python cannot be loaded anywhere else, and must not run here without a word."""
        name, plugins = entry.manifest.name, self.plugins
        if entry.bundle is not None:
            return
        glob = globFor(name, plugins)
        says = "runs in the edge's own process only, where what is installed with Python is imported"
        if glob is not None and plugins.isolation[glob] == "process":
            if glob == name or not (entry.distribution is not None and entry.distribution.isOwn):
                path = ("plugins", "isolation", glob)
                self.problems.append(self.document.problem(path, f"{name} {says}; write {name}: inline, if it may"))
        elif glob is None and entry.manifest.isolation == "process":
            text = f"asks for a process of its own, and {says}; if it may run there, write {name}: inline"
            self.problems.append(self.document.problem(("plugins", "isolation"), f"{name} {text}"))

    def _inGroup(
        self, entry: CatalogEntry, group: RouteGroup, own: PluginSetting, layers: Sequence[ConfigLayer]
    ) -> Mapping[str, Any]:
        if not isinstance(own, Mapping):
            return self._config(entry, layers)
        document, found = self.document, len(self.problems)
        for index in group.routes[:MAX_TOLD]:
            path = ("routes", index, "plugins", entry.manifest.name)
            config = self._config(entry, [*layers, ConfigLayer(own, document, path, document.source)])
            if len(self.problems) == found:
                return config  # what is right on one of them is right on all; what is wrong is wrong on each
        more = len(group.routes) - MAX_TOLD
        if more > 0:
            path = ("routes", group.routes[MAX_TOLD], "plugins", entry.manifest.name)
            self.problems.append(document.problem(path, f"wrong in the same way, here and on {more - 1} other routes"))
        return config

    def _config(self, entry: CatalogEntry, layers: Sequence[ConfigLayer]) -> Mapping[str, Any]:
        bounds = self.bounds.get(entry.manifest.name, FREE)
        grant = grantOf(entry.manifest.name, self.plugins, bounds)
        signer = "" if bounds.signer is None or bounds.signer.permissions is None else bounds.signer.name
        config, refused = grantedConfig(entry.manifest, layers, grant, signer)
        key = entry.manifest.name, json.dumps(config, sort_keys=True, default=repr)
        if key not in self.configs:
            problems = refused or checkConfig(entry.manifest, config, layers)
            self.problems.extend(problems)
            if problems:
                return config  # an equal one elsewhere is wrong at another place
            self.configs[key] = config
        return self.configs[key]


def _letters(name: str) -> str:
    return name.rpartition(".")[2].replace("_", "").replace("-", "")
