"""
What the edge's own process is to others.
"""

from __future__ import annotations

import os
import resource

from twisted.trial.unittest import SynchronousTestCase

from revproxy.admin.doctor import ownprocess
from revproxy.admin.doctor.ownprocess import processChecks


class ProcessTests(SynchronousTestCase):
    """
    `processChecks`.
    """

    def setUp(self) -> None:
        self.process(1000)

    def process(self, uid: int, closed: bool = True, core: int = 0, debug: bool = False) -> None:
        """As which it is to appear."""
        self.patch(os, "geteuid", lambda: uid)
        self.patch(ownprocess, "isClosed", lambda: closed)
        self.patch(resource, "getrlimit", lambda which: (core, core))
        self.patch(ownprocess, "isRemoteDebugOn", lambda: debug)

    def test_well(self) -> None:
        """
        A user of its own, and closed.
        """
        [check] = processChecks()
        self.assertEqual((check.name, check.state), ("process", "ok"))
        self.assertEqual(check.text, "it runs as user 1000, and other programs of that user cannot look into it")

    def test_problems(self) -> None:
        """
        Each by itself, with what to do.
        """
        for arguments, said, advice in (
            ({"uid": 0}, "it runs as root, and so does every plugin that runs inline", "--uid USER"),
            ({"uid": 1, "closed": False}, "other programs of the same user can read the edge's memory", "--debuggable"),
            ({"uid": 1, "core": -1}, "a crash would write the edge's memory into a file", "LimitCORE=0"),
            ({"uid": 1, "debug": True}, "Python runs what a debugger gives it", "PYTHON_DISABLE_REMOTE_DEBUG=1"),
        ):
            self.process(**arguments)  # type: ignore[arg-type]
            [check] = processChecks()
            self.assertEqual(check.state, "warning")
            self.assertIn(said, check.text)
            self.assertIn(advice, check.advice)
