"""
Which version of each plugin is meant.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.bundles.versionstore import StoreError
from revproxy.control.planning.choice import Choice, choose
from revproxy.control.state.records import Pin, PinnedBy, PluginRecords
from revproxy.plan.catalog import BrokenPlugin, Catalog, CatalogEntry, duplicate
from revproxy.worker.lifecycle.dropins import DropInFactories
from tests.plan.plans import INSTALLED, brokenEntry, entry

OLD, NEW, NEWER = entry("a", "1.0"), entry("a", "2.0"), entry("a", "3.0")


class ChoiceCase(SynchronousTestCase):
    """
    a 1.0 runs.
    """

    def setUp(self) -> None:
        self.running = {"a": OLD}
        self.records = PluginRecords()
        self.kept = {"a": OLD}
        self.owners = {"a": Path("plugins/a")}

    def choose(self, *found: CatalogEntry | BrokenPlugin, **more: Any) -> Choice:
        """
        :param found: what there is.
        """
        broken = tuple(each for each in found if isinstance(each, BrokenPlugin))
        entries = {each.manifest.name: each for each in found if isinstance(each, CatalogEntry)}
        catalog = Catalog(entries, broken)
        return choose(catalog, self.running, self.owners, self.records, self._stored, **more)

    def _stored(self, name: str, digest: str) -> CatalogEntry:
        found = self.kept.get(name)
        if found is None or found.digest != digest:
            raise StoreError("it is not stored")
        return found

    def pin(self, plugin: CatalogEntry, by: PinnedBy, against: CatalogEntry | None = None) -> None:
        """
        It is to run, whatever its folder has.
        """
        assert plugin.digest is not None
        pin = Pin(plugin.digest, by, None if against is None else against.digest)
        self.records = self.records.pinned(plugin.manifest.name, pin)


class FolderTests(ChoiceCase):
    """
    What is in folders.
    """

    def test_new(self) -> None:
        """
        It is what the folder has; what has the same files as what runs is that.
        """
        self.assertIs(self.choose(NEW).entries["a"], NEW)
        self.assertIs(self.choose(entry("a", "1.0")).entries["a"], OLD)

    def test_gone(self) -> None:
        """
        Without a folder there is none.
        """
        self.assertEqual(self.choose().entries, {})

    def test_failedBefore(self) -> None:
        """
        What failed before is not tried again: what runs goes on, and a newcomer is left out, with a hint.
        """
        newcomer = entry("b")
        choice = self.choose(NEW, newcomer, hasFailed=lambda plugin: plugin in (NEW, newcomer))
        self.assertEqual(choice.entries, {"a": OLD})
        (broken,) = choice.broken
        self.assertEqual((broken.name, broken.wanted), ("b", False))
        self.assertIn("version 1.0.0 failed before", broken.problems[0].message)
        self.assertEqual(choice.refusedNewcomers, {newcomer.source: newcomer.digest})

    def test_broken(self) -> None:
        """
        What cannot be used is refused, and what runs goes on in its place.
        """
        broken = brokenEntry("a")
        choice = self.choose(broken)
        self.assertEqual((choice.entries, choice.broken), ({"a": OLD}, ()))
        (refusal,) = choice.refusals
        self.assertEqual((refusal.plugin, refusal.stage, refusal.digest), ("a", "files", broken.digest))
        self.assertEqual(choice.refusedNewcomers, {})

    def test_brokenNewcomer(self) -> None:
        """
        Where nothing runs, it is wanted only if the edge does not start without it.
        """
        broken = brokenEntry("b")
        for isNeeded in (False, True):
            choice = self.choose(OLD, broken, isNeeded=lambda name: isNeeded)  # noqa: B023
            self.assertEqual([(each.name, each.wanted) for each in choice.broken], [("b", isNeeded)])
            self.assertEqual(choice.refusedNewcomers, {broken.source: broken.digest})

    def test_copy(self) -> None:
        """
        A folder that claims a name which is taken is refused, and the owner of the name is not.
        """
        copy = entry("a", "9.9")
        copy = CatalogEntry(copy.manifest, "directory", copy.bundle, "plugins/b/plugin.json")
        choice = self.choose(NEW, duplicate(copy, NEW.source))
        self.assertIs(choice.entries["a"], NEW)
        self.assertIn('"a" is also the name of the plugin in plugins/a', choice.refusals[0].message)
        self.assertEqual(choice.refusedNewcomers, {copy.source: copy.digest})

    def test_brokenOwner(self) -> None:
        """
        While the owner is broken, another that claims its name does not take its place.
        """
        copy = CatalogEntry(NEW.manifest, "directory", NEW.bundle, "plugins/b/plugin.json")
        choice = self.choose(copy, brokenEntry("a"))
        self.assertIs(choice.entries["a"], OLD)
        self.assertEqual(choice.refusedNewcomers, {copy.source: copy.digest})

    def test_namedByFolder(self) -> None:
        """
        A manifest that cannot be read tells no name: then its folder does, by whom it belongs to.
        """
        nameless = BrokenPlugin("folder", True, "plugins/folder/plugin.json", ())
        self.owners = {"a": Path("plugins/folder")}
        choice = self.choose(nameless)
        self.assertEqual(([each.plugin for each in choice.refusals], choice.entries), (["a"], {"a": OLD}))

    def test_dropInUnderBroken(self) -> None:
        """
        An installed plugin with the name of a broken folder runs; where that folder is needed, it is told.
        """
        (installed,) = DropInFactories([INSTALLED]).told.entries
        broken = brokenEntry("dropped")
        self.assertEqual(self.choose(installed, broken).broken, ())
        choice = self.choose(installed, broken, isNeeded=lambda name: True)
        self.assertEqual((choice.entries["dropped"], len(choice.broken)), (installed, 1))


class PinTests(ChoiceCase):
    """
    What is pinned.
    """

    def test_running(self) -> None:
        """
        What runs and is pinned is not even looked for in the store.
        """
        self.kept.clear()
        self.pin(OLD, "user")
        self.assertIs(self.choose(NEW).entries["a"], OLD)

    def test_stored(self) -> None:
        """
        Another version comes from the store, also without a folder.
        """
        self.running = {"a": NEW}
        self.pin(OLD, "user")
        self.assertIs(self.choose(NEW).entries["a"], OLD)
        self.assertIs(self.choose().entries["a"], OLD)

    def test_notStored(self) -> None:
        """
        Where it cannot be had, what runs goes on, or nothing does, and what to do is told.
        """
        self.kept.clear()
        self.pin(NEWER, "user")
        choice = self.choose(NEW)
        self.assertIs(choice.entries["a"], OLD)
        (refusal,) = choice.refusals
        self.assertEqual((refusal.stage, refusal.digest), ("store", NEWER.digest))
        self.assertIn("revproxy unpin a", refusal.message)
        self.running = {}
        choice = self.choose(NEW)
        self.assertEqual((choice.entries, [each.name for each in choice.broken]), ({}, ["a"]))

    def test_released(self) -> None:
        """
        A pin that nobody set ends when the folder has something new; that of a user does not.
        """
        self.pin(OLD, "quarantine", against=NEW)
        self.assertEqual((self.choose(NEW).entries["a"], self.choose(NEW).released), (OLD, ()))
        self.assertEqual((self.choose(NEWER).entries["a"], self.choose(NEWER).released), (NEWER, ("a",)))
        self.assertEqual(self.choose().released, ())
        self.pin(OLD, "user", against=NEW)
        self.assertEqual((self.choose(NEWER).entries["a"], self.choose(NEWER).released), (OLD, ()))
