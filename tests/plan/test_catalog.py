"""
The plugins there are, as values.
"""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.bundles.bundle import makeBundle
from revproxy.plan.catalog import BrokenPlugin, Catalog, CatalogEntry, Selected, duplicate, entryOf
from revproxy.plan.versionid import VersionId
from revproxy.worker.lifecycle.dropins import DropInFactories
from tests.plan.plans import INSTALLED, brokenEntry, entry


class EntryTests(SynchronousTestCase):
    """
    One plugin.
    """

    def test_version(self) -> None:
        """
        It is called by its number and the digest of its files; what is installed has none.
        """
        plugin = entry("a", "1.2")
        assert plugin.bundle is not None
        self.assertEqual(plugin.version, VersionId("1.2", plugin.bundle.digest))
        (installed,) = DropInFactories([INSTALLED]).told.entries
        self.assertEqual(installed.version, VersionId("2.0rc1"))

    def test_isCodeOf(self) -> None:
        """
        With another configuration it is the same code; with another file, number, or requirement, it is not.
        """
        plugin = entry("a", config={"x": 1})
        self.assertTrue(plugin.isCodeOf(entry("a", config={"x": 1})))
        self.assertTrue(plugin.isCodeOf(entry("a", config={"x": 2})))
        for other in (entry("a", "2.0"), entry("a", requires={"b": ""}), entry("a", code="")):
            self.assertFalse(plugin.isCodeOf(other))
        (installed,) = DropInFactories([INSTALLED]).told.entries
        self.assertTrue(installed.isCodeOf(installed))
        self.assertFalse(installed.isCodeOf(plugin))

    def test_broken(self) -> None:
        """
        A bundle whose manifest will not do is a broken plugin, with the place of what is wrong, and its files.
        """
        files = {"plugin.json": b'{"name": "a",\n "version": "one"}', "plugin.py": b""}
        bundle = makeBundle("folder", files, Path("/plugins/folder"))
        broken = entryOf(bundle, "plugins/folder/plugin.json")
        assert isinstance(broken, BrokenPlugin)
        (problem,) = broken.problems
        self.assertEqual((problem.source, problem.line, problem.path), ("plugins/folder/plugin.json", 2, "$.version"))
        self.assertEqual((broken.name, broken.digest), ("folder", bundle.digest))

    def test_duplicate(self) -> None:
        """
        A name that is taken is a problem at the place of the name.
        """
        plugin = entry("a")
        (problem,) = duplicate(plugin, "plugins/other").problems
        self.assertIn('plugins/a/plugin.json:2:2: $.name: "a" is also the name of the plugin in', str(problem))
        nowhere = CatalogEntry(entry("a").manifest, "dropin", None, "site.module")
        self.assertEqual(duplicate(nowhere, "x").digest, None)

    def test_problems(self) -> None:
        """
        A catalogue has the problems of all that is broken in it.
        """
        first, second = brokenEntry("a"), brokenEntry("b")
        self.assertEqual(Catalog({}, (first, second)).problems, first.problems + second.problems)


class SelectedTests(SynchronousTestCase):
    """
    One plugin that runs.
    """

    def test_configFor(self) -> None:
        """
        A route group has what is said of it, also that the plugin is off there; else what holds everywhere.
        """
        everywhere, own = {"x": 1}, {"x": 2}
        selected = Selected(entry("a"), everywhere, {1: own, 2: None})
        self.assertEqual([selected.configFor(group) for group in range(4)], [everywhere, own, None, everywhere])
        self.assertEqual((selected.name, selected.manifest.name), ("a", "a"))
