"""Bundles: which bytes are a plugin."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.bundles.bundle import ATTEMPTS, BundleReader, makeBundle, readBundle
from revproxy.config.problems import ConfigErrors


class BundleTestCase(SynchronousTestCase):
    """A small plugin's folder."""

    def setUp(self) -> None:
        self.root = Path(self.mktemp()).absolute()
        self.folder = self.root / "demo"
        self.write("plugin.json", "{}")
        self.write("plugin.py", "x = 1\n")

    def write(self, path: str, text: str) -> None:
        """A file below the folder."""
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(text)

    def refused(self, **options: int) -> str:
        """The message with which the folder is refused."""
        return str(self.assertRaises(ConfigErrors, readBundle, self.folder, **options))


class ReadTests(BundleTestCase):
    """`readBundle`."""

    def test_files(self) -> None:
        """All files, those of folders below included, by path."""
        self.write("inner/data.txt", "d")
        bundle = readBundle(self.folder)
        self.assertEqual(bundle.name, "demo")
        self.assertEqual(bundle.files, {"inner/data.txt": b"d", "plugin.json": b"{}", "plugin.py": b"x = 1\n"})
        self.assertEqual(list(bundle.files), sorted(bundle.files))

    def test_passing(self) -> None:
        """Byte code, hidden files and what editors leave are no part of it."""
        before = readBundle(self.folder)
        for path in ("__pycache__/plugin.cpython-311.pyc", "plugin.pyc", ".hidden", ".git/config", "plugin.py~",
                     ".plugin.py.swp", "_trial_temp.lock", "4913", "#plugin.py#", "plugin.py.tmp"):
            self.write(path, "junk")
        self.assertEqual(readBundle(self.folder), before)

    def test_digest(self) -> None:
        """The digest depends on paths and contents and on nothing else."""
        bundle = readBundle(self.folder)
        self.assertEqual(len(bundle.digest), 64)
        self.assertEqual(makeBundle("other", dict(reversed(bundle.files.items()))).digest, bundle.digest)
        digests = {makeBundle("x", files).digest for files in (
            {"a": b"bc"}, {"ab": b"c"}, {"a": b"b", "c": b""}, {"a": b"", "bc": b""}, {})}
        self.assertEqual(len(digests), 5)

    def test_codeDigest(self) -> None:
        """A second digest is over everything but plugin.json, and of nothing else does it take no notice."""
        one = makeBundle("x", {"plugin.json": b"{}", "plugin.py": b"", "inner/plugin.json": b""})
        for path in one.files:
            other = makeBundle("x", {**one.files, path: b"other"})
            self.assertNotEqual(other.digest, one.digest)
            self.assertEqual(other.codeDigest == one.codeDigest, path == "plugin.json")

    def test_linkedFolder(self) -> None:
        """The folder itself may be a link, as deployments switch versions."""
        link = self.root / "current"
        link.symlink_to(self.folder)
        self.assertEqual(readBundle(link).digest, readBundle(self.folder).digest)
        self.assertEqual(readBundle(link).name, "current")

    def test_linkInside(self) -> None:
        """A link inside is refused, whatever it points to, by name."""
        for name, target in (("a.py", "/etc/passwd"), ("b", "/etc"), ("c.py", "plugin.py"), ("d", "nowhere")):
            link = self.folder / name
            link.symlink_to(target)
            self.assertEqual(self.refused(),
                             f"{link}: is a symbolic link; a plugin consists of plain files, copy it")
            link.unlink()

    def test_specialFile(self) -> None:
        """A pipe is refused, and nobody waits for its other end."""
        os.mkfifo(self.folder / "pipe")
        self.assertEqual(self.refused(), f"{self.folder / 'pipe'}: is neither a file nor a folder")

    def test_required(self) -> None:
        """plugin.py and plugin.json must be there."""
        for name in ("plugin.py", "plugin.json"):
            (self.folder / name).rename(self.folder / "away")
            self.assertEqual(self.refused(), f"{self.folder / name}: there is no {name}; a plugin's folder needs one")
            (self.folder / "away").rename(self.folder / name)

    def test_absent(self) -> None:
        """A folder that is not there, or is a file."""
        error = self.assertRaises(ConfigErrors, readBundle, self.root / "none")
        self.assertEqual(str(error), f"{self.root / 'none'}: cannot be read: No such file or directory")
        self.assertRaises(ConfigErrors, readBundle, self.folder / "plugin.py")

    def test_limits(self) -> None:
        """Bytes of all files together, their number, and the depth of folders are bounded."""
        self.assertEqual(len(readBundle(self.folder, maxBytes=8, maxFiles=2).files), 2)
        self.assertEqual(self.refused(maxBytes=7), f"{self.folder / 'plugin.py'}: the plugin has more than the 7 "
                         "bytes of plugins.max_bytes")
        self.assertEqual(self.refused(maxFiles=1), f"{self.folder / 'plugin.py'}: the plugin has more than 1 files")
        self.write("/".join("d" * 20) + "/x.py", "")
        self.assertIn("folders are nested too deeply", self.refused())

    def test_noDescriptorsLeft(self) -> None:
        """Every descriptor is closed, also after a refusal."""
        before = len(os.listdir("/proc/self/fd"))
        readBundle(self.folder)
        self.refused(maxBytes=1)
        self.assertLessEqual(len(os.listdir("/proc/self/fd")), before)

    if not os.path.isdir("/proc/self/fd"):
        test_noDescriptorsLeft.skip = "no /proc here"  # type: ignore[attr-defined]


