"""OpenSSH's public keys."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.bundles.sshkey import NotTouched, SSHKey, sshKey, sshStrings
from tests.bundles.signing import Key, mpint, string
from tests.bundles.signing import sshKey as made
from tests.tools import needs

KINDS = ("ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521",
         "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com")


def line(blob: bytes, kind: str) -> str:
    """Of a key that may be none."""
    return f"{kind} {base64.b64encode(blob).decode()}"


class KeyTests(SynchronousTestCase):
    """`sshKey`."""

    def test_kinds(self) -> None:
        """Each kind is read, and tells its own signatures from others."""
        for kind in KINDS:
            key = sshKey(f"{made(kind).line} somebody@example")
            self.assertEqual((key.kind, key.blob, key.line), (kind, made(kind).blob, made(kind).line))
            signature = made(kind).signature(b"message")
            self.assertTrue(key.isOf(signature, b"message"), kind)
            self.assertFalse(key.isOf(signature, b"massage"), kind)
            self.assertFalse(key.isOf(made(kind, 1).signature(b"message"), b"message"), kind)

    @needs("ssh-keygen")
    def test_id(self) -> None:
        """The id is what ``ssh-keygen -l`` shows."""
        path = Path(self.mktemp())
        path.write_text(f"{made().line}\n")
        said = subprocess.run(["ssh-keygen", "-lf", path], stdout=subprocess.PIPE, check=True).stdout.decode()
        self.assertEqual(sshKey(made().line).keyId, said.split()[1])

    def test_touch(self) -> None:
        """What a security key signs without a touch does not count; and the flags are signed, too."""
        for kind in KINDS[-2:]:
            own = Key(kind)
            own.flags = 0
            signature = own.signature(b"m")
            key = sshKey(own.line)
            self.assertRaises(NotTouched, key.isOf, signature, b"m")
            self.assertFalse(key.isOf(signature[:-5] + b"\1" + signature[-4:], b"m"))
            self.assertFalse(key.isOf(signature[:-1] + b"\x63", b"m"))

    def test_application(self) -> None:
        """What a security key signs for another application is none of ours."""
        own = Key("sk-ssh-ed25519@openssh.com")
        blob = own.blob.replace(b"\0\0\0\4ssh:", b"\0\0\0\4git:")
        self.assertFalse(sshKey(line(blob, own.kind)).isOf(own.signature(b"m"), b"m"))

    def test_kindOfSignature(self) -> None:
        """A signature that says it is of another kind is none; SHA-1 does not count."""
        for kind in KINDS:
            key, own = sshKey(made(kind).line), made(kind)
            self.assertFalse(key.isOf(own.signature(b"m", b"ssh-rsa"), b"m"), kind)
        self.assertTrue(sshKey(made("ssh-rsa").line).isOf(made("ssh-rsa").signature(b"m", b"rsa-sha2-256"), b"m"))

    def test_afterTheEnd(self) -> None:
        """Bytes after a signature's end, or too few of them."""
        for kind in KINDS:
            key, signature = sshKey(made(kind).line), made(kind).signature(b"m")
            for wrong in (signature + b"\0", b"\0" + signature, signature[:-1], signature[:3], b""):
                self.assertFalse(key.isOf(wrong, b"m"), (kind, wrong))

    def test_numbers(self) -> None:
        """Numbers of an ECDSA signature that are none."""
        key = sshKey(made("ecdsa-sha2-nistp256").line)
        for r, s in ((0, 0), (1, 1), (2**256, 1)):
            signature = string(b"ecdsa-sha2-nistp256", string(mpint(r), mpint(s)))
            self.assertFalse(key.isOf(signature, b"m"))
        negative = string(b"ecdsa-sha2-nistp256", string(b"\xff", b"\xff"))
        self.assertFalse(key.isOf(negative, b"m"))


class NoKeyTests(SynchronousTestCase):
    """What `sshKey` refuses."""

    def refused(self, text: str) -> str:
        """Why."""
        return str(self.assertRaises(ValueError, sshKey, text))

    def test_noLine(self) -> None:
        """It is none."""
        for text in ("", "x", "ssh-ed25519", "ssh-ed25519 ???", "ssh-ed25519 AAAA", "ssh-ed25519 AAAAB3"):
            self.assertEqual(self.refused(text), "is no line of an OpenSSH public key: ssh-ed25519 AAAA…", text)

    def test_otherKind(self) -> None:
        """The word before it and its own bytes differ."""
        blob = made().line.split()[1]
        self.assertIn("its own bytes say something else", self.refused(f"ssh-rsa {blob}"))

    def test_kinds(self) -> None:
        """Kinds that do not count, certificates among them."""
        for kind in ("ssh-dss", "ssh-ed25519-cert-v01@openssh.com", "x"):
            self.assertIn(f"is of a kind that does not count: {kind}", self.refused(line(string(kind.encode()), kind)))

    def test_unsound(self) -> None:
        """It has too few bytes, or too many, or is no point of the curve."""
        for kind in KINDS:
            blob = made(kind).blob
            for wrong in (blob[:-1], blob + b"\0", string(kind.encode())):
                self.assertIn(f"is no sound {kind} key", self.refused(line(wrong, kind)))
        curve = string(b"ecdsa-sha2-nistp256", b"nistp384", b"\4" + b"1" * 96)
        self.assertIn("is of another curve than it says", self.refused(line(curve, "ecdsa-sha2-nistp256")))
        point = string(b"ecdsa-sha2-nistp256", b"nistp256", b"\4" + b"1" * 64)
        self.assertIn("is no sound", self.refused(line(point, "ecdsa-sha2-nistp256")))

    def test_rsaBits(self) -> None:
        """RSA with few bits can be broken; with very many it takes long."""
        for bits in (1024, 2047, 16385):
            number = (1 << bits) - 1
            said = self.refused(line(string(b"ssh-rsa", mpint(65537), mpint(number)), "ssh-rsa"))
            self.assertIn(f"has {bits} bits", said)


class StringsTests(SynchronousTestCase):
    """`sshStrings`."""

    def test_strings(self) -> None:
        """Just as many as are there."""
        self.assertEqual(sshStrings(string(b"a", b""), 2), [b"a", b""])
        self.assertEqual(sshStrings(string(b"a") + b"12345", 1, rest=5), [b"a"])
        for data, count in ((string(b"a"), 2), (string(b"a", b"b"), 1), (b"\0\0\0", 1), (b"\xff\xff\xff\xffa", 1)):
            self.assertRaises(ValueError, sshStrings, data, count)

    def test_equal(self) -> None:
        """Two readings of one line are equal."""
        self.assertEqual(sshKey(made().line), sshKey(made().line))
        self.assertIsInstance(sshKey(made().line), SSHKey)
