"""Steps of a plugin's life, and what they may answer."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Generator
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from revproxy.plan.refusal import Refusal
from revproxy.plan.versionid import VersionId
from revproxy.worker.lifecycle.stages import StageFailed, checkPlain, notGenerator


def generator() -> Generator[int, None, None]:
    """What somebody writes who forgets ``inlineCallbacks``."""
    yield 1


async def coroutine() -> None:
    """What somebody writes who believes that it is waited for."""


class FailureTests(SynchronousTestCase):
    """`StageFailed`."""

    def test_texts(self) -> None:
        """It says which step of which version failed, where and why."""
        refusal = Refusal("p", "start", "/p/plugin.py:3: it raised", VersionId("1.0", "0123456789abcdef"), "Traceback")
        failed = StageFailed(refusal, late=True)
        self.assertEqual(str(failed), "plugin p 1.0 (0123456789ab): start: /p/plugin.py:3: it raised")
        self.assertEqual((failed.refusal, failed.late), (refusal, True))
        self.assertFalse(StageFailed(refusal).late)


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
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self.assertRaises(TypeError, checkPlain, "attach", coroutine())
            gc.collect()
        self.assertEqual(caught, [])

    def test_plain(self) -> None:
        """Everything else is nobody's concern."""
        for answer in (None, 0, "text", object()):
            self.assertIsNone(checkPlain("attach", answer))
