"""
Another value for one key of a YAML text, with all else as its author wrote it.

Only the text of that value is replaced, or put in where there is none: comments, order, quotes and blank lines around
it stay to the letter. Inside of it, comments of keys that stay are kept as far as the library can (ruamel.yaml's round
trip). Where that comes to something else than was meant (anchors, merged keys, a mapping in braces over many lines),
the library writes the whole text anew, which keeps comments, but not every indentation. The result is read once more,
and must say exactly what it said before, but for the one value.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from revproxy.config.document import Document, parseYAML
from revproxy.config.problems import ConfigErrors
from revproxy.config.yamlreader import composeYAML, readNode, readYAML

_WIDE = 1 << 20
"""Characters of a line before the library breaks it: it does not."""

_ELSEWHERE = frozenset(("yes", "no", "on", "off", "y", "n"))
"""Texts that other programs take for true or false."""

_STEP = 2
"""Spaces that what we put in is indented by."""


class NotEdited(ValueError):
    """The text cannot be changed so by us; the text says why, and what to do."""


def withValue(text: str, path: Sequence[str], value: Any) -> str:
    """
    :param text: YAML that can be read.
    :param path: keys of mappings, one in the other; those that are missing are made.
    :param value: what JSON can say.
    :raises NotEdited: it cannot be done.
    """
    return edited(text, path, value, "").text or ""


def edited(text: str, path: Sequence[str], value: Any, source: str) -> Document:
    """As :func:`withValue`; the result has been read, which for a long text takes seconds. ``source`` is its name."""
    node = composeYAML(text, "")
    before, _ = readNode(node, "")
    if before is not None and not isinstance(before, dict):
        raise NotEdited("it is no mapping")
    wanted = _with(before or {}, path, value)
    for attempt in (_spliced, _again):
        try:
            made = parseYAML(attempt(text, node, path, value), source)
            if made.value == wanted and _isSameKind(made.value, wanted):
                return made
        except Exception:  # the library raises several kinds for what it cannot do
            continue
    raise NotEdited("this text cannot be changed by a program without losing something; write it by hand")


def _with(before: Any, path: Sequence[str], value: Any) -> Any:
    if not path:
        return value
    inner = before.get(path[0]) if isinstance(before, dict) else None
    if inner is not None and len(path) > 1 and not isinstance(inner, dict):
        raise NotEdited(f"{path[0]} is no mapping")
    return {**(before or {}), path[0]: _with(inner, path[1:], value)}


def _isSameKind(one: Any, other: Any) -> bool:
    """1, 1.0 and true are equal, and not the same."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_isSameKind(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_isSameKind, one, other))
    return type(one) is type(other)


# Only the text of the value


def _spliced(text: str, root: Node | None, path: Sequence[str], value: Any) -> str:
    if root is None:
        end = "" if not text or text.endswith("\n") else "\n"
        return text + end + _dumped(_nested(path, value), 0)
    node, depth = root, 0
    found: tuple[Node, Node] | None = None
    while depth < len(path):
        found = _entry(node, path[depth])
        if found is None:
            break
        node, depth = found[1], depth + 1
    if found is not None:
        return _replaced(text, found[0], node, value)
    if isinstance(node, ScalarNode):  # ``plugins:`` with nothing behind it
        raise NotEdited("there is nothing to add to")
    return _added(text, node, path[depth:], value)


def _entry(node: Node, key: str) -> tuple[Node, Node] | None:
    """The nodes of a key and its value."""
    if not isinstance(node, MappingNode):
        return None
    return next((pair for pair in node.value if isinstance(pair[0], ScalarNode) and pair[0].value == key), None)


def _replaced(text: str, key: Node, node: Node, value: Any) -> str:
    if node.anchor:
        raise NotEdited("others refer to it")
    start, end = node.start_mark.index, _endOf(node)
    isBlock = isinstance(node, CollectionNode) and not node.flow_style
    column = key.start_mark.column
    if isinstance(value, dict) and value and isBlock:
        lineStart = text.rindex("\n", 0, start) + 1 if "\n" in text[:start] else 0
        if text[lineStart:start].strip(" "):
            raise NotEdited("it begins in a line with something else")
        inner = node.start_mark.column
        block = "\n".join(_outdented(line, inner) for line in text[lineStart:end].split("\n"))
        lines = _indented(_merged(f"{block}\n", value), inner)
        return text[:lineStart] + lines.rstrip("\n") + text[end:]
    if isinstance(value, dict) and value and key.end_mark.line == node.start_mark.line and _isLast(text, end):
        # ``name: true`` becomes a block of its own; a comment behind it stays with the name.
        line = text.find("\n", end)
        rest = text[end:] if line < 0 else text[end:line]
        below = "" if line < 0 else text[line + 1 :]
        head = text[: key.end_mark.index] + ":" + (f"  {rest.strip()}" if rest.strip() else "") + "\n"
        if not _isFlowed(text, key):
            return head + _dumped(value, column + _STEP) + below
    return text[:start] + _flow(value) + text[end:]


def _outdented(line: str, column: int) -> str:
    """A comment may stand further to the left."""
    return line[min(column, len(line) - len(line.lstrip(" "))) :]


