"""
The thread that writes log lines.

A disk can be slow, full, or gone, and none of that is the event loop's business: `LogFile.write` puts bytes into a
bounded backlog and returns. One thread takes them out. When writing fails it keeps what it has, tries again every
second, and refuses what no longer fits, counting the lines; start and end of such a time are each reported once.

Rotation: rename the file, then call `LogFile.reopen` (SIGUSR1). Lines go to the old file until the new one is open, and
a line that a full disk cut in two is written again, whole, to the new file.

A named pipe is opened without waiting for its reader, and anew when that is gone: it is like a disk that is full.
"""

from __future__ import annotations

import errno
import select
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.logger import Logger

from revproxy.worker.logoutput import NoReader, Output, openOutput

__all__ = ["LogFile"]


def _atOnce(call: Callable[..., object], *args: Any, **kwargs: Any) -> None:
    call(*args, **kwargs)


class LogFile:
    """
    A file, or standard output, written by a thread of its own.

    :param path: a file's path, or ``-`` for standard output.
    :param maxBacklog: bytes kept at most while the file does not take them.
    :param retryInterval: seconds between attempts while writing fails.
    :param callInReactor: how reports reach the event loop; ``reactor.callFromThread``. Without it they are logged in
        the thread.
    :param openOutput: opens the path; raises `OSError`.
    """

    _log = Logger()

    def __init__(
        self,
        path: str,
        *,
        maxBacklog: int = 16 * 1024 * 1024,
        retryInterval: float = 1.0,
        callInReactor: Callable[..., object] = _atOnce,
        openOutput: Callable[[str], Output] = openOutput,
    ) -> None:
        self.path = path
        self._maxBacklog = maxBacklog
        self._retryInterval = retryInterval
        self._callInReactor = callInReactor
        self._openOutput = openOutput
        self._changed = threading.Condition()
        # Guarded by the condition:
        self._backlog: deque[bytes] = deque()
        self._backlogBytes = 0
        self._lost = 0
        self._reopenWanted = False
        self._closing = False
        self._failing = False
        # The thread's own, once it runs:
        self._thread: threading.Thread | None = None
        self._output: Output | None = None
        self._block = b""
        self._written = 0
        self._reopenPending = False
        self._reported = False
        self._lastAttempt = False

    def start(self) -> None:
        """
        Open the file and start the thread; to be called after a daemon has forked.

        :raise OSError: when the file cannot be opened. Only at the start is this somebody's mistake to be told at once.
            A named pipe without a reader is no mistake: which of the two is started first does not matter.
        """
        try:
            self._output = self._openOutput(self.path)
        except NoReader as error:
            self._reopenPending = True
            self._failed(error)
        self._thread = threading.Thread(target=self._run, name=f"log {self.path}", daemon=True)
        self._thread.start()

    def write(self, data: bytes) -> None:
        """
        Take whole lines. Never blocks for the disk, never raises; what no longer fits is counted as lost.
        """
        with self._changed:
            if self._closing or self._backlogBytes + len(data) > self._maxBacklog:
                self._lost += data.count(b"\n")
                return
            self._backlog.append(data)
            self._backlogBytes += len(data)
            if not self._failing:  # or every line would be one more attempt at a full disk
                self._changed.notify()

    def reopen(self) -> None:
        """
        Open the path anew, because the file was renamed. Lines written before this call go to the old file if it takes
        them, and to the new one if it does not.
        """
        with self._changed:
            self._reopenWanted = True
            self._changed.notify()

    def close(self, timeout: float) -> bool:
        """
        Write what is left, then close. Blocks: call it in a thread, or as the last thing before the process ends.
        A file that takes nothing is tried once more. What cannot be written is reported, as a number of lines.

        :param timeout: seconds to wait at most.
        :return: whether every line was written.
        """
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout)
        with self._changed:
            lost, self._lost = self._lost + self._linesLeft(), 0
        if lost:
            self._log.warn("access log {path}: closed; {lost} lines were lost", path=self.path, lost=lost)
        return not lost

    def _linesLeft(self) -> int:
        return self._block.count(b"\n", self._written) + sum(data.count(b"\n") for data in self._backlog)

    # What follows runs in the thread.

    def _run(self) -> None:
        while self._awaitWork():
            if self._output is not None:
                try:
                    self._writeBlock(self._output)
                except OSError as error:
                    self._failed(error)
                    if error.errno == errno.EPIPE and self.path != "-":
                        self._letGo()
                else:
                    self._succeeded()
            if self._reopenPending:
                self._reopen()
        if self._output is not None:
            self._output.close()

    def _awaitWork(self) -> bool:
        """
        Sleep until there is something to do; fetch the next block. False: the end.
        """
        with self._changed:
            if not self._failing:
                self._changed.wait_for(lambda: self._block or self._backlog or self._closing or self._reopenWanted)
            elif not (self._closing or self._reopenWanted):
                self._changed.wait(self._retryInterval)
            self._reopenPending |= self._reopenWanted
            self._reopenWanted = False
            if not self._block:
                self._block = b"".join(self._backlog)
                self._backlog.clear()
            if not self._closing:
                return True
            if self._failing and self._lastAttempt:
                return False
            self._lastAttempt = True
            return bool(self._block)

    def _letGo(self) -> None:
        """
        The reader of a named pipe is gone: the next one is to get whole lines, so it is opened anew.
        """
        assert self._output is not None
        self._output.close()
        self._output = None
        self._reopenPending = True

    def _writeBlock(self, output: Output) -> None:
        """
        Write the block, however often that takes. What was written stays written when this raises.
        """
        view = memoryview(self._block)
        while self._written < len(view):
            taken = output.write(view[self._written :])
            if taken is None:
                self._awaitWritable(output)
            elif taken == 0:
                raise OSError(errno.EIO, "the file takes no bytes")
            else:
                self._written += taken
        with self._changed:
            self._backlogBytes -= len(self._block)
        self._block, self._written = b"", 0

    def _awaitWritable(self, output: Output) -> None:
        """
        Standard output may be a pipe that someone made non-blocking; its reader may have stopped reading.
        """
        waiting = select.poll()  # select() knows no descriptor above 1023
        waiting.register(output.fileno(), select.POLLOUT)
        if not waiting.poll(self._retryInterval * 1000):
            raise OSError(errno.EAGAIN, "the reader does not read")

    def _reopen(self) -> None:
        """
        Open first and close then, so that a folder that vanished costs no lines.
        """
        try:
            output = self._openOutput(self.path)
        except OSError as error:
            self._failed(error)
            return
        if self._output is not None:
            self._output.close()
        self._output = output
        self._reopenPending = self._failing = False
        # Back to the beginning of the line that was cut: its first part stays behind in the old file.
        self._written = self._block.rfind(b"\n", 0, self._written) + 1

    def _failed(self, error: OSError) -> None:
        self._failing = True
        if not self._reported:
            self._reported = True
            self._report(
                "access log {path}: {error}; keeping up to {limit} bytes and trying again",
                path=self.path,
                error=str(error),
                limit=self._maxBacklog,
            )

    def _succeeded(self) -> None:
        """
        Report the end of the trouble once the backlog is gone. There is something to report without a failed write,
        too, when the disk was merely too slow.
        """
        with self._changed:
            self._failing = self._reopenPending
            if self._failing or self._backlog or not (self._reported or self._lost):
                return
            lost, self._lost = self._lost, 0
        self._reported = False
        self._report("access log {path}: writing again; {lost} lines were lost", path=self.path, lost=lost)

    def _report(self, format: str, **values: object) -> None:
        self._callInReactor(self._log.warn, format, **values)
