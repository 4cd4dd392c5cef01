"""YAML: plain values, and the line and column of each."""

from __future__ import annotations

import json
from time import thread_time

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.document import parseJSON, parseYAML
from revproxy.config.problems import ConfigErrors
from tests.config.test_document import refused


class YAMLTests(SynchronousTestCase):
    """`parseYAML`."""

    def test_values(self) -> None:
        """The YAML 1.2 core schema: yes and off are text, 0o14 is octal, dates are text."""
        text = "a: 1\nb: [yes, off, true, ~, 1.5, 0o14, 0x1F, 012, -3, 1e3, 2001-01-01, 1:30, '7']\n"
        expected = {"a": 1, "b": ["yes", "off", True, None, 1.5, 12, 31, 12, -3, 1000.0, "2001-01-01", "1:30", "7"]}
        self.assertEqual(parseYAML(text, "f").value, expected)

    def test_empty(self) -> None:
        """An empty document is null, and its position is its beginning."""
        document = parseYAML("# nothing\n", "f")
        self.assertIsNone(document.value)
        self.assertEqual(document.position(("a",)), (1, 1))

    def test_positions(self) -> None:
        """An entry of a mapping stands at its key, an item of a list at itself; what is absent at what is around it."""
        document = parseYAML("a:\n  - b: 1\n    c: {d: 2}\n  - x\n", "f")
        self.assertEqual(document.position(("a",)), (1, 1))
        self.assertEqual(document.position(("a", 0)), (2, 5))
        self.assertEqual(document.position(("a", 0, "b")), (2, 5))
        self.assertEqual(document.position(("a", 0, "c", "d")), (3, 9))
        self.assertEqual(document.position(("a", 1)), (4, 5))
        self.assertEqual(document.position(("a", 1, "z", 4)), (4, 5))

    def test_problem(self) -> None:
        """A problem prints as file, line, column, path, message."""
        document = parseYAML("a:\n  - b: 1\n", "f.yaml")
        self.assertEqual(str(document.problem(("a", 0, "b"), "no")), "f.yaml:2:5: $.a[0].b: no")

    def test_duplicateKeys(self) -> None:
        """A key given twice is refused at its second place, naming the first; all of them are reported."""
        messages = refused(parseYAML, "a: 1\nb: 2\na: 3\nb: 4\n")
        self.assertEqual(messages, ["f:3:1: $.a: given twice; the first is in line 1",
                                    "f:4:1: $.b: given twice; the first is in line 2"])

    def test_aliases(self) -> None:
        """Anchors and merge keys work; own keys win over merged ones; positions are those of the anchored text."""
        document = parseYAML("a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  y: 3\nc: *a\n", "f")
        self.assertEqual(document.value, {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}, "c": {"x": 1, "y": 2}})
        self.assertEqual(document.position(("b", "x")), (1, 8))
        self.assertEqual(document.position(("b", "y")), (4, 3))
        self.assertEqual(document.position(("c", "x")), (1, 8))

    def test_mergeOfNoMapping(self) -> None:
        """Only mappings are merged."""
        self.assertEqual(refused(parseYAML, "a:\n  <<: [1]\n"), ["f:2:8: $.a[\"<<\"]: only a mapping can be merged"])

    def test_aliasBomb(self) -> None:
        """Aliases that multiply beyond all bounds are refused at once."""
        lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
        lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
        self.assertIn("values once its aliases are written out", refused(parseYAML, "\n".join(lines))[0])

    def test_selfReference(self) -> None:
        """A value cannot contain itself."""
        self.assertEqual(refused(parseYAML, "a: &a [*a]"), ["f:1:4: $.a[0]: contains itself through an alias"])

    def test_deep(self) -> None:
        """Deep nesting is refused, also when aliases build it, or when it exhausts the parser."""
        self.assertIn("nested too deeply", refused(parseYAML, "[" * 80 + "]" * 80)[0])
        self.assertIn("nested too deeply", refused(parseYAML, "[" * 5000 + "]" * 5000)[0])
        begun = thread_time()
        for text in ("[" * 100_000, "{a: " * 100_000, "[a, " * 100_000):
            self.assertIn("nested too deeply", refused(parseYAML, text)[0])
        self.assertLess(thread_time() - begun, 2.0)
        chain = "\n".join(["a0: &a0 [x]", *(f"a{n}: &a{n} [[*a{n - 1}]]" for n in range(1, 40))])
        self.assertIn("nested too deeply", refused(parseYAML, chain)[0])

    def test_oddKeys(self) -> None:
        """Keys are text: a number is refused with the way to write it."""
        self.assertEqual(refused(parseYAML, "a:\n  1: x\n"),
                         ['f:2:3: $.a: the key 1 is not text; write it in quotes: "1"'])
        self.assertEqual(refused(parseYAML, "? [a]\n: x\n"), ["f:1:3: $: a key must be text"])

    def test_tags(self) -> None:
        """Tags are refused: they are another type system."""
        for text in ("a: !x 1", "a: !!binary aa", "a: !!python/object:os.system {}", "a: !!set {b}"):
            self.assertIn("is not supported", refused(parseYAML, text)[0], text)

    def test_numbersThatAreNone(self) -> None:
        """Infinity, NaN and numbers of absurd size are refused."""
        for text in (".inf", "-.inf", ".nan", "1e999", "9" * 4000, "9" * 180, "!!int x"):
            self.assertIn("f:1:4: $.a: ", refused(parseYAML, f"a: {text}")[0])

    def test_syntax(self) -> None:
        """What is not YAML is refused where it stops being YAML."""
        for text, start in (
            ("a: b: c", "f:1:5: not YAML: mapping values are not allowed here"),
            ("a:\n\t- x", "f:2:1: not YAML: found character '\\t' that cannot start any token (indent with spaces)"),
            ("a: *x", "f:1:4: not YAML: found undefined alias 'x' (write text that begins with * in quotes)"),
            ("a: @x", "f:1:4: not YAML: found character '@' that cannot start any token, while scanning for the next "
             "token (write text that begins with it in quotes)"),
            ("a: b\x01", "f:1:5: not YAML: "),
            ("a: 1\n---\nb: 2\n", "f:2:1: not YAML: but found another document"),
            ("a: [1\nb: 2\n", "f:2:2: not YAML: expected ',' or ']'"),
        ):
            self.assertEqual(refused(parseYAML, text)[0][: len(start)], start)

    def test_surrogates(self) -> None:
        """An escaped pair is one character, half of one is refused; both as in JSON."""
        for parse in (parseYAML, parseJSON):
            self.assertEqual(parse('{"a": "\\ud83d\\ude00"}', "f").value, {"a": "\U0001f600"})
            self.assertIn("half of a surrogate pair", refused(parse, '{"a": "\\ud83d"}')[0])
            self.assertIn("f:1:2: ", refused(parse, '{"\\ud83d": 1}')[0])

    @given(st.text("ab:-[]{}&*!%|>'\"#?, \n\t01.~<@", max_size=60))
    @settings(max_examples=150, deadline=None)
    def test_anyText(self, text: str) -> None:
        """Whatever the text, there is a document of JSON's values or `ConfigErrors`."""
        try:
            value = parseYAML(text, "f").value
        except ConfigErrors as errors:
            self.assertTrue(all(problem.line >= 1 and problem.column >= 1 for problem in errors.problems))
        else:
            self.assertEqual(json.loads(json.dumps(value, allow_nan=False)), value)

    @given(st.recursive(
        st.none() | st.booleans() | st.integers(-10**9, 10**9) | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=5), inner, max_size=3),
        max_leaves=8,
    ))
    @settings(max_examples=80, deadline=None)
    def test_sameAsJSON(self, value: object) -> None:
        """JSON text is YAML text of the same value with the same positions."""
        text = json.dumps(value, indent=1)
        yaml, plain = parseYAML(text, "f"), parseJSON(text, "f")
        self.assertEqual(yaml.value, value)
        self.assertEqual(plain.value, value)
        if isinstance(value, dict):
            for key in value:
                self.assertEqual(yaml.position((key,)), plain.position((key,)))
