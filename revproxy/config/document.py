"""A parsed YAML or JSON document that knows the line and column of each of its values.

YAML is composed to nodes once and turned into plain values here, not by the library's constructor: a second parse for
positions would cost as much as the first (0.4 s per 1,000 routes), and the constructor would make dates, binary and
sets, none of which JSON Schema knows. The result is what JSON can say: text, numbers that are finite, true, false,
null, lists, and mappings whose keys are text and occur once.

JSON is parsed by `json`; only its positions are scanned here.
"""

from __future__ import annotations

import json
import math
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from revproxy.config.problems import ConfigErrors, Problem, Step, pathText, quoted
from revproxy.regularfile import readFile

#: How deep values may be nested, how many bytes a file may have, and how many values there may be once every alias is
#: written out.
MAX_DEPTH = 50
MAX_BYTES = 16 << 20
MAX_VALUES = 1_000_000

_TAG = "tag:yaml.org,2002:"

_UNREAD: Any = object()
"""Stands for the value of a document whose text has not been parsed yet."""


class Place:
    """
    Where one value stands, and the places of what is in it. An entry of a mapping stands where its key does.

    :ivar items: of what has nothing in it, line and column alone: there may be a hundred thousand, and the collector of
        garbage does not look at pairs of numbers again and again.
    """

    __slots__ = ("column", "count", "depth", "items", "line")

    def __init__(self, line: int, column: int) -> None:
        self.line = line
        self.column = column
        self.items: dict[Step, Place | tuple[int, int]] = {}
        self.count = 1
        self.depth = 1


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
        """One whose text was parsed before, and had nothing wrong in it."""
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
            known = (parseJSON if self.isJSON else parseYAML)(self.text, self.source)
        except ConfigErrors:
            self._value = None
        else:
            self._value, self._root = known._value, known._root

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
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a reused anchor is legal
            node = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        raise ConfigErrors([_syntaxProblem(error, source)]) from None
    except RecursionError:
        raise ConfigErrors([Problem(source, 1, 1, "", "nested too deeply")]) from None
    except Exception as error:  # the scanner has no one class for what it cannot read
        raise ConfigErrors([_unreadable(error, text, source)]) from None
    if node is None:
        return Document(source, None, Place(1, 1), text)
    reader = _NodeReader(source)
    root = Place(1, 1)
    value = reader.read(node, root, ())
    if reader.problems:
        raise ConfigErrors(reader.problems)
    return Document(source, value, root, text)


def parseJSON(text: str, source: str) -> Document:
    """Parse one JSON document (RFC 8259: no comments, no trailing commas, no NaN).

    :raises ConfigErrors: not JSON, or a key that occurs twice in one object.
    """
    try:
        value = json.loads(text, parse_constant=_refuseConstant, parse_float=_finite)
    except json.JSONDecodeError as error:
        raise ConfigErrors([Problem(source, error.lineno, error.colno, "", f"not JSON: {error.msg}")]) from None
    except RecursionError:
        raise ConfigErrors([Problem(source, 1, 1, "", "nested too deeply")]) from None
    except ValueError as error:
        raise ConfigErrors([Problem(source, 1, 1, "", f"not JSON: {error}")]) from None
    scanner = _JSONPlaces(text, source)
    root = scanner.scan()
    if scanner.problems:
        raise ConfigErrors(scanner.problems)
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


