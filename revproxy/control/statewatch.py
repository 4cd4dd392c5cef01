"""
Sees to it that the state folder stays there, and ours.

Somebody deletes it, or a file in it, while the edge runs. Nothing is lost by that as long as the edge lives: all that
was in it and matters is in memory, and is written anew within seconds. Only another edge may have been quicker; then
its folder is left alone, and this one goes on without.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from revproxy.control.state.directory import StateError, StateFolder
from revproxy.control.state.keeper import StateKeeper
from revproxy.loop.jobthread import DiskSilent
from revproxy.plan.events import EventLog

INTERVAL = 3.0
"""Seconds between two looks at it."""


class Socket(Protocol):
    """The control socket, whose file is in the folder."""

    async def reopen(self) -> None:
        """Listen anew. :raises OSError: that cannot be done."""


class StateWatch:
    """
    That of one edge, which has acquired its folder.

    Its events are ``state-restored`` and ``state-lost``.
    """

    _log = Logger()

    def __init__(
        self,
        state: StateFolder,
        keeper: StateKeeper,
        socket: Socket,
        events: EventLog,
        clock: Any,
        inTurn: Callable[[Coroutine[Any, Any, None]], Coroutine[Any, Any, None]],
        onRestored: Callable[[], None],
        besides: Callable[[], tuple[str, ...]] = tuple,
    ) -> None:
        """
        :param clock: provides `IReactorTime`.
        :param inTurn: does something while no change is made.
        :param onRestored: called when all was made anew.
        :param besides: paths below the folder of what else has to be there; `onRestored` makes it anew.
        """
        self._state = state
        self._keeper = keeper
        self._socket = socket
        self._events = events
        self._clock = clock
        self._inTurn = inTurn
        self._onRestored = onRestored
        self._besides = besides
        self._next: IDelayedCall | None = None
        self._isStopped = False
        self._lost = ""  # why it is not ours, as it was told

    def start(self) -> None:
        """Look at it again and again."""
        if not self._isStopped:
            self._next = self._clock.callLater(INTERVAL, self._look)

    def stop(self) -> None:
        """No more."""
        self._isStopped = True
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _look(self) -> None:
        self._next = None
        looking = Deferred.fromCoroutine(self._compare())
        looking.addErrback(lambda failure: self._log.failure("looking after the state folder", failure))
        looking.addCallback(lambda _: self.start())

    async def _compare(self) -> None:
        expected = (self._state.socketPath.name, *self._keeper.written, *self._besides())
        try:
            missing = await self._keeper.disk.do(self._state.missing, expected)
        except (DiskSilent, OSError):
            return  # what cannot be looked at is not known to be gone
        if missing:
            await self._inTurn(self._restore(missing))

    async def _restore(self, missing: tuple[str, ...]) -> None:
        try:
            await self._keeper.disk.do(self._state.retake)
        except (StateError, DiskSilent) as error:
            self._lose(str(error))
            return
        self._lost = ""
        self._keeper.isWritable = True
        await self._keeper.restore()
        try:
            await self._socket.reopen()
        except OSError as error:
            self._lose(f"{self._state.socketPath}: commands cannot come in: {error.strerror}")
            return
        if not self._keeper.unwritten:
            what = ", ".join(missing[:3]) + (", …" if len(missing) > 3 else "")
            text = f"{self._state.path}: was deleted, or a part of it ({what}), and is made anew from memory"
            self._events.add("state-restored", text)
        self._onRestored()

    def _lose(self, reason: str) -> None:
        """It is not ours, and nothing is written there."""
        self._keeper.isWritable = False
        if reason != self._lost:
            self._lost = reason
            text = f"{reason}; this edge serves on, and what it does from now on is not kept"
            self._events.add("state-lost", text)
