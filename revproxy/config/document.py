"""A parsed YAML or JSON document that knows the line and column of each of its values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from revproxy.config.jsonreader import readJSON
from revproxy.config.places import Place
from revproxy.config.problems import ConfigErrors, Problem, Step, pathText
from revproxy.config.yamlreader import readYAML
from revproxy.regularfile import readFile

MAX_BYTES = 16 << 20
"""How many bytes a file may have."""

_UNREAD: Any = object()
"""Stands for the value of a document whose text has not been parsed yet."""


class Document:
    """A parsed document.

    :ivar source: the file as the user named it; the start of every message.
    :ivar text: what was parsed, or None.
    :ivar isJSON: whether that is JSON.

    One made of its text alone (it has crossed a border between processes) is parsed when somebody asks for more.
    """

    __slots__ = ("_root", "_value", "isJSON", "source", "text")

    def __init__(
        self,
        source: str,
        value: Any,
        root: Place | None = None,
        text: str | None = None,
        isJSON: bool = False,
    ) -> None:
        self.source = source
        self.text = text
        self.isJSON = isJSON
        self._value = value
        self._root = root

    @classmethod
    def fromText(cls, source: str, text: str, isJSON: bool) -> Document:
        """A document whose text was parsed before, and had nothing wrong in it."""
        return cls(source, _UNREAD, None, text, isJSON)

    @property
    def value(self) -> Any:
        """The plain value; to be left unchanged."""
        self._read()
        return self._value

    def _read(self) -> None:
        if self._value is not _UNREAD or self.text is None:
            return
        try:
            self._value, self._root = (readJSON if self.isJSON else readYAML)(self.text, self.source)
        except ConfigErrors:
            self._value = None

    def position(self, path: Sequence[Step]) -> tuple[int, int]:
        """Line and column, both from 1, of the value at ``path``, or of the innermost one around it that exists.

        ``(0, 0)`` when the document was never text.
        """
        self._read()
        place = self._root
        if place is None:
            return 0, 0
        for step in path:
            inner = place.items.get(step)
            if isinstance(inner, tuple):
                return inner
            if inner is None:
                break
            place = inner
        return place.line, place.column

    def has(self, path: Sequence[Step]) -> bool:
        """Whether there is text with a value at ``path``."""
        self._read()
        place: Place | tuple[int, int] | None = self._root
        for step in path:
            place = place.items.get(step) if isinstance(place, Place) else None
        return place is not None

    def problem(self, path: Sequence[Step], message: str) -> Problem:
        """A `Problem` with the value at ``path``."""
        line, column = self.position(path)
        return Problem(self.source, line, column, pathText(path), message)


def parseYAML(text: str, source: str) -> Document:
    """Parse one YAML 1.2 document; an empty one is ``None``.

    :raises ConfigErrors: not YAML, several documents, duplicate or non-text keys, tags, values JSON cannot express.
    """
    value, root = readYAML(text, source)
    return Document(source, value, root, text)


def parseJSON(text: str, source: str) -> Document:
    """Parse one JSON document (RFC 8259: no comments, no trailing commas, no NaN).

    :raises ConfigErrors: not JSON, or a key that occurs twice in one object.
    """
    value, root = readJSON(text, source)
    return Document(source, value, root, text, isJSON=True)


def decodeText(data: bytes, source: str) -> str:
    """UTF-8, with or without a byte order mark.

    :raises ConfigErrors: at the first byte that is not UTF-8.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        message = f"not UTF-8 text (byte 0x{data[error.start]:02x}); save the file as UTF-8"
        raise ConfigErrors([Problem(source, line, column, "", message)]) from None


def readText(path: Path, source: str) -> str:
    """The text of a file.

    :raises ConfigErrors: it cannot be read or is not UTF-8.
    """
    try:
        data = readFile(path, MAX_BYTES)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigErrors([Problem(source, 0, 0, "", f"cannot be read: {reason}")]) from None
    return decodeText(data, source)


def documentFromValue(value: Any, source: str) -> Document:
    """A document that never was text: the manifest of a drop-in. Its problems have a path and no line."""
    return Document(source, value)
