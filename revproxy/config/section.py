"""A mapping of a document, read key by key.

A getter returns its default for a value of the wrong type: the schema has reported that already, and reading goes on to
find the other problems. So reading never raises, whatever the document holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from revproxy.config.document import Document
from revproxy.config.problems import Problem, Step
from revproxy.durations import parseDuration, parseShare

T = TypeVar("T")


class Section:
    """One mapping of ``document``, at ``path``.

    :ivar problems: shared by all sections of a document; checks add to it.
    :ivar base: the folder relative paths start at.
    """

    def __init__(
        self, document: Document, value: Any, base: Path, problems: list[Problem], path: tuple[Step, ...] = ()
    ) -> None:
        self.document = document
        self.value: Mapping[str, Any] = value if isinstance(value, Mapping) else {}
        self.base = base
        self.problems = problems
        self.path = path

    def refuse(self, message: str, *steps: Step) -> None:
        """Note a problem with the value at ``steps`` below this section."""
        self.problems.append(self.document.problem((*self.path, *steps), message))

    def has(self, key: str) -> bool:
        """Whether the key is there, whatever its value."""
        return key in self.value

    def _section(self, value: Any, *steps: Step) -> Section:
        return Section(self.document, value, self.base, self.problems, (*self.path, *steps))

    def section(self, key: str) -> Section:
        """The mapping at ``key``; an empty one if there is none."""
        return self._section(self.value.get(key), key)

    def entries(self, key: str) -> Iterator[tuple[str, Section]]:
        """The mappings in the mapping at ``key``."""
        for name, value in self.section(key).value.items():
            yield name, self._section(value, key, name)

    def items(self, key: str, textKey: str | None = None) -> Iterator[Section]:
        """The mappings in the list at ``key``.

        :param textKey: an item that is text stands for a mapping with this one key.
        """
        values = self.value.get(key)
        for index, value in enumerate(values if isinstance(values, list) else ()):
            if textKey is not None and isinstance(value, str):
                yield _Short(self.document, {textKey: value}, self.base, self.problems, (*self.path, key, index))
            elif isinstance(value, Mapping):
                yield self._section(value, key, index)

    def expanded(self, key: str, textKey: str) -> Section:
        """The mapping at ``key``, where text stands for a mapping with the one key ``textKey``."""
        value = self.value.get(key)
        if isinstance(value, str):
            return _Short(self.document, {textKey: value}, self.base, self.problems, (*self.path, key))
        return self.section(key)

    def text(self, key: str, default: str = "") -> str:
        """Text at ``key``."""
        value = self.value.get(key)
        return str(value) if isinstance(value, str) else default

    def flag(self, key: str, default: bool) -> bool:
        """True or false at ``key``."""
        value = self.value.get(key)
        return value if isinstance(value, bool) else default

    def integer(self, key: str, default: int) -> int:
        """A whole number at ``key``."""
        value = self.value.get(key)
        return int(value) if isinstance(value, (int, float)) and _exact(value) else default

    def seconds(self, key: str, default: float) -> float:
        """A duration at ``key``: a number of seconds, or text such as ``30s``."""
        try:
            return parseDuration(self.value.get(key))
        except ValueError:
            return default

    def share(self, key: str, default: float) -> float:
        """A share at ``key``, text such as ``5%``, as a fraction."""
        try:
            return parseShare(self.value.get(key))
        except ValueError:
            return default

    def pathAt(self, key: str, kind: str = "") -> Path | None:
        """A path at ``key``, made absolute.

        :param kind: ``"file"`` or ``"folder"`` when it must be there already.
        """
        text = self.text(key)
        if not text:
            return None
        if "\0" in text:
            self.refuse("a path has no NUL in it", key)
            return None
        path = self.base / text
        if kind and not _present(path, kind):
            self.refuse(f"there is no {kind} {path}", key)
        return path

    def checked(self, key: str, check: Callable[[str], T], default: T) -> T:
        """The text at ``key`` as ``check`` returns it; its `ValueError` becomes a problem."""
        text = self.value.get(key)
        if not isinstance(text, str) or not text:
            return default
        try:
            return check(str(text))
        except ValueError as error:
            self.refuse(str(error), key)
            return default


class _Short(Section):
    """A value written as text alone: problems stand at the text, there is no key below it."""

    def refuse(self, message: str, *steps: Step) -> None:
        self.problems.append(self.document.problem(self.path, message))


def _exact(value: int | float) -> bool:
    return not isinstance(value, bool) and value == value // 1


def _present(path: Path, kind: str) -> bool:
    try:
        return path.is_dir() if kind == "folder" else path.is_file()
    except (OSError, ValueError):
        return False
