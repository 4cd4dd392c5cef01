"""
One locked process, as the edge has it.
"""

from __future__ import annotations

import json
import os
import signal
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from select import POLLIN, poll
from socket import AF_UNIX, SOCK_STREAM, socket, socketpair
from time import monotonic
from typing import Any, Final

from twisted.logger import Logger

from revproxy.isolation.frames import (
    ANSWERS,
    MOST_DOWN,
    Call,
    Cancel,
    Down,
    Filter,
    Load,
    Over,
    Pull,
    Step,
    Up,
    decodeUp,
    encode,
)
from revproxy.isolation.holdpage import Hold, HoldPage, pageFile
from revproxy.isolation.lock.layers import Report
from revproxy.isolation.process.descriptors import Descriptors
from revproxy.isolation.process.gone import Gone
from revproxy.isolation.process.link import Link
from revproxy.isolation.process.output import Output
from revproxy.isolation.process.usage import cpuSeconds, isRunnable, ownBytes

_FIRST_LINES: Final = 20

_ASKING: Final = frozenset((Load, Step, Call, Filter, Pull))
"""What comes once for each of those: a process that says it more often has its frames sent one by one, no more."""

GRACE: Final = 0.1
"""Seconds that a process which has closed its stream has to end."""


@dataclass(frozen=True, slots=True)
class Ends:
    """
    Both ends of what edge and locked process have in common, all open.

    :ivar theirs: descriptors that the process gets: the stream, where its output goes, the page.
    :ivar output: the end of its output that is read.
    """

    stream: socket
    output: int
    page: HoldPage
    theirs: list[int]

    @classmethod
    def open(cls) -> Ends:
        """:raises OSError: there are not enough descriptors; none is left open."""
        opened: list[int] = []
        try:
            ours, theirs = socketpair(AF_UNIX, SOCK_STREAM)
            opened += [ours.detach(), theirs.detach()]
            opened += os.pipe()
            opened.append(pageFile())
            page = HoldPage(opened[4])
        except OSError:
            for fd in opened:
                os.close(fd)
            raise
        return cls(socket(fileno=opened[0]), opened[2], page, [opened[1], opened[3], opened[4]])

    def closeTheirs(self) -> None:
        """The process has them now."""
        for fd in self.theirs:
            os.close(fd)


