"""
Landlock: the kernel's own rules on files, the network, signals and sockets, that a process puts on itself.

What it can hold has grown with the kernel; its ABI says how far. All that the kernel knows of :data:`RIGHTS` is
demanded, and allowed for nothing at all.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from dataclasses import dataclass
from typing import Final

from revproxy.isolation.lock.kernel import attempt, call
from revproxy.isolation.lock.layers import Lock
from revproxy.isolation.lock.step import NotHeld, Step, demand

_CREATE_RULESET_VERSION: Final = 1
_LOG_SAME_EXEC_OFF: Final = 1


@dataclass(frozen=True, slots=True)
class Right:
    """
    What an ABI has brought.

    :ivar abi: the first with it.
    :ivar files: bits of `handled_access_fs`; so `net` and `scoped`.
    """

    name: str
    abi: int
    files: int = 0
    net: int = 0
    scoped: int = 0


RIGHTS: Final = (
    Right("files", 1, files=0x1FFF),
    Right("links to elsewhere", 2, files=1 << 13),
    Right("truncation", 3, files=1 << 14),
    Right("TCP", 4, net=0b11),
    Right("devices", 5, files=1 << 15),
    Right("abstract sockets", 6, scoped=1),
    Right("signals", 6, scoped=2),
    Right("sockets in folders", 9, files=1 << 16),
    Right("UDP", 10, net=0b1100),
)
"""Of include/uapi/linux/landlock.h, up to Linux 7.2."""


def abi() -> int:
    """
    The version that this kernel has, or the negative of the error's number.
    """
    return attempt("landlock_create_ruleset", None, 0, _CREATE_RULESET_VERSION)


class Landlock(Step):
    """
    Everything that it can hold, with no exception.
    """

    name = "landlock"

    def __init__(self, lock: Lock) -> None:
        super().__init__(lock)
        self._abi = 0
        self._listener: socket.socket | None = None

    def apply(self) -> None:
        """Makes the rules, and lives under them."""
        self._abi = found = abi()
        demand(found > 0, _reason(-found))
        # A socket from outside the rules, to try whether it can be reached from inside.
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind("")
        self._listener.listen(1)
        ruleset = call("landlock_create_ruleset", *_attributes(found), 0)
        try:
            call("landlock_restrict_self", ruleset, _LOG_SAME_EXEC_OFF if found >= 7 else 0)
        finally:
            os.close(ruleset)

    def prove(self) -> str:
        """Tries those that can be tried without leaving anything behind."""
        try:
            self._tryAll()
        finally:
            if self._listener is not None:
                self._listener.close()
        held = [right.name for right in RIGHTS if right.abi <= self._abi]
        absent = [right.name for right in RIGHTS if right.abi > self._abi]
        also = f"; this kernel has no rules for {', '.join(absent)}" if absent else ""
        return f"ABI {self._abi}: {', '.join(held)}{also}"

    def _tryAll(self) -> None:
        try:
            os.close(os.open("/", os.O_RDONLY | os.O_DIRECTORY))
        except OSError as error:
            demand(error.errno == errno.EACCES, f"the root folder is refused by something else: {error.strerror}")
        else:
            raise NotHeld("the root folder can be opened")
        if self._abi >= 4:
            demand(_connect(socket.SOCK_STREAM) == errno.EACCES, "TCP is not refused")
        if self._abi >= 6:
            self._tryOthers()
        if self._abi >= 10:
            demand(_connect(socket.SOCK_DGRAM) == errno.EACCES, "UDP is not refused")

    def _tryOthers(self) -> None:
        assert self._listener is not None
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            said = probe.connect_ex(self._listener.getsockname())
        demand(said == errno.EPERM, "an abstract socket from outside can be reached")
        demand(attempt("kill", self.lock.parent, 0) == -errno.EPERM, "the process that forked it can be signalled")


def _attributes(found: int) -> tuple[bytes, int]:
    """`struct landlock_ruleset_attr` as that ABI has it, and its size."""
    held = [right for right in RIGHTS if right.abi <= found]
    words = [sum(right.files for right in held), sum(right.net for right in held), sum(right.scoped for right in held)]
    count = 1 if found < 4 else 2 if found < 6 else 3
    return struct.pack(f"={count}Q", *words[:count]), 8 * count


def _connect(kind: int) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        return probe.connect_ex(("127.0.0.1", 1))


def _reason(error: int) -> str:
    words = {
        errno.ENOSYS: "this kernel has no Landlock",
        errno.EOPNOTSUPP: "this kernel has Landlock, but it was not switched on when it started (lsm=)",
        errno.EPERM: "something around this process does not let it use Landlock: a container's filter of system calls",
    }
    return words.get(error, f"Landlock answers {os.strerror(error)}")
