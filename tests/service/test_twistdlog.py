"""
The log that twistd opens.
"""

from __future__ import annotations

import json
import signal
import sys
from io import StringIO
from pathlib import Path
from typing import Any

from twisted.logger import ILogObserver, Logger
from twisted.scripts.twistd import ServerOptions
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides

from revproxy.config.settings import LoggingConfig
from revproxy.service import twistdlog
from revproxy.service.twistdlog import shapeLog
from revproxy.tap import Options as TapOptions
from revproxy.worker.logform import ownForm

made: list[Any] = []
"""What the observers below have heard."""


def makeModern() -> Any:
    """As ``--logger`` may name it."""

    def observer(event: Any) -> None:
        made.append(event)

    directlyProvides(observer, ILogObserver)
    return observer


def makeLegacy() -> Any:
    """The same, of the old kind."""
    return made.append


class ShapeTests(SynchronousTestCase):
    """
    `shapeLog`, with the options of twistd.
    """

    def setUp(self) -> None:
        self.addCleanup(ownForm.adopt, LoggingConfig())
        self.addCleanup(signal.signal, signal.SIGUSR1, signal.getsignal(signal.SIGUSR1))
        ownForm.adopt(LoggingConfig(level="warn", own="json"))

    def logged(self, *arguments: str) -> None:
        """
        Two events go where the options say.
        """
        options = ServerOptions()
        self.patch(twistdlog, "_usual", {})
        self.patch(TapOptions, "postOptions", lambda own: shapeLog(own.parent))
        options.parseOptions([*arguments, "revproxy"])
        log = Logger("x", observer=options["logger"]())
        log.info("a detail")
        log.warn("look")

    def test_output(self) -> None:
        """
        Standard output has our form.
        """
        said = StringIO()
        self.patch(sys, "stdout", said)
        self.logged("-n")
        self.assertEqual(json.loads(said.getvalue())["message"], "look")

    def test_file(self) -> None:
        """
        A file, too.
        """
        path = Path(self.mktemp()).absolute()
        self.logged("--logfile", str(path))
        self.assertEqual(json.loads(path.read_text())["message"], "look")

    def test_another(self) -> None:
        """
        An observer that was named on the command line has a form of its own, and hears what is important enough.
        """
        self.patch(sys.modules[__name__], "made", heard := [])
        self.logged("-n", "--logger", f"{__name__}.makeModern")
        self.assertEqual([event["log_format"] for event in heard], ["look"])

    def test_legacy(self) -> None:
        """
        One of the old kind is given events of the old kind.
        """
        self.patch(sys.modules[__name__], "made", heard := [])
        self.logged("-n", "--logger", f"{__name__}.makeLegacy")
        self.assertEqual([event["isError"] for event in heard], [0])
