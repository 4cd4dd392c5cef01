"""
What a process has used, asked without cgroups, and whether it can be limited.
"""

from __future__ import annotations

import os
import time
from typing import Final

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_SYS_RESOURCE: Final = 24  # <linux/capability.h>
_CPU_OF: Final = 2  # CPUCLOCK_SCHED of a process: <linux/posix-timers.h>


def cpuSeconds(pid: int) -> float:
    """Seconds of CPU time of all its threads; 0 if there is no such process."""
    try:
        return time.clock_gettime((~pid << 3) | _CPU_OF)
    except OSError:
        return 0.0


def isRunnable(pid: int) -> bool:
    """Whether it computes now, or would if there were a processor for it. False if it waits, or is not there."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b") ")[2][:1] == b"R"
    except OSError:
        return False


def ownBytes(pid: int) -> int:
    """
    Bytes of memory that are in no file and not shared by mapping; 0 if there is no such process. What a fork has in
    common with whom it was forked from is among them.
    """
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            said = file.read().split()
    except OSError:
        return 0
    return max(0, int(said[1]) - int(said[2])) * _PAGE


def mayLimitOthers(status: str = "/proc/self/status") -> bool:
    """Whether this process may limit those of other users: root in a container often may not."""
    try:
        with open(status, encoding="ascii", errors="replace") as file:
            held = next((line.split()[1] for line in file if line.startswith("CapEff:")), "0")
    except OSError:
        return False
    return bool(int(held, 16) >> _SYS_RESOURCE & 1)
