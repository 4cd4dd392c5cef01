"""What is done to the interpreter: in processes of their own, so that it is not done to the one that tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.loop.interpreter import importBeside

IMPORTS = "import atexit, gc, sys, threading, time\nfrom revproxy.loop import interpreter\n"


class ProcessCase(SynchronousTestCase):
    """Scripts."""

    def run_(self, script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", IMPORTS + script],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


class ImportTests(SynchronousTestCase):
    """`importBeside`."""

    def test_last(self) -> None:
        """The folder of a file is searched, after all others, and is named once."""
        self.patch(sys, "path", list(sys.path))
        folder = Path(self.mktemp()).absolute()
        for _ in range(2):
            importBeside(folder / "revproxy.yaml")
        self.assertEqual((sys.path[-1], sys.path.count(str(folder))), (str(folder), 1))


class TuneTests(ProcessCase):
    """`tuneInterpreter`."""

    def test_tuned(self) -> None:
        """What is there is frozen, the collector runs seldom, and threads take turns quickly."""
        result = self.run_(
            "interpreter.tuneInterpreter()\n"
            "print(gc.get_freeze_count() > 1000, gc.get_threshold()[0], round(sys.getswitchinterval() * 1000, 3))"
        )
        self.assertEqual(result.stdout, "True 20000 0.2\n", result.stderr)


class UncollectedTests(ProcessCase):
    """`uncollected`."""

    def test_nested(self) -> None:
        """It is over with the outermost, however that ends; where nothing was collected, nothing is."""
        result = self.run_(
            "try:\n"
            "    with interpreter.uncollected():\n"
            "        with interpreter.uncollected(): print(gc.isenabled())\n"
            "        print(gc.isenabled())\n"
            "        raise ImportError\n"
            "except ImportError:\n"
            "    print(gc.isenabled())\n"
        )
        self.assertEqual(result.stdout, "False\nFalse\nTrue\n", result.stderr)


class ExitTests(ProcessCase):
    """Ends of the process."""

    def test_failure(self) -> None:
        """At exit, the status becomes 1, and what was printed is written."""
        result = self.run_("atexit.register(interpreter.exitWithFailure)\nprint('said')")
        self.assertEqual((result.returncode, result.stdout), (1, "said\n"))

    def test_threads(self) -> None:
        """A thread that does not end is named, and does not keep the process."""
        result = self.run_(
            "interpreter.LAST = 0.05\n"
            "threading.Thread(target=time.sleep, args=(600,), name='stubborn').start()\n"
            "interpreter.exitDespiteThreads()\nprint('said')"
        )
        self.assertEqual((result.returncode, result.stdout), (0, "said\n"))
        self.assertEqual(result.stderr, "revproxy ends although threads still run: stubborn\n")

    def test_noThreads(self) -> None:
        """Without one, the process ends by itself, before that time."""
        result = self.run_("interpreter.exitDespiteThreads()\natexit.register(print, 'said')")
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "said\n", ""))
