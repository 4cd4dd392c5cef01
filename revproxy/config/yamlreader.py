"""YAML to values and their places.

YAML is composed to nodes once and turned into plain values here, not by the library's constructor: a second parse for
positions would cost as much as the first (0.4 s per 1,000 routes), and the constructor would make dates, binary and
sets, none of which JSON Schema knows. The result is what JSON can say: text, numbers that are finite, true, false,
null, lists, and mappings whose keys are text and occur once.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.scanner import Scanner

from revproxy.config.places import MAX_DEPTH, SURROGATE, Place, lineOf
from revproxy.config.problems import ConfigErrors, Problem, Step, pathText, quoted

MAX_VALUES = 1_000_000
"""How many values there may be once every alias is written out."""

_TAG = "tag:yaml.org,2002:"


def readYAML(text: str, source: str) -> tuple[Any, Place]:
    """The value of a YAML 1.2 text, None if it is empty, and its place.

    :raises ConfigErrors: not YAML, several documents, duplicate or non-text keys, tags, values JSON cannot express.
    """
    return readNode(composeYAML(text, source), source)


def composeYAML(text: str, source: str) -> Node | None:
    """The nodes of a YAML 1.2 text; None if it is empty. :raises ConfigErrors: it is not YAML, or several documents."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a reused anchor is legal
            yaml = YAML(typ="safe", pure=True)
            yaml.Scanner = _Scanner
            node: Node | None = yaml.compose(text)
    except MarkedYAMLError as error:
        raise ConfigErrors([_syntaxProblem(error, source)]) from None
    except RecursionError:
        raise ConfigErrors([Problem(source, 1, 1, "", "nested too deeply")]) from None
    except Exception as error:  # the scanner raises several kinds for what it cannot read
        raise ConfigErrors([_unreadable(error, text, source)]) from None
    return node


def readNode(node: Node | None, source: str) -> tuple[Any, Place]:
    """As :func:`readYAML`, of nodes. :raises ConfigErrors: what JSON cannot express is in it."""
    if node is None:
        return None, Place(1, 1)
    reader = _NodeReader(source)
    root = Place(1, 1)
    value = reader.read(node, root, ())
    if reader.problems:
        raise ConfigErrors(reader.problems)
    return value, root


class _Scanner(Scanner):
    """
    Each bracket that is open costs time with each token; so not many more are opened than may be.
    """

    def fetch_flow_collection_start(self, TokenClass: Any, to_push: str) -> None:
        """A bracket opens."""
        if self.flow_level > 2 * MAX_DEPTH:
            raise RecursionError
        super().fetch_flow_collection_start(TokenClass, to_push)


def _syntaxProblem(error: MarkedYAMLError, source: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    message = " ".join(f"{error.problem or error.context}".split())
    if "'\\t'" in message:
        message += " (indent with spaces)"
    elif "undefined alias" in message:
        message += " (write text that begins with * in quotes)"
    elif error.context and error.problem:
        message += f", {error.context}"
        if error.context_mark and error.context_mark.line + 1 != line:
            message += f" that began in line {error.context_mark.line + 1}"
        elif "cannot start any token" in message:
            message += " (write text that begins with it in quotes)"
    return Problem(source, line, column, "", f"not YAML: {message}")


def _unreadable(error: Exception, text: str, source: str) -> Problem:
    offset = getattr(error, "position", None)
    if not isinstance(offset, int) or not hasattr(error, "reason"):
        return Problem(source, 1, 1, "", "not YAML: " + (" ".join(str(error).split()) or type(error).__name__))
    before = text[:offset]
    return Problem(source, before.count("\n") + 1, offset - before.rfind("\n"), "", f"not YAML: {error.reason}")


class _NodeReader:
    """YAML nodes to plain values. Collects the problems instead of stopping at the first."""

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
        if text.isascii() or not SURROGATE.search(text):
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
                self._refuse(keyNode, (*path, key), f"given twice; the first is in line {lineOf(place.items[key])}")
                continue
            values[key] = self._inside(keyNode, item, place, key, path)
        for others, where in merged:
            for key, value in others.items():
                if key not in values:
                    values[key] = value
                    place.items[key] = where.items[key]
        return values

    def _inside(self, where: Node, node: Node, place: Place, step: Step, path: tuple[Step, ...]) -> Any:
        """The value of a node inside another; its place is that of the node ``where``."""
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


def _integer(text: str) -> int:
    """YAML 1.2 core schema: leading zeros are decimal, 0o is octal. Very long ones are refused before they are made."""
    if len(text) > 200:
        raise ValueError(text)
    sign, digits = (-1, text[1:]) if text[:1] == "-" else (1, text.lstrip("+"))
    for prefix, radix in (("0x", 16), ("0o", 8), ("0b", 2)):
        if digits.lower().startswith(prefix):
            return sign * int(digits[2:], radix)
    return sign * int(digits)
