"""Rollouts as they are told, and steered, by the API: over a control that says what a test has it say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from revproxy.admin.operations.rolloutshapes import ENDS, STATES
from revproxy.cli import rolloutwords
from revproxy.config.rolloutpolicy import RolloutPolicy
from revproxy.control.commands import CommandError, NotThere
from revproxy.control.steering import Asker
from tests.admin.apis import ApiCase
from tests.admin.rolloutviews import canary, forecast, rolledBack


class RolloutsDouble:
    """
    :ivar asked: what was asked for: command, plugin, reason.
    :ivar policies: that were given.
    :ivar stored: versions that have run.
    """

    def __init__(self) -> None:
        self.told = {"a": canary("a"), "b": rolledBack("b")}
        self.asked: list[tuple[str, ...]] = []
        self.policies: list[RolloutPolicy | None] = []
        self.stored = {"1.3.0"}

    def views(self) -> list[dict[str, Any]]:
        return list(self.told.values())

    def view(self, name: str) -> dict[str, Any]:
        if name not in self.told:
            raise NotThere(f"nothing of {name} is or was rolled out")
        return self.told[name]

    def isStored(self, name: str, version: str | None) -> bool:
        return version in self.stored

    async def plan(self, name: str, version: str | None = None, policy: RolloutPolicy | None = None) -> dict[str, Any]:
        self.view(name)
        self.policies.append(policy)
        if version == "1.2.0":
            raise CommandError("1.2.0 of a runs already")
        return forecast(name)

    async def start(
        self, asker: Asker, name: str, version: str | None = None, policy: RolloutPolicy | None = None
    ) -> dict[str, Any]:
        self.policies.append(policy)
        return await self._do("start", asker, name, version or "")

    async def step(self, asker: Asker, name: str, left: int | None = None) -> dict[str, Any]:
        return await self._do("step", asker, name, *([] if left is None else [f"from {left}"]))

    async def hold(self, asker: Asker, name: str) -> dict[str, Any]:
        return await self._do("hold", asker, name)

    async def resume(self, asker: Asker, name: str) -> dict[str, Any]:
        return await self._do("resume", asker, name)

    async def promote(self, asker: Asker, name: str) -> dict[str, Any]:
        return await self._do("promote", asker, name)

    async def abort(self, asker: Asker, name: str) -> dict[str, Any]:
        return await self._do("abort", asker, name)

    async def _do(self, command: str, asker: Asker, name: str, *more: str) -> dict[str, Any]:
        if self.view(name)["ended"] is not None and command != "start":
            raise CommandError(f"nothing of {name} is being rolled out")
        self.asked.append((command, name, *more, asker.reason, asker.actor.name))
        return {"text": [f"{name}: {command}"], "refused": []}


class RolloutCase(ApiCase):
    """Of an edge with a plugin ``a``."""

    def setUp(self) -> None:
        super().setUp()
        self.bench.write("a")
        self.bench.start()
        self.rollouts = RolloutsDouble()
        self.patch(self.bench.control, "rollouts", self.rollouts)

    def role(self, role: str) -> None:
        """Whoever asks has this one from now on."""
        self.door.who = replace(self.door.who, role=role)


class LookingTests(RolloutCase):
    """What is told."""

    def test_all(self) -> None:
        """Those that go on and those that are over, without what only one who looks at one wants."""
        [a, b] = self.ask("GET", "rollouts")["items"]
        self.assertEqual((a["state"], b["state"]), ("canary", "rolled-back"))
        self.assertEqual(a["step"]["left_seconds"], 27.0)
        self.assertEqual(a["because"], a["verdict"]["reason"])
        self.assertNotIn("curve", a)

    def test_because(self) -> None:
        """Of one that is over it is said what ended it, and not what was judged last."""
        end = {"at": 1.0, "from": "canary", "to": "aborted", "reason": "a was pinned", "by": "ann"}
        self.rollouts.told["a"] = canary("a", state="aborted", transitions=[end])
        self.assertEqual(self.ask("GET", "rollouts/a")["because"], "a was pinned")

    def test_one(self) -> None:
        """All about one; or that there is none."""
        found = self.ask("GET", "rollouts/a")
        self.assertEqual(found, {**self.rollouts.told["a"], "because": found["verdict"]["reason"]})
        self.assertIn("nothing of c is", self.problem(404, "GET", "rollouts/c").detail)

    def test_examples(self) -> None:
        """Examples have something of requests in them: that takes observe."""
        for role, count in (("read", 0), ("observe", 1), ("admin", 1)):
            self.role(role)
            told = self.ask("GET", "rollouts/a")["differences"]
            self.assertEqual([len(each["examples"]) for each in told], [count] * 3, role)
            self.assertEqual(told[0]["candidate"], 31)

    def test_plan(self) -> None:
        """Of the policy that there is, of any version; or of another policy, which changes nothing."""
        self.role("read")
        self.assertEqual(self.ask("GET", "rollouts/a/plan?version=1.3.0")["seconds"], 1216.0)
        self.assertIn("runs already", self.problem(409, "GET", "rollouts/a/plan?version=1.2.0").detail)
        records = len(self.audited())
        steps = [{"canary": "10%", "at_most": "5m"}]
        self.assertEqual(self.ask("POST", "rollouts/a/plan", {"policy": {"steps": steps}})["by"], "address")
        given = self.rollouts.policies[-1]
        assert given is not None
        self.assertEqual([(step.share, step.atMost) for step in given.steps], [(0.1, 300.0)])
        self.assertEqual(len(self.audited()), records)

    def audited(self) -> list[Any]:
        return [event for event in self.bench.control.events.latest(100) if event.kind == "audited"]


class SteeringTests(RolloutCase):
    """What is changed."""

    def test_commands(self) -> None:
        """Each is done with its reason, in the name of who asks, and audited once."""
        audited: list[tuple[str, str, str]] = []
        record = self.bench.control.audit.record

        def audit(actor: Any, action: str, target: str = "", **more: Any) -> None:
            audited.append((action, target, more.get("reason", "")))
            record(actor, action, target, **more)

        self.patch(self.bench.control.audit, "record", audit)
        for command in ("step", "hold", "resume", "promote", "abort"):
            answer = self.ask("POST", f"rollouts/a/{command}", {"reason": "so"})
            self.assertEqual(answer, {"text": [f"a: {command}"], "refused": []})
            self.assertEqual(self.rollouts.asked[-1], (command, "a", "so", "tester"))
            self.assertEqual(audited[-1], (f"rollout-{command}", "a", "so"))
        self.assertEqual(len(audited), 5)

    def test_stepFrom(self) -> None:
        """Who goes on may say from which step; it is one that there can be."""
        self.ask("POST", "rollouts/a/step", {"from": 3})
        self.ask("POST", "rollouts/a/step", {"from": None})
        self.assertEqual([each[:-2] for each in self.rollouts.asked], [("step", "a", "from 3"), ("step", "a")])
        for wrong in ({"from": 0}, {"from": "3"}):
            self.problem(400, "POST", "rollouts/a/step", wrong)
        self.problem(400, "POST", "rollouts/a/promote", {"from": 3})

    def test_over(self) -> None:
        """What is over cannot be steered, and what there is not neither."""
        self.assertIn("nothing of b is being rolled out", self.problem(409, "POST", "rollouts/b/hold", {}).detail)
        self.problem(404, "POST", "rollouts/c/hold", {})

    def test_start(self) -> None:
        """A version, or what the folder has; by the plugin's policy, or by that of the call."""
        self.ask("POST", "rollouts/b/start", {"version": "1.3.0", "reason": "again"})
        self.assertEqual(self.rollouts.asked[-1], ("start", "b", "1.3.0", "again", "tester"))
        self.assertEqual(self.rollouts.policies, [None])
        self.ask("POST", "rollouts/b/start", {"policy": {"steps": ["preflight"], "on_inconclusive": "roll_back"}})
        given = self.rollouts.policies[-1]
        assert given is not None
        self.assertEqual((given.onInconclusive, given.steps[0].kind), ("roll_back", "preflight"))

    def test_wrongPolicy(self) -> None:
        """What is no policy is refused with the place in it, and nothing is started."""
        wrong = {"steps": ["preflight", {"canary": "5%"}], "on_newer": "wait"}
        problem = self.problem(422, "POST", "rollouts/b/start", {"policy": wrong})
        self.assertEqual({each["where"] for each in problem.extra["problems"]},
                         {"body.policy.steps[1]", "body.policy.on_newer"})  # fmt: skip
        self.assertIn("nothing ends this canary", problem.detail)
        token = {"steps": ["preflight"], "testers": {"header": "X-Arm", "token": "0123456789abcdef"}}
        self.assertNotIn("0123456789abcdef", self.problem(422, "POST", "rollouts/b/start", {"policy": token}).detail)
        self.assertEqual(self.rollouts.asked, [])


