"""Whether a version may run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.bundles import signature
from revproxy.config.configfile import parseConfig
from revproxy.config.lockfile import LockedDistribution, LockedPlugin, LockedVersion, LockFile
from revproxy.config.trustconfig import TrustConfig
from revproxy.control.trust import policy as policies
from revproxy.control.trust.memory import Memory
from revproxy.control.trust.policy import UNCHECKED, Answers, Policy
from revproxy.control.trust.trustfiles import Lists
from revproxy.plan.catalog import CatalogEntry, Distribution, entryOf
from tests.bundles.signing import minisignLine, plugin, signed, signedByMinisign, signer, sshKey

CONFIG = "listeners: [{endpoint: 'tcp:0'}]\nroutes: [{respond: {}}]\n"


def entry(bundle: Any = None) -> CatalogEntry:
    """Of what alice has signed."""
    found = entryOf(bundle or signed(), "plugins/hello/plugin.json")
    assert isinstance(found, CatalogEntry)
    return found


class PolicyCase(SynchronousTestCase):
    """alice signs."""

    def setUp(self) -> None:
        self.answers = Answers()
        self.memory = Memory()
        self.seen: dict[tuple[str, str], Any] = {}

    def policy(self, mode: str = "signed", now: float = 0.0, signers: Any = None, **lists: Any) -> Policy:
        from pathlib import Path

        config = parseConfig(CONFIG, "r.yaml", Path("/"))
        trust = TrustConfig(mode, signers=tuple(signers or [signer()]))  # type: ignore[arg-type]
        return Policy(replace(config, trust=trust), Lists(**lists), self.memory, now, self.answers,
                      lambda name, digest: self.seen.get((name, digest)))  # fmt: skip


class SignedTests(PolicyCase):
    """Somebody has to sign."""

    def test_signed(self) -> None:
        """What is signed is trusted, by whom it is signed."""
        for bundle, line, envelope in ((signed(), None, "sshsig"), (signedByMinisign(), minisignLine(), "minisig")):
            judgement = self.policy(signers=[signer(key=line)]).judge(entry(bundle), False)
            self.assertEqual((judgement.state, judgement.envelope, judgement.revision), ("trusted", envelope, 3))
            assert judgement.signer is not None
            self.assertEqual(judgement.signer.name, "alice")

    def test_refused(self) -> None:
        """The file, and the rule, of what is not."""
        judgement = self.policy().judge(entry(plugin()), False)
        self.assertEqual((judgement.state, judgement.rule), ("untrusted", "unsigned"))
        self.assertIn("hello/plugin.manifest.json: unsigned: ", str(judgement))

    def test_remembered(self) -> None:
        """The same is verified once; other rules, or another signature, once more."""
        calls: list[Any] = []

        def verify(*arguments: Any, **named: Any) -> Any:
            calls.append(named)
            return signature.verify(*arguments, **named)

        self.patch(policies, "verify", verify)
        version, other = entry(), entry(signed(key=sshKey(number=1)))
        for _ in range(3):
            self.policy().judge(version, False)
            self.policy().judge(other, False)
        self.assertEqual(len(calls), 2)
        self.policy(revoked=frozenset(["key:x"])).judge(version, False)
        self.policy(signers=[signer(), signer("bob", sshKey(number=1).line)]).judge(version, False)
        self.assertEqual(len(calls), 4)

    def test_expired(self) -> None:
        """The same version, a moment later, is another question."""
        signers = [signer(notAfter=100.0)]
        self.assertEqual(self.policy(now=99.0, signers=signers).judge(entry(), False).state, "trusted")
        self.assertEqual(self.policy(now=100.0, signers=signers).judge(entry(), False).rule, "expired")
        self.assertEqual(self.policy(now=100.0, signers=signers).judge(entry(), True).rule, "expired")
        self.memory.isOver(100.0)
        self.assertEqual(self.policy(now=99.0, signers=signers).judge(entry(), False).rule, "expired")

    def test_lower(self) -> None:
        """A lower revision than ran: not from a folder; from the store, yes."""
        verified = self.policy().judge(entry(), False).asVerified(entry(), 1.0)
        assert verified is not None
        self.memory.ran("hello", "d" * 64, verified)
        lower = entry(signed(plugin(revision=2)))
        self.assertEqual(self.policy().judge(lower, False).rule, "downgrade")
        self.assertEqual(self.policy().judge(lower, True).state, "trusted")

    def test_seen(self) -> None:
        """A signature that was seen of the same files will do; of others, it will not."""
        unsigned = entry(plugin())
        self.seen["hello", unsigned.digest or ""] = signed().signature
        self.assertEqual(self.policy().judge(unsigned, True).state, "trusted")
        self.seen["hello", unsigned.digest or ""] = signed(plugin(revision=9)).signature
        self.assertEqual(self.policy().judge(unsigned, True).state, "untrusted")

    def test_badKey(self) -> None:
        """A key that cannot be read is a problem at its place, and trusts nobody."""
        policy = self.policy(signers=[signer(key="ssh-ed25519 AAAA")])
        self.assertEqual(len(policy.problems), 1)
        self.assertEqual(policy.judge(entry(), False).state, "untrusted")

    def test_off(self) -> None:
        """Where nothing is asked, nothing is verified."""
        self.patch(policies, "verify", None)
        self.assertIs(self.policy("off").judge(entry(plugin()), False), UNCHECKED)


class RevokedTests(PolicyCase):
    """Something does not count any more."""

    def test_key(self) -> None:
        """What the key has signed, wherever it comes from."""
        key = self.policy().judge(entry(), False).key
        for isKept in (False, True):
            judgement = self.policy(revoked=frozenset([f"key:{key}"])).judge(entry(), isKept)
            self.assertEqual((judgement.state, judgement.rule), ("revoked", "revoked"))

    def test_version(self) -> None:
        """A version, whoever has signed it, and where nobody has to."""
        revoked = frozenset([f"sha256:{entry().digest}"])
        for mode in ("off", "lock", "signed"):
            self.assertEqual(self.policy(mode, revoked=revoked).judge(entry(), True).state, "revoked", mode)

    def test_lockedKey(self) -> None:
        """A lock file that says a version is of that key does not save it."""
        version = entry()
        locked = LockedPlugin(LockedVersion("1.2.0", version.digest or "", "alice", "SHA256:x"))
        lists: dict[str, Any] = {"lock": LockFile({"hello": locked}), "revoked": frozenset(["key:SHA256:x"])}
        self.assertEqual(self.policy("lock", **lists).judge(version, True).state, "revoked")


    def test_notLocked(self) -> None:
        """What runs and is in the lock file no more is revoked all the same: it has to go, and not only not to come."""
        key = self.policy().judge(entry(), False).key
        other = LockedPlugin(LockedVersion("1.0.0", "0" * 64, "alice", key))
        for lock in (LockFile({"hello": other}), LockFile({}), None):
            judgement = self.policy("signed+lock", lock=lock).judge(entry(), True)
            self.assertEqual((judgement.state, judgement.rule), ("untrusted", "lock"))
            judgement = self.policy("signed+lock", lock=lock, revoked=frozenset([f"key:{key}"])).judge(entry(), True)
            self.assertEqual(judgement.state, "revoked")


class LockTests(PolicyCase):
    """The lock file has to have it."""

    def lock(self, key: str = "", digest: str | None = None) -> LockFile:
        version = LockedVersion("1.2.0", digest or entry().digest or "", "alice" if key else "", key)
        return LockFile({"hello": LockedPlugin(version)})

    def test_none(self) -> None:
        """Without a lock file nothing runs."""
        self.assertEqual(self.policy("lock").judge(entry(), True).rule, "lock")

    def test_key(self) -> None:
        """The signature has to be of the key that stands there, if one does."""
        bob = sshKey(number=1)
        signers = [signer(), signer("bob", bob.line)]
        alices = self.policy(signers=signers).judge(entry(), False).key
        bobs = self.policy(signers=signers).judge(entry(signed(key=bob)), False).key
        lock = self.lock(alices)
        self.assertEqual(self.policy("signed+lock", signers=signers, lock=lock).judge(entry(), False).state, "trusted")
        judgement = self.policy("signed+lock", signers=signers, lock=lock).judge(entry(signed(key=bob)), False)
        self.assertEqual(judgement.state, "untrusted")
        judgement = self.policy("signed+lock", lock=self.lock(bobs)).judge(entry(), False)
        self.assertIn("nobody's under trust.signers", judgement.message)

    def test_both(self) -> None:
        """A lock file takes the place of no signature."""
        lock = self.lock()
        self.assertEqual(self.policy("signed+lock", lock=lock).judge(entry(plugin()), False).rule, "unsigned")
        self.assertEqual(self.policy("lock", lock=lock).judge(entry(plugin()), False).state, "trusted")


class InstalledTests(PolicyCase):
    """What is installed with Python."""

    def installed(self, distribution: Distribution | None) -> CatalogEntry:
        return CatalogEntry(entry().manifest, "dropin", None, "acme.stamp", distribution)

    def test_own(self) -> None:
        """Ours is ours."""
        ours = self.installed(Distribution("revproxy", "1", "", True))
        for mode in ("lock", "signed", "signed+lock"):
            self.assertTrue(self.policy(mode).judge(ours, False).mayRun)

    def test_listed(self) -> None:
        """Others have to be in the lock file, with their version and files."""
        acme = Distribution("acme", "1", "5d" * 32)
        lock = LockFile(distributions={"acme": LockedDistribution("1", "5d" * 32)})
        self.assertEqual(self.policy(lock=lock).judge(self.installed(acme), False).state, "trusted")
        for other in (replace(acme, version="2"), replace(acme, record="6f" * 32), None):
            self.assertEqual(self.policy(lock=lock).judge(self.installed(other), False).rule, "distribution")
        self.assertEqual(self.policy().judge(self.installed(acme), False).rule, "distribution")
        self.assertTrue(self.policy("off").judge(self.installed(None), False).mayRun)

    def test_revoked(self) -> None:
        """They are revoked by the same digest."""
        acme = Distribution("acme", "1", "5d" * 32)
        policy = self.policy("off", revoked=frozenset([f"sha256:{acme.record}"]))
        self.assertEqual(policy.judge(self.installed(acme), True).state, "revoked")
