"""Libraries of others are what their authors published, and keep their licences."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from tests.admin.dashboard.vendoring import LISTS, changed, digest


class VendorTests(SynchronousTestCase):
    """What is in vendor.json, and what is beside it."""

    def test_hashes(self) -> None:
        """Every file has the hash that is written down for it, and no other file lies there."""
        for path in LISTS:
            files = {
                file["to"]: file["sha256"]
                for package in json.loads(path.read_text())["packages"]
                for file in package["files"]
            }
            there = {
                each.name: digest(each.read_bytes())
                for each in path.parent.iterdir()
                if each.suffix not in (".json", ".md")
            }
            self.assertEqual(there, files)

    def test_licences(self) -> None:
        """Every package comes with its licence."""
        for path in LISTS:
            for package in json.loads(path.read_text())["packages"]:
                self.assertTrue([file for file in package["files"] if "LICENSE" in file["to"]], package["name"])

    def test_noBareNames(self) -> None:
        """A browser can load what is imported: an import map would be an inline script."""
        for each in LISTS[0].parent.glob("*.js"):
            self.assertNotRegex(each.read_text(), r"""(from|import)\s*["'](?!\./)""")

    def test_changed(self) -> None:
        """An edit that does not find its place is an error."""
        self.assertEqual(changed(b'from"preact"', [['"preact"', '"./preact.js"']]), b'from"./preact.js"')
        self.assertRaises(ValueError, changed, b"nothing", [["preact", "x"]])
