"""The store of versions: what is kept is read back, or it is said why not."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.bundles.bundle import Bundle, makeBundle
from revproxy.bundles.signature import Signers, Untrusted, verify
from revproxy.bundles.signaturefiles import SSHSIG
from revproxy.bundles.versionstore import StoreError, VersionStore
from tests.bundles.signing import plugin, signed, signedByMinisign, signer
from tests.tools import needs

NAME = "rate-limit"


class Crash(BaseException):
    """The machine stopped."""


def version(number: int, **more: bytes) -> Bundle:
    """A bundle; the number makes it another one."""
    return makeBundle(NAME, {"plugin.json": b"{}", "plugin.py": b"x = %d\n" % number, "inner/deep/a.txt": b"a", **more})


class StoreTestCase(SynchronousTestCase):
    """A store that is not there yet."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute() / "state" / "versions"
        self.store = VersionStore(self.folder)

    def refused(self, call: Callable[..., Any], *args: Any) -> str:
        """The message with which a call is refused."""
        return str(self.assertRaises(StoreError, call, *args))

    def everything(self) -> list[str]:
        """Whatever is in the plugin's folder, hidden or not."""
        return sorted(os.listdir(self.folder / NAME)) if (self.folder / NAME).exists() else []

    def whole(self, *bundles: Bundle) -> list[str]:
        """What the plugin's folder has in it when these, and nothing else, are kept."""
        return sorted(name for one in bundles for name in (one.digest, f"{one.digest}.sha256"))

    def failing(self, number: int, *steps: str, error: BaseException) -> Callable[[], None]:
        """From the n-th of these calls on, all of them fail.

        :returns: ends it.
        """
        count = iter(range(1, 100_000))
        patches = []
        for step in steps:
            real = getattr(os, step)

            def call(*args: Any, real: Any = real, **options: Any) -> Any:
                if next(count) >= number:
                    raise error
                return real(*args, **options)

            patches.append(self.patch(os, step, call))

        def restore() -> None:
            for one in patches:
                one.restore()

        return restore

    @contextmanager
    def crash(self, number: int) -> Iterator[None]:
        """From the n-th step on nothing is done any more, and the process is gone."""
        restore = self.failing(number, "mkdir", "open", "write", "fsync", "rename", "unlink", "rmdir", "listdir",
                               "scandir", error=Crash())
        try:
            yield
        finally:
            restore()


