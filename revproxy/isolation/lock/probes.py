"""
What a locked process must not be able to do, tried by itself, as a whole.

All of it is harmless where it is let through, and each is refused by the filter of system calls, which is asked before
anything else in the kernel: a refusal for another reason means that the filter has let it through.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from revproxy.isolation.lock.kernel import attempt
from revproxy.isolation.lock.layers import Lock
from revproxy.isolation.lock.syscalls import thisMachine

_AT_FDCWD: Final = -100
_NO_SIGNAL: Final = 9999
"""There is none of that number, and the kernel says so before it looks who asks."""

_CLONE_THREAD: Final = 0x00010000


@dataclass(frozen=True, slots=True)
class Probe:
    """
    :ivar deed: what it would be, if it worked.
    :ivar call: the system call, by its name, with its arguments.
    :ivar refusal: the number of the error that it has to end with.
    """

    deed: str
    call: tuple[Any, ...]
    refusal: int = errno.EPERM


def probes(lock: Lock) -> Iterator[Probe]:
    """
    All of them, for a process with that lock.
    """
    room = ctypes.create_string_buffer(512)
    parent = lock.parent
    yield Probe("open a folder", ("openat", _AT_FDCWD, b"/", os.O_RDONLY | os.O_DIRECTORY, 0))
    yield Probe("look at a file", ("newfstatat", _AT_FDCWD, b"/", room, 0))
    yield Probe("read a link", ("readlinkat", _AT_FDCWD, b"/proc/self/exe", room, 512))
    yield Probe("ask for its folder", ("getcwd", room, 512))
    yield Probe("make a folder", ("mkdirat", -1, b"x", 0o700))
    yield Probe("make a file in memory", ("memfd_create", b"x", 0))
    yield Probe("open a socket to the network", ("socket", socket.AF_INET, socket.SOCK_DGRAM, 0))
    yield Probe("open a socket of the machine", ("socket", socket.AF_UNIX, socket.SOCK_STREAM, 0))
    yield Probe("send to an address", ("sendto", -1, None, 0, 0, room, 16))
    yield Probe("hand over a descriptor", ("sendmsg", -1, None, 0))
    yield Probe("start a process", ("clone", _CLONE_THREAD, None, None, None, None))
    yield Probe("start a process the newer way", ("clone3", None, 0), errno.ENOSYS)
    yield Probe("signal its parent", ("kill", parent, _NO_SIGNAL))
    yield Probe("signal another's thread", ("tgkill", parent, parent, _NO_SIGNAL))
    yield Probe("stop itself", ("tgkill", os.getpid(), os.getpid(), 0))
    yield Probe("type into a terminal", ("ioctl", -1, 0x5412, room))
    yield Probe("have signals sent for it", ("fcntl", -1, 8, parent))
    yield Probe("see or change a limit", ("prlimit64", 0, 7, None, room))
    yield Probe("have memory that is code", ("mmap", None, mmap.PAGESIZE, 7, 0x22, -1, 0))
    yield Probe("make memory code", ("mprotect", 0, 0, 4))
    yield Probe("share memory", ("shmget", 1, 0, 0))
    yield Probe("change who it is", ("setresuid", -1, -1, -1))
    yield Probe("change what it is", ("prctl", 3, 0, 0, 0, 0))
    yield Probe("lock or release memory", ("munlock", 0, 0))
    yield Probe("watch files", ("inotify_init1", 0))
    yield Probe("make a call newer than the list", (thisMachine().highest + 1,), errno.ENOSYS)
    yield Probe("have more memory than it may", ("mmap", None, lock.memoryBytes, 3, 0x22, -1, 0), errno.ENOMEM)


def holes(lock: Lock) -> tuple[str, ...]:
    """
    Tries all.

    :return: what did not end as it has to, a sentence each.
    """
    return tuple(told for probe in probes(lock) if (told := _try(probe)))


def _try(probe: Probe) -> str:
    said = attempt(*probe.call)
    if said == -probe.refusal:
        return ""
    answer = f"answered {said}" if said >= 0 else os.strerror(-said)
    return f"it could {probe.deed}: {probe.call[0]} {answer}, not {os.strerror(probe.refusal)}"
