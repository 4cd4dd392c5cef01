"""
Keeps the events over a restart: what was written down before is remembered again, and what happens is written down.

Nobody waits for that. Where it cannot be written, events last as long as the process, as they did without a file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from revproxy.control.state.eventfile import EventFile
from revproxy.loop.jobthread import JobThread
from revproxy.plan.events import Event, EventLog

DELAY = 0.1
"""Seconds that are waited for further events before some are written."""

RETRY_INTERVAL = 60.0
"""Seconds between two tries to write what could not be written."""

MOST_WAITING = 1000
"""Events that wait for being written at most; the oldest go."""


class EventKeeper:
    """
    Of one edge's event log.
    """

    _log = Logger()

    def __init__(
        self,
        events: EventLog,
        file: EventFile,
        clock: Any,
        inThread: Callable[..., Deferred[Any]],
        isOurs: Callable[[], bool] = lambda: True,
        guarded: Callable[..., Any] = lambda function, *arguments: function(*arguments),
    ) -> None:
        """
        :param clock: provides `IReactorTime`.
        :param inThread: runs a function, with arguments, in a thread.
        :param isOurs: whether the state folder still is, as far as is known.
        :param guarded: calls what writes there, or raises `OSError` because it is not. Blocks.
        """
        self._events = events
        self._file = file
        self._clock = clock
        self._jobs = JobThread(clock, inThread)
        self._isOurs = isOurs
        self._guarded = guarded
        self._waiting: list[Event] = []
        self._later: IDelayedCall | None = None
        self._writing: Deferred[None] | None = None
        self._isWriting = False
        self._isFailing = False
        self._ended = False

    def begin(self) -> None:
        """The state folder is ours: remember what is in it, and write down what happens from now on."""
        self._writing = Deferred.fromCoroutine(self._begin())
        self._writing.addErrback(lambda failure: self._log.failure("remembering events", failure))

    def tryAgain(self) -> None:
        """What has kept events from being written may be over."""
        if self._isFailing and self._later is not None:
            self._later.reset(0)

    async def end(self) -> None:
        """Write what is left to be written."""
        if self._writing is None:
            return
        self._ended = True
        self._jobs.hurry()
        if self._later is not None:
            self._later.cancel()
            self._later = None
        await self._writing
        await self._write()

    async def _begin(self) -> None:
        try:
            before, damaged = await self._jobs.do(self._file.read)
        except OSError as error:
            before, damaged = [], [f"{self._file.path}: {error}; events from before are not shown"]
        self._waiting = self._events.restore(before)
        self._events.subscribers.append(self._happened)
        for text in damaged:
            self._events.add("ledger-damaged", text)
        if self._waiting:
            self._soon()

    def _happened(self, event: Event) -> None:
        self._waiting.append(event)
        del self._waiting[:-MOST_WAITING]
        if not self._isFailing:
            self._soon()

    def _soon(self, seconds: float = DELAY) -> None:
        if self._later is None and not self._ended:
            self._later = self._clock.callLater(seconds, self._begun)

    def _begun(self) -> None:
        self._later = None
        if self._isWriting:
            return  # it takes these, too
        self._writing = Deferred.fromCoroutine(self._write())
        self._writing.addErrback(lambda failure: self._log.failure("writing events down", failure))

    async def _write(self) -> None:
        """What happens meanwhile is written next."""
        self._isWriting = True
        try:
            while self._waiting:
                written, self._waiting = self._waiting, []
                try:
                    if not self._isOurs():
                        raise OSError("the state folder is not ours any more")
                    await self._jobs.do(
                        self._guarded, self._file.append, written, self._events.latest(MOST_WAITING)
                    )
                except OSError as error:
                    self._waiting = [*written, *self._waiting][-MOST_WAITING:]
                    self._failed(error)
                    return
                self._isFailing = False
        finally:
            self._isWriting = False

    def _failed(self, error: OSError) -> None:
        """Tried again later; told once."""
        if not self._isFailing:
            self._isFailing = True
            reason = error.strerror or error
            self._log.warn("events cannot be written down: {path}: {reason}", path=self._file.path, reason=reason)
        self._soon(RETRY_INTERVAL)
