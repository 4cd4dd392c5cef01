"""
Jobs for a disk that may be full, slow, or not there any more, one at a time in a thread.

Nobody waits for a job for ever: one that does not come back within its limit has failed as far as the edge is
concerned, and until it does come back, no other begins. So changes are made, and the edge can end, whatever the disk
does; and what is written is written in order.
"""

from __future__ import annotations

from _thread import start_new_thread
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

SILENCE = 30.0
"""Seconds that a disk may take for one write."""

READING = 120.0
"""Seconds that it may take to read all files there are."""

HURRY = 5.0
"""Seconds that a job may take when the edge ends."""


class DiskSilent(OSError):
    """The disk does not answer; the text says for how long."""


class JobThread:
    """
    Runs one job at a time in a thread.

    :ivar inThread: runs a function, with arguments, in a thread.
    """

    def __init__(self, clock: Any, inThread: Callable[..., Deferred[Any]], limit: float = SILENCE) -> None:
        """
        :param clock: provides `IReactorTime`.
        :param limit: seconds that one job may take.
        """
        self.inThread = inThread
        self._clock = clock
        self._limit = limit
        self._asked = 0.0
        self._job: Deferred[Any] | None = None
        self._waiting: set[Deferred[Any]] = set()

    async def do(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """
        Run the function in the thread, after the job before it. What the function raises is raised.

        Cancelling gives up waiting; the job itself goes on.

        :returns: what the function returns.
        :raises DiskSilent: this job, or the one before, does not come back.
        """
        while self._job is not None:
            # The one before, whose caller does not wait for it any more.
            if self._clock.seconds() >= self._asked + self._limit:
                raise self._silent()
            await self._ended(self._asked + self._limit - self._clock.seconds())
        self._asked = self._clock.seconds()
        self._job = self.inThread(function, *arguments)
        return await self._ended(self._limit)

    def hurry(self) -> None:
        """The edge ends: from now on, wait at most :data:`HURRY` seconds for any job."""
        self._limit = HURRY
        for waiting in self._waiting:
            self._giveUp(waiting, HURRY)

    def _ended(self, seconds: float) -> Deferred[Any]:
        """The job's result, or, after so many seconds, `DiskSilent`; the job then goes on by itself."""
        waiting = Deferred[Any]()
        self._waiting.add(waiting)

        def answered(result: Any) -> None:
            self._job = None
            if not waiting.called:
                waiting.callback(result)  # a Failure goes on as one

        assert self._job is not None
        self._job.addBoth(answered)
        self._giveUp(waiting, seconds)
        return waiting

    def _giveUp(self, waiting: Deferred[Any], seconds: float) -> None:
        """After so many seconds, if the job has not ended before."""

        def silent() -> None:
            if not waiting.called:
                waiting.errback(self._silent())

        late = self._clock.callLater(seconds, silent)

        def answered(result: Any) -> Any:
            self._waiting.discard(waiting)
            if late.active():
                late.cancel()
            return result

        waiting.addBoth(answered)

    def _silent(self) -> DiskSilent:
        return DiskSilent(f"the disk has not answered for {self._clock.seconds() - self._asked:.0f} s")


class DaemonThreads:
    """As much of a thread pool as running a function needs. Its threads do not keep the process from ending."""

    def callInThreadWithCallback(
        self, onResult: Callable[[bool, Any], None], function: Callable[..., Any], *arguments: Any, **named: Any
    ) -> None:
        """
        As the method of `twisted.python.threadpool.ThreadPool`, with a new thread for each call.

        Not by `threading.Thread`: that waits until the thread runs, and with it the loop, a third of a second where
        processors are short.
        """

        def run() -> None:
            try:
                result = function(*arguments, **named)
            except BaseException:  # whatever it is, it is for whoever waits for the job
                onResult(False, Failure())
            else:
                onResult(True, result)

        start_new_thread(run, ())
