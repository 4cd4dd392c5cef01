"""
What a process may do that not every process may: who it is, its capabilities, and what it could still gain.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
from typing import Final

from revproxy.isolation.lock.kernel import attempt, call, prctl
from revproxy.isolation.lock.step import NotHeld, Step, demand

PR_SET_PDEATHSIG: Final = 1
PR_GET_PDEATHSIG: Final = 2
PR_GET_DUMPABLE: Final = 3
PR_SET_DUMPABLE: Final = 4
PR_CAPBSET_READ: Final = 23
PR_CAPBSET_DROP: Final = 24
PR_SET_NO_NEW_PRIVS: Final = 38
PR_GET_NO_NEW_PRIVS: Final = 39
PR_CAP_AMBIENT: Final = 47
PR_CAP_AMBIENT_CLEAR_ALL: Final = 4

_CAPABILITY_VERSION: Final = 0x20080522
_MOST_CAPABILITIES: Final = 64


class OwnUser(Step):
    """
    Becomes a user that nobody else is, so that no file, no process and no limit of another user is its own.
    """

    name = "user"

    def reasonAgainst(self) -> str:
        """Without a number there is none to become, and only root can become another."""
        if self.lock.uid is None:
            return "no users are set aside for it: trust.uids in revproxy.yaml"
        return "" if os.geteuid() == 0 else "only root can give a process a user of its own"

    def apply(self) -> None:
        """The groups first: afterwards it may not."""
        uid = self.lock.uid
        assert uid is not None
        dropBounding()
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)

    def prove(self) -> str:
        """Asks who it is, and tries to be root again."""
        uid = self.lock.uid
        demand(os.getresuid() == (uid, uid, uid), f"its user is {os.getuid()}")
        demand(os.getresgid() == (uid, uid, uid), f"its group is {os.getgid()}")
        demand(not os.getgroups(), f"it is in groups besides: {os.getgroups()}")
        try:
            os.setuid(0)
        except OSError:
            return f"user and group {uid}"
        raise NotHeld("it could become root again")


class NoCapabilities(Step):
    """
    Gives up every capability, and whatever it could be given by running a program.
    """

    name = "capabilities"

    def apply(self) -> None:
        """Groups and the bounding set first, which take a capability to drop."""
        dropGroups()
        dropBounding()
        try:
            prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
        except OSError:
            pass  # Before 4.3 there are none.
        call("capset", _header(), (ctypes.c_uint32 * 6)())

    def prove(self) -> str:
        """Asks for them, and tries what takes one: another host name, the one that it has."""
        sets = (ctypes.c_uint32 * 6)()
        call("capget", _header(), sets)
        demand(not any(sets), "it has capabilities")
        # In a user namespace of its own a process without a right to drop can have none either.
        demand(os.geteuid() != 0 or not _bounding(), f"it could gain {len(_bounding())} capabilities")
        demand(os.geteuid() != 0 or not os.getgroups(), f"it is in groups besides: {os.getgroups()}")
        demand(attempt("chroot", b"/") < 0, "it may change its root folder")
        return "none"


class ParentDeath(Step):
    """
    Ends with the process that forked it. Comes after whatever changes the user: that forgets it.
    """

    name = "parent-death"

    def apply(self) -> None:
        """Ends here and now if the parent is gone already: no signal would come any more."""
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != self.lock.parent:
            os._exit(1)

    def prove(self) -> str:
        """Asks for it."""
        number = ctypes.c_int()
        call("prctl", PR_GET_PDEATHSIG, ctypes.byref(number), 0, 0, 0)
        demand(number.value == signal.SIGKILL, "it would outlive the process that forked it")
        return ""


class Undumpable(Step):
    """
    Nobody of the same user may look into its memory, trace it, or have a core dump of it.
    """

    name = "undumpable"

    def apply(self) -> None:
        """Comes after whatever changes the user: that may undo it."""
        prctl(PR_SET_DUMPABLE, 0)

    def prove(self) -> str:
        """Asks for it."""
        demand(prctl(PR_GET_DUMPABLE) == 0, "another process of its user may look into its memory")
        return ""


class NoNewPrivileges(Step):
    """
    No program that it runs can give it more rights. Landlock and seccomp ask for it too.
    """

    name = "no-new-privileges"

    def apply(self) -> None:
        """It cannot be undone."""
        prctl(PR_SET_NO_NEW_PRIVS, 1)

    def prove(self) -> str:
        """Asks for it."""
        demand(prctl(PR_GET_NO_NEW_PRIVS) == 1, "a set-user-id program could give it more rights")
        return ""


def dropGroups() -> None:
    """
    Leaves all groups but its own, if this process may; who is not root may not.
    """
    try:
        os.setgroups([])
    except OSError:
        pass  # Whoever is root is asked afterwards whether it has worked.


def dropBounding() -> None:
    """
    Empties the set of what could ever be gained, as far as this process may.
    """
    for capability in _bounding():
        attempt("prctl", PR_CAPBSET_DROP, capability, 0, 0, 0)


def _bounding() -> list[int]:
    """Those that could still be gained. The first number that the kernel does not know is the end."""
    found = []
    for number in range(_MOST_CAPABILITIES):
        said = attempt("prctl", PR_CAPBSET_READ, number, 0, 0, 0)
        if said == -errno.EINVAL:
            break
        if said:
            found.append(number)
    return found


def _header() -> ctypes.Array[ctypes.c_uint32]:
    """What capget and capset are given: the version of the format, and this process."""
    return (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
