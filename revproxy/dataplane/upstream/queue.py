"""
The requests that wait for a connection to one target: bounded in number, and each in time.

There are two lines. A request that is *ready* takes the next connection. One that is *held* has a body that is not
whole yet, while as many such bodies are being sent as may be: it waits until one of them is whole, and other requests
pass it by. The held have half of the places at most. A request that goes from one line to the other takes its place
there by how long it has waited.
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
    The requests that wait for one target.

    :ivar ready: those that take the next connections, in order.
    :ivar held: those that wait for an upload to be over, in order.
    """

    __slots__ = ("_deadlines", "_maxWaiting", "_onOver", "_seconds", "held", "ready")

    def __init__(
        self, deadlines: Deadlines, seconds: float, maxWaiting: int, onOver: Callable[[WaitingRequest], None]
    ) -> None:
        """
        :param seconds: how long a request may wait, in both lines together.
        :param maxWaiting: how many requests may wait, in both lines together.
        :param onOver: called with a request that is in no line any more: its body is whole now, or never will be.
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
        """Whether no other request may wait."""
        return len(self) >= self._maxWaiting

    def join(self, outgoing: WaitingRequest, first: bool) -> None:
        """Have it wait for a connection. A request that was held goes on waiting, before those that came later."""
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
        """The request that is to have the free connection. It waits no longer."""
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
        """The request that may begin the next upload. It is in no line any more, but its time still runs."""
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
