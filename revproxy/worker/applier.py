"""
Makes plans real: runs the participants of a worker through the steps of a transaction.

    Prepare ─▶ each participant's prepare, in their order  ─▶ Answer
    Ready   ─▶ each participant's ready, in their order    ─▶ Answer
    Commit  ─▶ each participant's commit, the last first   ─▶ Answer
    Abandon ─▶ each participant's abandon, the last first  ─▶ Answer

Later ones are made of what earlier ones have prepared and made ready; so they take effect before those let go of what
was there before.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from revproxy.errors import Foreign
from revproxy.loading.tracebacks import described
from revproxy.plan.refusal import Refusal
from revproxy.plan.words import Abandon, Answer, Commit, Prepare, Ready, Step
from revproxy.worker.participant import Participant, Refused

_GIVEN_UP = Refusal("", "stop", "the change was given up")

_STEPS: dict[type, Step] = {Prepare: "prepare", Ready: "ready", Commit: "commit", Abandon: "abandon"}


class Applier:
    """
    One worker's. Words are dealt with one after the other, but for `Abandon`: it also ends a step that is under way.
    """

    _log = Logger()

    def __init__(
        self,
        participants: Sequence[Participant],
        tell: Callable[[Answer], None],
        hurry: Callable[[], None] = lambda: None,
    ) -> None:
        """
        :param participants: in the order in which they prepare.
        :param tell: takes the answers.
        :param hurry: has the step that is under way come to its end, as a refusal.
        """
        self._participants = tuple(participants)
        self._tell = tell
        self._hurry = hurry
        self._isBusy = False
        self._taking: Deferred[Answer] | None = None
        self._abandoned: list[Abandon] = []

    def apply(self, word: Prepare | Ready | Commit | Abandon) -> None:
        """Take a step. The answer comes when it is done; for a commit, before this returns."""
        if isinstance(word, Abandon) and self._isBusy:
            self._abandoned.append(word)
            taking = self._taking
            self._hurry()
            if taking is not None and taking is self._taking:  # else the next step may have begun
                taking.cancel()  # it waits for something else than a plugin
            return
        self._isBusy = True
        taking = Deferred.fromCoroutine(self._take(word))
        if isinstance(word, Prepare | Ready) and not taking.called:
            self._taking = taking
        step = taking.addErrback(self._broken, word)
        step.addCallback(lambda answer: Deferred.fromCoroutine(self._end(answer)))
        step.addErrback(lambda failure: self._log.failure("the end of a step of a change", failure))

    async def _take(self, word: Prepare | Ready | Commit | Abandon) -> Answer:
        if isinstance(word, Prepare):
            return Answer(word.transaction, "prepare", await self._prepare(word))
        if isinstance(word, Ready):
            return Answer(word.transaction, "ready", await self._ready())
        if isinstance(word, Commit):
            self._commit()
            return Answer(word.transaction, "commit")
        await self._abandon()
        return Answer(word.transaction, "abandon")

    def _broken(self, failure: Failure, word: Prepare | Ready | Commit | Abandon) -> Answer:
        """What raised is not even foreign code's; control waits for an answer all the same."""
        self._log.failure("a step of a change", failure)
        return Answer(word.transaction, _STEPS[type(word)], (_unforeseen(failure.value),))

    async def _end(self, answer: Answer) -> None:
        self._taking = None
        answers = [answer]
        while self._abandoned:
            # Before anybody hears that the step is over: the end may have waited for nothing else.
            await self._abandon()
            answers.append(Answer(self._abandoned.pop(0).transaction, "abandon"))
        self._isBusy = False
        for answer in answers:
            # While an answer is told, control may begin the next step: nothing more may be done here.
            self._tell(answer)

    async def _prepare(self, word: Prepare) -> tuple[Refusal, ...]:
        """Before the loop runs nothing has begun, so all participants are asked, and all that is wrong is told."""
        refusals: list[Refusal] = []
        for participant in self._participants:
            refusals += await self._refusalsOf(participant.prepare(word)) or self._stopped()
            if refusals and word.starts:
                break
        return tuple(refusals)

    async def _ready(self) -> tuple[Refusal, ...]:
        for participant in self._participants:
            refusals = await self._refusalsOf(participant.ready()) or self._stopped()
            if refusals:
                return refusals
        return ()

    async def _refusalsOf(self, step: Awaitable[None]) -> tuple[Refusal, ...]:
        try:
            await step
        except Refused as refused:
            return refused.refusals
        except CancelledError:
            return (_GIVEN_UP,)
        except Foreign as error:  # neither a bug of ours nor foreign code may hold up every change to come
            self._log.failure("a step of a change failed in a way that nobody foresaw")
            return (_unforeseen(error),)
        return ()

    def _stopped(self) -> tuple[Refusal, ...]:
        return (_GIVEN_UP,) if self._abandoned else ()

    def _commit(self) -> None:
        for participant in reversed(self._participants):
            try:
                participant.commit()
            except Foreign:
                self._log.failure("a change took effect, but not all of it")

    async def _abandon(self) -> None:
        for participant in reversed(self._participants):
            try:
                await participant.abandon()
            except Foreign:
                self._log.failure("a change was given up, but not all of it")


def _unforeseen(error: BaseException | None) -> Refusal:
    return Refusal("", "build", "nobody knows what" if error is None else described(error))
