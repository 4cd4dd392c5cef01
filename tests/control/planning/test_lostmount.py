"""Folders of plugins that are empty."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.planning.lostmount import LostMount
from revproxy.plan.catalog import Catalog
from tests.plan.plans import brokenEntry, entry

HERE, ELSEWHERE = (1, 2), (1, 3)


class LostMountTests(SynchronousTestCase):
    """`LostMount`: a and b run, from a folder that was seen."""

    def setUp(self) -> None:
        self.a, self.b = entry("a"), entry("b")
        self.running = {"a": self.a, "b": self.b}
        self.mount = LostMount()
        self.look(Catalog(self.running))

    def look(self, found: Catalog, place: tuple[int, int] | None = HERE, isAnother: bool = False) -> set[str]:
        """What is lost."""
        self.mount.judge(found, place, self.running, isAnother)
        return set(self.mount.lost)

    def test_some(self) -> None:
        """As long as there is a folder, also a broken one, nothing is lost."""
        self.assertEqual(self.look(Catalog({"a": self.a})), set())
        self.assertEqual(self.look(Catalog({}, (brokenEntry("c"),))), set())

    def test_none(self) -> None:
        """Two that are gone at once are."""
        self.assertEqual(self.look(Catalog({})), {"a", "b"})

    def test_back(self) -> None:
        """Until each is back, and for good."""
        self.look(Catalog({}))
        self.assertEqual(self.look(Catalog({"a": self.a})), {"b"})
        self.assertEqual(self.look(Catalog({"c": entry("c")})), {"b"})
        self.assertEqual(self.look(Catalog(self.running)), set())

    def test_one(self) -> None:
        """A single one is gone, unless the folder is another one, or others were lost with it."""
        self.running = {"a": self.a}
        self.assertEqual(self.look(Catalog({})), set())
        self.assertEqual(self.look(Catalog({}), ELSEWHERE), {"a"})
        self.assertEqual(self.look(Catalog({})), {"a"})

    def test_switchedOff(self) -> None:
        """With one of two switched off, the other stays lost."""
        self.look(Catalog({}))
        self.running = {"b": self.b}
        self.assertEqual(self.look(Catalog({})), {"b"})

    def test_another(self) -> None:
        """Another directory in revproxy.yaml loses nothing."""
        self.assertEqual(self.look(Catalog({}), ELSEWHERE, isAnother=True), set())