class RoleTests(RolloutCase):
    """Who may do what."""

    def test_matrix(self) -> None:
        """Read looks, operate steers, and for what never ran here, or reads files, it takes configure."""
        replayed = {"version": "1.3.0", "policy": {"steps": [{"preflight": True, "replay": "x.corpus"}]}}
        cases: tuple[tuple[str, str, Any, str], ...] = (
            ("GET", "rollouts", None, "read"),
            ("GET", "rollouts/a", None, "read"),
            ("GET", "rollouts/a/plan", None, "read"),
            ("POST", "rollouts/a/plan", {}, "read"),
            ("POST", "rollouts/a/plan", {"policy": replayed["policy"]}, "configure"),
            ("POST", "rollouts/a/step", {}, "operate"),
            ("POST", "rollouts/a/hold", {}, "operate"),
            ("POST", "rollouts/a/resume", {}, "operate"),
            ("POST", "rollouts/a/promote", {}, "operate"),
            ("POST", "rollouts/a/abort", {}, "operate"),
            ("POST", "rollouts/a/start", {"version": "1.3.0"}, "operate"),
            ("POST", "rollouts/a/start", {"version": "1.4.0"}, "configure"),
            ("POST", "rollouts/a/start", {}, "configure"),
            ("POST", "rollouts/a/start", replayed, "configure"),
        )
        roles = ("read", "observe", "operate", "configure", "admin")
        for method, path, body, least in cases:
            for role in roles:
                self.role(role)
                if roles.index(role) >= roles.index(least):
                    self.ask(method, path, body)
                else:
                    self.problem(403, method, path, body)

    def test_reason(self) -> None:
        """Who may not start what never ran is told which version, and which role it takes."""
        self.role("operate")
        detail = self.problem(403, "POST", "rollouts/a/start", {"version": "1.4.0"}).detail
        self.assertIn("1.4.0 of a has never run here: to start it takes the role configure; yours is operate", detail)
        self.assertIn("what its folder has", self.problem(403, "POST", "rollouts/a/start", {}).detail)


class StateTests(RolloutCase):
    """The words for states."""

    def test_known(self) -> None:
        """Commands, dashboard and API know the same ones that end a rollout."""
        self.assertEqual(rolloutwords.ENDS, ENDS)
        self.assertLess(set(ENDS), set(STATES))
        page = Path(rolloutwords.__file__).parent.parent / "admin/dashboard/parts/evidence.js"
        told = ", ".join(f'"{state}"' for state in ENDS)
        self.assertIn(f"ENDS = new Set([{told}])", page.read_text())
