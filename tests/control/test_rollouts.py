"""
What people say of rollouts, and what they are told.
"""

from __future__ import annotations

from typing import Any

from jsonschema import validate

from revproxy.admin.operations.rolloutshapes import FORECAST, ROLLOUT, SUMMARY, summary, told
from revproxy.control.actor import Actor
from revproxy.control.commands import CommandError, NotThere
from revproxy.control.steering import Asker
from revproxy.dropin import DropIn
from revproxy.plan.evidence import ArmCounts
from revproxy.plan.words import Failures
from tests.control.rolloutcase import RolloutCase


class CommandTests(RolloutCase):
    """
    What people say.
    """

    def test_start(self) -> None:
        """
        A stored version takes steps as well; once it runs, it does until its folder has something new.
        """
        self.save("2.0.0")
        self.do("promote")
        self.assertEqual(self.runs(), "2.0.0")
        outcome = self.do("start", "a", "1.0.0")
        self.assertEqual(outcome["refused"], [])
        self.assertIn("is rolled out: shadow 20 %, canary 5 %, canary 50 %", outcome["text"][0])
        self.assertEqual((self.state(), self.runs(), self.view()["candidate"]["version"]),
                         ("shadow", "2.0.0", "1.0.0"))  # fmt: skip
        self.do("promote")
        self.assertEqual(self.runs(), "1.0.0")
        self.bench.apply()
        self.assertEqual(self.runs(), "1.0.0")
        self.save("3.0.0")
        self.assertEqual((self.state(), self.view()["candidate"]["version"]), ("shadow", "3.0.0"))

    def test_abort(self) -> None:
        """
        It is over at once, and the version does not begin again until somebody says so.
        """
        self.save("2.0.0")
        self.do("abort")
        self.bench.apply()
        self.assertEqual((self.state(), self.trialIds()), ("aborted", []))
        self.do("start")
        self.assertEqual(self.state(), "shadow")

    def test_step(self) -> None:
        """
        One step after the other, whatever was seen.
        """
        self.save("2.0.0")
        seen = [self.view()["step"]["index"]]
        for _ in range(2):
            self.do("step")
            seen.append(self.view()["step"]["index"])
        self.do("step")
        self.assertEqual((seen, self.state(), self.runs()), ([1, 2, 3], "promoted", "2.0.0"))

    def test_stepFrom(self) -> None:
        """
        Who says which step is to end has no other ended: it may have gone on by itself a moment before.
        """
        self.save("2.0.0")
        self.do("step", "a", 1)
        self.assertEqual(self.view()["step"]["index"], 2)
        told = str(self.failureResultOf(
            self.bench.later(self.rollouts.step(Asker(), "a", 1)), CommandError).value)  # fmt: skip
        self.assertRegex(told, r"^a is not in step 1: 2\.0\.0 .* is in canary 5 %, step 2 of 3; after that, canary 50")
        self.do("step", "a", 2)
        told = str(self.failureResultOf(
            self.bench.later(self.rollouts.step(Asker(), "a", 2)), CommandError).value)  # fmt: skip
        self.assertIn("after that, it serves all: `revproxy rollout a step --from 3`", told)
        self.assertEqual((self.state(), self.runs()), ("canary", "1.0.0"))

    def test_pin(self) -> None:
        """
        Who pins what runs ends it; who pins what is on trial has it run.
        """
        self.save("2.0.0")
        self.bench.result(self.bench.control.steering.pin(Asker(), "a"))
        self.assertEqual((self.state(), self.runs()), ("aborted", "1.0.0"))
        self.bench.result(self.bench.control.steering.unpin(Asker(), "a"))
        self.settle()
        self.assertEqual(self.state(), "shadow")
        self.bench.result(self.bench.control.steering.pin(Asker(), "a", "2.0.0"))
        self.assertEqual((self.state(), self.runs()), ("promoted", "2.0.0"))

    def test_disable(self) -> None:
        """
        Who switches it off ends it.
        """
        self.save("2.0.0")
        self.bench.result(self.bench.control.steering.disable(Asker(), "a"))
        self.assertEqual((self.state(), self.runs(), self.trialIds()), ("aborted", "", []))

    def test_rollback(self) -> None:
        """
        Who goes back ends it; what was on trial is no version to go back to.
        """
        self.save("2.0.0")
        self.do("promote")
        self.save("3.0.0")
        self.bench.result(self.bench.control.steering.rollback(Asker(), "a"))
        self.assertEqual((self.state(), self.runs()), ("aborted", "1.0.0"))

    def test_rollbackOfTheFirst(self) -> None:
        """
        Also where nothing ran before what runs: that runs on, and its rollout is over; it does not begin by itself.
        """
        self.save("2.0.0")
        told = self.bench.result(self.bench.control.steering.rollback(Asker(), "a"))
        self.assertEqual((self.state(), self.runs(), told["refused"]), ("aborted", "1.0.0", []))
        self.bench.apply()
        self.settle()
        self.assertEqual(self.state(), "aborted")
        self.assertRaises(CommandError, self.bench.result, self.bench.control.steering.rollback(Asker(), "a"))
        self.save("3.0.0")
        self.assertEqual(self.state(), "shadow")


