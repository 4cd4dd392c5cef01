"""What files look like from outside."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.bundles.bundle import isPassing
from revproxy.control.watch.fingerprint import MAX_DEPTH, fingerprintOf


class FingerprintTests(SynchronousTestCase):
    """`fingerprintOf`."""

    def setUp(self) -> None:
        self.base = Path(self.mktemp()).absolute()
        self.folder = self.base / "plugins"
        (self.folder / "one").mkdir(parents=True)
        self.file = self.folder / "one" / "plugin.py"
        self.file.write_text("1")

    def fingerprint(self) -> object:
        return fingerprintOf([self.folder], isPassing)

    def assertDiffers(self, before: object) -> object:
        after = self.fingerprint()
        self.assertNotEqual(before, after)
        return after

    def test_same(self) -> None:
        """Nothing done, or only read, is no difference."""
        before = self.fingerprint()
        self.file.read_text()
        self.assertEqual(before, self.fingerprint())

    def test_differences(self) -> None:
        """Written, replaced by an older one of the same size, made unreadable, renamed, deleted."""
        at = self.fingerprint()
        self.file.write_text("22")
        at = self.assertDiffers(at)
        older = self.base / "older"
        older.write_text("33")
        os.utime(older, (1, 1))
        older.rename(self.file)
        at = self.assertDiffers(at)
        self.file.chmod(0)
        at = self.assertDiffers(at)
        self.file.rename(self.folder / "one" / "b.py")
        at = self.assertDiffers(at)
        shutil.rmtree(self.folder / "one")
        at = self.assertDiffers(at)
        shutil.rmtree(self.folder)
        self.assertEqual(fingerprintOf([self.folder]), {})
        self.assertDiffers(at)

    def test_skipped(self) -> None:
        """Files that are passed over make no difference, nor does what is below such a folder; named ones count."""
        before = self.fingerprint()
        (self.folder / "one" / "__pycache__").mkdir()
        (self.folder / "one" / "__pycache__" / "x").touch()
        hidden = self.folder / "one" / ".x"
        hidden.touch()
        self.assertEqual(before, self.fingerprint())
        self.assertEqual(list(fingerprintOf([hidden], isPassing)), [str(hidden)])

    def test_links(self) -> None:
        """Links in the folder itself are followed, further down not; one that leads nowhere is something, too."""
        outside = self.base / "outside"
        outside.mkdir()
        (outside / "x").touch()
        (self.folder / "two").symlink_to(outside)
        (self.folder / "one" / "deep").symlink_to(outside)
        (self.folder / "nowhere").symlink_to("absent")
        found = fingerprintOf([self.folder])
        self.assertIn(str(self.folder / "two" / "x"), found)
        self.assertIn(str(self.folder / "nowhere"), found)
        self.assertNotIn(str(self.folder / "one" / "deep" / "x"), found)

    def test_exchangedLink(self) -> None:
        """A link on the way that leads elsewhere is a difference, be the files alike."""
        for version in ("v1", "v2"):
            (self.base / version).mkdir()
        current = self.base / "current"
        current.symlink_to("v1")
        (self.folder / "two").symlink_to(current)
        before = self.fingerprint()
        current.unlink()
        current.symlink_to("v2")
        self.assertDiffers(before)

    def test_circles(self) -> None:
        """Links in a circle, and folders without end, are walked so far and no further."""
        (self.folder / "all").symlink_to(".")
        (self.folder / "one" / "self").symlink_to(".")
        deep = self.folder.joinpath(*["d"] * (MAX_DEPTH + 10))
        deep.mkdir(parents=True)
        self.assertLess(len(fingerprintOf([self.folder])), 100)

    def test_strange(self) -> None:
        """Paths that cannot be are not there."""
        self.assertEqual(fingerprintOf(["/dev/null/x", "x\0y", self.base / "absent"]), {})
