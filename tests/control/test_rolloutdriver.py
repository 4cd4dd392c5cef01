"""
Rollouts over a real edge without a reactor: a folder, changes, commands, and what workers tell of versions on trial.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from revproxy.control.changes import ChangeRefused, ChangeReport, ChangeRequest
from revproxy.control.rollout.preflight import PreflightReport
from revproxy.control.rolloutdriver import BY_EDGE
from revproxy.plan.evidence import ArmCounts, DifferenceCount, TrialPairs
from revproxy.plan.refusal import Refusal
from revproxy.plan.words import Evidence
from tests.control.rolloutcase import RolloutCase, policy
from tests.coordinators import PLUGIN, Bench


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

    def test_triedAgain(self) -> None:
        """
        Where it cannot go back at once, that is tried again each second, and noted once.
        """
        candidate = self.driver.book.going[0].newcomer.candidates["a"]
        coordinator, remaining = self.bench.coordinator, [2]
        apply = coordinator.apply

        async def refuses(request: ChangeRequest) -> ChangeReport:
            if request.action == "rollout-roll-back" and remaining[0]:
                remaining[0] -= 1
                raise ChangeRefused(Refusal("", "files", "the disk says nothing"))
            return await apply(request)

        self.patch(coordinator, "apply", refuses)
        self.driver.tripped("a", candidate.version, "5 of 10 calls failed")
        self.settle()
        self.assertEqual(self.state(), "canary")
        for _ in range(3):
            self.bench.clock.advance(1.0)
            self.settle()
        self.assertEqual((self.state(), remaining), ("rolled-back", [0]))
        self.assertEqual(self.view()["transitions"][-1]["reason"], "5 of 10 calls failed")
        self.assertEqual(len([note for note in self.view()["notes"] if "could not go back" in note["text"]]), 1)

    def test_annotated(self) -> None:
        """
        What else changes is noted, and the rollout goes on.
        """
        self.save("1.0.0", "b")
        self.assertEqual([note["text"].split(" (")[0] for note in self.view()["notes"]], ["b: 1.0.0"])
        self.assertEqual(self.state(), "canary")
        self.assertIn("rollout-changed", self.kinds())

    def test_ownEndIsNotMeanwhile(self) -> None:
        """
        That it serves all is what has become of it, and nothing that happened beside it; to others it is.
        """
        self.save("1.0.0", "b")
        self.save("2.0.0", "b")
        before = len(self.view()["notes"])
        self.do("promote")
        self.assertEqual(len(self.view()["notes"]), before)
        self.assertIn("a: 1.0.0", self.view("b")["notes"][-1]["text"])


class SeenTests(RolloutCase):
    """
    A shadow has shown that something differs, if not often enough to decide.
    """

    steps = "[{shadow: 20%, until: {pairs: 30}}, {canary: 5%, shadow: 20%, at_most: 60s}]"

    def differ(self, times: int, isReversed: bool = False) -> None:
        """The candidate alone does, in so many pairs."""
        rollout = self.driver.book.find("a")
        assert rollout is not None
        found = (DifferenceCount("header:x-a", "changed", times, 0, 0),)
        pairs = TrialPairs(rollout.id, isReversed, compared=times, differences=found)
        self.driver.heard(0, Evidence(self.bench.clock.seconds(), (), (pairs,)))
        self.pass_(1)

    def test_steppedPast(self) -> None:
        """
        Whoever steps past it has seen it: the canary's shadow does not hold the rollout for the same once more.
        """
        self.save("2.0.0")
        self.differ(5)
        self.do("step")
        self.assertTrue(self.view()["differences"][0]["accepted"])
        self.differ(40, isReversed=True)
        self.assertEqual((self.state(), self.view()["held"]), ("canary", False))

    def test_cameByItself(self) -> None:
        """
        Where it came into its canary by itself, nobody has: it is held.
        """
        self.save("2.0.0")
        self.differ(1)
        rollout = self.driver.book.find("a")
        assert rollout is not None
        self.bench.result(self.driver.goOn(rollout, "enough", BY_EDGE))
        self.differ(40, isReversed=True)
        self.assertEqual((self.state(), self.view()["held"]), ("canary", True))


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
        self.assertIn("until another rollout is over", self.view("d")["verdict"]["reason"])
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

    def test_start(self) -> None:
        """
        Whoever starts it all the same is told why that cannot be.
        """
        self.save("2.0.0")
        (self.bench.root / "revoked").write_text(f"sha256:{self.view()['candidate']['digest']}\n")
        self.bench.apply()
        (refused,) = self.do("start")["refused"]
        self.assertIn("was revoked", refused["message"])
        self.assertEqual((self.state(), self.runs()), ("aborted", "1.0.0"))

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
        self.driver.checks.preflight = self

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

    def test_behind(self) -> None:
        """
        What requires a version that is on trial waits for the end of that, and then takes its steps.
        """
        self.save("1.0.0", "b")
        self.save("2.0.0")
        self.save("2.0.0", "b", requires={"a": ">=2"})
        self.assertEqual((self.state("b"), self.view("b")["held"]), ("preflight", True))
        self.assertIn("a 2.0.0", self.view("b")["transitions"][-1]["reason"])
        self.do("promote")
        self.waiting[-1].callback(PreflightReport())
        self.settle()
        self.assertEqual((self.state("b"), self.view("b")["held"]), ("shadow", False))

    def test_behindInVain(self) -> None:
        """
        Where that does not come to run, it is refused.
        """
        self.save("1.0.0", "b")
        self.save("2.0.0")
        self.save("2.0.0", "b", requires={"a": ">=2"})
        self.do("abort")
        self.settle()
        self.assertEqual((self.state("b"), self.runs("b")), ("refused", "1.0.0"))

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
        self.driver.checks.preflight = self
        self.bench.result(self.bench.control.startup.begin())
        self.assertEqual((self.state(), len(self.asked)), ("preflight", 2))
