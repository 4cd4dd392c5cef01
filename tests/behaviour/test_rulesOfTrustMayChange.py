"""Keys end, signers change, rules are switched on: what runs is not lost, and nothing slips in."""

from __future__ import annotations

import shutil
from dataclasses import replace

from revproxy.control.commands import CommandError
from revproxy.control.planning.choice import Choice
from revproxy.control.steering import Asker
from revproxy.plan.words import Locking
from tests.control.trust.trustcase import ALICE, BOB, TrustCase


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

    def test_lastDay(self) -> None:
        """The last day that there is, is one: many write it who mean no end."""
        self.signers[ALICE]["not_after"] = "9999-12-31"
        self.write()
        self.start()
        self.assertEqual((self.runs(), self.told("signer-expiring")), (["a 1.0.0"], []))
        (signer,) = self.bench.control.trustView.whole()["signers"]
        self.assertEqual((signer["not_after"], signer["is_over"]), (253402300800.0, False))

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

    def test_changed(self) -> None:
        """Which rules are others is told with the change: whoever takes them back has to be seen."""
        self.write()
        self.start()
        self.signers[BOB] = {"tier": "inline"}
        self.signers[ALICE]["plugins"] = ["*", "b"]
        self.say(mode="off", minimum_level="B")
        self.apply()
        (text,) = self.told("configured")
        self.assertTrue(text.endswith(" is in force; trust is another: mode: signed → off; minimum_level: C → B; "
                                      "signers: +bob, other alice"), text)
        del self.signers[BOB]
        self.revoke()
        self.say(revoked="./revoked")
        self.apply()
        text = self.told("configured")[-1]
        self.assertIn("trust is another: revoked: none → ", text)
        self.assertTrue(text.endswith("; signers: -bob"), text)
        self.say("[{respond: {body: other}}]")
        self.apply()
        self.assertTrue(self.told("configured")[-1].endswith(" is in force"))

    def test_badKey(self) -> None:
        """A key that is none is refused at its line."""
        self.write()
        self.keys["carol"] = type("Bad", (), {"line": "ssh-ed25519 AAAA"})()  # type: ignore[assignment]
        self.signers["carol"] = {}
        self.assertRegex(self.refusedStart(), r"revproxy\.yaml:\d+:\d+: \$\.trust\.signers\.carol\.key")


class RenewedTests(TrustCase):
    """What runs is signed by somebody else."""

    def test_tier(self) -> None:
        """Where it may run is what its signer says now, and it is told."""
        self.signers[BOB] = {"tier": "inline", "permissions": {"store": True}}
        self.write()
        self.start()
        plan = self.bench.coordinator.plan
        assert plan is not None
        self.assertIsNone(plan.selected[0].permissions)
        del self.signers[ALICE]
        self.say()
        self.sign("a", self.keys[BOB])
        self.apply()
        plan = self.bench.coordinator.plan
        assert plan is not None
        permissions = plan.selected[0].permissions
        assert permissions is not None
        self.assertEqual((permissions.store, permissions.body), (True, "none"))

    def test_kept(self) -> None:
        """The new signature is kept with what runs, so that it outlives the folder."""
        self.signers[BOB] = {"tier": "inline"}
        self.write(required=True)
        self.start()
        self.sign("a", self.keys[BOB])
        self.apply()
        shutil.rmtree(self.bench.plugins / "a")
        self.apply()
        del self.signers[ALICE]
        self.say()
        self.restart()
        self.assertEqual((self.runs(), self.status()["signer"]), (["a 1.0.0"], "bob"))

    def test_anotherFolder(self) -> None:
        """What was signed while it ran is trusted still when its folder has another version, and the rules change."""
        self.trust["mode"] = "off"
        self.write(by=None)
        self.start()
        self.sign("a", self.keys[ALICE])
        self.say(mode="signed")
        self.apply()
        self.write(version="2.0.0", revision=2, permissions={"store": True})
        self.apply()
        self.signers[ALICE]["not_after"] = "2099-12-31"
        self.say()
        self.apply()
        plan = self.bench.coordinator.plan
        assert plan is not None
        self.assertIsNotNone(plan.config.trust.signers[0].notAfter)
        self.assertEqual((self.runs(), self.status()["signer"]), (["a 1.0.0"], "alice"))

    def test_signedBefore(self) -> None:
        """Also where it was signed first, and the signer named after that."""
        self.write(required=True)
        self.start()
        self.sign("a", self.keys[BOB])
        self.apply()
        self.signers[BOB] = {"tier": "inline"}
        self.say()
        self.apply()
        shutil.rmtree(self.bench.plugins / "a")
        self.apply()
        del self.signers[ALICE]
        self.say()
        self.restart()
        self.assertEqual((self.runs(), self.status()["signer"]), (["a 1.0.0"], "bob"))

    def test_badSignature(self) -> None:
        """A signature that is no good does not take the place of the one that is kept."""
        self.write()
        self.start()
        (self.bench.plugins / "a" / "plugin.manifest.json.sshsig").write_text("no")
        self.apply()
        self.restart()
        self.assertEqual(self.runs(), ["a 1.0.0"])
        self.sign("a", self.keys[BOB])
        self.apply()
        self.restart()
        self.assertEqual(self.runs(), ["a 1.0.0"])


class LevelTests(TrustCase):
    """How well processes are locked."""

    def test_raised(self) -> None:
        """A level that this machine does not have is refused while something runs that would need it."""
        self.trust = {"mode": "off"}
        self.signers.clear()
        self.write(by=None)
        self.start()
        coordinator = self.bench.coordinator
        assert coordinator.plan is not None
        coordinator.plan = replace(
            coordinator.plan, selected=tuple(replace(each, isolation="process") for each in coordinator.plan.selected)
        )
        for known, level, isTaken in ((None, "B", True), ("B", "A", False), ("B", "B", True)):
            if known is not None:
                self.bench.control.inbox.receive(0, Locking(known, {"seccomp": ""}))  # type: ignore[arg-type]
            trust = replace(coordinator.config.trust, minimumLevel=level)
            config = replace(coordinator.config, trust=trust)
            found = coordinator.trust.sift(
                Choice(coordinator.plan.entries, (), (), (), {}), config, coordinator.plan, coordinator.plan.entries,
                {}, lambda entry: entry.manifest.name == "a", lambda name: False,
            )
            self.assertEqual(not found.problems, isTaken, level)
