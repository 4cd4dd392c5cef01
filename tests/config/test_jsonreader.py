"""JSON: plain values, and the line and column of each."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.document import parseJSON
from tests.config.test_document import refused


class JSONTests(SynchronousTestCase):
    """`parseJSON`."""

    def test_positions(self) -> None:
        """Every key and item is found, whatever punctuation its text has."""
        document = parseJSON('{\n  "a{": ["]", {"b\\"": 1}],\n\t"c": true\n}', "f")
        self.assertEqual(document.position(("a{",)), (2, 3))
        self.assertEqual(document.position(("a{", 0)), (2, 10))
        self.assertEqual(document.position(("a{", 1, 'b"')), (2, 16))
        self.assertEqual(document.position(("c",)), (3, 2))

    def test_refusals(self) -> None:
        """What RFC 8259 does not know is refused with its place."""
        for text, start in (
            ('{"a": 1,}', "f:1:"),
            ('{"a": NaN}', "f:1:1: not JSON: NaN is not a JSON number"),
            ('{"a": 1e999}', "f:1:1: not JSON: 1e999 is too large"),
            ('{\n// x\n"a": 1}', "f:2:1: not JSON: "),
            ("", "f:1:1: not JSON: Expecting value (the file is empty)"),
            ('{"a": 1,\n "a": 2}', "f:2:2: $.a: given twice; the first is in line 1"),
            ("[" * 100 + "]" * 100, "f:1:52: nested too deeply"),
            ("[" * 100000, "f:1:1: nested too deeply"),
            ("9" * 5000, "f:1:1: not JSON: "),
        ):
            self.assertEqual(refused(parseJSON, text)[0][: len(start)], start)

    def test_otherLanguages(self) -> None:
        """What was meant as Python or JavaScript is told what JSON has not."""
        for text, hint in (
            ("{// x\n}", r"\(JSON has no comments\)"),
            ("{'a': 1}", r"\(JSON has double quotes only\)"),
            ('{"a": 1,\n}', r"\(JSON has no comma after the last\)|trailing comma"),
            ("[1,\n]", r"\(JSON has no comma after the last\)|trailing comma"),
        ):
            self.assertRegex(refused(parseJSON, text)[0], hint)
