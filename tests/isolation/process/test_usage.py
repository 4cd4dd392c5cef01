"""
What a process has used.
"""

from __future__ import annotations

import os
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap
from pathlib import Path
from time import process_time

from twisted.trial.unittest import SynchronousTestCase

from revproxy.isolation.process.usage import cpuSeconds, mayLimitOthers, ownBytes

NOBODY = 2**22 + 1
"""No process has this number: the kernel's are smaller."""


class UsageTests(SynchronousTestCase):
    """Of this process."""

    def test_cpu(self) -> None:
        """It is what the process itself would say."""
        before = process_time()
        said = cpuSeconds(os.getpid())
        self.assertTrue(before <= said <= process_time(), said)

    def test_memory(self) -> None:
        """It grows with what the process takes."""
        before = ownBytes(os.getpid())
        with mmap(-1, 32 << 20, MAP_PRIVATE | MAP_ANONYMOUS) as taken:  # not what the process has and does not use
            for _ in range(32):
                taken.write(b"x" * (1 << 20))
            self.assertGreater(ownBytes(os.getpid()), before + (30 << 20))

    def test_nobody(self) -> None:
        """One that is not there has used nothing."""
        self.assertEqual((cpuSeconds(NOBODY), ownBytes(NOBODY)), (0, 0))


class MayLimitOthersTests(SynchronousTestCase):
    """What the kernel says of this process."""

    def of(self, capabilities: str) -> bool:
        """With these."""
        file = Path(self.mktemp())
        file.write_text(f"Name:\tpython\nCapPrm:\tffffffffffffffff\nCapEff:\t{capabilities}\n")
        return mayLimitOthers(str(file))

    def test_capability(self) -> None:
        """It takes CAP_SYS_RESOURCE, in effect."""
        self.assertTrue(self.of("000001ffffffffff"))
        self.assertTrue(self.of("0000000001000000"))
        self.assertFalse(self.of("000001fffeffffff"))
        self.assertFalse(self.of("0000000000000000"))

    def test_nobodyKnows(self) -> None:
        """Where that cannot be read, it may not."""
        self.assertFalse(mayLimitOthers("/proc/nothing"))