class KeepTests(StoreTestCase):
    """`VersionStore.keep` and `read`."""

    def test_nothingTouched(self) -> None:
        """Making the object and asking it makes no folder."""
        self.assertEqual(self.store.names(), ())
        self.assertEqual(self.store.digests(NAME), ())
        self.assertEqual(self.store.prune(NAME, ()), ())
        self.assertFalse(self.folder.parent.exists())

    def test_back(self) -> None:
        """The same bundle comes back, with the place it is to be known by."""
        bundle = version(1, **{"data.bin": bytes(range(256)) * 5000, "empty": b""})
        self.store.keep(NAME, bundle)
        found = self.store.read(NAME, bundle.digest, Path("/plugins/limit"))
        self.assertEqual(found, makeBundle("limit", bundle.files))
        self.assertEqual(found.directory, Path("/plugins/limit"))
        self.assertEqual(self.store.read(NAME, bundle.digest).name, NAME)

    def test_plainFiles(self) -> None:
        """On disk are the plugin's files, for their owner only."""
        bundle = version(1)
        self.store.keep(NAME, bundle)
        place = self.folder / NAME / bundle.digest
        found = {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}
        self.assertEqual(found, bundle.files)
        for path in (self.folder, *self.folder.rglob("*")):
            self.assertEqual(path.stat().st_mode & 0o777, 0o700 if path.is_dir() else 0o600, path)
        self.assertEqual(self.everything(), self.whole(bundle))

    def test_folderIsGone(self) -> None:
        """The state folder was taken away while the edge runs: it is made again, for its owner only."""
        self.store.keep(NAME, version(1))
        shutil.rmtree(self.folder.parent)
        self.addCleanup(os.umask, os.umask(0o002))
        self.store.keep(NAME, version(2))
        for path in (self.folder.parent, self.folder):
            self.assertEqual(path.stat().st_mode & 0o777, 0o700, path)

    @needs("sha256sum")
    def test_sums(self) -> None:
        """``sha256sum -c`` understands the file of sums, whatever names there are."""
        bundle = version(1, **{"a b.txt": b"1", "back\\slash": b"2", "line\nbreak": b"3", "ö\udcff": b"4"})
        self.store.keep(NAME, bundle)
        done = subprocess.run(["sha256sum", "--strict", "-c", f"{bundle.digest}.sha256"], capture_output=True,
                              cwd=self.folder / NAME)
        self.assertEqual((done.returncode, done.stdout.count(b": OK")), (0, 7), done.stderr)

    def test_again(self) -> None:
        """Kept a second time, nothing is written."""
        self.store.keep(NAME, version(1))
        before = {path: path.stat().st_ctime_ns for path in self.folder.rglob("*")}
        self.failing(1, "fsync", "rename", error=AssertionError("it writes"))
        self.store.keep(NAME, version(1))
        self.assertEqual({path: path.stat().st_ctime_ns for path in self.folder.rglob("*")}, before)

    def test_several(self) -> None:
        """Versions and plugins stand side by side; another store object sees the same."""
        self.store.keep(NAME, version(1))
        self.store.keep(NAME, version(2))
        self.store.keep("auth", version(1))
        other = VersionStore(self.folder)
        self.assertEqual(other.names(), ("auth", NAME))
        self.assertEqual(other.digests(NAME), tuple(sorted((version(1).digest, version(2).digest))))
        self.assertEqual(other.read("auth", version(1).digest).files, version(1).files)

    @given(st.dictionaries(
        st.lists(st.text(st.characters(blacklist_characters="/\0", codec="utf-8"), min_size=1, max_size=8)
                 .filter(lambda part: part not in (".", "..")), min_size=1, max_size=3).map("/".join),
        st.binary(max_size=20), max_size=5))
    def test_anyFiles(self, files: dict[str, bytes]) -> None:
        """Whatever the files are called, the same come back; where one is also a folder, it is refused."""
        bundle = makeBundle(NAME, files)
        if any(other.startswith(f"{path}/") for path in files for other in files):
            self.refused(self.store.keep, NAME, bundle)
            self.assertNotIn(bundle.digest, self.store.digests(NAME))
        else:
            self.store.keep(NAME, bundle)
            self.assertEqual(self.store.read(NAME, bundle.digest).files, files)

    def test_absent(self) -> None:
        """Which version is not there, and which others are."""
        digest = version(9).digest
        text = f"{self.folder / NAME / digest}: there is no such version of {NAME}"
        self.assertEqual(self.refused(self.store.read, NAME, digest), f"{text}; none is kept")
        self.store.keep(NAME, version(1))
        self.assertEqual(self.refused(self.store.read, NAME, digest), f"{text}; kept: {version(1).digest[:12]}")
        self.store.keep(NAME, version(2))
        both = ", ".join(sorted(version(number).digest[:12] for number in (1, 2)))
        self.assertEqual(self.refused(self.store.read, NAME, digest), f"{text}; kept: {both}")

    def test_escaping(self) -> None:
        """No name, digest or path leads out of the store; nothing is made."""
        bundle = version(1)
        for name in ("", ".", "..", "../x", "a/b", "/etc", "A", "a\n", "-a", "a\0", "a" * 65, ".new-x", "ä"):
            for call in (lambda name=name: self.store.keep(name, bundle), lambda name=name: self.store.digests(name),
                         lambda name=name: self.store.read(name, bundle.digest),
                         lambda name=name: self.store.prune(name, ())):
                self.assertIn("is no plugin's name", self.refused(call))
        for digest in ("", "..", "../..", bundle.digest.upper(), bundle.digest[:-1], bundle.digest + "\n"):
            self.assertIn("is no digest", self.refused(self.store.read, NAME, digest))
        for path in ("../x", "/x", "a/../../x", "a//b", "./a", "a/", "", "..", "x\0y"):
            text = self.refused(self.store.keep, NAME, makeBundle(NAME, {path: b"", "plugin.py": b""}))
            self.assertIn("is no path of a file inside a plugin", text)
        self.assertFalse(self.folder.exists())

    def test_linkedFolders(self) -> None:
        """A link in the store is not followed, neither to read nor to write nor to remove."""
        outside = VersionStore(self.folder.parent.parent / "outside")
        outside.keep(NAME, version(1))
        self.folder.mkdir(parents=True)
        (self.folder / NAME).symlink_to(self.folder.parent.parent / "outside" / NAME)
        self.assertEqual((self.store.names(), self.store.digests(NAME), self.store.prune(NAME, ())), ((), (), ()))
        self.refused(self.store.read, NAME, version(1).digest)
        self.refused(self.store.keep, NAME, version(2))
        self.assertEqual(outside.digests(NAME), (version(1).digest,))
        (self.folder / NAME).unlink()
        (self.folder / NAME).mkdir()
        (self.folder / NAME / version(1).digest).symlink_to(
            self.folder.parent.parent / "outside" / NAME / version(1).digest)
        self.assertEqual((self.store.digests(NAME), self.store.prune(NAME, ())), ((), ()))
        self.refused(self.store.read, NAME, version(1).digest)
        self.assertEqual(outside.read(NAME, version(1).digest), version(1))

    def test_linkedStore(self) -> None:
        """The state folder itself may be elsewhere, by a link."""
        self.folder.parent.parent.mkdir()
        elsewhere = self.folder.parent.parent / "elsewhere"
        elsewhere.mkdir()
        self.folder.parent.symlink_to(elsewhere)
        self.store.keep(NAME, version(1))
        self.assertEqual(VersionStore(elsewhere / "versions").read(NAME, version(1).digest), version(1))

    def test_threads(self) -> None:
        """Several threads may keep at once, the same and other versions."""
        errors: list[BaseException] = []

        def keep(number: int) -> None:
            try:
                self.store.keep(NAME, version(number % 3))
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=keep, args=(number,)) for number in range(12)]
        for one in threads:
            one.start()
        for one in threads:
            one.join(120)
        self.assertEqual(errors, [])
        self.assertEqual(self.everything(), self.whole(*map(version, range(3))))


