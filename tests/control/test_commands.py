"""Which arguments a command takes."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.commands import TEXT_LIMIT, CommandError, checkArguments


async def call(name: str, version: str | None = None, count: int = 1, now: bool = False) -> None:
    """A command."""


class ArgumentTests(SynchronousTestCase):
    """`checkArguments`."""

    def refused(self, **arguments: Any) -> str:
        return str(self.assertRaises(CommandError, checkArguments, "pin", call, arguments))

    def test_taken(self) -> None:
        """Every argument of its type, those with a default or without."""
        checkArguments("pin", call, {"name": "a"})
        checkArguments("pin", call, {"name": "a" * TEXT_LIMIT, "version": None, "count": -1, "now": True})

    def test_missing(self) -> None:
        """One without a default must be given."""
        self.assertEqual(self.refused(), "pin: missing a required argument: 'name'")

    def test_unknown(self) -> None:
        """One that the command does not have is named, however long it is."""
        self.assertEqual(self.refused(name="a", x=1), "pin: got an unexpected keyword argument 'x'")
        self.assertLess(len(self.refused(name="a", **{"x" * 60_000: 1})), 300)

    def test_types(self) -> None:
        """Types are as annotated, and a truth is no number."""
        self.assertEqual(self.refused(name=None), 'pin: "name" is to be a text')
        self.assertEqual(self.refused(name="a", version=1), 'pin: "version" is to be a text or null')
        self.assertEqual(self.refused(name="a", count=True), 'pin: "count" is to be a whole number')
        self.assertEqual(self.refused(name="a", now=1), 'pin: "now" is to be true or false')

    def test_long(self) -> None:
        """A text that is too long is refused without being repeated."""
        self.assertEqual(self.refused(name="a" * 300), 'pin: "name" has 300 characters, 256 are the most')
