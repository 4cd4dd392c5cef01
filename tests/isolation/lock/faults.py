"""
A machine with less, for the process that asks for it and all that it starts: as a container's filter does it.
"""

from __future__ import annotations

import ctypes
import errno
import struct
from dataclasses import dataclass
from typing import Final

from revproxy.isolation.lock.kernel import call, prctl
from revproxy.isolation.lock.syscalls import thisMachine

_NEWUSER: Final = 0x10000000


@dataclass(frozen=True, slots=True)
class Fault:
    """
    Calls that end with an error from now on.

    :ivar bits: only if the first argument has one of these; 0: always.
    """

    calls: tuple[str, ...]
    error: int
    bits: int = 0


FAULTS: Final = {
    # What Docker's profile refuses to whoever has no capability for it.
    "namespaces": Fault(("unshare", "mount", "umount2", "pivot_root", "sethostname"), errno.EPERM),
    # A system that does not let everybody have a namespace of users.
    "user namespaces": Fault(("unshare",), errno.EPERM, _NEWUSER),
    # One that lets everybody have it, and nobody do anything in it.
    "mounts": Fault(("mount",), errno.EACCES),
    # gVisor, and kernels that are built without.
    "Landlock": Fault(("landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"), errno.ENOSYS),
    # A kernel that was started without it.
    "Landlock's switch": Fault(("landlock_create_ruleset",), errno.EOPNOTSUPP),
    # Profiles of containers that do not know it yet.
    "Landlock's permission": Fault(("landlock_create_ruleset",), errno.EPERM),
    "filters": Fault(("seccomp",), errno.ENOSYS),
    # Profiles of containers from before Linux 5.3.
    "handles": Fault(("pidfd_open",), errno.EPERM),
    "shared memory": Fault(("memfd_create",), errno.EPERM),
    "changes of user": Fault(("setresuid", "setresgid"), errno.EPERM),
}
"""By what is missing then."""


def takeAway(what: str) -> None:
    """
    Takes one of :data:`FAULTS` away from this process, for good.
    """
    refuse(FAULTS[what])


def refuse(fault: Fault) -> None:
    """
    Has this process do without, for good.
    """
    refusal = (6, 0, 0, 0x00050000 | fault.error)
    lines = [(0x20, 0, 0, 0)]
    for number in (thisMachine().numbers[name] for name in fault.calls):
        if fault.bits:
            lines += [(0x15, 0, 4, number), (0x20, 0, 0, 16), (0x45, 0, 1, fault.bits), refusal, (0x20, 0, 0, 0)]
        else:
            lines += [(0x15, 0, 1, number), refusal]
    lines.append((6, 0, 0, 0x7FFF0000))
    code = b"".join(struct.pack("=HBBI", *line) for line in lines)
    buffer = ctypes.create_string_buffer(code, len(code))
    prctl(38, 1)
    call("seccomp", 1, 0, struct.pack("@HP", len(lines), ctypes.addressof(buffer)))
