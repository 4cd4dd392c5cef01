"""
The edge on another interpreter than the one that is worked with: Debian's own, which is built in another way, and which
every user can run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.packaging.check import environment
from tests.selection import ROOT
from tests.tools import needs

PYTHON = "/usr/bin/python3"
HOME = Path(sys.prefix) / "other-python"
PROGRAM = HOME / "bin" / "python"
AS_OTHERS = ("tests.service.test_foreground", "tests.integration.test_otherUsersFolders")


class OtherPythonTests(SynchronousTestCase):
    """An environment of that interpreter's, in ours; kept as long as setup.py and the interpreter stay."""

    def said(self, *command: str | Path) -> str:
        """By a command that must succeed."""
        both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        done = subprocess.run(command, cwd=ROOT, env=environment(), text=True, **both)
        self.assertEqual(done.returncode, 0, done.stdout[-20000:])
        return str(done.stdout)

    def prepare(self) -> None:
        """What the tests need is installed there."""
        stamp = HOME / "stamp"
        wanted = self.said(PYTHON, "--version") + (ROOT / "setup.py").read_text()
        if stamp.exists() and stamp.read_text() == wanted:
            return
        self.said(PYTHON, "-m", "venv", "--without-pip", "--clear", HOME)
        pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "--python", PROGRAM)
        self.said(*pip, "install", "--config-settings", "editable_mode=compat", "--editable", ".[test]")
        stamp.write_text(wanted)

    @needs("python3")
    def test_passed(self) -> None:
        """
        The quick tests pass there, and those that take an interpreter which every user can run: often that is this one
        alone. Where it is the interpreter of all tests, they have passed already.
        """
        if os.path.samefile(PYTHON, os.path.realpath(sys.executable)):
            return
        if os.geteuid():
            self.skipTest("only root can start an edge as somebody else: make test-all as root")
        self.prepare()
        last = self.said(PROGRAM, "-m", "tests", "--quick").splitlines()[-1]
        self.assertRegex(last, r"^[1-9]\d+ passed, 0 failed")
        said = self.said(PROGRAM, "-m", "tests", *AS_OTHERS)
        self.assertRegex(said.splitlines()[-1], r"^[1-9]\d+ passed, 0 failed$", said)
