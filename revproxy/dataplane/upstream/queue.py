"""
The requests that wait for a connection to one target: bounded in number, and each in time.

There are two lines. Who is *ready* takes the next connection. Who is *held* sends a body that is not whole yet, while
as many as may already do: he waits until one of them is through, and others pass him by. The held have half of the
places at most. Who goes from one line to the other stands there by the time he has waited.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol

from revproxy.dataplane.http1.clientroles import SentRequest
from revproxy.loop.deadlines import NEVER, Deadlines, Waiting


class WaitingRequest(SentRequest, Waiting, Protocol):
    """
    A request that waits, or may have to.

    :ivar deadline: how long it may wait for a connection; NEVER while it does not.
    :ivar refreshed: whether it was lost on a kept connection once, and so goes on a fresh one.
    """

    refreshed: bool


class Queue:
    """
    Who waits for one target.

    :ivar ready: who takes the next connection, in order.
    :ivar held: who waits for an upload to be over, in order.
    """

    __slots__ = ("_deadlines", "_maxWaiting", "_onOver", "_seconds", "held", "ready")

    def __init__(
        self, deadlines: Deadlines, seconds: float, maxWaiting: int, onOver: Callable[[WaitingRequest], None]
    ) -> None:
        """
        :param seconds: how long one may wait, in both lines together.
        :param maxWaiting: how many may wait, in both lines together.
        :param onOver: called with one that is in no line any more, as its body is whole now, or never will be.
        """
        self._deadlines = deadlines
        self._seconds = seconds
        self._maxWaiting = maxWaiting
        self._onOver = onOver
        self.ready: deque[WaitingRequest] = deque()
        self.held: deque[WaitingRequest] = deque()

    def __len__(self) -> int:
        return len(self.ready) + len(self.held)

    def __iter__(self) -> Iterator[WaitingRequest]:
        yield from self.ready
        yield from self.held

    @property
    def isFull(self) -> bool:
        """Whether nobody else may wait."""
        return len(self) >= self._maxWaiting

    def join(self, outgoing: WaitingRequest, first: bool) -> None:
        """Have it wait for a connection. One that has been held goes on waiting, and is before those who came later."""
        ready = self.ready
        if outgoing.deadline != NEVER:
            at = next((at for at, other in enumerate(ready) if other.deadline > outgoing.deadline), len(ready))
            ready.insert(at, outgoing)
        else:
            outgoing.deadline = self._deadlines.now() + self._seconds
            if first:
                ready.appendleft(outgoing)
            else:
                ready.append(outgoing)
        self._wait(outgoing)

    def next(self) -> WaitingRequest:
        """Who is to have the connection that is free."""
        outgoing = self.ready.popleft()
        self._letGo(outgoing)
        outgoing.deadline = NEVER
        return outgoing

    def hold(self, outgoing: WaitingRequest) -> bool:
        """
        Have it wait for an upload to be over.

        :returns: False if there is no place.
        """
        if self.isFull or len(self.held) >= (self._maxWaiting + 1) // 2:
            return False
        outgoing.deadline = self._deadlines.now() + self._seconds
        self.held.append(outgoing)
        self._wait(outgoing)
        return True

    def admit(self) -> WaitingRequest:
        """An upload is over: who may begin the next. It is in no line any more, but its time still runs."""
        outgoing = self.held.popleft()
        self._letGo(outgoing)
        return outgoing

    def leave(self, outgoing: WaitingRequest) -> None:
        """It does not wait any more; not to have waited is no error."""
        for line in (self.ready, self.held):
            try:
                line.remove(outgoing)
            except ValueError:
                continue
            self._letGo(outgoing)
        outgoing.deadline = NEVER

    def _wait(self, outgoing: WaitingRequest) -> None:
        body = outgoing.body
        if body is not None and not body.complete:
            body.onEnd = partial(self._bodyEnded, outgoing)
        self._deadlines.watch(outgoing)

    def _letGo(self, outgoing: WaitingRequest) -> None:
        if outgoing.body is not None:
            outgoing.body.onEnd = None
        self._deadlines.forget(outgoing)

    def _bodyEnded(self, outgoing: WaitingRequest) -> None:
        if outgoing in self.held:
            self.held.remove(outgoing)
        elif outgoing.body is not None and outgoing.body.complete:
            # It has a place in the line for a connection and keeps it.
            return
        else:
            self.ready.remove(outgoing)
        self._letGo(outgoing)
        self._onOver(outgoing)
