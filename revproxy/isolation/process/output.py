"""
What a locked process writes to stdout and stderr: bounded, and without what could pass for something else in a log.
"""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Callable
from time import monotonic
from typing import Any, Final

from twisted.python.failure import Failure

from revproxy.isolation.process.descriptors import Descriptor, Descriptors

MOST: Final = 64 << 10
"""Bytes in a minute; the rest is dropped and counted."""

LONGEST: Final = 4096
"""Characters of a line; it goes on in the next."""

MINUTE: Final = 60.0

PAUSE: Final = 0.05
"""Seconds between two looks at one that is dropped: what nobody reads is not to cost the edge its time."""

_PIECE: Final = 1 << 16

# Control characters, line and paragraph separators, and what turns text around (Unicode's bidirectional marks).
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def escaped(text: str) -> str:
    """Without what a terminal or a log would take for more than text: ``\\x1b`` becomes four characters."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


class Output(Descriptor):
    """
    The edge's end of the pipe that stdout and stderr go to.

    :ivar onLine: called with each line that is not empty.
    :ivar dropped: bytes that were dropped since it began.
    """

    def __init__(self, descriptors: Descriptors, fd: int, now: Callable[[], float] = monotonic) -> None:
        """:param fd: the end that is read; the output closes it."""
        os.set_blocking(fd, False)
        self.fd = fd
        self.onLine: Callable[[str], None] = _nobody
        self.dropped = 0
        self._descriptors = descriptors
        self._now = now
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._line = ""
        self._left = MOST
        self._since = now()
        self._droppedNow = 0
        self._pause: Any = None
        descriptors.read(self)

    def doRead(self) -> None:
        """There is something to read, or the end."""
        try:
            data = os.read(self.fd, _PIECE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._end()
            return
        if self._now() - self._since >= MINUTE:
            self._beginMinute()
        taken = data[: self._left]
        self._left -= len(taken)
        if taken:
            self._write(self._decoder.decode(taken))
        if len(taken) < len(data):
            self._drop(len(data) - len(taken))

    def _write(self, text: str) -> None:
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            self._tell(line)
        while len(self._line) >= LONGEST:
            self._tell(self._line[:LONGEST])
            self._line = self._line[LONGEST:]

    def _tell(self, line: str) -> None:
        line = line.removesuffix("\r")
        for at in range(0, len(line), LONGEST):
            self.onLine(escaped(line[at : at + LONGEST]))

    def _drop(self, count: int) -> None:
        if not self._droppedNow:
            self._endLine()
            self.onLine(f"… more than {MOST >> 10} KB in a minute: the rest is dropped")
        self.dropped += count
        self._droppedNow += count
        self._descriptors.readNoMore(self)
        self._pause = self._descriptors.later(PAUSE, self._goOn)

    def _goOn(self) -> None:
        self._pause = None
        self._descriptors.read(self)

    def _beginMinute(self) -> None:
        if self._droppedNow:
            self.onLine(f"… {self._droppedNow} bytes were dropped")
        self._droppedNow, self._left, self._since = 0, MOST, self._now()

    def _endLine(self) -> None:
        line, self._line = self._line, ""
        if line:
            self._tell(line)

    def connectionLost(self, reason: Failure) -> None:
        """For the reactor: nobody can write to it any more."""
        self._end()

    def _end(self) -> None:
        if self.fd >= 0:
            self._write(self._decoder.decode(b"", True))
            self._endLine()
            self._beginMinute()
            self.close()

    def finish(self) -> None:
        """The process has ended: what it has written last is told, as far as it may be; then the pipe is closed."""
        for _ in range(MOST // _PIECE + 1):
            if self.fd < 0 or self._pause is not None:
                break
            self.doRead()
        self._end()

    def close(self) -> None:
        """Nothing is heard any more."""
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        if self.fd >= 0:
            self._descriptors.forget(self)
            os.close(self.fd)
            self.fd = -1


def _nobody(line: str) -> None:
    """Nobody listens yet."""
