"""A folder of PEM files: what is read, what is refused, what happens when it changes."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from OpenSSL import SSL
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from revproxy.config.settings import ClientAuthConfig, TLSConfig
from revproxy.control import certificatefiles
from revproxy.dataplane.net.tlscontexts import HostTLS, ServerContexts
from revproxy.demo.selfsigned import selfSigned
from revproxy.regularfile import readFile
from revproxy.worker.certificates import CertificateError, CertificateFolder
from tests.authority import Authority
from tests.coordinators import Threadless

AUTHORITY = Authority()


def servedBy(host: HostTLS) -> bytes:
    """The certificate that a client of this host would be shown."""
    certificate = SSL.Connection(host.context).get_certificate(as_cryptography=True)
    assert certificate is not None
    return certificate.fingerprint(certificate.signature_hash_algorithm)  # type: ignore[arg-type]


class FolderCase(SynchronousTestCase):
    """A folder to write into."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    def write(self, name: str, data: bytes) -> Path:
        """Write a file into the folder."""
        path = self.folder / name
        path.write_bytes(data)
        return path


class ReadingTests(FolderCase):
    """What a folder gives."""

    def test_oneFileWithChainAndKey(self) -> None:
        """A file with certificate and key serves the names inside, addresses among them."""
        issued = AUTHORITY.issue("Shop.example.com", "*.cdn.example.com", "192.0.2.7")
        self.write("any-name.pem", issued.certificatePEM + AUTHORITY.own.certificatePEM + issued.keyPEM)
        loaded = CertificateFolder(TLSConfig(self.folder)).read()
        self.assertEqual(set(loaded.table), {"shop.example.com", "*.cdn.example.com", "192.0.2.7"})
        self.assertEqual(loaded.warnings, ())

    def test_twoFilesOfOneName(self) -> None:
        """``name.crt`` and ``name.key`` belong together."""
        issued = AUTHORITY.issue("a.example")
        self.write("a.crt", issued.certificatePEM)
        self.write("a.key", issued.keyPEM)
        self.assertEqual(set(CertificateFolder(TLSConfig(self.folder)).read().table), {"a.example"})

    def test_aFileInsteadOfAFolder(self) -> None:
        """The setting may name one file."""
        path = self.write("a.pem", AUTHORITY.issue("a.example").pem)
        self.assertEqual(set(CertificateFolder(TLSConfig(path)).read().table), {"a.example"})

    def test_keyOfAnother(self) -> None:
        """A key that does not fit is a problem of that file; the others are loaded."""
        self.write("good.pem", AUTHORITY.issue("good.example").pem)
        bad = self.write("bad.pem", AUTHORITY.issue("bad.example").certificatePEM + AUTHORITY.issue("x").keyPEM)
        loaded = CertificateFolder(TLSConfig(self.folder)).read()
        self.assertEqual(set(loaded.table), {"good.example"})
        self.assertEqual(
            loaded.warnings, (f"{bad}: the key in bad.pem is not that of the first certificate",)
        )

    def test_noKey(self) -> None:
        """A certificate without a key is named with where its key was looked for."""
        path = self.write("a.crt", AUTHORITY.issue("a.example").certificatePEM)
        error = self.assertRaises(CertificateError, CertificateFolder(TLSConfig(self.folder)).read)
        self.assertEqual(error.problems, (f"{path}: no private key, neither in it nor in a.key",))

    def test_rubbish(self) -> None:
        """A file with no certificate says so."""
        path = self.write("a.pem", b"rubbish")
        error = self.assertRaises(CertificateError, CertificateFolder(TLSConfig(self.folder)).read)
        self.assertEqual(error.problems, (f"{path}: no certificate in it",))

    def test_namesNothing(self) -> None:
        """A certificate with no alternative name serves no host."""
        path = self.write("a.pem", AUTHORITY.issue(subject="a.example").pem)
        error = self.assertRaises(CertificateError, CertificateFolder(TLSConfig(self.folder)).read)
        self.assertIn(f"{path}: the certificate names no host", error.problems[0])

    def test_emptyOrAbsentFolder(self) -> None:
        """Nothing to serve with is an error that names the folder."""
        absent = self.folder / "absent"
        for folder, reason in ((self.folder, "no certificate in it"), (absent, "there is no such folder")):
            error = self.assertRaises(CertificateError, CertificateFolder(TLSConfig(folder)).read)
            self.assertEqual(error.problems, (f"{folder}: {reason}",))

    def test_expired(self) -> None:
        """An expired certificate only warns, and gives way to another for the same host."""
        old = AUTHORITY.issue("a.example", lifetime=timedelta(days=-1))
        path = self.write("1.pem", old.pem)
        loaded = CertificateFolder(TLSConfig(self.folder)).read()
        self.assertIn("a.example", loaded.table)
        self.assertIn(f"{path}: expired on", loaded.warnings[0])
        new = AUTHORITY.issue("a.example")
        self.write("2.pem", new.pem)
        loaded = CertificateFolder(TLSConfig(self.folder)).read()
        algorithm = new.certificate.signature_hash_algorithm
        assert algorithm is not None
        self.assertEqual(servedBy(loaded.table["a.example"]), new.certificate.fingerprint(algorithm))

    def test_selfMadeGivesWay(self) -> None:
        """The certificate made to begin with is not the default once there is another."""
        selfSigned(self.folder)
        self.write("z.pem", AUTHORITY.issue("z.example").pem)
        loaded = CertificateFolder(TLSConfig(self.folder)).read()
        self.assertIs(loaded.default, loaded.table["z.example"])


