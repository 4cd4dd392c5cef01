"""
Rooms of its own: a process sees other users, another network, another root folder than the machine has.

Who is not root gets them by way of a user namespace, in which everybody is root; some systems do not let everybody have
one (Ubuntu 24.04, Docker), and one that was half entered cannot be left: so each is tried in a child first. Root can
have them without it.

A namespace of processes is not among them: only a child would be in it, and one process more would have to wait for
each. Other processes are out of reach by Landlock, the user and the filter of system calls.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import ClassVar, Final

from revproxy.isolation.lock.kernel import call, prctl
from revproxy.isolation.lock.layers import Lock
from revproxy.isolation.lock.privileges import PR_SET_DUMPABLE, dropGroups
from revproxy.isolation.lock.step import NotHeld, Step, demand

HOST_NAME: Final = "locked"

_CLONE_NEWNS, _CLONE_NEWUTS, _CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000

_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 1, 2, 4, 8
_MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 32, 4096, 16384, 1 << 18
_MNT_DETACH = 2
_BARE = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC


class Namespace(Step):
    """
    One of them.
    """

    flag: ClassVar[int]
    """What `unshare` calls it."""

    file: ClassVar[str]
    """What /proc/self/ns calls it."""

    def __init__(self, lock: Lock) -> None:
        super().__init__(lock)
        self._before = self._number()

    def apply(self) -> None:
        """Leaves the one that the process is in."""
        call("unshare", self.flag)

    def prove(self) -> str:
        """Compares its number with the one before."""
        demand(self._number() != self._before, "it is in the same namespace as before")
        return ""

    def _number(self) -> int:
        """0 where there is no /proc: such a namespace cannot be told from another, and does not count."""
        try:
            return os.stat(f"/proc/self/ns/{self.file}").st_ino
        except OSError:
            return 0


class UserNamespace(Namespace):
    """
    The same user under the same number, and no other: what it may do in here, it may do to nothing outside.
    """

    name = "user-namespace"
    flag = _CLONE_NEWUSER
    file = "user"

    def apply(self) -> None:
        """
        Enters it, and says who is in it.
        """
        dropGroups()
        uid, gid = os.geteuid(), os.getegid()
        # After a change of user the files below belong to root, until this is said.
        prctl(PR_SET_DUMPABLE, 1)
        super().apply()
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{uid} {uid} 1")
        _write("/proc/self/gid_map", f"{gid} {gid} 1")

    def prove(self) -> str:
        """Tries to become a user whom there is not in here."""
        super().prove()
        other = os.geteuid() ^ 1
        try:
            os.setresuid(-1, -1, other)
        except OSError:
            return f"nobody but user {os.geteuid()} is in it"
        raise NotHeld(f"it could become user {other}")


class OwnNetwork(Namespace):
    """
    A network with nothing in it: the loopback interface is down.
    """

    name = "network"
    flag = _CLONE_NEWNET
    file = "net"

    def prove(self) -> str:
        """Tries the nearest of all addresses."""
        super().prove()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            said = probe.connect_ex(("127.0.0.1", 9))
        demand(said == errno.ENETUNREACH, "127.0.0.1 can be reached")
        return "nothing can be reached, 127.0.0.1 neither"


class OwnIpc(Namespace):
    """
    No shared memory, semaphores or message queues of others.
    """

    name = "ipc"
    flag = _CLONE_NEWIPC
    file = "ipc"


class OwnHostName(Namespace):
    """
    It does not see what the machine is called.
    """

    name = "hostname"
    flag = _CLONE_NEWUTS
    file = "uts"

    def apply(self) -> None:
        """And gives it another name."""
        super().apply()
        demand(self._number() != self._before, "it is in the same namespace as before")
        call("sethostname", HOST_NAME.encode(), len(HOST_NAME))
        call("setdomainname", b"", 0)

    def prove(self) -> str:
        """Asks for the name."""
        super().prove()
        demand(os.uname().nodename == HOST_NAME, "it sees the machine's name")
        return ""


class EmptyRoot(Namespace):
    """
    A root folder with nothing in it, that nothing can be put into.
    """

    name = "root"
    flag = _CLONE_NEWNS
    file = "mnt"

    def apply(self) -> None:
        """Mounts an empty file system, makes it the root, and lets go of the old one."""
        super().apply()
        _mount(None, b"/", None, _MS_REC | _MS_PRIVATE)
        # Over /proc, which is there wherever namespaces are; what is below is gone in a moment.
        _mount(b"tmpfs", b"/proc", b"tmpfs", _BARE, b"size=4k,nr_inodes=2,mode=555")
        os.chdir("/proc")
        call("pivot_root", b".", b".")
        call("umount2", b".", _MNT_DETACH)
        os.chdir("/")
        _mount(None, b"/", None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY | _BARE)

    def prove(self) -> str:
        """Looks around, and tries to put something in."""
        for folder in ("/", ".", ".."):
            demand(not os.listdir(folder), f"there are files in {folder}")
        try:
            os.mkdir("/tried")
        except OSError as error:
            demand(error.errno == errno.EROFS, f"not refused because it is read-only: {error.strerror}")
            return "empty and read-only"
        os.rmdir("/tried")
        raise NotHeld("its root folder can be written to")


ROOM_STEPS: Final[tuple[type[Namespace], ...]] = (OwnNetwork, OwnIpc, OwnHostName, EmptyRoot)
"""The last takes /proc away, which the others look at."""


def _mount(source: bytes | None, target: bytes, kind: bytes | None, flags: int, data: bytes | None = None) -> None:
    call("mount", source, target, kind, flags, data)


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
