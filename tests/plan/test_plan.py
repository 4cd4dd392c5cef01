"""
Plans as values.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.plan.pemfiles import PemFiles
from tests.plan import plans


class PlanTests(SynchronousTestCase):
    """
    What can be asked of a plan.
    """

    def setUp(self) -> None:
        self.plan = plans.plan(Path(self.mktemp()).absolute())

    def test_find(self) -> None:
        """
        What runs somewhere is found by its name; what is there, and off, is not.
        """
        found = self.plan.find("stamp")
        assert found is not None
        self.assertIs(found.entry, self.plan.entries["stamp"])
        self.assertIsNone(self.plan.find("off"))

    def test_pairs(self) -> None:
        """
        Each plugin comes once with each of its configurations, in the order of chains: not once for each route.
        """
        pairs = [(each.name, settings.get("says")) for each, settings in self.plan.pairs()]
        self.assertEqual(len(pairs), len(set(pairs)))
        self.assertEqual(sorted(pairs, key=str), [
            ("dropped", None), ("guard", None), ("stamp", "a"), ("stamp", "b"), ("stamp", "c"),
        ])  # fmt: skip
        self.assertGreater(sum(map(len, self.plan.orderPerGroup)), len(pairs))

    def test_isLike(self) -> None:
        """
        Its number is not what it amounts to; all else is.
        """
        plan = self.plan
        self.assertTrue(plan.isLike(replace(plan, number=99)))
        without = {name: entry for name, entry in plan.entries.items() if name != "off"}
        for other in (
            replace(plan, config=replace(plan.config)),
            replace(plan, switches={}),
            replace(plan, gates={"guard": 6}),
            replace(plan, certificates={"c": PemFiles("c", "1")}),
            replace(plan, entries=without),
            replace(plan, entries={**plan.entries, "stamp": plans.entry("stamp", "9.0")}),
        ):
            self.assertFalse(plan.isLike(other))

    def test_description(self) -> None:
        """
        As JSON: the configuration as it was written, and of each plugin that runs its version.
        """
        said = self.plan.describe()
        self.assertEqual((said["number"], said["switches"]), (7, {"off": False}))
        self.assertEqual(said["config"]["routes"][3]["path"], "/tree")
        self.assertEqual(sorted(said["plugins"]), ["dropped", "guard", "stamp"])
        self.assertEqual(said["plugins"]["dropped"], {"version": "2.0rc1", "digest": None})
