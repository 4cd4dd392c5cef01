"""
Writes the configuration file as a part of a change: before what may still fail, and back if that does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from twisted.internet.defer import Deferred

from revproxy.control.changes import Edit
from revproxy.control.snapshot import SnapshotReader
from revproxy.loop.jobthread import JobThread
from revproxy.plan.events import EventLog


class Written:
    """
    :ivar stays: whether what was written is to stay.
    """

    stays = False


class ConfigWriting:
    """
    One coordinator's.
    """

    def __init__(
        self, files: JobThread, events: EventLog, snapshots: SnapshotReader, onDisk: Callable[..., Awaitable[Any]]
    ) -> None:
        """
        :param files: the thread for files that say what the edge is to be.
        :param onDisk: waits for a disk, until the change is to be given up.
        """
        self._files = files
        self._events = events
        self._snapshots = snapshots
        self._onDisk = onDisk

    async def write(self, edit: Edit | None) -> None:
        """
        :raises ChangeRefused: it cannot be written, or is another one than it was.
        :raises DiskSilent: nobody knows.
        """
        if edit is not None:
            await self._onDisk(self._write(edit))
            self._snapshots.adopt(edit.config, edit.text)

    @asynccontextmanager
    async def of(self, edit: Edit | None) -> AsyncIterator[Written]:
        """
        As :meth:`write`; afterwards what was there is put back, unless what was written is to stay, or somebody has
        written since.
        """
        if edit is not None:
            await self._onDisk(self._write(edit))
        written = Written()
        try:
            yield written
        finally:
            if edit is not None and written.stays:
                self._snapshots.adopt(edit.config, edit.text)
            elif edit is not None:
                await self._onDisk(self._undone(edit))

    async def _write(self, edit: Edit) -> None:
        edit.begin()
        try:
            await self._files.do(edit.write)
        except Exception:
            if edit.giveUp():
                raise

    def _undone(self, edit: Edit) -> Coroutine[Any, Any, None]:
        """It is put back, also if nobody waits for that any more."""
        undoing, waiting = Deferred.fromCoroutine(self._undo(edit)), Deferred[None]()
        undoing.addBoth(lambda result: None if waiting.called else waiting.callback(result))

        async def wait() -> None:
            await waiting

        return wait()

    async def _undo(self, edit: Edit) -> None:
        try:
            await self._files.do(edit.undo)
        except OSError as error:
            self._events.add("refused", f"the configuration file could not be put back as it was: {error}")


__all__ = ["ConfigWriting"]
