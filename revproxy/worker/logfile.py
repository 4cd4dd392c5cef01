"""
The thread that writes log lines.

A disk can be slow, full, or gone, and none of that is the event loop's business: `LogFile.write` puts bytes into a
bounded backlog and returns. One thread takes them out. When writing fails it keeps what it has, tries again every
second, and refuses what no longer fits, counting the lines; start and end of such a time are each reported once.

Rotation: rename the file, then call `LogFile.reopen` (SIGUSR1). Lines go to the old file until the new one is open, and
a line that a full disk cut in two is written again, whole, to the new file.

A named pipe is opened without waiting for its reader, and anew when that is gone: it is like a disk that is full.

Three questions are asked of a file all the time, and each has three answers: how long it goes on (`_Phase`), how
writing goes (`_Health`), and whether its path is to be opened anew (`_Reopening`).
"""

from __future__ import annotations

import errno
import select
import threading
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Any

from twisted.logger import Logger

from revproxy.worker.logoutput import NoReader, Output, openOutput

__all__ = ["LogFile"]


class _Phase(Enum):
    OPEN = "lines are taken"
    CLOSING = "what was taken is to be written"
    LAST_ATTEMPT = "a write that fails now is the last"


class _Health(Enum):
    """WELL → FAILING, which is reported → RECOVERING ⇄ FAILING → WELL, which is reported once the backlog is gone."""

    WELL = "every write succeeded"
    FAILING = "the last attempt failed; the next comes after a while"
    RECOVERING = "it takes bytes again, and has not caught up"


