"""
``context.fields``: what plugins add to the access log.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.logfields import LONGEST, MOST, LogFields
from revproxy.secrets import Secret
from revproxy.testing import makeContext


class LogFieldsTests(SynchronousTestCase):
    """
    Names and values are checked where they are assigned, by whatever way.
    """

    def setUp(self) -> None:
        self.fields: Any = LogFields()

    def test_values(self) -> None:
        """
        Text, numbers, true, false and None stay what they are.
        """
        values = {"a": "b", "n": 5, "f": 0.5, "t": True, "z": None, "A-b_c.9": -(2**63)}
        self.fields.update(values)
        self.assertEqual(dict(self.fields), values)
        self.assertEqual((len(self.fields), self.fields["n"], "a" in self.fields), (6, 5, True))
        del self.fields["a"]
        self.assertEqual(repr(self.fields)[:17], "LogFields({'n': 5")

    def test_wrongValues(self) -> None:
        """
        Nothing else is taken, and nothing has changed then.
        """
        for value in ([], {}, b"bytes", object()):
            self.assertRaises(TypeError, self.fields.__setitem__, "a", value)
        for number in (2**63, float("nan"), float("inf")):
            self.assertRaises(ValueError, self.fields.setdefault, "a", number)
        self.assertEqual(dict(self.fields), {})

    def test_wrongNames(self) -> None:
        """
        Names are short words.
        """
        for name in ("", "a b", "a\n", "\u00e4", "a" * 65, 5, None):
            self.assertRaises(ValueError, self.fields.__setitem__, name, "x")

    def test_bounds(self) -> None:
        """
        There are so many of them, and their text is cut; what cannot be written is escaped.
        """
        for number in range(MOST):
            self.fields[f"a{number}"] = "\u00e4" * 10_000
        self.assertEqual(self.fields["a0"], "\u00e4" * LONGEST + "\u2026")
        self.assertRaises(ValueError, self.fields.__setitem__, "more", 1)
        self.fields["a0"] = "\udc80"
        self.assertEqual(self.fields["a0"], "\\udc80")

    def test_subclasses(self) -> None:
        """
        What is kept is plain: no object of the plugin's lives on in the log.
        """

        class Text(str):
            pass

        self.fields[Text("a")] = Text("b")
        self.assertIs(type(self.fields["a"]), str)
        self.assertIs(type(next(iter(self.fields))), str)

    def test_secrets(self) -> None:
        """
        What must not be shown is not.
        """
        self.fields["a"] = Secret("correct horse")
        self.fields["b"] = "it is correct horse"
        self.assertEqual(dict(self.fields), {"a": "***", "b": "it is ***"})

    def test_context(self) -> None:
        """
        A context has one from the first use on, and it stays.
        """
        context: Any = makeContext()
        self.assertIsNone(context._fields)
        context.fields["a"] = 1
        self.assertEqual(dict(context.fields), {"a": 1})
        self.assertRaises(AttributeError, setattr, context, "fields", {})
