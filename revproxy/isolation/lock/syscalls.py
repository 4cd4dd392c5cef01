"""
The system calls of the machines that a process can be locked on, by name and by number.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from revproxy.isolation.lock.aarch64 import AARCH64
from revproxy.isolation.lock.x86_64 import X86_64


class UnknownMachine(OSError):
    """
    Nothing is known of this machine's system calls, so nothing can be locked here.
    """


@dataclass(frozen=True, slots=True)
class Machine:
    """
    One kind of machine.

    :ivar name: as ``uname -m`` says it.
    :ivar audit: what the kernel calls it in a filter's input (``AUDIT_ARCH_…`` of linux/audit.h).
    :ivar numbers: of every system call that the kernel has there, by its name.
    :ivar otherCalls: from that number on, calls belong to another convention of the same machine (x32). None: there is
        no such thing.
    """

    name: str
    audit: int
    numbers: dict[str, int]
    otherCalls: int | None = None

    @property
    def highest(self) -> int:
        """The last number that is known; a newer kernel has more."""
        return max(self.numbers.values())

    @property
    def gaps(self) -> tuple[tuple[int, int], ...]:
        """First and last of each run of numbers, below the highest, that the kernel has never given out."""
        known = sorted(self.numbers.values())
        return tuple((one + 1, other - 1) for one, other in pairwise(known) if other > one + 1)


def parse(table: str) -> dict[str, int]:
    """
    Numbers by name, out of the names in order; ``@N`` says where the next one stands.
    """
    numbers: dict[str, int] = {}
    at = 0
    for word in table.split():
        if word.startswith("@"):
            at = int(word[1:])
        else:
            numbers[word] = at
            at += 1
    return numbers


MACHINES = {
    "x86_64": Machine("x86_64", 0xC000003E, parse(X86_64), 0x40000000),
    "aarch64": Machine("aarch64", 0xC00000B7, parse(AARCH64)),
}


@cache
def thisMachine() -> Machine:
    """
    :raises UnknownMachine: for any other, and for 32-bit code on one of these: it makes other calls.
    """
    name = os.uname().machine
    if name not in MACHINES or sys.maxsize <= 2**32 or sys.byteorder != "little":
        bits = 64 if sys.maxsize > 2**32 else 32
        raise UnknownMachine(f"{bits}-bit code on {name}: a process can be locked on {' and '.join(MACHINES)} only")
    return MACHINES[name]