class _Reopening(Enum):
    """NOT → ASKED, by anybody → DUE, once the thread has heard of it → NOT, once the path is open."""

    NOT = "the path is open"
    ASKED = "it was renamed: the thread is to wake up for it"
    DUE = "it is opened with the next attempt"


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
    :param onTrouble: told, in the event loop, when lines cannot be written, and when they can again: whether they can,
        and what there is to say.
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
        onTrouble: Callable[[bool, str], object] | None = None,
        openOutput: Callable[[str], Output] = openOutput,
    ) -> None:
        self.path = path
        self._maxBacklog = maxBacklog
        self._retryInterval = retryInterval
        self._callInReactor = callInReactor
        self._onTrouble = onTrouble
        self._openOutput = openOutput
        self._changed = threading.Condition()
        # Guarded by the condition:
        self._backlog: deque[bytes] = deque()
        self._backlogBytes = 0
        self._lost = 0
        self._phase = _Phase.OPEN
        self._health = _Health.WELL
        self._reopening = _Reopening.NOT
        # The thread's own, once it runs:
        self._thread: threading.Thread | None = None
        self._output: Output | None = None
        self._block = b""
        self._written = 0

    @property
    def isClosing(self) -> bool:
        """Whether it was closed: it takes no more lines, and may still be writing."""
        return self._phase is not _Phase.OPEN

    def start(self) -> None:
        """
        Open the file and start the thread; to be called after a daemon has forked.

        :raise OSError: when the file cannot be opened. Only at the start is this somebody's mistake to be told at once.
            A named pipe without a reader is no mistake: which of the two is started first does not matter.
        """
        try:
            self._output = self._openOutput(self.path)
        except NoReader as error:
            self._reopening = _Reopening.DUE
            self._failed(error)
        self._thread = threading.Thread(target=self._run, name=f"log {self.path}", daemon=True)
        self._thread.start()

    def write(self, data: bytes) -> None:
        """
        Take whole lines. Never blocks for the disk, never raises; what no longer fits is counted as lost.
        """
        with self._changed:
            if self._phase is not _Phase.OPEN or self._backlogBytes + len(data) > self._maxBacklog:
                self._lost += data.count(b"\n")
                return
            self._backlog.append(data)
            self._backlogBytes += len(data)
            if self._health is not _Health.FAILING:  # or every line would be one more attempt at a full disk
                self._changed.notify()

    def reopen(self) -> None:
        """
        Open the path anew, because the file was renamed. Lines written before this call go to the old file if it takes
        them, and to the new one if it does not.
        """
        with self._changed:
            self._reopening = _Reopening.ASKED
            self._changed.notify()

    def close(self, timeout: float) -> bool:
        """
        Write what was taken, then close. Blocks: call it in a thread, or as the last thing before the process ends.
        A file that takes nothing is tried once more. What cannot be written is reported, as a number of lines.

        :param timeout: seconds to wait at most.
        :return: whether every line was written.
        """
        with self._changed:
            if self._phase is _Phase.OPEN:
                self._phase = _Phase.CLOSING
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout)
        with self._changed:
            lost, self._lost = self._lost + self._unwrittenLines(), 0
        if lost:
            self._log.warn("access log {path}: closed; {lost} lines were lost", path=self.path, lost=lost)
        return not lost

    def _unwrittenLines(self) -> int:
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
            if self._reopening is _Reopening.DUE:
                self._reopen()
        if self._output is not None:
            self._output.close()

    def _awaitWork(self) -> bool:
        """
        Sleep until there is something to do; fetch the next block. False: the end.
        """
        with self._changed:
            if self._health is not _Health.FAILING:
                self._changed.wait_for(lambda: self._block or self._backlog or self._isCalled())
            elif not self._isCalled():
                self._changed.wait(self._retryInterval)
            if self._reopening is _Reopening.ASKED:
                self._reopening = _Reopening.DUE
            if not self._block:
                self._block = b"".join(self._backlog)
                self._backlog.clear()
            return self._phase is _Phase.OPEN or self._attemptAtTheEnd()

    def _isCalled(self) -> bool:
        """
        Whether somebody waits for the thread to do something other than write.
        """
        return self._phase is not _Phase.OPEN or self._reopening is _Reopening.ASKED

    def _attemptAtTheEnd(self) -> bool:
        """
        Whether there is something to write, and it is not known that the file takes nothing.
        """
        if self._phase is _Phase.LAST_ATTEMPT and self._health is _Health.FAILING:
            return False
        self._phase = _Phase.LAST_ATTEMPT
        return bool(self._block)

    def _letGo(self) -> None:
        """
        The reader of a named pipe is gone: the next one is to get whole lines, so it is opened anew.
        """
        assert self._output is not None
        self._output.close()
        self._output = None
        with self._changed:
            if self._reopening is _Reopening.NOT:
                self._reopening = _Reopening.DUE

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
        with self._changed:
            if self._reopening is _Reopening.DUE:  # and not asked for once more meanwhile
                self._reopening = _Reopening.NOT
            if self._health is _Health.FAILING:
                self._health = _Health.RECOVERING
        # Back to the beginning of the line that was cut: its first part stays behind in the old file.
        self._written = self._block.rfind(b"\n", 0, self._written) + 1

    def _failed(self, error: OSError) -> None:
        with self._changed:
            before, self._health = self._health, _Health.FAILING
        if before is _Health.WELL:
            kept = self._maxBacklog
            self._tell(False, "{error}; keeping up to {kept} bytes and trying again", error=str(error), kept=kept)

    def _succeeded(self) -> None:
        """
        Report the end of the trouble once the backlog is gone. There is something to report without a failed write,
        too, when the disk was merely too slow.
        """
        with self._changed:
            if self._reopening is _Reopening.DUE:
                return
            if self._health is _Health.FAILING:
                self._health = _Health.RECOVERING
            if self._backlog or (self._health is _Health.WELL and not self._lost):
                return
            self._health = _Health.WELL
            lost, self._lost = self._lost, 0
        self._tell(True, "writing again; {lost} lines were lost", lost=lost)

    def _tell(self, isWell: bool, format: str, **values: object) -> None:
        """Once: whoever is told writes it into the edge's own log."""
        format, values = f"access log {{path}}: {format}", {"path": self.path, **values}
        if self._onTrouble is not None:
            self._callInReactor(self._onTrouble, isWell, format.format(**values))
        else:
            self._callInReactor(self._log.warn, format, **values)
