"""Tests for :mod:`tests.tools`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests import tools
from tests.selection import ROOT
from tests.tools import PACKAGES, missing, needs


class ToolsTests(SynchronousTestCase):
    """With a PATH on which there is one of them."""

    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "git").symlink_to("/bin/sh")
        self.patch(os, "environ", {**os.environ, "PATH": str(folder.absolute())})
        self.patch(tools, "FOLDERS", str(folder))

    def test_missing(self) -> None:
        """What is not there, and the package that has it."""
        self.assertEqual(missing("git"), "")
        self.assertEqual(missing("nginx", "git", "curl"),
                         "no nginx here: apt install nginx-light; no curl here: apt install curl")

    def test_needs(self) -> None:
        """A test that cannot run is skipped, and the reason says what to do; any other stays as it is."""

        def test() -> None:
            pass

        self.assertFalse(hasattr(needs("git")(test), "skip"))
        self.assertEqual(needs("git", "curl")(test).skip, "no curl here: apt install curl")  # type: ignore[attr-defined]

    def test_unknown(self) -> None:
        """A tool without a package would not be installed for the tests."""
        self.assertRaises(KeyError, needs, "git", "no-such-tool")

    def test_program(self) -> None:
        """Without an environment of ours it tells what is to be installed."""
        said = subprocess.run([sys.executable, "-I", str(ROOT / "tests" / "tools.py")], env=dict(os.environ),
                              capture_output=True, text=True, check=True).stdout
        # Those that root alone has on its PATH are looked for, too.
        self.assertIn(PACKAGES["curl"], said.split())
        self.assertNotIn(PACKAGES["git"], said.split())
        self.assertLessEqual(set(said.split()), set(PACKAGES.values()))