class SignatureTests(BundleTestCase):
    """What vouches for a plugin."""

    FILES = ("plugin.manifest.json", "plugin.manifest.json.sshsig", "plugin.manifest.json.minisig")

    def test_outside(self) -> None:
        """It is read with the folder, and the version is the same without it."""
        before = readBundle(self.folder)
        self.assertEqual(before.signature, {})
        for name in self.FILES:
            self.write(name, name)
        bundle = readBundle(self.folder, maxFiles=2)
        self.assertEqual(bundle.signature, {name: name.encode() for name in self.FILES})
        self.assertEqual((bundle, bundle.files), (before, before.files))

    def test_onlyThere(self) -> None:
        """A file of that name in a folder below is one like any other."""
        self.write(f"inner/{self.FILES[0]}", "x")
        self.assertIn(f"inner/{self.FILES[0]}", readBundle(self.folder).files)

    def test_cannotBePassedOver(self) -> None:
        """Whatever .pluginignore says."""
        self.write(".pluginignore", "*.json\n*sig\n!/plugin.manifest.json\n")
        self.write(self.FILES[1], "x")
        bundle = readBundle(self.folder)
        self.assertEqual((list(bundle.signature), sorted(bundle.files)),
                         ([self.FILES[1]], [".pluginignore", "plugin.json", "plugin.py"]))

    def test_noFile(self) -> None:
        """A link, a pipe, a folder, a device in its place: the plugin is refused, and nobody waits."""
        for name in self.FILES:
            place = self.folder / name
            for make, remove, said in (
                (lambda: place.symlink_to("plugin.json"), place.unlink, "is a symbolic link"),  # noqa: B023
                (lambda: os.mkfifo(place), place.unlink, "is no plain file"),  # noqa: B023
                (place.mkdir, place.rmdir, "is no plain file"),
            ):
                make()
                self.assertIn(f"{place}: {said}", self.refused())
                remove()

    def test_large(self) -> None:
        """It is bounded, also where its size is a lie."""
        for name, limit in zip(self.FILES, (1 << 20, 16 << 10, 16 << 10), strict=True):
            self.write(name, "x" * limit)
            self.assertEqual(len(readBundle(self.folder).signature[name]), limit)
            os.truncate(self.folder / name, 10 << 30)
            self.assertEqual(self.refused(), f"{self.folder / name}: has more than {limit} bytes, the most that it may "
                                             "have")
            (self.folder / name).unlink()

    def test_unreadable(self) -> None:
        """One that a broken disk does not tell of is not taken for none."""
        self.write(self.FILES[0], "x")
        real = os.stat

        def stat(path: Any, **options: Any) -> os.stat_result:
            if path == self.FILES[0]:
                raise OSError(errno.EIO, "Input/output error")
            return real(path, **options)

        self.patch(os, "stat", stat)
        self.assertEqual(self.refused(), f"{self.folder / self.FILES[0]}: cannot be read: Input/output error")

    def test_signedMeanwhile(self) -> None:
        """While it is signed, the folder is read again: files and signature are of one state."""
        self.write(self.FILES[0], "old")
        count = 0
        real = os.read

        def read(descriptor: int, size: int) -> bytes:
            nonlocal count
            count += 1
            if count == 3:
                self.write(self.FILES[0], "new, and longer")
            return real(descriptor, size)

        self.patch(os, "read", read)
        self.assertEqual(readBundle(self.folder).signature, {self.FILES[0]: b"new, and longer"})