def _isLast(text: str, end: int) -> bool:
    """Whether nothing but a comment follows in the line."""
    line = text[end : text.find("\n", end) if "\n" in text[end:] else len(text)].strip()
    return not line or line.startswith("#")


def _isFlowed(text: str, key: Node) -> bool:
    """Whether a key stands in braces, as far as its own line shows."""
    start = text.rfind("\n", 0, key.start_mark.index) + 1
    return bool(text[start : key.start_mark.index].strip(" "))


def _added(text: str, node: Node, path: Sequence[str], value: Any) -> str:
    if not isinstance(node, MappingNode) or not path:
        raise NotEdited("there is no mapping to add to")
    if node.flow_style:
        close = text.rindex("}", 0, node.end_mark.index)
        inside = text[node.start_mark.index + 1 : close]
        comma = "" if not inside.strip() or inside.rstrip().endswith(",") else ", "
        entry = f"{_flow(path[0])}: {_flow(_nested(path[1:], value))}"
        return text[:close].rstrip(" ") + comma + entry + text[close:]
    end = _endOf(node)
    line = text.find("\n", end)
    head = text + "\n" if line < 0 else text[: line + 1]
    below = "" if line < 0 else text[line + 1 :]
    return head + _dumped(_nested(path, value), node.start_mark.column) + below


def _endOf(node: Node) -> int:
    """Where the last character of a value is: the library has a block end where the next thing begins."""
    if isinstance(node, CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _endOf(last[1] if isinstance(node, MappingNode) else last)
    if isinstance(node, ScalarNode) and node.style in ("|", ">"):
        buffer = node.end_mark.buffer
        if buffer is None:
            raise NotEdited("it ends in a text of several lines")
        end = int(node.end_mark.index)
        return end - 1 if end and buffer[end - 1] == "\n" else end
    return int(node.end_mark.index)


def _nested(path: Sequence[str], value: Any) -> Any:
    for key in reversed(path):
        value = {key: value}
    return value


# By the library


def _again(text: str, root: Node | None, path: Sequence[str], value: Any) -> str:
    """The whole text, written by the library."""
    yaml = _roundTrip()
    data = yaml.load(text)
    if data is None:
        data = CommentedMap()
    inner = data
    for key in path[:-1]:
        if inner.get(key) is None:
            inner[key] = CommentedMap()
        inner = inner[key]
    inner[path[-1]] = _commented(value)
    return _written(yaml, data)


def _merged(block: str, value: Any) -> str:
    """A block mapping with other values, and the comments of the keys that stay; without its indentation."""
    yaml = _roundTrip()
    data = yaml.load(block)
    if not isinstance(data, CommentedMap):
        raise NotEdited("it is no mapping")
    _merge(data, value)
    return _written(yaml, data)


def _merge(data: CommentedMap, value: dict[str, Any]) -> None:
    for key in [key for key in data if key not in value]:
        del data[key]
    for key, new in value.items():
        old = data.get(key)
        if isinstance(old, CommentedMap) and isinstance(new, dict):
            _merge(old, new)
        elif key not in data or old != new or type(old) is bool or type(new) is bool:
            data[key] = _commented(new)


def _commented(value: Any) -> Any:
    """As the library writes it so that it is read as the same again."""
    if isinstance(value, dict):
        made = CommentedMap()
        for key, inner in value.items():
            made[_commented(key)] = _commented(inner)
        return made
    if isinstance(value, list):
        return CommentedSeq(_commented(inner) for inner in value)
    if isinstance(value, str) and not _isPlain(value):
        return DoubleQuotedScalarString(value)
    return value


def _isPlain(text: str) -> bool:
    """Whether a text may stand without quotes."""
    if text.lower() in _ELSEWHERE:
        return False
    try:
        return readYAML(f"a: {text}\n", "")[0] == {"a": text} and "\n" not in text and len(text) < 500
    except ConfigErrors:
        return False


def _roundTrip() -> YAML:
    yaml = YAML(typ="rt", pure=True)
    yaml.preserve_quotes = True
    yaml.width = _WIDE
    yaml.allow_duplicate_keys = False
    yaml.indent(mapping=_STEP, sequence=_STEP + 2, offset=_STEP)
    return yaml


def _written(yaml: YAML, data: Any) -> str:
    stream = StringIO()
    yaml.dump(data, stream)
    return stream.getvalue()


def _dumped(value: Any, column: int) -> str:
    """A block, indented."""
    return _indented(_written(_roundTrip(), _commented(value)), column)


def _indented(text: str, column: int) -> str:
    lines = text.splitlines()
    present = min((len(line) - len(line.lstrip(" ")) for line in lines if line.strip()), default=0)
    return "".join(f"{' ' * column}{line[present:]}\n" if line.strip() else "\n" for line in lines)


def _flow(value: Any) -> str:
    """In one line, and in braces."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flow(key)}: {_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str) and value.replace("-", "").replace("_", "").isalnum() and _isPlain(value):
        return value
    return json.dumps(value, ensure_ascii=False)


__all__ = ["NotEdited", "edited", "withValue"]
