"""
Values that stand elsewhere: ``{$env: NAME}`` is a variable of the environment, ``{$file: PATH}`` what is in a file.

The document keeps the reference; what is read of it is a copy with values in place of references. So whatever shows the
document shows ``{$env: NAME}``, and a problem with a value stands where its reference is, without the value.

What plugins and receivers of alerts are given, what answers say, and tokens of testers are `Secret`. Settings of the
edge itself (an endpoint, a folder, a URL, a duration) are not: they are in every second line of the log, and stars in
place of them would hide what it says.

In revproxy.yaml references are the operator's own words; in a plugin.json they are requests, see `grantedconfig`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from revproxy.config.document import Document
from revproxy.config.problems import Problem, Step, quoted
from revproxy.regularfile import readFile
from revproxy.secrets import Hidden, Secret

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
    :ivar secrets: values that were put in place of references, but for settings of the edge.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        self._done: dict[tuple[int, bool], tuple[Any, Any]] = {}
        self._settings = Hidden()
        self.problems: list[Problem] = []
        self.secrets: list[Secret] = []

    def resolve(self, value: Any, path: tuple[Step, ...] = ()) -> Any:
        """
        The same value where nothing in it is a reference, else a copy.

        :param path: where in the document it is.
        """
        if not isinstance(value, (dict, list)):
            return value
        same = id(value), self._isSetting(path)  # an alias is the same object again
        known = self._done.get(same)
        if known is None:
            # The value is kept: as long as it is, no other one has its identity.
            known = self._done[same] = value, self._resolve(value, path)
        return known[1]

    def withoutEchoes(self, problems: Sequence[Problem]) -> list[Problem]:
        """
        Problems of the result, without those that there are only because a reference could not be resolved. Nothing
        that came by a reference is in them: it may be a password in the wrong place.
        """
        failed = {problem.path for problem in self.problems}
        told = [*self.problems, *(problem for problem in problems if problem.path not in failed)]
        return [replace(problem, message=self._settings.masked(problem.message)) for problem in told]

    def refuse(self, path: tuple[Step, ...], message: str) -> None:
        """Note a problem with what is at ``path``."""
        self.problems.append(self._document.problem(path, message))

    def valueOf(self, kind: str, name: str) -> str:
        """
        What a reference refers to.

        :raises Unresolved: there is no such thing.
        """
        raise NotImplementedError

    def _isSetting(self, path: tuple[Step, ...]) -> bool:
        """Whether what stands there is a setting of the edge itself."""
        return False

    def _resolve(self, value: Any, path: tuple[Step, ...]) -> Any:
        if isinstance(value, dict) and (ENVIRONMENT in value or FILE in value):
            return self._valueAt(value, path)
        items = value.items() if isinstance(value, dict) else enumerate(value)
        resolved = {step: self.resolve(inner, (*path, step)) for step, inner in items}
        if all(inner is value[step] for step, inner in resolved.items()):
            return value
        return resolved if isinstance(value, dict) else list(resolved.values())

    def _valueAt(self, reference: Mapping[str, Any], path: tuple[Step, ...]) -> str:
        (kind, name), *others = reference.items()
        try:
            if others or not isinstance(name, str):
                raise Unresolved(_HOW)
            value = self.valueOf(kind, name)
        except Unresolved as error:
            self.refuse(path, str(error))
            return ""
        if self._isSetting(path):
            self._settings.add(value)
            return value
        self.secrets.append(Secret(value))
        return self.secrets[-1]


class OwnReferences(References):
    """
    Those of revproxy.yaml.

    :ivar files: every file that was read, and what it had in it.
    :ivar paths: every file that is referred to, there or not.
    """

    def __init__(self, document: Document, base: Path) -> None:
        """:param base: the folder relative paths start at."""
        super().__init__(document)
        self._base = base
        self.files: dict[str, str] = {}
        self.paths: set[str] = set()

    def valueOf(self, kind: str, name: str) -> str:
        if kind == ENVIRONMENT:
            return variable(name)
        path = str(self._base / name)
        if "\0" not in path:
            self.paths.add(path)
        if path not in self.files:
            self.files[path] = fileContent(path, name)
        return self.files[path]

    def _isSetting(self, path: tuple[Step, ...]) -> bool:
        match path:
            case ("plugins", "config" | "grants", *_) | ("routes", _, "plugins" | "respond", *_):
                return False
            case ("alerts", "receivers", *_) | ("plugins", "rollout", *_, "testers", "token"):
                return False
        return True


def variable(name: str) -> str:
    """:raises Unresolved: the environment has none of this name, or what it has is empty or not text."""
    if not _NAME.match(name):
        raise Unresolved(f"{quoted(name)} is no name of a variable; it has letters, digits and _ only")
    value = os.environ.get(name)
    if value is None:
        raise Unresolved(f"the environment has no {name}; set it where the edge is started")
    if not _isText(value):
        raise Unresolved(f"{name} in the environment is not UTF-8 text")
    if not value:
        raise Unresolved(f"{name} in the environment is empty; set it where the edge is started")
    return value


def fileContent(path: str, name: str) -> str:
    """
    What is in a file, without one newline at its end.

    One that is empty is about to be written, most likely. With an empty key a plugin would let everybody in.

    :param name: what messages call it.
    :raises Unresolved: it cannot be read, is no plain file, too large, empty, or not UTF-8.
    """
    try:
        text = readFile(path, MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unresolved(f"the file {name} is not UTF-8 text") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise Unresolved(f"the file {name} cannot be read: {reason}") from None
    value = text.removesuffix("\n").removesuffix("\r")
    if not value:
        raise Unresolved(f"the file {name} is empty")
    return value


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
