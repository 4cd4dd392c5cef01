"""Tests for `revproxy.worker.certificates`: a folder of PEM files, what it gives, and what is refused."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.settings import ClientAuthConfig, TLSConfig
from revproxy.control.certificatefiles import CertificateFiles
from revproxy.dataplane.net.tlscontexts import HostTLS
from revproxy.demo.selfsigned import selfSigned
from revproxy.plan.pemfiles import authorityFiles
from revproxy.worker.certificates import CertificateError, CertificateFolder, Loaded
from tests.authority import Authority

AUTHORITY = Authority()


def servedBy(host: HostTLS) -> bytes:
    """The certificate that a client of this host would be shown."""
    certificate = SSL.Connection(host.context).get_certificate(as_cryptography=True)
    assert certificate is not None
    return certificate.fingerprint(certificate.signature_hash_algorithm)  # type: ignore[arg-type]


def load(settings: TLSConfig) -> Loaded:
    """What a listener's files give that sees them for the first time."""
    return CertificateFolder(settings).load(CertificateFiles(settings.certificates, authorityFiles(settings)).read())


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
        loaded = load(TLSConfig(self.folder))
        self.assertEqual(set(loaded.table), {"shop.example.com", "*.cdn.example.com", "192.0.2.7"})
        self.assertEqual(loaded.names, ("*.cdn.example.com", "192.0.2.7", "shop.example.com"))
        self.assertGreater(loaded.expires, time.time())
        self.assertEqual(loaded.problems, ())

    def test_facts(self) -> None:
        """What people want to know of each; one that no host has is there, too."""
        before, after = AUTHORITY.issue("a.example", "b.example", subject="a"), AUTHORITY.issue("a.example")
        self.write("a.pem", before.certificatePEM + AUTHORITY.own.certificatePEM + before.keyPEM)
        self.write("b.pem", after.pem)
        first, second = load(TLSConfig(self.folder)).facts
        self.assertEqual((first.path, first.names, first.serves, first.isDefault), (
            str(self.folder / "a.pem"), ("a.example", "b.example"), ("a.example", "b.example"), True))
        self.assertEqual((first.subject, first.issuer, first.chain), (
            "CN=a", "CN=test authority", ("CN=test authority",)))
        self.assertEqual(first.serial, f"{before.certificate.serial_number:x}")
        self.assertEqual(first.expires, before.certificate.not_valid_after_utc.timestamp())
        self.assertEqual(first.begins, before.certificate.not_valid_before_utc.timestamp())
        self.assertEqual((second.subject, second.serves, second.isDefault), ("", (), False))
        self.assertEqual(second.fingerprint, after.certificate.fingerprint(hashes.SHA256()).hex())

    def test_twoFilesOfOneName(self) -> None:
        """``name.crt`` and ``name.key`` belong together."""
        issued = AUTHORITY.issue("a.example")
        self.write("a.crt", issued.certificatePEM)
        self.write("a.key", issued.keyPEM)
        self.assertEqual(set(load(TLSConfig(self.folder)).table), {"a.example"})

    def test_aFileInsteadOfAFolder(self) -> None:
        """The setting may name one file."""
        path = self.write("a.pem", AUTHORITY.issue("a.example").pem)
        self.assertEqual(set(load(TLSConfig(path)).table), {"a.example"})

    def test_keyOfAnother(self) -> None:
        """A key that does not fit is a problem of that file; the others are loaded."""
        self.write("good.pem", AUTHORITY.issue("good.example").pem)
        bad = self.write("bad.pem", AUTHORITY.issue("bad.example").certificatePEM + AUTHORITY.issue("x").keyPEM)
        loaded = load(TLSConfig(self.folder))
        self.assertEqual(set(loaded.table), {"good.example"})
        self.assertEqual(
            loaded.problems, (f"{bad}: the key in bad.pem is not that of the first certificate",)
        )

    def test_noKey(self) -> None:
        """A certificate without a key is named with where its key was looked for."""
        path = self.write("a.crt", AUTHORITY.issue("a.example").certificatePEM)
        error = self.assertRaises(CertificateError, load, TLSConfig(self.folder))
        self.assertEqual(error.problems, (f"{path}: no private key, neither in it nor in a.key",))

    def test_rubbish(self) -> None:
        """A file with no certificate says so."""
        path = self.write("a.pem", b"rubbish")
        error = self.assertRaises(CertificateError, load, TLSConfig(self.folder))
        self.assertEqual(error.problems, (f"{path}: no certificate in it",))

    def test_namesNothing(self) -> None:
        """A certificate with no alternative name serves no host."""
        path = self.write("a.pem", AUTHORITY.issue(subject="a.example").pem)
        error = self.assertRaises(CertificateError, load, TLSConfig(self.folder))
        self.assertIn(f"{path}: the certificate names no host", error.problems[0])

    def test_sameExtensionTwice(self) -> None:
        """What the parser finds wrong late, and with an error of its own kind, is a problem of that file as well."""
        issued = AUTHORITY.issue("bad.example")
        data = issued.certificate.public_bytes(Encoding.DER)
        twice = data.replace(b"\x06\x03\x55\x1d\x13", b"\x06\x03\x55\x1d\x11")  # constraints as alternative names
        self.assertNotEqual(twice, data)
        pem = x509.load_der_x509_certificate(twice).public_bytes(Encoding.PEM)
        bad = self.write("bad.pem", pem + issued.keyPEM)
        self.write("good.pem", AUTHORITY.issue("good.example").pem)
        loaded = load(TLSConfig(self.folder))
        self.assertEqual(set(loaded.table), {"good.example"})
        [problem] = loaded.problems
        self.assertTrue(problem.startswith(f"{bad}: DuplicateExtension: "), problem)

    def test_manyExpired(self) -> None:
        """A thousand that have expired are no thousand lines, either."""
        issued = AUTHORITY.issue("a.example", lifetime=timedelta(days=-1))
        for number in range(30):
            self.write(f"{number}.pem", issued.pem)
        expired = load(TLSConfig(self.folder)).expired
        self.assertEqual((len(expired), expired[-1]), (21, f"{self.folder}: 10 more problems like these"))

    def test_emptyOrAbsentFolder(self) -> None:
        """Nothing to serve with is an error that names the folder."""
        absent = self.folder / "absent"
        for folder, reason in ((self.folder, "no certificate in it"), (absent, "there is no such folder")):
            error = self.assertRaises(CertificateError, load, TLSConfig(folder))
            self.assertEqual(error.problems, (f"{folder}: {reason}",))

    def test_expired(self) -> None:
        """An expired certificate only warns, and gives way to another for the same host."""
        old = AUTHORITY.issue("a.example", lifetime=timedelta(days=-1))
        path = self.write("1.pem", old.pem)
        loaded = load(TLSConfig(self.folder))
        self.assertIn("a.example", loaded.table)
        self.assertEqual(loaded.problems, ())
        self.assertIn(f"{path}: expired on", loaded.expired[0])
        self.assertLess(loaded.expires, time.time())
        new = AUTHORITY.issue("a.example")
        self.write("2.pem", new.pem)
        loaded = load(TLSConfig(self.folder))
        algorithm = new.certificate.signature_hash_algorithm
        assert algorithm is not None
        self.assertEqual(servedBy(loaded.table["a.example"]), new.certificate.fingerprint(algorithm))

    def test_selfMadeGivesWay(self) -> None:
        """The certificate made to begin with is not the default once there is another."""
        selfSigned(self.folder)
        self.write("z.pem", AUTHORITY.issue("z.example").pem)
        loaded = load(TLSConfig(self.folder))
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
        loaded = load(TLSConfig(self.folder, hosts=hosts))
        self.assertEqual(loaded.table["admin.example.com"].clientAuth, "required")
        self.assertEqual(loaded.table["*.example.com"].clientAuth, "none")
        self.assertEqual(loaded.default.clientAuth, "none")
        self.assertEqual(loaded.problems, (), "the authority's file is no certificate to serve with")

    def test_wildcardRule(self) -> None:
        """A rule for a wildcard holds for names that a certificate spells out."""
        hosts = {"*.example.com": ClientAuthConfig(self.authority, "optional")}
        table = load(TLSConfig(self.folder, hosts=hosts)).table
        self.assertEqual(table["exact.example.com"].clientAuth, "optional")
        self.assertEqual(table["*.example.com"].clientAuth, "optional")
        self.assertEqual(table["open.example"].clientAuth, "none")

    def test_wholeListener(self) -> None:
        """The listener's own rule holds for every host that has none, the default included."""
        settings = TLSConfig(self.folder, clientCA=self.authority, clientAuth="required")
        loaded = load(settings)
        self.assertEqual({host.clientAuth for host in (*loaded.table.values(), loaded.default)}, {"required"})

    def test_unreadableAuthority(self) -> None:
        """An authority that cannot be read is an error: serving without would let everyone in."""
        settings = TLSConfig(self.folder, clientCA=self.folder / "absent.pem", clientAuth="required")
        error = self.assertRaises(CertificateError, load, settings)
        self.assertIn("absent.pem: no authorities to be read", error.problems[0])


