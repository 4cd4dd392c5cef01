"""Rollouts of an edge on a bench, from a folder that changes to what the API tells of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from revproxy.admin.operations.plugins import PLUGIN_STATUS
from revproxy.admin.operations.rolloutshapes import FORECAST, ROLLOUT, SUMMARY
from tests.admin.apis import ApiCase
from tests.control.test_rolloutdriver import policy
from tests.coordinators import Bench


class WholeTests(ApiCase):
    """
    A plugin ``a`` runs, and what is saved of it takes steps.
    """

    def setUp(self) -> None:
        super().setUp()
        self.bench = Bench(Path(self.mktemp()), extra=policy())
        self.bench.write("a")
        self.bench.start()
        self.addCleanup(self.bench.control.stop)
        self.bench.write("a", version="2.0.0")
        self.bench.apply()
        self.settle()

    def settle(self) -> None:
        for _ in range(3):
            self.bench.clock.advance(0.01)

    def told(self, path: str, schema: Any) -> Any:
        """What is answered, which is as it is described."""
        found = self.ask("GET", path)
        Draft202012Validator(schema).validate(found)
        return found

    def test_goesOn(self) -> None:
        """It is told by all that tell of the plugin, and by the edge."""
        [brief] = self.told("rollouts", {"properties": {"items": {"items": SUMMARY}}})["items"]
        whole = self.told("rollouts/a", ROLLOUT)
        self.assertEqual([brief["state"], whole["state"], whole["step"]["index"]], ["shadow", "shadow", 1])
        one = self.told("plugins/a", PLUGIN_STATUS)
        self.assertEqual((one["version"], one["rollout"]["candidate"]["version"]), ("1.0.0", "2.0.0"))
        self.assertEqual([each["id"] for each in self.ask("GET", "status")["rollouts"]], [whole["id"]])
        self.told("rollouts/a/plan", FORECAST)

    def test_steered(self) -> None:
        """Step by step to the end, and who did it is in the story of it."""
        for command, state, held in (("hold", "shadow", True), ("resume", "shadow", False), ("step", "canary", False),
                                     ("promote", "promoted", False)):  # fmt: skip
            self.assertEqual(self.ask("POST", f"rollouts/a/{command}", {"reason": "so"})["refused"], [], command)
            self.settle()
            found = self.told("rollouts/a", ROLLOUT)
            self.assertEqual((found["state"], found["held"]), (state, held), command)
        last = self.ask("GET", "rollouts/a")["transitions"][-1]
        self.assertEqual((last["to"], last["by"], last["reason"]), ("promoted", "tester", "so"))
        self.assertEqual(self.ask("GET", "plugins/a")["version"], "2.0.0")
        self.assertIsNone(self.ask("GET", "plugins/a")["rollout"])
        self.problem(409, "POST", "rollouts/a/hold", {})

    def test_aborted(self) -> None:
        """Why what the folder has does not run is said at once, and what to do; and that does it."""
        self.ask("POST", "rollouts/a/abort", {"reason": "enough"})
        self.settle()
        self.assertEqual(self.told("rollouts/a", ROLLOUT)["because"], "enough")
        failure = self.ask("GET", "plugins/a")["failure"]
        self.assertEqual((failure["stage"], failure["version"]), ("rollout", "2.0.0"))
        self.assertEqual(failure["message"],
                         "its rollout was aborted: enough; `revproxy rollout a start` tries it again")  # fmt: skip
        self.assertEqual(self.ask("GET", "status")["rollouts"], [])
        self.ask("POST", "rollouts/a/start", {})
        self.settle()
        self.assertEqual(self.ask("GET", "rollouts/a")["state"], "shadow")
        self.assertIsNone(self.ask("GET", "plugins/a")["failure"])

    def test_otherSteps(self) -> None:
        """Those of the call, and not those of the configuration."""
        self.ask("POST", "rollouts/a/abort", {})
        self.settle()
        steps = {"steps": [{"canary": "25%", "at_most": "1m"}]}
        self.assertEqual(self.ask("POST", "rollouts/a/plan", {"policy": steps})["steps"][0]["share"], 0.25)
        self.ask("POST", "rollouts/a/start", {"version": "2.0.0", "policy": steps})
        self.settle()
        found = self.told("rollouts/a", ROLLOUT)
        self.assertEqual((found["state"], found["step"]["share"], len(found["steps"])), ("canary", 0.25, 1))

    def test_none(self) -> None:
        """Of what there is not, and of what has none, it is said."""
        self.assertIn("no plugin named", self.problem(404, "GET", "rollouts/nobody").detail)
        self.bench.write("b")
        self.bench.apply()
        self.assertIn("has no rollout", self.problem(404, "GET", "rollouts/b").detail)
        self.assertIn("runs already", self.problem(409, "GET", "rollouts/b/plan").detail)
