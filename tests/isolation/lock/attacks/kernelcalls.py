"""
Calls that have led into the kernel before, and the machine itself.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import struct

from revproxy.isolation.lock.kernel import attempt, call
from revproxy.isolation.lock.seccomp import DEADLY
from revproxy.isolation.lock.syscalls import thisMachine
from tests.isolation.lock.attacks.attack import NotHere, World, attack

NOTHING = "with these arguments it does nothing; it is only whether the kernel is asked"
_NEWUSER = 0x10000000


@attack()
def becomeRoot(world: World) -> None:
    """Again."""
    os.setuid(0)


@attack()
def joinGroups(world: World) -> None:
    """Of others."""
    os.setgroups([0])


@attack()
def haveCapabilities(world: World) -> None:
    """Those that root has."""
    call("capset", (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)(1 << 21, 1 << 21))


@attack(deadly=True)
def haveUsers(world: World) -> None:
    """A namespace in which it is root."""
    call("unshare", _NEWUSER)


def _networkOfParent(world: World) -> int:
    return os.open(f"/proc/{world.parent}/ns/net", os.O_RDONLY)


@attack(prepare=_networkOfParent, keep=True, deadly=True)
def joinNetwork(world: World, fd: int) -> None:
    """The machine's, by a descriptor that was left open."""
    call("setns", fd, 0)


@attack(deadly=True)
def haveRing(world: World) -> None:
    """io_uring: calls that no filter sees."""
    call("io_uring_setup", 1, ctypes.create_string_buffer(120))


def _ring(world: World) -> int:
    made = attempt("io_uring_setup", 1, ctypes.create_string_buffer(120))
    if made < 0:
        raise NotHere(f"no io_uring here: {os.strerror(-made)}")
    return made


@attack(prepare=_ring, keep=True, deadly=True)
def useRing(world: World, fd: int) -> None:
    """The same by a descriptor that was left open."""
    call("io_uring_enter", fd, 0, 0, 0, None, 0)


@attack(deadly=True)
def loadBpf(world: World) -> None:
    """Programs in the kernel."""
    call("bpf", 0, struct.pack("=5I", 2, 4, 4, 1, 0) + bytes(52), 72)


@attack(deadly=True)
def measure(world: World) -> None:
    """perf: what others do, by the processor's own counters."""
    call("perf_event_open", struct.pack("=IIQ", 1, 64, 0) + bytes(48), 0, -1, -1, 0)


@attack(deadly=True)
def readKeys(world: World) -> None:
    """The kernel's ring of keys."""
    call("keyctl", 0, -4, 1)


@attack(deadly=True)
def addKey(world: World) -> None:
    """One of its own."""
    call("add_key", b"user", b"tried", b"x", 1, -2)


@attack(deadly=True)
def ignoreDeath(world: World) -> None:
    """Blocks and ignores SIGSYS, and then does what it is for."""
    signal.signal(signal.SIGSYS, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGSYS})
    call("unshare", 0)


@attack(deadly=True, unproven=NOTHING)
def restart(world: World) -> None:
    """The machine."""
    call("reboot", 0, 0, 0, None)


@attack(deadly=True, unproven=NOTHING)
def loadModule(world: World) -> None:
    """Code into the kernel."""
    call("init_module", None, 0, None)


@attack(deadly=True, unproven=NOTHING)
def loadKernel(world: World) -> None:
    """Another one."""
    call("kexec_load", 0, 0, None, 0xFFFF)


@attack(deadly=True, unproven=NOTHING)
def swap(world: World) -> None:
    """To a file of its own."""
    call("swapon", None, 0)


def _onlyX86(name: str) -> None:
    if name not in thisMachine().numbers:
        raise NotHere(f"no {name} on this machine")


@attack(prepare=lambda world: _onlyX86("ioperm"), deadly=True)
def touchPorts(world: World, prepared: None) -> None:
    """Of the hardware."""
    call("ioperm", 0x80, 1, 1)


@attack(prepare=lambda world: _onlyX86("modify_ldt"), deadly=True)
def changeSegments(world: World, prepared: None) -> None:
    """Of the processor."""
    call("modify_ldt", 0, ctypes.create_string_buffer(64), 64)


@attack()
def setClock(world: World) -> None:
    """First asks for it, as whoever sets it."""
    call("clock_adjtime", 0, ctypes.create_string_buffer(256))


@attack()
def readKernelLog(world: World) -> None:
    """With addresses in it."""
    call("syslog", 10, None, 0)


@attack()
def renameHost(world: World) -> None:
    """To what it is called already."""
    name = os.uname().nodename.encode()
    call("sethostname", name, len(name))


@attack()
def numberOtherwise(world: World) -> None:
    """x32: the same calls under other numbers."""
    other = thisMachine().otherCalls
    if other is None:
        raise NotHere("this machine has one convention only")
    call(other + thisMachine().numbers["getpid"])


@attack()
def tryNewCalls(world: World) -> None:
    """All that the kernel may have got since the filter was written, and the youngest that it knows."""
    deadly = {thisMachine().numbers.get(name) for name in DEADLY}
    said = {number: attempt(number, *[-1] * 6) for number in range(451, 600) if number not in deadly}
    through = {number: answer for number, answer in said.items() if answer not in (-errno.ENOSYS, -errno.EPERM)}
    if not through:
        raise PermissionError("none is let through")
