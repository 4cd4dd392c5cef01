"""
A crew of one worker in the same process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.plan.refusal import Refusal
from revproxy.plan.words import Answer, Commit, Down, DropIns, Notice, Ready, Target, Up
from revproxy.service.localcrew import LocalCrew


class Answering:
    """
    In the place of a worker: answers at once, or when it is told to.

    :ivar refusals: with which.
    """

    def __init__(self, tell: Callable[[Up], None]) -> None:
        self.tell = tell
        self.words: list[Down] = []
        self.isSlow = False
        self.refusals: tuple[Refusal, ...] = ()
        tell(DropIns())

    def receive(self, word: Down) -> None:
        """Hears, and answers."""
        self.words.append(word)
        if isinstance(word, Ready | Commit) and not self.isSlow:
            self.answer(word)

    def answer(self, word: Any) -> None:
        """To a step."""
        self.tell(Answer(word.transaction, type(word).__name__.lower(), self.refusals))  # type: ignore[arg-type]


class LocalCrewTests(SynchronousTestCase):
    """
    Words are handed over as they are.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.heard: list[tuple[int, Up]] = []
        makeWorker: Any = Answering
        self.crew = LocalCrew(self.clock, makeWorker)
        self.crew.onWord = lambda worker, word: self.heard.append((worker, word))
        self.worker: Any = self.crew.hire()

    def do(self, word: Any) -> Deferred[tuple[Refusal, ...]]:
        """
        A step.
        """
        return Deferred.fromCoroutine(self.crew.do(word))

    def test_first(self) -> None:
        """
        What the worker says while it is made is heard.
        """
        self.assertEqual(self.heard, [(0, DropIns())])

    def test_same(self) -> None:
        """
        It is given the very words, and an answer that comes at once ends the step at once.
        """
        word = Ready(1)
        self.assertEqual(self.successResultOf(self.do(word)), ())
        self.assertIs(self.worker.words[0], word)
        self.worker.refusals = (Refusal("a", "commit", "no"),)
        self.assertEqual(self.successResultOf(self.do(Commit(1))), self.worker.refusals)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_later(self) -> None:
        """
        One that comes later is waited for, for however long.
        """
        self.worker.isSlow = True
        step = self.do(Ready(2))
        self.clock.advance(10_000)
        self.assertNoResult(step)
        self.worker.answer(Ready(2))
        self.assertEqual(self.successResultOf(step), ())

    def test_others(self) -> None:
        """
        What needs no answer goes both ways.
        """
        target, notice = Target("web", "http://a", True), Notice("remains", "a")
        self.crew.tell(target)
        self.worker.tell(notice)
        self.assertEqual((self.worker.words, self.heard[1:]), ([target], [(0, notice)]))
