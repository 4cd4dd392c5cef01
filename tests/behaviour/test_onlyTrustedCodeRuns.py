"""Nothing runs that nobody vouches for, whichever way it comes; and what runs is not lost to the rules."""

from __future__ import annotations

import json
import shutil

from revproxy.bundles.bundle import readBundle
from revproxy.bundles.versionstore import VersionStore
from revproxy.config.lockfile import LockedVersion
from revproxy.control.commands import CommandError
from revproxy.control.steering import Asker
from tests.control.trust.trustcase import ALICE, BOB, TrustCase


class FolderTests(TrustCase):
    """What comes from the folder."""

    def test_signed(self) -> None:
        """What somebody has signed runs, and it is shown who has."""
        self.write()
        self.start()
        self.assertEqual(self.runs(), ["a 1.0.0"])
        told = self.status()
        self.assertEqual((told["state"], told["signer"], told["key"], told["envelope"], told["revision"]),
                         ("trusted", "alice", self.keyId(ALICE), "sshsig", 1))
        self.assertEqual(told["verified_at"], self.bench.clock.seconds())

    def test_unsignedAtFirst(self) -> None:
        """At a first start, what nobody has signed keeps the edge from starting."""
        self.write(by=None)
        self.assertIn("a/plugin.manifest.json: unsigned", self.refusedStart())

    def test_unsignedNewcomer(self) -> None:
        """Later it is left out, and told once; the others are not touched."""
        self.write()
        self.start()
        self.write("b", by=None)
        self.apply()
        self.apply()
        self.assertEqual(self.runs(), ["a 1.0.0"])
        (text,) = self.told("untrusted")
        self.assertIn("b/plugin.manifest.json: unsigned", text)
        self.assertEqual(self.status("b")["rule"], "unsigned")

    def test_unsignedUpdate(self) -> None:
        """An update that nobody has signed leaves what runs alone; once it is signed, it runs."""
        self.write()
        self.start()
        self.write(version="1.1.0", by=None, revision=2)
        self.apply()
        self.assertEqual(self.runs(), ["a 1.0.0"])
        self.assertEqual(self.status()["waiting"]["stage"], "trust")
        self.sign("a", self.keys[ALICE])
        self.apply()
        self.assertEqual(self.runs(), ["a 1.1.0"])
        self.assertIsNone(self.status()["waiting"])

    def test_otherFile(self) -> None:
        """One byte after the signature, and it is refused by its file."""
        folder = self.write()
        self.start()
        self.write(version="1.1.0", revision=2)
        with (folder / "plugin.py").open("a") as file:
            file.write("\n")
        self.apply()
        self.assertEqual(self.runs(), ["a 1.0.0"])
        self.assertIn("a/plugin.py: ", self.told("untrusted")[0])

    def test_scope(self) -> None:
        """Who signs for some plugins signs for no others."""
        self.signers[BOB] = {"plugins": ["b-*"], "tier": "inline"}
        self.write()
        self.start()
        self.write("b-1", by=BOB)
        self.write("c", by=BOB)
        self.apply()
        self.assertEqual(self.runs(), ["a 1.0.0", "b-1 1.0.0"])
        self.assertIn("c/plugin.manifest.json.sshsig: scope", self.told("untrusted")[0])

    def test_switchedOff(self) -> None:
        """What is off is not asked for; when it is switched on, it is."""
        self.plugins["config"] = {"b": False}
        self.write()
        self.write("b", by=None)
        self.start()
        self.assertEqual((self.runs(), self.told("untrusted")), (["a 1.0.0"], []))
        del self.plugins["config"]
        self.say()
        self.apply()
        self.assertEqual(self.runs(), ["a 1.0.0"])
        self.assertIn("b/plugin.manifest.json: unsigned", self.told("untrusted")[0])

    def test_enable(self) -> None:
        """Neither does a command switch it on."""
        self.write()
        self.write("b", by=None, enabled=False)
        self.start()
        told = self.call("enable", name="b")
        self.assertEqual(told["refused"][0]["stage"], "trust")
        self.assertEqual(self.runs(), ["a 1.0.0"])