def _syntaxProblem(error: MarkedYAMLError, source: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    message = " ".join(f"{error.problem or error.context}".split())
    if "'\\t'" in message:
        message += " (indent with spaces)"
    elif error.context and error.problem:
        message += f", {error.context}"
        if error.context_mark and error.context_mark.line + 1 != line:
            message += f" that began in line {error.context_mark.line + 1}"
    return Problem(source, line, column, "", f"not YAML: {message}")


def _unreadable(error: Exception, text: str, source: str) -> Problem:
    offset = getattr(error, "position", None)
    if not isinstance(offset, int) or not hasattr(error, "reason"):
        return Problem(source, 1, 1, "", "not YAML: " + (" ".join(str(error).split()) or type(error).__name__))
    before = text[:offset]
    return Problem(source, before.count("\n") + 1, offset - before.rfind("\n"), "", f"not YAML: {error.reason}")


class _NodeReader:
    """YAML nodes to plain values; collects what cannot be one instead of stopping at the first."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.problems: list[Problem] = []
        self._done: dict[int, tuple[Any, Place]] = {}
        self._open: set[int] = set()
        self._full = False

    def read(self, node: Node, place: Place, path: tuple[Step, ...]) -> Any:
        """The value of ``node``; ``place`` is given the places of what is in it."""
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        known = self._done.get(id(node))
        if known is not None:
            place.items, place.count, place.depth = known[1].items, known[1].count, known[1].depth
            return known[0]
        if id(node) in self._open:
            return self._refuse(node, path, "contains itself through an alias")
        if len(path) >= MAX_DEPTH:
            return self._refuse(node, path, "nested too deeply")
        self._open.add(id(node))
        value: Any = None
        if isinstance(node, SequenceNode):
            value = self._sequence(node, place, path)
        elif isinstance(node, MappingNode):
            value = self._mapping(node, place, path)
        self._open.discard(id(node))
        self._done[id(node)] = value, place
        self._measure(node, place, path)
        return value

    def _measure(self, node: Node, place: Place, path: tuple[Step, ...]) -> None:
        inside = [inner for inner in place.items.values() if isinstance(inner, Place)]
        place.count += sum(inner.count for inner in inside) + len(place.items) - len(inside)
        place.depth += max((inner.depth for inner in inside), default=min(len(place.items), 1))
        if self._full:
            return
        if place.count > MAX_VALUES:
            self._refuse(node, path, f"more than {MAX_VALUES} values once its aliases are written out")
            self._full = True
        elif place.depth > MAX_DEPTH:
            self._refuse(node, path, "nested too deeply")
            self._full = True

    def _refuse(self, node: Node, path: Sequence[Step], message: str) -> Any:
        mark = node.start_mark
        self.problems.append(Problem(self.source, mark.line + 1, mark.column + 1, pathText(path), message))
        return None

    def _scalar(self, node: ScalarNode, path: tuple[Step, ...]) -> Any:
        kind, text = str(node.tag).removeprefix(_TAG), str(node.value)
        # A date that nobody tagged is the text that was written; so are "=" and "<<" as values.
        if kind in ("str", "timestamp", "value", "merge"):
            return self._text(node, text, path)
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() in ("true", "yes", "on")
        if kind in ("int", "float"):
            return self._number(node, kind, text.replace("_", ""), path)
        return self._refuse(node, path, f"the tag {kind} is not supported; leave it out")

    def _text(self, node: ScalarNode, text: str, path: tuple[Step, ...]) -> str | None:
        if text.isascii() or not _SURROGATE.search(text):
            return text
        # The library leaves JSON's escaped pairs as they are.
        try:
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            self._refuse(node, path, f"{quoted(text)} has half of a surrogate pair")
            return None

    def _number(self, node: ScalarNode, kind: str, text: str, path: tuple[Step, ...]) -> int | float | None:
        try:
            number = _integer(text) if kind == "int" else float(text.replace(".inf", "inf").replace(".nan", "nan"))
        except ValueError:
            self._refuse(node, path, f"{quoted(text)} is not a number")
            return None
        if not math.isfinite(number) if isinstance(number, float) else number.bit_length() > 512:
            self._refuse(node, path, f"{quoted(text)} is not a finite number of reasonable size")
            return None
        return number

    def _sequence(self, node: SequenceNode, place: Place, path: tuple[Step, ...]) -> list[Any]:
        self._checkTag(node, "seq", path)
        values = []
        for index, item in enumerate(node.value):
            values.append(self._inside(item, item, place, index, path))
        return values

    def _mapping(self, node: MappingNode, place: Place, path: tuple[Step, ...]) -> dict[str, Any]:
        self._checkTag(node, "map", path)
        values: dict[str, Any] = {}
        merged: list[tuple[dict[str, Any], Place]] = []
        for keyNode, item in node.value:
            if keyNode.tag == _TAG + "merge":
                merged.extend(self._merge(item, path))
                continue
            key = self._key(keyNode, path)
            if key is None:
                continue
            if key in values:
                self._refuse(keyNode, (*path, key), f"given twice; the first is in line {_lineOf(place.items[key])}")
                continue
            values[key] = self._inside(keyNode, item, place, key, path)
        for others, where in merged:
            for key, value in others.items():
                if key not in values:
                    values[key] = value
                    place.items[key] = where.items[key]
        return values

    def _inside(self, where: Node, node: Node, place: Place, step: Step, path: tuple[Step, ...]) -> Any:
        """The value of what is in another; it stands where another node does."""
        line, column = where.start_mark.line + 1, where.start_mark.column + 1
        if isinstance(node, ScalarNode):
            place.items[step] = line, column
            return self._scalar(node, (*path, step))
        inner = place.items[step] = Place(line, column)
        return self.read(node, inner, (*path, step))

    def _key(self, node: Node, path: tuple[Step, ...]) -> str | None:
        if isinstance(node, ScalarNode):
            value = self._scalar(node, path)
            if isinstance(value, str):
                return value
            if not self.problems or self.problems[-1].line != node.start_mark.line + 1:
                self._refuse(node, path, f'the key {node.value} is not text; write it in quotes: "{node.value}"')
            return None
        self._refuse(node, path, "a key must be text")
        return None

    def _merge(self, node: Node, path: tuple[Step, ...]) -> Iterator[tuple[dict[str, Any], Place]]:
        nodes = node.value if isinstance(node, SequenceNode) else [node]
        for item in nodes:
            where = Place(item.start_mark.line + 1, item.start_mark.column + 1)
            value = self.read(item, where, (*path, "<<")) if isinstance(item, MappingNode) else None
            if isinstance(value, dict):
                yield value, where
            else:
                self._refuse(item, (*path, "<<"), "only a mapping can be merged")

    def _checkTag(self, node: Node, kind: str, path: tuple[Step, ...]) -> None:
        if node.tag not in (_TAG + kind, "!"):
            self._refuse(node, path, f"the tag {str(node.tag).removeprefix(_TAG)} is not supported")


def _lineOf(place: Place | tuple[int, int]) -> int:
    return place.line if isinstance(place, Place) else place[0]


def _integer(text: str) -> int:
    """YAML 1.2 core schema: leading zeros are decimal, 0o is octal. Very long ones are refused before they are made."""
    if len(text) > 200:
        raise ValueError(text)
    sign, digits = (-1, text[1:]) if text[:1] == "-" else (1, text.lstrip("+"))
    for prefix, radix in (("0x", 16), ("0o", 8), ("0b", 2)):
        if digits.lower().startswith(prefix):
            return sign * int(digits[2:], radix)
    return sign * int(digits)


def _refuseConstant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large")
    return number


_SURROGATE = re.compile("[\ud800-\udfff]")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+')


class _JSONPlaces:
    """Positions in text that `json` has accepted; so there is nothing here but strings, punctuation and words."""

    def __init__(self, text: str, source: str) -> None:
        self.source = source
        self.problems: list[Problem] = []
        self._tokens = _TOKEN.finditer(text)
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._line = 1

    def scan(self) -> Place:
        """The place of the whole document."""
        match = next(self._tokens)
        root = self._place(match)
        self._inside(match[0], root, ())
        return root

    def _place(self, match: re.Match[str]) -> Place:
        while self._line < len(self._starts) and self._starts[self._line] <= match.start():
            self._line += 1
        return Place(self._line, match.start() - self._starts[self._line - 1] + 1)

    def _checkText(self, token: str, place: Place, path: tuple[Step, ...]) -> None:
        if "\\u" in token and _SURROGATE.search(json.loads(token)):
            message = f"{token} has half of a surrogate pair"
            self.problems.append(Problem(self.source, place.line, place.column, pathText(path), message))

    def _inside(self, token: str, place: Place, path: tuple[Step, ...]) -> None:
        if len(path) > MAX_DEPTH:
            raise ConfigErrors([Problem(self.source, place.line, place.column, "", "nested too deeply")])
        if token == "{":
            self._object(place, path)
        elif token == "[":
            self._array(place, path)
        elif token[0] == '"':
            self._checkText(token, place, path)

    def _array(self, place: Place, path: tuple[Step, ...]) -> None:
        index = 0
        for match in self._tokens:
            if match[0] == "]":
                return
            if match[0] != ",":
                inner = place.items[index] = self._place(match)
                self._inside(match[0], inner, (*path, index))
                index += 1

    def _object(self, place: Place, path: tuple[Step, ...]) -> None:
        for match in self._tokens:
            if match[0] == "}":
                return
            if match[0] == ",":
                continue
            key, inner = json.loads(match[0]), self._place(match)
            self._checkText(match[0], inner, path)
            if key in place.items:
                first = _lineOf(place.items[key])
                self.problems.append(
                    Problem(self.source, inner.line, inner.column, pathText((*path, key)),
                            f"given twice; the first is in line {first}")
                )
            place.items[key] = inner
            next(self._tokens)  # the colon
            self._inside(next(self._tokens)[0], inner, (*path, key))


def documentFromValue(value: Any, source: str) -> Document:
    """A document that never was text: the manifest of a drop-in. Its problems have a path and no line."""
    return Document(source, value)
