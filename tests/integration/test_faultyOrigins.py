"""The faulty answers over sockets: resets are real ones, and segments come as the kernel gives them."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.faults import FaultyOrigin, judgeAll
from tests.harness import freePort
from tests.integration.test_scarcity import Edge


class FaultyOriginsTests(SynchronousTestCase):
    """An edge in a process of its own."""

    def test_contained(self) -> None:
        """Every behaviour is contained."""
        port = freePort()
        origin = FaultyOrigin(port)
        edge = Edge(port, os.devnull)
        try:
            problems = judgeAll(("127.0.0.1", edge.port), origin, patience=2)
        finally:
            status = edge.stop()
        self.assertGreater(len(problems), 140)
        self.assertEqual([problem for problem in problems if problem], [])
        self.assertEqual(status, 0)
