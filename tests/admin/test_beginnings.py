"""Which requests begin when."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from twisted.trial.unittest import SynchronousTestCase

from revproxy.admin.beginnings import Beginnings


class Loop:
    """A clock of which a turn is what was due when it began, as a reactor has it."""

    def __init__(self) -> None:
        self.due: list[Callable[[], object]] = []

    def callLater(self, seconds: float, call: Callable[[], object]) -> None:
        """In the next turn."""
        assert seconds == 0
        self.due.append(call)

    def turn(self) -> None:
        """One."""
        due, self.due = self.due, []
        for call in due:
            call()


class BeginningsTests(SynchronousTestCase):
    """`Beginnings`."""

    def setUp(self) -> None:
        self.loop = Loop()
        self.begun: list[str] = []
        self.beginnings = Beginnings(self.loop)

    def soon(self, name: str, isRescue: bool = False) -> None:
        """Something is to begin."""
        self.beginnings.soon(partial(self.begun.append, name), isRescue)

    def test_turns(self) -> None:
        """One in each turn, in their order, also of those that come meanwhile; then nothing is due."""
        for name in "abc":
            self.soon(name)
        self.assertEqual(self.begun, [])
        for expected in ("a", "ab", "abc", "abcd", "abcd"):
            self.loop.turn()
            self.assertEqual("".join(self.begun), expected)
            if expected == "ab":
                self.soon("d")
        self.assertEqual(self.loop.due, [])

    def test_rescue(self) -> None:
        """What rescues begins next, whoever waits."""
        for name in "abc":
            self.soon(name)
        self.soon("R", True)
        for _ in range(4):
            self.loop.turn()
        self.assertEqual("".join(self.begun), "Rabc")

    def test_broken(self) -> None:
        """One that fails holds up nobody."""
        self.beginnings.soon(lambda: 1 / 0, False)
        self.soon("a")
        self.assertRaises(ZeroDivisionError, self.loop.turn)
        self.loop.turn()
        self.assertEqual(self.begun, ["a"])
