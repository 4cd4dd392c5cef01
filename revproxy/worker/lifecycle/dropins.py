"""
Drop-ins: middleware that are installed with Python and found through Twisted's plugin system.

They are code, so who runs code imports them. What they say of themselves is told as values.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from twisted.logger import Logger
from twisted.plugin import IPlugin, getPlugins

import revproxy.plugins
from revproxy.config.manifest import manifestFromMapping
from revproxy.config.problems import ConfigErrors, Problem, textOf
from revproxy.interfaces import IMiddlewareFactory
from revproxy.plan.catalog import BrokenModule, BrokenPlugin, CatalogEntry
from revproxy.plan.words import DropIns
from revproxy.worker.lifecycle.tracebacks import described

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
        found = tuple(_found() if given is None else given)
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
        modules = tuple(_brokenModules()) if given is None else ()
        self.told = DropIns(tuple(entries), tuple(broken), modules)

    def of(self, entry: CatalogEntry) -> Any:
        """
        :returns: the `IMiddlewareFactory` of a drop-in.
        :raises KeyError: it is not installed here.
        """
        return self._factories[entry.manifest.name, entry.source]


def _found() -> Iterable[Any]:
    """What is installed; if one module has something in it that raises when it is looked at, what the others have."""
    try:
        return tuple(getPlugins(IMiddlewareFactory, revproxy.plugins))
    except BaseException as error:  # foreign code
        _log.error("a drop-in module cannot be looked through: {error}", error=described(error))
    return tuple(_lookedThrough())


def _lookedThrough() -> Iterator[Any]:
    for found in pkgutil.iter_modules(revproxy.plugins.__path__, f"{revproxy.plugins.__name__}."):
        try:
            module = importlib.import_module(found.name)
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


def _brokenModules() -> Iterator[BrokenModule]:
    """Drop-in modules that cannot be imported: ``getPlugins`` passes over them silently."""
    for found in pkgutil.iter_modules(revproxy.plugins.__path__, f"{revproxy.plugins.__name__}."):
        try:
            importlib.import_module(found.name)
        except BaseException as error:  # foreign code
            yield BrokenModule(found.name, f"{type(error).__name__}: {textOf(error)}")
