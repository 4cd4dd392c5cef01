"""Whether somebody who is trusted vouches for a bundle. What is refused: tests.behaviour.test_badSignatures."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.bundles.bundle import Bundle, makeBundle
from revproxy.bundles.signature import BadKey, Signers, Untrusted, Verdict, publicKey, verify
from revproxy.bundles.signaturefiles import MANIFEST, MINISIG, SSHSIG
from revproxy.config.manifest import parseManifest
from tests.bundles import signing
from tests.bundles.test_sshkey import KINDS

DAY = 86400.0


class VerifyTests(SynchronousTestCase):
    """`verify`."""

    def test_kinds(self) -> None:
        """With each kind of key: who has signed, with which key, in which envelope, which revision."""
        for kind in KINDS:
            key = signing.sshKey(kind)
            signers = Signers([signing.signer("bob", signing.sshKey(kind, 1).line), signing.signer("alice", key.line)])
            self.assertEqual(verify(signing.signed(key=key), signers, now=0),
                             Verdict("alice", publicKey(key.line).keyId, "sshsig", 3))
        line = signing.minisignLine()
        self.assertEqual(verify(signing.signedByMinisign(), Signers([signing.signer(key=line)]), now=0),
                         Verdict("alice", publicKey(line).keyId, "minisig", 3))

    def test_pure(self) -> None:
        """Only bytes in memory are looked at: the folder need not be there."""
        bundle = replace(signing.signed(), directory=Path("/none/hello"))
        self.assertEqual(verify(bundle, Signers([signing.signer()]), now=0).revision, 3)

    def test_manifestRead(self) -> None:
        """Whoever has read plugin.json already gives what was read."""
        bundle = signing.signed()
        manifest = parseManifest(bundle.files["plugin.json"], "plugin.json")
        verify(bundle, Signers([signing.signer()]), now=0, manifest=manifest)
        error = self.assertRaises(Untrusted, verify, bundle, Signers([signing.signer()]), now=0,
                                  manifest=replace(manifest, name="other"))
        self.assertEqual(error.rule, "name")

    def test_rotation(self) -> None:
        """Two keys overlap: the one in force, and the one that takes its place; also in two envelopes."""
        old, new = signing.sshKey(), signing.sshKey(number=1)
        both = Signers([signing.signer("old", old.line, notAfter=10 * DAY), signing.signer("new", new.line)])
        self.assertEqual(verify(signing.signed(key=old), both, now=9 * DAY).signer, "old")
        self.assertEqual(verify(signing.signed(key=new), both, now=9 * DAY).signer, "new")
        self.assertRaises(Untrusted, verify, signing.signed(key=old), both, now=10 * DAY)
        self.assertEqual(verify(signing.signed(key=new), both, now=11 * DAY).signer, "new")

    def test_twoEnvelopes(self) -> None:
        """Of two envelopes the one counts whose signer does."""
        one, two = signing.signed(), signing.signedByMinisign()
        bundle = replace(one, signature={**one.signature, **two.signature})
        ssh, mini = signing.signer("ssh", notAfter=1.0), signing.signer("mini", signing.minisignLine())
        self.assertEqual(verify(bundle, Signers([ssh, mini]), now=0).signer, "ssh")
        self.assertEqual(verify(bundle, Signers([ssh, mini]), now=2).signer, "mini")
        self.assertEqual(verify(bundle, Signers([mini]), now=2).signer, "mini")
        other = replace(mini, plugins=("other",))
        self.assertEqual(self.rule(bundle, Signers([ssh, other]), now=2), "expired")
        revoked = {f"key:{publicKey(ssh.key).keyId}"}
        self.assertEqual(self.rule(bundle, Signers([ssh, other]), now=2, revoked=revoked), "revoked")

    def rule(self, bundle: Bundle, signers: Signers, **options: object) -> str:
        """By which rule it is refused."""
        return str(self.assertRaises(Untrusted, verify, bundle, signers, **options).rule)

    def test_brokenBesideGood(self) -> None:
        """A broken envelope is not passed over, also if there is a good one."""
        good = signing.signed()
        signers = Signers([signing.signer(), signing.signer("mini", signing.minisignLine())])
        wrong = replace(good, signature={**good.signature, MINISIG: b"x"})
        self.assertEqual(self.rule(wrong, signers, now=0), "envelope")
        wrong = replace(good, signature={**good.signature, MINISIG: signing.minisigned(b"other")})
        self.assertEqual(self.rule(wrong, signers, now=0), "signature")

    def test_oneKeyTwoSigners(self) -> None:
        """One key may have two entries, for instance with different globs."""
        signers = Signers([signing.signer("a", plugins=("x-*",)), signing.signer("b", plugins=("hel*",))])
        self.assertEqual(verify(signing.signed(), signers, now=0).signer, "b")

    def test_oneNumberTwoKeys(self) -> None:
        """Two keys of minisign with one number: the one that has signed counts."""
        line = signing.minisignLine()
        raw = base64.b64decode(line)
        second = base64.b64decode(signing.minisignLine(signing.minisignKey(1)))
        other = base64.b64encode(raw[:10] + second[10:]).decode()
        self.assertEqual(publicKey(line).keyId, publicKey(other).keyId)
        for order in ((line, other), (other, line)):
            signers = Signers([signing.signer(name, key) for name, key in zip("ab", order, strict=True)])
            verdict = verify(signing.signedByMinisign(), signers, now=0)
            self.assertEqual(verdict.signer, "ab"[order.index(line)])
        alone = Signers([signing.signer(key=other)])
        self.assertEqual(self.rule(signing.signedByMinisign(), alone, now=0), "signature")

    def test_expiry(self) -> None:
        """A signer's time ends what is new; what was verified before is asked without the time."""
        signers = Signers([signing.signer(notAfter=10 * DAY)])
        self.assertEqual(verify(signing.signed(), signers, now=10 * DAY - 1).signer, "alice")
        self.assertEqual(self.rule(signing.signed(), signers, now=10 * DAY), "expired")
        self.assertEqual(verify(signing.signed(), signers, now=None).signer, "alice")

    def test_expiryIsOnlyThat(self) -> None:
        """Without the time, all else is looked at."""
        signers = Signers([signing.signer(notAfter=1, plugins=("other",))])
        self.assertEqual(self.rule(signing.signed(), signers, now=None), "scope")
        key = publicKey(signing.sshKey().line).keyId
        alice = Signers([signing.signer()])
        self.assertEqual(self.rule(signing.signed(), alice, now=None, revoked={f"key:{key}"}), "revoked")

    def test_revision(self) -> None:
        """The same revision will do, and a lower one not; it says what goes back."""
        signers = Signers([signing.signer()])
        self.assertEqual(verify(signing.signed(), signers, now=0, lowest=3).revision, 3)
        error = self.assertRaises(Untrusted, verify, signing.signed(), signers, now=0, lowest=4)
        self.assertEqual((error.file, error.rule), ("plugin.json", "downgrade"))
        self.assertIn("revproxy rollback", error.message)

    def test_asSshKeygenNamesIt(self) -> None:
        """A signature under the name that ssh-keygen gives it is told how to call it."""
        signed = signing.signed()
        bundle = replace(signed, files={**signed.files, "plugin.manifest.json.sig": signed.signature[SSHSIG]},
                         signature={MANIFEST: signed.signature[MANIFEST]})
        error = self.assertRaises(Untrusted, verify, bundle, Signers([signing.signer()]), now=0)
        self.assertEqual((error.file, error.rule), ("plugin.manifest.json.sig", "unsigned"))
        self.assertIn("rename it to plugin.manifest.json.sshsig", str(error))

    def test_text(self) -> None:
        """A refusal says the file in its folder, the rule, and what to do."""
        bundle = makeBundle("hello", signing.plugin().files, Path("/plugins/hello"))
        error = self.assertRaises(Untrusted, verify, bundle, Signers([signing.signer()]), now=0)
        self.assertEqual(str(error), "/plugins/hello/plugin.manifest.json: unsigned: it is not there, and only what is "
                                     "signed may run here: revproxy sign")


