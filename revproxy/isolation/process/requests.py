"""
Who waits for a locked process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred

from revproxy.isolation.process.descriptors import Descriptors
from revproxy.isolation.process.lockedprocess import LockedProcess


@dataclass(slots=True, eq=False)
class Request:
    """
    :ivar given: fires with the process.
    :ivar delay: the timer of its wait after crashes; None: it waits for nothing but a process.
    """

    version: str
    memoryBytes: int
    given: Deferred[LockedProcess]
    delay: Any = None


class Requests:
    """
    Those who wait, in order, and those who have to wait before that.
    """

    def __init__(self, descriptors: Descriptors, onDue: Callable[[], None]) -> None:
        """:param onDue: called when somebody is to be given one."""
        self._descriptors = descriptors
        self._onDue = onDue
        self._due: list[Request] = []
        self._delayed: set[Request] = set()

    def __bool__(self) -> bool:
        return bool(self._due or self._delayed)

    def __iter__(self) -> Iterator[Request]:
        """Those who are to be given one; others may come and go meanwhile."""
        return iter(list(self._due))

    def __contains__(self, request: Request) -> bool:
        return request in self._due

    def add(self, version: str, memoryBytes: int, seconds: float) -> Deferred[LockedProcess]:
        """
        :param seconds: that it has to wait before anything is made for it.
        :returns: cancelling takes it away.
        """
        request = Request(version, memoryBytes, Deferred(lambda _: self._giveUp(request)))
        if seconds:
            self._delayed.add(request)
            request.delay = self._descriptors.later(seconds, self._isDue, request)
        else:
            self._isDue(request)
        return request.given

    def _isDue(self, request: Request) -> None:
        self._delayed.discard(request)
        request.delay = None
        self._due.append(request)
        self._onDue()

    def _giveUp(self, request: Request) -> None:
        if request.delay is not None:
            request.delay.cancel()
            self._delayed.remove(request)
        elif request in self._due:
            self._due.remove(request)

    def give(self, request: Request, process: LockedProcess) -> None:
        """It waits no more."""
        self._due.remove(request)
        request.given.callback(process)

    def failDue(self, error: Exception) -> None:
        """Of those who are to be given one none waits any more."""
        failing, self._due = self._due, []
        for request in failing:
            request.given.errback(error)

    def failAll(self, error: Exception) -> None:
        """Nobody waits any more."""
        for request in self._delayed:
            request.delay.cancel()
            request.delay = None
            self._due.append(request)
        self._delayed.clear()
        self.failDue(error)
