"""
What other processes may see of this one: nothing.

An edge has keys, tokens and other people's cookies in its memory, and secrets in its environment. Programs that run as
the same user could read all of that (ptrace, ``/proc/PID/mem``, ``/proc/PID/environ``), and a crash would write it into
a file. The kernel forbids both at once for a process that is not *dumpable*; the limit of core dumps is set besides,
for what takes dumps through a pipe asks for that one. Programs that the edge starts are not concerned: a process is
dumpable again when it executes another program.
"""

from __future__ import annotations

import ctypes
import resource
import sys
from collections.abc import Callable

__all__ = ["closeToOthers", "isClosed", "keepPrivileges"]

_PR_GET_DUMPABLE = 3
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38


def closeToOthers(library: ctypes.CDLL | None = None) -> str | None:
    """
    No core dumps from now on, and no debuggers of the same user. To be called again after the user has changed.

    :param library: the C library.
    :returns: why that is not so, or not whole; None if it is.
    """
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (OSError, ValueError) as error:
        return f"core dumps cannot be switched off: {error}"
    if not sys.platform.startswith("linux"):
        return f"{sys.platform} cannot close a process to others; core dumps are off"
    refused = _prctl(library, _PR_SET_DUMPABLE, 0)
    return None if refused is None else f"other programs of this user can read the edge's memory: {refused}"


def isClosed(library: ctypes.CDLL | None = None) -> bool:
    """Whether others of the same user cannot see into this process."""
    return sys.platform.startswith("linux") and _call(library, _PR_GET_DUMPABLE, 0) != 1


def keepPrivileges(library: ctypes.CDLL | None = None) -> str | None:
    """
    Have this process, and all that it starts, get no more than it has: set-user-ID programs are programs like others.

    :returns: why that is not so; None if it is.
    """
    refused = _prctl(library, _PR_SET_NO_NEW_PRIVS, 1)
    return None if refused is None else f"programs that the edge starts can become root: {refused}"


def _prctl(library: ctypes.CDLL | None, what: int, value: int) -> str | None:
    try:
        return None if _call(library, what, value) == 0 else "the kernel refuses it (prctl)"
    except (AttributeError, OSError) as error:
        return str(error)


def _call(library: ctypes.CDLL | None, what: int, value: int) -> int:
    prctl: Callable[..., int] = (library or ctypes.CDLL(None)).prctl
    return prctl(what, *(ctypes.c_ulong(number) for number in (value, 0, 0, 0)))
