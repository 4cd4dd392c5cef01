"""Documents: plain values, and the line and column of each."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.document import Document, decodeText, documentFromValue, parseJSON, parseYAML
from revproxy.config.problems import ConfigErrors


def refused(parse, text: str) -> list[str]:
    """The messages with which ``text`` is refused."""
    try:
        parse(text, "f")
    except ConfigErrors as errors:
        return [str(problem) for problem in errors.problems]
    raise AssertionError(f"not refused: {text!r}")


class TextTests(SynchronousTestCase):
    """Bytes to text, and the words of messages."""

    def test_decode(self) -> None:
        """UTF-8 with or without a byte order mark."""
        self.assertEqual(decodeText("\ufeffä".encode(), "f"), "ä")

    def test_notUTF8(self) -> None:
        """The first wrong byte is named with its line and column."""
        self.assertEqual(refused(lambda text, source: decodeText(b"ab\nc\xff", source), "")[0],
                         "f:2:2: not UTF-8 text (byte 0xff); save the file as UTF-8")

    def test_withoutText(self) -> None:
        """A document that never was text has problems without lines."""
        self.assertEqual(str(documentFromValue({}, "x.y").problem(("a",), "no")), "x.y: $.a: no")


class TextAloneTests(SynchronousTestCase):
    """Documents that are made of a text that was parsed before."""

    def test_same(self) -> None:
        """They have the same value, and the same places."""
        for parse, text in ((parseYAML, "a:\n  - b: 1\n"), (parseJSON, '{"a":\n [{"b": 1}]}')):
            parsed = parse(text, "f")
            again = Document.fromText("f", text, parsed.isJSON)
            self.assertEqual(again.position(("a", 0, "b")), parsed.position(("a", 0, "b")))
            self.assertTrue(Document.fromText("f", text, parsed.isJSON).has(("a", 0)))
            self.assertEqual(Document.fromText("f", text, parsed.isJSON).value, parsed.value)

    def test_broken(self) -> None:
        """Of a text that cannot be parsed there is no value, and no place."""
        document = Document.fromText("f", "{", True)
        self.assertEqual((document.value, document.position(("a",)), document.has(("a",))), (None, (0, 0), False))