class RevisionTests(TrustCase):
    """A folder never goes back by itself."""

    def setUp(self) -> None:
        super().setUp()
        self.write(revision=1)
        self.start()
        self.write(version="1.1.0", revision=2)
        self.apply()

    def test_lower(self) -> None:
        """An older version in the folder is refused, though it was signed and did run."""
        self.write(revision=1)
        self.apply()
        self.assertEqual(self.runs(), ["a 1.1.0"])
        self.assertIn("a/plugin.json: downgrade", self.told("untrusted")[0])

    def test_restart(self) -> None:
        """So it is over a restart: what ran before runs again."""
        self.write(revision=1)
        self.restart()
        self.assertEqual(self.runs(), ["a 1.1.0"])

    def test_comesBack(self) -> None:
        """A folder that is deleted and comes back has no lower revision, either."""
        shutil.rmtree(self.bench.plugins / "a")
        self.apply()
        self.write(revision=1)
        self.apply()
        self.assertEqual(self.runs(), [])
        self.write(version="1.1.0", revision=2)
        self.apply()
        self.assertEqual(self.runs(), ["a 1.1.0"])

    def test_rollback(self) -> None:
        """Somebody may go back, and it holds over a restart; from there only up."""
        self.call("rollback", name="a")
        self.assertEqual(self.runs(), ["a 1.0.0"])
        self.restart()
        self.assertEqual(self.runs(), ["a 1.0.0"])
        self.write(version="1.0.5", revision=1)
        self.apply()
        self.assertEqual(self.runs(), ["a 1.0.0"])
        self.write(version="1.2.0", revision=3)
        self.apply()
        self.assertEqual(self.runs(), ["a 1.2.0"])


