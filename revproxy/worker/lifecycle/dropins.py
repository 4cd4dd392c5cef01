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
from revproxy.interfaces import IMiddlewareFactory
from revproxy.loading.tracebacks import described
from revproxy.plan.catalog import BrokenModule, BrokenPlugin, CatalogEntry
from revproxy.plan.words import DropIns

_log = Logger()


class DropInFactories:
    """
    What is installed, looked for once: what pip installs into a running process is found after a restart.

    :ivar told: the same as a word.
    """

    def __init__(self, given: Iterable[Any] | None = None) -> None:
        """
        :param given: `IMiddlewareFactory` providers, instead of what Twisted's plugin system finds.
        """
        found, modules = _installed() if given is None else (tuple(given), [])
        self._factories: dict[tuple[str, str], Any] = {}
        entries: list[CatalogEntry] = []
        broken: list[BrokenPlugin] = []
        for factory in found:
            plugin = _dropIn(factory)
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


def _installed() -> tuple[list[Any], list[BrokenModule]]:
    """
    Factories, and modules that cannot be imported. As ``getPlugins``, which passes over the latter silently: what is
    known to have no middleware is not imported.
    """
    try:
        known = getCache(revproxy.plugins)
    except BaseException as error:  # foreign code: one module has something in it that raises when it is looked at
        _log.error("a drop-in module cannot be looked through: {error}", error=described(error))
        return list(_lookedThrough()), list(_brokenModules(()))
    factories = []
    broken = {module.name: module for module in _brokenModules(known)}
    for module in known.values():
        for plugin in module.plugins:
            try:
                factory = IMiddlewareFactory(plugin, None)
            except BaseException as error:  # foreign code: it could be imported when it was looked at last
                broken[module.moduleName] = _brokenBy(module.moduleName, error)
            else:
                if factory is not None:
                    factories.append(factory)
    return factories, list(broken.values())


def _lookedThrough() -> Iterator[Any]:
    for found in _modules():
        try:
            module = importlib.import_module(found)
        except BaseException:  # foreign code; it is told
            continue
        for value in tuple(vars(module).values()):
            try:
                isFactory = IPlugin.providedBy(value) and IMiddlewareFactory.providedBy(value)
            except BaseException:  # foreign code: whatever it is, it is no factory
                continue
            if isFactory:
                yield value


def _dropIn(factory: Any) -> CatalogEntry | BrokenPlugin:
    source = type(factory).__module__
    try:
        source = str(getattr(getattr(factory, "main", None), "__module__", None) or source)
        return _entryOf(factory, source)
    except BaseException as error:  # foreign code
        problem = Problem(source, 0, 0, "", f"its manifest cannot be had: {described(error)}")
        return BrokenPlugin(source, False, source, (problem,))


def _entryOf(factory: Any, source: str) -> CatalogEntry | BrokenPlugin:
    try:
        manifest = manifestFromMapping(factory.manifest, source)
    except ConfigErrors as errors:
        given = factory.manifest.get("name") if isinstance(factory.manifest, Mapping) else None
        return BrokenPlugin(str(given or source), False, source, errors.problems)
    return CatalogEntry(manifest, "dropin", None, source)


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