class ErrorTests(RolloutCase):
    """
    What cannot be done is said, with what can be.
    """

    def refused(self, command: str, *arguments: Any, name: str = "a") -> str:
        """The text."""
        return str(self.failureResultOf(self.bench.later(
            getattr(self.rollouts, command)(Asker(), name, *arguments)), CommandError).value)  # fmt: skip

    def test_nothing(self) -> None:
        """
        There is no such plugin, or nothing of it is rolled out.
        """
        self.assertIn("no plugin named", self.refused("abort", name="nobody"))
        for command in ("step", "hold", "resume", "promote", "abort"):
            self.assertIn("`revproxy rollout a start`", self.refused(command))
        self.assertRaises(NotThere, self.rollouts.view, "a")
        self.assertEqual(self.rollouts.views(), [])

    def test_start(self) -> None:
        """
        What cannot begin.
        """
        self.assertIn("runs already", self.refused("start"))
        self.assertIn("no such version", self.refused("start", "7.7"))
        self.bench.write("b", enabled=False)
        self.bench.apply()
        self.assertIn("runs nowhere", self.refused("start", name="b"))
        self.save("2.0.0")
        self.assertIn("is being rolled out", self.refused("start"))
        self.bench.result(self.bench.control.steering.pin(Asker(), "a"))
        self.assertIn("unpin", self.refused("start"))

    def test_dropIn(self) -> None:
        """
        What is installed with Python takes no steps; that is said also to who asks how it goes.
        """
        self.end()
        self.bench.dropins = (DropIn({"name": "d", "version": "1.0"}, lambda config: None),)
        self.begin()
        self.assertIn("come by pip", self.refused("start", name="d"))
        told = str(self.assertRaises(NotThere, self.rollouts.view, "d"))
        self.assertIn("come by pip", told)
        self.assertNotIn("start", told)

    def test_held(self) -> None:
        """
        What is not held does not go on; what is, is told so.
        """
        self.save("2.0.0")
        self.assertIn("not held", self.refused("resume"))
        self.do("hold")
        self.assertIn("resume", self.do("hold")["text"][0])

    def test_doesNotLoad(self) -> None:
        """
        Who starts a version that cannot be made ready is told why, and what runs keeps running.
        """
        self.save("2.0.0", code="raise RuntimeError('no')")
        self.do("start")
        self.assertEqual((self.state(), self.runs()), ("refused", "1.0.0"))
        self.save("3.0.0")
        self.assertEqual(self.state(), "shadow")


