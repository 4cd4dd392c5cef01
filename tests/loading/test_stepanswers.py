"""What steps may answer, and state that goes to a successor: JSON or nothing."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Generator
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from revproxy.loading.stepanswers import checkPlain, notGenerator, throughJSON

LIMIT = 1000


def generator() -> Generator[int, None, None]:
    """What somebody writes who forgets ``inlineCallbacks``."""
    yield 1


async def coroutine() -> None:
    """What somebody writes who believes that it is waited for."""


class AnswerTests(SynchronousTestCase):
    """What steps answer."""

    def test_generator(self) -> None:
        """A generator's code would never run; all other answers are passed on, for somebody waits for them."""
        self.assertRaisesRegex(TypeError, "write async def, or inlineCallbacks", notGenerator, generator)
        waiting: Deferred[None] = Deferred()
        for answer in (None, 5, waiting):
            self.assertIs(notGenerator(lambda answer=answer: answer), answer)

    def test_waitedFor(self) -> None:
        """A step that nobody waits for may not answer what would have to be, of whatever kind."""
        answers: tuple[Any, ...] = (coroutine(), generator(), succeed(None))
        for answer in answers:
            error = self.assertRaises(TypeError, checkPlain, "attach", answer)
            self.assertEqual(str(error), f"attach answered {type(answer).__name__}, which nobody waits for; "
                             "write a plain function")

    def test_neverAwaited(self) -> None:
        """A coroutine that is refused is closed: Python does not complain about it once more."""
        gc.collect()  # what others have left
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self.assertRaises(TypeError, checkPlain, "attach", coroutine())
            gc.collect()
        self.assertEqual(caught, [])

    def test_plain(self) -> None:
        """Everything else is nobody's concern."""
        for answer in (None, 0, "text", object()):
            self.assertIsNone(checkPlain("attach", answer))


class Custom(dict[str, Any]):
    """A class of a plugin, whose instances JSON makes something else of."""


class HandoverTests(SynchronousTestCase):
    """`throughJSON`."""

    def test_plain(self) -> None:
        """What JSON holds arrives as it was, and is not the same object."""
        state = {"counts": [1, 2.5, None, True, "é"], "inner": {"a": {}}}
        passed = throughJSON(state, LIMIT)
        self.assertEqual(passed, state)
        self.assertIsNot(passed["inner"], state["inner"])

    def test_tuples(self) -> None:
        """A tuple arrives as a list, wherever it is."""
        self.assertEqual(throughJSON({"a": (1, (2,))}, LIMIT), {"a": [1, [2]]})

    def test_ownClasses(self) -> None:
        """An instance of the plugin's own dict arrives as a dict: nothing of the old version's code goes along."""
        self.assertIs(type(throughJSON(Custom(a=1), LIMIT)), dict)

    def test_size(self) -> None:
        """The limit is on the bytes of JSON, and what just fits is taken."""
        self.assertEqual(throughJSON("x" * 8, 10), "x" * 8)
        error = self.assertRaises(ValueError, throughJSON, "x" * 9, 10)
        self.assertEqual(str(error), "11 bytes of state are more than the 10 that may be")

    def test_json(self) -> None:
        """What is JSON already is made something of only where that is needed."""
        raw = msgspec.Raw(b'{"a": 1}')
        self.assertEqual(throughJSON(raw, LIMIT), {"a": 1})
        self.assertIs(throughJSON(raw, LIMIT, isRead=False), raw)
        self.assertRaises(ValueError, throughJSON, raw, 7, isRead=False)

    def test_notAsItWas(self) -> None:
        """What JSON would change silently is refused, with what it is."""
        for state, text in (
            ({1: "a"}, "the key 1 of a dict is no str"),
            ([{"a": float("inf")}], "inf is no number to JSON"),
            ([float("nan")], "nan is no number to JSON"),
            ({"a": {1, 2}}, "{1, 2} would not come back as it went"),
            ([b"bytes"], "b'bytes' would not come back as it went"),
        ):
            error = self.assertRaises((TypeError, ValueError), throughJSON, state, LIMIT)
            self.assertEqual(str(error), text)

    def test_impossible(self) -> None:
        """What JSON cannot hold at all raises, and does not hang."""
        endless: list[Any] = []
        endless.append(endless)
        self.assertRaises(RecursionError, throughJSON, endless, LIMIT)
        self.assertRaises(TypeError, throughJSON, object(), LIMIT)
