"""What was revoked does not run any more, and does not come back, whoever wants it."""

from __future__ import annotations

import contextlib
import json
import shutil

from revproxy.control.commands import CommandError
from revproxy.control.steering import Asker
from revproxy.errors import PluginFailed, PluginQuarantined
from revproxy.permissions import Permissions
from tests.control.trust.trustcase import ALICE, BOB, TrustCase
from tests.witnesses import FAILING


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

    def test_other(self) -> None:
        """What another one has signed as well goes on, with what that one may have granted, at once."""
        self.signers[BOB] = {"tier": "inline", "permissions": {"store": True}}
        self.begin()
        self.sign("a", self.keys[BOB])
        self.revoke(f"key:{self.keyId(ALICE)}")
        self.apply()
        plan = self.bench.coordinator.plan
        assert plan is not None
        self.assertEqual(self.runs(), ["a 1.0.0"])
        self.assertEqual(plan.selected[0].permissions, Permissions(store=True))
        self.assertEqual(self.status()["signer"], "bob")

    def test_otherAlone(self) -> None:
        """Also where nothing else changes with it."""
        self.signers[BOB] = {"tier": "inline", "permissions": {"store": True}}
        self.trust["revoked"] = "./revoked"
        self.revoke()
        self.write()
        self.start()
        self.sign("a", self.keys[BOB])
        self.apply()
        self.assertEqual(self.status()["signer"], "alice")
        self.revoke(f"key:{self.keyId(ALICE)}")
        self.apply()
        plan = self.bench.coordinator.plan
        assert plan is not None
        self.assertEqual(plan.selected[0].permissions, Permissions(store=True))

    def test_required(self) -> None:
        """Where it is required, its routes are answered 503, as for one that cannot be had; also after a restart."""
        self.begin(required=True)
        self.revoke(f"sha256:{self.digest()}")
        self.apply()
        plan = self.bench.coordinator.plan
        assert plan is not None
        self.assertEqual((self.runs(), plan.missing), (["b 1.0.0"], {"a": (0,)}))
        self.assertIn("1 route answered 503", self.told("required-missing")[0])
        self.assertEqual(self.told("required-off"), [], "nobody passes, and its folder is there")
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

    def test_slipAtStart(self) -> None:
        """At a start, nobody knows what such a line would revoke, so nothing runs before it is mended."""
        self.begin()
        self.revoke(f"sha256:{self.digest()[:40]}")
        self.bench.stop()
        del self.bench.state
        self.assertIn("revoked:1:1: ", self.refusedStart())
        self.revoke(f"sha256:{self.digest()}")
        self.start()
        self.assertEqual(self.runs(), ["b 1.0.0"])

    def test_lower(self) -> None:
        """Whoever stole a key has counted as high as there are numbers; once it is revoked, that counts no more."""
        self.signers[BOB] = {"tier": "inline"}
        self.begin()
        self.write(version="6.6.6", revision=2**53 - 1, by=BOB)
        self.apply()
        self.assertEqual(self.runs(), ["a 6.6.6", "b 1.0.0"])
        self.write(version="1.1.0", revision=2)
        self.apply()
        self.assertIn("downgrade", self.told("untrusted")[-1])
        self.revoke(f"key:{self.keyId(BOB)}")
        self.apply()
        self.assertEqual(self.runs(), ["a 1.1.0", "b 1.0.0"])
        self.write(revision=1)
        self.apply()
        self.assertEqual(self.runs(), ["a 1.1.0", "b 1.0.0"])

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


class QuarantineTests(TrustCase):
    """A version that fails too often is taken out, as ever; and what takes its place has to be trusted."""

    def begin(self) -> None:
        """1.0.0 ran, then 1.1.0; 1.2.0 runs, and fails."""
        self.signers[ALICE]["not_after"] = "1970-01-20"
        self.trust["revoked"] = "./revoked"
        self.revoke()
        self.write(revision=1)
        self.start()
        self.write(version="1.1.0", revision=2)
        self.apply()
        self.second = self.digest()
        self.write(version="1.2.0", revision=3, code=FAILING)
        self.apply()
        self.assertEqual(self.runs(), ["a 1.2.0"])

    def fail_(self) -> None:
        """It does."""
        for _ in range(6):
            with contextlib.suppress(PluginFailed, PluginQuarantined):
                self.bench.seen()
            self.bench.clock.advance(0.1)
        self.bench.clock.pump([0.1] * 20)
        self.flushLoggedErrors(ValueError)

    def test_expired(self) -> None:
        """It goes back to a lower revision, of a key whose time is over: that was verified."""
        self.begin()
        self.bench.clock.advance(20 * 86400)
        self.fail_()
        self.assertEqual(self.runs(), ["a 1.1.0"])

    def test_revoked(self) -> None:
        """It passes over what was revoked."""
        self.begin()
        self.revoke(f"sha256:{self.second}")
        self.apply()
        self.fail_()
        self.assertEqual(self.runs(), ["a 1.0.0"])

    def test_nothing(self) -> None:
        """Where nothing else may run, it stays behind its gate; and goes, if it is revoked as well."""
        self.begin()
        self.revoke(*(f"sha256:{version['digest']}" for version in self.call("plugins", name="a")[0]["versions"]
                      if not version["running"]))  # fmt: skip
        self.apply()
        self.fail_()
        self.assertEqual(self.runs(), ["a 1.2.0"])
        self.assertEqual(self.call("plugins", name="a")[0]["state"], "quarantined")
        self.revoke(f"key:{self.keyId(ALICE)}")
        self.apply()
        self.assertEqual(self.runs(), [])


class BackTests(TrustCase):
    """Back to how things stood, as somebody else has it: also that has to be trusted."""

    def setUp(self) -> None:
        super().setUp()
        self.trust["revoked"] = "./revoked"
        self.revoke()
        self.write(revision=1)
        self.say()
        self.bench.prepare()
        self.bench.control.history.beginWithout()
        self.bench.worker.counters.start()
        self.bench.result(self.bench.control.startup.begin())
        self.first = self.digest()
        self.write(version="1.1.0", revision=2)
        self.apply()

    def revert(self) -> object:
        number = self.bench.control.history.entries[0]["number"]
        return self.bench.result(self.bench.control.reverting.revert(Asker(), number))

    def test_lower(self) -> None:
        """A lower revision that ran is what somebody wants."""
        self.revert()
        self.assertEqual(self.runs(), ["a 1.0.0"])

    def test_revoked(self) -> None:
        """What was revoked since does not come back so."""
        self.revoke(f"sha256:{self.first}")
        self.apply()
        error = self.assertRaises(CommandError, self.revert)
        self.assertIn(self.first, str(error))
        self.assertEqual(self.runs(), ["a 1.1.0"])
