"""
One after the other: whoever changes what the edge is takes a turn, and nobody else changes anything until it is over.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import DeferredLock

_Result = TypeVar("_Result")


class Turns:
    """
    Those of one edge, in the order in which they are asked for.

    :ivar hasEnded: whether the edge is being stopped. Assigned by the coordinator.
    """

    def __init__(self) -> None:
        self.hasEnded = False
        self._lock = DeferredLock()

    async def take(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """
        Do something when nobody else is at it. Cancelling gives up the work, also while it waits.

        :returns: what it gives.
        """
        try:
            await self._lock.acquire()
        except BaseException:  # it was cancelled
            work.close()
            raise
        try:
            return await work
        finally:
            self._lock.release()

    async def takeUnlessEnded(self, work: Coroutine[Any, Any, None]) -> None:
        """As :meth:`take`; but once the edge is being stopped, it is not done."""
        try:
            await self.take(self._unlessEnded(work))
        finally:
            work.close()

    async def _unlessEnded(self, work: Coroutine[Any, Any, None]) -> None:
        if not self.hasEnded:
            await work
