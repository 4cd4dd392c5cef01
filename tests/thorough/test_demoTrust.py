"""``make demo-trust``: all that it shows is stopped, on this machine."""

from __future__ import annotations

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from revproxy.demo.hostileplugins import HOSTILE


class DemonstrationTests(SynchronousTestCase):
    """The demonstration, as people see it."""

    def test_stopped(self) -> None:
        """Every plugin is stopped, and the limits that two of them have are events."""
        done = subprocess.run(
            [sys.executable, "-m", "revproxy.demo.trust"], capture_output=True, text=True, timeout=300
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn(f"{len(HOSTILE)} of {len(HOSTILE)} were stopped.", done.stdout)
        self.assertEqual(done.stdout.count("event limit-exceeded"), 2, done.stdout)
