"""
Twenty kinds of bad version, given to an edge that serves: requests go on, and the reason is shown.
"""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.badversions import BAD_VERSIONS, BadVersion, Outcome, Shows, TooLate, endure, restore, threePlugins
from benchmarks.swapedge import SWAPPED, SwapEdge
from benchmarks.traffic import Traffic
from tests.harness import freePort

FEW = {"plain": 4, "held": 2, "split": 2, "pause": 2}
RATE = 400.0


def _titles(*words: str) -> list[BadVersion]:
    kinds = [kind for kind in BAD_VERSIONS if any(word in kind.title for word in words)]
    assert len(kinds) == len(words), kinds
    return kinds


class BadPluginTests(SynchronousTestCase):
    """An edge under light load, whose plugin becomes bad and good again."""

    def setUp(self) -> None:
        cpus = frozenset(os.sched_getaffinity(0))
        self.traffic = Traffic(cpus)
        self.addCleanup(self.traffic.close)
        directory = Path(self.mktemp()).absolute()
        self.edge = SwapEdge(directory, self.traffic.origin, cpus, threePlugins(), port=freePort(), settle=25)
        self.edge.start()
        self.addCleanup(self.edge.process.stop)
        self.traffic.begin(self.edge.port, 3, SWAPPED, FEW, RATE)
        self.serial = 0

    def endured(self, kind: BadVersion, attempts: int = 20) -> Outcome:
        """Give the edge a good version, the bad one, and look at all requests meanwhile."""
        try:
            return self.tried(kind)
        except TooLate:
            self.assertGreater(attempts, 1, f"{kind.title}: never in time")
            return self.endured(kind, attempts - 1)

    def tried(self, kind: BadVersion) -> Outcome:
        """The same, once."""
        self.serial += 10
        restore(self.edge.folder / SWAPPED, self.serial)
        self.edge.reload()
        self.traffic.window()
        self.traffic.forget()
        outcome = endure(self.edge, kind, self.serial)
        self.edge.until(lambda: self.served(kind), f"{kind.title}: nothing was asked")
        return outcome

    def served(self, kind: BadVersion) -> int:
        """How many requests were answered since the last time; all rightly, and none by what must not serve."""
        window = self.traffic.window()
        self.assertEqual(window.trouble, "", kind.title)
        if kind.shows is Shows.AT_ONCE and window.requests:
            self.assertLessEqual(window.lastSerials[-1], self.serial, f"{kind.title}: it answered")
        return window.requests

    def check(self, *words: str) -> None:
        """Each of the kinds whose titles have these words."""
        for kind in _titles(*words):
            outcome = self.endured(kind)
            self.assertTrue(outcome.explained, f"{kind.title}: {outcome.reason}")

    def test_code(self) -> None:
        """What cannot be imported is refused with file and line."""
        self.check("syntax", "import error", "sys.exit", "UTF-8")

    def test_object(self) -> None:
        """What does not make a middleware is refused with file and member."""
        self.check("PluginMain raises", "wrong interface", "wrong arity")

    def test_description(self) -> None:
        """A plugin.json that is no JSON, contradicts its schema, or takes another's name is refused with its line."""
        self.check("bad JSON", "schema", "another plugin's name")

    def test_relations(self) -> None:
        """A version that its dependants cannot use is refused with the path."""
        self.check("in a circle", "downgrade")

    def test_files(self) -> None:
        """A folder that lacks something, holds too much or leads outside is refused with the file."""
        self.check("missing", "16 MiB", "link out", "deleted while")

    def test_health(self) -> None:
        """What says it cannot work never serves."""
        self.check("unhealthy")

    def test_hangs(self) -> None:
        """A start that never ends is given up after its deadline."""
        self.check("start hangs")

    def test_end(self) -> None:
        """A stop that raises is told and holds nothing up; state that cannot be had keeps the version that has it."""
        self.check("stop raises", "exportState")

    def test_afterwards(self) -> None:
        """After every kind of bad version a good one is taken, and its failure is forgotten."""
        for kind in (BAD_VERSIONS[0], BAD_VERSIONS[7]):
            self.endured(kind)
            self.serial += 5
            restore(self.edge.folder / SWAPPED, self.serial)
            self.edge.reload()
            self.assertIsNone(self.edge.plugin(SWAPPED)["failure"])
            self.assertIn(f"X-Stamp-{SWAPPED}: 0 {self.serial} ".encode(), self.edge.ask())
