"""
More than its share.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import resource
import select

from revproxy.isolation.lock.kernel import call
from tests.isolation.lock.attacks.attack import World, attack

_CREATE = 0o1600
_MEGABYTE = 1 << 20


@attack()
def memoryBomb(world: World) -> None:
    """600 MB."""
    held = [b"x" * _MEGABYTE for _ in range(600)]
    assert len(held) == 600


@attack()
def addressBomb(world: World) -> None:
    """Address space alone."""
    mmap.mmap(-1, 4096 * _MEGABYTE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000).close()


@attack()
def raiseLimits(world: World) -> None:
    """Its own."""
    endless = resource.RLIM_INFINITY
    resource.setrlimit(resource.RLIMIT_AS, (endless, endless))


@attack(unproven="the system says how many descriptors there can be")
def raiseLimitsOtherwise(world: World) -> None:
    """By the newer call."""
    call("prlimit64", 0, resource.RLIMIT_NOFILE, b"\xff" * 7 + b"\x00" + b"\xff" * 7 + b"\x00", None)


@attack()
def descriptorBomb(world: World) -> None:
    """As many as the system has for one process."""
    held = [select.epoll() for _ in range(500)]
    assert len(held) == 500


@attack()
def lockMemory(world: World) -> None:
    """That nobody else can have."""
    page = mmap.mmap(-1, mmap.PAGESIZE)
    call("mlock", ctypes.addressof(ctypes.c_char.from_buffer(page)), mmap.PAGESIZE)


@attack()
def hideMemory(world: World) -> None:
    """A file in memory, that no limit of address space counts."""
    os.close(os.memfd_create("hidden", 0))


@attack()
def shareMemory(world: World) -> None:
    """That stays when it is gone."""
    call("shmctl", call("shmget", 0, mmap.PAGESIZE, _CREATE), 0, None)


@attack()
def makeQueue(world: World) -> None:
    """Of messages, that stays when it is gone."""
    call("msgctl", call("msgget", 0, _CREATE), 0, None)


@attack()
def makeNamedQueue(world: World) -> None:
    """The POSIX way."""
    name = f"tried{os.getpid()}".encode()
    os.close(call("mq_open", name, os.O_CREAT | os.O_RDWR, 0o600, None))
    call("mq_unlink", name)


@attack()
def makeSemaphores(world: World) -> None:
    """That stay when it is gone."""
    call("semctl", call("semget", 0, 1, _CREATE), 0, 0, 0)


@attack()
def timerBomb(world: World) -> None:
    """Timers in the kernel."""
    for _ in range(100):
        call("timer_create", 1, None, ctypes.byref(ctypes.c_int()))


@attack()
def pipeBomb(world: World) -> None:
    """Kernel memory, 64 KB each."""
    for fd in os.pipe():
        os.close(fd)
