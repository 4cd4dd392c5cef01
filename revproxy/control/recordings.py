"""
Recordings: requests that are taken down with what each plugin did in them, to try other versions on them later.

One goes on at a time. It ends by itself: when its time is over, or it has as much as it may have. Workers are told to
take requests down; what they tell is redacted and written in a thread, and nobody waits for that. What comes faster
than it can be written is dropped, and counted.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Collection, Iterator
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from revproxy import __version__
from revproxy.config.problems import quoted, suggestion
from revproxy.control.actor import Actor
from revproxy.control.commands import CommandError, NotThere
from revproxy.control.currentrecording import (
    USUAL_BYTES,
    USUAL_REQUESTS,
    CurrentRecording,
    Wanted,
    viewOf,
    viewOfFile,
)
from revproxy.control.recordingfiles import NAME, RecordingFile, RecordingFiles, TooMany
from revproxy.loop.jobthread import JobThread
from revproxy.plan.events import EventLog
from revproxy.plan.words import Record, Recorded
from revproxy.replay.corpus import End, Header
from revproxy.replay.redactionrules import Redaction

MOST_SECONDS: Final = 24 * 3600.0
"""How long one may take."""

MOST_REQUESTS: Final = 1_000_000

MOST_BYTES: Final = 512 << 20

MOST_WAITING: Final = 16 << 20
"""Bytes that wait for being written."""

GRACE: Final = 1.5
"""Seconds after its end in which workers still tell what they had by then."""


_LISTED = "; `revproxy recordings` lists them"


class Recordings:
    """
    Those of one edge.
    """

    _log = Logger()

    def __init__(
        self,
        files: RecordingFiles,
        clock: Any,
        inThread: Callable[..., Deferred[Any]],
        tell: Callable[[Record], None],
        events: EventLog,
        routes: Callable[[], Collection[str]],
        guarded: Callable[..., Any] = lambda function, *arguments: function(*arguments),
    ) -> None:
        """
        :param clock: provides `IReactorTime`, in seconds since the epoch.
        :param inThread: runs a function, with arguments, in a thread.
        :param tell: says something to all workers.
        :param events: are told of beginnings and ends.
        :param routes: names those that there are.
        :param guarded: calls what writes there, or raises `OSError` because the folder is not ours. Blocks.
        """
        self._files = files
        self._clock = clock
        self._jobs = JobThread(clock, inThread)
        self._tell = tell
        self._events = events
        self._routes = routes
        self._guarded = guarded
        self._current: CurrentRecording | None = None
        self._writing: Deferred[None] | None = None

    # What somebody asks for

    async def begin(self, actor: Actor, wanted: Wanted) -> dict[str, Any]:
        """
        Begin one.

        :returns: its view.
        :raises CommandError: it cannot be done; says why, and what to do.
        """
        self._check(actor, wanted)
        now = self._clock.seconds()
        name = wanted.name or _nameFor(wanted.routes, now)
        header = Header(
            name, now, __version__, wanted.routes, wanted.share, wanted.redact, wanted.keep, wanted.hidesClients
        )
        redaction = Redaction(os.urandom(32), wanted.redact, wanted.keep, wanted.hidesClients)
        current = self._current = CurrentRecording(wanted, header, redaction, now + wanted.seconds)
        try:
            current.bytes = await self._do(self._files.begin, header)
        except FileExistsError:
            self._current = None
            raise CommandError(f"there is a recording named {name}; give this one another name") from None
        except (OSError, TooMany) as error:
            self._current = None
            raise CommandError(_cannot(error)) from None
        if current.why:  # meanwhile
            return self._viewOf(current)
        self._tell(self._word(current))
        current.timer = self._clock.callLater(wanted.seconds, self._finish, "its time is over")
        told = f"{_shareText(wanted)} for {wanted.seconds:g} s at most, as {self._files.pathOf(name)}"
        self._events.add("recording-begun", f"requests are recorded: {told}", about={"recording": name})
        return self._viewOf(current)

    async def stop(self, name: str) -> dict[str, Any]:
        """
        End one before its time.

        :raises NotThere: it does not go on.
        """
        current = self._current
        if current is None or current.header.name != name:
            raise NotThere(f"no recording named {quoted(name)} goes on{_LISTED}")
        self._finish("somebody ended it")
        return self._viewOf(current)

    async def all(self) -> list[dict[str, Any]]:
        """
        Those that there are, the latest first.

        :raises CommandError: the disk does not answer.
        """
        try:
            found: list[RecordingFile] = await self._jobs.do(self._files.all)
        except OSError as error:
            raise CommandError(_cannot(error)) from None
        return [self._viewOfFile(file) for file in reversed(found)]

    async def content(self, name: str, offset: int, most: int) -> tuple[list[str], int | None]:
        """
        Whole lines of it, from an offset on.

        :returns: with the offset of the next; None: there is no more.
        :raises NotThere: there is none of that name. :raises CommandError: it cannot be read.
        """
        try:
            lines: tuple[list[str], int | None] = await self._jobs.do(self._files.read, name, offset, most)
        except KeyError:
            raise NotThere(f"no recording is named {quoted(name)}{_LISTED}") from None
        except OSError as error:
            raise CommandError(_cannot(error)) from None
        return lines

    async def delete(self, name: str) -> None:
        """
        Remove one. One that goes on ends.

        :raises NotThere: there is none of that name. :raises CommandError: it cannot be removed.
        """
        current = self._current
        try:
            await self._do(self._files.delete, name)
        except KeyError:
            raise NotThere(f"no recording is named {quoted(name)}{_LISTED}") from None
        except OSError as error:
            raise CommandError(_cannot(error)) from None
        if current is not None and current.header.name == name:
            self._finish("it was deleted")
        self._events.add("recording-deleted", f"the recording {name} was deleted", about={"recording": name})

    # What workers say

    def words(self) -> Iterator[Record]:
        """What a new worker is told."""
        if self._current is not None and not self._current.why:
            yield self._word(self._current)

    def heard(self, worker: int, word: Recorded) -> None:
        """A worker tells of requests that it has taken down."""
        current = self._current
        if current is None or word.recording != current.header.name:
            return
        current.dropped += word.dropped
        if current.waitingBytes + len(word.batch) > MOST_WAITING:
            current.dropped += word.count
        else:
            current.waiting.append(word)
            current.waitingBytes += len(word.batch)
        self._write(current)

    async def end(self) -> None:
        """The edge ends."""
        current = self._current
        if current is not None:
            if not current.why:
                self._finish("the edge was stopped")
            await self._close(current)
        if self._writing is not None:
            await self._writing

    # How it goes on

    def _check(self, actor: Actor, wanted: Wanted) -> None:
        """:raises CommandError: it is not to begin."""
        if self._current is not None:
            raise CommandError(f"the recording {self._current.header.name} goes on: there is one at a time; "
                               f"`revproxy recordings stop {self._current.header.name}` ends it")  # fmt: skip
        if wanted.keep and actor.role not in ("configure", "admin"):
            raise CommandError(f"to keep {', '.join(wanted.keep)} is for those who may configure: secrets are in it")
        if wanted.name and not NAME.fullmatch(wanted.name):
            raise CommandError(f"a recording's name has lower-case letters, digits and hyphens: {quoted(wanted.name)}")
        known = self._routes()
        for route in wanted.routes:
            if route not in known:
                raise CommandError(f"no route is named {quoted(route)}{suggestion(route, known)}")

    def _finish(self, why: str) -> None:
        """Workers are told that it is over; what they had by then comes in a moment."""
        current = self._current
        if current is None or current.why:
            return
        current.why = why
        if current.timer is not None and current.timer.active():
            current.timer.cancel()
        self._tell(Record(current.header.name))
        current.timer = self._clock.callLater(GRACE, self._closeSoon, current)

    def _closeSoon(self, current: CurrentRecording) -> None:
        Deferred.fromCoroutine(self._close(current)).addErrback(
            lambda failure: self._log.failure("ending a recording", failure)
        )

    async def _close(self, current: CurrentRecording) -> None:
        """All that came is written, and how it ended."""
        if current.timer is not None and current.timer.active():
            current.timer.cancel()
        while self._writing is not None:
            await self._writing
        if self._current is not current:
            return
        name, why = current.header.name, current.why
        try:
            await self._do(self._files.end, name, End(
                self._clock.seconds(), why, current.requests, current.dropped
            ))  # fmt: skip
        except OSError as error:
            why = f"{why}; {_cannot(error)}" if not isinstance(error, FileNotFoundError) else why
        if self._current is current:
            self._current = None
        dropped = f", {current.dropped} were dropped" if current.dropped else ""
        text = f"the recording {name} has ended: {why}; {current.requests} requests, {current.bytes} bytes{dropped}"
        self._events.add("recording-ended", text, about={"recording": name})

    def _write(self, current: CurrentRecording) -> None:
        if self._writing is None and current.waiting:
            self._writing = Deferred.fromCoroutine(self._writeAll(current))
            if self._writing.called:
                self._writing = None

    async def _writeAll(self, current: CurrentRecording) -> None:
        try:
            while current.waiting:
                word = current.waiting.popleft()
                current.waitingBytes -= len(word.batch)
                await self._writeOne(current, word)
        finally:
            self._writing = None

    async def _writeOne(self, current: CurrentRecording, word: Recorded) -> None:
        wanted = current.wanted
        left, room = wanted.requests - current.requests, wanted.bytes - current.bytes
        if left <= 0 or room <= 0:
            current.dropped += word.count
            return
        try:
            written = await self._do(self._files.append, word.recording, word.batch, current.redaction, left, room)
        except OSError as error:
            current.dropped += word.count
            gone = isinstance(error, FileNotFoundError)
            self._finish("its file was deleted" if gone else _cannot(error))
            return
        current.requests += written.requests
        current.bytes += written.bytes
        current.dropped += written.dropped
        if current.requests >= wanted.requests:
            self._finish(f"it has {wanted.requests} requests")
        elif written.dropped and current.bytes > 0.9 * wanted.bytes:
            self._finish(f"it has {wanted.bytes >> 20} MB")

    async def _do(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await self._jobs.do(self._guarded, function, *arguments)

    @staticmethod
    def _word(current: CurrentRecording) -> Record:
        wanted = current.wanted
        return Record(current.header.name, wanted.routes, wanted.share, wanted.bodyBytes)

    def _viewOf(self, current: CurrentRecording) -> dict[str, Any]:
        return viewOf(current, self._files.folder)

    def _viewOfFile(self, file: RecordingFile) -> dict[str, Any]:
        current = self._current
        if current is not None and current.header.name == file.name:
            return self._viewOf(current)
        return viewOfFile(file, self._files.folder)


def _nameFor(routes: tuple[str, ...], now: float) -> str:
    stem = re.sub("[^a-z0-9]+", "-", routes[0].lower()).strip("-") if len(routes) == 1 else ""
    return f"{stem[:40] or 'requests'}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}"


def _shareText(wanted: Wanted) -> str:
    routes = f"the routes {', '.join(wanted.routes)}" if wanted.routes else "all routes"
    return f"{wanted.share * 100:g} % of {routes}"


def _cannot(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"recordings cannot be written: {error.strerror or error}"
    return str(error)


__all__ = ["MOST_BYTES", "MOST_REQUESTS", "MOST_SECONDS", "USUAL_BYTES", "USUAL_REQUESTS", "Recordings", "Wanted"]
