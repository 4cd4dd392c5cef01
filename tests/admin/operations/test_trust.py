"""Asking whose code runs, and granting what it asks for."""

from __future__ import annotations

from revproxy.control.actor import Actor
from revproxy.plan.words import Locking
from tests.admin.apis import ApiCase
from tests.control.trust.trustcase import ALICE, TrustCase

NOBODY = f"SHA256:{'nobody' * 7}x"
"""The id of a key."""


class TrustTests(ApiCase, TrustCase):
    """alice has signed what runs; a second version waits."""

    def setUp(self) -> None:
        super().setUp()
        self.trust.update(lock="./plugins.lock", revoked="./revoked", minimum_level="B")
        self.signers[ALICE].update(not_after="1971-01-01", permissions={"read_headers": ["*"], "store": True})
        self.plugins["grants"] = {"a": {"read_headers": ["X-A"]}}
        self.revoke(f"key:{NOBODY}")
        self.write(permissions={"read_headers": ["X-A"]})
        self.lock()
        self.start()
        self.bench.control.history.beginWithout()
        self.write(version="1.1.0", revision=2, permissions={"read_headers": ["X-A"], "store": True})
        self.apply()

    def test_whole(self) -> None:
        """The rules, who signs, and each plugin."""
        told = self.ask("GET", "trust")
        self.assertEqual((told["mode"], told["minimum_level"], told["level"], told["layers"], told["problems"]),
                         ("signed", "B", None, [], []))
        (signer,) = told["signers"]
        self.assertEqual((signer["name"], signer["key"], signer["signed"], signer["is_over"], signer["is_revoked"]),
                         ("alice", self.keyId(ALICE), ["a"], False, False))
        self.assertEqual(signer["not_after"], 366 * 86400)
        self.assertEqual([each["name"] for each in told["lock"]["plugins"]], ["a"])
        self.assertEqual(told["revoked"]["entries"], [f"key:{NOBODY}"])
        (plugin,) = told["plugins"]
        self.assertEqual((plugin["name"], plugin["state"], plugin["verified_at"]), ("a", "trusted", 1_000_000))

    def test_machine(self) -> None:
        """What locks processes here, once somebody has looked."""
        self.bench.control.inbox.receive(0, Locking("B", {"seccomp": "", "namespaces": "EPERM"}))
        told = self.ask("GET", "trust")
        self.assertEqual((told["level"], told["layers"]), ("B", [
            {"name": "seccomp", "enforced": True, "reason": None},
            {"name": "namespaces", "enforced": False, "reason": "EPERM"},
        ]))

    def test_plugin(self) -> None:
        """What runs, and what waits with the difference between the two."""
        told = self.ask("GET", "plugins/a")["trust"]
        self.assertEqual((told["tier"], told["wanted_tier"], told["level"]), ("inline", "inline", None))
        self.assertEqual(told["permissions"]["granted"]["read_headers"], ["x-a"])
        waiting = told["waiting"]
        self.assertEqual((waiting["version"], waiting["stage"], waiting["added"], waiting["missing"]),
                         ("1.1.0", "grant", ["store"], ["store"]))
        self.assertEqual(waiting["digest"], self.digest())

    def test_grant(self) -> None:
        """It is written into the file, recorded, and what waited runs."""
        answer = self.ask("POST", "plugins/a/grant?dry_run=true", {})
        self.assertIn("store: true", answer["diff"].replace('"', ""))
        self.assertEqual(self.runs(), ["a 1.0.0"])
        answer = self.ask("POST", "plugins/a/grant", {"reason": "asked for", "digest": self.digest()})
        self.assertEqual((answer["refused"], self.runs()), ([], ["a 1.1.0"]))
        self.assertEqual(self.bench.coordinator.config.plugins.grants["a"].permissions.store, True)
        entry = self.bench.control.history.entries[-1]
        self.assertEqual((entry["action"], entry["reason"]), ("grant", "asked for"))

    def test_refused(self) -> None:
        """Another version, another role, no such plugin; and what asks for nothing."""
        self.problem(409, "POST", "plugins/a/grant", {"digest": "5d" * 32})
        self.problem(404, "POST", "plugins/b/grant", {})
        self.door.who = Actor("http", "tester", "t1", "operate", "192.0.2.1")
        self.problem(403, "POST", "plugins/a/grant", {})
        self.assertEqual(self.ask("GET", "trust")["mode"], "signed")
