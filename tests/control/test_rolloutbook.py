"""
``revproxy.control.rolloutbook``: what is kept over a restart, and what of it can be believed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from revproxy.control import rolloutbook
from revproxy.control.rolloutbook import MOST_DIFFERENCES
from revproxy.plan.evidence import DifferenceCount, TrialPairs
from revproxy.plan.words import Evidence
from tests.control.rolloutcase import RolloutCase, policy
from tests.coordinators import Bench


class RestartTests(RolloutCase):
    """
    The edge begins with a file that is not as it left it.
    """

    @property
    def file(self) -> Path:
        """Where rollouts are kept."""
        return self.bench.root / "var" / "rollouts.json"

    def change(self, **members: Any) -> None:
        """Restart, with these members of the first rollout in the file."""
        self.bench.control.stop()
        self.bench.result(self.bench.control.end())
        self.bench.stop()
        kept = json.loads(self.file.read_text())
        kept["going"][0].update(members)
        self.file.write_text(json.dumps(kept))
        self.begin()
        self.settle()

    def test_endThatTheFileDoesNotKnow(self) -> None:
        """
        It was over when the edge was killed, before that was written here: it stays so.
        """
        self.save("2.0.0")
        self.pass_(1)
        before = self.file.read_bytes()
        self.do("abort")
        self.bench.control.stop()
        self.bench.result(self.bench.control.end())
        self.bench.stop()
        self.file.write_bytes(before)
        self.begin()
        self.settle()
        self.assertEqual((self.trialIds(), self.driver.book.going, self.runs()), ([], [], "1.0.0"))
        self.assertIn("`revproxy rollout a start`", self.bench.failure("a"))

    def test_timeGoesOn(self) -> None:
        """
        The step that was under way ends by what is seen, and by the clock.
        """
        self.save("2.0.0")
        self.do("step")
        self.restart()
        self.pass_(70)
        self.assertEqual((self.view()["held"], self.view()["verdict"]["kind"]), (True, "no-traffic"))
        self.do("resume")
        self.restart()
        self.worse()
        self.assertEqual(self.state(), "rolled-back")

    def test_damaged(self) -> None:
        """
        One that cannot be as it is kept does not go on, and keeps no edge from its start; its version begins anew.
        """
        hostile = ({"state": "sleeping"}, {"state": "promoted"}, {"permutation": "AAAA"}, {"index": 7})
        for number, members in enumerate(hostile, 2):
            self.save(f"{number}.0.0")
            id = self.view()["id"]
            self.change(**members)
            self.assertIn("rollout-aborted", self.kinds())
            self.assertEqual((self.runs(), self.state()), ("1.0.0", "shadow"), members)
            self.assertNotEqual(self.view()["id"], id)

    def test_figures(self) -> None:
        """
        Figures that no arithmetic can do with keep no edge from its start either.
        """
        self.save("2.0.0")

        def overflows(*arguments: Any) -> Any:
            raise OverflowError("Numerical result out of range")

        self.patch(rolloutbook, "restored", overflows)
        self.change()
        self.assertIn("rollout-aborted", self.kinds())
        self.assertEqual((self.runs(), self.state()), ("1.0.0", "shadow"))

    def test_ofANewerRevproxy(self) -> None:
        """
        It is put aside, told, and what the folder has begins anew.
        """
        self.save("2.0.0")
        self.bench.control.stop()
        self.bench.result(self.bench.control.end())
        self.bench.stop()
        self.file.write_text('{"format": 99}')
        self.begin()
        self.settle()
        self.assertEqual((self.runs(), self.state()), ("1.0.0", "shadow"))
        self.assertIn("ledger-damaged", [kind for kind, _ in self.bench.kinds()])
        self.assertTrue([path for path in self.file.parent.iterdir() if path.name.startswith("rollouts.json.")])


class OverTests(RolloutCase):
    """
    What is kept of those that are over.
    """

    def test_differences(self) -> None:
        """
        The weightiest: the file is written each second while others go on.
        """
        self.save("2.0.0")
        counts = tuple(DifferenceCount(f"header:x-{number}", "changed", number % 9, 0, 0) for number in range(150))
        pairs = TrialPairs(self.view()["id"], compared=9, differences=counts)
        self.driver.heard(0, Evidence(self.bench.clock.seconds(), (), (pairs,)))
        told = self.view()["differences"]
        self.assertEqual((len(told), told[0]["odds"]), (150, max(each["odds"] for each in told)))
        self.do("abort")
        self.assertEqual(self.view()["differences"], told[:MOST_DIFFERENCES])


class ConfigurationTests(RolloutCase):
    """
    ``config: true``, and revproxy.yaml is another one when the edge begins again.
    """

    def setUp(self) -> None:
        self.bench = Bench(Path(self.mktemp()), extra=self.sections("x"))
        self.bench.write("a")
        self.begin()
        self.addCleanup(self.end)

    def sections(self, mark: str, isBySteps: bool = True) -> str:
        """What the file says of the plugin."""
        by = "config: true, " if isBySteps else ""
        return policy().replace("rollout: {", f"config: {{a: {{mark: {mark}}}}}, rollout: {{{by}")

    def restartWith(self, mark: str, isBySteps: bool = True) -> None:
        """It ends, somebody edits the file, it begins."""
        self.bench.control.stop()
        self.bench.result(self.bench.control.end())
        self.bench.stop()
        self.bench.configure(extra=self.sections(mark, isBySteps))
        self.begin()
        self.settle()

    def marks(self) -> tuple[Any, Any]:
        """By what it runs, and by what the candidate would; None: there is none."""
        plan = self.bench.coordinator.plan
        assert plan is not None
        found = [plan.find("a"), *(arm.find("a") for arm in plan.arms)]
        marks = [None if each is None else (each.config or {})["mark"] for each in found]
        return marks[0], marks[1] if len(marks) > 1 else None

    def test_changedMeanwhile(self) -> None:
        """
        What was said before goes on, and what is said now takes steps.
        """
        self.restartWith("y")
        self.assertEqual((self.state(), self.marks()), ("shadow", ("x", "y")))
        self.restartWith("y")
        self.assertEqual((self.state(), self.marks()), ("shadow", ("x", "y")))
        self.do("promote")
        self.assertEqual(self.marks(), ("y", None))
        self.restartWith("y")
        self.assertEqual((self.state(), self.marks()), ("promoted", ("y", None)))

    def test_unchanged(self) -> None:
        """
        Nothing begins.
        """
        self.restartWith("x")
        self.assertEqual((self.rollouts.views(), self.marks()), ([], ("x", None)))

    def test_atOnceNow(self) -> None:
        """
        Where the file does not ask for steps any more, there are none.
        """
        self.restartWith("y", False)
        self.assertEqual((self.rollouts.views(), self.marks()), ([], ("y", None)))
