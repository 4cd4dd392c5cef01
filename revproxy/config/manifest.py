"""plugin.json as a frozen value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from revproxy import __version__
from revproxy.config.document import Document, decodeText, documentFromValue, parseJSON
from revproxy.config.problems import ConfigErrors, Problem, Step, quoted
from revproxy.config.schema import checkAgainst, checkPublished, checkSchema
from revproxy.permissions import Permissions

DEFAULT_TIMEOUT_MS = 1000
"""Milliseconds an asynchronous call of a plugin may take when its manifest does not say."""

DEFAULT_THREADS = 8
"""Threads of a version whose manifest does not say how many it may have."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a plugin says about itself.

    :ivar version: as PEP 440.
    :ivar dependencies: the distributions it needs.
    :ivar edge: the versions of the edge that it runs with; ``None``: any.
    :ivar entryPoint: the callable in plugin.py.
    :ivar enabled: whether a directory plugin runs without being named.
    :ivar required: whether it leaves only where somebody says so, and never because its folder did.
    :ivar config: its own configuration, before anything in revproxy.yaml; to be left unchanged.
    :ivar configSchema: a JSON Schema for the effective configuration.
    :ivar priority: lower runs earlier on the way in.
    :ivar before: names that run later than this, if they are there.
    :ivar after: names that run earlier than this, if they are there.
    :ivar requires: name to the versions that will do; they run earlier.
    :ivar conflicts: name to the versions it cannot run with.
    :ivar provides: further names it answers to.
    :ivar onError: ``"closed"`` or ``"open"``.
    :ivar isolation: ``"inline"`` or ``"process"``.
    :ivar revision: counts up with each release; ``None``: it does not say.
    :ivar timeoutMs: milliseconds one asynchronous call may take; ``None``: no bound.
    :ivar threads: how many threads one version may have.
    :ivar memoryMb: megabytes that it may take; ``None``: it does not say.
    :ivar concurrency: how many of its answers may be awaited at a time, of one version; ``None``: no bound.
    :ivar bodyBytes: the most bytes of a body the plugin may buffer; ``None``: what the edge allows.
    :ivar permissions: what it asks for; ``None``: it does not say.
    :ivar shadowSafe: whether it may run on copies of requests.
    :ivar judgesInterrupts: whether it speaks against a version that it stops more requests than another, or fewer.
    :ivar source: the file, as messages call it.
    :ivar document: knows the line of every value.
    """

    name: str
    version: Version
    description: str = ""
    entryPoint: str = "PluginMain"
    enabled: bool = True
    required: bool = False
    config: Mapping[str, Any] = field(default_factory=dict)
    configSchema: Mapping[str, Any] | bool | None = None
    priority: int = 100
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    requires: Mapping[str, SpecifierSet] = field(default_factory=dict)
    conflicts: Mapping[str, SpecifierSet] = field(default_factory=dict)
    provides: tuple[str, ...] = ()
    onError: str = "closed"
    isolation: str = "inline"
    timeoutMs: int | None = DEFAULT_TIMEOUT_MS
    threads: int = DEFAULT_THREADS
    memoryMb: int | None = None
    concurrency: int | None = None
    bodyBytes: int | None = None
    permissions: Permissions | None = None
    revision: int | None = None
    shadowSafe: bool = False
    judgesInterrupts: bool = True
    edge: SpecifierSet | None = None
    dependencies: tuple[Requirement, ...] = ()
    source: str = field(default="plugin.json", compare=False)
    document: Document | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def parseManifest(data: bytes, source: str) -> Manifest:
    """A manifest from the bytes of a plugin.json.

    :param source: what messages call the file.
    :raises ConfigErrors: with all problems, each with its line and column.
    """
    return _manifestOf(parseJSON(decodeText(data, source), source))


def manifestFromMapping(value: Any, source: str) -> Manifest:
    """A manifest from a drop-in's mapping, which has the keys of plugin.json.

    :param source: where the drop-in is, such as its dotted name.
    :raises ConfigErrors: with all problems; they have paths and no lines.
    """
    return _manifestOf(documentFromValue(_plain(value), source))


def _plain(value: Any) -> Any:
    """A copy in the types JSON has: Python authors write tuples and other mappings."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def _manifestOf(document: Document) -> Manifest:
    problems = checkPublished(document, "plugin")
    if problems:
        raise ConfigErrors(problems)
    value: Mapping[str, Any] = document.value
    reader = _ManifestReader(document)
    limits = value.get("limits", {})
    manifest = Manifest(
        name=value["name"],
        version=reader.version(value["version"]),
        description=value.get("description", ""),
        entryPoint=value.get("entry_point", "PluginMain"),
        enabled=value.get("enabled", True),
        required=value.get("required", False),
        config=value.get("config", {}),
        configSchema=value.get("config_schema"),
        priority=int(value.get("priority", 100)),
        before=reader.names("before"),
        after=reader.names("after"),
        requires=reader.specifiers("requires"),
        conflicts=reader.specifiers("conflicts"),
        provides=reader.names("provides"),
        onError=value.get("on_error", "closed"),
        isolation=value.get("isolation", "inline"),
        timeoutMs=_whole(limits.get("timeout_ms", DEFAULT_TIMEOUT_MS)),
        threads=int(limits.get("threads", DEFAULT_THREADS)),
        memoryMb=_whole(limits.get("memory_mb")),
        concurrency=_whole(limits.get("concurrency")),
        bodyBytes=_whole(limits.get("body_bytes")),
        permissions=Permissions.of(value["permissions"]) if "permissions" in value else None,
        revision=_whole(value.get("revision")),
        shadowSafe=value.get("shadow_safe", False),
        judgesInterrupts=value.get("judge", {}).get("interrupts", True),
        edge=reader.edge(),
        dependencies=reader.dependencies(),
        source=document.source,
        document=document,
    )
    reader.checkRequired(manifest)
    if manifest.configSchema is not None:
        reader.problems.extend(checkSchema(document, ("config_schema",), manifest.configSchema))
    if reader.problems:
        raise ConfigErrors(reader.problems)
    return manifest


