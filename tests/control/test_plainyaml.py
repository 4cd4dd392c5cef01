"""What is read without the library is what the library reads."""

from __future__ import annotations

import warnings
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, ScalarNode
from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.document import parseYAML
from revproxy.control.plainyaml import composePlain
from revproxy.control.starters import CONFIG

KEYS = ("a", "b", "c-d", "e.f", "on", "null", "true", '"q k"', "'s'", "1", "~", "<<", "x y", "?", "é", "")
VALUES = (
    "v", "1", "http://x:80/a?b=c&d", "a#b", "true", "~", "null", "0x1F", "0o17", "1_000", "1.5", "1e5", ".inf",
    "-1", "+.5", "2020-01-01", "{a: 1}", "[x, 'y']", "{a: {b: [1, {c: }]}}", '"q"', "'s'", '"e\\n\\u00e9"', "'it''s'",
    "{}", "[ ]", "x  y", "", "# c", "é", "a\u00a0b", "=", "<<", "a: b", "a:", "- x", "-", "---", "...", "&a x", "*a",
    "!!str x", "|", ">", "@x", "`", "%", "{a", "[x",
    "'a' b", '"a": b', "[a]: b", "{a: 1}: b", "{a: &x 1}", "[*a]", "{<<: {a: 1}}",
    ":x", "a::b", ",", "?", "? x", "x\ty", "*.x", "\\x", '"a', "{a: b} c", "[a]#c", "'a'#c", "\ufeff", "\x01",
)  # fmt: skip
INDENTS = ("", "", "  ", "  ", "    ", "    ", " ", "   ")
DASHES = ("", "", "", "- ", "-  ", "- - ", "-")
COLONS = (": ", ": ", ":", ":  ", " : ")
TAILS = ("", "", "", "  ", " # c", "#c")
ODD = ("", "  ", "# c", "     # c", "---", "...", "%YAML 1.1", "- ", "\t")

anyLine = st.sampled_from(ODD) | st.tuples(
    *map(st.sampled_from, (INDENTS, DASHES, KEYS, COLONS, VALUES, TAILS))
).map("".join)


@st.composite
def blocks(draw: Any, indent: int = 0, depth: int = 0) -> list[str]:
    """Lines of a mapping, mostly right."""
    lines: list[str] = []
    for key in draw(st.lists(st.sampled_from(KEYS[:9]), min_size=1, max_size=3)):
        kind = draw(st.integers(0, 5 if depth < 3 else 3))
        start = " " * indent + key
        if kind < 4:
            lines.append(f"{start}: {draw(st.sampled_from(VALUES[:31]))}{draw(st.sampled_from(TAILS[:5]))}")
        elif kind == 4:
            inner = draw(blocks(indent + draw(st.sampled_from((1, 2, 4))), depth + 1))
            lines += [f"{start}:", *inner]
        else:
            deeper = indent + draw(st.sampled_from((0, 2)))
            lines.append(f"{start}:")
            for _ in range(draw(st.integers(1, 3))):
                item = draw(blocks(deeper + 2, depth + 1))
                lines += [" " * deeper + "- " + item[0][deeper + 2 :], *item[1:]]
        if draw(st.integers(0, 9)) == 0:
            lines.append(draw(anyLine))
    return lines


def library(text: str) -> Any:
    """How the library composes a document."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return YAML(typ="safe", pure=True).compose(text)


def plain(node: Any) -> Any:
    """A node with tags and places, to be compared. Where a null stands that is not written does not matter."""
    mark = node.start_mark.line, node.start_mark.column
    if isinstance(node, ScalarNode):
        return node.tag, node.value, mark if node.value else None
    if isinstance(node, MappingNode):
        return node.tag, mark, [(plain(key), plain(value)) for key, value in node.value]
    return node.tag, mark, [plain(item) for item in node.value]


class PlainTests(SynchronousTestCase):
    """`composePlain`."""

    def same(self, text: str) -> bool:
        """Whether it was read. It must be what the library reads, and nothing that the library refuses."""
        node = composePlain(text, library)
        if node is None:
            return False
        self.assertEqual(plain(node), plain(library(text)), text)
        return True

    @given(blocks())
    @settings(max_examples=300, deadline=None)
    def test_blocks(self, lines: list[str]) -> None:
        """What looks like a configuration, with a line here and there that does not."""
        self.same("\n".join(lines))

    @given(st.lists(anyLine, max_size=6))
    @settings(max_examples=300, deadline=None)
    def test_lines(self, lines: list[str]) -> None:
        """Any lines that could mislead a reader of lines."""
        self.same("\n".join(lines))

    def test_isRead(self) -> None:
        """What people write is read here: our own first file, routes, quotes, brackets, comments, lists in lists."""
        for text in (
            CONFIG,
            "---\na: 1\n",
            "# c\n\na:   # c\n- x\n-   b: c   # d\n    e: {f: [1, 'g', \"h\\n\"]}  # i\n'k l':\n\"m\": \n",
            "routes:\n  - host: a.example\n    path: /é\n    redirect: {url: https://b/, status: 301}\n"
            "  - upstream: b\n",
        ):
            self.assertTrue(self.same(text), text)

    def test_isNotRead(self) -> None:
        """What is left to the library."""
        for text in (
            "", "# c\n", "a", "- a\n", "a: &x 1\nb: *x\n", "a: |\n  b\n", "a: b\n  c\n", "a: b: c\n", "a:\tb\n",
            "a: !!str 1\n", "a: {b: 1\n", "a:\n    b: 1\n  c: 2\n", "a: 1\n- b\n", "a: 1\n---\nb: 1\n", "a: 1\r\n",
            "%YAML 1.1\n---\na: 1\n", "- - a\n", "a:\n  -\n    b: 1\n", "a: 'b' c\n", "? a\n: b\n", " a: 1\n",
            "a: 'b\n  c'\n", "a: {b: *c}\n", "a:\n  b\n", 'a: "b": c\n',
        ):  # fmt: skip
            self.assertIsNone(composePlain(text, library), text)

    def test_values(self) -> None:
        """Read either way, values and places are the same; what is wrong is said as ever."""
        text = "a: {b: 1, c: [x]}\nd:\n- e: null\n  f:\n"
        document = parseYAML(text, "f")
        self.assertEqual(document.value, {"a": {"b": 1, "c": ["x"]}, "d": [{"e": None, "f": None}]})
        places = [("a", "c", 0), ("d", 0, "f"), ("d", 0)]
        self.assertEqual([document.position(path) for path in places], [(1, 15), (4, 3), (3, 3)])
        self.assertEqual(str(parseYAML("x: &y 1\n" + text, "f").position(("d", 0, "f"))), "(5, 3)")
