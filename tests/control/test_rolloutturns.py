"""
Rollouts while changes wait for each other: what comes in between, and what comes twice.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from revproxy.control.commands import CommandError
from revproxy.control.steering import Asker
from revproxy.plan.evidence import ArmCounts
from tests.control.rolloutcase import RolloutCase


class TurnsTests(RolloutCase):
    """
    Somebody else has the turn.
    """

    steps = "[{canary: 5%, at_least: 5s, at_most: 20s}, {canary: 50%, at_least: 5s, at_most: 20s}]"

    def setUp(self) -> None:
        super().setUp()
        self.save("2.0.0")

    def busy(self) -> None:
        """Both arms have requests."""
        self.tell(running=ArmCounts(100), candidate=ArmCounts(5))

    def taken(self) -> Deferred[None]:
        """A change is under way until this fires."""
        under: Deferred[None] = Deferred()

        async def work() -> None:
            await under

        self.bench.later(self.bench.coordinator.turns.take(work()))
        return under

    def ask(self, command: str) -> list[Any]:
        """A command that waits. :returns: what came of it, once that is known."""
        found: list[Any] = []
        self.bench.later(getattr(self.rollouts, command)(Asker(), "a")).addBoth(found.append)
        return found

    def refusals(self) -> list[tuple[str, str]]:
        """Events that something was refused."""
        return [each for each in self.bench.kinds() if each[0] == "refused"]

    def test_itsOwnEndIsNothingElse(self) -> None:
        """
        What it comes to is not what happens meanwhile.
        """
        self.do("promote")
        self.assertEqual((self.state(), self.view()["notes"]), ("promoted", []))
        self.assertNotIn("rollout-changed", self.kinds())

    def test_worseWhileItIsAboutToServeAll(self) -> None:
        """
        It goes back: that goes before what somebody wants, who is told so.
        """
        under = self.taken()
        promoting = self.ask("promote")
        self.worse()
        under.callback(None)
        self.settle()
        self.assertEqual((self.state(), self.runs()), ("rolled-back", "1.0.0"))
        self.assertIn("over", str(promoting[0]["refused"]))

    def test_worseWhileItsNextStepWaits(self) -> None:
        """
        It goes back, and its next step is nothing that was refused.
        """
        under = self.taken()
        self.busy()
        self.pass_(6)
        self.worse()
        under.callback(None)
        self.settle()
        self.assertEqual((self.state(), self.runs(), self.trialIds()), ("rolled-back", "1.0.0", []))
        self.assertEqual(self.refusals(), [])

    def test_newerWhileItsNextStepWaits(self) -> None:
        """
        The newer one takes its place; the step that waited is nothing that was refused.
        """
        under = self.taken()
        self.bench.write("a", version="3.0.0")
        self.bench.later(self.bench.coordinator.apply())
        self.busy()
        self.pass_(6)
        under.callback(None)
        self.settle()
        self.assertEqual((self.view()["candidate"]["version"], self.state()), ("3.0.0", "canary"))
        self.assertEqual(self.refusals(), [])

    def test_heldWhileItsNextStepWaits(self) -> None:
        """
        Who holds it does not lose that to a step that came first.
        """
        under = self.taken()
        self.busy()
        self.pass_(6)
        self.do("hold")
        under.callback(None)
        self.settle()
        self.assertEqual((self.view()["step"]["index"], self.view()["held"]), (2, True))
        self.busy()
        self.pass_(10)
        self.assertEqual(self.state(), "canary")

    def test_heldWhileItIsAboutToServeAll(self) -> None:
        """
        Who wants to hold it is told that it is too late for that, and what can be done.
        """
        self.do("step")
        under = self.taken()
        self.busy()
        self.pass_(6)
        holding = self.ask("hold")
        self.assertIn("`revproxy rollout a abort`", str(holding[0].value))
        under.callback(None)
        self.settle()
        self.assertEqual(self.state(), "promoted")

    def test_heldAndLedOn(self) -> None:
        """
        Who has it come to its next step has it go on from there.
        """
        self.do("hold")
        self.do("step")
        self.assertEqual((self.view()["step"]["index"], self.view()["held"]), (2, False))

    def test_stepTwice(self) -> None:
        """
        Two at once are one.
        """
        under = self.taken()
        first = self.ask("step")
        second = self.ask("step")
        under.callback(None)
        self.settle()
        self.assertEqual(self.view()["step"]["index"], 2)
        self.assertEqual(first[0]["refused"], [])
        self.assertIsInstance(second[0].value, CommandError)

    def test_abortTwice(self) -> None:
        """
        The second is told that it is over.
        """
        under = self.taken()
        first, second = self.ask("abort"), self.ask("abort")
        under.callback(None)
        self.settle()
        self.assertEqual(self.state(), "aborted")
        self.assertEqual(first[0]["refused"], [])
        self.assertIn("over", str(second[0]["refused"]))

    def test_quarantineAndJudgeAtOnce(self) -> None:
        """
        It goes back once.
        """
        under = self.taken()
        candidate = self.driver.book.going[0].newcomer.candidates["a"]
        self.worse()
        self.driver.tripped("a", candidate.version, "5 of 10 calls failed")
        under.callback(None)
        self.settle()
        self.assertEqual(self.kinds().count("rollout-rolled-back"), 1)
        self.assertEqual(self.refusals(), [])



class TogetherTests(RolloutCase):
    """
    Two candidates that go with what runs, and not with each other.
    """

    steps = "[{canary: 5%, until: {fault: 1%}, at_most: 9m}]"

    def setUp(self) -> None:
        super().setUp()
        self.save("1.0.0", "b")
        self.save("2.0.0", after=["b"])
        self.save("2.0.0", "b", after=["a"])

    def test_laterWaits(self) -> None:
        """
        It is told why it does not begin, and begins by itself once the other is over.
        """
        self.assertEqual((self.state("a"), self.state("b"), len(self.trialIds())), ("canary", "waiting", 1))
        self.assertTrue(self.view("b")["held"])
        told = [event.text for event in self.bench.events.latest(100) if event.kind == "rollout-held"]
        self.assertIn("a 2.0.0", told[0])
        self.assertNotIn("refused", [kind for kind, _ in self.bench.kinds()])
        self.do("abort")
        self.assertEqual((self.state("a"), self.state("b")), ("aborted", "canary"))
        self.assertFalse(self.view("b")["held"])

    def test_otherComesThrough(self) -> None:
        """
        Then what waited does not go with what runs: it is refused.
        """
        self.do("promote")
        self.assertEqual((self.runs("a"), self.state("b")), ("2.0.0", "refused"))
