"""
What a locked process writes to stdout and stderr.
"""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from revproxy.isolation.process.descriptors import Descriptors
from revproxy.isolation.process.output import LONGEST, MOST, Output, escaped
from tests.isolation.process.turns import Turns


class EscapedTests(SynchronousTestCase):
    """What could pass for something else in a log."""

    def test_plainText(self) -> None:
        """What people write stays: letters of all languages, tabs."""
        for text in ("", "as it was", "naïve Größe 日本語 🙂", "a\tb"):
            self.assertEqual(escaped(text), text)

    def test_terminal(self) -> None:
        """What a terminal would obey becomes text."""
        self.assertEqual(escaped("\x1b[2Jgone\x07\x00\x7f\x9b"), "\\x1b[2Jgone\\x07\\x00\\x7f\\x9b")

    def test_linesOfItsOwn(self) -> None:
        """Nobody makes a line that looks like another's."""
        self.assertEqual(
            escaped("a\r2026-01-01 [control] all is well\n\u2028\x85"),
            "a\\r2026-01-01 [control] all is well\\n\\u2028\\x85",
        )

    def test_turnedAround(self) -> None:
        """Nor text that is read in another order than it is written."""
        self.assertEqual(escaped("\u202eabc\u2066"), "\\u202eabc\\u2066")


class OutputTests(SynchronousTestCase):
    """A pipe, and a clock that is advanced."""

    def setUp(self) -> None:
        """Somebody listens."""
        self.reactor = Turns()
        reading, self.writing = os.pipe()
        self.addCleanup(self.close)
        self.output = Output(Descriptors(self.reactor), reading, self.reactor.seconds)
        self.addCleanup(self.output.close)
        self.lines: list[str] = []
        self.output.onLine = self.lines.append

    def close(self) -> None:
        """The process's end."""
        if self.writing >= 0:
            os.close(self.writing)
            self.writing = -1

    def write(self, data: bytes) -> None:
        """As a process does that waits until there is room."""
        while data:
            data = data[os.write(self.writing, data[:4096]) :]
            self.reactor.turn()

    def test_lines(self) -> None:
        """Each is told when it has ended; empty ones are not."""
        self.write(b"one\ntw")
        self.assertEqual(self.lines, ["one"])
        self.write(b"o\r\n\n")
        self.assertEqual(self.lines, ["one", "two"])

    def test_lastLine(self) -> None:
        """The last one is told at the end, though it has not ended."""
        self.write(b"Traceback")
        self.close()
        self.reactor.turn()
        self.assertEqual(self.lines, ["Traceback"])
        self.assertEqual(self.output.fd, -1)
        self.assertFalse(self.reactor.readers)

    def test_piecesOfLetters(self) -> None:
        """A letter that comes in two pieces is one; what is no text is shown as bytes."""
        self.write("ö".encode()[:1])
        self.write("ö".encode()[1:] + b"\xff\n")
        self.assertEqual(self.lines, ["ö\\xff"])

    def test_longLine(self) -> None:
        """A line without end is not held for long: it goes on in the next."""
        self.write(b"x" * (LONGEST + 10) + b"\n")
        self.assertEqual(self.lines, ["x" * LONGEST, "x" * 10])

    def test_escaped(self) -> None:
        """Lines are escaped."""
        self.write(b"\x1b[31mred\n")
        self.assertEqual(self.lines, ["\\x1b[31mred"])

    def flood(self, count: int) -> None:
        """That many bytes, in lines; they are taken though nobody wants them."""
        data = (b"y" * 127 + b"\n") * (count // 128)
        while data:
            data = data[os.write(self.writing, data[:4096]) :]
            self.reactor.advance(0.05)
            self.reactor.turn()

    def test_flood(self) -> None:
        """More than 64 KB in a minute are dropped, and that is said once; in the next minute, how many."""
        self.flood(MOST)
        self.assertEqual(len(self.lines), MOST // 128)
        self.flood(MOST)
        self.assertEqual(self.output.dropped, MOST)
        self.assertEqual(self.lines[MOST // 128 :], ["… more than 64 KB in a minute: the rest is dropped"])
        self.reactor.advance(60)
        self.write(b"again\n")
        self.assertEqual(self.lines[MOST // 128 + 1 :], [f"… {MOST} bytes were dropped", "again"])

    def test_floodCostsLittle(self) -> None:
        """While it is dropped, it is looked at twenty times a second and no more often."""
        self.flood(MOST)
        os.write(self.writing, b"more\n")
        self.reactor.turn()
        self.assertNotIn(self.output, self.reactor.readers)
        self.reactor.advance(0.049)
        self.assertNotIn(self.output, self.reactor.readers)
        self.reactor.advance(0.002)
        self.assertIn(self.output, self.reactor.readers)

    def test_endOfAFlood(self) -> None:
        """What was dropped is told at the end, too; nothing is left of it."""
        self.flood(MOST)
        os.write(self.writing, b"12345\n")
        self.reactor.turn()
        self.close()
        self.output.finish()
        self.assertEqual(self.lines[-1], "… 6 bytes were dropped")
        self.assertFalse(self.reactor.readers)
        self.assertFalse(self.reactor.getDelayedCalls())

    def test_finish(self) -> None:
        """What stands in the pipe when the process has ended is told."""
        os.write(self.writing, b"last words\nand more")
        self.output.finish()
        self.assertEqual(self.lines, ["last words", "and more"])
        self.assertEqual(self.output.fd, -1)
