"""The envelope that ``minisign -S`` makes, and minisign's public keys."""

from __future__ import annotations

import base64

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.bundles.minisignenvelope import minisignKey, readMinisignEnvelope
from revproxy.bundles.sshkey import sshKey
from revproxy.bundles.untrusted import Untrusted
from tests.bundles import signing
from tests.bundles.plainverifier import verifyMinisign

MESSAGE = b"a manifest"
LINE = signing.minisignLine()


def holds(envelope: bytes, message: bytes = MESSAGE) -> bool:
    """Whether an envelope is taken."""
    try:
        readMinisignEnvelope(envelope).check(minisignKey(LINE), message)
    except Untrusted:
        return False
    return True


class KeyTests(SynchronousTestCase):
    """`minisignKey`."""

    def test_id(self) -> None:
        """The id is what minisign shows: its number with the last byte first."""
        line = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"  # of minisign's own releases
        self.assertEqual(minisignKey(line).keyId, "E7620F1842B4E81F")
        self.assertEqual(minisignKey(line).line, line)

    def test_none(self) -> None:
        """It is none."""
        for line in ("", "RW", "RWQ", LINE[:-4], LINE + "AAAA", "RX" + LINE[2:], LINE.lower(), f"{LINE}\n"):
            self.assertRaises(ValueError, minisignKey, line)


class EnvelopeTests(SynchronousTestCase):
    """`readMinisignEnvelope`, and what it reads."""

    def rule(self, envelope: bytes, message: bytes = MESSAGE) -> str:
        """By which rule it is refused."""
        def take() -> None:
            readMinisignEnvelope(envelope).check(minisignKey(LINE), message)

        error = self.assertRaises(Untrusted, take)
        self.assertEqual(error.file, "plugin.manifest.json.minisig")
        return str(error.rule)

    def test_good(self) -> None:
        """What the key has signed, and nothing else; the plain verifier says the same."""
        good = signing.minisigned(MESSAGE)
        read = readMinisignEnvelope(good)
        self.assertEqual((read.kind, read.keyId, read.identity), ("minisig", minisignKey(LINE).keyId,
                                                                  minisignKey(LINE).blob))
        for message in (MESSAGE, MESSAGE + b" "):
            self.assertEqual(holds(good, message), message == MESSAGE)
            self.assertEqual(verifyMinisign(LINE, good, message), message == MESSAGE)

    def test_otherKey(self) -> None:
        """Another key has not signed it, also one of another kind of envelope."""
        self.assertEqual(self.rule(signing.minisigned(MESSAGE, key=signing.minisignKey(1))), "signature")
        read = readMinisignEnvelope(signing.minisigned(MESSAGE))
        self.assertRaises(Untrusted, read.check, sshKey(signing.sshKey().line), MESSAGE)

    def test_comment(self) -> None:
        """The trusted comment, which is signed, begins with what it is for."""
        for comment in ("", "timestamp:1\tfile:plugin.manifest.json\thashed", "revproxy-plugin@v2",
                        "revproxy-plugin@v10", " revproxy-plugin@v1", "for revproxy-plugin@v1"):
            self.assertEqual(self.rule(signing.minisigned(MESSAGE, comment=comment)), "namespace", comment)
        for comment in ("revproxy-plugin@v1", "revproxy-plugin@v1 hello 1.2.0"):
            self.assertTrue(holds(signing.minisigned(MESSAGE, comment=comment)), comment)

    def test_commentIsSigned(self) -> None:
        """Another comment in the place of the signed one."""
        other = signing.minisigned(MESSAGE, comment="timestamp:1")
        self.assertEqual(self.rule(other.replace(b"timestamp:1", b"revproxy-plugin@v1")), "signature")

    def test_oldKind(self) -> None:
        """The kind without a hash is refused, and it is said what to do."""
        self.assertEqual(self.rule(signing.minisigned(MESSAGE, prehash=False)), "hash")

    def test_form(self) -> None:
        """Its text is what the tool writes, and nothing beside it."""
        good = signing.minisigned(MESSAGE)
        self.assertTrue(holds(good.removesuffix(b"\n")))
        for wrong in (b"", good + b"\n", b"\n" + good, good + good, good.replace(b"\n", b"\r\n"),
                      good.replace(b"untrusted comment: ", b""), good.replace(b"trusted comment: ", b"x: "),
                      b"\n".join(good.split(b"\n")[:3]), good.replace(b"comment", b"\xff"), b"\x0b".join(good.split())):
            self.assertEqual(self.rule(wrong), "envelope", wrong)

    def test_cut(self) -> None:
        """However much of it is missing."""
        good = signing.minisigned(MESSAGE)
        for end in range(len(good) - 1):
            self.assertFalse(holds(good[:end]), end)

    @given(st.integers(0, 73), st.integers(1, 255), st.sampled_from([1, 3]))
    def test_bits(self, at: int, change: int, line: int) -> None:
        """Whatever bit of it is another: it is refused, and the plain verifier says the same."""
        lines = signing.minisigned(MESSAGE).split(b"\n")
        content = bytearray(base64.b64decode(lines[line]))
        content[at % len(content)] ^= change
        lines[line] = base64.b64encode(content)
        wrong = b"\n".join(lines)
        self.assertFalse(verifyMinisign(LINE, wrong, MESSAGE))
        self.assertFalse(holds(wrong))

    @given(st.binary(max_size=300))
    def test_anything(self, data: bytes) -> None:
        """Whatever it is, it is refused."""
        self.assertEqual(self.rule(data), "envelope")