class SignersTests(SynchronousTestCase):
    """`Signers` and `publicKey`."""

    def test_badKey(self) -> None:
        """A key that cannot be read is told with its signer."""
        error = self.assertRaises(BadKey, Signers, [signing.signer(), signing.signer("bob", "ssh-ed25519 AAAA")])
        self.assertEqual((error.signer, str(error)), (
            "bob", "trust.signers.bob.key is no line of an OpenSSH public key: ssh-ed25519 AAAA…"))
        error = self.assertRaises(BadKey, Signers, [signing.signer("eve", "RWQAAA")])
        self.assertEqual(error.message, "is no public key of minisign: RW…")

    def test_ids(self) -> None:
        """The ids of keys, by signer; spaces around a key do not matter."""
        signers = Signers([signing.signer(key=f" {signing.sshKey().line} me@here\n"),
                           signing.signer("bob", f"{signing.minisignLine()}\n")])
        self.assertEqual([(config.name, key.kind, key.keyId) for config, key in signers],
                         [("alice", "ssh-ed25519", publicKey(signing.sshKey().line).keyId),
                          ("bob", "minisign", publicKey(signing.minisignLine()).keyId)])

    def test_file(self) -> None:
        """The whole file of a public key, as a reference in revproxy.yaml gives it."""
        line = signing.minisignLine()
        for text in (f"untrusted comment: minisign public key X\n{line}\n", f"untrusted comment: x\r\n{line}\r\n"):
            self.assertEqual(publicKey(text), publicKey(line))
        ssh = signing.sshKey().line
        self.assertEqual(publicKey(f"{ssh} me@here\n"), publicKey(ssh))
        twice = f"{line}\n{line}"
        for text in (f"{ssh}\n{ssh}", "untrusted comment: x", f"untrusted comment: x\n{twice}", twice):
            self.assertRaises(ValueError, publicKey, text)

    def test_files(self) -> None:
        """What a signature is called."""
        self.assertEqual(sorted(signing.signed().signature), [MANIFEST, SSHSIG])
