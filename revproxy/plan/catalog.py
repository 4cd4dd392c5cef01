"""All plugins there are, from folders and from Twisted's plugin system, and which of them are wanted.

A broken plugin does not hide the others: its problems are kept with its name and come up when it is wanted. So one that
is switched off may be broken, and one that is on refuses the change.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from errno import EACCES, EIO, EPERM, ESTALE
from itertools import islice
from pathlib import Path
from typing import Any

from twisted.plugin import getPlugins

import revproxy.plugins
from revproxy.bundles.bundle import Bundle, BundleReader, isPassing
from revproxy.config.document import Document
from revproxy.config.manifest import (
    ConfigLayer,
    Manifest,
    checkConfig,
    effectiveConfig,
    manifestFromMapping,
    parseManifest,
)
from revproxy.config.problems import ConfigErrors, Problem, Step, quoted, suggestion
from revproxy.config.settings import Config, PluginSetting, RouteConfig, RouteGroup
from revproxy.control.planning.order import resolveOrder
from revproxy.interfaces import IMiddlewareFactory

MAX_TOLD = 20
"""On how many routes it is told that they say the same wrong thing of a plugin: there may be ten thousand."""


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """One plugin that could run.

    :ivar origin: ``"directory"`` or ``"dropin"``.
    :ivar bundle: a directory plugin's files.
    :ivar factory: a drop-in's `IMiddlewareFactory`.
    :ivar source: where it is, as messages call it.
    """

    manifest: Manifest
    origin: str
    bundle: Bundle | None
    factory: Any
    source: str

    @property
    def label(self) -> str:
        """Version and the beginning of the digest, as messages and events call it."""
        version = str(self.manifest.version)
        return version if self.bundle is None else f"{version} ({self.bundle.digest[:12]})"

    @property
    def digest(self) -> str | None:
        """Of its files; ``None`` for a drop-in."""
        return None if self.bundle is None else self.bundle.digest


@dataclass(frozen=True, slots=True)
class BrokenPlugin:
    """One plugin that cannot be used.

    :ivar name: its own if that could be read, else its folder's.
    :ivar wanted: whether it would run without being named.
    :ivar bundle: its files, if they could be read.
    """

    name: str
    wanted: bool
    source: str
    problems: tuple[Problem, ...]
    bundle: Bundle | None = None


@dataclass(frozen=True, slots=True)
class Selected:
    """A plugin that runs on at least one route.

    :ivar config: its effective configuration on every lane that ``lanes`` does not name; ``None``: off there.
    :ivar lanes: index of a lane to the configuration on its routes; ``None``: off there.

    Equal configurations of one plugin are one object, so that instances can be shared by identity.
    """

    entry: CatalogEntry
    config: Mapping[str, Any] | None
    lanes: Mapping[int, Mapping[str, Any] | None] = field(default_factory=dict)

    @property
    def manifest(self) -> Manifest:
        """The plugin's manifest."""
        return self.entry.manifest

    def configFor(self, lane: int) -> Mapping[str, Any] | None:
        """The configuration on a lane, by its index; ``None`` when the plugin is off there."""
        return self.lanes.get(lane, self.config)


