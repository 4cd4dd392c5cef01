"""Which of the two processes does what. Both together: tests/integration/test_reload.py."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import hupper
from twisted.python.usage import Options as TwistedOptions
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.watch.filemonitor import FileMonitor
from revproxy.service.reloader import superviseUnlessSupervised
from revproxy.tap import Options

PARENT = """
import hupper, sys
def instead(worker, **settings):
    sys.exit(7 if "twisted.internet.reactor" in sys.modules else 0)
hupper.start_reloader = instead
from twisted.scripts.twistd import run
run()
"""


class SuperviseTests(SynchronousTestCase):
    """`superviseUnlessSupervised`."""

    def test_supervised(self) -> None:
        """In the edge it returns."""
        self.patch(hupper, "is_active", lambda: True)
        self.patch(hupper, "start_reloader", lambda *args, **settings: self.fail("a third process"))
        superviseUnlessSupervised()

    def supervise(self, status: int) -> tuple[object, dict[str, Any]]:
        """:return: the status of the process that watches, and what hupper was given."""
        given: dict[str, Any] = {}

        def start(worker: str, **settings: Any) -> None:
            given.update(settings, worker=worker)
            raise SystemExit(status)

        self.patch(hupper, "start_reloader", start)
        end = self.assertRaises(SystemExit, superviseUnlessSupervised)
        return end.code, given

    def test_status(self) -> None:
        """The status is the edge's; one that was ended before it could listen was ended all the same."""
        statuses = [self.supervise(status)[0] for status in (0, 1, -signal.SIGTERM, -signal.SIGINT, -signal.SIGSEGV)]
        self.assertEqual(statuses, [0, 1, 0, 0, -signal.SIGSEGV])

    def test_given(self) -> None:
        """hupper is given our monitor, a function it can import, and time to finish."""
        _, given = self.supervise(0)
        self.assertEqual(given["worker"], "revproxy.service.reloader.main")
        monitor = given["monitor_factory"](lambda path: None, interval=1, logger=None)
        self.assertIsInstance(monitor, FileMonitor)
        self.assertGreater(given["shutdown_interval"], 1)

    def test_noReactor(self) -> None:
        """The process that watches installs no reactor."""
        command = [sys.executable, "-c", PARENT, "-n", "revproxy", "--reload", "--listen", "tcp:1", "--upstream", "http://a"]
        root = Path(__file__).parents[2]
        self.assertEqual(subprocess.run(command, cwd=root, timeout=120, capture_output=True).returncode, 0)


class OptionTests(SynchronousTestCase):
    """``--reload``."""

    def test_foreground(self) -> None:
        """It needs twistd -n, and says so; nothing is started."""
        self.patch(hupper, "start_reloader", lambda *args, **settings: self.fail("started"))
        daemon: dict[str, int] = {"nodaemon": 0}
        for parent in (None, daemon):
            options = Options()
            options.parent = parent
            arguments = ["--reload", "--listen", "tcp:1", "--upstream", "http://a"]
            error = self.assertRaises(UsageError, options.parseOptions, arguments)
            self.assertIn("twistd -n revproxy --reload", str(error))
        self.assertIsNone(TwistedOptions.parent)

    def test_wrongAnyway(self) -> None:
        """Options that do not go together are refused before there is a second process."""
        self.patch(hupper, "start_reloader", lambda *args, **settings: self.fail("started"))
        options = Options()
        options.parent = {"nodaemon": 1}
        self.assertRaises(UsageError, options.parseOptions, ["--reload"])
