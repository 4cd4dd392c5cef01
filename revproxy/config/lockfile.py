"""
plugins.lock: which version of each plugin may run, and which distributions of drop-ins. ``revproxy lock`` writes it,
and people look at what has changed in it.

    plugins:
      quota:
        version: 1.3.0
        digest: sha256:6f1d…
        signer: alice
        key: SHA256:9b2c…
        earlier:
          - {version: 1.2.0, digest: sha256:0a4e…}
    distributions:
      acme-revproxy: {version: 2.1.0, record: sha256:77d0…}

A folder may have the version that a plugin's entry is about, and no other. Those under ``earlier`` may be gone back to,
by a rollback and out of quarantine: a lock file that had only the last one would keep an edge from both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from revproxy.config.document import Document, parseYAML
from revproxy.config.problems import ConfigErrors, Problem, Step
from revproxy.config.schema import checkAgainst

MAX_BYTES = 4 << 20
"""Bytes that the file may have."""

MAX_EARLIER = 20
"""Versions of one plugin that may be gone back to."""

_PLAIN = re.compile("[a-z][a-z0-9-]*")
_ELSEWHERE = frozenset(("on", "off", "yes", "no", "y", "n", "true", "false", "null"))

_HEAD = """\
# Which versions may run. Written by `revproxy lock`; keep it with revproxy.yaml, and let somebody look at what changes.
"""


@dataclass(frozen=True, slots=True)
class LockedVersion:
    """
    A version that may run.

    :ivar number: as its plugin.json says.
    :ivar digest: of its bundle, 64 hexadecimal digits.
    :ivar signer: who has signed it, as revproxy.yaml called the key; empty: nobody.
    :ivar key: the key's id.
    """

    number: str
    digest: str
    signer: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class LockedPlugin:
    """
    :ivar now: what its folder may have.
    :ivar earlier: what may be gone back to; the latest first.
    """

    now: LockedVersion
    earlier: tuple[LockedVersion, ...] = ()

    def find(self, digest: str | None) -> LockedVersion | None:
        """The version of a digest, if it is among these."""
        return next((each for each in (self.now, *self.earlier) if each.digest == digest), None)


@dataclass(frozen=True, slots=True)
class LockedDistribution:
    """
    A distribution whose drop-ins may run.

    :ivar version: as it is installed.
    :ivar record: 64 hexadecimal digits, over the names and hashes of its files.
    """

    version: str
    record: str


@dataclass(frozen=True, slots=True)
class LockFile:
    """
    :ivar plugins: by name.
    :ivar distributions: by name, as `packaging.utils.canonicalize_name` writes it.
    :ivar source: the file, as messages call it.
    """

    plugins: Mapping[str, LockedPlugin] = field(default_factory=dict)
    distributions: Mapping[str, LockedDistribution] = field(default_factory=dict)
    source: str = "plugins.lock"


def parseLock(text: str, source: str) -> LockFile:
    """
    :param source: what messages call the file.
    :raises ConfigErrors: with all that is wrong with it, each with its line.
    """
    document = parseYAML(text, source)
    value = {} if document.value is None else document.value

    def problemAt(path: Sequence[Step], message: str) -> Problem:
        return document.problem(tuple(path), message)

    problems = checkAgainst(_SCHEMA, value, problemAt)
    if problems:
        raise ConfigErrors(problems)
    plugins = {name: _plugin(each) for name, each in value.get("plugins", {}).items()}
    problems = [*_twice(document, plugins)]
    if problems:
        raise ConfigErrors(problems)
    distributions = {
        name: LockedDistribution(each["version"], _bare(each["record"]))
        for name, each in value.get("distributions", {}).items()
    }
    return LockFile(plugins, distributions, source)


def formatLock(lock: LockFile) -> str:
    """The file's text; the same for what is the same."""
    lines = [_HEAD, "plugins:" if lock.plugins else "plugins: {}"]
    for name, plugin in sorted(lock.plugins.items()):
        lines.append(f"  {_key(name)}:")
        lines += [f"    {key}: {text}" for key, text in _said(plugin.now)]
        if plugin.earlier:
            lines.append("    earlier:")
            lines += [
                "      - {" + ", ".join(f"{key}: {text}" for key, text in _said(each)) + "}" for each in plugin.earlier
            ]
    if lock.distributions:
        lines.append("distributions:")
    for name, each in sorted(lock.distributions.items()):
        record = _quoted(f"sha256:{each.record}")
        lines.append(f"  {_key(name)}: {{version: {_quoted(each.version)}, record: {record}}}")
    return "\n".join(lines) + "\n"


def _plugin(value: Mapping[str, Any]) -> LockedPlugin:
    return LockedPlugin(_version(value), tuple(_version(each) for each in value.get("earlier", ())))


def _version(value: Mapping[str, Any]) -> LockedVersion:
    return LockedVersion(value["version"], _bare(value["digest"]), value.get("signer", ""), value.get("key", ""))


def _bare(digest: str) -> str:
    return digest.removeprefix("sha256:")


def _twice(document: Document, plugins: Mapping[str, LockedPlugin]) -> Iterator[Problem]:
    for name, plugin in plugins.items():
        digests = [each.digest for each in (plugin.now, *plugin.earlier)]
        if len(set(digests)) < len(digests):
            yield document.problem(("plugins", name), "a version stands in it twice")


def _said(version: LockedVersion) -> Iterator[tuple[str, str]]:
    yield "version", _quoted(version.number)
    yield "digest", _quoted(f"sha256:{version.digest}")
    if version.key:
        yield "signer", _quoted(version.signer)
        yield "key", _quoted(version.key)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _key(text: str) -> str:
    """Names as people write them; what YAML takes for something else is in quotes."""
    return text if _PLAIN.fullmatch(text) and text not in _ELSEWHERE else _quoted(text)


_TEXT = {"type": "string", "maxLength": 200}
_DIGEST = {
    "type": "string", "pattern": "^sha256:[0-9a-f]{64}$", "x-message": "write sha256: and 64 hexadecimal digits",
}
_VERSION: Mapping[str, Any] = {"version": _TEXT, "digest": _DIGEST, "signer": _TEXT, "key": _TEXT}
_EARLIER = {
    "type": "object", "properties": _VERSION, "required": ["version", "digest"], "additionalProperties": False,
}
_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "plugins": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "properties": {**_VERSION, "earlier": {"type": "array", "items": _EARLIER, "maxItems": MAX_EARLIER}},
                "required": ["version", "digest"],
                "additionalProperties": False,
            },
        },
        "distributions": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "properties": {"version": _TEXT, "record": _DIGEST},
                "required": ["version", "record"],
                "additionalProperties": False,
            },
        },
    },
    "additionalProperties": False,
}

__all__ = [
    "MAX_BYTES", "MAX_EARLIER", "LockFile", "LockedDistribution", "LockedPlugin", "LockedVersion", "formatLock",
    "parseLock",
]
