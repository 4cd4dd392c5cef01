"""``revproxy rollout``: what is asked, what is printed, and how it ends."""

from __future__ import annotations

import json
from collections import deque
from pathlib import Path
from typing import Any

from revproxy.admin.operations.rolloutshapes import told
from revproxy.cli import rolloutcommands, rolloutreport
from tests.admin import rolloutviews
from tests.admin.rolloutviews import forecast
from tests.cli.test_edgecommands import CommandCase, Status


def canary(*arguments: Any, **more: Any) -> dict[str, Any]:
    """As the edge tells of one in its canary."""
    return told(rolloutviews.canary(*arguments, **more))


def rolledBack(*arguments: Any, **more: Any) -> dict[str, Any]:
    """As the edge tells of one that was worse."""
    return told(rolloutviews.rolledBack(*arguments, **more))


DONE = {"text": ["quota: 1.3.0 serves everybody"], "refused": []}


class LookingTests(CommandCase):
    """What is only told."""

    def test_all(self) -> None:
        """Without a name, all of them; a line each."""
        edge = self.edge([canary(), rolledBack("bot")])
        lines = self.run_("rollout").stdout.splitlines()
        self.assertEqual(len(lines), 3)
        self.assertRegex(lines[1], "quota +1.2.0 +1.3.0 +canary 5 % +3 of 4 ")
        self.assertRegex(lines[2], "bot +1.2.0 +1.3.0 +rolled back .*4 of 31 clients")
        self.assertEqual(edge.requests, [("GET", "rollouts", None)])
        self.assertEqual(len(json.loads(self.run_("rollout", "--json").stdout)), 2)

    def test_none(self) -> None:
        """That there are none is no mistake, and it is told how one begins."""
        self.edge([])
        self.assertIn("no rollouts: `revproxy rollout NAME start` begins one", self.run_("rollout").stdout)

    def test_heldSaysNoTime(self) -> None:
        """One that is held goes on when somebody says so: nobody can say how long that takes."""
        self.edge([canary(held=True)])
        self.assertRegex(self.run_("rollout").stdout, "canary 5 %, held +3 of 4 +6.1 : 1 +- ")

    def test_one(self) -> None:
        """With or without its command; noise only for who wants it."""
        edge = self.edge(canary())
        said = self.run_("rollout", "quota").stdout
        self.assertEqual(said, self.run_("rollout", "quota", "status").stdout)
        self.assertEqual(edge.requests[1], ("GET", "rollouts/quota", None))
        for text in ("canary 5 % of clients, step 3 of 4", "about 27 s left", "header:cache-control",
                     "--all shows them", "warning: quota counts for all"):
            self.assertIn(text, said)
        self.assertNotIn("header:date", said)
        self.assertIn("header:date", self.run_("rollout", "quota", "--all").stdout)
        self.assertEqual(json.loads(self.run_("rollout", "quota", "--json").stdout), canary())

    def test_evidence(self) -> None:
        """How much speaks against it, and how much decides: as figures that can be read, and no two at odds."""
        most = rolloutviews.family("faults", 1e90, 9, 1)
        limit = {"kind": "regression", "reason": "a KeyError", "family": "fingerprint", "odds": 0.0}
        quiet = {**rolloutviews.family("faults", 0.4, 0, 0), "of_candidate": 0}
        for view, text in (
            (canary(), "6.1 : 1 against it, 125 : 1 decides: among the slowest 10 %"),
            (canary(families=[most]), "over 10,000 : 1 against it, 125 : 1 decides: fails"),
            (rolledBack(), "210 : 1 against it, 125 : 1 decided: fails"),
            (rolledBack(verdict=limit, families=[quiet]), "certain, whatever the odds: raises something new"),
            (canary(families=[quiet]), "none against it"),
            (canary(families=[]), ""),
        ):
            said = "\n".join(rolloutreport._head(view, rolloutviews.NOW))
            self.assertEqual(said.partition("  evidence  ")[2].partition("\n")[0].lstrip("█░ "), text)

    def test_saysNothingYet(self) -> None:
        """What cannot be said yet of anybody has no line, and nothing is said twice."""
        quiet = {**rolloutviews.family("interrupts", 0.15, 0, 0), "of_candidate": 0}
        verdict = {**rolloutviews.QUIET, "reason": "2,999 pairs"}
        self.edge(canary(families=[quiet, rolloutviews.family("faults", 2, 1, 0)], can_see="2,999 pairs",
                         verdict=verdict))  # fmt: skip
        said = self.run_("rollout", "quota").stdout
        self.assertNotIn("stops more requests", said)
        self.assertIn("1 of 205 groups", said)
        self.assertEqual(said.count("2,999 pairs"), 1)

    def test_advice(self) -> None:
        """What may be typed now: of what is held, what has ended, what runs."""
        for view, text in ((canary(held=True), "revproxy rollout quota resume"),
                           (canary(), "to stop it here: revproxy rollout quota hold; to end it: revproxy rollout"),
                           (rolledBack(), "try it again: revproxy rollout quota start 1.3.0; what runs"),
                           (rolledBack(state="promoted"), "to go back: revproxy rollback quota")):  # fmt: skip
            self.edge(view).close()
            Path("var/control.sock").unlink()
            edge = self.edge(view)
            self.assertIn(text, self.run_("rollout", "quota").stdout)
            edge.close()
            Path("var/control.sock").unlink()

    def test_plan(self) -> None:
        """How long it takes, and what it cannot show, each thing once; of a version, if one is named."""
        edge = self.edge(forecast())
        said = self.run_("rollout", "quota", "plan").stdout
        self.assertEqual(said.count("5 % of 20 requests/s cannot show 1 % errors before 5–6 min"), 1)
        self.assertIn("all together about 20 min", said)
        self.run_("rollout", "quota", "plan", "1.3.0")
        self.assertEqual([path for _, path, _ in edge.requests],
                         ["rollouts/quota/plan", "rollouts/quota/plan?version=1.3.0"])
        self.run_("rollout", "quota", "plan", "--step", "{canary: 10%, at_most: 5m}")
        steps = [{"canary": "10%", "at_most": "5m"}]
        self.assertEqual(edge.requests[-1], ("POST", "rollouts/quota/plan", {"policy": {"steps": steps}}))

    def test_unknown(self) -> None:
        """The edge says that there is none."""
        self.edge(Status(404, {"detail": 'no plugin named "quot"; did you mean "quota"?'}))
        self.assertIn('did you mean "quota"', self.run_("rollout", "quot", status=1).stderr)


