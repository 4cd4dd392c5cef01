"""
The files and sockets that a process has inherited.
"""

from __future__ import annotations

import os

from revproxy.isolation.lock.step import Step, demand


class Descriptors(Step):
    """
    Closes all that are not needed: one that stays open is a way out that no other layer sees.
    """

    name = "descriptors"

    def apply(self) -> None:
        """All but those of `Lock.keepFds`."""
        # Not os.closerange: given an empty range it closes all there are (CPython 3.11).
        for fd in _open():
            if fd not in self.lock.keepFds:
                os.close(fd)

    def prove(self) -> str:
        """Looks which are open."""
        left = [fd for fd in _open() if fd not in self.lock.keepFds]
        demand(not left, f"descriptors are open that should not be: {', '.join(map(str, left))}")
        return f"{len(self.lock.keepFds)} open"


def _open() -> list[int]:
    """Those that are open."""
    try:
        named = [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:
        named = list(range(os.sysconf("SC_OPEN_MAX")))
    return sorted(filter(_isOpen, named))


def _isOpen(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
