"""
Rollouts over a real edge without a reactor: a folder, changes, commands, and what workers tell of versions on trial.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jsonschema import validate
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from revproxy.admin.operations.rolloutshapes import FORECAST, ROLLOUT, SUMMARY, summary, told
from revproxy.control.actor import Actor
from revproxy.control.commands import CommandError, NotThere
from revproxy.control.rollout.preflight import PreflightReport
from revproxy.control.steering import Asker
from revproxy.plan.evidence import ArmCounts, Fingerprint, TrialEvidence
from revproxy.plan.words import Evidence, Failures
from tests.coordinators import PLUGIN, Bench

STEPS = "[{shadow: 20%, until: {pairs: 30}}, " \
        "{canary: 5%, until: {fault: 1%}, at_most: 60s}, {canary: 50%, at_most: 9s}]"


def policy(steps: str = STEPS, more: str = "") -> str:
    """A section of the configuration: what is saved takes these steps."""
    return f"plugins: {{directory: plugins, rollout: {{default: {{steps: {steps}{more}}}}}}}"


class RolloutCase(SynchronousTestCase):
    """
    An edge on which a 1.0.0 runs, and all that is saved takes steps.
    """

    steps = STEPS
    more = ""

    def setUp(self) -> None:
        self.bench = Bench(Path(self.mktemp()), extra=policy(self.steps, self.more))
        self.bench.write("a")
        self.begin()
        self.addCleanup(self.end)

    def begin(self) -> None:
        """As a process does."""
        self.bench.start()
        self.rollouts = self.bench.control.rollouts
        self.driver = self.bench.control.rolloutDriver

    def end(self) -> None:
        """So."""
        self.bench.control.stop()
        self.bench.stop()

    def restart(self) -> None:
        """The edge ends, and another one begins."""
        self.bench.control.stop()
        self.bench.result(self.bench.control.end())
        self.bench.stop()
        self.begin()

    def save(self, version: str, name: str = "a", **more: Any) -> None:
        """A new version is saved."""
        self.bench.write(name, version=version, **more)
        self.bench.apply()
        self.settle()

    def settle(self) -> None:
        """What was begun comes to its end."""
        for _ in range(3):
            self.bench.clock.advance(0.01)

    def pass_(self, seconds: int) -> None:
        """So many seconds, one after the other."""
        for _ in range(seconds):
            self.bench.clock.advance(1.0)

    def view(self, name: str = "a") -> dict[str, Any]:
        """What is told of it."""
        return self.rollouts.view(name)

    def state(self, name: str = "a") -> str:
        """In a word."""
        return str(self.view(name)["state"])

    def do(self, command: str, name: str = "a", *arguments: Any) -> dict[str, Any]:
        """A command."""
        outcome = self.bench.result(getattr(self.rollouts, command)(Asker(), name, *arguments))
        self.settle()
        return dict(outcome)

    def runs(self, name: str = "a") -> str:
        """Which version does."""
        plan = self.bench.coordinator.plan
        assert plan is not None
        found = plan.find(name)
        return "" if found is None else found.entry.version.number

    def trialIds(self) -> list[str]:
        """Those that workers take part in."""
        plan = self.bench.coordinator.plan
        assert plan is not None
        return [trial.id for trial in plan.trials]

    def tell(self, name: str = "a", **evidence: Any) -> None:
        """A worker tells something of the trial of a plugin."""
        rollout = self.driver.book.find(name)
        assert rollout is not None
        now = self.bench.clock.seconds()
        self.driver.heard(0, Evidence(now, (TrialEvidence(rollout.id, **evidence),)))
        self.settle()

    def worse(self, name: str = "a") -> None:
        """The candidate raises something new for three clients."""
        prints = tuple(Fingerprint(bucket, True, "KeyError", "plugin.py", "handle") for bucket in (1, 2, 3))
        counts = ArmCounts(10, faults=3)
        self.tell(name, running=ArmCounts(100), candidate=counts, fingerprints=prints)

    def kinds(self) -> list[str]:
        """Of the events about rollouts."""
        return [kind for kind, _ in self.bench.kinds() if kind.startswith("rollout")]


class FolderTests(RolloutCase):
    """
    What is saved takes steps.
    """

    def test_begins(self) -> None:
        """
        What runs stays, and the new version begins its steps; the first of them needs nobody.
        """
        self.save("2.0.0")
        self.assertEqual((self.runs(), self.state()), ("1.0.0", "shadow"))
        self.assertEqual(self.kinds(), ["rollout-started", "rollout-step"])
        plan = self.bench.coordinator.plan
        assert plan is not None
        (trial,), (arm,) = plan.trials, plan.arms
        candidate = arm.find("a")
        assert candidate is not None
        self.assertEqual((trial.stage, trial.sampled, candidate.entry.version.number), ("shadow", 0.2, "2.0.0"))
        self.assertEqual(trial.canary.count(0), 512)

    def test_reported(self) -> None:
        """
        Whoever has the files read is told that it comes by steps.
        """
        self.bench.write("a", version="2.0.0")
        report = self.bench.apply()
        self.assertEqual(report.text, ("a: 2.0.0 ({}) comes by steps: `revproxy rollout a` shows them".format(
            self.view()["candidate"]["digest"][:12]),))  # fmt: skip

    def test_firstLoad(self) -> None:
        """
        A plugin of which nothing runs comes at once.
        """
        self.save("1.0.0", "b")
        self.assertEqual((self.runs("b"), self.kinds()), ("1.0.0", []))

    def test_again(self) -> None:
        """
        Reading the same files once more changes nothing.
        """
        self.save("2.0.0")
        plan = self.bench.coordinator.plan
        self.bench.apply()
        self.assertIs(self.bench.coordinator.plan, plan)
        self.assertEqual(len(self.rollouts.views()), 1)

    def test_back(self) -> None:
        """
        When the folder has what runs again, that is the end; and the same version begins anew when it comes back.
        """
        self.save("2.0.0")
        self.save("1.0.0")
        self.assertEqual((self.state(), self.trialIds()), ("aborted", []))
        self.save("2.0.0")
        self.assertEqual(self.state(), "shadow")

    def test_gone(self) -> None:
        """
        With its folder the plugin leaves, and its rollout is over.
        """
        self.save("2.0.0")
        for path in (self.bench.plugins / "a").iterdir():
            path.unlink()
        (self.bench.plugins / "a").rmdir()
        self.bench.apply()
        self.assertEqual((self.state(), self.runs(), self.trialIds()), ("aborted", "", []))

    def test_newer(self) -> None:
        """
        A newer version takes the place of the one on trial.
        """
        self.save("2.0.0")
        self.save("3.0.0")
        self.assertEqual((self.view()["candidate"]["version"], self.state()), ("3.0.0", "shadow"))
        self.assertIn("rollout-superseded", self.kinds())
        self.assertEqual(len(self.trialIds()), 1)

    def test_brokenFolder(self) -> None:
        """
        While its folder cannot be read, it goes on.
        """
        self.save("2.0.0")
        (self.bench.plugins / "a" / "plugin.json").write_text("{")
        self.bench.apply()
        self.assertEqual(self.state(), "shadow")

    def test_configurationOnly(self) -> None:
        """
        Another configuration in plugin.json comes at once, where nothing else is asked for.
        """
        self.save("1.0.0", config={"x": 1})
        self.assertEqual(self.kinds(), [])

    def test_doesNotLoad(self) -> None:
        """
        A version that cannot be made is refused; what runs keeps running, and it is not tried again.
        """
        self.save("2.0.0", code="raise RuntimeError('no')")
        self.assertEqual((self.state(), self.runs(), self.trialIds()), ("refused", "1.0.0", []))
        self.assertIn("no", self.bench.failure("a"))
        count = len(self.kinds())
        self.bench.apply()
        self.assertEqual(len(self.kinds()), count)

    def test_seen(self) -> None:
        """
        Requests go through what runs.
        """
        self.save("2.0.0")
        self.assertEqual(self.bench.seen(), ["a 1.0.0"])


class RefuseTests(RolloutCase):
    """
    A newer version waits until the one on trial is through.
    """

    more = ", on_newer: refuse"

    def test_waits(self) -> None:
        """
        It is told so, and begins by itself after that.
        """
        self.save("2.0.0")
        self.save("3.0.0")
        self.assertEqual(self.view()["candidate"]["version"], "2.0.0")
        self.assertIn("on_newer", self.bench.failure("a"))
        self.do("abort")
        self.assertEqual((self.view()["candidate"]["version"], self.state()), ("3.0.0", "shadow"))


class VerdictTests(RolloutCase):
    """
    What workers tell leads it on, or back.
    """

    steps = "[{canary: 5%, at_least: 5s, at_most: 20s}, {canary: 50%, at_least: 5s, at_most: 20s}]"

    def setUp(self) -> None:
        super().setUp()
        self.save("2.0.0")

    def busy(self) -> None:
        """Both arms have requests."""
        self.tell(running=ArmCounts(100), candidate=ArmCounts(5))

    def test_worse(self) -> None:
        """
        A candidate that is worse goes back at once, and is not tried again by itself: it is said why, and what to type.
        """
        self.worse()
        self.assertEqual((self.state(), self.runs(), self.trialIds()), ("rolled-back", "1.0.0", []))
        self.bench.apply()
        self.assertEqual(self.state(), "rolled-back")
        self.assertIn("`revproxy rollout a start`", self.bench.failure("a"))
        record = self.bench.coordinator.records.get("a")
        self.assertEqual([known.trial.state for known in record.versions if known.trial], ["rolled-back"])

    def test_through(self) -> None:
        """
        One that is not comes to its next step, which has all clients of the one before, and runs after the last.
        """
        plan = self.bench.coordinator.plan
        assert plan is not None
        first = plan.trials[0].canary
        self.busy()
        self.pass_(6)
        plan = self.bench.coordinator.plan
        assert plan is not None
        second = plan.trials[0].canary
        self.assertEqual([(few & many) for few, many in zip(first, second, strict=True)], list(first))
        self.assertEqual([bits.bit_count() for bits in (int.from_bytes(first), int.from_bytes(second))], [205, 2048])
        self.busy()
        self.pass_(6)
        self.assertEqual((self.state(), self.runs(), self.trialIds()), ("promoted", "2.0.0", []))
        self.assertEqual(self.bench.seen(), ["a 2.0.0"])
        self.bench.apply()
        self.assertEqual((self.state(), self.runs()), ("promoted", "2.0.0"))

    def test_nobody(self) -> None:
        """
        That nobody comes is no success: it stays, and somebody is told.
        """
        self.pass_(30)
        view = self.view()
        self.assertEqual((view["state"], view["held"], view["verdict"]["kind"]), ("canary", True, "no-traffic"))
        self.assertIn("rollout-inconclusive", self.kinds())

    def test_heldGoesBack(self) -> None:
        """
        One that is held still goes back.
        """
        self.do("hold")
        self.worse()
        self.assertEqual(self.state(), "rolled-back")

    def test_held(self) -> None:
        """
        One that is held does not go on, until somebody says so; its step begins anew then.
        """
        self.do("hold")
        self.busy()
        self.pass_(30)
        self.assertEqual((self.view()["step"]["index"], self.view()["held"]), (1, True))
        self.do("resume")
        self.pass_(6)
        self.assertEqual(self.view()["step"]["index"], 2)

    def test_quarantine(self) -> None:
        """
        One that would be taken out, were it what runs, goes back.
        """
        candidate = self.driver.book.going[0].newcomer.candidates["a"]
        self.driver.tripped("a", candidate.version, "5 of 10 calls failed")
        self.settle()
        self.assertEqual((self.state(), self.view()["transitions"][-1]["reason"]),
                         ("rolled-back", "5 of 10 calls failed"))  # fmt: skip

    def test_annotated(self) -> None:
        """
        What else changes is noted, and the rollout goes on.
        """
        self.save("1.0.0", "b")
        self.assertEqual([note["text"].split(" (")[0] for note in self.view()["notes"]], ["b: 1.0.0"])
        self.assertEqual(self.state(), "canary")
        self.assertIn("rollout-changed", self.kinds())


class InconclusiveTests(RolloutCase):
    """
    What becomes of one that shows nothing is said.
    """

    steps = "[{canary: 5%, until: {fault: 1%}, at_most: 5s}]"
    more = ", on_inconclusive: promote"

    def test_promote(self) -> None:
        """
        It goes on if there was something to see, and never else.
        """
        self.save("2.0.0")
        self.pass_(10)
        self.assertEqual((self.state(), self.view()["held"]), ("canary", True))
        self.do("resume")
        self.tell(running=ArmCounts(100), candidate=ArmCounts(5))
        self.pass_(10)
        self.assertEqual(self.state(), "promoted")


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
        self.assertEqual(by, [("waiting", "files"), ("shadow", "edge"), ("canary", "jane"), ("aborted", "jane")])

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
        self.assertEqual((plugin["state"], plugin["failure"]), ("running", None))
        self.bench.apply()
        plugin = self.bench.result(self.bench.control.pluginView.one("a"))
        self.assertEqual((plugin["version"], plugin["failure"]["stage"], plugin["failure"]["version"]),
                         ("1.0.0", "rollout", "2.0.0"))  # fmt: skip

    def test_plan(self) -> None:
        """
        Beforehand it is told how long it would take, and what it could not show.
        """
        self.bench.write("a", version="2.0.0", code="# ILifecycle, rate limit\nraise RuntimeError")
        self.bench.apply()
        self.settle()
        found = self.bench.result(self.rollouts.plan("a"))
        validate(found, FORECAST)
        self.assertEqual((found["candidate"]["version"], len(found["steps"]), found["rate"]), ("2.0.0", 3, 0.0))
        self.assertEqual(len(found["warnings"]), 2)
        self.assertEqual(self.kinds()[-1], "rollout-refused")


class SeveralTests(RolloutCase):
    """
    Several at a time.
    """

    def setUp(self) -> None:
        super().setUp()
        for name in "bcd":
            self.save("1.0.0", name)

    def test_waiting(self) -> None:
        """
        Three at a time; what comes besides waits until one of them is over.
        """
        for name in "abcd":
            self.bench.write(name, version="2.0.0")
        self.bench.apply()
        self.settle()
        self.assertEqual([self.state(name) for name in "abcd"], ["shadow", "shadow", "shadow", "waiting"])
        self.do("abort", "b")
        self.assertEqual(self.state("d"), "shadow")

    def test_arms(self) -> None:
        """
        Clients can be in several canaries at once.
        """
        for name in "ab":
            self.save("2.0.0", name)
            self.do("step", name)
        plan = self.bench.coordinator.plan
        assert plan is not None
        one, other = self.trialIds()
        self.assertEqual([arm.trials for arm in plan.arms], [(one,), (other,), (one, other)])

    def test_tied(self) -> None:
        """
        Plugins of which one needs the other's new version roll out as one.
        """
        self.bench.write("a", version="2.0.0")
        self.bench.write("b", version="2.0.0", requires={"a": ">=2"})
        self.bench.apply()
        self.settle()
        self.assertEqual((self.view()["plugins"], self.view("b")["id"]), (["a", "b"], self.view()["id"]))
        self.do("promote", "b")
        self.assertEqual((self.runs("a"), self.runs("b")), ("2.0.0", "2.0.0"))


class RestartTests(RolloutCase):
    """
    The edge ends in the midst of a step.
    """

    def test_goesOn(self) -> None:
        """
        Everything is as it was: the step, who meets which version, what was seen.
        """
        self.save("2.0.0")
        self.do("step")
        self.tell(running=ArmCounts(100), candidate=ArmCounts(5))
        self.pass_(2)
        before, plan = self.view(), self.bench.coordinator.plan
        assert plan is not None
        self.restart()
        after, again = self.view(), self.bench.coordinator.plan
        assert again is not None
        self.assertEqual((self.runs(), after["id"], after["state"]), ("1.0.0", before["id"], "canary"))
        self.assertEqual((again.trials[0].canary, again.trials[0].salt), (plan.trials[0].canary, plan.trials[0].salt))
        self.assertEqual(after["arms"], before["arms"])
        self.assertEqual(after["transitions"], before["transitions"])
        self.worse()
        self.assertEqual(self.state(), "rolled-back")
        self.restart()
        self.assertEqual((self.state(), self.runs()), ("rolled-back", "1.0.0"))
        self.assertIn("rollout-rolled-back", [transition["to"] and f"rollout-{transition['to']}" for transition in
                                              self.view()["transitions"]])  # fmt: skip

    def test_newMeanwhile(self) -> None:
        """
        What was saved while no edge ran takes steps, too.
        """
        self.bench.control.stop()
        self.bench.result(self.bench.control.end())
        self.bench.stop()
        self.bench.write("a", version="2.0.0")
        self.begin()
        self.settle()
        self.assertEqual((self.runs(), self.state()), ("1.0.0", "shadow"))

    def test_candidateLost(self) -> None:
        """
        A candidate whose files are gone from everywhere cannot go on.
        """
        import shutil

        self.save("2.0.0")
        self.pass_(2)
        self.bench.control.stop()
        self.bench.result(self.bench.control.end())
        self.bench.stop()
        digest = self.view()["candidate"]["digest"]
        shutil.rmtree(self.bench.root / "var" / "versions" / "a" / digest)
        self.bench.write("a")
        self.begin()
        self.assertEqual((self.runs(), self.trialIds()), ("1.0.0", []))
        self.assertIn("rollout-aborted", self.kinds())


    def test_failsThen(self) -> None:
        """
        A candidate that cannot be made any more is refused, and the edge starts without it.
        """
        mark = self.bench.root / "fail"
        check = f"import os\nif os.path.exists({str(mark)!r}): raise RuntimeError('gone')\n"
        self.save("2.0.0", code=check + PLUGIN.format(name="a", says="a 2.0.0"))
        self.do("step")
        self.assertEqual(self.state(), "canary")
        mark.write_text("")
        self.restart()
        self.assertEqual((self.state(), self.runs(), self.trialIds()), ("refused", "1.0.0", []))


class ShareTests(RolloutCase):
    """
    A client sends most of the requests.
    """

    steps = "[{canary: 5%, until: {fault: 1%}, at_most: 9m}]"

    def test_told(self) -> None:
        """
        If it meets the candidate, that is told.
        """
        self.save("2.0.0")
        for _ in range(40):
            self.tell(running=ArmCounts(10), candidate=ArmCounts(10))
            self.pass_(1)
        self.assertEqual(self.kinds().count("rollout-share"), 1)
        self.assertIn("50% of the requests", self.view()["notes"][0]["text"])


class RevokedTests(RolloutCase):
    """
    Somebody revokes a version.
    """

    def setUp(self) -> None:
        self.bench = Bench(Path(self.mktemp()), extra=f"{policy()}\ntrust: {{mode: off, revoked: ./revoked}}")
        (self.bench.root / "revoked").write_text("")
        self.bench.write("a")
        self.begin()
        self.addCleanup(self.end)

    def test_candidate(self) -> None:
        """
        The one on trial serves nobody any more, and does not begin again; what runs goes on.
        """
        self.save("2.0.0")
        self.do("step")
        (self.bench.root / "revoked").write_text(f"sha256:{self.view()['candidate']['digest']}\n")
        for _ in range(2):
            self.bench.apply()
            self.assertEqual((self.state(), self.runs(), self.trialIds()), ("aborted", "1.0.0", []))
        self.assertIn("revoked", self.view()["transitions"][-1]["reason"])

    def test_running(self) -> None:
        """
        With what runs goes what the other one was held against: as ever, what the folder has takes its place.
        """
        self.save("2.0.0")
        (self.bench.root / "revoked").write_text(f"sha256:{self.view()['running']['digest']}\n")
        self.bench.apply()
        self.assertEqual((self.state(), self.trialIds(), self.runs()), ("aborted", [], "2.0.0"))


class LostTests(RolloutCase):
    """
    All folders go at once, as with a disk that is not mounted.
    """

    def test_goesOn(self) -> None:
        """
        Nothing is over by that.
        """
        self.save("2.0.0")
        self.bench.plugins.rename(self.bench.root / "elsewhere")
        self.bench.apply()
        self.assertEqual((self.state(), self.runs()), ("shadow", "1.0.0"))
        self.bench.plugins.mkdir()
        self.bench.apply()
        self.assertEqual((self.state(), self.runs()), ("shadow", "1.0.0"))


class PreflightTests(RolloutCase):
    """
    A version is looked at before it meets any request.
    """

    steps = "[preflight, {shadow: 20%, until: {pairs: 30}}]"

    def setUp(self) -> None:
        super().setUp()
        self.waiting: list[Deferred[PreflightReport]] = []
        self.asked: list[Any] = []
        self.cancelled = 0
        self.driver.preflight = self

    def run(self, candidate: Any = None, step: Any = None, expect: Any = (), running: Any = None) -> Any:
        """Of the pre-flight; or of the test."""
        if not hasattr(candidate, "entry"):
            return super().run(candidate)
        self.asked.append((candidate.entry.version.number, step.kind, running.entry.version.number))

        def cancelled(_: Any) -> None:
            self.cancelled += 1

        self.waiting.append(Deferred(cancelled))
        return self.waiting[-1]

    def test_passes(self) -> None:
        """
        It goes on once it has passed.
        """
        self.save("2.0.0")
        self.assertEqual((self.state(), self.trialIds()), ("preflight", []))
        self.assertEqual(self.asked, [("2.0.0", "preflight", "1.0.0")])
        self.waiting[0].callback(PreflightReport(tests=4))
        self.settle()
        self.assertEqual(self.state(), "shadow")
        self.assertIn("4 tests", self.view()["transitions"][-1]["reason"])

    def test_fails(self) -> None:
        """
        It is refused if it has not, and does not begin again by itself.
        """
        self.save("2.0.0")
        self.waiting[0].callback(PreflightReport(("test_a: it is wrong",)))
        self.settle()
        self.assertEqual(self.state(), "refused")
        self.bench.apply()
        self.assertEqual((self.state(), len(self.asked)), ("refused", 1))
        self.assertIn("test_a: it is wrong", self.bench.failure("a"))

    def test_ended(self) -> None:
        """
        Its end ends what was under way.
        """
        self.save("2.0.0")
        self.do("abort")
        self.assertEqual((self.state(), self.cancelled), ("aborted", 1))

    def test_step(self) -> None:
        """
        Who does not want to wait for it goes on.
        """
        self.save("2.0.0")
        self.do("step")
        self.assertEqual((self.state(), self.cancelled), ("shadow", 1))

    def test_restart(self) -> None:
        """
        After a restart it is looked at once more.
        """
        self.save("2.0.0")
        self.bench.control.stop()
        self.bench.result(self.bench.control.end())
        self.bench.stop()
        self.bench.prepare()
        self.rollouts, self.driver = self.bench.control.rollouts, self.bench.control.rolloutDriver
        self.driver.preflight = self
        self.bench.result(self.bench.control.startup.begin())
        self.assertEqual((self.state(), len(self.asked)), ("preflight", 2))


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
