"""
All hostile plugins through a real edge, in each situation that a machine may leave it in.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from unittest import skipUnless

from tests.behaviour.arenaedge import Situation
from tests.behaviour.hostiles import ATTACKS
from tests.behaviour.test_hostilePluginsStayApart import HostilePluginsCase
from tests.tools import needs

NOBODY = 65534

AS_ROOT = skipUnless(os.geteuid() == 0, "edges are run as root and as nobody: run the tests as root")


@AS_ROOT
@needs("setpriv")
class SituationTests(HostilePluginsCase):
    """
    What a machine does not have is taken away from the edge by a filter, as containers do it.
    """

    def everywhere(self, situation: Situation) -> None:
        """All attacks are stopped, at that level."""
        self.situation = situation
        if situation.user is not None and subprocess.run(
            ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=-all",
             "env", sys.executable, "-c", ""], capture_output=True, check=False,
        ).returncode:  # fmt: skip
            # Where only root can run this Python: the same layers, and the same level, as root.
            self.situation = replace(situation, user=None)
        self.stopped(ATTACKS)

    def test_rootA(self) -> None:
        """All layers."""
        self.everywhere(Situation(level="A"))

    def test_nobodyA(self) -> None:
        """All layers that one who is not root can have."""
        self.everywhere(Situation(NOBODY, level="A"))

    def test_B(self) -> None:
        """As in Docker: no namespaces."""
        self.everywhere(Situation(NOBODY, ("namespaces",), "B"))

    def test_C(self) -> None:
        """The floor, as root: the worst that there is."""
        self.everywhere(Situation(None, ("namespaces", "Landlock"), "C"))

    for _test in (test_rootA, test_nobodyA, test_B, test_C):
        _test.timeout = 1800  # type: ignore[attr-defined]
