"""
The access log of a running edge, and how it becomes another: the new file is open before the old one is closed, so no
line is lost and a path that cannot be opened changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from revproxy.config.settings import LoggingConfig, documentOf
from revproxy.dataplane.accesslog import AccessLog
from revproxy.loop.jobthread import DiskSilent, JobThread
from revproxy.plan.refusal import Refusal
from revproxy.plan.words import Notice, Prepare
from revproxy.worker.logfile import LogFile
from revproxy.worker.participant import Refused
from revproxy.worker.recording import Recording

CLOSE_TIMEOUT = 5.0
"""Seconds that a file may take for the last lines."""


class OpenedLog:
    """
    A log as a :class:`LoggingConfig` describes it, ready to be written.

    :ivar config: that.
    :ivar file: None where nothing is logged.
    :ivar log: formats for the file; None like it.
    """

    def __init__(self, config: LoggingConfig, file: LogFile | None) -> None:
        self.config = config
        self.file = file
        self.log = None if file is None else AccessLog(file.write, cast(Any, config.format))


class AccessLogging:
    """
    Keeps an edge's log: :meth:`open` at the start; then for each other configuration :meth:`prepare`, and
    :meth:`commit` or :meth:`abandon`; :meth:`close` at the end. Until it is opened, nothing is logged.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        recording: Recording,
        inThread: Callable[..., Deferred[Any]],
        tell: Callable[[Notice], None] = lambda notice: None,
    ) -> None:
        """
        :param inThread: runs a function, with arguments, in a thread.
        :param tell: takes what is said to control.
        """
        self._reactor = reactor
        self._tell = tell
        self._recording = recording
        self._opened = OpenedLog(LoggingConfig(access=None), None)
        self._next: OpenedLog | None = None
        self._closing: list[Deferred[Any]] = []
        self._disk = JobThread(reactor, inThread)

    @property
    def config(self) -> LoggingConfig:
        """What is logged now, and where to."""
        return self._opened.config

    def open(self, config: LoggingConfig) -> None:
        """
        For the start: open it now, in this thread. To be called after a daemon has forked.

        :raises OSError: when the file cannot be opened.
        """
        self._use(self._open(config))

    async def prepare(self, word: Prepare) -> None:
        """
        Open what is to come; the disk is waited for in a thread.

        :raises Refused: the file cannot be opened.
        """
        if not word.starts:
            return  # a daemon has not forked yet
        config = word.plan.config
        if self._next is not None and self._next.config != config.logging:
            await self.abandon()
        if self._next is None:
            try:
                self._next = await self._prepare(config.logging)
            except OSError as error:
                problem = documentOf(config).problem(("logging", "access"), str(error))
                raise Refused(Refusal("", "listen", str(problem), problems=(problem,))) from None

    async def ready(self) -> None:
        """Nothing comes last."""

    def commit(self) -> None:
        """Log there from now on."""
        if self._next is not None:
            opened, self._next = self._next, None
            self._use(opened)

    async def abandon(self) -> None:
        """Close what was opened."""
        opened, self._next = self._next, None
        if opened is not None and opened.file is not None and opened.file is not self._opened.file:
            await self._close(opened.file)

    async def _prepare(self, config: LoggingConfig) -> OpenedLog:
        """
        :returns: what runs now, if it is that; or a log on the same file, if only its format is another.
        :raises OSError: the file cannot be opened; with `DiskSilent`, not in time.
        """
        now = self._opened
        if config == now.config:
            return now
        if now.file is not None and config.access == now.file.path:
            # Two threads must not write one file: lines of the one could end up inside lines of the other.
            return OpenedLog(config, now.file)
        return await self._openInThread(config)

    def hurry(self) -> None:
        """The edge ends: no longer wait for a disk that does not answer."""
        self._disk.hurry()

    def _use(self, opened: OpenedLog) -> None:
        """Log there from now on; what the old log has still to write is written. Cannot fail."""
        old, self._opened = self._opened, opened
        if opened is old:
            return
        self._recording.logTo(opened.log, opened.config.format == "combined")
        if old.file is not None and old.file is not opened.file:
            self._close(old.file)

    def reopen(self) -> None:
        """The file was renamed: go on in a new one."""
        if self._opened.log is not None and self._opened.file is not None:
            self._recording.flush()
            self._opened.file.reopen()

    async def close(self) -> None:
        """The edge ends: write everything out. What is recorded afterwards is counted as lost."""
        self._recording.stop()
        if self._opened.file is not None:
            self._close(self._opened.file)
        while self._closing:
            await self._closing[0]

    async def _openInThread(self, config: LoggingConfig) -> OpenedLog:
        """What is open too late is closed again. :raises OSError:"""
        isGivenUp = False

        def openFile() -> OpenedLog:
            opened = self._open(config)
            if isGivenUp and opened.file is not None:
                opened.file.close(0)
            return opened

        try:
            opened: OpenedLog = await self._disk.do(openFile)
        except DiskSilent:
            isGivenUp = True
            raise
        return opened

    def _open(self, config: LoggingConfig) -> OpenedLog:
        """:raises OSError: when the file cannot be opened."""
        file = None
        if config.access is not None:
            file = LogFile(
                config.access, callInReactor=self._reactor.callFromThread, onTrouble=self._troubled
            )
            file.start()
            if file.path == "-" and leadsNowhere(1):
                self._reactor.callFromThread(
                    self._log.warn, "standard output is /dev/null, and the access log with it: name a file, or off"
                )
        return OpenedLog(config, file)

    def _troubled(self, isWell: bool, text: str) -> None:
        """Lines cannot be written, or can again: an event."""
        self._tell(Notice("access-log-written", text) if isWell else Notice("access-log-failed", text))

    def _close(self, file: LogFile) -> Deferred[Any]:
        """In a thread. :return: fires when that is over, however it went."""
        closed: Deferred[Any] = Deferred()
        closing = self._disk.inThread(file.close, CLOSE_TIMEOUT)
        self._closing.append(closed)

        def over(result: Any) -> None:
            self._closing.remove(closed)
            closed.callback(None)

        closing.addErrback(lambda reason: self._log.failure("access log {path}: closing it", reason, path=file.path))
        closing.addCallback(over)
        return closed


def leadsNowhere(descriptor: int) -> bool:
    """Whether it is the null device, as standard output is in a daemon."""
    try:
        return os.fstat(descriptor).st_rdev == os.stat(os.devnull).st_rdev
    except OSError:
        return False


__all__ = ["AccessLogging", "OpenedLog", "leadsNowhere"]