class DamageTests(StoreTestCase):
    """Versions on disk that are not what was kept."""

    def setUp(self) -> None:
        super().setUp()
        self.bundle = version(1)
        self.store.keep(NAME, self.bundle)
        self.place = self.folder / NAME / self.bundle.digest

    def damage(self) -> str:
        """What is said to be wrong; the rest of the message is always the same."""
        text = self.refused(self.store.read, NAME, self.bundle.digest)
        before, after = (f"{self.place}: this version is damaged: ",
                         "; take another version, or put this one's files into the plugin's folder again")
        self.assertTrue(text.startswith(before) and text.endswith(after), text)
        return text[len(before):-len(after)]

    def test_changed(self) -> None:
        """One byte of a file is another."""
        (self.place / "inner/deep/a.txt").write_text("b")
        self.assertEqual(self.damage(), '"inner/deep/a.txt" was changed')

    def test_missingAndAdded(self) -> None:
        """A file is gone, another has come."""
        (self.place / "plugin.py").rename(self.place / "other.py")
        self.assertEqual(self.damage(), '"plugin.py" is missing, "other.py" was added')

    def test_emptied(self) -> None:
        """A crash of a file system may leave names without content."""
        (self.place / "plugin.py").write_bytes(b"")
        self.assertEqual(self.damage(), '"plugin.py" was changed')

    def test_link(self) -> None:
        """A link in the place of a file is not followed, though the content would be the same."""
        (self.place / "plugin.py").rename(self.place.parent / "elsewhere.py")
        (self.place / "plugin.py").symlink_to("../elsewhere.py")
        self.assertIn(f"{self.place / 'plugin.py'}: is a symbolic link", self.damage())

    def test_noSums(self) -> None:
        """Without the sums it is noticed all the same; only the file cannot be named. They prove nothing."""
        sums = self.place.with_name(self.place.name + ".sha256")
        sums.write_bytes(b"\0 nonsense \\\n\\\\ \n  \n")
        self.assertEqual(self.store.read(NAME, self.bundle.digest).files, self.bundle.files)
        sums.unlink()
        self.assertEqual(self.store.read(NAME, self.bundle.digest).files, self.bundle.files)
        (self.place / "plugin.py").write_text("x = 2\n")
        self.assertEqual(self.damage(), "its content is not what was kept")

    def test_forgedSums(self) -> None:
        """Sums that fit the changed files do not make them right."""
        (self.place / "plugin.py").write_text("evil\n")
        other = VersionStore(self.folder.with_name("other"))
        forged = makeBundle(NAME, {**self.bundle.files, "plugin.py": b"evil\n"})
        other.keep(NAME, forged)
        shutil.copy(self.folder.with_name("other") / NAME / f"{forged.digest}.sha256",
                    self.place.with_name(self.place.name + ".sha256"))
        self.damage()

    def test_leftOvers(self) -> None:
        """Byte code and editors' files, of somebody who looked at it, do no harm."""
        (self.place / "__pycache__").mkdir()
        (self.place / "__pycache__" / "plugin.pyc").write_text("junk")
        (self.place / ".plugin.py.swp").write_text("junk")
        self.assertEqual(self.store.read(NAME, self.bundle.digest).files, self.bundle.files)

    def test_keptAgain(self) -> None:
        """Keeping it again puts it right."""
        (self.place / "plugin.py").write_text("x = 2\n")
        self.store.keep(NAME, self.bundle)
        self.assertEqual(self.store.read(NAME, self.bundle.digest).files, self.bundle.files)
        self.assertEqual(self.everything(), self.whole(self.bundle))

    def test_unreadable(self) -> None:
        """The system does not let us read."""
        self.failing(1, "open", error=OSError(errno.EACCES, "Permission denied"))
        self.assertEqual(self.refused(self.store.read, NAME, self.bundle.digest),
                         f"{self.place}: cannot be read: Permission denied; see to it that revproxy may read it")


