"""``revproxy test-plugin``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.cli.plugintests import testFiles as filesIn
from revproxy.cli.templates import writePlugin

ROOT = Path(__file__).parents[2]


class CommandTests(SynchronousTestCase):
    """The command, in a process as people run it."""

    def setUp(self) -> None:
        self.folder = writePlugin(Path(self.mktemp()).absolute() / "plugins", "hello")

    def run_(self, *options: str) -> tuple[int, str]:
        """Its status, and all that it and the tests print."""
        command = [sys.executable, "-m", "revproxy.cli", "test-plugin", str(self.folder), *options]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            command, env=environment, cwd=self.folder.parents[1], text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout

    def write(self, text: str) -> None:
        (self.folder / "test_plugin.py").write_text(text)

    def test_template(self) -> None:
        """What new-plugin writes passes, and nothing is left behind in its folder."""
        status, printed = self.run_()
        self.assertEqual(status, 0, printed)
        self.assertIn("hello 0.1.0: the edge takes it\n", printed)
        self.assertIn("PASSED (successes=3)", printed)
        left = sorted(path.name for path in self.folder.iterdir())
        self.assertEqual(left, ["plugin.json", "plugin.py", "test_plugin.py"])
        self.assertEqual([path.name for path in self.folder.parents[1].iterdir()], ["plugins"])

    def locked(self, **said: object) -> None:
        """The plugin wants a locked process. :param said: more of plugin.json."""
        path = self.folder / "plugin.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "isolation": "process", **said}))

    def test_locked(self) -> None:
        """Where it wants a locked process it is told what it asks for; its tests have that, and no more."""
        self.locked(permissions={"write_headers": ["X-Plugin"]})
        status, printed = self.run_()
        self.assertEqual(status, 0, printed)
        self.assertIn("it runs in a locked process, and asks for: write_headers: x-plugin\n", printed)
        self.locked(permissions={"respond": True})
        status, printed = self.run_()
        self.assertEqual(status, 1, printed)
        self.assertIn("write_headers: X-Plugin", printed)

    def test_lockedRefused(self) -> None:
        """It is loaded there, too: what cannot be had there is found before an edge says so."""
        self.locked(dependencies=["cryptography"])
        status, printed = self.run_()
        self.assertEqual(status, 1, printed)
        self.assertIn("cryptography", printed)
        self.assertIn("in a locked process", printed)

    def test_fails(self) -> None:
        """One that fails is shown, and the status says so."""
        self.write("import unittest\nclass A(unittest.TestCase):\n    def test_a(self): self.assertEqual(1, 2)\n")
        status, printed = self.run_()
        self.assertEqual(status, 1)
        self.assertIn("1 != 2", printed)
        self.assertIn("Error: the tests did not pass", printed)

    def test_refused(self) -> None:
        """Where the edge would not take the plugin, no test runs."""
        (self.folder / "plugin.py").write_text("x = (\n")
        status, printed = self.run_()
        self.assertEqual(status, 1)
        self.assertIn("plugin.py:1:5: SyntaxError", printed)
        self.assertNotIn("Ran ", printed)

    def test_endsTheProcess(self) -> None:
        """A plugin that ends the process it is loaded in is not taken for one that loads."""
        (self.folder / "plugin.py").write_text("import os\nos._exit(0)\n")
        status, printed = self.run_()
        self.assertEqual((status, printed), (1, "Error: loading it ended the process with status 0\n"))

    def test_traceback(self) -> None:
        """It begins with the plugin's own line."""
        (self.folder / "plugin.py").write_text("def f():\n    1 / 0\nf()\n")
        status, printed = self.run_()
        self.assertEqual(status, 1)
        self.assertIn("plugin.py:2: importing it raised ZeroDivisionError: ", printed)
        self.assertRegex(printed.splitlines()[2], "^  File .*/plugin.py@")

    def test_hangs(self) -> None:
        """What never ends is ended, with all that it has begun."""
        self.write(
            "import subprocess, threading, unittest\n"
            "class A(unittest.TestCase):\n"
            "    def test_a(self):\n"
            "        subprocess.Popen(['sleep', '1000'])\n"
            "        threading.Event().wait()\n"
        )
        status, printed = self.run_("--timeout", "3")
        self.assertEqual(status, 1)
        self.assertIn("did not end within 3 s", printed)

    def test_dies(self) -> None:
        """A test that kills its process does not kill the command."""
        self.write("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
        status, printed = self.run_()
        self.assertEqual(status, 1)
        self.assertIn("SIGSEGV", printed)

    def test_without(self) -> None:
        """No tests is no failure, and told."""
        (self.folder / "test_plugin.py").unlink()
        status, printed = self.run_()
        self.assertEqual(status, 0)
        self.assertIn("no tests", printed)

    def test_incomplete(self) -> None:
        """A plugin that needs something of revproxy.yaml is loaded all the same, and tested."""
        manifest = json.loads((self.folder / "plugin.json").read_text())
        manifest["config_schema"]["required"].append("users")
        manifest["config_schema"]["properties"]["users"] = {}
        (self.folder / "plugin.json").write_text(json.dumps(manifest))
        self.write("")
        printed = self.run_()[1]
        self.assertIn("revproxy.yaml has to complete it: ", printed)
        self.assertIn('missing "users"', printed)

    def test_functions(self) -> None:
        """Tests that only pytest finds are not passed over in silence."""
        self.write("def test_a(): assert 1 == 1\n")
        status, printed = self.run_()
        try:
            import pytest  # noqa: F401
        except ImportError:
            self.assertEqual(status, 1)
            self.assertIn("the function test_a is a test for pytest, which is not installed", printed)
        else:
            self.assertEqual(status, 0)
            self.assertIn("1 passed", printed)


class FilesTests(SynchronousTestCase):
    """Which files are tests."""

    def test_found(self) -> None:
        """By name, also in folders, and not those of libraries."""
        root = Path(self.mktemp())
        names = ["test_b.py", "a_test.py", "plugin.py", "tests/test_c.py", "vendor/x/test_d.py", ".git/test_e.py",
                 "__pycache__/test_f.py", "test_g.txt", "contest.py"]  # fmt: skip
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).touch()
        found = [str(path.relative_to(root)) for path in filesIn(root)]
        self.assertEqual(found, ["a_test.py", "test_b.py", "tests/test_c.py"])
