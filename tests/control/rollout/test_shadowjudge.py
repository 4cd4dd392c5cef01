"""
``revproxy.control.rollout.shadowjudge``, with ``differencegroup``.
"""

from __future__ import annotations

import random

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.rolloutpolicy import Expectation
from revproxy.control.rollout.differencegroup import pairsNeeded, weight
from revproxy.control.rollout.findings import SHADOW_THRESHOLD
from revproxy.control.rollout.shadowjudge import GROUPS, SavedShadow, ShadowJudge
from revproxy.plan.evidence import DifferenceCount, TrialPairs


def pairs(
    *differences: DifferenceCount, compared: int = 100, isReversed: bool = False, slower: int = 0, faster: int = 0
) -> TrialPairs:
    """
    What a worker tells.
    """
    times = (slower,) * 3, (faster,) * 3
    return TrialPairs("t", isReversed, compared, differences=differences, slower=times[0], faster=times[1])


def header(
    candidate: int, control: int = 0, both: int = 0, name: str = "x-a", kind: str = "changed"
) -> DifferenceCount:
    """
    A header that differs.
    """
    return DifferenceCount(f"header:{name}", kind, candidate, control, both, (("GET /", "1", "2"),))


class ShadowJudgeTests(SynchronousTestCase):
    """
    ``ShadowJudge``.
    """

    def decides(self, judge: ShadowJudge) -> bool:
        """
        Whether a difference does.
        """
        worst = judge.worst()
        return worst is not None and worst.odds >= SHADOW_THRESHOLD

    def test_differenceOfTheCandidateAloneDecides(self) -> None:
        """
        After a dozen pairs of which the control does not differ in any.
        """
        needed = pairsNeeded()
        self.assertEqual(needed, 12)
        judge = ShadowJudge()
        judge.compared(pairs(header(needed - 1)))
        self.assertFalse(self.decides(judge))
        judge.compared(pairs(header(1)))
        self.assertTrue(self.decides(judge))

    def test_noiseThatMeetsBothDoesNot(self) -> None:
        """
        A request's random id differs as often in the running version's second answer.
        """
        judge = ShadowJudge()
        judge.compared(pairs(header(500, 500, 9000)))
        self.assertFalse(self.decides(judge))
        self.assertTrue(judge.differences()[0].isNoise)

    def test_noisyFieldThatTheCandidateMakesWorse(self) -> None:
        """
        Twice as often is found, and is no noise.
        """
        judge = ShadowJudge()
        judge.compared(pairs(header(200, 100)))
        self.assertTrue(self.decides(judge))
        self.assertFalse(judge.differences()[0].isNoise)

    def test_differenceOfTheControlAloneIsNotTheCandidates(self) -> None:
        """
        The sign is looked at.
        """
        judge = ShadowJudge()
        judge.compared(pairs(header(0, 100), slower=0, faster=100))
        self.assertFalse(self.decides(judge))
        self.assertLess(judge.timeOdds, 1)

    def test_whatIsMeantDoesNotDecide(self) -> None:
        """
        It is shown as expected, after what is not, and takes nothing from the others' stake.
        """
        judge = ShadowJudge([Expectation("header:x-*", "added")])
        judge.compared(pairs(*(header(50, name=f"x-{number}", kind="added") for number in range(20)), header(12)))
        self.assertTrue(self.decides(judge))
        first, *others = judge.differences()
        self.assertEqual((first.kind, first.isExpected), ("changed", False))
        self.assertTrue(all(other.isExpected for other in others))

    def test_reversedPairsAreTurnedAround(self) -> None:
        """
        What the running version lacks beside the candidate, the candidate has added.
        """
        judge = ShadowJudge([Expectation("header:x-new", "added")])
        judge.compared(pairs(header(30, name="x-new", kind="removed"), header(2), isReversed=True))
        judge.compared(pairs(header(30, name="x-new", kind="added"), header(3)))
        self.assertFalse(self.decides(judge))
        found = {difference.field: difference for difference in judge.differences()}
        self.assertEqual((found["header:x-new"].kind, found["header:x-new"].candidate), ("added", 60))
        self.assertEqual(found["header:x-a"].candidate, 5)

    def test_slowerCandidateIsFound(self) -> None:
        """
        Nine times out of ten, after half of the times.
        """
        judge = ShadowJudge()
        judge.compared(pairs(slower=20, faster=20))
        self.assertLess(judge.timeOdds, 1)
        judge.compared(pairs(slower=36, faster=4))
        self.assertGreater(judge.timeOdds, 20)
        judge.compared(pairs(slower=36, faster=4))
        self.assertGreater(judge.timeOdds, SHADOW_THRESHOLD)
        seen = judge.pairs()
        self.assertEqual((seen.slower, seen.faster, seen.odds), (92, 28, judge.timeOdds))

    def test_whoeverGoesOnHasSeenWhatThereIs(self) -> None:
        """
        It decides no more; what comes later does.
        """
        judge = ShadowJudge()
        judge.compared(pairs(header(20), slower=50, faster=0))
        judge.accept()
        self.assertFalse(self.decides(judge))
        self.assertEqual(judge.judgedTimeOdds, 0.0)
        self.assertEqual([each.isAccepted for each in judge.differences()], [True])
        judge.compared(pairs(header(20), header(20, name="x-b")))
        worst = judge.worst()
        assert worst is not None
        self.assertEqual(worst.field, "header:x-b")

    def test_whatSomebodyWasShownIsAccepted(self) -> None:
        """
        Also what has not decided yet; noise is not, nor is anything where nobody has looked.
        """
        judge = ShadowJudge()
        judge.compared(pairs(header(3), header(9, 9, name="date"), slower=12, faster=0))
        judge.accept()
        self.assertEqual([each.isAccepted for each in judge.differences()], [False, False])
        judge.accept(isSeen=True)
        self.assertEqual([each.isAccepted for each in judge.differences()], [True, False])
        judge.compared(pairs(header(40), slower=90, faster=0))
        self.assertFalse(self.decides(judge))
        self.assertEqual(judge.judgedTimeOdds, 0.0)
        judge.compared(pairs(header(40, name="date")))
        self.assertTrue(self.decides(judge))

    def test_whatOnlyTheRunningVersionShowsIsNoDifferenceOfTheCandidates(self) -> None:
        """
        Where somebody has seen the rest, there is nothing that speaks against it.
        """
        judge = ShadowJudge()
        judge.compared(pairs(header(310)))
        judge.accept()
        judge.compared(pairs(header(0, 3, name="x-b")))
        self.assertIsNone(judge.worst())

    def test_groupsAndExamplesAreBounded(self) -> None:
        """
        Random names make no end of them: the rest is counted.
        """
        judge = ShadowJudge()
        for number in range(GROUPS + 30):
            judge.compared(pairs(header(1, name=f"x-{number}"), header(1, name="x-0")))
        self.assertEqual(len(judge.differences()), GROUPS)
        self.assertEqual(judge.pairs().unnamed, 30)
        self.assertTrue(all(len(difference.examples) <= 3 for difference in judge.differences()))

    def test_stakesTogetherAreNoMoreThanOne(self) -> None:
        """
        Those of the differences.
        """
        weights = [weight(place) for place in range(GROUPS)]
        self.assertLessEqual(sum(weights), 1)
        self.assertGreater(sum(weights), 0.99)
        self.assertEqual(weights, sorted(weights, reverse=True))

    def test_equalVersionsRarelyDiffer(self) -> None:
        """
        Three fields that are noise, a thousand pairs, 300 times: 0.5 % is staked.
        """
        chance, found = random.Random(2), 0
        for _ in range(300):
            judge = ShadowJudge()
            for _ in range(30):
                told = [
                    header(sum(chance.random() < 0.5 for _ in range(2)), sum(chance.random() < 0.5 for _ in range(2)),
                           name=name) for name in "abc"
                ]  # fmt: skip
                judge.compared(pairs(*told))
                if self.decides(judge):
                    found += 1
                    break
        self.assertLessEqual(found, 5)

    def test_goesOnWhereItWas(self) -> None:
        """
        What was kept, as text, is all there is.
        """
        expect = [Expectation("status")]
        judge = ShadowJudge(expect)
        told = TrialPairs(
            "t", False, 100, {"sent a request that was not recorded": 3}, 7,
            (header(20), header(3, 4, 5, name="b"), DifferenceCount("status", "changed", 1, 0, 0)), 2,
            (30, 30, 3), (2, 2, 0), 1, 2, 90, -0.4,
        )  # fmt: skip
        judge.compared(told)
        judge.accept()
        again = ShadowJudge(expect)
        again.restore(msgspec.json.decode(msgspec.json.encode(judge.saved()), type=SavedShadow))
        for each in (judge, again):
            each.compared(told)
        self.assertEqual(again.saved(), judge.saved())
        self.assertEqual(again.differences(), judge.differences())
        self.assertEqual(again.pairs(), judge.pairs())
