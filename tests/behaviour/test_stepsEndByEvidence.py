"""A step ends by what was seen: worse goes back, no worse serves everybody, and silence is neither."""

from __future__ import annotations

from tests.behaviour.rolling import FAILING, RollingCase


class CanaryTests(RollingCase):
    """A canary of 25 %."""

    def test_worse(self) -> None:
        """One that fails is taken back while few have met it, and does not start again."""
        self.save("2", FAILING)
        self.crowd(120)
        view = self.view()
        self.assertEqual((view["state"], view["verdict"]["kind"]), ("rolled-back", "regression"))
        self.assertTrue(view["verdict"]["reason"])
        self.assertEqual(set(self.marks().values()), {"1"})
        self.bench.apply()
        self.bench.wait(5)
        self.assertEqual(self.state, "rolled-back")
        self.assertEqual(set(self.marks().values()), {"1"})

    def test_costsLittle(self) -> None:
        """Of all requests, those of a few clients failed."""
        self.save("2", FAILING)
        self.crowd(120)
        self.assertLessEqual(self.view()["arms"]["candidate"]["faults"], 12)

    def test_right(self) -> None:
        """One that does the same comes to serve everybody, and the same instance goes on."""
        self.save("2")
        self.bench.wait(1)
        self.crowd(600)
        self.assertEqual(self.state, "promoted")
        self.assertEqual(set(self.marks().values()), {"2"})
        self.assertEqual(self.stage.starts.count("a 2"), 1)
        self.bench.wait(40)
        self.assertEqual(self.stage.stopsOf("a 1"), 1)
        self.check()

    def test_anotherIsNew(self) -> None:
        """After one was taken back, what is saved then takes its steps."""
        self.save("2", FAILING)
        self.crowd(120)
        self.save("3")
        self.bench.wait(2)
        self.assertEqual((self.state, self.view()["candidate"]["version"]), ("canary", "3.0.0"))

    def test_unloadable(self) -> None:
        """One that does not load is refused, and touches nobody."""
        self.bench.write("a", "import nothing_of_that_name\n", version="2.0.0")
        self.bench.apply()
        self.bench.wait(2)
        self.assertEqual(self.state, "refused")
        self.assertIn("nothing_of_that_name", self.view()["transitions"][-1]["reason"])
        self.assertEqual(set(self.marks(50).values()), {"1"})


class SilenceTests(RollingCase):
    """Nobody comes."""

    def test_hold(self) -> None:
        """When its time is over it is held, and not promoted."""
        self.save("2")
        self.bench.wait(700)
        self.assertEqual(self.state, "canary, held")
        self.assertEqual(self.view()["verdict"]["kind"], "no-traffic")
        self.assertIn("rollout-inconclusive", self.kinds())

    def test_onlyOneArm(self) -> None:
        """Nor where nobody comes to the candidate."""
        self.save("2")
        self.bench.wait(1)
        without = next(client for client, mark in self.marks().items() if mark == "1")
        for _ in range(700):
            self.visit(without)
            self.bench.wait(1)
        self.assertEqual(self.state, "canary, held")


class RollBackTests(RollingCase):
    """``on_inconclusive: roll_back``."""

    policy = "by: header:X-Client, on_inconclusive: roll_back"

    def test_silence(self) -> None:
        """What shows nothing goes back."""
        self.save("2")
        self.bench.wait(700)
        self.assertEqual(self.state, "rolled-back")
        self.assertEqual(set(self.marks(50).values()), {"1"})


class PromoteTests(RollingCase):
    """``on_inconclusive: promote``."""

    steps = "[{canary: 25%, until: {fault: 0.01%}, at_most: 30s}]"
    policy = "by: header:X-Client, on_inconclusive: promote"

    def test_undecided(self) -> None:
        """What served both arms and has shown nothing by its time is promoted, where somebody wants it so."""
        self.save("2")
        self.bench.wait(1)
        self.crowd(40)
        self.assertEqual(self.state, "promoted")
        self.assertEqual(set(self.marks(50).values()), {"2"})

    def test_silence(self) -> None:
        """Silence is no success, whatever somebody wants."""
        self.save("2")
        self.bench.wait(60)
        self.assertEqual(self.state, "canary, held")
        self.assertEqual(set(self.marks().values()), {"1", "2"})
