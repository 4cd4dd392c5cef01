"""
Other processes, and more of them.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
import subprocess
import sys
import threading

from revproxy.isolation.lock.kernel import call, prctl
from tests.isolation.lock.attacks.attack import SECRET, World, attack, inChild

_PTRACE_SEIZE = 0x4206


@attack()
def fork(world: World) -> None:
    """A child."""
    inChild(os.fork())


@attack()
def forkFromC(world: World) -> None:
    """Past Python's own checks, as vfork does."""
    inChild(call("clone", 0x4000 | signal.SIGCHLD, None, None, None, None))


@attack()
def forkTheNewerWay(world: World) -> None:
    """clone3."""
    inChild(call("clone3", struct.pack("=8Q", 0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0), 64))


@attack()
def outlive(world: World) -> None:
    """A child that stays when its parent is gone."""
    if os.fork() == 0:
        signal.pause()


@attack()
def startThread(world: World) -> None:
    """Beside the one that there is."""
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()


@attack(deadly=True)
def execute(world: World) -> None:
    """Another program in its place."""
    os.execv("/bin/true", ["true"])


def _programInMemory(world: World) -> int:
    fd = os.memfd_create("true", 0)
    with open("/bin/true", "rb") as program:
        os.write(fd, program.read())
    return fd


@attack(prepare=_programInMemory, keep=True, deadly=True)
def executeFromMemory(world: World, fd: int) -> None:
    """A program that no file has."""
    arguments = (ctypes.c_char_p * 2)(b"true", None)
    call("execveat", fd, b"", arguments, None, 0x1000)


@attack()
def runCommand(world: World) -> None:
    """As Python does it."""
    subprocess.run(["/bin/true"], check=True)


@attack()
def spawn(world: World) -> None:
    """As the C library does it."""
    assert os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)[1] == 0


@attack()
def signalParent(world: World) -> None:
    """The edge."""
    os.kill(world.parent, signal.SIGUSR1)


@attack()
def signalThread(world: World) -> None:
    """The edge, by its thread."""
    call("tgkill", world.parent, world.parent, signal.SIGUSR1)


@attack()
def queueSignal(world: World) -> None:
    """The edge, with a value."""
    call("rt_sigqueueinfo", world.parent, signal.SIGUSR1, struct.pack("=iii", signal.SIGUSR1, 0, -1) + bytes(116))


@attack(deadly=True)
def signalByDescriptor(world: World) -> None:
    """The edge, by a descriptor of it."""
    call("pidfd_send_signal", call("pidfd_open", world.parent, 0), signal.SIGUSR1, None, 0)


@attack(deadly=True)
def stealDescriptor(world: World) -> None:
    """What the edge has open."""
    call("pidfd_getfd", call("pidfd_open", world.parent, 0), world.inherited, 0)


@attack()
def signalEverybody(world: World) -> None:
    """All that it may."""
    os.kill(0, signal.SIGUSR1)


@attack()
def stopItself(world: World) -> None:
    """So that it neither answers nor ends."""
    os.kill(os.getpid(), signal.SIGSTOP)


@attack()
def stopItselfOtherwise(world: World) -> None:
    """As the C library does it."""
    signal.raise_signal(signal.SIGSTOP)


@attack(deadly=True)
def trace(world: World) -> None:
    """The edge, as a debugger does."""
    call("ptrace", _PTRACE_SEIZE, world.parent, None, None)


def _places(address: int, buffer: ctypes.Array[ctypes.c_char]) -> tuple[bytes, bytes]:
    """Here and there, as `struct iovec`."""
    return struct.pack("@PN", ctypes.addressof(buffer), len(SECRET)), struct.pack("@PN", address, len(SECRET))


@attack(deadly=True)
def readMemory(world: World) -> None:
    """The edge's keys."""
    buffer = ctypes.create_string_buffer(len(SECRET))
    here, there = _places(world.memory, buffer)
    call("process_vm_readv", world.parent, here, 1, there, 1, 0)
    assert buffer.raw == SECRET, "it reads something else"


@attack(deadly=True)
def writeMemory(world: World) -> None:
    """The edge's code."""
    buffer = ctypes.create_string_buffer(b"x" * len(SECRET), len(SECRET))
    here, there = _places(world.memory, buffer)
    call("process_vm_writev", world.parent, here, 1, there, 1, 0)


@attack()
def readMemoryFile(world: World) -> None:
    """The same by a file."""
    with open(f"/proc/{world.parent}/mem", "rb") as memory:
        memory.seek(world.memory)
        assert memory.read(len(SECRET)) == SECRET, "it reads something else"


@attack()
def runPythonInParent(world: World) -> None:
    """PEP 768: whoever may write to a process's memory has Python run in it. It begins with its map."""
    if hasattr(sys, "remote_exec"):
        sys.remote_exec(world.parent, str(world.secret))
    else:
        os.close(os.open(f"/proc/{world.parent}/maps", os.O_RDONLY))


@attack()
def readEnvironment(world: World) -> None:
    """The edge's secrets."""
    os.close(os.open(f"/proc/{world.parent}/environ", os.O_RDONLY))


@attack()
def seeAddresses(world: World) -> None:
    """Where things are in the edge's memory."""
    room = ctypes.create_string_buffer(16)
    call("get_robust_list", world.parent, room, ctypes.byref(room, 8))


@attack()
def movePages(world: World) -> None:
    """Of the edge's memory."""
    call("move_pages", world.parent, 0, None, None, None, 0)


@attack()
def limitParent(world: World) -> None:
    """So that it can open nothing any more."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.prlimit(world.parent, resource.RLIMIT_NOFILE, (200, hard))


@attack()
def slowParent(world: World) -> None:
    """So that others come first."""
    os.setpriority(os.PRIO_PROCESS, world.parent, 5)


@attack()
def pinParent(world: World) -> None:
    """All to one processor."""
    os.sched_setaffinity(world.parent, {next(iter(os.sched_getaffinity(0)))})


@attack()
def comeFirst(world: World) -> None:
    """Before everybody else, for ever."""
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


@attack(deadly=True)
def compare(world: World) -> None:
    """Whether it shares something with the edge: kernel addresses show in the order."""
    call("kcmp", world.parent, os.getpid(), 1, 0, 0)


@attack()
def leaveSession(world: World) -> None:
    """So that it is not ended with the others."""
    os.setsid()


@attack()
def forgetParent(world: World) -> None:
    """So that it does not end with it."""
    prctl(1, 0)


@attack()
def becomeDumpable(world: World) -> None:
    """So that another process may look into it."""
    prctl(4, 1)


@attack()
def dropCore(world: World) -> None:
    """A file with everything that it was ever sent."""
    os.abort()
