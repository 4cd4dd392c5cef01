"""
Processes that others have begun, and their ends.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.loop.offspring import endOffspring

ROOT = Path(__file__).parents[2]

PARENT = """
import os, sys, time
from revproxy.loop.offspring import endOffspring, keepOffspring
keepOffspring()
reading, writing = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.write(writing, str(os.getpid()).encode())
        time.sleep(600)
    os._exit(0)
os.wait()
print(os.read(reading, 20).decode(), flush=True)
sys.stdin.readline()
ENDS
sys.stdin.readline()
"""


class OffspringTests(SynchronousTestCase):
    """One that has left its group, and whose parent has gone."""

    def begin(self, ends: str) -> tuple[subprocess.Popen[str], int]:
        process = subprocess.Popen(
            [sys.executable, "-c", PARENT.replace("ENDS", ends)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        assert process.stdout is not None
        child = os.pidfd_open(int(process.stdout.readline()))
        self.addCleanup(os.close, child)
        self.assertEqual(select.select([child], [], [], 0)[0], [])
        return process, child

    def test_own(self) -> None:
        """A process ends what it has begun."""
        process, child = self.begin("endOffspring(os.getpid())")
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        self.assertEqual(select.select([child], [], [], 30)[0], [child])
        self.assertIsNone(process.poll())

    def test_others(self) -> None:
        """Whoever has begun a process ends what that has begun, and not the process."""
        process, child = self.begin("")
        endOffspring(process.pid)
        self.assertEqual(select.select([child], [], [], 30)[0], [child])
        self.assertIsNone(process.poll())

    def test_none(self) -> None:
        """One that has begun nothing, or is gone, is no trouble."""
        endOffspring(2**22 - 1)