class ClientAuthTests(FolderCase):
    """Rules about client certificates."""

    def setUp(self) -> None:
        super().setUp()
        self.write("a.pem", AUTHORITY.issue("open.example", "*.example.com", "exact.example.com").pem)
        self.authority = self.write("ca.crt", AUTHORITY.own.certificatePEM)

    def test_hostsHaveContextsOfTheirOwn(self) -> None:
        """A protected host on a shared certificate shares neither context nor sessions with the others."""
        hosts = {"admin.example.com": ClientAuthConfig(self.authority, "required")}
        loaded = CertificateFolder(TLSConfig(self.folder, hosts=hosts)).read()
        self.assertEqual(loaded.table["admin.example.com"].clientAuth, "required")
        self.assertEqual(loaded.table["*.example.com"].clientAuth, "none")
        self.assertEqual(loaded.default.clientAuth, "none")
        self.assertEqual(loaded.warnings, (), "the authority's file is no certificate to serve with")

    def test_wildcardRule(self) -> None:
        """A rule for a wildcard holds for names that a certificate spells out."""
        hosts = {"*.example.com": ClientAuthConfig(self.authority, "optional")}
        table = CertificateFolder(TLSConfig(self.folder, hosts=hosts)).read().table
        self.assertEqual(table["exact.example.com"].clientAuth, "optional")
        self.assertEqual(table["*.example.com"].clientAuth, "optional")
        self.assertEqual(table["open.example"].clientAuth, "none")

    def test_wholeListener(self) -> None:
        """The listener's own rule holds for every host that has none, the default included."""
        settings = TLSConfig(self.folder, clientCA=self.authority, clientAuth="required")
        loaded = CertificateFolder(settings).read()
        self.assertEqual({host.clientAuth for host in (*loaded.table.values(), loaded.default)}, {"required"})

    def test_unreadableAuthority(self) -> None:
        """An authority that cannot be read is an error: serving without would let everyone in."""
        settings = TLSConfig(self.folder, clientCA=self.folder / "absent.pem", clientAuth="required")
        error = self.assertRaises(CertificateError, CertificateFolder(settings).read)
        self.assertIn("absent.pem: no authorities to be read", error.problems[0])


