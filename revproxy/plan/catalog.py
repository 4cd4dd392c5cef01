"""
The plugins there are, and those that are wanted, as values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from revproxy.bundles.bundle import Bundle
from revproxy.config.document import Document
from revproxy.config.manifest import Manifest, parseManifest
from revproxy.config.problems import ConfigErrors, Problem, quoted
from revproxy.config.settings import Isolation
from revproxy.permissions import Permissions
from revproxy.plan.versionid import VersionId


@dataclass(frozen=True, slots=True)
class Distribution:
    """
    What a drop-in was installed with.

    :ivar name: as `packaging.utils.canonicalize_name` writes it.
    :ivar record: 64 hexadecimal digits over the names and hashes of its files, which are what was imported; empty: that
        was not looked at.
    :ivar isOwn: whether it is revproxy itself.
    """

    name: str
    version: str
    record: str = ""
    isOwn: bool = False


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """
    One plugin that could run.

    :ivar origin: ``"directory"`` or ``"dropin"``.
    :ivar bundle: a directory plugin's files.
    :ivar source: where it is, as messages call it.
    :ivar distribution: what a drop-in was installed with; None: that is not known.
    """

    manifest: Manifest
    origin: str
    bundle: Bundle | None
    source: str
    distribution: Distribution | None = None

    @property
    def version(self) -> VersionId:
        """Which version it is."""
        return VersionId(str(self.manifest.version), self.digest)

    @property
    def digest(self) -> str | None:
        """Of its files; ``None`` for a drop-in."""
        return None if self.bundle is None else self.bundle.digest

    def isCodeOf(self, other: CatalogEntry) -> bool:
        """Whether the two differ in the ``config`` of their plugin.json at most: then they are one version, twice."""
        if self.bundle is None or other.bundle is None:
            return self == other
        if self.bundle.digest == other.bundle.digest:
            return True
        return self.bundle.codeDigest == other.bundle.codeDigest and (
            replace(self.manifest, config={}) == replace(other.manifest, config={})
        )


Entries = Mapping[str, CatalogEntry]
"""Plugins by name."""


@dataclass(frozen=True, slots=True)
class BrokenPlugin:
    """
    One plugin that cannot be used.

    :ivar name: its own if that could be read, else its folder's.
    :ivar wanted: whether it would run without being named.
    :ivar bundle: its files, if they could be read.
    """

    name: str
    wanted: bool
    source: str
    problems: tuple[Problem, ...]
    bundle: Bundle | None = None

    @property
    def digest(self) -> str | None:
        """Of its files, if they could be read."""
        return None if self.bundle is None else self.bundle.digest


@dataclass(frozen=True, slots=True)
class BrokenModule:
    """
    A module of drop-ins that cannot be imported.

    :ivar name: dotted.
    :ivar error: class and text of what its import raised.
    """

    name: str
    error: str


@dataclass(frozen=True, slots=True)
class Catalog:
    """
    Every plugin there is.

    :ivar entries: by name.
    :ivar broken: in the order they were found; names may be those of entries too when a name was given twice.
    :ivar modules: of drop-ins, that cannot be imported: nobody knows what would be in them.
    """

    entries: Entries
    broken: tuple[BrokenPlugin, ...] = ()
    modules: tuple[BrokenModule, ...] = ()

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Those of all broken plugins."""
        return tuple(problem for broken in self.broken for problem in broken.problems)


@dataclass(frozen=True, slots=True)
class Selected:
    """
    A plugin that runs on at least one route.

    :ivar config: its effective configuration in every route group that ``perGroup`` does not name; ``None``: off there.
    :ivar perGroup: index of a route group to the configuration on its routes; ``None``: off there.
    :ivar isolation: where it runs.
    :ivar permissions: what it may touch; ``None``: everything.

    Equal configurations of one plugin are one object, so that instances can be shared by identity.
    """

    entry: CatalogEntry
    config: Mapping[str, Any] | None
    perGroup: Mapping[int, Mapping[str, Any] | None] = field(default_factory=dict)
    isolation: Isolation = "inline"
    permissions: Permissions | None = None

    @property
    def name(self) -> str:
        """The plugin's name."""
        return self.entry.manifest.name

    @property
    def manifest(self) -> Manifest:
        """The plugin's manifest."""
        return self.entry.manifest

    def configFor(self, group: int) -> Mapping[str, Any] | None:
        """The configuration in a route group, by its index; ``None`` when the plugin is off there."""
        return self.perGroup.get(group, self.config)


Order = tuple[tuple[Selected, Mapping[str, Any]], ...]
"""The plugins of a route group in the order of the way in, each with its configuration there."""


def duplicate(entry: CatalogEntry, other: str) -> BrokenPlugin:
    """
    A plugin whose name is another one's.

    :param other: where that is.
    """
    name = entry.manifest.name
    message = f"{quoted(name)} is also the name of the plugin in {other}; give one of them another name"
    where = entry.manifest.document or Document(entry.source, None)
    return BrokenPlugin(name, True, entry.source, (where.problem(("name",), message),), entry.bundle)


def entryOf(bundle: Bundle, source: str) -> CatalogEntry | BrokenPlugin:
    """
    The plugin that a bundle is.

    :param source: what messages call its plugin.json.
    """
    try:
        manifest = parseManifest(bundle.files["plugin.json"], source)
    except ConfigErrors as errors:
        return BrokenPlugin(bundle.name, True, source, errors.problems, bundle)
    return CatalogEntry(manifest, "directory", bundle, source)
