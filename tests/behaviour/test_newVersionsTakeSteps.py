"""Which versions take steps, what begins and what ends that, and what somebody may say meanwhile."""

from __future__ import annotations

import os
import shutil

from revproxy.control.commands import CommandError
from tests.behaviour.rolling import NEVER, RollingCase

TOKEN = "0123456789abcdef0123"


class BeginTests(RollingCase):
    """A saved version starts its policy by itself."""

    steps = NEVER

    def test_saved(self) -> None:
        """It begins with its first step; what runs stays what runs, and serves the others."""
        self.save("2")
        self.bench.wait(1)
        self.assertEqual(self.state, "canary")
        self.assertEqual(self.view()["running"]["version"], "1.0.0")
        self.assertEqual(self.view()["candidate"]["version"], "2.0.0")
        (status,) = self.command("plugins")
        self.assertEqual(status["version"], "1.0.0")
        self.assertIn("rollout-started", self.kinds())

    def test_first(self) -> None:
        """The first version of a plugin comes at once: there is nothing to hold it against."""
        self.assertEqual(self.view(), {})
        self.assertEqual(set(self.marks(20).values()), {"1"})

    def test_others(self) -> None:
        """A plugin without a policy is replaced at once."""
        self.bench.swap("b", "1")
        self.bench.swap("b", "2")
        self.assertEqual(self.bench.marks()["b"], "2")
        self.assertEqual(self.view(), {})

    def test_configuration(self) -> None:
        """Another configuration takes no steps, unless that is asked for."""
        self.configure(others=", config: {a: {mark: x}}")
        self.assertEqual(set(self.marks(20).values()), {"1x"})
        self.assertEqual(self.view(), {})


class ConfigurationTests(RollingCase):
    """``config: true``."""

    steps = NEVER

    def sections(self, steps: str | None = None, policy: str | None = None, others: str = "") -> str:
        return super().sections(steps, policy, others).replace("rollout: {", "rollout: {config: true, ")

    def test_steps(self) -> None:
        """What runs keeps the configuration that it has; the candidate has the other one."""
        self.bench.stamp("a", "1", version="1.0.0", config={"mark": "x"})
        self.bench.apply()
        self.bench.wait(2)
        self.assertEqual(self.state, "canary")
        self.assertEqual(set(self.marks().values()), {"1", "1x"})


class EndTests(RollingCase):
    """A canary that would go on for ever."""

    steps = NEVER

    def setUp(self) -> None:
        super().setUp()
        self.save("2")
        self.bench.wait(2)
        self.assertEqual(self.state, "canary")

    def assertAll(self, mark: str) -> None:
        """Everybody meets one version."""
        self.assertEqual(set(self.marks(60).values()), {mark})

    def test_abort(self) -> None:
        """Somebody has seen enough."""
        self.say("abort")
        self.assertEqual(self.state, "aborted")
        self.assertAll("1")

    def test_promote(self) -> None:
        """Somebody is sure."""
        self.say("promote")
        self.assertEqual(self.state, "promoted")
        self.assertAll("2")
        self.assertEqual(self.stage.starts.count("a 2"), 1)

    def test_pin(self) -> None:
        """What is pinned is what everybody meets."""
        self.command("pin", name="a")
        self.assertEqual(self.state, "aborted")
        self.assertAll("1")

    def test_disable(self) -> None:
        """What is off is on trial no more."""
        self.command("disable", name="a")
        self.assertEqual(self.state, "aborted")
        self.assertEqual(set(self.marks(20).values()), {""})

    def test_folderBack(self) -> None:
        """The folder has again what runs."""
        self.bench.stamp("a", "1", version="1.0.0")
        self.bench.apply()
        self.assertEqual(self.state, "aborted")
        self.assertAll("1")

    def test_folderGone(self) -> None:
        """Its folder is gone."""
        shutil.rmtree(self.bench.plugins / "a")
        self.bench.apply()
        self.assertEqual(self.state, "aborted")

    def test_supersede(self) -> None:
        """A newer version takes its place, and begins with the first step."""
        self.save("3")
        self.bench.wait(2)
        self.assertEqual((self.state, self.view()["candidate"]["version"]), ("canary", "3.0.0"))
        self.assertEqual(set(self.marks().values()), {"1", "3"})
        self.assertIn("rollout-superseded", self.kinds())

    def test_hold(self) -> None:
        """It stays where it is until somebody says otherwise."""
        self.say("hold")
        self.assertEqual(self.state, "canary, held")
        self.say("resume")
        self.assertEqual(self.state, "canary")

    def test_step(self) -> None:
        """After the last step comes promotion."""
        self.say("step")
        self.assertEqual(self.state, "promoted")
        self.assertAll("2")

    def test_overIsOver(self) -> None:
        """What is over takes no commands, and says so."""
        self.say("abort")
        for command in ("step", "hold", "resume", "promote", "abort"):
            self.assertRaises(CommandError, self.say, command)

    def test_startAgain(self) -> None:
        """Somebody may try again what was aborted."""
        self.say("abort")
        self.bench.wait(5)
        self.assertEqual(self.state, "aborted")
        self.say("start", "2.0.0")
        self.bench.wait(2)
        self.assertEqual(self.state, "canary")

    def test_told(self) -> None:
        """What somebody says is an event, and what was changed."""
        self.say("abort")
        self.assertEqual(self.kinds()[-1], "rollout-aborted")
        last = self.view()["transitions"][-1]
        self.assertEqual((last["from"], last["to"]), ("canary", "aborted"))


class RefuseTests(RollingCase):
    """``on_newer: refuse``."""

    steps = NEVER
    policy = "by: header:X-Client, on_newer: refuse"

    def test_newer(self) -> None:
        """A newer version waits in its folder."""
        self.save("2")
        self.bench.wait(2)
        self.save("3")
        self.bench.wait(2)
        self.assertEqual((self.state, self.view()["candidate"]["version"]), ("canary", "2.0.0"))
        self.assertEqual(set(self.marks().values()), {"1", "2"})
        self.assertIn("on_newer: refuse", self.bench.failure("a"))


class TestersTests(RollingCase):
    """Who has the token chooses."""

    steps = NEVER

    def sections(self, steps: str | None = None, policy: str | None = None, others: str = "") -> str:
        os.environ["ARM_TOKEN"] = TOKEN
        return super().sections(
            steps, "by: header:X-Client, testers: {header: X-Arm, token: {$env: ARM_TOKEN}}", others
        )

    def setUp(self) -> None:
        self.patch(os, "environ", {**os.environ})
        super().setUp()

    def test_choose(self) -> None:
        """Either version; what they do is not judged, and neither plugins nor the origin see the header."""
        self.save("2")
        self.bench.wait(2)
        for client in ("x", "y", "z"):
            for arm, mark in (("candidate", "2"), ("running", "1")):
                self.assertEqual(self.visit(client, headers={"X-Arm": f"{TOKEN} {arm}"}), mark)
        self.assertIsNone(self.bench.origin.heard[-1].get(b"x-arm"))
        self.bench.wait(2)
        arms = self.view()["arms"]
        self.assertEqual([arms[arm]["requests"] + arms[arm]["warming"] for arm in arms], [0, 0])
        self.assertEqual([arms[arm]["testers"] for arm in arms], [3, 3])

    def test_guess(self) -> None:
        """Who does not know the token chooses nothing."""
        self.save("2")
        self.bench.wait(2)
        met = self.marks(60)
        for client, mark in met.items():
            self.assertEqual(self.visit(client, headers={"X-Arm": "0123456789abcdef9999 candidate"}), mark)
