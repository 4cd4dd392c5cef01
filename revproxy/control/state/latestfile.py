"""
A small file of the state folder that has the latest of something: targets that somebody has drained, and such.

Nobody waits for its being written. What could not be written is tried again every minute, and when the edge ends; it is
in force all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from revproxy.control.state.recordfile import setAside
from revproxy.control.state.replacement import replaceFile
from revproxy.loop.jobthread import JobThread
from revproxy.regularfile import readFile

RETRY_INTERVAL = 60.0
"""Seconds between two tries to write what could not be written."""

PATIENCE = 1.0
"""Seconds that somebody waits who wants to know whether it is written."""

MAX_BYTES = 4 << 20
"""How large it may be, where nothing else is said."""


_SILENT = "the disk has not answered yet"


class LatestFile:
    """
    One such file.

    :ivar unwritten: why its latest content would not outlive a restart; empty if it would, or is on its way.
    """

    _log = Logger()

    def __init__(
        self,
        path: Path,
        clock: Any,
        inThread: Callable[..., Deferred[Any]],
        isOurs: Callable[[], bool] = lambda: True,
        guarded: Callable[..., Any] = lambda function, *arguments: function(*arguments),
        maxBytes: int = MAX_BYTES,
        tell: Callable[[str, str], Any] = lambda kind, text: None,
    ) -> None:
        """
        :param clock: provides `IReactorTime`.
        :param inThread: runs a function, with arguments, in a thread.
        :param isOurs: whether the state folder still is, as far as is known.
        :param guarded: calls what writes there, or raises `OSError` because it is not. Blocks.
        :param maxBytes: how large it may be.
        :param tell: is told, as an event, that it cannot be written, and that it is at last.
        """
        self.unwritten = ""
        self._maxBytes = maxBytes
        self._path = path
        self._clock = clock
        self._jobs = JobThread(clock, inThread)
        self._isOurs = isOurs
        self._guarded = guarded
        self._tell = tell
        self._isTold = False
        self._waiting: list[Deferred[None]] = []
        self._latest: bytes | None = None
        self._isWritten = True
        self._writing: Deferred[None] | None = None
        self._retry: IDelayedCall | None = None
        self._hasEnded = False

    def read(self, parse: Callable[[bytes], Any], default: Any) -> tuple[Any, str | None]:
        """
        What it holds. Blocks; for the beginning.

        :param parse: raises ValueError for what it does not understand. Such a file is put aside.
        :returns: what was parsed, or the default; with a text for the log if it was there and cannot be understood.
        """
        try:
            content = readFile(self._path, self._maxBytes)
            parsed = parse(content)
        except FileNotFoundError:
            return default, None
        except (OSError, ValueError, RecursionError) as error:
            reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)
            return default, setAside(self._path, f"{self._path}: {reason}; what was in it is forgotten")
        self._latest = content
        return parsed, None

    def save(self, content: bytes) -> None:
        """It is to hold this."""
        self._latest, self._isWritten = content, False
        self._write()

    def restore(self) -> None:
        """The state folder is another one, or there again: what the file held is not there."""
        if self._latest is not None:
            self.save(self._latest)

    @property
    def kept(self) -> tuple[str, ...]:
        """Its name, if it has to be in the folder."""
        return (self._path.name,) if self._latest is not None and self._isWritten and self._writing is None else ()

    async def settled(self) -> str:
        """
        Wait until what was saved is written, or cannot be; but not for long.

        :returns: why it would not outlive a restart; empty if it would.
        """
        if self._writing is not None:
            waiting: Deferred[None] = Deferred()
            self._waiting.append(waiting)
            late = self._clock.callLater(PATIENCE, waiting.callback, None)
            await waiting
            if late.active():
                late.cancel()
        return self.unwritten or ("" if self._isWritten and self._writing is None else _SILENT)

    def tryAgain(self) -> None:
        """What has kept it from being written may be over."""
        if self._retry is not None:
            self._write()

    async def end(self) -> None:
        """Write what is not written."""
        self._hasEnded = True
        self._jobs.hurry()
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self._writing is not None:
            await self._writing
        if not self._isWritten:
            await self._writeAll()

    def _write(self) -> None:
        if self._writing is None and not self._hasEnded:
            if self._retry is not None:
                self._retry.cancel()
                self._retry = None
            self._writing = Deferred.fromCoroutine(self._writeAll())
            self._writing.addErrback(lambda failure: self._log.failure("writing {path}", failure, path=self._path))
            self._writing.addCallback(self._written)

    def _written(self, _: None) -> None:
        self._writing = None
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            if not one.called:
                one.callback(None)
        if not self._isWritten and not self._hasEnded:
            self._retry = self._clock.callLater(RETRY_INTERVAL, self._tryAgain)

    def _tryAgain(self) -> None:
        self._retry = None
        self._write()

    async def _writeAll(self) -> None:
        """What is saved meanwhile is written next."""
        while not self._isWritten:
            content, self._isWritten = self._latest, True
            try:
                if not self._isOurs():
                    raise OSError("the state folder cannot be written")
                await self._jobs.do(self._guarded, replaceFile, self._path, content)
            except OSError as error:
                self._isWritten = False
                self._failed(error)
                return
            self.unwritten = ""
            if self._isTold:
                self._isTold = False
                self._tell("written", f"{self._path.name} is written again")

    def _failed(self, error: OSError) -> None:
        """Told once."""
        before, self.unwritten = self.unwritten, f"{self._path}: {error.strerror or error}"
        if not before:
            self._log.warn("cannot be written: {reason}; it is tried again", reason=self.unwritten)
        if not self._isTold and self._isOurs():  # else that is told of the whole folder
            self._isTold = True
            text = f"{self._path}: {error.strerror or error}; what it is to say is in force until a restart"
            self._tell("store-failed", text)
