"""What drop-ins were installed with."""

from __future__ import annotations

import sys
from dataclasses import replace

import revproxy.plugins
from revproxy.bundles.distributions import Altered, Installed, distributionsOf, dropInModules, foldersOf
from tests.installing import ACME, InstallingCase

MODULE = "revproxy.plugins.acme"


class DistributionsTests(InstallingCase):
    """One is installed besides ours."""

    def found(self) -> Installed:
        """The one of the drop-in."""
        found = distributionsOf(dropInModules(revproxy.plugins))[MODULE]
        assert found is not None
        return found

    def test_found(self) -> None:
        """It is found by its files, and none of it is imported."""
        self.install()
        found = self.found()
        self.assertEqual((found.name, found.version, found.isEditable), ("acme-revproxy", "2.1.0", False))
        self.assertEqual(found.read()["acme/stamp.py"], ACME["acme/stamp.py"])
        self.assertEqual(foldersOf(found), {"acme"})
        self.assertNotIn("acme", sys.modules)

    def test_own(self) -> None:
        """Ours are ours."""
        found = distributionsOf(dropInModules(revproxy.plugins), isOthers=False)
        names = {each.name for each in found.values() if each is not None}
        self.assertEqual(names, {"revproxy"})
        self.assertIsNotNone(found["revproxy.plugins.headers"])

    def test_nobodys(self) -> None:
        """A module that no distribution has installed is nobody's."""
        (self.site / "revproxy" / "plugins" / "acme.py").write_bytes(b"1 / 0")
        self.assertIsNone(distributionsOf(dropInModules(revproxy.plugins))[MODULE])

    def test_altered(self) -> None:
        """A file that was changed, or is gone, is named."""
        self.install()
        found = self.found()
        (self.site / "acme" / "stamp.py").write_bytes(b"evil")
        error = self.assertRaises(Altered, found.read)
        self.assertIn("acme/stamp.py: was changed since acme-revproxy 2.1.0", str(error))
        (self.site / "acme" / "stamp.py").unlink()
        self.assertIn("acme/stamp.py: cannot be read", str(self.assertRaises(Altered, found.read)))

    def test_record(self) -> None:
        """Its digest is over code: another version has another one; where it is installed is no matter."""
        info = self.install()
        first = self.found().record
        self.assertRegex(first, r"^[0-9a-f]{64}$")
        with (info / "RECORD").open("a") as record:
            record.write("../../bin/acme,sha256=AAAA,3\nacme/__pycache__/stamp.cpython-311.pyc,,\n")
            record.write(f"{info.name}/INSTALLER,sha256=AAAA,4\n")
        self.assertEqual(self.found().record, first)
        self.install({**ACME, "acme/stamp.py": b"x = 1\n"})
        self.assertNotEqual(self.found().record, first)
        self.assertEqual(replace(self.found(), files={}).record, "")