class ToldTests(RolloutCase):
    """
    Who did what is written down.
    """

    def test_history(self) -> None:
        """
        Each transition has its place in the line of time, with who made it, and why.
        """
        history = self.bench.control.history
        history.beginWithout()
        self.save("2.0.0")
        asker = Asker(Actor("http", "jane"), "I have seen enough")
        for command in ("hold", "resume", "step", "abort"):
            self.bench.result(getattr(self.rollouts, command)(asker, "a"))
            self.settle()
        entries = [(each["action"], each["actor"]["name"], each["reason"]) for each in history.entries]
        self.assertEqual([each for each in entries if each[0].startswith("rollout")], [
            ("rollout-start", "files", f"the folder of a has 2.0.0 ({self.view()['candidate']['digest'][:12]})"),
            ("rollout-step", "edge", "it is its turn"),
            *(("rollout-" + command, "jane", "I have seen enough") for command in ("hold", "resume", "step", "abort")),
        ])  # fmt: skip
        by = [(each["to"], each["by"]) for each in self.view()["transitions"]]
        self.assertEqual(by, [("waiting", "files"), ("shadow", "edge"), ("held", "jane"), ("shadow", "jane"),
                              ("canary", "jane"), ("aborted", "jane")])
        self.assertEqual({each["reason"] for each in self.view()["transitions"][2:]}, {"I have seen enough"})
        self.assertEqual([each["text"] for each in history.entries if each["action"].startswith("rollout")], [
            ["a 2.0.0: comes by steps: shadow 20 %, canary 5 %, canary 50 %"],
            ["a 2.0.0: in a shadow"],
            ["a 2.0.0: stays in its step"],
            ["a 2.0.0: goes on by what is seen"],
            ["a 2.0.0: in a canary"],
            ["a 2.0.0: aborted"],
        ])  # fmt: skip

    def test_ownPromotion(self) -> None:
        """
        That its candidate is what runs now is nothing that happened meanwhile.
        """
        self.save("2.0.0")
        self.do("promote")
        self.assertEqual((self.state(), self.view()["notes"]), ("promoted", []))
        self.assertNotIn("rollout-changed", self.kinds())

    def test_quarantine(self) -> None:
        """
        Failures of the candidate do not count against what runs, and the other way round.
        """
        self.save("2.0.0")
        self.do("step")
        candidate = self.driver.book.going[0].newcomer.candidates["a"].version
        for word in (Failures("a", candidate, 10, 10),):
            self.bench.control.inbox.receive(0, word)
        self.settle()
        self.assertEqual((self.state(), self.runs()), ("rolled-back", "1.0.0"))
        self.assertNotIn(("quarantined", "a"), self.bench.kinds())

    def test_quarantineOfWhatRuns(self) -> None:
        """
        What ran before it runs again, and stays: what the folder has was on trial against what is gone.
        """
        self.save("2.0.0")
        self.do("promote")
        self.save("3.0.0")
        self.do("step")
        self.fails()
        self.assertEqual((self.state(), self.runs(), self.trialIds()), ("aborted", "1.0.0", []))
        self.bench.apply()
        self.settle()
        self.assertEqual((self.state(), self.runs()), ("aborted", "1.0.0"))
        kinds = [kind for kind, _ in self.bench.kinds()]
        self.assertEqual((kinds.count("quarantined"), kinds.count("unpinned")), (1, 0))
        self.do("start")
        self.do("promote")
        self.assertEqual(self.runs(), "3.0.0")

    def test_quarantineAfterATrial(self) -> None:
        """
        So does it where what the folder has did not come through its steps, or was ended by somebody.
        """
        for end in (self.worse, lambda: self.do("abort")):
            with self.subTest(end=end):
                self.save("2.0.0")
                self.do("promote")
                self.save("3.0.0")
                self.do("step")
                end()
                self.fails()
                self.bench.apply()
                self.settle()
                self.assertEqual(self.runs(), "1.0.0")
                self.assertNotIn(("unpinned", "a"), self.bench.kinds())
                self.save("4.0.0")
                self.assertEqual((self.state(), self.runs()), ("shadow", "1.0.0"))
                self.end()
                self.setUp()

    def fails(self) -> None:
        """What runs does, too often."""
        plan = self.bench.coordinator.plan
        assert plan is not None
        self.bench.control.inbox.receive(0, Failures("a", plan.entries["a"].version, 10, 10))
        self.settle()

    def test_views(self) -> None:
        """
        What is told fits what the API says of it, whatever state it is in.
        """
        seen = []
        self.save("2.0.0")
        seen.append(self.view())
        self.do("step")
        self.tell(running=ArmCounts(100, times={3: 90, 7: 10}), candidate=ArmCounts(5, times={3: 5}))
        seen.append(self.view())
        self.worse()
        seen.append(self.view())
        for view in seen:
            validate(told(view), ROLLOUT)
            validate(summary(view), SUMMARY)
        self.assertEqual([view["state"] for view in seen], ["shadow", "canary", "rolled-back"])
        self.assertEqual(self.rollouts.views(), [seen[-1]])

    def test_versions(self) -> None:
        """
        Among the versions of its plugin it is told apart from those that ran.
        """
        self.save("2.0.0")
        self.do("abort")
        plugin = self.bench.result(self.bench.control.pluginView.one("a"))
        states = [(each["version"], each["trial"] and each["trial"]["state"]) for each in plugin["versions"]]
        self.assertEqual(states, [("1.0.0", None), ("2.0.0", "aborted")])
        for _ in range(2):  # at once, and when the files were read again
            plugin = self.bench.result(self.bench.control.pluginView.one("a"))
            self.assertEqual((plugin["state"], plugin["version"]), ("running", "1.0.0"))
            self.assertEqual((plugin["failure"]["stage"], plugin["failure"]["version"]), ("rollout", "2.0.0"))
            self.bench.apply()

    def test_plan(self) -> None:
        """
        Beforehand it is told how long it would take, and what it could not show.
        """
        self.bench.write("a", version="2.0.0", code="# ILifecycle\nrate_limit or respond(429)")
        self.bench.apply()
        self.settle()
        found = self.bench.result(self.rollouts.plan("a"))
        validate(found, FORECAST)
        self.assertEqual((found["candidate"]["version"], len(found["steps"]), found["rate"]), ("2.0.0", 3, 0.0))
        self.assertEqual(len(found["warnings"]), 2)
        self.assertEqual(self.kinds()[-1], "rollout-refused")