class TestsTests(StoreTestCase):
    """The tests beside a version."""

    def setUp(self) -> None:
        super().setUp()
        self.bundle = makeBundle(NAME, version(1).files, tests={"test_a.py": b"1", "tests/data/x": b"\0"})
        self.store.keep(NAME, self.bundle)
        self.place = self.folder / NAME / (self.bundle.digest + ".tests")

    def kept(self) -> dict[str, bytes]:
        return dict(self.store.read(NAME, self.bundle.digest).tests)

    def test_kept(self) -> None:
        """They come back with it, lie beside it as plain files, and are no version."""
        self.assertEqual(self.kept(), self.bundle.tests)
        self.assertEqual((self.place / "tests" / "data" / "x").read_bytes(), b"\0")
        self.assertEqual(self.store.digests(NAME), (self.bundle.digest,))
        self.assertEqual(self.store.names(), (NAME,))

    def test_others(self) -> None:
        """Others take their place, whole; also none."""
        self.store.keepTests(NAME, self.bundle.digest, {"test_b.py": b"2"})
        self.assertEqual(self.kept(), {"test_b.py": b"2"})
        before = self.place.stat().st_ino
        self.store.keepTests(NAME, self.bundle.digest, {"test_b.py": b"2"})
        self.assertEqual(self.place.stat().st_ino, before)
        self.store.keepTests(NAME, self.bundle.digest, {})
        self.assertEqual((self.kept(), self.place.exists()), ({}, False))
        self.assertEqual(len(os.listdir(self.folder / NAME)), 2)

    def test_again(self) -> None:
        """The same version with other tests is not written again, and they are."""
        inode = (self.folder / NAME / self.bundle.digest).stat().st_ino
        self.store.keep(NAME, makeBundle(NAME, self.bundle.files, tests={"conftest.py": b""}))
        self.assertEqual((self.folder / NAME / self.bundle.digest).stat().st_ino, inode)
        self.assertEqual(self.kept(), {"conftest.py": b""})

    def test_notThere(self) -> None:
        """Tests of a version that is not kept are not kept, nor do they make a folder."""
        self.store.keepTests(NAME, version(2).digest, {"test_b.py": b""})
        self.store.keepTests("other", version(2).digest, {"test_b.py": b""})
        self.assertEqual(len(os.listdir(self.folder / NAME)), 3)
        self.assertEqual(os.listdir(self.folder), [NAME])
        self.refused(self.store.keepTests, NAME, self.bundle.digest, {"../x": b""})
        self.refused(self.store.keepTests, "..", self.bundle.digest, {})

    def test_pruned(self) -> None:
        """They go with it; those without a version are swept away."""
        lost = self.folder / NAME / (version(5).digest + ".tests")
        lost.mkdir()
        (lost / "x").write_text("")
        self.store.keep(NAME, version(2))
        self.assertFalse(lost.exists())
        self.store.prune(NAME, [version(2).digest])
        self.assertFalse(self.place.exists())

    def test_unreadable(self) -> None:
        """Whatever has become of them, the version is whole."""
        shutil.rmtree(self.place)
        self.place.symlink_to("/etc")
        self.assertEqual(self.kept(), {})
        self.assertEqual(self.store.read(NAME, self.bundle.digest), self.bundle)