class WatchTests(FolderCase):
    """Changes on disk."""

    def setUp(self) -> None:
        super().setUp()
        self.path = self.write("a.pem", AUTHORITY.issue("a.example").pem)
        self.watched = CertificateFolder(TLSConfig(self.folder))
        self.contexts: ServerContexts = self.watched.contexts()
        self.clock = Threadless()
        self.addCleanup(self.watched.watch(self.clock, self.contexts, 5))

    def test_replaced(self) -> None:
        """A new certificate is served at the next look."""
        before = self.contexts.forName("a.example")
        self.path.write_bytes(AUTHORITY.issue("a.example").pem)
        self.clock.advance(4)
        self.assertIs(self.contexts.forName("a.example"), before)
        self.clock.advance(1)
        self.assertNotEqual(servedBy(self.contexts.forName("a.example")), servedBy(before))

    def test_contentDecides(self) -> None:
        """A change that leaves size and time alone is seen; a new time alone changes nothing."""
        before = self.contexts.forName("a.example")
        times = self.path.stat()
        os.utime(self.path, (1, 1))
        self.clock.advance(5)
        self.assertIs(self.contexts.forName("a.example"), before)
        self.path.write_bytes(AUTHORITY.issue("b.example").pem)
        os.utime(self.path, ns=(times.st_atime_ns, times.st_mtime_ns))
        self.clock.advance(5)
        self.assertIsNot(self.contexts.forName("b.example"), before)

    def test_added(self) -> None:
        """A new file adds its hosts."""
        self.write("b.pem", AUTHORITY.issue("b.example").pem)
        self.clock.advance(5)
        self.assertIsNot(self.contexts.forName("b.example"), self.contexts.forName("a.example"))

    def test_unreadableFolder(self) -> None:
        """A folder that may not be read any more, as after a change of user: said once, and again when it recurs."""
        said: list[str] = []

        @implementer(ILogObserver)
        def observe(event: LogEvent) -> None:
            if "Permission denied" in event.get("error", ""):
                said.append(event["error"])

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        before = self.contexts.forName("a.example")

        def refuse() -> None:
            raise PermissionError(13, "Permission denied")

        for expected in (1, 2):
            self.patch(self.watched._files, "readIfChanged", refuse)
            self.clock.pump([5, 5, 5])
            self.assertEqual(len(said), expected)
            self.patch(self.watched._files, "readIfChanged", lambda: None)
            self.clock.advance(5)
        self.assertIs(self.contexts.forName("a.example"), before)

    def test_surprise(self) -> None:
        """What nobody has thought of is logged, the next look happens, and watching can still be ended."""

        def surprise() -> None:
            raise ZeroDivisionError("nobody thought of this")

        stop = self.watched.watch(self.clock, self.contexts, 5)
        self.patch(self.watched, "look", surprise)
        self.clock.pump([5, 5])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 4)
        stop()

    def test_slowDisk(self) -> None:
        """The reactor does not wait for the folder, no second look begins, and what comes after the stop is dropped."""
        threads: list[Callable[[], None]] = []

        def callInThread(onResult: Callable[[bool, Any], None], function: Callable[[], Any]) -> None:
            threads.append(lambda: onResult(True, function()))

        self.patch(self.clock, "callInThreadWithCallback", callInThread)
        contexts = CertificateFolder(TLSConfig(self.folder)).contexts()
        stop = self.watched.watch(self.clock, contexts, 5)
        before = contexts.forName("a.example")
        self.path.write_bytes(AUTHORITY.issue("a.example").pem)
        self.clock.pump([5, 5, 5])
        self.assertEqual(len(threads), 2)  # that of setUp, and this one
        stop()
        threads[1]()
        self.assertIs(contexts.forName("a.example"), before)
        threads[0]()
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_broken(self) -> None:
        """A file that is bad now serves on as it was, beside what is new."""
        before = servedBy(self.contexts.forName("a.example"))
        self.path.write_bytes(self.path.read_bytes()[:-40])
        self.write("b.pem", AUTHORITY.issue("b.example").pem)
        self.clock.advance(5)
        self.assertEqual(servedBy(self.contexts.forName("a.example")), before)
        self.assertNotEqual(servedBy(self.contexts.forName("b.example")), before)

    def test_allGone(self) -> None:
        """An emptied folder changes nothing, and a later file is taken."""
        before = self.contexts.forName("a.example")
        self.path.unlink()
        self.clock.advance(5)
        self.assertIs(self.contexts.forName("a.example"), before)
        self.write("b.pem", AUTHORITY.issue("b.example").pem)
        self.clock.advance(5)
        self.assertIsNot(self.contexts.forName("b.example"), before)


