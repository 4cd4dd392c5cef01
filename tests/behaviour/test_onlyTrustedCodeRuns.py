"""Nothing runs that nobody vouches for, whichever way it comes."""

from __future__ import annotations

import json
import os
import shutil

import msgspec

from revproxy.admin.reply import encoded
from revproxy.bundles.bundle import readBundle
from revproxy.bundles.versionstore import VersionStore
from revproxy.config.lockfile import LockedPlugin, LockedVersion, LockFile, formatLock
from revproxy.dropin import DropIn
from tests.control.trust.trustcase import ALICE, BOB, TrustCase
from tests.plan.plans import passing


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

    def test_namelessFile(self) -> None:
        """A file whose name is not even text is refused as any other, and everybody can be told so."""
        folder = self.write()
        self.start()
        told: list[bytes] = []
        self.bench.events.subscribers.append(lambda event: told.append(msgspec.json.encode(event.asDict())))
        (folder / os.fsdecode(b"\xff.py")).write_text("1 / 0")
        self.apply()
        self.assertEqual(self.runs(), ["a 1.0.0"])
        self.assertIn("a/\\udcff.py: unlisted", self.told("untrusted")[0])
        self.assertIn("udcff.py: unlisted", encoded(self.status()).decode())
        self.assertTrue(any(b"udcff" in each for each in told))

    def test_namelessFolder(self) -> None:
        """A folder whose name is not even text is no plugin's: nothing of it could be written down."""
        self.write()
        self.start()
        nameless = self.bench.plugins / os.fsdecode(b"\xfe")
        self.write("b").rename(nameless)
        self.apply()
        self.assertEqual(self.runs(), ["a 1.0.0"])
        self.assertIn("\\udcfe: its name is not UTF-8; rename the folder", self.told("refused")[0])
        nameless.rename(self.bench.plugins / "b")
        self.apply()
        self.restart()
        self.assertEqual(self.runs(), ["a 1.0.0", "b 1.0.0"])

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

    def test_stranger(self) -> None:
        """That a stranger says that nothing passes without him stops nobody; that revproxy.yaml says so, does."""
        self.write()
        self.start()
        self.write("b", by=None, required=True)
        self.apply()
        plan = self.bench.coordinator.plan
        assert plan is not None
        self.assertEqual((self.runs(), plan.missing), (["a 1.0.0"], {}))
        self.plugins["required"] = ["b"]
        self.say()
        self.apply()
        plan = self.bench.coordinator.plan
        assert plan is not None
        self.assertEqual((self.runs(), self.bench.coordinator.config.plugins.required), (["a 1.0.0"], ()))
        self.assertIn("unsigned", self.told("refused")[-1])

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

    def test_unpinned(self) -> None:
        """What somebody went back to, and has put into the folder, is what runs, also after a restart without a pin."""
        self.call("rollback", name="a")
        self.write(revision=1)
        self.call("unpin", name="a")
        self.assertEqual(self.runs(), ["a 1.0.0"])
        self.restart()
        self.assertEqual((self.runs(), self.told("untrusted")), (["a 1.0.0"], []))


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
        self.assertIn(f"that is 6.6.6 ({digest[:12]}) as it is stored", text)

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
        known["plugins"]["b"] = {"verified": {self.digest("b"): {
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

    def test_gone(self) -> None:
        """What runs and is in it no more runs on, by what it began with; a restart refuses it."""
        self.begin("signed+lock")
        self.write("b")
        (self.bench.root / "plugins.lock").write_text(formatLock(LockFile({
            "b": LockedPlugin(LockedVersion("1.0.0", self.digest("b"))),
        })))  # fmt: skip
        self.apply()
        self.assertEqual(self.runs(), ["a 1.0.0", "b 1.0.0"])
        self.assertEqual((self.status()["state"], self.status()["signer"]), ("trusted", "alice"))
        self.bench.stop()
        del self.bench.state
        self.assertIn("plugins.lock: lock: it has no a", self.refusedStart())

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


class InstalledTests(TrustCase):
    """What is installed with Python."""

    def test_switchedOn(self) -> None:
        """What was imported without being compared does not go with rules that ask for that."""
        self.bench.dropins = (DropIn({"name": "acme", "version": "1.0"}, passing),)
        self.trust["mode"] = "off"
        self.plugins["config"] = {"acme": True}
        self.write()
        self.start()
        self.assertEqual(self.runs(), ["a 1.0.0", "acme 1.0"])
        self.say(mode="signed")
        self.apply()
        self.assertEqual(self.runs(), ["a 1.0.0", "acme 1.0"])
        (text,) = self.told("untrusted")
        self.assertIn("plugin acme 1.0 runs, and would not be trusted", text)
        self.assertIn("restart the edge", text)

    def test_isolation(self) -> None:
        """It cannot have a process of its own, and does not run without one in silence."""
        self.bench.dropins = (DropIn({"name": "acme", "version": "1.0"}, passing),)
        self.plugins.update(config={"acme": True}, isolation={"ac*": "process"})
        self.trust["mode"] = "off"
        text = self.refusedStart()
        self.assertRegex(text, r"revproxy\.yaml:\d+:\d+: \$\.plugins\.isolation.*acme runs in the edge's")
        self.plugins["isolation"] = {"ac*": "process", "acme": "inline"}
        self.start()
        self.assertEqual(self.runs(), ["acme 1.0"])