class RevokedTests(TrustCase):
    """What does not count any more."""

    def begin(self, **manifest: object) -> None:
        self.trust["revoked"] = "./revoked"
        self.revoke()
        self.write(**manifest)
        self.write("b")
        self.start()

    def test_noFile(self) -> None:
        """Without the file the edge does not start: nobody knows what is in it."""
        self.trust["revoked"] = "./revoked"
        self.write()
        self.assertIn("revoked: is not there", self.refusedStart())

    def test_version(self) -> None:
        """A version that is revoked is gone at once; a command does not bring it back, nor a restart."""
        self.begin()
        digest = self.digest()
        self.revoke(f"sha256:{digest}  # a hole")
        self.apply()
        self.assertEqual(self.runs(), ["b 1.0.0"])
        (text,) = self.told("revoked")
        self.assertIn(digest, text)
        self.assertEqual(self.status()["state"], "revoked")
        for command in ("enable", "rollback", "pin"):
            arguments = {} if command == "enable" else {"version": "1.0.0"}
            self.call(command, name="a", **arguments)
            self.assertEqual(self.runs(), ["b 1.0.0"], command)
        self.restart()
        self.assertEqual(self.runs(), ["b 1.0.0"])

    def test_timer(self) -> None:
        """The file is looked at by itself, also where nobody watches."""
        self.begin()
        self.revoke(f"sha256:{self.digest()}")
        self.bench.clock.pump([1.0] * 31)
        self.assertEqual(self.runs(), ["b 1.0.0"])

    def test_unwatched(self) -> None:
        """So it is where nothing is watched."""
        self.plugins["watch"] = False
        self.begin()
        self.revoke(f"sha256:{self.digest()}")
        self.bench.clock.pump([1.0] * 31)
        self.assertEqual(self.runs(), ["b 1.0.0"])

    def test_key(self) -> None:
        """With a key goes all that it has signed; what another one has signed as well stays."""
        self.signers[BOB] = {"tier": "inline"}
        self.trust["revoked"] = "./revoked"
        self.revoke()
        self.write()
        self.write("b", by=BOB)
        self.start()
        self.revoke(f"key:{self.keyId(ALICE)}")
        self.apply()
        self.assertEqual(self.runs(), ["b 1.0.0"])
        self.sign("a", self.keys[BOB])
        self.apply()
        self.assertEqual(self.runs(), ["a 1.0.0", "b 1.0.0"])

    def test_required(self) -> None:
        """Where it is required, its routes are answered 503, as for one that cannot be had; also after a restart."""
        self.begin(required=True)
        self.revoke(f"sha256:{self.digest()}")
        self.apply()
        plan = self.bench.coordinator.plan
        assert plan is not None
        self.assertEqual((self.runs(), plan.missing), (["b 1.0.0"], {"a": (0,)}))
        self.restart()
        plan = self.bench.coordinator.plan
        assert plan is not None
        self.assertEqual((self.runs(), plan.missing), (["b 1.0.0"], {"a": (0,)}))

    def test_requiredWithoutFolder(self) -> None:
        """Whether its folder is still there does not matter."""
        self.begin(required=True)
        digest = self.digest()
        shutil.rmtree(self.bench.plugins / "a")
        self.apply()
        self.assertEqual(self.runs(), ["a 1.0.0", "b 1.0.0"])
        self.revoke(f"sha256:{digest}")
        self.apply()
        plan = self.bench.coordinator.plan
        assert plan is not None
        self.assertEqual((self.runs(), plan.missing), (["b 1.0.0"], {"a": (0,)}))

    def test_named(self) -> None:
        """That revproxy.yaml names it holds nothing up, now or at a restart."""
        self.plugins["config"] = {"a": {"x": 1}}
        self.begin()
        self.revoke(f"sha256:{self.digest()}")
        self.apply()
        self.assertEqual(self.runs(), ["b 1.0.0"])
        self.restart()
        self.assertEqual(self.runs(), ["b 1.0.0"])

    def test_needed(self) -> None:
        """What needs it goes with it, and comes back with another version."""
        self.trust["revoked"] = "./revoked"
        self.revoke()
        self.write()
        self.write("b", requires={"a": ""})
        self.write("c")
        self.start()
        self.revoke(f"sha256:{self.digest()}")
        self.apply()
        self.assertEqual(self.runs(), ["c 1.0.0"])
        self.assertTrue(any("it needs a" in text for text in self.told("revoked")))
        self.write(version="1.1.0", revision=2)
        self.apply()
        self.assertEqual(self.runs(), ["a 1.1.0", "b 1.0.0", "c 1.0.0"])

    def test_successor(self) -> None:
        """If its folder has another version by then, that runs; if that fails, the revoked one does not come back."""
        self.begin()
        digest = self.digest()
        (self.bench.plugins / "a" / "plugin.py").write_text("1 / 0")
        manifest = {"name": "a", "version": "1.1.0", "revision": 2}
        (self.bench.plugins / "a" / "plugin.json").write_text(json.dumps(manifest))
        self.sign("a", self.keys[ALICE])
        self.revoke(f"sha256:{digest}")
        self.apply()
        self.assertEqual(self.runs(), ["b 1.0.0"])
        self.write(version="1.2.0", revision=3)
        self.apply()
        self.assertEqual(self.runs(), ["a 1.2.0", "b 1.0.0"])

    def test_rollback(self) -> None:
        """A rollback passes over versions that are revoked."""
        self.begin()
        first = self.digest()
        self.write(version="1.1.0", revision=2)
        self.apply()
        second = self.digest()
        self.write(version="1.2.0", revision=3)
        self.apply()
        self.revoke(f"sha256:{second}")
        self.apply()
        self.call("rollback", name="a")
        self.assertEqual(self.runs(), ["a 1.0.0", "b 1.0.0"])
        self.revoke(f"sha256:{second}", f"sha256:{first}")
        self.apply()
        self.assertEqual(self.runs(), ["b 1.0.0"])

    def test_slip(self) -> None:
        """A line that cannot be understood takes nothing from the others, and is told with its place."""
        self.begin()
        self.revoke("sha256:123", f"sha256:{self.digest()}")
        self.apply()
        self.assertEqual(self.runs(), ["b 1.0.0"])
        (text,) = self.told("trust-file")
        self.assertIn("revoked:1:1: ", text)
        self.revoke("sha256:123")
        self.apply()
        self.assertEqual(self.runs(), ["b 1.0.0"])
        self.revoke()
        self.apply()
        self.assertEqual(self.runs(), ["a 1.0.0", "b 1.0.0"])
        self.assertEqual(len(self.told("trust-file-read")), 1)

    def test_fileGone(self) -> None:
        """That somebody deletes the file gives nothing free."""
        self.begin()
        self.revoke(f"sha256:{self.digest()}")
        self.apply()
        (self.bench.root / "revoked").unlink()
        self.apply()
        self.assertEqual(self.runs(), ["b 1.0.0"])
        self.bench.stop()
        del self.bench.state
        self.assertIn("revoked: is not there", self.refusedStart())

    def test_off(self) -> None:
        """Versions are revoked also where nobody has to sign."""
        self.trust["mode"] = "off"
        self.signers.clear()
        self.begin()
        self.revoke(f"sha256:{self.digest()}")
        self.apply()
        self.assertEqual(self.runs(), ["b 1.0.0"])