@dataclass(frozen=True, slots=True)
class Catalog:
    """What `readCatalog` found.

    :ivar entries: by name.
    :ivar broken: in the order they were found; names may be those of entries too when a name was given twice.
    """

    entries: Mapping[str, CatalogEntry]
    broken: tuple[BrokenPlugin, ...] = ()

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Those of all broken plugins."""
        return tuple(problem for broken in self.broken for problem in broken.problems)

    def select(self, config: Config, switches: Mapping[str, bool] | None = None) -> tuple[Selected, ...]:
        """Who runs where, with which configuration, by name.

        A plugin is on where revproxy.yaml names it with ``true`` or a mapping, and off where it is named with
        ``false``; a route's word goes over ``plugins.config``. One that is not named is on if it is a directory plugin
        whose ``enabled`` is true.

        :param switches: what ``revproxy enable`` and ``disable`` said, over everything that is written: ``False`` is
            off on every route, ``True`` on where a route does not say otherwise.
        :raises ConfigErrors: unknown names, wanted plugins that are broken, configuration a plugin refuses.
        """
        return _Selection(self, config, switches or {}).run()


def chains(selected: Sequence[Selected], config: Config) -> tuple[tuple[tuple[Selected, Any], ...], ...]:
    """For each lane its plugins in order, each with its configuration there. Lanes with equal sets share one tuple.

    :raises ConfigErrors: see `resolveOrder`; a problem that only some routes have names the first of them.
    """
    byName = {one.manifest.name: one for one in selected}
    known: dict[tuple[Any, ...], tuple[tuple[Selected, Any], ...]] = {}
    orders: dict[tuple[str, ...], tuple[Manifest, ...]] = {}
    problems: list[Problem] = []
    result = []
    for index, lane in enumerate(config.routeGroups):
        here = {name: one.configFor(index) for name, one in byName.items()}
        names = tuple(name for name, settings in here.items() if settings is not None)
        key = tuple((name, id(here[name])) for name in names)
        if key not in known:
            if names not in orders:
                route = config.routes[lane.routes[0]]
                orders[names] = _orderOn(route, [byName[name].manifest for name in names], problems)
            known[key] = tuple((byName[one.name], here[one.name]) for one in orders[names])
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


def readCatalog(directory: Path | None, dropins: Iterable[Any] | None = None) -> Catalog:
    """Look at every plugin there is, once; see `CatalogReader`."""
    return CatalogReader(dropins).read(directory)


class CatalogReader:
    """Looks at every plugin there is, again and again.

    Reads files, imports drop-in modules, imports no directory plugin. What has not changed since the last look is the
    same object: bundles, entries, broken plugins.

    :param dropins: instead of what ``getPlugins`` finds. They are looked for once: what is installed with pip into a
        running process is found after a restart.
    """

    def __init__(self, dropins: Iterable[Any] | None = None) -> None:
        self._given = None if dropins is None else tuple(dropins)
        self._dropins: tuple[CatalogEntry | BrokenPlugin, ...] | None = None
        self._bundles = BundleReader()
        self._known: dict[Path, tuple[Bundle, CatalogEntry | BrokenPlugin]] = {}

    def read(self, directory: Path | None, homes: Mapping[str, Path] | None = None) -> Catalog:
        """Blocks while it reads.

        :param directory: folder of plugin folders; those without a plugin.json are passed over.
        :param homes: by name, the folder that keeps it when another one claims the same.
        :raises ConfigErrors: ``directory`` itself cannot be read.
        """
        if self._dropins is None:
            given = self._given
            found = getPlugins(IMiddlewareFactory, revproxy.plugins) if given is None else given
            self._dropins = tuple(_dropIn(factory) for factory in found)
        folders = sorted(_pluginFolders(directory))
        here = set(folders)
        self._bundles.retain(here)
        for gone in self._known.keys() - here:
            del self._known[gone]
        plugins = {folder: self._plugin(folder) for folder in folders}
        strangers = [one for folder, one in plugins.items() if not _isAtHome(folder, one, homes or {})]
        atHome = [one for folder, one in plugins.items() if _isAtHome(folder, one, homes or {})]
        return _catalogOf((*atHome, *self._dropins, *strangers))

    def _plugin(self, folder: Path) -> CatalogEntry | BrokenPlugin:
        source = str(folder / "plugin.json")
        try:
            bundle = self._bundles.read(folder)
        except ConfigErrors as errors:
            self._known.pop(folder, None)
            return BrokenPlugin(folder.name, True, source, errors.problems)
        known = self._known.get(folder)
        if known is None or known[0] is not bundle:
            if known is not None and known[0].digest == bundle.digest:
                self._known[folder] = bundle, known[1]  # touched, and the same
            else:
                self._known[folder] = bundle, _entryOf(bundle, source)
        return self._known[folder][1]


def readPlugin(folder: Path) -> CatalogEntry | BrokenPlugin:
    """One directory plugin."""
    return CatalogReader(())._plugin(folder)


def storedEntry(bundle: Bundle) -> CatalogEntry:
    """A plugin from the version store. :raises ConfigErrors: this version of revproxy does not take its manifest."""
    entry = _entryOf(bundle, str(bundle.directory / "plugin.json"))
    if isinstance(entry, BrokenPlugin):
        raise ConfigErrors(entry.problems)
    return entry


def _isAtHome(folder: Path, one: CatalogEntry | BrokenPlugin, homes: Mapping[str, Path]) -> bool:
    return isinstance(one, CatalogEntry) and homes.get(one.manifest.name) == folder


def _catalogOf(found: Iterable[CatalogEntry | BrokenPlugin]) -> Catalog:
    entries: dict[str, CatalogEntry] = {}
    broken: list[BrokenPlugin] = []
    for one in found:
        if isinstance(one, CatalogEntry) and one.manifest.name in entries:
            broken.append(duplicate(one, entries[one.manifest.name].source))
        elif isinstance(one, CatalogEntry):
            entries[one.manifest.name] = one
        else:
            broken.append(one)
    return Catalog(dict(sorted(entries.items())), tuple(broken))


def duplicate(entry: CatalogEntry, other: str) -> BrokenPlugin:
    """A plugin whose name is another one's. :param other: where that is."""
    name = entry.manifest.name
    message = f"{quoted(name)} is also the name of the plugin in {other}; give one of them another name"
    where = entry.manifest.document or Document(entry.source, None)
    return BrokenPlugin(name, True, entry.source, (where.problem(("name",), message),), entry.bundle)


