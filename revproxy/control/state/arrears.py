"""
What is in force and could not be written down, tried again: every minute, and once more at the end of the edge.

Each change tries again, too; this is for the edge to which nothing happens once its disk has room.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from revproxy.control.state.keeper import Memory
from revproxy.plan.plan import Plan

INTERVAL = 60.0
"""Seconds between two tries."""


class Arrears:
    """One memory's."""

    _log = Logger()

    def __init__(
        self,
        memory: Memory,
        clock: Any,
        exclusively: Callable[[Coroutine[Any, Any, None]], Coroutine[Any, Any, None]],
        plan: Callable[[], Plan | None],
    ) -> None:
        """
        :param clock: provides `IReactorTime`.
        :param exclusively: does something while no change is made.
        :param plan: what runs.
        """
        self._memory = memory
        self._clock = clock
        self._exclusively = exclusively
        self._plan = plan
        self._ended = False
        self._later: IDelayedCall | None = None
        memory.onRecorded = self.look

    def look(self) -> None:
        """Whether there is anything to try again."""
        if self._later is None and self._memory.isWritable and self._memory.unwritten and not self._ended:
            self._later = self._clock.callLater(INTERVAL, self._again)

    async def settle(self) -> None:
        """The last try. Nothing else is under way."""
        self._ended = True
        if self._later is not None:
            self._later.cancel()
            self._later = None
        await self._try()

    def _again(self) -> None:
        self._later = None
        trying = Deferred.fromCoroutine(self._exclusively(self._try()))
        trying.addErrback(lambda failure: self._log.failure("writing down what could not be written", failure))

    async def _try(self) -> None:
        plan = self._plan()
        if plan is not None and self._memory.isWritable and self._memory.unwritten:
            await self._memory.record(self._memory.ledger, plan)
