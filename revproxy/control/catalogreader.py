"""
Reads what plugins there are: the folders of plugins, and what installed drop-ins say of themselves.

A broken plugin does not hide the others: its problems are kept with its name and come up when it is wanted. So a plugin
that is switched off may be broken, and for one that is on the change is refused.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from errno import ENOENT, ENOTDIR
from pathlib import Path

from revproxy.bundles.bundle import LARGEST, MAX_BYTES, Bundle, BundleReader
from revproxy.bundles.ignorerules import isPassing
from revproxy.config.problems import ConfigErrors, Problem, writable
from revproxy.plan.catalog import BrokenModule, BrokenPlugin, Catalog, CatalogEntry, duplicate, entryOf
from revproxy.plan.words import DropIns


def readCatalog(
    directory: Path | None, dropIns: DropIns = DropIns(), maxBytes: int = MAX_BYTES  # noqa: B008
) -> Catalog:
    """
    Read every plugin there is, once; see `CatalogReader`.
    """
    return CatalogReader(dropIns).read(directory, maxBytes=maxBytes)


class CatalogReader:
    """
    Reads what plugins there are, again and again. Imports no code.

    What has not changed since the last time is the same object: bundles, entries, broken plugins.
    """

    def __init__(self, dropIns: DropIns = DropIns()) -> None:  # noqa: B008
        """
        :param dropIns: what is installed with Python. What is installed later is found after a restart.
        """
        self.dropIns = dropIns
        self._bundles = BundleReader()
        self._known: dict[Path, tuple[Bundle, CatalogEntry | BrokenPlugin]] = {}
        # What was read last.
        self._directory: Path | None = None
        self._plugins: dict[Path, CatalogEntry | BrokenPlugin] = {}

    def read(
        self, directory: Path | None, owners: Mapping[str, Path] | None = None, maxBytes: int = MAX_BYTES
    ) -> Catalog:
        """
        Blocks while it reads.

        :param directory: folder of plugin folders; those without a plugin.json are passed over.
        :param owners: by name, the folder that keeps the name when another one claims it, too.
        :param maxBytes: of all files of a plugin together.
        :raises ConfigErrors: ``directory`` itself cannot be read.
        """
        folders = sorted(_pluginFolders(directory))
        self._directory = directory
        here = set(folders)
        self._bundles.retain(here)
        for gone in self._known.keys() - here:
            del self._known[gone]
        self._plugins = {folder: self._plugin(folder, maxBytes) for folder in folders}
        return self._catalog(owners)

    def again(self, directory: Path | None, owners: Mapping[str, Path] | None = None) -> Catalog:
        """What was read last, of a folder that was read last; of another one, as :meth:`read`."""
        return self._catalog(owners) if directory == self._directory else self.read(directory, owners)

    def _catalog(self, owners: Mapping[str, Path] | None) -> Catalog:
        plugins = self._plugins
        owned = [plugin for folder, plugin in plugins.items() if _ownsItsName(folder, plugin, owners or {})]
        others = [plugin for folder, plugin in plugins.items() if not _ownsItsName(folder, plugin, owners or {})]
        installed = self.dropIns
        return _catalogOf((*owned, *installed.entries, *installed.broken, *others), installed.modules)

    def _plugin(self, folder: Path, maxBytes: int) -> CatalogEntry | BrokenPlugin:
        source = str(folder / "plugin.json")
        name = writable(folder.name)
        if name != folder.name:  # it is to be remembered, in a file that is UTF-8
            return BrokenPlugin(name, True, source, (Problem(str(folder), 0, 0, "", _NAMELESS),))
        try:
            bundle = self._bundles.read(folder, maxBytes)
        except (ConfigErrors, OSError) as error:  # whatever a disk says, it says it of this folder only
            self._known.pop(folder, None)
            problems = error.problems if isinstance(error, ConfigErrors) else (_unreadable(folder, error),)
            return BrokenPlugin(folder.name, True, source, problems)
        known = self._known.get(folder)
        if known is None or known[0] is not bundle:
            if known is not None and known[0].digest == bundle.digest:
                self._known[folder] = bundle, replace(known[1], bundle=bundle)  # the same, with other tests
            else:
                self._known[folder] = bundle, entryOf(bundle, source)
        return self._known[folder][1]


_NAMELESS = "its name is not UTF-8; rename the folder"


def readPlugin(folder: Path) -> CatalogEntry | BrokenPlugin:
    """
    Read one directory plugin, as large as any edge may allow.
    """
    return CatalogReader()._plugin(folder, LARGEST)


def _ownsItsName(folder: Path, plugin: CatalogEntry | BrokenPlugin, owners: Mapping[str, Path]) -> bool:
    return isinstance(plugin, CatalogEntry) and owners.get(plugin.manifest.name) == folder


def _catalogOf(found: Iterable[CatalogEntry | BrokenPlugin], modules: tuple[BrokenModule, ...]) -> Catalog:
    entries: dict[str, CatalogEntry] = {}
    broken: list[BrokenPlugin] = []
    for plugin in found:
        if isinstance(plugin, CatalogEntry) and plugin.manifest.name in entries:
            broken.append(duplicate(plugin, entries[plugin.manifest.name].source))
        elif isinstance(plugin, CatalogEntry):
            entries[plugin.manifest.name] = plugin
        else:
            broken.append(plugin)
    return Catalog(dict(sorted(entries.items())), tuple(broken), modules)


def _pluginFolders(directory: Path | None) -> list[Path]:
    if directory is None:
        return []
    try:
        return [path for path in directory.iterdir() if not isPassing(path.name) and _hasManifest(path)]
    except OSError as error:
        raise ConfigErrors([_unreadable(directory, error)]) from None


def _unreadable(path: Path, error: OSError) -> Problem:
    return Problem(str(path), 0, 0, "", f"cannot be read: {error.strerror or error}")


def _hasManifest(folder: Path) -> bool:
    """
    Also one that is none (a named pipe, a folder). And wherever that cannot be told, because somebody may not look, a
    disk does not answer, or a link leads nowhere: a plugin that runs must not seem to be gone, and one folder must not
    keep the others from being read. Reading it says what is wrong.
    """
    try:
        os.lstat(folder / "plugin.json")
    except OSError as error:
        if error.errno == ENOENT:
            return folder.is_symlink() and not os.path.exists(folder)
        return error.errno != ENOTDIR
    return True
