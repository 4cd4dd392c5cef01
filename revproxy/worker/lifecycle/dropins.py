"""
Drop-ins: middleware that are installed with Python and found through Twisted's plugin system.

They are code, so who runs code imports them. What they say of themselves is told as values.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

from twisted.logger import Logger
from twisted.plugin import IPlugin, getCache

import revproxy.plugins
from revproxy.config.manifest import manifestFromMapping
from revproxy.config.problems import ConfigErrors, Problem, textOf
from revproxy.config.trustconfig import TrustConfig
from revproxy.interfaces import IMiddlewareFactory
from revproxy.loading.tracebacks import described
from revproxy.plan.catalog import BrokenModule, BrokenPlugin, CatalogEntry, Distribution
from revproxy.plan.words import DropIns
from revproxy.worker.lifecycle.installedcheck import checkInstalled, isChecked, ownModules

_log = Logger()


class DropInFactories:
    """
    What is installed, looked for once: what pip installs into a running process is found after a restart.

    :ivar told: the same as a word.
    :ivar untrusted: why modules were not imported, that nobody who counts vouches for.
    """

    def __init__(self, given: Iterable[Any] | None = None, trust: TrustConfig = TrustConfig()) -> None:  # noqa: B008
        """
        :param given: `IMiddlewareFactory` providers, instead of what Twisted's plugin system finds.
        :param trust: what may be imported.
        """
        self.untrusted: tuple[str, ...] = ()
        modules: list[BrokenModule] = []
        if given is not None:
            found: list[_Found] = [(factory, None) for factory in given]
        elif isChecked(trust):
            checked = checkInstalled(trust)
            found, modules = _imported(checked.allowed)
            modules += checked.broken
            self.untrusted = tuple(f"{each.name}: {each.error}" for each in checked.broken)
        else:
            found, modules = _installed()
        self._factories: dict[tuple[str, str], Any] = {}
        entries: list[CatalogEntry] = []
        broken: list[BrokenPlugin] = []
        for factory, distribution in found:
            plugin = _dropIn(factory, distribution)
            if isinstance(plugin, CatalogEntry):
                entries.append(plugin)
                self._factories.setdefault((plugin.manifest.name, plugin.source), factory)
            else:
                broken.append(plugin)
        self.told = DropIns(tuple(entries), tuple(broken), tuple(modules))

    def of(self, entry: CatalogEntry) -> Any:
        """
        :returns: the `IMiddlewareFactory` of a drop-in.
        :raises KeyError: it is not installed here.
        """
        return self._factories[entry.manifest.name, entry.source]


_Found = tuple[Any, Distribution | None]
"""A factory, and what it was installed with, as far as that is known."""


def _imported(allowed: Mapping[str, Distribution | None]) -> tuple[list[_Found], list[BrokenModule]]:
    """What is in modules that may be imported; twisted's cache of plugins is not asked, for others write it."""
    found: dict[int, _Found] = {}
    broken = []
    for name, distribution in allowed.items():
        try:
            module = importlib.import_module(name)
        except BaseException as error:  # foreign code
            broken.append(_brokenBy(name, error))
            continue
        for value in tuple(vars(module).values()):
            if _isFactory(value):
                found.setdefault(id(value), (value, distribution))
    return list(found.values()), broken


def _isFactory(value: Any) -> bool:
    try:
        return bool(IPlugin.providedBy(value) and IMiddlewareFactory.providedBy(value))
    except BaseException:  # foreign code: whatever it is, it is no factory
        return False


def _installed() -> tuple[list[_Found], list[BrokenModule]]:
    """
    Factories, and modules that cannot be imported. As ``getPlugins``, which passes over the latter silently: what is
    known to have no middleware is not imported.
    """
    own = ownModules()
    try:
        known = getCache(revproxy.plugins)
    except BaseException as error:  # foreign code: one module has something in it that raises when it is looked at
        _log.error("a drop-in module cannot be looked through: {error}", error=described(error))
        return [(value, own.get(name)) for name, value in _lookedThrough()], list(_brokenModules(()))
    factories: list[_Found] = []
    broken = {module.name: module for module in _brokenModules(known)}
    for module in known.values():
        for plugin in module.plugins:
            try:
                factory = IMiddlewareFactory(plugin, None)
            except BaseException as error:  # foreign code: it could be imported when it was looked at last
                broken[module.moduleName] = _brokenBy(module.moduleName, error)
            else:
                if factory is not None:
                    factories.append((factory, own.get(module.moduleName)))
    return factories, list(broken.values())


def _lookedThrough() -> Iterator[tuple[str, Any]]:
    """Names of modules, each with a factory in it."""
    for found in _modules():
        try:
            module = importlib.import_module(found)
        except BaseException:  # foreign code; it is told
            continue
        yield from ((found, value) for value in tuple(vars(module).values()) if _isFactory(value))


def _dropIn(factory: Any, distribution: Distribution | None) -> CatalogEntry | BrokenPlugin:
    source = type(factory).__module__
    try:
        source = str(getattr(getattr(factory, "main", None), "__module__", None) or source)
        return _entryOf(factory, source, distribution)
    except BaseException as error:  # foreign code
        problem = Problem(source, 0, 0, "", f"its manifest cannot be had: {described(error)}")
        return BrokenPlugin(source, False, source, (problem,))


def _entryOf(factory: Any, source: str, distribution: Distribution | None) -> CatalogEntry | BrokenPlugin:
    try:
        manifest = manifestFromMapping(factory.manifest, source)
    except ConfigErrors as errors:
        given = factory.manifest.get("name") if isinstance(factory.manifest, Mapping) else None
        return BrokenPlugin(str(given or source), False, source, errors.problems)
    return CatalogEntry(manifest, "dropin", None, source, distribution)


def _modules() -> Iterator[str]:
    prefix = f"{revproxy.plugins.__name__}."
    return (found.name for found in pkgutil.iter_modules(revproxy.plugins.__path__, prefix))


def _brokenModules(known: Container[str]) -> Iterator[BrokenModule]:
    """:param known: the last parts of the names of those that could be imported."""
    for name in _modules():
        if name.rpartition(".")[2] not in known:
            try:
                importlib.import_module(name)
            except BaseException as error:  # foreign code
                yield _brokenBy(name, error)


def _brokenBy(name: str, error: BaseException) -> BrokenModule:
    return BrokenModule(name, f"{type(error).__name__}: {textOf(error)}")
