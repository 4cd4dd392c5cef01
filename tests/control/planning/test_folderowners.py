"""
Which folder owns a plugin's name.
"""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.bundles.bundle import makeBundle
from revproxy.control.planning.folderowners import folderOwners, movedOwners
from revproxy.control.state.records import PluginRecords
from revproxy.plan.catalog import BrokenPlugin, Catalog, CatalogEntry
from revproxy.worker.lifecycle.dropins import DropInFactories
from tests.plan.plans import INSTALLED, entry

PLUGINS = Path("/plugins")


def moved(plugin: CatalogEntry, folder: str) -> CatalogEntry:
    """The same files in another folder."""
    assert plugin.bundle is not None
    bundle = makeBundle(folder, plugin.bundle.files, PLUGINS / folder)
    return CatalogEntry(plugin.manifest, plugin.origin, bundle, f"/plugins/{folder}/plugin.json")


def copyOf(plugin: CatalogEntry) -> BrokenPlugin:
    """What comes of a folder whose plugin's name is another one's."""
    return BrokenPlugin(plugin.manifest.name, True, plugin.source, (), plugin.bundle)


class FolderOwnersTests(SynchronousTestCase):
    """
    While the edge runs.
    """

    def test_remembered(self) -> None:
        """
        It is the folder that is remembered, below where plugins are now; else the one that was read.
        """
        running = {"a": entry("a"), "b": entry("b")}
        records = PluginRecords().ran("a", "1" * 64, "1.0", 0.0).foundIn("a", "a-copy")
        self.assertEqual(
            folderOwners(running, records, Path("/elsewhere")),
            {"a": Path("/elsewhere/a-copy"), "b": PLUGINS / "b"},
        )
        self.assertEqual(folderOwners(running, records, None)["a"], PLUGINS / "a")

    def test_dropIn(self) -> None:
        """
        What is installed has no folder.
        """
        (installed,) = DropInFactories([INSTALLED]).told.entries
        self.assertEqual(folderOwners({"dropped": installed}, PluginRecords(), PLUGINS), {})


class MovedOwnersTests(SynchronousTestCase):
    """
    While it did not run.
    """

    def setUp(self) -> None:
        self.ran = entry("a")
        self.running = {"a": self.ran}
        self.owners = {"a": PLUGINS / "a"}

    def test_moved(self) -> None:
        """
        A folder that has what ran, under another name, is the owner, though another one has its place.
        """
        there, intruder = moved(self.ran, "a.old"), moved(entry("a", "9.9"), "other")
        found = Catalog({"a": intruder}, (copyOf(there),))
        self.assertEqual(movedOwners(self.owners, self.running, found), {"a": PLUGINS / "a.old"})

    def test_stayed(self) -> None:
        """
        Where its folder is what it was, copies are copies.
        """
        found = Catalog({"a": entry("a", "2.0")}, (copyOf(moved(self.ran, "a.old")),))
        self.assertEqual(movedOwners(self.owners, self.running, found), {})

    def test_strangers(self) -> None:
        """
        Folders with something else are not the owner, and neither are those of plugins that did not run.
        """
        broken = (copyOf(moved(entry("a", "3.0"), "a.old")), copyOf(moved(entry("b"), "b.old")))
        found = Catalog({"a": moved(entry("a", "9.9"), "other")}, broken)
        self.assertEqual(movedOwners(self.owners, self.running, found), {})