class SteeringTests(CommandCase):
    """What changes something."""

    def test_commands(self) -> None:
        """Each is one request, with its reason."""
        edge = self.edge(DONE)
        for command in rolloutcommands.STEERING[1:]:
            said = self.run_("rollout", "quota", command, "--reason", "why not").stdout
            self.assertEqual(said, "quota: 1.3.0 serves everybody\n")
            self.assertEqual(edge.requests[-1], ("POST", f"rollouts/quota/{command}", {"reason": "why not"}))

    def test_step(self) -> None:
        """The edge is told which step is to end: that in which it is, or the one that somebody means."""
        edge = self.edge({**canary(), **DONE})
        self.run_("rollout", "quota", "step", "--reason", "enough")
        self.assertEqual(edge.requests, [
            ("GET", "rollouts/quota", None), ("POST", "rollouts/quota/step", {"reason": "enough", "from": 3})])
        self.run_("rollout", "quota", "step", "--from", "2")
        self.assertEqual(edge.requests[2:], [("POST", "rollouts/quota/step", {"from": 2})])

    def test_stepOfNone(self) -> None:
        """What waits, or is over, is in none; the edge says so."""
        edge = self.edge({**canary(state="waiting", step=None), **DONE})
        self.run_("rollout", "quota", "step")
        self.assertEqual(edge.requests[-1], ("POST", "rollouts/quota/step", {}))

    def test_start(self) -> None:
        """A version; the policy is revproxy.yaml's, or that of steps or of a file."""
        edge = self.edge(DONE)
        self.run_("rollout", "quota", "start", "1.3.0")
        self.assertEqual(edge.requests[-1][2], {"version": "1.3.0"})
        self.run_("rollout", "quota", "start")
        self.assertEqual(edge.requests[-1][2], {})
        self.run_("rollout", "quota", "start", "1.3.0", "--step", "preflight", "--step",
                  "{canary: 5%, until: {fault: 1%}}")  # fmt: skip
        steps = ["preflight", {"canary": "5%", "until": {"fault": "1%"}}]
        self.assertEqual(edge.requests[-1][2], {"version": "1.3.0", "policy": {"steps": steps}})
        Path("slow.yaml").write_text("steps: [preflight]\nby: cookie\n")
        self.run_("rollout", "quota", "start", "1.3.0", "--policy", "slow.yaml")
        self.assertEqual(edge.requests[-1][2]["policy"], {"steps": ["preflight"], "by": "cookie"})

    def test_wrongPolicy(self) -> None:
        """What is no YAML, or is not there, is said with its place, and nothing is asked."""
        edge = self.edge(DONE)
        Path("slow.yaml").write_text("steps: [\n")
        self.assertIn("slow.yaml:", self.run_("rollout", "q", "start", "1", "--policy", "slow.yaml", status=1).stderr)
        self.assertIn("none.yaml", self.run_("rollout", "q", "start", "1", "--policy", "none.yaml", status=1).stderr)
        self.assertIn("--step:", self.run_("rollout", "q", "start", "1", "--step", "{canary", status=1).stderr)
        self.assertEqual(edge.requests, [])

    def test_refused(self) -> None:
        """What the edge refuses is printed, and the command ends with 1."""
        refused = [{"plugin": "quota", "stage": "rollout", "message": "nothing is being rolled out"}]
        self.edge(Status(409, {"detail": "no", "text": [], "refused": refused}))
        said = self.run_("rollout", "quota", "promote", status=1)
        self.assertEqual(said.stderr, "refused: quota: rollout: nothing is being rolled out\n")

    def test_usage(self) -> None:
        """What does not go together is said at once, and what to type."""
        edge = self.edge(DONE)
        cases: tuple[tuple[tuple[str, ...], str], ...] = (
            (("status",), "the plugin's name comes first: revproxy rollout NAME status"),
            (("quota", "pause"), "is not one of"),
            (("quota", "hold", "1.3.0"), "hold takes no version"),
            (("quota", "hold", "--step", "preflight"), "--step and --policy go with start and plan"),
            (("quota", "hold", "--from", "2"), "--from goes with step"),
            (("quota", "promote", "-w"), "go with status"),
            (("quota", "--wait", "-w"), "and not with --wait"),
            (("quota", "promote", "--wait"), "--wait goes with status and start"),
            (("--wait",), "--wait goes with status and start of a plugin"),
            (("quota", "--reason", "x"), "--reason goes with"),
            (("quota", "start", "1", "--step", "preflight", "--policy", "x"), "do not go together"),
        )
        for arguments, text in cases:
            self.assertIn(text, " ".join(self.run_("rollout", *arguments, status=2).stderr.split()))
        self.assertEqual(edge.requests, [])


