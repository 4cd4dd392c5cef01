"""
Which versions ``revproxy replay`` is about: of a folder on disk, or stored in a state folder; and with which
configurations. No edge is asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from revproxy.bundles.bundle import Bundle
from revproxy.bundles.versionstore import StoreError, VersionStore
from revproxy.config.configfile import loadConfig
from revproxy.config.document import parseYAML, readText
from revproxy.config.grantedconfig import grantedConfig
from revproxy.config.manifest import ConfigLayer
from revproxy.config.problems import ConfigErrors, quoted, suggestion
from revproxy.config.settings import Config, Isolation
from revproxy.control.catalogreader import readPlugin
from revproxy.control.planning.selection import select
from revproxy.control.state.directory import StateFolder
from revproxy.permissions import UNASKED
from revproxy.plan.catalog import BrokenPlugin, Catalog, CatalogEntry, Selected, entryOf
from revproxy.proving.orders import Subject
from revproxy.proving.subjects import subjectOf

DEFAULT_CONFIG = Path("revproxy.yaml")


class NotFound(Exception):
    """There is no such version, or it cannot be read; the text says which there are, or what to do."""


@dataclass(frozen=True, slots=True)
class Found:
    """
    A version.

    :ivar place: where it is from, for people.
    """

    subject: Subject
    version: str
    digest: str
    place: str


class _AllBut:
    """Every name but one: to name any other plugin is no mistake."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __contains__(self, name: object) -> bool:
        return name != self._name


class Versions:
    """
    Where versions and configurations come from.

    :ivar config: what revproxy.yaml says; None: there is none, and plugin.json says it all.
    """

    def __init__(self, config: Path | None, state: Path | None, settings: Path | None) -> None:
        """
        :param config: None: revproxy.yaml, if that is there and nothing else is said.
        :param state: None: what the configuration names.
        :param settings: a file that has the plugin's configuration, instead of what revproxy.yaml says.
        :raises NotFound: a file cannot be read, or is wrong.
        """
        if config is None and settings is None and DEFAULT_CONFIG.exists():
            config = DEFAULT_CONFIG
        self._settings = None if settings is None else _settingsIn(settings)
        try:
            self.config: Config | None = None if config is None else loadConfig(config)
        except ConfigErrors as errors:
            hint = "; --settings FILE gives a plugin's configuration without revproxy.yaml"
            raise NotFound("; ".join(map(str, errors.problems)) + hint) from None
        folder = state or (self.config.state if self.config is not None else None)
        self._store = None if folder is None else StateFolder(folder).store

    def inFolder(self, folder: Path, name: str | None) -> Found:
        """
        What a folder has.

        :param name: of the plugin that it is to be; None: any.
        :raises NotFound: it has none, or another.
        """
        entry = readPlugin(folder.absolute())
        if isinstance(entry, BrokenPlugin):
            raise NotFound("; ".join(map(str, entry.problems)))
        if name is not None and entry.manifest.name != name:
            raise NotFound(f"{folder}: this is plugin {entry.manifest.name}, and not {quoted(name)}")
        return self._found(entry, str(folder))

    def stored(self, name: str, wanted: str) -> Found:
        """
        A stored version.

        :param wanted: its number, or the beginning of its digest.
        :raises NotFound: there is none, or more than one.
        """
        store = self._theStore()
        kept = dict(self._kept(store, name))
        if not kept:
            raise NotFound(f"no version of {quoted(name)} is stored there{_others(store, name)}")
        numbered = [digest for digest, entry in kept.items() if entry.version.number == wanted]
        begun = [digest for digest in kept if len(wanted) >= 4 and digest.startswith(wanted)]
        found = numbered or begun
        if len(found) != 1:
            known = ", ".join(str(entry.version) for entry in kept.values()) or "none"
            why = "several have this number, name one by its digest" if found else "no such version"
            raise NotFound(f"{name}: {quoted(wanted)}: {why}; stored are: {known}")
        return self._found(kept[found[0]], "stored")

    def recorded(self, name: str, digest: str) -> Found | None:
        """The version that was recorded, if it is stored."""
        if self._store is None or not digest:
            return None
        try:
            entry = self._entry(self._store, name, digest)
        except (StoreError, NotFound):
            return None
        return self._found(entry, "stored")

    def _theStore(self) -> VersionStore:
        if self._store is None:
            raise NotFound("which state folder has it? name it with --state DIR, or the edge's file with --config FILE")
        return self._store

    def _kept(self, store: VersionStore, name: str) -> Iterator[tuple[str, CatalogEntry]]:
        try:
            for digest in store.digests(name):
                yield digest, self._entry(store, name, digest)
        except StoreError as error:
            raise NotFound(str(error)) from None

    def _entry(self, store: VersionStore, name: str, digest: str) -> CatalogEntry:
        bundle: Bundle = store.read(name, digest, self._folderOf(name))
        entry = entryOf(bundle, f"{bundle.directory}/plugin.json")
        if isinstance(entry, BrokenPlugin):
            raise NotFound("; ".join(map(str, entry.problems)))
        return entry

    def _folderOf(self, name: str) -> Path:
        directory = None if self.config is None else self.config.plugins.directory
        return (directory or Path("plugins")) / name

    def _found(self, entry: CatalogEntry, place: str) -> Found:
        config = self.config
        selected = self._selected(entry)
        subject = _subject(selected) if config is None or self._settings is not None else subjectOf(selected, config)
        return Found(subject, entry.version.number, entry.digest or "", place)

    def _selected(self, entry: CatalogEntry) -> Selected:
        """With the configurations that it would have; as plugin.json has it, where no file says anything of it."""
        manifest, config = entry.manifest, self.config
        try:
            if config is not None and self._settings is None:
                for selected in select(Catalog({manifest.name: entry}), config, withdrawn=_AllBut(manifest.name)):
                    return selected
        except ConfigErrors as errors:
            raise NotFound("; ".join(map(str, errors.problems))) from None
        layers = [] if self._settings is None else [ConfigLayer(self._settings, None, (), "--settings")]
        grant = None if config is None else config.plugins.grants.get(manifest.name)
        effective, problems = grantedConfig(manifest, layers, grant)
        if problems:
            raise NotFound("; ".join(map(str, problems)) + "; or give a value for it with --settings FILE")
        isolation: Isolation = "process" if manifest.isolation == "process" else "inline"
        unasked = UNASKED if isolation == "process" else None
        permissions = unasked if manifest.permissions is None else manifest.permissions
        return Selected(entry, effective, isolation=isolation, permissions=permissions)


def _subject(selected: Selected) -> Subject:
    """One that has the same configuration everywhere."""
    bundle = selected.entry.bundle
    assert bundle is not None and selected.config is not None
    return Subject(
        selected.name, str(bundle.directory), dict(bundle.files), dict(bundle.tests), {}, (dict(selected.config),), {},
        selected.isolation, None if selected.permissions is None else selected.permissions.asDict(),
    )  # fmt: skip


def _settingsIn(file: Path) -> dict[str, Any]:
    try:
        value: Any = parseYAML(readText(file, str(file)), str(file)).value
    except ConfigErrors as errors:
        raise NotFound("; ".join(map(str, errors.problems))) from None
    if not isinstance(value, dict):
        raise NotFound(f"{file}: a plugin's configuration is a mapping: rate: 10")
    return value


def _others(store: VersionStore, name: str) -> str:
    """Of which plugins there are versions."""
    try:
        names = store.names()
    except StoreError:
        return ""
    return suggestion(name, names)


__all__ = ["Found", "NotFound", "Versions"]
