"""
The tables of system calls.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from unittest import skipUnless

from twisted.trial.unittest import SynchronousTestCase

from revproxy.isolation.lock.syscalls import MACHINES, UnknownMachine, parse, thisMachine

_INCLUDE = Path("/usr/include")
X86_HEADERS = [*_INCLUDE.glob("x86_64-linux-gnu/asm/unistd_64.h"), *_INCLUDE.glob("asm/unistd_64.h")]
GENERIC_HEADER = _INCLUDE / "asm-generic/unistd.h"

NO_HEADERS = "no headers of the kernel here: apt install linux-libc-dev"

THIRTY_TWO_BITS = range(403, 424)
"""Numbers in asm-generic that only 32-bit machines have."""

SPOKEN_OTHERWISE = {"fstatat": "newfstatat", "sync_file_range2": "sync_file_range", "arch_specific_syscall": ""}
"""What the generic header calls otherwise than a 64-bit machine does; it counts nothing under the last."""


def defined(header: Path) -> dict[str, int]:
    """Numbers by name, as a header defines them."""
    found = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)$", header.read_text(), re.MULTILINE)
    return {name: int(number) for name, number in found}


class TableTests(SynchronousTestCase):
    """
    Names and numbers.
    """

    def test_parse(self) -> None:
        """Names in order, from where a number says."""
        self.assertEqual(parse("@0 read write @7 poll lseek"), {"read": 0, "write": 1, "poll": 7, "lseek": 8})

    def test_eachOnce(self) -> None:
        """No number and no name comes twice."""
        for machine in MACHINES.values():
            self.assertEqual(len(set(machine.numbers.values())), len(machine.numbers))

    @skipUnless(X86_HEADERS, NO_HEADERS)
    def test_x86Headers(self) -> None:
        """Every call that the kernel's header has, up to the last of the table, is in it under that number."""
        ours = MACHINES["x86_64"]
        theirs = {name: number for name, number in defined(X86_HEADERS[0]).items() if number <= ours.highest}
        self.assertGreater(len(theirs), 350)
        self.assertEqual({name: ours.numbers.get(name) for name in theirs}, theirs)

    @skipUnless(GENERIC_HEADER.exists(), NO_HEADERS)
    def test_aarch64Headers(self) -> None:
        """So on aarch64, whose numbers are the generic ones; and it has no other."""
        ours = MACHINES["aarch64"]
        theirs = {
            SPOKEN_OTHERWISE.get(name, name): number
            for name, number in defined(GENERIC_HEADER).items()
            if number <= ours.highest and number not in THIRTY_TWO_BITS and name != "syscalls"
        }
        theirs.pop("", None)
        self.assertGreater(len(theirs), 300)
        self.assertEqual({name: ours.numbers.get(name) for name in theirs}, theirs)
        last = max(theirs.values())
        self.assertEqual({name for name, number in ours.numbers.items() if number <= last}, set(theirs))

    def test_sinceOneNumberForAll(self) -> None:
        """From 424 on every call has the same number on every machine."""
        new = [
            {name: number for name, number in machine.numbers.items() if number >= 424} for machine in MACHINES.values()
        ]
        self.assertEqual(new[0], new[1])
        self.assertEqual(new[0]["rseq_slice_yield"], 471)

    def test_gaps(self) -> None:
        """Numbers that were never given out, below the last."""
        self.assertEqual(MACHINES["x86_64"].gaps, ((337, 423),))
        self.assertEqual(MACHINES["aarch64"].gaps, ((244, 259), (295, 423)))


class MachineTests(SynchronousTestCase):
    """
    Which machine this is.
    """

    def setUp(self) -> None:
        """What is found is kept; not from one test to the next."""
        thisMachine.cache_clear()
        self.addCleanup(thisMachine.cache_clear)

    def machine(self, name: str) -> None:
        """Says that uname has told this."""
        self.patch(os, "uname", lambda: os.uname_result(("Linux", "x", "6.1", "x", name)))

    def test_known(self) -> None:
        """By what uname says."""
        for name in MACHINES:
            thisMachine.cache_clear()
            self.machine(name)
            self.assertEqual(thisMachine().name, name)

    def test_unknown(self) -> None:
        """Any other is refused, by name: nothing is locked half."""
        self.machine("riscv64")
        error = self.assertRaises(UnknownMachine, thisMachine)
        self.assertIn("64-bit code on riscv64", str(error))

    def test_thirtyTwoBits(self) -> None:
        """Code of 32 bits makes other calls on the same machine, and is refused."""
        self.machine("aarch64")
        self.patch(sys, "maxsize", 2**31 - 1)
        error = self.assertRaises(UnknownMachine, thisMachine)
        self.assertIn("32-bit code on aarch64", str(error))
