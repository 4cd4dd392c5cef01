"""
What it takes to see and to end a locked process from outside. Without it none is made.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from revproxy.isolation.lock.kernel import prctl
from revproxy.isolation.lock.privileges import PR_SET_DUMPABLE

RUNTIME: Final = "that takes a kernel from 5.3 on, and a container runtime whose filter of system calls lets it through"


def obstacle() -> str:
    """
    Tries it. For a process with one thread, for it forks.

    :return: what is in the way, and what to do about it; empty: nothing.
    """
    if not os.path.exists("/proc/self/status"):
        return "there is no /proc to look at: mount it where the edge runs"
    return _refused("pidfd_open", lambda: os.pidfd_open(os.getpid())) or _refused("memfd_create", _file) or _hidden()


def _file() -> int:
    return os.memfd_create("tried")


def _refused(name: str, make: Callable[[], int]) -> str:
    try:
        os.close(make())
    except OSError as error:
        return f"{name}: {error.strerror}; {RUNTIME}"
    return ""


def _hidden() -> str:
    """A child that nobody may look into, as locked ones are, is looked at."""
    reading, writing = os.pipe()
    theirs, ours = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            prctl(PR_SET_DUMPABLE, 0)
            os.close(ours)
            os.write(writing, b"1")
            os.read(theirs, 1)  # until it has been looked at
        finally:
            os._exit(0)
    os.close(writing)
    os.close(theirs)
    try:
        os.read(reading, 1)
        return _looked(pid)
    finally:
        os.close(ours)
        os.close(reading)
        os.waitpid(pid, 0)


def _looked(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/status", "rb"):
            return ""
    except OSError as error:
        return (
            f"/proc hides processes from this user ({error.strerror}): mount it without hidepid=, or with gid= of the "
            "edge's group; in systemd's unit ProtectProc=default"
        )
