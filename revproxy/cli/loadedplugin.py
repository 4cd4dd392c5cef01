"""
A plugin's folder, loaded as the edge loads it: for the tests of its author.

Read once, checked, imported from the bytes that were read under a name of its own; the manifest is checked, the
configuration against its schema, what the entry point returns against the interfaces. Nothing is started.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from revproxy.bundles.bundle import Bundle
from revproxy.config.grantedconfig import grantedConfig
from revproxy.config.manifest import ConfigLayer, Manifest, checkConfig
from revproxy.config.problems import Problem, textOf
from revproxy.control.catalogreader import readPlugin
from revproxy.interfaces import IConfigurable
from revproxy.loading.contract import PluginError
from revproxy.loading.loader import LoadedBundle, instantiate, loadBundle, unload
from revproxy.loading.tracebacks import tracebackOf
from revproxy.permissions import UNASKED, Permissions
from revproxy.plan.catalog import BrokenPlugin, CatalogEntry, entryOf

_given: dict[Path, Bundle] = {}


def give(folder: Path, bundle: Bundle) -> None:
    """Have `loadPlugin` take this for what is in a folder: in a process that can open no file."""
    _given[folder] = bundle


class PluginRefused(Exception):
    """
    The edge would not take this plugin, or not with this configuration.

    :ivar problems: each one line, its place first.
    """

    def __init__(self, problems: tuple[str, ...], details: str = "") -> None:
        super().__init__("\n".join((*problems, *filter(None, [details]))))
        self.problems = problems


class LoadedPlugin:
    """
    A plugin that is imported.

    :ivar manifest: its plugin.json.
    :ivar module: its plugin.py, as it was imported.
    """

    def __init__(self, loaded: LoadedBundle, manifest: Manifest) -> None:
        self.manifest = manifest
        self.module: Any = loaded.main
        self._loaded = loaded

    @property
    def permissions(self) -> Permissions | None:
        """What it may touch where it has been granted all that it asks for; ``None``: everything."""
        unasked = UNASKED if self.manifest.isolation == "process" else None
        return unasked if self.manifest.permissions is None else self.manifest.permissions

    def make(self, config: Mapping[str, Any] | None = None) -> Any:
        """
        A middleware, as ``PluginMain`` makes it. It is not attached and not started.

        :param config: over the ``config`` of plugin.json, key by key, as revproxy.yaml has it.
        :raises PluginRefused: the configuration does not fit the schema; plugin.json refers to a variable or file, and
            no value is given in its place; ``validateConfig`` does not take it; or ``PluginMain`` raises, or returns
            what is no middleware.
        """
        layer = ConfigLayer(dict(config or {}), None, (), "the configuration of this test")
        whole, refused = grantedConfig(self.manifest, [layer], None)
        problems = refused or checkConfig(self.manifest, whole, [layer])
        if problems:
            raise PluginRefused(_linesOf(problems))
        try:
            made = instantiate(self._loaded, self.manifest, whole)
            if IConfigurable.providedBy(made):
                made.validateConfig(whole)
        except PluginError as error:
            raise _refused(error) from error
        except ValueError as error:
            raise PluginRefused((f"validateConfig refused the configuration: {textOf(error)}",)) from error
        return made

    def unload(self) -> None:
        """Take its modules out of the interpreter, as the edge does. What was made goes on working."""
        unload(self._loaded)


def loadPlugin(directory: str | os.PathLike[str]) -> LoadedPlugin:
    """
    Load the plugin in a folder as the edge does.

    A test that stands in the plugin's folder writes ``loadPlugin(Path(__file__).parent)``, and ``unload`` at the end.

    :raises PluginRefused: its files, its plugin.json or its code will not do.
    """
    folder = Path(directory)
    if folder in _given:
        return _loaded(entryOf(_given[folder], str(folder / "plugin.json")))
    folder = folder.absolute()
    if not os.path.lexists(folder / "plugin.json"):
        hint = "" if Path(directory).is_absolute() else "; beside plugin.py write loadPlugin(Path(__file__).parent)"
        raise PluginRefused((f"{folder}: there is no plugin.json in it{hint}",))
    return _loaded(readPlugin(folder))


def _loaded(entry: CatalogEntry | BrokenPlugin) -> LoadedPlugin:
    if isinstance(entry, BrokenPlugin):
        raise PluginRefused(_linesOf(entry.problems))
    assert entry.bundle is not None
    try:
        return LoadedPlugin(loadBundle(entry.bundle, entry.manifest), entry.manifest)
    except PluginError as error:
        raise _refused(error) from error


def _refused(error: PluginError) -> PluginRefused:
    cause = error.__cause__
    return PluginRefused((str(error),), "" if cause is None else tracebackOf(cause))


def _linesOf(problems: tuple[Problem, ...] | list[Problem]) -> tuple[str, ...]:
    return tuple(" ".join(str(problem).splitlines()) for problem in problems)