class LockedProcess:
    """
    One locked process, as the edge has it: made by `Processes.take`, locked, and waiting for `Load`.

    What it says comes to the callbacks of :meth:`attach`, never from within :meth:`send` or :meth:`kill`.

    :ivar pid: its number; nobody else's until ``onGone`` was called. 0: it has none yet.
    :ivar report: what of its lock holds, and how well it is locked; None: it has not locked itself yet.
    :ivar uid: the user that it runs as; None: as the edge.
    :ivar memoryLimit: bytes that it was made to have beside what every locked process has.
    :ivar firstLines: what it has written as long as it was nobody's.
    :ivar isGone: whether it has ended, or was killed: nothing is heard of it any more but ``onGone``.
    """

    _log = Logger()

    def __init__(self, descriptors: Descriptors, ends: Ends, uid: int | None, memoryLimit: int) -> None:
        """For `Processes`, which gives it to nobody before it is locked."""
        self.pid = 0
        self.uid = uid
        self.memoryLimit = memoryLimit
        self.report: Report | None = None
        self.isGone = False
        self.onReport: Callable[[], None] = _nothing
        self.onEnding: Callable[[Gone], None] = _nobody
        self.onEnd: Callable[[Gone], None] = _nobody
        self._descriptors = descriptors
        self._page = ends.page
        self._output = Output(descriptors, ends.output)
        self.firstLines: deque[str] = deque(maxlen=_FIRST_LINES)
        self._output.onLine = self.firstLines.append
        self._link = Link(descriptors, ends.stream, self._reported, self._linkEnded)
        self._pidfd = -1
        self._began = monotonic()
        self._cpuBefore = 0.0
        self._memoryBefore = 0
        self._why = ""
        self._isFault = True
        self._isEnded = False
        self._unanswered = 0
        self._grace: Any = None
        self._onFrame: Callable[[Up], None] = _nobody
        self._onGone: Callable[[Gone], None] = _nobody

    @property
    def level(self) -> str | None:
        """How well it is locked: ``"A"``, ``"B"`` or ``"C"``."""
        return self.report.level if self.report is not None else None

    @property
    def unsent(self) -> int:
        """Bytes of frames that it has not taken yet."""
        return self._link.unsent

    @property
    def seconds(self) -> float:
        """Since it was taken, or made."""
        return monotonic() - self._began

    def attach(
        self,
        onFrame: Callable[[Up], None],
        onGone: Callable[[Gone], None],
        onOutput: Callable[[str], None],
    ) -> None:
        """
        Who is told. To be called once, before the first frame is sent.

        :param onFrame: each frame that comes, decoded: its types and lengths are as `frames` says, and all else is
            hostile. If this raises, the process is killed.
        :param onGone: once, last of all, however it has ended; its number may be another's then.
        :param onOutput: each line that it has written to stdout or stderr: at most 64 KB in a minute, control
            characters escaped. What was dropped is told in a line, too.
        """
        self._onFrame = onFrame
        self._onGone = onGone
        self._output.onLine = onOutput

    def send(self, frame: Down) -> None:
        """
        What asks a process that has nothing to do leaves at once; else frames of one turn of the event loop leave
        together, at its end. `Over` leaves with the next one. To one that is gone nothing is sent.

        A process that does not take what it is sent, beyond `link.MOST_UNSENT` bytes, is killed.

        :raises ValueError: the frame is longer than `frames.MOST_DOWN`; nothing is sent.
        """
        if self.isGone:
            return
        data = encode(frame)
        if len(data) > MOST_DOWN:
            raise ValueError(f"{len(data)} bytes for a locked process at once, and {MOST_DOWN} are the most")
        kind = type(frame)
        if kind in _ASKING:
            self._unanswered += 1
            # Where others wait already, one more send for each costs more than it brings.
            (self._link.sendNow if self._unanswered == 1 else self._link.send)(data)
            return
        if kind is Cancel and self._unanswered:
            self._unanswered -= 1  # no answer comes
        (self._link.sendLate if kind is Over else self._link.send)(data)

    def kill(self, why: str, isFault: bool = True) -> None:
        """
        End it now, whatever it does. ``onGone`` is called a little later. Nothing, if it is gone.

        :param why: in words: comes back as `Gone.why`.
        :param isFault: False: it is not needed any more; it does not count as a crash of its version.
        """
        if not self.isGone:
            self._why, self._isFault = why, isFault
            self._signal()
            self._leave()

    def held(self) -> Hold | None:
        """Which call's code runs in it now, as it says itself; None: none's."""
        return None if self._isEnded else self._page.held()

    def cpuSeconds(self) -> float:
        """What it has computed since it was taken, in seconds of CPU time: 0.5 µs to ask. 0 after its end."""
        return 0.0 if self._isEnded else cpuSeconds(self.pid) - self._cpuBefore

    def isRunnable(self) -> bool:
        """Whether it computes, or would if there were a processor for it: 15 µs to ask. False after its end."""
        return not self._isEnded and isRunnable(self.pid)

    def memoryBytes(self) -> int:
        """By how much its memory has grown since it was taken, in bytes. 0 after its end."""
        return 0 if self._isEnded else max(0, ownBytes(self.pid) - self._memoryBefore)

    # What follows is for `Processes`.

    def forked(self, pid: int, pidfd: int) -> None:
        """It exists. :param pidfd: it closes this."""
        self.pid, self._pidfd = pid, pidfd
        if self.isGone:
            self._signal()
        elif self.report is not None:
            self.onReport()

    def taken(self) -> None:
        """It becomes somebody's: what it uses is counted from now on, and what it says is frames."""
        self._began = monotonic()
        self._cpuBefore, self._memoryBefore = cpuSeconds(self.pid), ownBytes(self.pid)
        self._link.onFrame = self._decode

    def ended(self, status: int | None, why: str = "", isFault: bool = True) -> None:
        """
        It has ended, or its template has, which is no different: the kernel ends it.

        :param status: the signal as a negative number, or what it has exited with; None: nobody knows.
        :param why: in words, if that is known; what :meth:`kill` was told is known better, and whose fault it is, too.
        """
        if self._isEnded:
            return
        if not self.isGone:
            self._link.doRead()  # what it has said last
        self._leave()
        if self._grace is not None:
            self._grace.cancel()
            self._grace = None
        if not self._why:
            self._why, self._isFault = why, isFault
        gone = Gone(
            -status if status is not None and status < 0 else None,
            status if status is not None and status >= 0 else None,
            self._why,
            self._isFault,
        )
        self.onEnding(gone)
        try:
            self._output.finish()
            self._onGone(gone)
        except Exception:
            self._log.failure("the edge has failed at the end of a locked process")
        self._isEnded = True
        self._page.close()
        self.onEnd(gone)

    def closePidfd(self) -> None:
        """Nobody will end it any more."""
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1

    def givePidfd(self) -> int:
        """:returns: the process as a descriptor, which is the caller's then; -1: it has none."""
        pidfd, self._pidfd = self._pidfd, -1
        return pidfd

    def _decode(self, data: bytes) -> None:
        frame = decodeUp(data)
        if type(frame) in ANSWERS and self._unanswered:
            self._unanswered -= 1
        self._onFrame(frame)

    def _reported(self, data: bytes) -> None:
        """The first thing that it says, before anybody's code is in it."""
        self._link.onFrame = _nobody
        self._began = monotonic()
        self.report = Report.of(json.loads(data))
        if self.pid:
            self.onReport()

    def _linkEnded(self, why: str) -> None:
        if why:
            self.kill(why)
            return
        self.isGone = True
        if not self._isEnded:
            self._grace = self._descriptors.later(GRACE, self._graceOver)

    def _graceOver(self) -> None:
        self._grace = None
        if self._pidfd < 0 or not _hasEnded(self._pidfd):
            self._why = "it has closed its stream"
            self._signal()
        # Else it has ended, and the template will say how.

    def _leave(self) -> None:
        self.isGone = True
        self._link.close()

    def _signal(self) -> None:
        if self._pidfd >= 0:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)


def _nothing() -> None:
    """Nobody listens yet."""


def _nobody(said: Any) -> None:
    """Nobody listens yet."""


def _hasEnded(pidfd: int) -> bool:
    asked = poll()  # not select: that takes no numbers above 1023
    asked.register(pidfd, POLLIN)
    return bool(asked.poll(0))
