"""
Writes the configuration file as a part of a change: before what may still fail, and back if that does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

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

    def __init__(self, files: JobThread, events: EventLog, snapshots: SnapshotReader) -> None:
        """:param files: the thread for files that say what the edge is to be."""
        self._files = files
        self._events = events
        self._snapshots = snapshots

    async def write(self, edit: Edit | None) -> None:
        """
        :raises ChangeRefused: it cannot be written, or is another one than it was.
        :raises DiskSilent: nobody knows.
        """
        if edit is None:
            return
        try:
            await self._files.do(edit.write)
        except BaseException:
            edit.giveUp()
            raise
        self._snapshots.adopt(edit.config, edit.text)

    @asynccontextmanager
    async def of(self, edit: Edit | None) -> AsyncIterator[Written]:
        """
        As :meth:`write`; afterwards what was there is put back, unless what was written is to stay, or somebody has
        written since.
        """
        await self.write(edit)
        written = Written()
        try:
            yield written
        finally:
            if edit is not None and not written.stays:
                await self._undo(edit)

    async def _undo(self, edit: Edit) -> None:
        try:
            await self._files.do(edit.undo)
        except OSError as error:
            self._events.add("refused", f"the configuration file could not be put back as it was: {error}")


__all__ = ["ConfigWriting"]