def _pluginFolders(directory: Path | None) -> list[Path]:
    if directory is None:
        return []
    try:
        return [path for path in directory.iterdir() if not isPassing(path.name) and _hasManifest(path)]
    except OSError as error:
        raise ConfigErrors([Problem(str(directory), 0, 0, "", f"cannot be read: {error.strerror}")]) from None


def _hasManifest(folder: Path) -> bool:
    """
    Also one that is none (a named pipe, a folder), and one that may not be looked at: a plugin that runs must not seem
    to be gone, and one folder must not keep the others from being read.
    """
    try:
        os.lstat(folder / "plugin.json")
    except OSError as error:
        return error.errno in (EACCES, EPERM, EIO, ESTALE) and os.path.isdir(folder)
    return True


def _entryOf(bundle: Bundle, source: str) -> CatalogEntry | BrokenPlugin:
    try:
        manifest = parseManifest(bundle.files["plugin.json"], source)
    except ConfigErrors as errors:
        return BrokenPlugin(bundle.name, True, source, errors.problems, bundle)
    return CatalogEntry(manifest, "directory", bundle, None, source)


def _dropIn(factory: Any) -> CatalogEntry | BrokenPlugin:
    source = str(getattr(getattr(factory, "main", None), "__module__", None) or type(factory).__module__)
    try:
        manifest = manifestFromMapping(factory.manifest, source)
    except ConfigErrors as errors:
        given = factory.manifest.get("name") if isinstance(factory.manifest, Mapping) else None
        return BrokenPlugin(str(given or source), False, source, errors.problems)
    return CatalogEntry(manifest, "dropin", None, factory, source)


def brokenDropInModules() -> Iterator[tuple[str, str]]:
    """Dotted name and error of each drop-in module that cannot be imported: ``getPlugins`` forgives them silently."""
    for found in pkgutil.iter_modules(revproxy.plugins.__path__, f"{revproxy.plugins.__name__}."):
        try:
            importlib.import_module(found.name)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # foreign code
            yield found.name, f"{type(error).__name__}: {' '.join(str(error).split())}"