class ExpiryTests(TrustCase):
    """A signer's time ends. The clock of the bench begins on 12 January 1970."""

    def begin(self) -> None:
        self.signers[ALICE]["not_after"] = "1970-01-20"
        self.write(revision=1)
        self.start()
        self.write(version="1.1.0", revision=2)
        self.apply()

    def expire(self) -> None:
        self.bench.clock.advance(20 * 86400)

    def test_new(self) -> None:
        """Nothing new is taken after it."""
        self.begin()
        self.expire()
        self.write(version="1.2.0", revision=3)
        self.apply()
        self.assertEqual(self.runs(), ["a 1.1.0"])
        self.assertIn("expired", self.told("untrusted")[0])

    def test_old(self) -> None:
        """What was verified before goes on, over a restart, and may be gone back to at night."""
        self.begin()
        self.expire()
        self.restart()
        self.assertEqual(self.runs(), ["a 1.1.0"])
        self.call("rollback", name="a")
        self.assertEqual(self.runs(), ["a 1.0.0"])
        self.restart()
        self.assertEqual(self.runs(), ["a 1.0.0"])

    def test_back(self) -> None:
        """A clock that is set back makes no key young again."""
        self.begin()
        self.bench.clock.pump([86400.0] * 20)
        self.bench.stop()
        self.bench.clock.rightNow = 1_000_000
        self.bench.start()
        self.write(version="1.2.0", revision=3)
        self.apply()
        self.assertEqual(self.runs(), ["a 1.1.0"])

    def test_extended(self) -> None:
        """Whoever moves its end means it."""
        self.begin()
        self.bench.clock.pump([86400.0] * 20)
        self.signers[ALICE]["not_after"] = "1970-12-31"
        self.say()
        self.write(version="1.2.0", revision=3)
        self.apply()
        self.assertEqual(self.runs(), ["a 1.2.0"])

    def test_told(self) -> None:
        """Its end is told 7 days and one day before it, and then; each once, also over restarts."""
        self.signers[ALICE]["not_after"] = "1970-01-20"
        self.write()
        self.say()
        told = []
        for _ in range(11):  # 12 January 13:46, and so on
            self.bench.start()
            self.bench.clock.pump([1.0] * 40)
            told += [(int(self.bench.clock.seconds() // 86400) + 1, event.kind, event.text.partition(":")[0])
                     for event in self.bench.events.latest(1000) if event.kind.startswith("signer")]
            self.bench.stop()
            self.bench.clock.advance(86400.0 - 40)
        del self.bench.state
        self.assertEqual(told, [
            (12, "signer-expiring", "what alice signs is taken for 8 more days, until 1970-01-20"),
            (14, "signer-expiring", "what alice signs is taken for 6 more days, until 1970-01-20"),
            (20, "signer-expiring", "what alice signs is taken for 1 more day, until 1970-01-20"),
            (21, "signer-expired", "nothing new is taken that alice has signed"),
        ])

    def test_rotation(self) -> None:
        """Two keys overlap: what runs is signed by the other one as well, and outlives the first."""
        self.begin()
        self.signers[BOB] = {"tier": "inline"}
        self.say()
        self.sign("a", self.keys[BOB])
        self.apply()
        del self.signers[ALICE]
        self.say()
        self.apply()
        self.assertEqual(self.told("untrusted"), [])
        self.assertEqual(self.status()["signer"], "bob")
        self.restart()
        self.assertEqual(self.runs(), ["a 1.1.0"])


class ConfigurationTests(TrustCase):
    """The rules themselves change."""

    def test_switchedOn(self) -> None:
        """Rules by which something that runs would not be trusted are refused, with its name; what runs goes on."""
        self.trust["mode"] = "off"
        self.write(by=None)
        self.write("b")
        self.start()
        self.say(mode="signed")
        self.apply()
        self.assertEqual(self.runs(), ["a 1.0.0", "b 1.0.0"])
        (text,) = self.told("untrusted")
        self.assertRegex(text, r"revproxy\.yaml:\d+:\d+: \$\.trust\.mode: plugin a 1\.0\.0 .* runs, and would not be")
        self.assertNotIn("plugin b", text)
        self.sign("a", self.keys[ALICE])
        self.apply()
        self.assertEqual(self.status()["signer"], "alice")
        self.assertEqual(self.bench.coordinator.config.trust.mode, "signed")
        self.restart()
        self.assertEqual(self.runs(), ["a 1.0.0", "b 1.0.0"])

    def test_throughTheEdge(self) -> None:
        """So is an edit through the edge: nothing is written."""
        self.trust["mode"] = "off"
        self.write(by=None)
        self.start()
        before = self.bench.file.read_text()
        self.say(mode="signed")
        text = self.bench.file.read_text()
        self.bench.file.write_text(before)
        file = self.bench.control.configFile
        found = self.bench.result(file.read())
        error = self.assertRaises(CommandError, self.bench.result, file.write(Asker(), text, found.etag))
        self.assertIn("plugin a 1.0.0", str(error))
        self.assertEqual(self.bench.file.read_text(), before)

    def test_signerGone(self) -> None:
        """A signer whose plugins run is not taken away in passing."""
        self.signers[BOB] = {"tier": "inline"}
        self.write()
        self.write("b", by=BOB)
        self.start()
        del self.signers[BOB]
        self.say()
        self.apply()
        self.assertEqual(self.runs(), ["a 1.0.0", "b 1.0.0"])
        self.assertIn("plugin b 1.0.0", self.told("untrusted")[0])

    def test_refusedForSomethingElse(self) -> None:
        """With a configuration that is refused for another reason comes nobody whom only it trusts."""
        self.write()
        self.start()
        self.signers[BOB] = {"tier": "inline"}
        self.plugins["config"] = {"nobody": True}
        self.say()
        self.write(version="1.1.0", by=BOB, revision=2)
        self.apply()
        self.assertEqual(self.runs(), ["a 1.0.0"])
        self.plugins["config"] = {}
        self.say()
        self.apply()
        self.assertEqual(self.runs(), ["a 1.1.0"])

    def test_badKey(self) -> None:
        """A key that is none is refused at its line."""
        self.write()
        self.keys["carol"] = type("Bad", (), {"line": "ssh-ed25519 AAAA"})()  # type: ignore[assignment]
        self.signers["carol"] = {}
        self.assertRegex(self.refusedStart(), r"revproxy\.yaml:\d+:\d+: \$\.trust\.signers\.carol\.key")


class StateTests(TrustCase):
    """Somebody writes into the state folder."""

    def store(self, name: str, digest: str) -> None:
        """The records say that this version ran."""
        path = self.bench.root / "var" / "plugins.json"
        records = json.loads(path.read_text())
        record = records["plugins"][name]
        record["versions"].append({"digest": digest, "version": "6.6.6", "ran_at": 1.0})
        record["running"] = digest
        record["pin"] = {"digest": digest, "by": "user"}
        path.write_text(json.dumps(records))

    def forge(self, name: str, owner: str = "a", by: str | None = None) -> str:
        """A version in the store that never ran. :returns: its digest."""
        folder = self.write(name, "6.6.6", by, revision=9)
        bundle = readBundle(folder)
        VersionStore(self.bench.root / "var" / "versions").keep(owner, bundle)
        shutil.rmtree(folder)
        return bundle.digest

    def test_unsigned(self) -> None:
        """A version that nobody has signed does not run from there; what its folder has does."""
        self.write()
        self.start()
        self.bench.stop()
        del self.bench.state
        folder = self.bench.root / "kept"
        shutil.copytree(self.bench.plugins / "a", folder)
        digest = self.forge("a")
        shutil.copytree(folder, self.bench.plugins / "a")
        self.store("a", digest)
        text = self.refusedStart()
        self.assertIn("unsigned", text)

    def test_otherPlugins(self) -> None:
        """Nor does a version of another plugin, though it is signed."""
        self.signers[BOB] = {"plugins": ["b"], "tier": "inline"}
        self.write()
        self.write("b", by=BOB)
        self.start()
        self.bench.stop()
        del self.bench.state
        folder = self.bench.root / "kept"
        shutil.copytree(self.bench.plugins / "b", folder)
        digest = self.forge("b", "a", BOB)
        shutil.copytree(folder, self.bench.plugins / "b")
        self.store("a", digest)
        self.assertIn("what is stored for a is b", self.refusedStart())

    def test_forgotten(self) -> None:
        """That what is remembered is gone takes nothing from what is signed."""
        self.write()
        self.start()
        self.bench.stop()
        (self.bench.root / "var" / "trust.json").write_text("{")
        self.bench.start()
        self.assertEqual(self.runs(), ["a 1.0.0"])
        self.assertIn("trust.json", self.told("ledger-damaged")[0])

    def test_pretended(self) -> None:
        """That it says a version was verified makes none trusted."""
        self.write()
        self.start()
        path = self.bench.root / "var" / "trust.json"
        known = json.loads(path.read_text())
        self.write("b", by=None)
        known["plugins"]["b"] = {"highest": 1, "verified": {self.digest("b"): {
            "at": 1.0, "version": "1.0.0", "signer": "alice", "key": "x", "envelope": "sshsig", "revision": 1}}}
        self.bench.stop()
        path.write_text(json.dumps(known))
        self.bench.start()
        self.assertEqual(self.runs(), ["a 1.0.0"])


class LockTests(TrustCase):
    """The lock file says which version of each plugin may run."""

    def begin(self, mode: str = "lock") -> None:
        self.trust = {"mode": mode, "lock": "./plugins.lock"}
        if mode == "lock":
            self.signers.clear()
        self.write(by=None if mode == "lock" else ALICE)
        self.lock()
        self.start()

    def test_update(self) -> None:
        """Another version waits until the lock file has it, whichever is written first."""
        self.begin()
        self.write(version="1.1.0", by=None, revision=2)
        self.apply()
        self.assertEqual(self.runs(), ["a 1.0.0"])
        self.assertIn("plugins.lock: lock: it has 1.0.0", self.told("untrusted")[0])
        self.lock()
        self.apply()
        self.assertEqual(self.runs(), ["a 1.1.0"])

    def test_newcomer(self) -> None:
        """So does a plugin that it does not have."""
        self.begin()
        self.write("b", by=None)
        self.apply()
        self.assertEqual(self.runs(), ["a 1.0.0"])
        self.assertIn("it has no b", self.told("untrusted")[0])

    def test_rollback(self) -> None:
        """A rollback goes to what stands there as earlier, and to nothing else."""
        self.begin()
        first = LockedVersion("1.0.0", self.digest())
        self.write(version="1.1.0", by=None, revision=2)
        self.lock()
        self.apply()
        told = self.call("rollback", name="a", version="1.0.0")
        self.assertEqual((self.runs(), told["refused"][0]["stage"]), (["a 1.1.0"], "trust"))
        self.lock(a=first)
        self.apply()
        self.call("rollback", name="a")
        self.assertEqual(self.runs(), ["a 1.0.0"])
        self.restart()
        self.assertEqual(self.runs(), ["a 1.0.0"])

    def test_earlierInTheFolder(self) -> None:
        """What stands there as earlier is nothing that a folder may have."""
        self.begin()
        first = LockedVersion("1.0.0", self.digest())
        self.write(version="1.1.0", by=None, revision=2)
        self.lock(a=first)
        self.apply()
        self.write(by=None)
        self.apply()
        self.assertEqual(self.runs(), ["a 1.1.0"])
        self.assertIn("is an earlier version there", self.told("untrusted")[0])

    def test_both(self) -> None:
        """Signed and locked is both."""
        self.begin("signed+lock")
        self.write(version="1.1.0", revision=2)
        self.apply()
        self.assertEqual(self.runs(), ["a 1.0.0"])
        self.write(version="1.1.0", by=None, revision=2)
        self.lock()
        self.apply()
        self.assertEqual(self.runs(), ["a 1.0.0"])
        self.sign("a", self.keys[ALICE])
        self.apply()
        self.assertEqual(self.runs(), ["a 1.1.0"])

    def test_broken(self) -> None:
        """A lock file that cannot be understood changes nothing; without it, the edge does not start."""
        self.begin()
        (self.bench.root / "plugins.lock").write_text("plugins: {a: {version: 1}}")
        self.write(version="1.1.0", by=None, revision=2)
        self.apply()
        self.assertEqual(self.runs(), ["a 1.0.0"])
        self.assertIn("plugins.lock:1:", self.told("trust-file")[0])
        self.bench.stop()
        del self.bench.state
        self.assertIn("plugins.lock:1:", self.refusedStart())


class GrantTests(TrustCase):
    """What a plugin asks for, and is granted."""

    ASKS = {"read_headers": ["X-Tenant"], "store": True}

    def begin(self, **plugins: object) -> None:
        self.plugins.update(plugins)
        self.write()
        self.start()

    def test_held(self) -> None:
        """An update that asks for more waits, with the difference, until that is granted."""
        self.begin()
        self.write(version="1.1.0", revision=2, permissions=self.ASKS)
        self.apply()
        self.assertEqual(self.runs(), ["a 1.0.0"])
        (text,) = self.told("held")
        self.assertEqual(text, "it asks for more than it is granted: read_headers: X-Tenant; store. Grant it: "
                               "`revproxy grant a`")
        waiting = self.status()["waiting"]
        self.assertEqual((waiting["stage"], waiting["missing"]), ("grant", ["read_headers: X-Tenant", "store"]))
        outcome = self.bench.result(self.bench.control.granting.grant(Asker(), "a"))
        self.assertIn("a: 1.0.0", " ".join(outcome.text))
        self.assertEqual(self.runs(), ["a 1.1.0"])
        self.assertIn("X-Tenant", self.bench.file.read_text())
        self.assertEqual(self.status()["permissions"]["missing"], [])

    def test_looked(self) -> None:
        """What somebody has looked at is granted, and nothing that came since."""
        self.begin()
        self.write(version="1.1.0", revision=2, permissions=self.ASKS)
        self.apply()
        looked = self.digest()
        self.write(version="1.2.0", revision=3, permissions={**self.ASKS, "body": "write"})
        self.apply()
        granting = self.bench.control.granting.grant(Asker(), "a", looked)
        self.assertIn("another version by now", str(self.assertRaises(CommandError, self.bench.result, granting)))

    def test_byItself(self) -> None:
        """Where nobody has to vouch for it, a plugin in the edge's own process has what it asks for."""
        self.trust["mode"] = "off"
        self.begin()
        self.write(version="1.1.0", revision=2, permissions=self.ASKS)
        self.apply()
        self.assertEqual(self.runs(), ["a 1.1.0"])

    def test_taken(self) -> None:
        """What is taken away from what runs is gone at once, and told; it runs on."""
        self.plugins["grants"] = {"a": self.ASKS}
        self.write(permissions=self.ASKS)
        self.start()
        self.plugins["grants"] = {"a": {"store": True}}
        self.say()
        self.apply()
        plan = self.bench.coordinator.plan
        assert plan is not None
        (selected,) = plan.selected
        assert selected.permissions is not None
        self.assertEqual((selected.permissions.readHeaders, selected.permissions.store), (frozenset(), True))
        self.assertIn("read_headers: X-Tenant", self.told("permission-missing")[0])

    def test_beyond(self) -> None:
        """What a signer may not have granted is granted to nobody by that."""
        self.signers[ALICE]["permissions"] = {"store": True}
        self.plugins["grants"] = {"a": self.ASKS}
        self.begin()
        self.write(version="1.1.0", revision=2, permissions=self.ASKS)
        self.apply()
        self.assertEqual(self.runs(), ["a 1.0.0"])
        self.assertIn("trust.signers.alice.permissions", self.told("held")[0])
        granting = self.bench.control.granting.grant(Asker(), "a")
        self.assertIn("trust.signers.alice.permissions", str(self.assertRaises(CommandError, self.bench.result,
                                                                               granting)))
