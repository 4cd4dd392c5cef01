"""What files look like from outside."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.bundles.ignorerules import isPassing
from revproxy.control.watch.fingerprint import MAX_DEPTH, Root, fingerprintOf


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


class CertificateTests(SynchronousTestCase):
    """Folders of certificates, as those have them who renew certificates."""

    def setUp(self) -> None:
        self.base = Path(self.mktemp()).absolute()
        self.base.mkdir(parents=True)

    def make(self, *files: str) -> None:
        for file in files:
            path = self.base / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("PEM")

    def assertDifference(self, place: Root | Path, act: Callable[[], object], *differing: str) -> None:
        """What is done makes a difference at these paths, and no other."""
        before = fingerprintOf([place], isPassing)
        act()
        after = fingerprintOf([place], isPassing)
        paths = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
        self.assertEqual(paths, {str(self.base / path) for path in differing})

    def swap(self, link: Path, target: str) -> None:
        """Have a link lead elsewhere, as Kubernetes does."""
        new = link.with_name(link.name + "_tmp")
        new.symlink_to(target)
        new.rename(link)

    def renew(self, file: str) -> None:
        self.make("new")
        (self.base / "new").rename(self.base / file)

    def test_kubernetes(self) -> None:
        """Links through a hidden link that is exchanged: the names that can be seen differ."""
        self.make("certs/..1/tls.crt", "certs/..1/tls.key", "certs/..2/tls.crt", "certs/..2/tls.key")
        folder = self.base / "certs"
        (folder / "..data").symlink_to("..1")
        for name in ("tls.crt", "tls.key"):
            (folder / name).symlink_to(f"..data/{name}")
        seen = ("certs/tls.crt", "certs/tls.key")
        self.assertDifference(folder, lambda: self.swap(folder / "..data", "..2"), *seen)
        self.assertDifference(Root(str(folder), isPassing, 0), lambda: self.swap(folder / "..data", "..1"), *seen)
        self.assertDifference(folder / "tls.crt", lambda: self.swap(folder / "..data", "..2"), "certs/tls.crt")

    def test_certbot(self) -> None:
        """Links that are replaced; with the folder given, and the one above it."""
        self.make(*(f"archive/a.example/fullchain{number}.pem" for number in (1, 2, 3)))
        link = self.base / "live" / "a.example" / "fullchain.pem"
        link.parent.mkdir(parents=True)
        link.symlink_to("../../archive/a.example/fullchain1.pem")

        for place, number in ((link.parent, 2), (link.parent.parent, 3)):
            act = partial(self.swap, link, f"../../archive/a.example/fullchain{number}.pem")
            self.assertDifference(place, act, "live/a.example/fullchain.pem")

    def test_renewedBehindALink(self) -> None:
        """A link stays, and the file it leads to is replaced: in a folder, further down, and given by itself."""
        self.make("real.pem", "certs/deep/x")
        for name in ("one.pem", "deep/two.pem"):
            (self.base / "certs" / name).symlink_to(self.base / "real.pem")
        renew = partial(self.renew, "real.pem")
        self.assertDifference(self.base / "certs", renew, "certs/one.pem", "certs/deep/two.pem")
        self.assertDifference(self.base / "certs" / "one.pem", renew, "certs/one.pem")

    def test_folderIsALink(self) -> None:
        """A folder that is given may be a link, and have links before it."""
        self.make("v1/sub/x.pem", "v2/sub/x.pem")
        (self.base / "current").symlink_to("v1")
        (self.base / "certs").symlink_to("current/sub")
        act = partial(self.swap, self.base / "current", "v2")
        self.assertDifference(self.base / "certs", act, "certs", "certs/x.pem")

    def test_flat(self) -> None:
        """Of a folder without depth only what is directly in it counts, wherever its links lead."""
        self.make("certs/a.pem", "certs/sub/b.pem", "elsewhere/c.pem")
        (self.base / "certs" / "all").symlink_to(self.base)
        found = fingerprintOf([Root(str(self.base / "certs"), depth=0)])
        names = ("certs", "certs/a.pem", "certs/sub", "certs/all")
        self.assertEqual(found.keys(), {str(self.base / name) for name in names})

    def test_unreadable(self) -> None:
        """What may not be listed, and cannot be reached, costs nothing else; to be let in again is a difference."""
        self.make("secret/x.pem", "open/x.pem", "file")
        (self.base / "loop").symlink_to("loop")
        secret = str(self.base / "secret")
        listdir = os.listdir

        def forbidding(path: str) -> list[str]:
            if path == secret:
                raise PermissionError(13, "Permission denied", path)
            return listdir(path)

        roots = [self.base / name for name in ("loop", "loop/x", "file/x", "x" * 300, "absent", "secret", "open")]
        patch = self.patch(os, "listdir", forbidding)
        found = fingerprintOf(roots)
        patch.restore()
        names = ("secret", "open", "open/x.pem")
        self.assertEqual(found.keys(), {str(self.base / name) for name in names})
        self.assertNotEqual(fingerprintOf(roots), found)


class RootTests(SynchronousTestCase):
    """`Root`."""

    def test_counts(self) -> None:
        """What is below counts, as deep as it goes, apart from names that are passed over; not what is beside it."""
        deep, flat = Root("/a/.b", isPassing), Root("/a/.b", depth=0)
        paths = ("/a/.b", "/a/.b/c", "/a/.b/.c", "/a/.b/c/d", "/a/.b/.c/d", "/a", "/a/.bc", "/")
        self.assertEqual([path for path in paths if deep.counts(path)], ["/a/.b", "/a/.b/c", "/a/.b/c/d"])
        self.assertEqual([path for path in paths if flat.counts(path)], ["/a/.b", "/a/.b/c", "/a/.b/.c"])

    def test_everything(self) -> None:
        """The root of all may be one."""
        self.assertTrue(Root("/").counts("/etc"))
