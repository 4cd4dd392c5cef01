"""
Five hundred swaps under load from 64 connections: the ten thousand of ``make bench-hotswap``, in short.
"""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.manyswaps import SwapRun, swapManyTimes
from benchmarks.swapedge import FIVE, PARTNER, SWAPPED, SwapEdge, fivePlugins
from benchmarks.traffic import EVERY_WAY, Traffic
from tests.harness import freePort

SWAPS = 500
SECONDS = 30.0
ENOUGH = 100
"""So many it has to be, if a busy machine does not make more in these seconds."""


class HotSwapTests(SynchronousTestCase):
    """One edge with five plugins, one of which is swapped without pause, now and then together with another."""

    def swapped(self) -> SwapRun:
        """Make the swaps."""
        cpus = frozenset(os.sched_getaffinity(0))
        directory = Path(self.mktemp()).absolute()
        with Traffic(cpus) as traffic, SwapEdge(
            directory, traffic.origin, cpus, fivePlugins(), port=freePort(), settle=25
        ) as edge:
            traffic.begin(edge.port, len(FIVE), SWAPPED, EVERY_WAY)
            run = swapManyTimes(edge, traffic, SWAPS, seconds=SECONDS, least=ENOUGH)
            self.assertTrue(edge.process.alive)
            return run

    def test_swapping(self) -> None:
        """
        Every request is answered rightly, by one generation and on the connection on which it came; every version
        serves, plugins that did not change keep their objects, and nothing of the old versions stays in memory.
        """
        run = self.swapped()
        self.assertEqual(run.trouble, {})
        self.assertGreaterEqual(run.swaps, ENOUGH)
        self.assertGreater(run.requests, 10 * run.swaps)
        self.assertGreater(run.seen, run.swaps * 0.95, "versions that nobody met: they did not serve")
        unchanged = {name: count for name, count in run.kept.items() if name not in (SWAPPED, PARTNER)}
        self.assertEqual(unchanged, dict.fromkeys(unchanged, 1))
        self.assertEqual(run.alive, 1)
