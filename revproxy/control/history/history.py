"""
The line of time: every change of the configuration, of versions, pins and switches, with who made it and why, and those
that were refused.

What is known of changes is in memory; texts of configurations are on disk. Nobody waits for that. Where it cannot be
written, the last changes last as long as the process, their texts with them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from revproxy.control.actor import Actor
from revproxy.control.history.audit import actorAsDict, shortened
from revproxy.control.history.historyfiles import MOST, Entry, HistoryFiles
from revproxy.control.history.standing import NOTHING, Standing
from revproxy.loop.jobthread import JobThread
from revproxy.plan.events import EventLog

RETRY_INTERVAL = 60.0
"""Seconds between two tries to write what could not be written."""

MOST_WAITING = 100
"""Changes that wait for being written, at most; older ones are not written."""

MOST_LINES = 50
"""Lines that are kept of what has changed, and of what was refused."""


class History:
    """
    That of one edge.

    :ivar entries: what is kept, the oldest first. To be left unchanged.
    :ivar last: how things stood after the last change.
    :ivar isReady: whether it is known what was before.
    """

    _log = Logger()

    def __init__(
        self,
        files: HistoryFiles,
        events: EventLog,
        clock: Any,
        inThread: Callable[..., Deferred[Any]],
        isOurs: Callable[[], bool] = lambda: True,
        guarded: Callable[..., Any] = lambda function, *arguments: function(*arguments),
    ) -> None:
        """As of `revproxy.control.history.audit.Audit`."""
        self.entries: list[Entry] = []
        self.last: Standing = NOTHING
        self.isReady = False
        self._isRead = False
        self._whenReady: list[Callable[[], None]] = []
        self._files = files
        self._events = events
        self._clock = clock
        self._jobs = JobThread(clock, inThread)
        self._isOurs = isOurs
        self._guarded = guarded
        self._number = 0
        self._waiting: list[tuple[Entry, Mapping[str, bytes]]] = []
        self._writing: Deferred[None] | None = None
        self._isWriting = False
        self._isFailing = False
        self._hasEnded = False
        self._retry: IDelayedCall | None = None

    # What happens

    def whenReady(self, call: Callable[[], None]) -> None:
        """Call this once it is known what was before; at once, if it is."""
        if self.isReady:
            call()
        else:
            self._whenReady.append(call)
            del self._whenReady[:-MOST_WAITING]  # a disk that does not answer must not keep every plan in memory

    def add(
        self,
        actor: Actor,
        action: str,
        plugin: str,
        reason: str,
        result: str,
        text: tuple[str, ...],
        refused: tuple[dict[str, str], ...],
        standing: Standing,
        config: str,
    ) -> Entry:
        """
        Something was changed, or was to be.

        :param result: ``done`` or ``refused``.
        :param standing: how things stand now.
        :param config: the text of the configuration that is in force now.
        """
        self._number += 1
        entry = {
            "number": self._number,
            "at": self._clock.seconds(),
            "actor": actorAsDict(actor),
            "action": action,
            "plugin": plugin,
            "reason": shortened(reason),
            "result": result,
            "text": [shortened(line) for line in text[:MOST_LINES]],
            "refused": [{name: shortened(value) for name, value in each.items()} for each in refused[:MOST_LINES]],
            "standing": standing.hash,
            "config": standing.config,
        }
        objects = {standing.hash: standing.encoded()}
        if config:
            objects[standing.config] = config.encode("utf-8", "surrogatepass")
        self.last = standing
        self._keep(entry, objects)
        return entry

    def _keep(self, entry: Entry, objects: Mapping[str, bytes]) -> None:
        self.entries.append(entry)
        del self.entries[:-MOST]
        self._waiting.append((entry, objects))
        del self._waiting[:-MOST_WAITING]
        if not self._isFailing:
            self._soon()

    # Beginning and end

    def begin(self) -> None:
        """The state folder is ours: what was before is in it."""
        self._writing = Deferred.fromCoroutine(self._begin())
        self._writing.addErrback(lambda failure: self._log.failure("reading the history", failure))

    def beginWithout(self) -> None:
        """There is no state folder: nothing was before."""
        self._ready()

    def tryAgain(self) -> None:
        """What has kept changes from being written may be over."""
        if self._isFailing and self._retry is not None:
            self._retry.reset(0)

    async def end(self) -> None:
        """Write what is left to be written."""
        if self._writing is None:
            return
        self._hasEnded = True
        self._jobs.hurry()
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        await self._writing
        await self._write()

    async def _begin(self) -> None:
        self._isWriting = True
        try:
            self.last = await self._read()
        except OSError as error:
            self._failed(error)
            return
        finally:
            self._isWriting = False
            self._ready()
        await self._write()

    async def _read(self) -> Standing:
        """What was before. Changes that were made before that could be read follow it. :returns: how things stood."""
        entries, damaged = await self._jobs.do(self._guarded, self._files.open)
        last: Standing = await self._jobs.do(self._lastStanding, entries)
        self._isRead = True
        for text in damaged:
            self._events.add("ledger-damaged", text)
        before = entries[-1]["number"] if entries else 0
        for entry in self.entries:
            entry["number"] += before
        self._number += before
        self.entries = [*entries, *self.entries][-MOST:]
        return last

    def _lastStanding(self, entries: list[Entry]) -> Standing:
        """Blocks."""
        data = self._files.object(entries[-1]["standing"]) if entries else None
        try:
            return NOTHING if data is None else Standing.decoded(data)
        except (ValueError, TypeError):
            return NOTHING

    def _ready(self) -> None:
        self.isReady = True
        waiting, self._whenReady = self._whenReady, []
        for call in waiting:
            call()

    # Writing

    def _soon(self) -> None:
        if self._writing is not None and not self._isWriting and not self._hasEnded:
            self._writing = Deferred.fromCoroutine(self._write())
            self._writing.addErrback(lambda failure: self._log.failure("writing the history", failure))

    async def _write(self) -> None:
        """What happens meanwhile is written next."""
        self._isWriting = True
        try:
            while self._waiting or not self._isRead:
                taken, self._waiting = self._waiting, []
                objects = {name: data for _, each in taken for name, data in each.items()}
                try:
                    if not self._isOurs():
                        raise OSError("the state folder is not ours any more")
                    if not self._isRead:
                        await self._read()
                    kept = await self._jobs.do(
                        self._guarded, self._files.append, [entry for entry, _ in taken], objects
                    )
                except OSError as error:
                    self._waiting = [*taken, *self._waiting][-MOST_WAITING:]
                    self._failed(error)
                    return
                if self._isFailing:
                    self._isFailing = False
                    self._events.add("history-restored", "the history of changes is written again")
                first = kept[0]["number"] if kept else 0
                self.entries = [entry for entry in self.entries if entry["number"] >= first]
        finally:
            self._isWriting = False

    def _failed(self, error: OSError) -> None:
        """Tried again later; told once."""
        if not self._isFailing:
            self._isFailing = True
            text = f"the history of changes cannot be written: {error.strerror or error}"
            self._events.add("history-failed", text)
        if not self._hasEnded:
            self._retry = self._clock.callLater(RETRY_INTERVAL, self._tryAgain)

    def _tryAgain(self) -> None:
        self._retry = None
        self._soon()

    # Reading

    def find(self, number: int) -> Entry | None:
        """A change by its number; None if it is not kept."""
        first = self.entries[0]["number"] if self.entries else 1
        index = number - first
        if 0 <= index < len(self.entries) and self.entries[index]["number"] == number:
            return self.entries[index]
        return next((entry for entry in self.entries if entry["number"] == number), None)

    async def standing(self, entry: Entry) -> Standing | None:
        """How things stood after a change; None if that cannot be had. :raises OSError: the disk says nothing."""
        data = await self._object(entry["standing"])
        try:
            return None if data is None else Standing.decoded(data)
        except (ValueError, TypeError):
            return None

    async def config(self, entry: Entry) -> str | None:
        """The configuration's text then; None if it cannot be had. :raises OSError: the disk says nothing."""
        if not entry["config"]:
            return ""
        data = await self._object(entry["config"])
        return None if data is None else data.decode("utf-8", "surrogatepass")

    async def _object(self, name: str) -> bytes | None:
        for _, objects in self._waiting:
            if name in objects:
                return objects[name]
        data: bytes | None = await self._jobs.do(self._files.object, name)
        return data


__all__ = ["History"]
