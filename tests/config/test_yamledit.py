"""Another value in a YAML text, and all else as it was written."""

from __future__ import annotations

import string
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.config import yamledit, yamlreader
from revproxy.config.yamledit import NotEdited, edited, withValue
from revproxy.config.yamlreader import readYAML

PATH = ("plugins", "config", "a")

USUAL = """\
# The edge of the shop.   (do not touch on Fridays)

listeners:
- {endpoint: "tcp:80"}   # plain
-   endpoint:   'tcp:81'


plugins:
    directory: ./plugins     # ours

    # what plugins are told
    config:
        b: false   # later

        a:   # the guard
            # how many
            limit: 10   # per second
            names: [x,   "y"]
            deep: {z: 1}

        c: true
    watch: true
routes:
   - path: /
     upstream: o   # last line"""

_texts = st.text(string.printable + "äß–😀", max_size=12)
_values = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | _texts
    | st.sampled_from(["yes", "null", "1e3", "0x1f", "~", "- a", "a: b", "#", "2026-01-01", "=", "<<", "*a", "&a", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


def told(text: str) -> Any:
    """What a text says."""
    return readYAML(text, "")[0]


class WithValueTests(SynchronousTestCase):
    """`withValue`."""

    def changed(self, text: str, value: Any, path: tuple[str, ...] = PATH) -> tuple[list[str], list[str]]:
        """The lines that went and came, all others being to the letter what they were."""
        before, after = text.splitlines(), withValue(text, path, value).splitlines()
        while before and after and before[0] == after[0]:
            del before[0], after[0]
        while before and after and before[-1] == after[-1]:
            del before[-1], after[-1]
        return before, after

    def test_keyOfBlock(self) -> None:
        """A key changes, and every comment, blank line, quote and odd indentation stays."""
        value = {"limit": 20, "names": ["x", "y"], "deep": {"z": 1}}
        self.assertEqual(self.changed(USUAL, value), (
            ["            limit: 10   # per second", '            names: [x,   "y"]'],
            ["            limit: 20   # per second", '            names: [x, "y"]'],
        ))  # fmt: skip

    def test_newAndOldKeys(self) -> None:
        """A key comes, another goes."""
        made = withValue(USUAL, PATH, {"limit": 10, "more": [1, {"d": None}], "why": "yes"})
        self.assertIn('            limit: 10   # per second\n            more:\n', made)
        self.assertIn('            why: "yes"\n', made)
        self.assertIn("        c: true\n    watch: true\n", made)
        self.assertTrue(made.endswith("# last line"))

    def test_scalars(self) -> None:
        """A switch becomes a block, keeping its comment, and a block a switch."""
        self.assertEqual(self.changed(USUAL, {"x": 1}, ("plugins", "config", "b")), (
            ["        b: false   # later"], ["        b:  # later", "          x: 1"],
        ))  # fmt: skip
        made = withValue(USUAL, PATH, False)
        self.assertIn("\n        c: true\n    watch: true\n", made)
        self.assertIs(told(made)["plugins"]["config"]["a"], False)

    def test_missing(self) -> None:
        """What is missing on the way is put in behind what is there."""
        text = "plugins:\n  directory: ./p  # ours\n\n# routes\nroutes: []\n"
        self.assertEqual(self.changed(text, {"x": 1}), ([], ["  config:", "    a:", "      x: 1"]))
        self.assertEqual(withValue("a: 1", PATH, True), "a: 1\nplugins:\n  config:\n    a: true\n")
        self.assertEqual(told(withValue("", PATH, {"x": 1})), {"plugins": {"config": {"a": {"x": 1}}}})
        self.assertEqual(withValue("# nothing\n", PATH, {}).splitlines()[0], "# nothing")

    def test_braces(self) -> None:
        """In braces it stays in braces."""
        text = "plugins: {directory: ./p, config: {b: true}}  # short\nroutes: []\n"
        self.assertEqual(
            withValue(text, PATH, {"x": [1]}),
            'plugins: {directory: ./p, config: {b: true, a: {x: [1]}}}  # short\nroutes: []\n',
        )
        self.assertEqual(withValue("plugins: {}\n", PATH, True), 'plugins: {config: {a: true}}\n')
        text = "plugins: {config: {a: {x: 1}, b: 2}}\n"
        self.assertEqual(withValue(text, PATH, {"x": 2}), 'plugins: {config: {a: {x: 2}, b: 2}}\n')

    def test_ugly(self) -> None:
        """Anchors, merged keys, tabs, several lines, JSON, BOM-less CR LF: nothing is lost, or it is refused."""
        texts = [
            "plugins:\n  config:\n    a: &x {k: 1}\n    b: *x\n",
            "base: &b {k: 1, l: 2}\nplugins:\n  config:\n    a:\n      <<: *b\n      m: 3   # here\n",
            "plugins:\n  config:\n    a:\n      t: |\n        one\n\n        two\n\n\n# behind\nroutes: []\n",
            "plugins:\n  config:\n    a:\n      t: >-\n        one\n        two\n    # inside\nroutes: []\n",
            '{"plugins": {"config": {"a": {"k": 1}}},\n "routes": []}\n',
            '{"plugins": {"config":\n {"a": {"k": 1,\n  "l": 2}}},\n "routes": []}',
            "plugins:\r\n  config:\r\n    a: {k: 1}  # x\r\nroutes: []\r\n",
            "plugins:\n  config:   # only a comment\nroutes: []\n",
            "plugins:\n# flush left\n  config:\n# again\n    a:\n# and again\n      k: 1\n# end\n",
            "? plugins\n: config: {a: 1}\n",
            "'plugins':\n  \"config\":\n    a: 'it''s'\n",
            "---\nplugins:\n  config:\n    a: 1\n...\n",
            "plugins:\n  config:\n    a: 1 # no end",
            "plugins: {config: {a: {k: 1}, # why\n  b: 2}}\n",
            "plugins:\n  config:\n    a:\n    - 1\n    - 2\n    b: 1\n",
            "plugins:\n  config:\n    a:\n\n    b: 1\n",
        ]
        for text in texts:
            for value in ({"k": 2, "n": ["x"]}, True, {}, {"k": 1}):
                before = told(text)
                try:
                    made = withValue(text, PATH, value)
                except NotEdited:
                    continue
                before["plugins"]["config"] = {**(before["plugins"]["config"] or {}), "a": value}
                self.assertEqual(told(made), before, text)
                self.assertEqual(text.count("#") <= made.count("#") or "# here" in text or "# and again" in text
                                 or "# why" in text, True, (text, made))  # fmt: skip

    @given(_values)
    @settings(max_examples=150, deadline=None)
    def test_values(self, value: Any) -> None:
        """Whatever JSON can say is read as what was meant, and the other lines are what they were."""
        try:
            made = withValue(USUAL, PATH, value)
        except NotEdited:
            return
        before = told(USUAL)
        before["plugins"]["config"]["a"] = value
        self.assertEqual(repr(told(made)), repr(before))
        for line in ("# The edge of the shop.   (do not touch on Fridays)", "-   endpoint:   'tcp:81'"):
            self.assertIn(f"\n{line}\n", f"\n{made}")

    def test_kinds(self) -> None:
        """What is written is read once more, and 1 is not taken for true, wherever it stands."""
        self.assertFalse(yamledit._isSameKind({"a": [{"b": 1}]}, {"a": [{"b": True}]}))
        self.assertTrue(yamledit._isSameKind({"a": 1, "b": 2}, {"b": 2, "a": 1}))

    def test_refused(self) -> None:
        """What is no mapping is not made one."""
        for text in ("- 1\n", "plugins: 1\n", "plugins: {config: [a]}\n"):
            with self.assertRaises(NotEdited):
                withValue(text, PATH, True)

    def test_readTwice(self) -> None:
        """A long text takes seconds to read: it is read once before and once after, and given to whoever wants it."""
        read: list[str] = []

        class Counted(yamlreader.YAML):
            def compose(self, stream: Any) -> Any:
                read.append(stream)
                return super().compose(stream)

        text = f"routes: {list(range(500))}\n{USUAL.partition('routes:')[0]}"
        for module in (yamlreader, yamledit):
            self.patch(module, "YAML", Counted)
        made = edited(text, PATH, {"limit": 11}, "revproxy.yaml")
        self.assertEqual((made.value["plugins"]["config"]["a"], made.source), ({"limit": 11}, "revproxy.yaml"))
        self.assertEqual(sum(len(each) >= len(text) - 200 for each in read), 2)
