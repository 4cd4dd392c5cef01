"""Tests for `revproxy.control.certificatefiles`: what is read, when it is read again, and what that may cost."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.configfile import parseConfig
from revproxy.config.settings import Config
from revproxy.control import certificatefiles
from revproxy.control.certificatefiles import CertificateFiles, CertificateReader, certificateRoots
from revproxy.plan.pemfiles import PemFiles, pemKey
from revproxy.regularfile import readFile


class FilesCase(SynchronousTestCase):
    """
    A folder with a file, and another one besides it.

    :ivar opened: what was opened to be read.
    """

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.path = self.write("a.pem", b"one")
        self.authority = self.folder.with_name(self.folder.name + "-ca.crt")
        self.authority.write_bytes(b"ca")
        self.opened: list[Path] = []

        def counted(path: Path, limit: int) -> bytes:
            self.opened.append(path)
            return readFile(path, limit)

        self.patch(certificatefiles, "readFile", counted)
        self.files = CertificateFiles(self.folder, [self.authority])

    def write(self, name: str, data: bytes) -> Path:
        """A file in the folder."""
        path = self.folder / name
        path.write_bytes(data)
        return path


class ReadingTests(FilesCase):
    """What is read."""

    def test_contents(self) -> None:
        """Files with the usual suffixes, and those besides, by path; nothing else in the folder is opened."""
        self.write("a.key", b"key")
        self.write("readme.txt", b"hello")
        files = self.files.read()
        self.assertEqual(files.contents, {
            str(self.folder / "a.key"): b"key", str(self.path): b"one", str(self.authority): b"ca"})
        self.assertEqual((files.place, files.problem, files.exists, files.unreadable), (str(self.folder), "", True, {}))
        self.assertNotIn(self.folder / "readme.txt", self.opened)

    def test_single(self) -> None:
        """The place may be one file, of whatever name."""
        place = self.write("bundle", b"two")
        self.assertEqual(CertificateFiles(place).read().contents, {str(place): b"two"})

    def test_absent(self) -> None:
        """A place that is not there is said to be none, and is no problem of reading."""
        files = CertificateFiles(self.folder / "absent").read()
        self.assertEqual((files.exists, files.problem, files.contents), (False, "", {}))

    def test_unreadable(self) -> None:
        """What keeps one file from being read costs no other."""
        pipe = self.folder / "b.pem"
        os.mkfifo(pipe)
        os.truncate(self.write("large.pem", b""), 1 << 30)
        files = self.files.read()
        self.assertEqual(set(files.contents), {str(self.path), str(self.authority)})
        self.assertEqual(
            files.unreadable[str(pipe)], "cannot be read: it is a named pipe and no file; put a plain file there")
        self.assertIn("more than 1048576 bytes", files.unreadable[str(self.folder / "large.pem")])

    def test_unreadableFolder(self) -> None:
        """A folder that may not be listed, as after a change of user, is a problem, as long as it is so."""
        before = self.files.read()
        listing = self.patch(Path, "iterdir", _forbidden)
        problem = self.files.read()
        self.assertEqual((problem.problem, problem.contents), ("cannot be read: Permission denied", {}))
        self.assertIs(self.files.read(), problem)
        listing.restore()
        self.assertEqual(self.files.read(), before)

    def test_bounds(self) -> None:
        """There are bounds on files and bytes together. Files of others do not count."""
        for number in range(20):
            self.write(f"{number}.txt", b"x" * 1000)
        self.write("b.pem", b"two")
        self.patch(certificatefiles, "FILES_LIMIT", 3)
        self.assertEqual(self.files.read().problem, "")
        self.write("c.pem", b"three")
        self.assertIn("more than 3 certificates and keys", self.files.read().problem)
        self.patch(certificatefiles, "FILES_LIMIT", 100)
        self.patch(certificatefiles, "BYTES_LIMIT", 10)
        self.assertIn("more than 10 bytes", self.files.read().problem)
        self.patch(certificatefiles, "BYTES_LIMIT", 13)
        self.assertEqual(len(self.files.read().contents), 4)

    def test_keysAreNotShown(self) -> None:
        """There are keys in it: a log that shows the value shows none."""
        self.write("a.key", b"SECRET")
        self.assertNotIn("SECRET", repr(self.files.read()))


def _forbidden(path: Path) -> Any:
    raise PermissionError(13, "Permission denied")


class AgainTests(FilesCase):
    """When they are read again."""

    def test_same(self) -> None:
        """What has not changed is the same object, whatever times say."""
        before = self.files.read()
        os.utime(self.path, (1, 1))
        self.assertIs(self.files.read(), before)

    def test_contentDecides(self) -> None:
        """A change that leaves size and time alone is seen, soon after another one."""
        before = self.files.read()
        times = self.path.stat()
        self.path.write_bytes(b"two")
        os.utime(self.path, ns=(times.st_atime_ns, times.st_mtime_ns))
        after = self.files.read()
        self.assertNotEqual(after, before)
        self.assertEqual(after.contents[str(self.path)], b"two")

    def test_eachMakesADifference(self) -> None:
        """A new file, one less, another name, what cannot be read any more, another authority."""
        seen = [self.files.read()]

        def changed() -> None:
            seen.append(self.files.read())
            self.assertNotIn(seen[-1], seen[:-1])

        self.write("b.pem", b"two")
        changed()
        self.path.unlink()
        changed()
        (self.folder / "b.pem").rename(self.folder / "c.pem")
        changed()
        (self.folder / "c.pem").unlink()
        (self.folder / "c.pem").mkdir()
        changed()
        self.authority.write_bytes(b"other")
        changed()

    def test_unchanged(self) -> None:
        """Files that look as they did when they were read, some seconds after they were written, are not opened."""
        before = self.files.read()
        self.files.read()
        self.assertEqual(len(self.opened), 4, "too young to tell")
        self.patch(certificatefiles, "SETTLED", -60)
        for _ in range(3):
            self.assertIs(self.files.read(), before)
        self.assertEqual(len(self.opened), 6)
        self.write("b.pem", b"two")
        self.assertIsNot(self.files.read(), before)
        self.assertEqual(len(self.opened), 9)


class ReaderTests(FilesCase):
    """All listeners of a configuration."""

    def config(self, *sections: str) -> Config:
        listeners = ", ".join(
            f"{{endpoint: 'tcp:{port}'{section}}}" for port, section in enumerate(("", *sections), start=1))
        return parseConfig(f"listeners: [{listeners}]\nroutes: [{{respond: {{}}}}]\n", "r.yaml", self.folder)

    def tls(self, place: str = "", authority: bool = False) -> str:
        rule = f", client_ca: {self.authority}, client_auth: required" if authority else ""
        return f", tls: {{certificates: {self.folder}{place}{rule}}}"

    def read(self, reader: CertificateReader, config: Config) -> list[PemFiles]:
        """In the order of the listeners with TLS."""
        found = reader.read(config)
        return [found[pemKey(listener.tls)] for listener in config.listeners if listener.tls is not None]

    def test_perListener(self) -> None:
        """Listeners with the same files have the same; those with an authority of their own have that, too."""
        reader = CertificateReader()
        first, second, third = self.read(reader, self.config(self.tls(), self.tls(), self.tls(authority=True)))
        self.assertIs(first, second)
        self.assertNotIn(str(self.authority), first.contents)
        self.assertIn(str(self.authority), third.contents)

    def test_again(self) -> None:
        """With another configuration, what has not changed stays the same object; what is not asked for is let go."""
        reader = CertificateReader()
        [before] = self.read(reader, self.config(self.tls()))
        _, after = self.read(reader, self.config(self.tls("/a.pem"), self.tls()))
        self.assertIs(after, before)
        self.assertEqual(reader.read(self.config()), {})
        [again] = self.read(reader, self.config(self.tls()))
        self.assertEqual(again, before)
        self.assertIsNot(again, before)

    def test_roots(self) -> None:
        """What is to be watched: each folder, file and authority once, and in folders only what is read of them."""
        config = self.config(self.tls(), self.tls(authority=True), self.tls("/a.pem"))
        folder, authority, file = certificateRoots(config)
        self.assertEqual([root.path for root in (folder, authority, file)],
                         [str(self.folder), str(self.authority), str(self.path)])
        names = ("a.pem", "a.key", "readme.txt", "below/a.pem")
        self.assertEqual([name for name in names if folder.counts(f"{self.folder}/{name}")], ["a.pem", "a.key"])
