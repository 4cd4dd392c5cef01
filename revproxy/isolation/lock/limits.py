"""
Limits that the kernel counts for one process.
"""

from __future__ import annotations

import mmap
import resource
from pathlib import Path
from typing import Final

from revproxy.isolation.lock.step import NotHeld, Step, demand

MOST_DESCRIPTORS: Final = 32

NOTHING_OF: Final = {
    "RLIMIT_CORE": resource.RLIMIT_CORE,
    "RLIMIT_FSIZE": resource.RLIMIT_FSIZE,
    "RLIMIT_NPROC": resource.RLIMIT_NPROC,
    "RLIMIT_MEMLOCK": resource.RLIMIT_MEMLOCK,
    "RLIMIT_MSGQUEUE": resource.RLIMIT_MSGQUEUE,
    "RLIMIT_NICE": resource.RLIMIT_NICE,
    "RLIMIT_RTPRIO": resource.RLIMIT_RTPRIO,
}
"""
No core dump, no byte in a file, no process beside it, no locked memory, no message queue, no higher priority. CPU time
is not among them: the edge counts it, for each call, and its limit would be the process's whole life.
"""


def addressSpace() -> int:
    """
    Bytes of address space that this process has now. `Lock.memoryBytes` has to leave room above that.

    :raises OSError: where there is no /proc.
    """
    return int(Path("/proc/self/statm").read_bytes().split()[0]) * mmap.PAGESIZE


class Limits(Step):
    """
    Address space, descriptors, and nothing of :data:`NOTHING_OF`. RLIMIT_NPROC means nothing to root.
    """

    name = "limits"

    def apply(self) -> None:
        """Soft and hard, so that they cannot be raised again without a privilege."""
        for number, most in self._wanted().values():
            resource.setrlimit(number, (most, most))

    def prove(self) -> str:
        """Asks for each, and for memory that there is not."""
        for name, (number, most) in self._wanted().items():
            demand(resource.getrlimit(number) == (most, most), f"{name} is not {most}")
        try:
            mmap.mmap(-1, self.lock.memoryBytes, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
        except OSError:
            return f"{self.lock.memoryBytes >> 20} MB of address space"
        raise NotHeld("more memory can be had than the limit says")

    def _wanted(self) -> dict[str, tuple[int, int]]:
        return {
            "RLIMIT_AS": (resource.RLIMIT_AS, self.lock.memoryBytes),
            "RLIMIT_NOFILE": (resource.RLIMIT_NOFILE, MOST_DESCRIPTORS),
            **{name: (number, 0) for name, number in NOTHING_OF.items()},
        }
