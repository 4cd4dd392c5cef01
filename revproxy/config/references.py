"""
Values that stand elsewhere: ``{$env: NAME}`` is a variable of the environment, ``{$file: PATH}`` what is in a file.

The document keeps the reference; what is read of it is a copy with values in place of references. So whatever shows the
document shows ``{$env: NAME}``, and a problem with a value stands where its reference is. Values are `Secret`.

In revproxy.yaml they are the operator's own words. In a plugin.json they are requests: a plugin that could name any
file would be given the TLS key. So they have the values that revproxy.yaml grants to that plugin, and no other.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from revproxy.config.document import Document
from revproxy.config.manifest import ConfigLayer, Manifest, effectiveConfig
from revproxy.config.problems import Problem, Step, quoted
from revproxy.config.settings import GrantConfig
from revproxy.regularfile import readFile
from revproxy.secrets import Secret

MAX_BYTES = 64 << 10
"""Bytes of a file that is referred to."""

ENVIRONMENT, FILE = "$env", "$file"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_HOW = "a reference has one key and text: {$env: NAME} or {$file: PATH}"


class Unresolved(ValueError):
    """There is no such value; the text says why, and what to do."""


class References:
    """
    A value without its references: one use is one document.

    :ivar problems: what could not be resolved.
    :ivar values: those that were put in place of references.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        self._done: dict[int, tuple[Any, Any]] = {}
        self.problems: list[Problem] = []
        self.values: list[Secret] = []

    def resolve(self, value: Any, path: tuple[Step, ...] = ()) -> Any:
        """
        The same value where nothing in it is a reference, else a copy.

        :param path: where in the document it is.
        """
        if not isinstance(value, (dict, list)):
            return value
        known = self._done.get(id(value))  # an alias is the same object again
        if known is None:
            # The value is kept: as long as it is, no other one has its identity.
            known = self._done[id(value)] = value, self._resolve(value, path)
        return known[1]

    def withoutEchoes(self, problems: Sequence[Problem]) -> list[Problem]:
        """Problems of the result, without those that there are only because a reference could not be resolved."""
        failed = {problem.path for problem in self.problems}
        return [*self.problems, *(problem for problem in problems if problem.path not in failed)]

    def valueOf(self, kind: str, name: str) -> Secret:
        """
        What a reference refers to.

        :raises Unresolved: there is no such thing.
        """
        raise NotImplementedError

    def _resolve(self, value: Any, path: tuple[Step, ...]) -> Any:
        if isinstance(value, dict) and (ENVIRONMENT in value or FILE in value):
            return self._valueAt(value, path)
        items = value.items() if isinstance(value, dict) else enumerate(value)
        resolved = {step: self.resolve(inner, (*path, step)) for step, inner in items}
        if all(inner is value[step] for step, inner in resolved.items()):
            return value
        return resolved if isinstance(value, dict) else list(resolved.values())

    def _valueAt(self, reference: Mapping[str, Any], path: tuple[Step, ...]) -> Secret:
        (kind, name), *others = reference.items()
        try:
            if others or not isinstance(name, str):
                raise Unresolved(_HOW)
            self.values.append(self.valueOf(kind, name))
            return self.values[-1]
        except Unresolved as error:
            self.problems.append(self._document.problem(path, str(error)))
            return Secret("")


class OwnReferences(References):
    """
    Those of revproxy.yaml.

    :ivar files: every file that was read, and what it had in it.
    """

    def __init__(self, document: Document, base: Path) -> None:
        """:param base: the folder relative paths start at."""
        super().__init__(document)
        self._base = base
        self.files: dict[str, Secret] = {}

    def valueOf(self, kind: str, name: str) -> Secret:
        if kind == ENVIRONMENT:
            return variable(name)
        path = str(self._base / name)
        if path not in self.files:
            self.files[path] = fileContent(path, name)
        return self.files[path]


class _Requests(References):
    """Those of a plugin.json."""

    def __init__(self, document: Document, plugin: str, grant: GrantConfig) -> None:
        super().__init__(document)
        self._plugin = plugin
        self._grant = grant

    def valueOf(self, kind: str, name: str) -> Secret:
        isFile = kind == FILE
        granted = self._grant.files if isFile else self._grant.environment
        wanted = os.path.normpath(name) if isFile else name
        for given, value in granted.items():
            if wanted == (os.path.normpath(given) if isFile else given):
                return Secret(value)
        key, what = ("files", f"the file {name}") if isFile else ("environment", f"the environment's {name}")
        raise Unresolved(
            f"asks for {what}, which revproxy.yaml does not grant; if it may have that, write there: "
            f"plugins: {{grants: {{{self._plugin}: {{{key}: [{quoted(name)}]}}}}}}"
        )


def grantedConfig(
    manifest: Manifest, layers: Sequence[ConfigLayer], grant: GrantConfig | None
) -> tuple[dict[str, Any], list[Problem]]:
    """
    A plugin's effective configuration (see `effectiveConfig`), in which its requests are granted or refused. What
    revproxy.yaml overrides is not asked for.
    """
    config = effectiveConfig(manifest, layers)
    requests = _Requests(manifest.document or Document(manifest.source, None), manifest.name, grant or GrantConfig())
    for key in manifest.config:
        if not any(key in layer.values for layer in layers):
            config[key] = requests.resolve(config[key], ("config", key))
    return config, requests.problems


def variable(name: str) -> Secret:
    """:raises Unresolved: the environment has none of this name, or what it has is not text."""
    if not _NAME.match(name):
        raise Unresolved(f"{quoted(name)} is no name of a variable; it has letters, digits and _ only")
    value = os.environ.get(name)
    if value is None:
        raise Unresolved(f"the environment has no {name}; set it where the edge is started")
    if not _isText(value):
        raise Unresolved(f"{name} in the environment is not UTF-8 text")
    return Secret(value)


def fileContent(path: str, name: str) -> Secret:
    """
    What is in a file, without one newline at its end.

    :param name: what messages call it.
    :raises Unresolved: it cannot be read, is no plain file, too large, or not UTF-8.
    """
    try:
        text = readFile(path, MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unresolved(f"the file {name} is not UTF-8 text") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise Unresolved(f"the file {name} cannot be read: {reason}") from None
    return Secret(text.removesuffix("\n").removesuffix("\r"))


def isCurrent(files: Mapping[str, Any]) -> bool:
    """Whether files still have in them what was read of them."""
    try:
        return all(fileContent(path, "") == known for path, known in files.items())
    except Unresolved:
        return False


def _isText(value: str) -> bool:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
