"""
One after the other: whoever changes what the edge is takes a turn, and nobody else changes anything until it is over.

Whoever has the turn may lend it: others go first, and it goes on after them. So a change that waits for a plugin holds
up nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred

_Result = TypeVar("_Result")


class Turns:
    """
    Those of one edge, in the order in which they are asked for.

    :ivar hasEnded: whether the edge is being stopped. Assigned by the coordinator.
    :ivar onWait: called when somebody has to wait; with whether that is one who goes before others.
    """

    def __init__(self) -> None:
        self.hasEnded = False
        self.onWait: Callable[[bool], None] = lambda first: None
        self._isTaken = False
        self._first: list[Deferred[None]] = []
        self._waiting: list[Deferred[None]] = []
        # Who lent it last gets it back first.
        self._lenders: list[Deferred[None]] = []

    @property
    def isWaitedFor(self) -> bool:
        """Whether somebody waits for a turn."""
        return bool(self._first or self._waiting)

    async def take(self, work: Coroutine[Any, Any, _Result], first: bool = False) -> _Result:
        """
        Do something when nobody else is at it. Cancelling gives up the work, also while it waits.

        :param first: whether it goes before all who wait, but for others of its kind.
        :returns: what it gives.
        """
        try:
            await self._taken(first)
        except BaseException:  # it was cancelled
            work.close()
            raise
        try:
            return await work
        finally:
            self._pass()

    async def takeUnlessEnded(self, work: Coroutine[Any, Any, None]) -> None:
        """As :meth:`take`; but once the edge is being stopped, it is not done."""
        try:
            await self.take(self._unlessEnded(work))
        finally:
            work.close()

    async def lend(self, toAll: bool) -> None:
        """
        For whoever has the turn: let others go first. Cancelling does not take it back from them.

        :param toAll: all who wait by now; else those who go before others.
        """
        if toAll:
            self._first += self._waiting
            self._waiting.clear()
        if not self._first:
            return
        mine: Deferred[None] = Deferred()
        self._lenders.append(mine)
        self._pass()
        cancelled = False
        while not mine.called:
            try:
                await mine
            except CancelledError:
                cancelled = True
                self._lenders[self._lenders.index(mine)] = mine = Deferred()
        if cancelled:
            raise CancelledError

    def _taken(self, first: bool) -> Deferred[None]:
        """Fires with the turn."""
        queue = self._first if first else self._waiting
        mine: Deferred[None] = Deferred(self._forget)
        if self._isTaken:
            queue.append(mine)
            self.onWait(first)
        else:
            self._isTaken = True
            mine.callback(None)
        return mine

    def _forget(self, waiting: Deferred[None]) -> None:
        for queue in (self._first, self._waiting):
            if waiting in queue:
                queue.remove(waiting)

    def _pass(self) -> None:
        """The turn is over, or lent: the next one has it."""
        if self._first:
            self._first.pop(0).callback(None)
        elif self._lenders:
            self._lenders.pop().callback(None)
        elif self._waiting:
            self._waiting.pop(0).callback(None)
        else:
            self._isTaken = False

    async def _unlessEnded(self, work: Coroutine[Any, Any, None]) -> None:
        if not self.hasEnded:
            await work
