"""
Durations and shares, as people write them.
"""

from __future__ import annotations

import doctest
import re

from twisted.trial.unittest import SynchronousTestCase

from revproxy import durations
from revproxy.durations import DURATION, SHARE, durationText, parseDuration, parseShare

WRONG = ("30 s", "30sec", "-5s", "+5s", "1e999s", "1e3", "5M", "5", "", "s", ".5s", "5.s", "1h30m", "5s\n", " 5s",
         "٣s", "9" * 16 + "s", None, True, -1, -0.5, float("nan"), float("inf"), 10**400, [5], {})


class DurationTests(SynchronousTestCase):
    """
    `parseDuration` and `durationText`.
    """

    def test_units(self) -> None:
        """
        Numbers are seconds, text has one unit.
        """
        for written, seconds in (("500ms", 0.5), ("150ms", 0.15), ("30s", 30), ("5m", 300), ("1h", 3600),
                                 ("7d", 604800), ("1.5h", 5400), ("0s", 0), (0, 0), (30, 30), (0.15, 0.15)):
            self.assertEqual(parseDuration(written), seconds, written)

    def test_wrong(self) -> None:
        """
        Everything else is refused, and the message says how to write one.
        """
        for written in WRONG:
            error = self.assertRaises(ValueError, parseDuration, written)
            self.assertIn("write a number of seconds, or 500ms, 30s, 5m, 1h, 7d", str(error))
            self.assertLess(len(str(error)), 160)

    def test_text(self) -> None:
        """
        What is shown can be read again, and is short.
        """
        for seconds, text in ((0, "0s"), (0.15, "150ms"), (1.5, "1.5s"), (60, "1m"), (90, "90s"), (3600, "1h"),
                              (604800, "7d"), (25, "25s")):
            self.assertEqual(durationText(seconds), text)
            self.assertEqual(parseDuration(text), seconds)


class ShareTests(SynchronousTestCase):
    """
    `parseShare`.
    """

    def test_shares(self) -> None:
        """
        They are fractions.
        """
        self.assertEqual([parseShare(text) for text in ("5%", "0.5%", "0%", "100%")], [0.05, 0.005, 0, 1])

    def test_wrong(self) -> None:
        """
        Numbers, and more than the whole, are refused.
        """
        for written in ("101%", "5", "-5%", "5 %", "%", "1e2%", 5, 0.05, None, True):
            self.assertIn("write a share as 5%", str(self.assertRaises(ValueError, parseShare, written)))


class SchemaTests(SynchronousTestCase):
    """
    What editors are shown.
    """

    def test_patterns(self) -> None:
        """
        The patterns take what is taken, and refuse what is refused (but a line's end, which patterns do not see).
        """
        for schema, parse in ((DURATION, parseDuration), (SHARE, parseShare)):
            for text in ("500ms", "1.5h", "7d", "5%", "0.5%", *(text for text in WRONG if isinstance(text, str))):
                fits = re.search(schema["pattern"], text.rstrip("\n")) is not None
                try:
                    parse(text.rstrip("\n"))
                except ValueError:
                    self.assertFalse(fits, text)
                else:
                    self.assertTrue(fits, text)

    def test_examples(self) -> None:
        """
        The examples in the module are true.
        """
        self.assertEqual(doctest.testmod(durations)[0], 0)
