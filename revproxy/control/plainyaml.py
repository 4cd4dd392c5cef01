"""
YAML as configurations are written, read many times faster than the library reads it.

The library looks at each character several times: a third of a second for 1,000 routes. Nearly all lines of a
configuration are one of a few kinds: a key, a key and its value, an item of a list; the value is plain, in quotes, or
in brackets that end on the same line. These are read here, a line at a time, into the library's own nodes. Values in
brackets, or with escapes in them, are given to the library one by one.

Whatever is not clearly one of these (anchors, tags, text over several lines, tabs, an indentation that does not fit,
mistakes of any kind) is not read here, and then the library reads the whole. So there is one YAML, and all messages are
the library's. Tests compare the nodes of both.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from ruamel.yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import Reader
from ruamel.yaml.resolver import VersionedResolver
from ruamel.yaml.tag import Tag

# Indentation, dash, key with its colon, the rest.
_KEY = r"""[A-Za-z_][A-Za-z0-9_./-]{0,200}|"[^"\\]{0,200}"|'[^']{0,200}'"""
_LINE = re.compile(rf"( *)(- +)?(?:({_KEY}):(?: +|$))?(.*)")
_QUOTED = re.compile(r"""(?:"([^"\\]*)"|'([^']*)')(?: +#.*| *)""")
_PLAIN = re.compile(r"[A-Za-z0-9_./~+(^$;\\\u00a1-\U0010ffff]|-[A-Za-z0-9.]")
_BREAKS = re.compile("[\t\r\x85\u2028\u2029\ufeff]")

_STR, _NULL, _SEQ, _MAP = (Tag(suffix=f"tag:yaml.org,2002:{kind}") for kind in ("str", "null", "seq", "map"))


class Mark(NamedTuple):
    """A place in the text, from 0."""

    line: int
    column: int


def composePlain(text: str, compose: Callable[[str], Any]) -> Node | None:
    """
    The nodes of a document whose root is a mapping, or None: then the library has to be asked.

    :param compose: how the library reads a document.
    """
    if _BREAKS.search(text) or Reader.NON_PRINTABLE.search(text):
        return None
    try:
        return _Composer(compose).read(text)
    except _Unclear:
        return None


class _Unclear(Exception):
    """Better ask the library."""


class _Open:
    """A collection that may go on. :ivar key: of a mapping, the one that has no value yet."""

    __slots__ = ("indent", "isMapping", "items", "key")

    def __init__(self, indent: int, node: CollectionNode) -> None:
        self.indent = indent
        self.isMapping = isinstance(node, MappingNode)
        self.items: list[Any] = node.value
        self.key: Node | None = None

    def settle(self) -> None:
        """No value came: it is null."""
        if self.key is not None:
            self.items.append((self.key, ScalarNode(_NULL, "", self.key.start_mark)))
            self.key = None


class _Composer:
    """One run of :func:`composePlain`."""

    def __init__(self, compose: Callable[[str], Any]) -> None:
        self._compose = compose
        self._rules = VersionedResolver().versioned_resolver
        self._tags: dict[str, Tag] = {}
        self._known: dict[str, Node] = {}
        self._open: list[_Open] = []

    def read(self, text: str) -> Node | None:
        root: Node | None = None
        began = False
        for number, line in enumerate(text.split("\n")):
            content = line.lstrip(" ")
            if not content or content[0] == "#":
                continue
            if not began and line.rstrip(" ") == "---":
                began = True
                continue
            began = True
            match = _LINE.fullmatch(line)
            assert match is not None
            if root is None:
                if match[1] or match[2] or match[3] is None:
                    raise _Unclear
                root = MappingNode(_MAP, [], Mark(number, 0))
                self._open.append(_Open(0, root))
            self._line(number, match)
        while self._open:
            self._open.pop().settle()
        return root

    def _line(self, number: int, match: re.Match[str]) -> None:
        spaces, dash, key, rest = match.groups()
        indent = len(spaces)
        if key is None and dash is None:
            raise _Unclear
        here = self._at(number, indent, dash is not None)
        if dash is not None:
            indent += len(dash)
            if key is None:
                here.items.append(self._value(number, indent, rest))
                return
            node = MappingNode(_MAP, [], Mark(number, indent))
            here.items.append(node)
            here = _Open(indent, node)
            self._open.append(here)
        here.settle()
        keyNode = self._key(number, indent, key)
        if not rest or rest[0] == "#":
            here.key = keyNode
        else:
            here.items.append((keyNode, self._value(number, match.start(4), rest)))

    def _at(self, number: int, indent: int, isItem: bool) -> _Open:
        """The collection that a line goes on with, or begins."""
        stack = self._open
        while stack[-1].indent > indent:
            stack.pop().settle()
        here = stack[-1]
        if here.indent == indent:
            if not isItem and not here.isMapping:
                # A list that stands as deep as its key is over.
                stack.pop()
                here = stack[-1]
                if here.indent != indent:
                    raise _Unclear
            if here.isMapping != isItem:
                return here
        if here.key is None:
            raise _Unclear
        mark = Mark(number, indent)
        begun = SequenceNode(_SEQ, [], mark) if isItem else MappingNode(_MAP, [], mark)
        here.items.append((here.key, begun))
        here.key = None
        here = _Open(indent, begun)
        stack.append(here)
        return here

    def _key(self, number: int, column: int, text: str) -> Node:
        if text[0] in "\"'":
            return ScalarNode(_STR, text[1:-1], Mark(number, column))
        return ScalarNode(self._tagOf(text), text, Mark(number, column))

    def _tagOf(self, text: str) -> Tag:
        for name, pattern in self._rules.get(text[0], ()):
            if pattern.match(text):
                tag = self._tags.get(name)
                if tag is None:
                    tag = self._tags[name] = Tag(suffix=name)
                return tag
        return _STR

    def _value(self, number: int, column: int, text: str) -> Node:
        """What stands on the rest of a line."""
        if _PLAIN.match(text):
            if "#" in text:
                text = text.partition(" #")[0]
            text = text.rstrip(" ")
            if ": " in text or text[-1] == ":":
                raise _Unclear
            return ScalarNode(self._tagOf(text), text, Mark(number, column))
        quoted = _QUOTED.fullmatch(text)
        if quoted is not None:
            return ScalarNode(_STR, quoted[1] if quoted[1] is not None else quoted[2], Mark(number, column))
        if text[:1] not in ("{", "[", '"', "'"):
            raise _Unclear
        known = self._known.get(text)
        if known is None:
            known = self._known[text] = self._composed(text)
        return _moved(known, number, column)

    def _composed(self, text: str) -> Node:
        try:
            node: Node = self._compose(text)
        except Exception:  # what the library says of the whole is said to the user
            raise _Unclear from None
        if isinstance(node, CollectionNode) and not node.flow_style:
            raise _Unclear  # what looked like a value is a key
        return node


def _moved(node: Any, line: int, column: int) -> Node:
    """A copy of a node that was read by itself, where it stands in the document."""
    if node.anchor is not None:
        raise _Unclear
    mark = Mark(line, node.start_mark.column + column)
    if isinstance(node, ScalarNode):
        return ScalarNode(node.ctag, node.value, mark, style=node.style)
    if isinstance(node, MappingNode):
        pairs = [(_moved(key, line, column), _moved(value, line, column)) for key, value in node.value]
        return MappingNode(node.ctag, pairs, mark)
    return SequenceNode(node.ctag, [_moved(item, line, column) for item in node.value], mark)