class ChangingTests(BundleTestCase):
    """`readBundle` while others write."""

    def during(self, change: Callable[[int], None]) -> None:
        """Have something happen after each reading of a piece of a file: ``change(how many pieces were read)``."""
        real, count = os.read, iter(range(1, 1000))

        def read(descriptor: int, size: int) -> bytes:
            piece = real(descriptor, size)
            change(next(count))
            return piece

        self.patch(os, "read", read)

    def test_twoStates(self) -> None:
        """Files of two states are never taken together: what was read before a change is read again."""
        def change(count: int) -> None:
            if count == 4:  # each file in two pieces, the second empty
                self.write("plugin.json", '{"v": 2}')
                self.write("plugin.py", "x = 2\n")

        self.during(change)
        self.assertEqual(readBundle(self.folder).files, {"plugin.json": b'{"v": 2}', "plugin.py": b"x = 2\n"})

    def test_added(self) -> None:
        """A file that comes after its folder was listed is not missed."""
        self.during(lambda count: self.write("a/late.py", "late") if count == 4 else None)
        self.assertEqual(readBundle(self.folder).files["a/late.py"], b"late")

    def test_vanishes(self) -> None:
        """A file that goes away between listing and reading, as with an editor's save, is no reason to refuse."""
        self.write("plugin.py.new", "junk")
        self.during(lambda count: (self.folder / "plugin.py.new").unlink() if count == 1 else None)
        self.assertEqual(set(readBundle(self.folder).files), {"plugin.json", "plugin.py"})

    def test_replaced(self) -> None:
        """The whole folder is switched by a rename meanwhile: the new one is read."""
        other = self.root / "other"
        shutil.copytree(self.folder, other)
        (other / "plugin.py").write_text("x = 2\n")

        def change(count: int) -> None:
            if count == 3:
                self.folder.rename(self.root / "old")
                other.rename(self.folder)

        self.during(change)
        self.assertEqual(readBundle(self.folder).files["plugin.py"], b"x = 2\n")

    def test_keepsChanging(self) -> None:
        """What never rests is refused after some attempts."""
        counted: list[int] = []

        def change(count: int) -> None:
            counted.append(count)
            os.utime(self.folder / "plugin.json", ns=(count, count))

        self.during(change)
        self.assertEqual(self.refused(), f"{self.folder}: keeps changing while it is read; it is read again once it is "
                                         "left alone")
        self.assertLess(len(counted), 5 * ATTEMPTS)

    def test_deleted(self) -> None:
        """Deleted while it is read: that is what is said."""
        self.during(lambda count: shutil.rmtree(self.folder, ignore_errors=True))
        self.assertEqual(self.refused(), f"{self.folder}: was deleted while it was read")

    def test_partlyDeleted(self) -> None:
        """Only what is required went away: that is what is said."""
        self.during(lambda count: (self.folder / "plugin.py").unlink(missing_ok=True))
        self.assertIn("there is no plugin.py", self.refused())


