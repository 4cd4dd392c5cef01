"""
The plan as those meet it whom candidates serve.
"""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.problems import ConfigErrors
from revproxy.plan.plan import Plan
from tests.plan.plans import entry, plan
from tests.plan.trials import trialOf, withTrials

SCHEMA = {"type": "object", "properties": {"says": {"type": "string"}}}
STAMP = entry("stamp", "2.0.0", config={"says": ""}, config_schema=SCHEMA, provides=["stamps"])
GUARD = entry("guard", "2.0.0", after=["stamp"])


class ArmTests(SynchronousTestCase):
    """
    Trials of the plugins stamp and guard.
    """

    def setUp(self) -> None:
        self.plan = plan(Path(self.mktemp()).absolute())

    def versions(self, found: Plan, *trials: str) -> list[str]:
        """Of what runs in an arm."""
        return [str(each.manifest) for each in found.armOf(*trials).selected]

    def test_one(self) -> None:
        """
        An arm has its candidate, and of all others the very objects that the plan has.
        """
        found = withTrials(self.plan, (trialOf("stamp"), {"stamp": STAMP}))
        self.assertEqual(self.versions(found, "r1"), ["dropped 2.0rc1", "guard 1.0.0", "stamp 2.0.0"])
        self.assertIs(found.armOf("r1").find("guard"), self.plan.find("guard"))
        self.assertEqual([(trial.id, each.name) for trial, each in found.candidates()], [("r1", "stamp")])
        self.assertEqual(found.selected, self.plan.selected)
        order = [[str(each.manifest) for each, _ in order] for order in found.armOf("r1").orderPerGroup]
        self.assertIn(["stamp 2.0.0", "guard 1.0.0"], order)

    def test_several(self) -> None:
        """
        Clients can be in both canaries; in a shadow nobody is, so it has an arm of its own alone.
        """
        canaries = withTrials(
            self.plan, (trialOf("stamp"), {"stamp": STAMP}), (trialOf("guard", id="r2"), {"guard": GUARD})
        )  # fmt: skip
        self.assertEqual([arm.trials for arm in canaries.arms], [("r1",), ("r2",), ("r1", "r2")])
        self.assertEqual(self.versions(canaries, "r1", "r2"), ["dropped 2.0rc1", "guard 2.0.0", "stamp 2.0.0"])
        one, both = canaries.armOf("r1").find("stamp"), canaries.armOf("r1", "r2").find("stamp")
        self.assertIs(one, both)
        tried, serves = trialOf("stamp", stage="shadow"), trialOf("guard", id="r2")
        shadow = withTrials(self.plan, (tried, {"stamp": STAMP}), (serves, {"guard": GUARD}))
        self.assertEqual([arm.trials for arm in shadow.arms], [("r1",), ("r2",)])

    def test_refused(self) -> None:
        """
        Candidates that do not go together with the others are refused.
        """
        needs = entry("guard", "2.0.0", requires={"nobody": ""})
        fights = entry("guard", "2.0.0", conflicts={"stamp": ""})
        for candidate in (needs, fights):
            with self.assertRaises(ConfigErrors):
                withTrials(self.plan, (trialOf("guard"), {"guard": candidate}))
