"""
The workers that one control speaks to, and how their answers become one.

A change is prepared in one worker first, and in the others only when that one accepts: code that takes its process with
it costs the connections of one. Every other step goes to all at once. What one refuses, all refuse; where several
refuse the change of one plugin, what the first of them says is told.

A question has a number, which comes back with each answer, in its ``asked``. Whoever asks gets what came in time; those
that are late are not waited for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from revproxy.plan.plan import Plan
from revproxy.plan.refusal import Refusal
from revproxy.plan.words import Abandon, Answer, Ask, Commit, Down, Prepare, Readiness, Ready, Record, Step, Target, Up

ASKED = 1.0
"""Seconds that workers may take to tell what they are asked; what they told last is known anyhow."""

_GIVEN_UP = Refusal("", "stop", "the change was given up")

_STEPS: dict[type, Step] = {Prepare: "prepare", Ready: "ready", Commit: "commit", Abandon: "abandon"}


class WorkerLine(Protocol):
    """The way to one worker."""

    def send(self, word: Down) -> None:
        """Have the worker hear this, after all that was sent before."""


class _Question:
    """
    Something that was asked.

    :ivar missing: the workers that have not answered.
    :ivar answers: by worker.
    """

    __slots__ = ("answered", "answers", "missing")

    def __init__(self, workers: Iterable[int]) -> None:
        self.missing = set(workers)
        self.answers: dict[int, Up] = {}
        self.answered: Deferred[list[Up]] = Deferred()

    def take(self, worker: int, word: Up) -> None:
        """A worker has answered; only its first answer counts."""
        if worker in self.missing:
            self.missing.discard(worker)
            self.answers[worker] = word
            if not self.missing:
                self.end()

    def end(self) -> None:
        """Nobody else is waited for."""
        if not self.answered.called:
            self.answered.callback([word for _, word in sorted(self.answers.items())])


class Besides(Protocol):
    """
    Something in control's own process that takes part in changes, after the workers: such as a port of its own.

    A `prepare` that refuses is followed by another, or by `abandon`. None of them may wait for long.
    """

    async def prepare(self, plan: Plan) -> tuple[Refusal, ...]:
        """Make ready what the plan needs; what serves now goes on. :returns: why that cannot be."""

    def commit(self) -> None:
        """What was prepared takes effect. Cannot fail."""

    async def abandon(self) -> None:
        """What was prepared is given up; also where nothing was."""


class Crew:
    """
    All workers of an edge.

    :ivar onWord: takes what they say, but for the answers to steps; with the number of the worker, from 0.
    :ivar besides: who else takes part in changes.
    :ivar standing: what a worker is told before all else.
    """

    _log = Logger()

    def __init__(self, clock: Any, silence: float | None = None) -> None:
        """
        :param clock: provides `IReactorTime`.
        :param silence: seconds after which a worker that does not answer has refused the step; None: never.
        """
        self.onWord: Callable[[int, Up], None] = lambda worker, word: None
        self.besides: list[Besides] = []
        self.standing: Callable[[], Iterable[Down]] = lambda: ()
        self._clock = clock
        self._silence = silence
        self._lines: Sequence[WorkerLine] = ()
        self._waiting: dict[tuple[int, int, Step], Deferred[tuple[Refusal, ...]]] = {}
        self._givenUp = 0
        self._asked = 0
        self._questions: dict[int, _Question] = {}

    @property
    def size(self) -> int:
        """How many workers there are."""
        return len(self._lines)

    def employ(self, lines: Sequence[WorkerLine]) -> None:
        """These are the workers. Those that are new hear first what they are to know."""
        before, self._lines = self._lines, tuple(lines)
        for line in self._lines:
            if line not in before:
                for word in self.standing():
                    line.send(word)

    async def do(self, word: Prepare | Ready | Commit | Abandon) -> tuple[Refusal, ...]:
        """
        Have all take a step.

        :returns: why not; empty if all have done it. After a refusal, some may have done it: what follows is another
            `Prepare` of the same transaction, or `Abandon`.
        """
        if isinstance(word, Abandon):
            self._givenUp = word.transaction
        refusals = await self._everybody(word)
        if isinstance(word, Prepare) and word.starts and not refusals:
            refusals = await self._prepareBesides(word)
        elif isinstance(word, Commit):
            for each in self.besides:
                each.commit()
        elif isinstance(word, Abandon):
            for each in self.besides:
                await each.abandon()
        return refusals

    async def _prepareBesides(self, word: Prepare) -> tuple[Refusal, ...]:
        for each in self.besides:
            refusals = await each.prepare(word.plan)
            if self._givenUp == word.transaction:  # by others, meanwhile
                await each.abandon()
                return refusals or (_GIVEN_UP,)
            if refusals:
                return refusals
        return ()

    async def _everybody(self, word: Prepare | Ready | Commit | Abandon) -> tuple[Refusal, ...]:
        everybody = range(len(self._lines))
        if isinstance(word, Prepare) and len(everybody) > 1:
            refusals = await self._step(0, word)
            if self._givenUp == word.transaction:  # by others, while the first prepared it
                return refusals or (_GIVEN_UP,)
            return refusals or await self._together(everybody[1:], word)
        return await self._together(everybody, word)

    def tell(self, word: Target | Readiness | Record) -> None:
        """Say something to all that needs no answer."""
        for line in self._lines:
            line.send(word)

    def ask(self) -> Deferred[None]:
        """
        Have all tell what they have counted, now.

        :returns: fires when they have, or after :data:`ASKED` seconds.
        """
        return self.question(Ask).addCallback(lambda answers: None)

    def question(
        self, make: Callable[[int], Down], worker: int | None = None, seconds: float = ASKED
    ) -> Deferred[list[Up]]:
        """
        Ask all, or one.

        :param make: given the number of the question, returns the word that asks. Answers have it as ``asked``.
        :param worker: the number of the one that is asked; None: all.
        :param seconds: that are waited for those that do not answer.
        :returns: the answers that came in time, in the order of the workers' numbers. `onWord` has heard each before.
            It does not fail; cancelling it is allowed.
        """
        self._asked += 1
        number, asked = self._asked, range(len(self._lines)) if worker is None else (worker,)
        question = self._questions[number] = _Question(asked)
        late = self._clock.callLater(seconds, question.end)

        def over(result: Any) -> Any:
            del self._questions[number]
            return _cancelling(result, late)

        question.answered.addBoth(over)
        word = make(number)
        for each in asked:
            self._put(each, word)
        if not asked:
            question.end()
        return question.answered

    def _put(self, worker: int, word: Down) -> None:
        """One that cannot even be asked is as one that does not answer."""
        try:
            self._lines[worker].send(word)
        except Exception:
            self._log.failure("worker {worker} cannot be asked", worker=worker)

    def heard(self, worker: int, word: Up) -> None:
        """
        A worker says something.

        :param worker: its number.
        """
        if isinstance(word, Answer):
            # Nobody may wait for it any more: it came too late.
            waiting = self._waiting.pop((worker, word.transaction, word.step), None)
            if waiting is not None:
                waiting.callback(word.refusals)
            return
        self.onWord(worker, word)
        question = self._questions.get(getattr(word, "asked", 0))
        if question is not None:
            question.take(worker, word)

    async def _together(self, workers: Sequence[int], word: Prepare | Ready | Commit | Abandon) -> tuple[Refusal, ...]:
        if len(workers) == 1:
            return await self._step(workers[0], word)
        answers = await DeferredList([self._step(worker, word) for worker in workers])
        merged: dict[Any, Refusal] = {}
        for _, refusals in answers:
            for refusal in refusals:
                merged.setdefault(refusal.plugin or refusal, refusal)
        return tuple(merged.values())

    def _step(self, worker: int, word: Prepare | Ready | Commit | Abandon) -> Deferred[tuple[Refusal, ...]]:
        key = worker, word.transaction, _STEPS[type(word)]
        answer: Deferred[tuple[Refusal, ...]] = Deferred()
        self._waiting[key] = answer
        late = None if self._silence is None else self._clock.callLater(self._silence, self._silent, key)
        self._lines[worker].send(word)
        return answer.addBoth(_cancelling, late)

    def _silent(self, key: tuple[int, int, Step]) -> None:
        waiting = self._waiting.pop(key)
        worker, _, step = key
        text = f"worker {worker} has not answered for {self._silence:g} s ({step})"
        waiting.callback((Refusal("", "worker", text),))


def _cancelling(result: Any, late: IDelayedCall | None) -> Any:
    if late is not None and late.active():
        late.cancel()
    return result