class _Selection:
    """One run of `Catalog.select`."""

    def __init__(self, catalog: Catalog, config: Config, switches: Mapping[str, bool]) -> None:
        self.catalog = catalog
        self.switches = switches
        self.plugins = config.plugins
        self.lanes = config.routeGroups
        self.document = config.document or Document("configuration", None)
        self.problems: list[Problem] = []
        #: One object per plugin and configuration: equal ones are the same, so that instances can be shared.
        self.configs: dict[tuple[str, str], Mapping[str, Any]] = {}
        self.overrides: dict[str, dict[int, PluginSetting]] = {}
        for index, lane in enumerate(config.routeGroups):
            for name, setting in lane.plugins.items():
                self.overrides.setdefault(name, {})[index] = setting

    def run(self) -> tuple[Selected, ...]:
        """The result, or all problems."""
        self._checkNames()
        self._checkBroken()
        selected = [self._selected(entry) for entry in self.catalog.entries.values()]
        if self.problems:
            raise ConfigErrors(self.problems)
        return tuple(one for one in selected if one is not None)

    def _placesOf(self, name: str) -> Iterator[tuple[Step, ...]]:
        if name in self.plugins.config:
            yield "plugins", "config", name
        for index in sorted(each for lane in self.overrides.get(name, ()) for each in self.lanes[lane].routes):
            yield "routes", index, "plugins", name

    def _checkNames(self) -> None:
        known = {*self.catalog.entries, *(broken.name for broken in self.catalog.broken)}
        off = {name for name, on in self.switches.items() if not on}
        absent = [name for name in {**self.plugins.config, **self.overrides} if name not in known | off]
        failed = list(brokenDropInModules()) if absent else []
        for name in absent:
            message = f"no plugin named {quoted(name)}{suggestion(name, self.catalog.entries)}"
            for module, error in sorted(failed, key=lambda one: _letters(one[0]) != _letters(name))[:3]:
                message += f"; the drop-in module {module} cannot be imported: {error}"
            places = islice(self._placesOf(name), MAX_TOLD)
            self.problems += (self.document.problem(path, message) for path in places)

    def _checkBroken(self) -> None:
        for broken in self.catalog.broken:
            if self.switches.get(broken.name) is False:
                continue
            says = [setting for name, setting in self._settings() if name == broken.name]
            if any(setting is not False for setting in says) or (broken.wanted and not says):
                self.problems.extend(broken.problems)

    def _settings(self) -> Iterator[tuple[str, PluginSetting]]:
        yield from self.plugins.config.items()
        for name, settings in self.overrides.items():
            for setting in settings.values():
                yield name, setting

    def _selected(self, entry: CatalogEntry) -> Selected | None:
        name = entry.manifest.name
        setting = self.plugins.config.get(name)
        layers: list[ConfigLayer] = []
        if isinstance(setting, Mapping):
            layers.append(ConfigLayer(setting, self.document, ("plugins", "config", name), self.document.source))
        switch = self.switches.get(name)
        if switch is False:
            return None
        everywhere = switch is True or _isOn(entry, setting)
        overrides = self.overrides.get(name, {})
        # Where every route says its own, nobody uses the common configuration, and it need not be complete.
        used = everywhere and (not self.lanes or len(overrides) < len(self.lanes))
        config = self._config(entry, layers) if used else None
        lanes: dict[int, Mapping[str, Any] | None] = {}
        for index, own in overrides.items():
            lanes[index] = self._onLane(entry, self.lanes[index], own, layers) if _isOn(entry, own) else None
        if config is None and not any(one is not None for one in lanes.values()):
            return None
        return Selected(entry, config, lanes)

    def _onLane(
        self, entry: CatalogEntry, lane: RouteGroup, own: PluginSetting, layers: Sequence[ConfigLayer]
    ) -> Mapping[str, Any]:
        if not isinstance(own, Mapping):
            return self._config(entry, layers)
        document, found = self.document, len(self.problems)
        for index in lane.routes[:MAX_TOLD]:
            path = ("routes", index, "plugins", entry.manifest.name)
            config = self._config(entry, [*layers, ConfigLayer(own, document, path, document.source)])
            if len(self.problems) == found:
                return config  # what is right on one of them is right on all; what is wrong is wrong on each
        more = len(lane.routes) - MAX_TOLD
        if more > 0:
            path = ("routes", lane.routes[MAX_TOLD], "plugins", entry.manifest.name)
            self.problems.append(document.problem(path, f"wrong in the same way, here and on {more - 1} other routes"))
        return config

    def _config(self, entry: CatalogEntry, layers: Sequence[ConfigLayer]) -> Mapping[str, Any]:
        config = effectiveConfig(entry.manifest, layers)
        key = entry.manifest.name, json.dumps(config, sort_keys=True, default=repr)
        if key not in self.configs:
            problems = checkConfig(entry.manifest, config, layers)
            self.problems.extend(problems)
            if problems:
                return config  # an equal one elsewhere is wrong at another place
            self.configs[key] = config
        return self.configs[key]


def _isOn(entry: CatalogEntry, setting: PluginSetting | None) -> bool:
    """What is named with true or a mapping is on; what is not named decides itself, and drop-ins are off."""
    if setting is None:
        return entry.origin == "directory" and entry.manifest.enabled
    return setting if isinstance(setting, bool) else True


def _letters(name: str) -> str:
    return name.rpartition(".")[2].replace("_", "").replace("-", "")
