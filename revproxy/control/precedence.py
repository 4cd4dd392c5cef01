"""
Which change goes before which.

A change waits for plugins: for their `start`, their `checkHealth`, the handover of their state; and for disks. Whoever
comes meanwhile does not wait for that:

- a *rescue* (``disable``, ``rollback``, ``pin``) goes before everything, at once. What is under way is given up, and
  made anew after it, unless it was about the same plugin.
- another change goes before one that has kept it waiting for :data:`PATIENCE`. The plugin that is waited for is set
  aside: the others are made without its change, and it is tried again after them. A change gives way so
  :data:`ASIDE` times at most; so where changes come all the time, what starts slowly starts at last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall

from revproxy.control.changes import ChangeRequest
from revproxy.control.turns import Turns
from revproxy.plan.refusal import Refusal

PATIENCE = 0.5
"""Seconds that a change waits for one that is under way."""

ASIDE = 3
"""How often a change gives way to others than rescues."""


class GivenWay(Exception):
    """
    The change under way was given up, so that another can be made.

    :ivar refusal: of whom it waited for; None if it was no plugin.
    """

    def __init__(self, refusal: Refusal | None = None) -> None:
        super().__init__(refusal)
        self.refusal = refusal


class Precedence:
    """
    One coordinator's.

    :ivar aside: plugins and digests of versions that are not taken up for now; empty: whatever waits.
    :ivar isGivingWay: whether the change under way is to be given up.
    """

    def __init__(self, turns: Turns, callLater: Callable[..., IDelayedCall], giveUp: Callable[[], None]) -> None:
        """
        :param giveUp: has workers come to the end of the step that is under way.
        """
        self.aside: list[tuple[str, str | None]] = []
        self._turns = turns
        self._callLater = callLater
        self._giveUp = giveUp
        self._underWay: ChangeRequest | None = None
        self.isGivingWay = False
        self._isRescued = False
        self._disk: Deferred[Any] | None = None
        self._late: IDelayedCall | None = None
        self._rescues: Counter[str] = Counter()
        self._given = 0
        turns.onWait = self._waitedFor

    # Of the change under way

    def begin(self, request: ChangeRequest, given: int = 0) -> None:
        """
        It is under way from now on.

        :param given: how often it has given way before.
        """
        self._given = given
        self._underWay = request
        self.isGivingWay = self._isRescued = False
        if self._turns.isWaitedFor:
            self._waitedFor(False)

    def made(self, request: ChangeRequest) -> None:
        """What was asked for is done."""
        if request.isRescue:
            self._rescues[request.plugin] += 1

    def end(self) -> None:
        """It has taken effect, or is over: it cannot be given up any more."""
        self._underWay = None
        if self._late is not None:
            self._late.cancel()
            self._late = None

    async def onDisk(self, work: Coroutine[Any, Any, Any]) -> Any:
        """
        Wait for a disk.

        :raises GivenWay: instead of going on to wait.
        """
        waiting = self._disk = Deferred.fromCoroutine(work)
        if self.isGivingWay:
            waiting.cancel()
        try:
            return await waiting
        except CancelledError:
            self.check(())
            raise
        finally:
            self._disk = None

    def check(self, refusals: Iterable[Refusal]) -> None:
        """
        :param refusals: what workers have answered.
        :raises GivenWay: if it is to be given up.
        """
        if self.isGivingWay:
            raise GivenWay(next((refusal for refusal in refusals if refusal.plugin), None))

    async def giveWay(self, request: ChangeRequest, given: GivenWay) -> bool:
        """
        Let the others go first.

        :returns: whether the request is still to be carried out: not where the same plugin was rescued meanwhile.
        """
        name = request.plugin or request.gate or request.lift
        rescues, isRescued = self._rescues[name], self._isRescued
        if isRescued:
            await self._turns.lend(False)
        else:
            aside = ("", None) if given.refusal is None else (given.refusal.plugin, given.refusal.digest)
            self.aside.append(aside)
            try:
                await self._turns.lend(True)
            finally:
                self.aside.remove(aside)
        return not name or self._rescues[name] == rescues

    # Of those who wait

    def _waitedFor(self, first: bool) -> None:
        if self._underWay is None:
            return
        if first:
            self._isRescued = True
            self._interrupt()
        elif self._late is None and self._given < ASIDE and not self._underWay.isRescue:
            self._late = self._callLater(PATIENCE, self._hasWaited)

    def _hasWaited(self) -> None:
        self._late = None
        if self._disk is not None:  # for which all have to wait
            self._late = self._callLater(PATIENCE, self._hasWaited)
        elif self._turns.isWaitedFor:
            self._interrupt()

    def _interrupt(self) -> None:
        if self.isGivingWay:
            return
        self.isGivingWay = True
        if self._disk is not None:
            self._disk.cancel()
        else:
            self._giveUp()
