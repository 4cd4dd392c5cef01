"""Which plugins there are."""

from __future__ import annotations

from twisted.plugin import getPlugins

import revproxy.plugins
from revproxy.config.problems import ConfigErrors
from revproxy.control.catalogreader import readCatalog
from revproxy.interfaces import IMiddlewareFactory
from revproxy.plan.catalog import Catalog
from revproxy.worker.lifecycle.dropins import DropInFactories
from tests.control.catalogs import CatalogTestCase, dropIn


class ReadTests(CatalogTestCase):
    """`readCatalog`."""

    def test_both(self) -> None:
        """Folders and drop-ins are one catalogue, by name; a folder's own name does not matter."""
        place = self.plugin("b", folder="other")
        catalog = self.catalog(dropIn("a"))
        self.assertEqual(list(catalog.entries), ["a", "b"])
        self.assertEqual([entry.origin for entry in catalog.entries.values()], ["dropin", "directory"])
        self.assertEqual(catalog.entries["b"].source, str(place / "plugin.json"))
        bundle = catalog.entries["b"].bundle
        assert bundle is not None
        self.assertEqual(sorted(bundle.files), ["plugin.json", "plugin.py"])
        self.assertEqual(catalog.entries["a"].source, dropIn.__module__)

    def test_passedOver(self) -> None:
        """Files, hidden folders and folders without a plugin.json are no plugins."""
        (self.folder / "README").write_text("")
        (self.folder / "empty").mkdir()
        self.plugin("a", folder=".a")
        self.assertEqual(self.catalog(), Catalog({}))

    def test_linkedFolder(self) -> None:
        """A plugin's folder may be a link."""
        self.plugin("a").rename(self.root / "a-1.0")
        (self.folder / "a").symlink_to(self.root / "a-1.0")
        self.assertEqual(list(self.catalog().entries), ["a"])

    def test_noDirectory(self) -> None:
        """Without a folder there are drop-ins only; one that cannot be read is refused."""
        self.assertEqual(list(readCatalog(None, DropInFactories([dropIn("a")]).told).entries), ["a"])
        error = self.assertRaises(ConfigErrors, readCatalog, self.root / "none")
        self.assertIn("none: cannot be read: No such file or directory", str(error))

    def test_broken(self) -> None:
        """Broken plugins do not hide the others; each keeps its problems."""
        self.plugin("good")
        (self.plugin("bad") / "plugin.json").write_text("{")
        (self.plugin("half") / "plugin.py").unlink()
        catalog = self.catalog(dropIn("Bad"))
        self.assertEqual(list(catalog.entries), ["good"])
        self.assertEqual([broken.name for broken in catalog.broken], ["Bad", "bad", "half"])
        self.assertEqual(len(catalog.problems), 3)

    def test_duplicates(self) -> None:
        """A name given twice is refused, naming both places."""
        first, second = self.plugin("a", folder="x"), self.plugin("a", folder="y")
        self.assertEqual(self.refused(self.config(), dropIn("a")), [
            f'{first}/plugin.json:1:2: $.name: "a" is also the name of the plugin in {dropIn.__module__}; '
            "give one of them another name",
            f'{second}/plugin.json:1:2: $.name: "a" is also the name of the plugin in {dropIn.__module__}; '
            "give one of them another name"])

    def test_getPlugins(self) -> None:
        """What is found without being given is what Twisted's plugin system finds."""
        found = [factory.manifest["name"] for factory in getPlugins(IMiddlewareFactory, revproxy.plugins)]
        self.flushLoggedErrors()
        self.assertEqual(sorted(readCatalog(None, DropInFactories().told).entries), sorted(found))
        self.flushLoggedErrors()