class WaitingTests(CommandCase):
    """For a script: until it is over."""

    def setUp(self) -> None:
        super().setUp()
        self.slept: list[float] = []
        self.patch(rolloutcommands.time, "sleep", self.slept.append)

    def answers(self, *views: Any) -> deque[Any]:
        return deque(views)

    def test_promoted(self) -> None:
        """Each transition is told once; that it is promoted is well."""
        over = canary(state="promoted", step=None)
        over["transitions"] = [*over["transitions"], {
            "at": 1.0, "from": "canary", "to": "promoted", "reason": "all steps are over", "by": "edge"}]  # fmt: skip
        self.edge(self.answers(DONE, canary(), canary(), over))
        said = self.run_("rollout", "quota", "start", "1.3.0", "--wait").stdout
        self.assertEqual([said.count(text) for text in ("→ shadow", "→ promoted")], [1, 1])
        self.assertEqual(len(self.slept), 2)

    def test_held(self) -> None:
        """That it waits for somebody is said, once, with what may be typed."""
        held = canary(held=True)
        held["transitions"] = [*held["transitions"], {
            "at": 1.0, "from": "canary", "to": "held", "reason": "nobody came", "by": "edge"}]  # fmt: skip
        over = rolledBack(transitions=held["transitions"])
        self.edge(self.answers(canary(), held, held, over))
        said = self.run_("rollout", "quota", "--wait", status=1).stdout
        self.assertEqual([said.count(text) for text in ("canary → held: nobody came", "resume | step")], [1, 1])

    def test_rolledBack(self) -> None:
        """Any other end is not; with --json its view is all that is printed."""
        self.edge(self.answers(canary(), canary(), rolledBack()))
        said = self.run_("rollout", "quota", "--wait", "--json", status=1).stdout
        self.assertEqual(json.loads(said)["state"], "rolled-back")
