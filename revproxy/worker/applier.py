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

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from revproxy.errors import Foreign
from revproxy.plan.refusal import Refusal
from revproxy.plan.words import Abandon, Answer, Commit, Prepare, Ready
from revproxy.worker.participant import Participant, Refused


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
        self._abandoned: list[Abandon] = []

    def apply(self, word: Prepare | Ready | Commit | Abandon) -> None:
        """Take a step. The answer comes when it is done; for a commit, before this returns."""
        if isinstance(word, Abandon) and self._isBusy:
            self._abandoned.append(word)
            self._hurry()
            return
        self._isBusy = True
        step = Deferred.fromCoroutine(self._take(word))
        step.addErrback(lambda failure: self._log.failure("a step of a change", failure))

    async def _take(self, word: Prepare | Ready | Commit | Abandon) -> None:
        if isinstance(word, Prepare):
            answer = Answer(word.transaction, "prepare", await self._prepare(word))
        elif isinstance(word, Ready):
            answer = Answer(word.transaction, "ready", await self._ready())
        elif isinstance(word, Commit):
            self._commit()
            answer = Answer(word.transaction, "commit")
        else:
            await self._abandon()
            answer = Answer(word.transaction, "abandon")
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
        except Foreign as error:  # neither a bug of ours nor foreign code may hold up every change to come
            self._log.failure("a step of a change failed in a way that nobody foresaw")
            return (Refusal("", "build", f"{type(error).__name__}: {error}"),)
        return ()

    def _stopped(self) -> tuple[Refusal, ...]:
        return (Refusal("", "stop", "the change was given up"),) if self._abandoned else ()

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
