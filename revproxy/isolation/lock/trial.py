"""
A child process that tries something out and is gone.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Trial:
    """
    How it ended.

    :ivar said: what it has written.
    :ivar status: its exit code; -N: signal N has ended it.
    """

    said: bytes
    status: int


def attemptInChild(work: Callable[[int], bytes]) -> Trial:
    """
    Forks, and waits for the end. For a process with one thread.

    :param work: runs in the child; is given the one descriptor that has to stay open, and says what to write to it.
    :raises OSError: if there can be no child.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        _child(work, writing)
    os.close(writing)
    try:
        said = _all(reading)
    finally:
        os.close(reading)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return Trial(said, status)


def _child(work: Callable[[int], bytes], writing: int) -> None:
    """Never returns: what the parent has on its stack is not the child's."""
    try:
        os.write(writing, work(writing))
        os._exit(0)
    except BaseException:
        os.write(writing, traceback.format_exc().encode())
    finally:
        os._exit(1)


def _all(reading: int) -> bytes:
    pieces = []
    while piece := os.read(reading, 65536):
        pieces.append(piece)
    return b"".join(pieces)