class SignatureTests(StoreTestCase):
    """The signature beside a version."""

    def setUp(self) -> None:
        super().setUp()
        self.bundle = signed(plugin(NAME))
        self.store.keep(NAME, self.bundle)
        self.place = self.folder / NAME / (self.bundle.digest + ".signature")

    def kept(self) -> dict[str, bytes]:
        return dict(self.store.read(NAME, self.bundle.digest).signature)

    def test_kept(self) -> None:
        """It comes back with it, lies beside it as plain files, and the version is the same with and without."""
        self.assertEqual(self.kept(), self.bundle.signature)
        self.assertEqual((self.place / SSHSIG).read_bytes(), self.bundle.signature[SSHSIG])
        self.assertEqual(self.store.digests(NAME), (plugin(NAME).digest,))
        verdict = verify(self.store.read(NAME, self.bundle.digest), Signers([signer()]), now=0)
        self.assertEqual(verdict.signer, "alice")

    def test_again(self) -> None:
        """Signed again, the version is not written again, and the signature is."""
        inode = (self.folder / NAME / self.bundle.digest).stat().st_ino
        other = signedByMinisign(plugin(NAME))
        self.store.keep(NAME, other)
        self.assertEqual((self.folder / NAME / self.bundle.digest).stat().st_ino, inode)
        self.assertEqual(self.kept(), other.signature)

    def test_unsigned(self) -> None:
        """The same version without a signature takes none away."""
        self.store.keep(NAME, plugin(NAME))
        self.assertEqual(self.kept(), self.bundle.signature)

    def test_alone(self) -> None:
        """It can be replaced alone, and taken away; of a version that is not kept none is."""
        other = signedByMinisign(plugin(NAME)).signature
        self.store.keepSignature(NAME, self.bundle.digest, other)
        self.assertEqual(self.kept(), other)
        self.store.keepSignature(NAME, self.bundle.digest, {})
        self.assertEqual(self.kept(), {})
        self.store.keepSignature(NAME, version(2).digest, other)
        self.assertEqual(self.everything(), self.whole(self.bundle))
        self.refused(self.store.keepSignature, NAME, self.bundle.digest, {"../x": b""})

    def test_pruned(self) -> None:
        """It goes with its version."""
        self.store.keep(NAME, version(2))
        self.store.prune(NAME, [version(2).digest])
        self.assertEqual(self.everything(), self.whole(version(2)))

    def test_damaged(self) -> None:
        """A version whose files are damaged is refused, whatever vouches for it; a damaged signature is none."""
        (self.place / SSHSIG).write_text("x")
        changed = self.store.read(NAME, self.bundle.digest)
        self.assertRaises(Untrusted, verify, changed, Signers([signer()]), now=0)
        shutil.rmtree(self.place)
        self.place.symlink_to("/etc")
        self.assertEqual(self.kept(), {})
        (self.folder / NAME / self.bundle.digest / "plugin.py").write_text("x")
        self.assertIn("damaged", self.refused(self.store.read, NAME, self.bundle.digest))


