"""What has changed, in words."""

from __future__ import annotations

import shutil

from revproxy.control.planning.difference import Difference, differencesOf
from revproxy.plan.versionid import VersionId
from tests.control.test_coordinator import LifecycleCase


class DifferenceTests(LifecycleCase):
    """`differencesOf` two moments of an edge."""

    def setUp(self) -> None:
        super().setUp()
        for name in "abcd":
            self.bench.write(name)
        self.bench.start()

    def test_all(self) -> None:
        """The file first, then plugins by name; those that are as they were are left out."""
        before = self.bench.coordinator.plan
        self.bench.write("a", version="2.0")
        shutil.rmtree(self.bench.plugins / "b")
        self.bench.write("c", config={"value": 1})
        self.bench.write("e")
        self.bench.configure("[{path: /new, respond: {}}]")
        self.apply()
        after = self.bench.coordinator.plan
        assert before is not None and after is not None
        versions = {name: entry.version for name, entry in after.entries.items()}
        old = {name: entry.version for name, entry in before.entries.items()}
        self.assertEqual(list(differencesOf(before, after)), [
            Difference("configured", f"{self.bench.file} is in force"),
            Difference("replaced", f"{old['a']} → {versions['a']}", "a", versions["a"]),
            Difference("removed", f"{old['b']} runs no more", "b"),
            Difference("configured", f"{versions['c']} has another configuration", "c", versions["c"]),
            Difference("loaded", f"{versions['e']} runs", "e", versions["e"]),
        ])  # fmt: skip
        self.assertEqual(list(differencesOf(after, after)), [])

    def test_line(self) -> None:
        """As commands print it."""
        self.assertEqual(str(Difference("loaded", "1.0 runs", "a", VersionId("1.0"))), "a: 1.0 runs")
        self.assertEqual(str(Difference("configured", "x.yaml is in force")), "x.yaml is in force")