class AgainTests(FolderCase):
    """Files that have become others, some of them worse; others write into the folder."""

    def setUp(self) -> None:
        super().setUp()
        self.path = self.write("a.pem", AUTHORITY.issue("a.example").pem)
        self.authority = self.write("ca.crt", AUTHORITY.own.certificatePEM)
        self.settings = TLSConfig(self.folder, clientCA=self.authority, clientAuth="required")
        self.files = CertificateFiles(self.folder, [self.authority])
        self.folderOf = CertificateFolder(self.settings)
        self.before = servedBy(self.again().table["a.example"])

    def again(self) -> Loaded:
        """What is on the disk now is loaded, and used."""
        loaded = self.folderOf.load(self.files.read())
        self.folderOf.adopt(loaded)
        return loaded

    def test_replaced(self) -> None:
        """A new certificate takes the place of the one before."""
        self.write("a.pem", AUTHORITY.issue("a.example").pem)
        self.assertNotEqual(servedBy(self.again().table["a.example"]), self.before)

    def test_added(self) -> None:
        """A new file adds its hosts."""
        self.write("b.pem", AUTHORITY.issue("b.example").pem)
        table = self.again().table
        self.assertEqual(set(table), {"a.example", "b.example"})
        self.assertEqual(servedBy(table["a.example"]), self.before)

    def test_contextsOfOthersStay(self) -> None:
        """Of many certificates one is renewed: the others keep their contexts, and so their sessions."""
        self.write("b.pem", AUTHORITY.issue("b.example").pem)
        first = self.again()
        self.write("b.pem", AUTHORITY.issue("b.example").pem)
        second = self.again()
        self.assertIs(second.table["a.example"], first.table["a.example"])
        self.assertIsNot(second.table["b.example"], first.table["b.example"])
        self.assertEqual(len(second.contexts), 2)
        self.write("ca.crt", Authority("other").own.certificatePEM)
        self.assertIsNot(self.again().table["a.example"], second.table["a.example"])

    def test_broken(self) -> None:
        """A file that is bad now serves on as it was, beside what is new."""
        self.path.write_bytes(self.path.read_bytes()[:-40])
        self.write("b.pem", AUTHORITY.issue("b.example").pem)
        for _ in range(2):
            loaded = self.again()
            self.assertEqual(servedBy(loaded.table["a.example"]), self.before)
            self.assertIn("b.example", loaded.table)
            [problem] = loaded.problems
            self.assertTrue(problem.startswith(f"{self.path}: "), problem)
            self.assertTrue(problem.endswith("; what it held before is served on"), problem)

    def test_onlyWhatWasUsed(self) -> None:
        """What stands in for a bad file is what was used, not what was loaded and given up."""
        self.write("a.pem", AUTHORITY.issue("a.example").pem)
        self.folderOf.load(self.files.read())
        self.path.write_bytes(b"rubbish")
        self.assertEqual(servedBy(self.again().table["a.example"]), self.before)

    def test_allGone(self) -> None:
        """An emptied folder gives nothing to serve with, and leaves all as it was for the next."""
        self.path.unlink()
        self.assertRaises(CertificateError, self.again)
        self.write("a.pem", b"rubbish")
        self.assertEqual(servedBy(self.again().table["a.example"]), self.before)

    def test_namedPipe(self) -> None:
        """A named pipe in a file's place holds nothing up: that file serves on as it was, the others are read."""
        self.path.unlink()
        os.mkfifo(self.path)
        os.mkfifo(self.folder / "key.key")
        self.write("key.pem", AUTHORITY.issue("key.example").certificatePEM)
        self.write("b.pem", AUTHORITY.issue("b.example").pem)
        pipe = "it is a named pipe and no file; put a plain file there"
        loaded = self.again()
        self.assertEqual(loaded.problems, (
            f"{self.path}: cannot be read: {pipe}; what it held before is served on",
            f"{self.folder / 'key.pem'}: its key in key.key cannot be read: {pipe}",
        ))
        self.assertEqual(servedBy(loaded.table["a.example"]), self.before)
        self.assertEqual(set(loaded.table), {"a.example", "b.example"})
        self.path.unlink()
        self.write("a.pem", AUTHORITY.issue("a.example").pem)
        loaded = self.again()
        self.assertEqual(len(loaded.problems), 1)
        self.assertNotEqual(servedBy(loaded.table["a.example"]), self.before)

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
            loaded = self.again()
            [problem] = [problem for problem in loaded.problems if problem.startswith(str(path))]
            self.assertIn(reason, problem)
            self.assertEqual(servedBy(loaded.table["a.example"]), self.before)

    def test_authority(self) -> None:
        """The file of an authority is trusted on as it was, and keeps no certificate from being renewed."""
        self.authority.unlink()
        os.mkfifo(self.authority)
        self.write("a.pem", AUTHORITY.issue("a.example").pem)
        loaded = self.again()
        [problem] = loaded.problems
        self.assertTrue(problem.startswith(f"{self.authority}: cannot be read: it is a named pipe"), problem)
        self.assertTrue(problem.endswith("; what it held before is trusted on"), problem)
        self.assertNotEqual(servedBy(loaded.table["a.example"]), self.before)
        self.assertEqual(loaded.table["a.example"].clientAuth, "required")

    def test_atTheStart(self) -> None:
        """With nothing from before, what cannot be read is told, and serves nobody."""
        for path in (self.path, self.authority):
            path.unlink()
            os.mkfifo(path)
        error = self.assertRaises(CertificateError, load, TLSConfig(self.folder))
        self.assertIn("a.pem: cannot be read: it is a named pipe", error.problems[0])

    def test_pipeInsteadOfFolder(self) -> None:
        """The place itself."""
        place = self.folder / "place"
        os.mkfifo(place)
        error = self.assertRaises(CertificateError, load, TLSConfig(place))
        self.assertIn("place: cannot be read: it is a named pipe", error.problems[0])

    def test_manyProblems(self) -> None:
        """A thousand bad files are twenty lines, and how many more there are."""
        for number in range(1000):
            self.write(f"{number}.pem", b"")
        problems = self.again().problems
        self.assertEqual((len(problems), problems[-1]), (21, f"{self.folder}: 980 more problems like these"))
