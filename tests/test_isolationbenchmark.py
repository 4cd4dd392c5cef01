"""
The pure parts of ``benchmarks.isolation``: pairs, what is to be reached, what guards cost.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.guardcosts import facadeCosts, verificationCost
from benchmarks.isolatededge import SOURCE, filesOf, namesOf, parentOf, proportionalBytes
from benchmarks.isolation import Outcome, Pairs, report, verdicts
from revproxy.config.manifest import parseManifest


def outcome() -> Outcome:
    """
    One in which all is reached.
    """
    return Outcome(
        level="A", alone=Pairs([100.0, 110.0], [140.0, 150.0]), edge=Pairs([20.0], [30.0]), failed=[1, 1],
        spun=[112.0], waited=[115.0], usual=[5.0], recovered=[3.0], remade=[90.0], cold=[120.0], forked=[20.0],
        spare=[0.3],
        memory={1: (24.0, 4.0), 8: (80.0, 4.0)}, facade={"empty": 0.2, "usual": 1.2}, verified=0.5,
    )  # fmt: skip


class OutcomeTests(SynchronousTestCase):
    """
    What is measured, and what it is judged by.
    """

    def test_pairs(self) -> None:
        """
        The median of the differences counts, not the difference of the medians.
        """
        self.assertEqual(Pairs([10, 20, 100], [15, 27, 101]).differences, [1, 5, 7])
        self.assertEqual(Pairs([10, 20, 100], [15, 27, 101]).more, 5)

    def test_reached(self) -> None:
        """
        All that is to be reached is, and is told.
        """
        self.assertEqual([what for what, holds, _ in verdicts(outcome()) if not holds], [])
        self.assertIn("| one alone ≤ 25 MB", report(outcome()))
        self.assertNotIn("missed", report(outcome()))

    def test_missed(self) -> None:
        """
        Each target can be missed by itself.
        """
        for changed in (
            {"alone": Pairs([0.0], [61.0])}, {"edge": Pairs([0.0], [12.5])}, {"failed": [1, 2]}, {"waited": [126.0]},
            {"recovered": [11.0]}, {"remade": [251.0]}, {"cold": [151.0]}, {"spare": [11.0]},
            {"memory": {1: (25.5, 0.0), 8: (80.0, 0.0)}}, {"memory": {1: (24.0, 0.0), 8: (97.0, 0.0)}},
            {"facade": {"empty": 2.1}}, {"verified": 5.1},
        ):  # fmt: skip
            missed = [what for what, holds, _ in verdicts(replace(outcome(), **changed)) if not holds]  # type: ignore[arg-type]
            self.assertEqual(len(missed), 1, changed)


class PluginTests(SynchronousTestCase):
    """
    The plugin that is measured.
    """

    def test_files(self) -> None:
        """
        It is a plugin, by whatever name, in whatever tier.
        """
        for name in namesOf(3):
            files = filesOf(name, "inline")
            self.assertEqual(parseManifest(files["plugin.json"].encode(), "plugin.json").name, name)
            self.assertIn(f'name = "{name}"', files["plugin.py"])
            compile(files["plugin.py"], "plugin.py", "exec")
        self.assertEqual(json.loads(filesOf("a", "process")["plugin.json"])["isolation"], "process")
        compile(SOURCE, "plugin.py", "exec")

    def test_process(self) -> None:
        """
        Of a process: who its parent is, and what it has in memory.
        """
        self.assertEqual(parentOf(os.getpid()), os.getppid())
        self.assertGreater(proportionalBytes(os.getpid()), 1_000_000)


class GuardTests(SynchronousTestCase):
    """
    What guards cost.
    """

    def test_measured(self) -> None:
        """
        Both calls, and a verification, are measured.
        """
        self.assertEqual(set(facadeCosts(2, 10)), {"empty", "usual"})
        calls: list[int] = []
        self.assertGreaterEqual(verificationCost(lambda: calls.append(1), 3), 0.0)
        self.assertEqual(calls, [1, 1, 1])
