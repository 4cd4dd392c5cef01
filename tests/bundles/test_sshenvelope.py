"""The envelope that ``ssh-keygen -Y sign`` makes."""

from __future__ import annotations

import base64

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.bundles.minisignenvelope import minisignKey
from revproxy.bundles.sshenvelope import readSSHEnvelope
from revproxy.bundles.sshkey import sshKey
from revproxy.bundles.untrusted import Untrusted
from tests.bundles.plainverifier import verifySSH
from tests.bundles.signing import armoured, minisignLine, raw
from tests.bundles.signing import sshKey as made
from tests.bundles.test_sshkey import KINDS

MESSAGE = b"a manifest"


def holds(kind: str, envelope: bytes, message: bytes = MESSAGE) -> bool:
    """Whether an envelope is taken."""
    try:
        readSSHEnvelope(envelope).check(sshKey(made(kind).line), message)
    except Untrusted:
        return False
    return True


class EnvelopeTests(SynchronousTestCase):
    """`readSSHEnvelope`, and what it reads."""

    def rule(self, envelope: bytes, kind: str = "ssh-ed25519") -> str:
        """By which rule it is refused."""
        def take() -> None:
            readSSHEnvelope(envelope).check(sshKey(made(kind).line), MESSAGE)

        error = self.assertRaises(Untrusted, take)
        self.assertEqual(error.file, "plugin.manifest.json.sshsig")
        return str(error.rule)

    def test_kinds(self) -> None:
        """Each kind of key, with both hashes; the plain verifier says the same."""
        for kind in KINDS:
            for name in (b"sha512", b"sha256"):
                envelope = made(kind).envelope(MESSAGE, hashName=name)
                read = readSSHEnvelope(envelope)
                self.assertEqual((read.identity, read.kind, read.line), (made(kind).blob, "sshsig", made(kind).line))
                self.assertEqual(read.keyId, sshKey(made(kind).line).keyId)
                for message in (MESSAGE, MESSAGE + b" "):
                    self.assertEqual(holds(kind, envelope, message), message == MESSAGE, kind)
                    self.assertEqual(verifySSH(made(kind).line, envelope, message), message == MESSAGE, kind)

    def test_otherKey(self) -> None:
        """Another key has not signed it, also one of another kind of envelope."""
        envelope = readSSHEnvelope(made("ssh-rsa").envelope(MESSAGE))
        self.assertRaises(Untrusted, envelope.check, sshKey(made().line), MESSAGE)
        self.assertRaises(Untrusted, envelope.check, minisignKey(minisignLine()), MESSAGE)

    def test_namespace(self) -> None:
        """What was signed as something else is not taken."""
        for namespace in (b"git", b"file", b"", b"revproxy-plugin@v2", b"revproxy-plugin@v1\0", b"\xff"):
            self.assertEqual(self.rule(made().envelope(MESSAGE, namespace=namespace)), "namespace")

    def test_hash(self) -> None:
        """Weak hashes do not count."""
        for name in (b"sha1", b"md5", b"sha384", b"SHA512"):
            self.assertEqual(self.rule(made().envelope(MESSAGE, hashName=name)), "hash")

    def test_algorithm(self) -> None:
        """RSA with SHA-1 does not count."""
        self.assertEqual(self.rule(made("ssh-rsa").envelope(MESSAGE, algorithm=b"ssh-rsa"), "ssh-rsa"), "signature")

    def test_parts(self) -> None:
        """Each part of it has to be what it is."""
        for parts in ({"magic": b"SSHSIX"}, {"magic": b""}, {"version": b"\0\0\0\2"}, {"version": b"\0\0\0\0"},
                      {"reserved": b"x"}, {"after": b"\0"}, {"after": b"more"}):
            self.assertEqual(self.rule(made().envelope(MESSAGE, **parts)), "envelope", parts)  # type: ignore[arg-type]
        for signature in (b"", b"\0" * 83, made().signature(MESSAGE)):
            self.assertEqual(self.rule(made().envelope(MESSAGE, signature=signature)), "signature")

    def test_armour(self) -> None:
        """Its text is what the tool writes, and nothing beside it."""
        good = made().envelope(MESSAGE)
        self.assertTrue(holds("ssh-ed25519", good))
        self.assertTrue(holds("ssh-ed25519", good.removesuffix(b"\n")))
        self.assertTrue(holds("ssh-ed25519", armoured(raw(good), 76)))
        for wrong in (b"", b"\n" + good, good + b"\n", good + good, b"text\n" + good, good + b"text",
                      good.replace(b"\n", b"\r\n"), good.replace(b"SIGNATURE", b"MESSAGE"), good.lower(),
                      raw(good), base64.b64encode(raw(good)), good.replace(b"U1NI", b"U1 NI"),
                      good.replace(b"U1NI", b"U1\n\nNI"), armoured(b""), armoured(b"SSHSIG")):
            self.assertEqual(self.rule(wrong), "envelope", wrong)

    def test_lengths(self) -> None:
        """Lengths inside that lead out of it."""
        content = raw(made().envelope(MESSAGE))
        for at in (10, 65, 87, 91, 101):
            for length in (b"\xff\xff\xff\xff", b"\0\0\0\1", b"\x7f\0\0\0"):
                wrong = armoured(content[:at] + length + content[at + 4:])
                self.assertFalse(holds("ssh-ed25519", wrong), (at, length))

    def test_cut(self) -> None:
        """However much of it is missing, it is refused, and nothing else is raised."""
        content = raw(made().envelope(MESSAGE))
        for end in range(len(content)):
            self.assertFalse(holds("ssh-ed25519", armoured(content[:end])))

    def test_base64(self) -> None:
        """Of several ways to write the same bytes, only one counts."""
        good = made().envelope(MESSAGE)
        content = raw(good)
        self.assertNotEqual(len(content) % 3, 0)
        text = base64.b64encode(content)
        letter = text.rstrip(b"=")[-1:]
        other = bytes([letter[0] + 1])
        wrong = good.replace(letter + text[len(text.rstrip(b"=")):], other + text[len(text.rstrip(b"=")):])
        self.assertNotEqual(wrong, good)
        self.assertEqual(base64.b64decode(b"".join(wrong.split(b"\n")[1:-2])), content)
        self.assertEqual(self.rule(wrong), "envelope")

    @given(st.sampled_from(KINDS), st.integers(0, 600), st.integers(1, 255))
    def test_bits(self, kind: str, at: int, change: int) -> None:
        """Whatever bit of it is another: it is refused, and the plain verifier says the same."""
        content = bytearray(raw(made(kind).envelope(MESSAGE)))
        content[at % len(content)] ^= change
        wrong = armoured(bytes(content))
        self.assertFalse(verifySSH(made(kind).line, wrong, MESSAGE))
        self.assertFalse(self._taken(kind, wrong))

    @staticmethod
    def _taken(kind: str, envelope: bytes) -> bool:
        """As `verify` does it: the key that it names has to be the one that is trusted."""
        try:
            read = readSSHEnvelope(envelope)
        except Untrusted:
            return False
        return read.identity == made(kind).blob and holds(kind, envelope)

    @given(st.binary(max_size=300))
    def test_anything(self, data: bytes) -> None:
        """Whatever it is, it is refused."""
        self.assertEqual(self.rule(data), "envelope")
        self.assertFalse(holds("ssh-ed25519", armoured(b"SSHSIG\0\0\0\1" + data)))
