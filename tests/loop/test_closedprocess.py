"""What other processes may see of one: in processes of their own, so that it is not done to the one that tests."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import sys
from typing import Any
from unittest import skipUnless

from twisted.trial.unittest import SynchronousTestCase

from revproxy.loop import closedprocess
from revproxy.loop.closedprocess import closeToOthers, keepPrivileges

isLinux = skipUnless(sys.platform == "linux", "only Linux can close a process")


class Refusing:
    """A C library whose kernel refuses."""

    def prctl(self, *_: Any) -> int:
        return -1


class CloseTests(SynchronousTestCase):
    """`closeToOthers`, and `keepPrivileges`."""

    def run_(self, script: str) -> str:
        script = f"from revproxy.loop.closedprocess import *\n{script}"
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        self.assertEqual(done.stderr, "")
        return done.stdout.strip()

    @isLinux
    def test_closed(self) -> None:
        """It is no more dumpable, and writes no core, however it ends; what it starts is a process like others."""
        other = "from revproxy.loop.closedprocess import isClosed; print(isClosed())"
        said = self.run_(f"""
import os, resource, signal, subprocess, sys
print(isClosed(), closeToOthers(), isClosed(), resource.getrlimit(resource.RLIMIT_CORE))
sys.stdout.flush()
subprocess.run([sys.executable, "-c", {other!r}], check=True)
child = os.fork()
if not child:
    os.kill(os.getpid(), signal.SIGSEGV)
status = os.waitpid(child, 0)[1]
print(os.WTERMSIG(status), os.WCOREDUMP(status))
""")
        self.assertEqual(said.splitlines(), ["False None True (0, 0)", "False", f"{signal.SIGSEGV.value} False"])

    @isLinux
    def test_privileges(self) -> None:
        """No program gives it more than it has."""
        said = self.run_("""
print(keepPrivileges())
print([line.split()[1] for line in open("/proc/self/status") if line.startswith("NoNewPrivs")])
""")
        self.assertEqual(said.splitlines(), ["None", "['1']"])

    @isLinux
    def test_refused(self) -> None:
        """Where the kernel does not, that is told, with what it means."""
        self.patch(resource, "setrlimit", lambda *_: None)
        library: Any = Refusing()
        self.assertEqual(
            closeToOthers(library),
            "other programs of this user can read the edge's memory: the kernel refuses it (prctl)",
        )
        self.assertEqual(
            keepPrivileges(library), "programs that the edge starts can become root: the kernel refuses it (prctl)"
        )

    def test_limit(self) -> None:
        """A limit that cannot be set."""

        def refuse(*_: Any) -> None:
            raise ValueError("not allowed to raise maximum limit")

        self.patch(resource, "setrlimit", refuse)
        self.assertEqual(closeToOthers(), "core dumps cannot be switched off: not allowed to raise maximum limit")

    def test_elsewhere(self) -> None:
        """On another system core dumps are off, and it says what is not."""
        self.patch(resource, "setrlimit", lambda *_: None)
        self.patch(sys, "platform", "darwin")
        self.patch(ctypes, "CDLL", lambda _: self.fail("called"))
        self.assertIn("darwin cannot close a process to others", closeToOthers() or "")
        self.assertFalse(closedprocess.isClosed())
