"""
What a change does to rollouts: where the configuration of a plugin takes steps.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from revproxy.plan.words import Failures
from tests.control.rolloutcase import STEPS, RolloutCase
from tests.coordinators import Bench

SAYS = """
from zope.interface import implementer
from revproxy.interfaces import IMiddleware

@implementer(IMiddleware)
class Says:
    name = "a"
    def __init__(self, config):
        self.config = config
    def handle(self, context):
        context.values.setdefault("seen", []).append(self.config["says"])
        return True

PluginMain = Says
"""


class SettingsTests(RolloutCase):
    """
    What the configuration says of a plugin takes steps, where that is asked for.
    """

    def setUp(self) -> None:
        self.bench = Bench(Path(self.mktemp()), extra=self.section("old"))
        self.bench.write("a", SAYS)
        self.begin()
        self.addCleanup(self.end)

    def section(self, says: str, isGradual: bool = True) -> str:
        """Of the configuration."""
        rollout = f"{{config: {str(isGradual).lower()}, default: {{steps: {STEPS}}}}}"
        return f"plugins: {{directory: plugins, config: {{a: {{says: {says}}}}}, rollout: {rollout}}}"

    def say(self, says: str, isGradual: bool = True) -> None:
        """The configuration is written anew."""
        self.bench.configure(extra=self.section(says, isGradual))
        self.bench.apply()
        self.settle()

    def settings(self) -> tuple[Any, Any]:
        """How what runs is set, and how what is on trial."""
        plan = self.bench.coordinator.plan
        assert plan is not None
        running = plan.find("a")
        candidates = [dict(each.config or {}) for _, each in plan.candidates()]
        assert running is not None and running.config is not None
        return running.config["says"], candidates[0]["says"] if candidates else None

    def test_steps(self) -> None:
        """
        What runs keeps what was said; the new configuration is in force for all else.
        """
        self.say("new")
        self.assertEqual((self.settings(), self.state()), (("old", "new"), "shadow"))
        self.assertEqual(self.bench.seen(), ["old"])
        self.bench.apply()
        self.assertEqual(self.settings(), ("old", "new"))
        self.do("promote")
        self.assertEqual((self.settings(), self.state()), (("new", None), "promoted"))
        self.assertEqual(self.bench.seen(), ["new"])
        self.bench.apply()
        self.assertEqual((self.settings(), len(self.rollouts.views())), (("new", None), 1))

    def test_worse(self) -> None:
        """
        What did not come through does not come by itself, until it is said otherwise, or tried again.
        """
        self.say("new")
        self.do("step")
        self.worse()
        for _ in range(2):
            self.assertEqual((self.settings(), self.state()), (("old", None), "rolled-back"))
            self.bench.apply()
            self.assertIn("`revproxy rollout a start`", self.bench.failure("a"))
            self.restart()
        self.do("start")
        self.assertEqual((self.settings(), self.state()), (("old", "new"), "shadow"))
        self.do("abort")
        self.say("other")
        self.assertEqual((self.settings(), self.state()), (("old", "other"), "shadow"))
        self.say("old")
        self.assertEqual((self.settings(), self.state()), (("old", None), "superseded"))
        self.assertEqual(self.driver.book.former, {})

    def test_restart(self) -> None:
        """
        It goes on after a restart.
        """
        self.say("new")
        self.do("step")
        self.restart()
        self.assertEqual((self.settings(), self.state()), (("old", "new"), "canary"))

    def test_besideHeldBack(self) -> None:
        """
        They do, too, where the folder has a version that did not come through.
        """
        self.save("2.0.0", code=SAYS)
        self.do("abort")
        self.say("new")
        self.assertEqual((self.settings(), self.state(), self.runs()), (("old", "new"), "shadow", "1.0.0"))
        self.bench.apply()
        self.assertEqual(self.state(), "shadow")
        self.do("promote")
        self.assertEqual((self.settings(), self.runs()), (("new", None), "1.0.0"))

    def test_both(self) -> None:
        """
        A new version that comes with other settings is one thing on trial.
        """
        self.bench.configure(extra=self.section("new"))
        self.save("2.0.0", code=SAYS)
        self.assertEqual((self.settings(), self.view()["candidate"]["version"]), (("old", "new"), "2.0.0"))
        self.do("abort")
        self.assertEqual((self.settings(), self.runs()), (("old", None), "1.0.0"))
        self.bench.apply()
        self.assertEqual((self.settings(), self.runs()), (("old", None), "1.0.0"))

    def test_atOnce(self) -> None:
        """
        Where it is not asked for, it comes at once.
        """
        self.say("new", False)
        self.assertEqual((self.settings(), self.kinds()), (("new", None), []))

    def test_failures(self) -> None:
        """
        When both are the same version, what fails too often is held against the one on trial.
        """
        self.say("new")
        self.do("step")
        version = self.driver.book.going[0].newcomer.candidates["a"].version
        self.bench.control.inbox.receive(0, Failures("a", version, 10, 10))
        self.settle()
        self.assertEqual((self.state(), self.settings()), ("rolled-back", ("old", None)))