class PruneTests(StoreTestCase):
    """`VersionStore.prune`."""

    def setUp(self) -> None:
        super().setUp()
        self.bundles = [version(number) for number in range(4)]
        for bundle in self.bundles:
            self.store.keep(NAME, bundle)

    def test_others(self) -> None:
        """All but the named ones go, with their sums; the others are whole."""
        keep = {self.bundles[1].digest, self.bundles[2].digest, "unknown"}
        removed = self.store.prune(NAME, keep)
        self.assertEqual(set(removed), {self.bundles[0].digest, self.bundles[3].digest})
        self.assertEqual(self.everything(), self.whole(*self.bundles[1:3]))
        self.assertEqual(self.store.prune(NAME, keep), ())

    def test_all(self) -> None:
        """When nothing is kept of a plugin, its folder goes too; other plugins are not touched."""
        self.store.keep("auth", version(1))
        self.assertEqual(len(self.store.prune(NAME, ())), 4)
        self.assertEqual(os.listdir(self.folder), ["auth"])
        self.store.keep(NAME, version(1))
        self.assertEqual(self.store.names(), ("auth", NAME))

    def test_foreignFiles(self) -> None:
        """What somebody else put there stays."""
        (self.folder / NAME / "notes.txt").write_text("mine")
        self.store.prune(NAME, ())
        self.assertEqual(self.everything(), ["notes.txt"])

    def test_refused(self) -> None:
        """What cannot be removed stays whole and is told."""
        self.failing(1, "rename", error=OSError(errno.EROFS, "Read-only file system"))
        self.assertEqual(
            self.refused(self.store.prune, NAME, ()),
            f"{self.folder / NAME}: cannot be written: Read-only file system; let revproxy write there, or give it "
            'another folder with "state"')
        for bundle in self.bundles:
            self.assertEqual(self.store.read(NAME, bundle.digest), bundle)

    def test_crash(self) -> None:
        """Wherever it ends, what still counts is whole, and the next time finishes it."""
        keep = self.bundles[0].digest
        steps = 0
        for number in range(1, 1000):
            for bundle in self.bundles:
                self.store.keep(NAME, bundle)
            store = VersionStore(self.folder)
            try:
                with self.crash(number):
                    store.prune(NAME, {keep})
                break
            except Crash:
                steps += 1
            self.assertIn(keep, self.store.digests(NAME))
            for digest in self.store.digests(NAME):
                self.store.read(NAME, digest)
            self.store.keep(NAME, self.bundles[0])
            self.assertEqual(len(self.everything()), 2 * len(self.store.digests(NAME)))
        self.assertGreater(steps, 15)
        self.assertEqual(self.everything(), self.whole(self.bundles[0]))


