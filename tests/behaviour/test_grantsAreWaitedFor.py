"""What asks for more than it is granted waits; and nobody has more than he is granted."""

from __future__ import annotations

from revproxy.control.commands import CommandError
from revproxy.control.steering import Asker
from revproxy.permissions import NOTHING
from tests.control.trust.trustcase import ALICE, TrustCase


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

    def test_strangers(self) -> None:
        """What a version asks for that may not run is granted to nobody: it might be anybody's."""
        self.begin()
        self.write(version="1.1.0", revision=2, by=None, permissions=self.ASKS)
        self.apply()
        granting = self.bench.control.granting.grant(Asker(), "a")
        text = str(self.assertRaises(CommandError, self.bench.result, granting))
        self.assertIn("may not run, so nothing is granted", text)
        self.assertIn("a/plugin.manifest.json: unsigned", text)
        self.assertNotIn("grants", self.bench.file.read_text())

    def test_goneBack(self) -> None:
        """What runs may be granted what it asks for, also where its revision is not the highest."""
        self.plugins["grants"] = {"a": self.ASKS}
        self.write(permissions=self.ASKS)
        self.start()
        self.write(version="1.1.0", revision=2)
        self.apply()
        self.call("rollback", name="a")
        self.plugins["grants"] = {}
        self.say()
        self.apply()
        self.write(permissions=self.ASKS)
        self.apply()
        self.bench.result(self.bench.control.granting.grant(Asker(), "a"))
        self.assertEqual(self.status()["permissions"]["missing"], [])

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
        self.restart()
        self.assertEqual(self.runs(), ["a 1.0.0"])

    def test_back(self) -> None:
        """What ran may be gone back to, whatever has been taken away since: it has what it is granted now."""
        self.plugins["grants"] = {"a": self.ASKS}
        self.write(permissions=self.ASKS)
        self.start()
        self.write(version="1.1.0", revision=2)
        self.plugins["grants"] = {}
        self.say()
        self.apply()
        self.call("rollback", name="a")
        self.assertEqual(self.runs(), ["a 1.0.0"])
        plan = self.bench.coordinator.plan
        assert plan is not None
        self.assertEqual(plan.selected[0].permissions, NOTHING)

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