class ForeignTests(FolderCase):
    """A folder that others write into."""

    def setUp(self) -> None:
        super().setUp()
        self.path = self.write("a.pem", AUTHORITY.issue("a.example").pem)
        self.authority = self.write("ca.crt", AUTHORITY.own.certificatePEM)
        settings = TLSConfig(self.folder, clientCA=self.authority, clientAuth="required")
        self.folderOf = CertificateFolder(settings)
        self.contexts: ServerContexts = self.folderOf.contexts()
        self.before = servedBy(self.contexts.forName("a.example"))

    def look(self) -> tuple[str, ...]:
        """The warnings of a look that has found something."""
        loaded = self.folderOf.look()
        assert loaded is not None
        self.contexts.swap(loaded.table, loaded.default)
        return loaded.warnings

    def test_namedPipe(self) -> None:
        """A named pipe in a file's place holds nothing up: that file serves on as it was, the others are read."""
        self.path.unlink()
        os.mkfifo(self.path)
        os.mkfifo(self.folder / "key.key")
        self.write("key.pem", AUTHORITY.issue("key.example").certificatePEM)
        self.write("b.pem", AUTHORITY.issue("b.example").pem)
        pipe = "it is a named pipe and no file; put a plain file there"
        self.assertEqual(self.look(), (
            f"{self.path}: cannot be read: {pipe}; what it held before is served on",
            f"{self.folder / 'key.pem'}: its key in key.key cannot be read: {pipe}",
        ))
        self.assertEqual(servedBy(self.contexts.forName("a.example")), self.before)
        self.assertNotEqual(servedBy(self.contexts.forName("b.example")), self.before)
        self.assertIs(self.folderOf.look(), None, "said once")
        self.path.unlink()
        self.write("a.pem", AUTHORITY.issue("a.example").pem)
        self.assertEqual(len(self.look()), 1)
        self.assertNotEqual(servedBy(self.contexts.forName("a.example")), self.before)

    def test_everythingElse(self) -> None:
        """Neither a folder, a device, a link in a circle nor a gigabyte of nothing costs more than its own hosts."""
        for name, reason in (("folder", "a folder"), ("circle", "symbolic links"), ("large", "more than 1048576 bytes"),
                             ("device", "a device")):
            path = self.folder / f"{name}.pem"
            if name == "folder":
                path.mkdir()
            elif name == "large":
                path.write_bytes(b"")
                os.truncate(path, 1 << 30)
            else:
                path.symlink_to(path.name if name == "circle" else "/dev/zero")
            [warning] = [warning for warning in self.look() if warning.startswith(str(path))]
            self.assertIn(reason, warning)
        self.assertEqual(servedBy(self.contexts.forName("a.example")), self.before)

    def test_authority(self) -> None:
        """The file of an authority is trusted on as it was, and keeps no certificate from being renewed."""
        self.authority.unlink()
        os.mkfifo(self.authority)
        self.write("a.pem", AUTHORITY.issue("a.example").pem)
        [warning] = self.look()
        self.assertTrue(warning.startswith(f"{self.authority}: cannot be read: it is a named pipe"), warning)
        self.assertTrue(warning.endswith("; what it held before is trusted on"), warning)
        self.assertNotEqual(servedBy(self.contexts.forName("a.example")), self.before)
        self.assertEqual(self.contexts.forName("a.example").clientAuth, "required")

    def test_atTheStart(self) -> None:
        """With nothing from before, what cannot be read is told, and serves nobody."""
        for path in (self.path, self.authority):
            path.unlink()
            os.mkfifo(path)
        error = self.assertRaises(CertificateError, CertificateFolder(TLSConfig(self.folder)).read)
        self.assertIn("a.pem: cannot be read: it is a named pipe", error.problems[0])

    def test_pipeInsteadOfFolder(self) -> None:
        """The place itself."""
        place = self.folder / "place"
        os.mkfifo(place)
        error = self.assertRaises(CertificateError, CertificateFolder(TLSConfig(place)).read)
        self.assertIn("place: cannot be read: it is a named pipe", error.problems[0])

    def test_tooMany(self) -> None:
        """There are bounds on files and bytes together; beyond them nothing changes. Others' files do not count."""
        for number in range(20):
            self.write(f"{number}.txt", b"x")
        self.patch(certificatefiles, "FILES_LIMIT", 3)
        self.write("b.pem", AUTHORITY.issue("b.example").pem)
        self.look()
        self.write("c.pem", AUTHORITY.issue("c.example").pem)
        self.assertIn("more than 3 certificates and keys", str(self.assertRaises(OSError, self.folderOf.look)))
        self.patch(certificatefiles, "FILES_LIMIT", 100)
        self.patch(certificatefiles, "BYTES_LIMIT", 1000)
        self.assertIn("more than 1000 bytes", str(self.assertRaises(OSError, self.folderOf.look)))
        self.patch(certificatefiles, "BYTES_LIMIT", 1 << 20)
        self.look()
        self.assertNotEqual(servedBy(self.contexts.forName("c.example")), self.before)

    def test_manyProblems(self) -> None:
        """A thousand bad files are twenty lines of the log, and how many more there are."""
        for number in range(1000):
            self.write(f"{number}.pem", b"")
        warnings = self.look()
        self.assertEqual((len(warnings), warnings[-1]), (21, f"{self.folder}: 980 more problems like these"))

    def test_unchanged(self) -> None:
        """Files that look as they did when they were read, some seconds after they were written, are not read again."""
        read: list[Any] = []

        def counted(path: Any, limit: int) -> bytes:
            read.append(path)
            return readFile(path, limit)

        self.patch(certificatefiles, "readFile", counted)
        self.assertIs(self.folderOf.look(), None)
        self.assertEqual(len(read), 2, "too young to tell")
        self.patch(certificatefiles, "SETTLED", -60)
        for _ in range(3):
            self.assertIs(self.folderOf.look(), None)
        self.assertEqual(len(read), 4)
        self.write("b.pem", AUTHORITY.issue("b.example").pem)
        self.look()
        self.assertEqual(len(read), 7)