class InterruptedTests(StoreTestCase):
    """`VersionStore.keep` that does not come to its end."""

    def test_crash(self) -> None:
        """Wherever it ends, the version is there whole or not at all, and the next keep clears up."""
        steps = 0
        for number in range(1, 1000):
            shutil.rmtree(self.folder, ignore_errors=True)
            self.store.keep(NAME, version(1))
            try:
                with self.crash(number):
                    VersionStore(self.folder).keep(NAME, version(2))
                break
            except Crash:
                steps += 1
            self.assertEqual(self.store.read(NAME, version(1).digest), version(1))
            if version(2).digest in self.store.digests(NAME):
                self.assertEqual(self.store.read(NAME, version(2).digest), version(2))
            self.assertLessEqual(set(self.store.digests(NAME)), {version(1).digest, version(2).digest})
            self.store.keep(NAME, version(3))
            self.assertEqual(self.everything(), self.whole(*map(self.version, self.store.digests(NAME))))
        self.assertGreater(steps, 25)
        self.assertEqual(self.store.read(NAME, version(2).digest), version(2))

    def version(self, digest: str) -> Bundle:
        """What was kept under a digest."""
        return self.store.read(NAME, digest)

    def test_crashWhilePuttingRight(self) -> None:
        """A damaged version that is being replaced never counts as sound before it is."""
        for number in range(1, 1000):
            self.store.keep(NAME, version(1))
            (self.folder / NAME / version(1).digest / "plugin.py").write_text("junk")
            try:
                with self.crash(number):
                    VersionStore(self.folder).keep(NAME, version(1))
                break
            except Crash:
                pass
            try:
                self.assertEqual(self.store.read(NAME, version(1).digest), version(1))
            except StoreError:
                pass
        self.assertEqual(self.everything(), self.whole(version(1)))

    def test_diskFull(self) -> None:
        """Said so; nothing of it is left, and later it works."""
        self.store.keep(NAME, version(1))
        restore = self.failing(4, "fsync", error=OSError(errno.ENOSPC, "No space left on device"))
        text = self.refused(self.store.keep, NAME, version(2))
        restore()
        self.assertEqual(text, f"{self.folder / NAME / version(2).digest}: cannot be written: No space left on device; "
                               "free some space, or keep fewer versions (plugins.keep_versions)")
        self.assertEqual(self.everything(), self.whole(version(1)))
        self.store.keep(NAME, version(2))

    def test_notAFolder(self) -> None:
        """Something else is in the way."""
        self.folder.parent.mkdir(parents=True)
        self.folder.write_text("")
        self.assertIn("cannot be written: File exists; see to it", self.refused(self.store.keep, NAME, version(1)))
        self.assertEqual(self.store.names(), ())

    def test_order(self) -> None:
        """All files and folders are on the disk before the name is, and the name before it is said to be done."""
        steps: list[str] = []
        for name in ("fsync", "rename"):
            real = getattr(os, name)

            def call(*args: Any, name: str = name, real: Any = real, **options: Any) -> Any:
                steps.append(name)
                return real(*args, **options)

            self.patch(os, name, call)
        self.store.keep(NAME, version(1))
        files, folders, new = 3, 3, 2
        self.assertEqual(steps, ["fsync"] * (new + files + folders) + ["rename", "fsync"])

    def test_noDescriptorsLeft(self) -> None:
        """Every descriptor is closed, also after a refusal."""
        self.store.keep(NAME, version(1))
        before = len(os.listdir("/proc/self/fd"))
        self.store.keep(NAME, version(2))
        self.store.read(NAME, version(1).digest)
        restore = self.failing(3, "fsync", error=OSError(errno.EIO, "Input/output error"))
        self.refused(self.store.keep, NAME, version(3))
        restore()
        self.refused(self.store.read, NAME, version(3).digest)
        self.store.prune(NAME, ())
        self.assertLessEqual(len(os.listdir("/proc/self/fd")), before)

    if not os.path.isdir("/proc/self/fd"):
        test_noDescriptorsLeft.skip = "no /proc here"  # type: ignore[attr-defined]
