"""
Memory that becomes code.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct

from revproxy.isolation.lock.kernel import call
from tests.isolation.lock.attacks.attack import NotHere, World, attack

_READ, _WRITE, _EXECUTE = mmap.PROT_READ, mmap.PROT_WRITE, mmap.PROT_EXEC
_ANONYMOUS = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
_PAGE = mmap.PAGESIZE


def _page(protection: int) -> int:
    return call("mmap", None, _PAGE, protection, _ANONYMOUS, -1, 0)


@attack()
def haveCode(world: World) -> None:
    """Written and executed at once."""
    _page(_READ | _WRITE | _EXECUTE)


@attack()
def makeCode(world: World) -> None:
    """First written, then executed."""
    call("mprotect", _page(_READ | _WRITE), _PAGE, _READ | _EXECUTE)


@attack()
def makeCodeByKey(world: World) -> None:
    """The same by the newer call."""
    call("pkey_mprotect", _page(_READ | _WRITE), _PAGE, _READ | _EXECUTE, -1)


@attack()
def makeCodeByPersonality(world: World) -> None:
    """All that can be read can be executed."""
    call("personality", 0x0400000)


def _memoryFile(world: World) -> int:
    fd = os.memfd_create("code", 0)
    os.ftruncate(fd, _PAGE)
    return fd


@attack(prepare=_memoryFile, keep=True)
def makeCodeByFile(world: World, fd: int) -> None:
    """Written by one mapping, executed by another."""
    call("mmap", None, _PAGE, _READ | _WRITE, mmap.MAP_SHARED, fd, 0)
    call("mmap", None, _PAGE, _READ | _EXECUTE, mmap.MAP_SHARED, fd, 0)


def _segment(world: World) -> int:
    return call("shmget", 0, _PAGE, 0o1700)


@attack(prepare=_segment)
def makeCodeByShare(world: World, segment: int) -> None:
    """Shared memory that was there before."""
    try:
        call("shmat", segment, None, 0o100000)
    finally:
        call("shmctl", segment, 0, None)


def _sharedPage(world: World) -> int:
    return call("mmap", None, _PAGE, _READ | _WRITE, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS, -1, 0)


@attack(prepare=_sharedPage)
def moveFilePages(world: World, page: int) -> None:
    """A call that nobody needs any more, and that has lost checks before."""
    call("remap_file_pages", page, _PAGE, 0, 0, 0)


@attack(deadly=True)
def holdFaults(world: World) -> None:
    """userfaultfd: stops the kernel in the middle of a copy."""
    call("userfaultfd", 1)


def _otherConvention(world: World) -> int:
    """A function with the calls of 32-bit code in it, from before the lock; only x86-64 has them."""
    if os.uname().machine != "x86_64":
        raise NotHere("only x86-64 has calls of another width")
    page = _page(_READ | _WRITE | _EXECUTE)
    getpid = bytes.fromhex("b814000000 cd80 c3")
    ctypes.memmove(page, getpid, len(getpid))
    return page


@attack(prepare=_otherConvention)
def callAs32Bits(world: World, page: int) -> None:
    """int 0x80: the same calls under other numbers."""
    assert ctypes.CFUNCTYPE(ctypes.c_int)(page)() > 0, "it answers an error"


def _filterProgram(lines: list[tuple[int, int, int, int]]) -> tuple[bytes, object]:
    code = b"".join(struct.pack("=HBBI", *line) for line in lines)
    buffer = ctypes.create_string_buffer(code, len(code))
    return struct.pack("@HP", len(lines), ctypes.addressof(buffer)), buffer


@attack()
def answerItself(world: World) -> None:
    """A filter of its own, that asks a process of its own what to answer."""
    head, kept = _filterProgram([(6, 0, 0, 0x7FFF0000)])
    call("seccomp", 1, 8, head)
    assert kept
