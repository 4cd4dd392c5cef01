"""
Processes that end with the one that has begun them.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parents[2]

PARENT = """
import os, subprocess, sys
from functools import partial
from revproxy.loop.parentdeath import endWith
sleeps = [sys.executable, "-c", "import time; time.sleep(600)"]
child = subprocess.Popen(sleeps, preexec_fn=partial(endWith, PARENT), stdout=subprocess.DEVNULL)
print(child.pid, flush=True)
sys.stdin.read()
os._exit(0)
"""


class ParentTests(SynchronousTestCase):
    """A child, and its end."""

    def begin(self, parent: str) -> tuple[subprocess.Popen[str], int]:
        """A process, and the descriptor of its child's."""
        process = subprocess.Popen(
            [sys.executable, "-c", PARENT.replace("PARENT", parent)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        assert process.stdout is not None
        child = os.pidfd_open(int(process.stdout.readline()))
        self.addCleanup(os.close, child)
        return process, child

    def test_ends(self) -> None:
        """It lives as long as that one, and no longer."""
        process, child = self.begin("os.getpid()")
        self.assertEqual(select.select([child], [], [], 0)[0], [])
        process.kill()
        self.assertEqual(select.select([child], [], [], 30)[0], [child])

    def test_gone(self) -> None:
        """Where that one has gone already, it ends at once."""
        _, child = self.begin("1")
        self.assertEqual(select.select([child], [], [], 30)[0], [child])
