"""What log lines are written into: a file, a named pipe, or standard output."""

from __future__ import annotations

import errno
import os
import stat
from typing import Any, Protocol


class Output(Protocol):
    """
    The part of `io.FileIO` that is used. ``write`` may take less than it is given, or None of it.
    """

    def write(self, data: Any, /) -> int | None: ...
    def fileno(self) -> int: ...
    def close(self) -> None: ...


def openOutput(path: str) -> Output:
    """
    The file for appending, or a private duplicate of standard output for ``-``. Unbuffered: what is written is written.

    :raises NoReader: it is a named pipe that nobody reads.
    :raises OSError: it cannot be opened.
    """
    if path == "-":
        return open(os.dup(1), "wb", buffering=0)
    return open(path, "ab", buffering=0, opener=_unwaiting)


def _unwaiting(path: str, flags: int) -> int:
    """
    Open without waiting for a named pipe's reader, neither now nor when it does not keep up: whoever writes tries
    again.

    :raises NoReader: there is none.
    """
    try:
        return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY, 0o666)
    except OSError as error:
        if error.errno == errno.ENXIO and stat.S_ISFIFO(os.stat(path).st_mode):
            raise NoReader(errno.ENXIO, "nobody reads this named pipe", path) from None
        raise


class NoReader(OSError):
    """
    A named pipe that nobody has opened for reading; somebody may any time.
    """
