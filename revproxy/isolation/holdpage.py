"""
A page of memory that edge and locked process have in common: which call holds the process, and since when.

The process writes it whenever its loop enters and leaves a call; the edge reads it when something takes long, so that a
call which spins can be told from the innocent ones behind it. Nothing is sent for that. The plugin's code could write
there, too: what it says is a hint, and the worst a lie does is to have another call of the same plugin blamed.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from dataclasses import dataclass
from time import monotonic_ns
from typing import Final

SIZE: Final = mmap.PAGESIZE
_NUMBER, _SINCE = 0, 1


@dataclass(frozen=True, slots=True)
class Hold:
    """
    :ivar number: of the `Call`, `Step`, `Filter` or `Pull` whose code runs.
    :ivar since: seconds of `time.monotonic`, which all processes of a machine have in common.
    """

    number: int
    since: float


class HoldPage:
    """
    :param fd: of a file of :data:`SIZE` bytes, which is mapped; it stays open, and its owner closes it.
    """

    def __init__(self, fd: int) -> None:
        self._map = mmap.mmap(fd, SIZE)
        self._words = memoryview(self._map).cast("Q")

    def enter(self, number: int) -> None:
        """Inside: the code of a call begins to run, or goes on. :param number: above 0."""
        words = self._words
        words[_NUMBER] = 0  # a reader never sees one call's number with the other's time
        words[_SINCE] = monotonic_ns()
        words[_NUMBER] = number

    def leave(self) -> None:
        """Inside: no call's code runs."""
        self._words[_NUMBER] = 0

    def held(self) -> Hold | None:
        """Outside: which call's code runs now; None: none's."""
        words = self._words
        number, since = words[_NUMBER], words[_SINCE]
        if not number or words[_NUMBER] != number or words[_SINCE] != since:
            return None
        return Hold(number, since / 1e9)

    def close(self) -> None:
        """Give the memory back. Nothing else may be called then."""
        self._words.release()
        self._map.close()


def pageFile() -> int:
    """
    :returns: a descriptor of a page of nobody's, in no folder; none who has it can make it shorter, so reading what is
        mapped of it never fails.
    :raises OSError: there are no descriptors.
    """
    fd = os.memfd_create("revproxy-hold", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(fd, SIZE)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    except OSError:
        os.close(fd)
        raise
    return fd
