"""What a version in quarantine is known for, and until when: over changes of its configuration, and a restart."""

from __future__ import annotations

from tests.control.test_coordinator import CONFIGURABLE
from tests.witnesses import FAILING, WitnessCase, witnessed

ILL = """
    def handle(self, context):
        if "ill" in self.witness.flags:
            raise ValueError("v")
        context.values.setdefault("seen", []).append("well")
        return True
"""
"""Fails while the test says so."""

IN_PART = """
    def handle(self, context):
        if self.config.get("bad") or self.config.get("flag") in self.witness.flags:
            raise ValueError("v")
        return True
"""
"""Fails with one configuration, and not with another."""


class ConfigurationTests(WitnessCase):
    """Another configuration is another digest of the same code."""

    def test_previousConfiguration(self) -> None:
        """A version that fails goes back to what it had before; if it fails with that too, it is taken out."""
        self.bench.write("a", FAILING, config={"x": 1})
        self.bench.start()
        self.bench.write("a", FAILING, config={"x": 2})
        self.apply()
        self.assertEqual(self.requests(60), "PluginQuarantined")
        self.assertEqual(self.bench.kinds().count(("quarantined", "a")), 2)

    def test_newInstance(self) -> None:
        """One that is taken out is taken out again, if it fails on with another configuration."""
        self.bench.write("a", FAILING, config={"x": 1})
        self.bench.start()
        self.assertEqual(self.requests(20), "PluginQuarantined")
        self.bench.write("a", FAILING, config={"x": 2})
        self.apply()
        self.assertEqual(self.request(), "PluginFailed")
        (status,) = self.call("plugins")
        self.assertEqual(status["state"], "running")
        self.assertEqual(self.requests(60), "PluginQuarantined")
        (status,) = self.call("plugins")
        self.assertEqual(status["state"], "quarantined")

    def test_mendedMeanwhile(self) -> None:
        """A version that came before the gate was there has none, and does not seem to."""
        self.bench.write("a", FAILING)
        self.bench.start()
        self.bench.write("a", says="well", version="2.0")
        self.requests(20)
        self.assertEqual(self.request(), "well")
        (status,) = self.call("plugins")
        self.assertEqual((status["version"], status["state"]), ("2.0", "running"))

    def test_inPlace(self) -> None:
        """Of one that was given another configuration while it was out, neither is marked once it is back."""
        text = witnessed(CONFIGURABLE + ILL, "IConfigurable")
        self.bench.write("a", text, config={"value": "one"})
        self.bench.start()
        self.witness.flags.add("ill")
        self.assertEqual(self.requests(20), "PluginQuarantined")
        self.bench.write("a", text, config={"value": "two"})
        self.apply()
        self.witness.flags.clear()
        for _ in range(12):
            self.elapse(11)
            self.request()
        self.assertEqual(self.request(), "well")
        (status,) = self.call("plugins")
        self.assertEqual(status["state"], "running")
        self.assertEqual([one["quarantined"] for one in status["versions"]], [None, None])


class RouteTests(WitnessCase):
    """A plugin with a configuration of its own on a route."""

    def setUp(self) -> None:
        super().setUp()
        self.bench.configure("[{respond: {}}, {path: /x, respond: {}, plugins: {a: {bad: true}}}]")
        self.bench.write("a", witnessed(IN_PART))
        self.bench.start()

    def test_byItself(self) -> None:
        """One that fails on one route is let back there after that route's probes, not after another's."""
        self.requests(10, "/x")
        self.assertEqual(self.request("/x"), "PluginQuarantined")
        failed = passed = 0
        for _ in range(300):
            self.elapse(1)
            failed += self.request("/x") == "PluginFailed"
            passed += self.request() == "passed"
        self.assertGreater(passed, 250)
        self.assertLess(failed, 12)

    def test_backForGood(self) -> None:
        """What is let back on one route stays so, whatever changes while another route's probes fail."""
        self.bench.configure(
            "[{respond: {}}, {path: /x, respond: {}, plugins: {a: {bad: true}}},"
            " {path: /y, respond: {}, plugins: {a: {flag: ill}}}]"
        )
        self.apply()
        self.witness.flags.add("ill")
        self.requests(10, "/x")
        self.requests(10, "/y")
        self.assertEqual([self.request("/x"), self.request("/y")], ["PluginQuarantined"] * 2)
        self.witness.flags.clear()
        self.elapse(11)
        self.assertEqual([self.request("/y") for _ in range(4)], ["passed"] * 4)
        self.assertNotEqual(self.request("/x"), "passed")
        self.bench.write("b")
        self.apply()
        self.assertIn(("loaded", "b"), self.bench.kinds())
        self.assertEqual(self.bench.seen("/y"), ["b 1.0.0"])


class RestartTests(WitnessCase):
    """A restart is a new try."""

    def test_wellSince(self) -> None:
        """A version that was out when the edge ended, and is well since, is one to go back to."""
        self.bench.write("a", witnessed(ILL))
        self.bench.start()
        self.witness.flags.add("ill")
        self.assertEqual(self.requests(20), "PluginQuarantined")
        self.witness.flags.clear()
        self.restart()
        self.assertEqual(self.requests(50), "well")
        self.bench.write("a", FAILING, version="2.0")
        self.apply()
        self.assertEqual(self.requests(30), "well")