def _whole(value: int | float | None) -> int | None:
    return None if value is None else int(value)


def fitsEdge(wanted: SpecifierSet, version: Version) -> bool:
    """Whether an edge of this version will do. Pre-releases count as what they come before, too: 0.2.dev1 as 0.2."""
    return wanted.contains(version, prereleases=True) or wanted.contains(version.base_version)


class _ManifestReader:
    """What the schema cannot say about a manifest."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems: list[Problem] = []
        self._name: str = document.value["name"]

    def _refuse(self, path: Sequence[Step], message: str) -> None:
        self.problems.append(self.document.problem(path, message))

    def version(self, text: str) -> Version:
        try:
            return Version(text)
        except ValueError:  # InvalidVersion, or a number of thousands of digits
            self._refuse(["version"], f"{quoted(text)} is not a version; write it as 1.2.0 or 2.0rc1 (PEP 440)")
            return Version("0")

    def names(self, key: str) -> tuple[str, ...]:
        names = tuple(self.document.value.get(key, ()))
        if self._name in names:
            self._refuse([key, names.index(self._name)], "names the plugin itself")
        return names

    def specifiers(self, key: str) -> Mapping[str, SpecifierSet]:
        specifiers = {}
        for name, text in self.document.value.get(key, {}).items():
            if name == self._name:
                self._refuse([key, name], "names the plugin itself")
            read = self._specifier([key, name], text)
            if read is not None:
                specifiers[name] = read
        return specifiers

    def _specifier(self, path: Sequence[Step], text: str) -> SpecifierSet | None:
        try:
            read = SpecifierSet(text)
            for specifier in read:
                specifier.contains("1")  # reads its version, which may be refused only then
        except ValueError:  # InvalidSpecifier, or the same
            self._refuse(path, f'{quoted(text)} says no versions; write ">=2,<3", or "" for any (PEP 440)')
            return None
        return read

    def edge(self) -> SpecifierSet | None:
        """The edges it runs with, of which this must be one."""
        text: str | None = self.document.value.get("edge")
        wanted = None if text is None else self._specifier(["edge"], text)
        if wanted is not None and not fitsEdge(wanted, Version(__version__)):
            self._refuse(["edge"], f"needs revproxy {text}, and this is {__version__}; "
                         "run an edge that fits, or a version of the plugin that is made for this one")
        return wanted

    def checkRequired(self, manifest: Manifest) -> None:
        if manifest.required and manifest.onError == "open":
            self._refuse(["on_error"], "a plugin that is required cannot be open: requests would pass without it "
                         "when it fails; write closed, or leave required out")

    def dependencies(self) -> tuple[Requirement, ...]:
        """The distributions it needs, as PEP 508."""
        found = []
        for index, text in enumerate(self.document.value.get("dependencies", ())):
            try:
                requirement = Requirement(text)
                if requirement.url is not None:
                    raise ValueError(text)
                requirement.specifier.contains("1")  # reads its versions, which may be refused only then
            except ValueError:  # InvalidRequirement, or a number of thousands of digits
                self._refuse(["dependencies", index],
                             f'{quoted(text)} is no requirement; write "pyjwt>=2.8,<3" (PEP 508, without a URL)')
            else:
                found.append(requirement)
        return tuple(found)


@dataclass(frozen=True, slots=True)
class ConfigLayer:
    """A place that says something about a plugin's configuration.

    :ivar document: where it is written; ``None`` when positions are not known.
    :ivar path: where in the document ``values`` stands.
    """

    values: Mapping[str, Any]
    document: Document | None
    path: tuple[Step, ...]
    source: str


def effectiveConfig(manifest: Manifest, layers: Sequence[ConfigLayer] = ()) -> dict[str, Any]:
    """The manifest's ``config`` with each layer over it, key by key (values are replaced, not merged). A new dict."""
    merged: dict[str, Any] = {}
    for values in (manifest.config, *(layer.values for layer in layers)):
        merged.update(values)
    return deepcopy(merged)


def checkConfig(manifest: Manifest, config: Mapping[str, Any], layers: Sequence[ConfigLayer] = ()) -> list[Problem]:
    """Whether an effective configuration fulfils the plugin's ``config_schema``.

    Each problem stands where its value was written: in the last layer that has the key, or in plugin.json.

    :param config: what `effectiveConfig` gave for the same layers.
    :returns: the problems; none when it is sound or the plugin has no schema.
    """
    if manifest.configSchema is None:
        return []
    own = ConfigLayer(manifest.config, manifest.document, ("config",), manifest.source)
    places = [own, *layers]

    def problemAt(path: Sequence[Step], message: str) -> Problem:
        layer = next((place for place in reversed(places) if path and path[0] in place.values), places[-1])
        where = layer.document or Document(layer.source, None)
        return where.problem((*layer.path, *path), f"{message} (plugin {manifest.name})")

    schema: Any = manifest.configSchema
    return checkAgainst(schema, config, problemAt)