class ReaderTests(BundleTestCase):
    """`BundleReader`."""

    def setUp(self) -> None:
        super().setUp()
        self.contents = 0
        self.time = time.time() + 60
        self.reader = BundleReader(lambda: self.time)
        real = os.read

        def read(descriptor: int, size: int) -> bytes:
            self.contents += 1
            return real(descriptor, size)

        self.patch(os, "read", read)

    def freeze(self) -> None:
        """From now on all files were changed at the time 1000, whatever happens to them: a tick of a coarse clock."""
        real = os.stat

        def frozen(*args: Any, **options: Any) -> Any:
            found = real(*args, **options)
            if "dir_fd" not in options:
                return found
            names = ("st_mode", "st_dev", "st_ino", "st_size")
            times = dict.fromkeys(("st_mtime_ns", "st_ctime_ns"), 1000 * 10**9)
            return SimpleNamespace(**{name: getattr(found, name) for name in names}, **times)

        self.patch(os, "stat", frozen)

    def test_unchanged(self) -> None:
        """The very same bundle, and no content is read."""
        bundle = self.reader.read(self.folder)
        self.contents = 0
        self.assertIs(self.reader.read(self.folder), bundle)
        self.assertEqual(self.contents, 0)

    def test_changes(self) -> None:
        """Whatever changes a file's content, its place or its name is seen."""
        self.write("inner/a.py", "a")

        def sameSizeAndTime() -> None:
            file = self.folder / "plugin.py"
            found = file.stat()
            deadline = time.monotonic() + 5
            while file.stat().st_ctime_ns == found.st_ctime_ns and time.monotonic() < deadline:  # within one tick
                file.write_text("x = 7\n")
                os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))
            self.assertEqual(file.stat().st_size, found.st_size)

        def swapped() -> None:
            self.folder.rename(self.root / "old")
            shutil.copytree(self.root / "old", self.folder)
            self.write("plugin.py", "x = 9\n")

        for change in (
            lambda: self.write("plugin.py", "longer"),
            lambda: self.write("inner/b.py", "b"),
            lambda: os.rename(self.folder / "inner/b.py", self.folder / "inner/c.py"),
            lambda: os.rename(self.folder / "inner", self.folder / "outer"),
            lambda: (self.folder / "outer/c.py").unlink(),
            sameSizeAndTime,
            swapped,
        ):
            before = self.reader.read(self.folder)
            change()
            after = self.reader.read(self.folder)
            self.assertNotEqual(after.digest, before.digest)
            self.assertEqual(after, readBundle(self.folder))

    def test_link(self) -> None:
        """A link that is switched to another folder is seen."""
        other = self.root / "other"
        shutil.copytree(self.folder, other)
        (other / "plugin.py").write_text("x = 2\n")
        link = self.root / "current"
        link.symlink_to(self.folder)
        before = self.reader.read(link)
        link.unlink()
        link.symlink_to(other)
        self.assertNotEqual(self.reader.read(link).digest, before.digest)

    def test_touched(self) -> None:
        """Touched, and the same content: it is read, and the same object comes back."""
        bundle = self.reader.read(self.folder)
        os.utime(self.folder / "plugin.py", ns=(1, 1))
        self.contents = 0
        self.assertIs(self.reader.read(self.folder), bundle)
        self.assertGreater(self.contents, 0)

    def test_signedAgain(self) -> None:
        """Another signature is seen, and the version stays what it is."""
        before = self.reader.read(self.folder)
        for text in ("1", "2"):
            self.write("plugin.manifest.json", text)
            after = self.reader.read(self.folder)
            self.assertEqual((after.digest, after.signature), (before.digest, {"plugin.manifest.json": text.encode()}))
            self.assertIs(self.reader.read(self.folder), after)
        (self.folder / "plugin.manifest.json").unlink()
        self.assertEqual(self.reader.read(self.folder).signature, {})

    def test_passing(self) -> None:
        """What is no part of the plugin may come and go."""
        self.reader.read(self.folder)
        self.contents = 0
        self.write("__pycache__/plugin.pyc", "junk")
        self.reader.read(self.folder)
        self.assertEqual(self.contents, 0)

    def test_young(self) -> None:
        """A file that changed just before it was read may change again within one tick: it is read again."""
        self.freeze()
        self.time = 1001.9
        self.assertEqual(self.reader.read(self.folder).files["plugin.py"], b"x = 1\n")
        self.write("plugin.py", "x = 2\n")
        self.time = 1002.1
        self.assertEqual(self.reader.read(self.folder).files["plugin.py"], b"x = 2\n")
        self.contents = 0
        self.reader.read(self.folder)
        self.assertEqual(self.contents, 0)

    def test_refused(self) -> None:
        """After a refusal nothing is known; the same folder put right is read."""
        bundle = self.reader.read(self.folder)
        (self.folder / "plugin.py").rename(self.root / "away")
        self.assertRaises(ConfigErrors, self.reader.read, self.folder)
        (self.folder / "link.py").symlink_to("plugin.json")
        self.assertRaises(ConfigErrors, self.reader.read, self.folder)
        (self.folder / "link.py").unlink()
        (self.root / "away").rename(self.folder / "plugin.py")
        self.assertEqual(self.reader.read(self.folder), bundle)

    def test_lowered(self) -> None:
        """With a lower bound it is refused, though nothing in it has changed; with the old one it is as before."""
        bundle = self.reader.read(self.folder, 8)
        self.assertIs(self.reader.read(self.folder, 8), bundle)
        self.assertRaises(ConfigErrors, self.reader.read, self.folder, 7)
        self.assertEqual(self.reader.read(self.folder, 8), bundle)

    def test_linkAdded(self) -> None:
        """A link that comes into a known folder is refused as ever."""
        self.reader.read(self.folder)
        (self.folder / "link.py").symlink_to("/etc/passwd")
        self.assertIn("is a symbolic link", str(self.assertRaises(ConfigErrors, self.reader.read, self.folder)))

    def test_retain(self) -> None:
        """All folders but the named ones are forgotten."""
        self.reader.read(self.folder)
        self.reader.retain([self.folder])
        self.contents = 0
        self.reader.read(self.folder)
        self.assertEqual(self.contents, 0)
        self.reader.retain([])
        self.reader.read(self.folder)
        self.assertGreater(self.contents, 0)

    def test_noFileOpened(self) -> None:
        """A rescan opens folders only, so that it does not wake those who watch files."""
        self.reader.read(self.folder)
        opened: list[Any] = []
        real = os.open

        def recording(path: Any, flags: int, *args: Any, **options: Any) -> int:
            opened.append(path)
            return real(path, flags, *args, **options)

        self.patch(os, "open", recording)
        self.reader.read(self.folder)
        self.assertEqual(opened, [str(self.folder)])
