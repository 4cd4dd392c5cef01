"""
``revproxy.control.rollout.judge``, with what it is made of.
"""

from __future__ import annotations

import random
from math import log, nan

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.rolloutpolicy import Expectation, Step, Until
from revproxy.control.rollout.judge import Judge, SavedJudge
from revproxy.plan.evidence import (
    ArmCounts,
    ArmStall,
    BucketTime,
    DifferenceCount,
    Family,
    Fingerprint,
    First,
    TrialEvidence,
    TrialPairs,
)
from tests.control.rollout.evidences import drawn, split, told

NONE, SMALL, LARGE, ALL = drawn(0, 205, 2048, 4096)
OURS, THEIRS = split(SMALL)

SHADOW = Step("shadow", 0.2, Until(pairs=3000))
CANARY = Step("canary", 0.05, Until(fault=0.01, power=0.9))
HALF = Step("canary", 0.5, Until(fault=0.01, power=0.9))


class Case(SynchronousTestCase):
    """
    A judge, and a clock that somebody else advances.
    """

    def setUp(self) -> None:
        self.now = 1e6
        self.judge = Judge(now=self.now)

    def begin(self, step: Step = CANARY, canary: bytes = SMALL) -> None:
        """
        A step begins.
        """
        self.canary = canary
        self.judge.begin(step, canary, self.now)

    def second(
        self, calls: dict[int, int] | None = None, family: Family = "faults", firsts: tuple[int, ...] = ()
    ) -> str:
        """
        One more, with these calls by bucket, and what happened. What the judge says then.
        """
        self.now += 1.0
        self.judge.heard(told(self.canary, self.now, calls or {}, family, firsts))
        return self.judge.verdict(self.now).kind

    def quiet(self, seconds: int = 1, ours: int = 10, theirs: int = 190) -> str:
        """
        Seconds with so many calls each, of which nothing is to be said.
        """
        mine, others = split(self.canary)
        kind = ""
        for _ in range(seconds):
            place = int(self.now)
            calls = {mine[(place * ours + k) % len(mine)]: 1 for k in range(ours)} if mine else {}
            calls |= {others[(place * theirs + k) % len(others)]: 1 for k in range(theirs)} if others else {}
            kind = self.second(calls)
        return kind


class CanaryTests(Case):
    """
    A step in which the candidate serves some clients.
    """

    def test_threeClientsThatFailAreARegression(self) -> None:
        """
        Where nobody of the running version's does; it says so, and stays so.
        """
        self.begin()
        self.quiet(3)
        self.assertEqual(self.second(firsts=(OURS[0], OURS[1])), "undecided")
        self.assertEqual(self.second(firsts=(OURS[2],)), "regression")
        verdict = self.judge.verdict(self.now)
        self.assertEqual(verdict.family, "faults")
        self.assertGreater(verdict.odds, 125)
        self.assertIn("in 3 of 30 client groups of the candidate's, and 0 of 570 of the running", verdict.reason)
        self.second(firsts=tuple(THEIRS[:2000]))
        self.assertEqual(self.judge.verdict(self.now), verdict)

    def test_threeFailuresOfOneClientAreOne(self) -> None:
        """
        Requests of one client are not independent.
        """
        self.begin()
        self.quiet()
        for _ in range(20):
            self.second({OURS[0]: 5}, firsts=(OURS[0],))
        self.assertEqual(self.judge.verdict(self.now).kind, "undecided")

    def test_outageThatMeetsBothIsNoRegression(self) -> None:
        """
        Nor is one that meets the running version's clients alone: the sign is looked at.
        """
        self.begin()
        self.quiet()
        self.second(firsts=tuple(random.Random(1).sample((*OURS[:20], *THEIRS[:380]), 400)))
        self.assertNotEqual(self.judge.verdict(self.now).kind, "regression")
        other = CanaryTests()
        other.setUp()
        other.begin()
        other.quiet()
        other.second(firsts=tuple(THEIRS[:1000]))
        self.assertNotEqual(other.judge.verdict(other.now).kind, "regression")

    def test_endsWellWhenAFaultWouldHaveBeenFound(self) -> None:
        """
        Without a fault: after as many calls as show one of 1 % with probability 0.9. Before, it is undecided.
        """
        self.begin()
        self.assertEqual(self.quiet(40), "undecided")
        progress = self.judge.progress(self.now)
        assert progress.have is not None and progress.need is not None and progress.leftSeconds is not None
        self.assertAlmostEqual(progress.have, 4.0, places=1)
        self.assertAlmostEqual(progress.need, 5.32, places=2)
        self.assertTrue(13 < progress.leftSeconds < 14, progress)
        self.assertIn("if 1 % of its calls failed, that would have been found by now with a probability of 7",
                      progress.canSee)  # fmt: skip
        self.assertEqual(self.quiet(15), "no-regression")
        self.assertEqual(self.judge.progress(self.now).leftSeconds, 0.0)

    def test_faultsOfTheRunningVersionMakeItTakeLonger(self) -> None:
        """
        Among them, three of the candidate's are nothing special.
        """
        self.begin()
        self.quiet(10)
        before = self.judge.progress(self.now).need
        self.second(firsts=tuple(THEIRS[:40]))
        after = self.judge.progress(self.now).need
        assert before is not None and after is not None
        self.assertGreater(after, before + 3)
        self.assertEqual(self.second(firsts=tuple(OURS[:3])), "undecided")

    def test_doesNotEndWellWhileSomethingSpeaksAgainstIt(self) -> None:
        """
        Odds of a tenth of what decides.
        """
        self.begin()
        self.quiet(60)
        self.assertEqual(self.judge.verdict(self.now).kind, "no-regression")
        self.second(firsts=tuple(OURS[:2]))
        verdict = self.judge.verdict(self.now)
        self.assertEqual(verdict.kind, "undecided")
        self.assertIn("something speaks against it: 16 : 1, and 125 : 1 decide", verdict.reason)

    def test_fewerInterruptsAreARegression(self) -> None:
        """
        Of a plugin that guards a door, and now lets all through.
        """
        self.begin(HALF, LARGE)
        self.quiet(1, 90, 90)
        self.assertEqual(self.second(family="interrupts", firsts=tuple(split(LARGE)[1][:40])), "regression")
        self.assertEqual(self.judge.verdict(self.now).family, "interrupts-fewer")

    def test_interruptsThatAreNotJudgedDecideNothing(self) -> None:
        """
        Neither more nor fewer.
        """
        self.judge = Judge(interrupts=False, now=self.now)
        self.begin(HALF, LARGE)
        self.quiet(1, 90, 90)
        for buckets in split(LARGE):
            self.second(family="interrupts", firsts=tuple(buckets[:40]))
        self.assertNotEqual(self.judge.verdict(self.now).kind, "regression")
        self.assertFalse([known for known in self.judge.families() if "interrupts" in known.family])

    def test_slowCallsAreARegression(self) -> None:
        """
        Above what 99 % of the running version's calls take.
        """
        self.begin()
        self.quiet()
        self.assertEqual(self.second(family="slow99", firsts=tuple(OURS[:6])), "regression")
        self.assertEqual(self.judge.verdict(self.now).family, "slow99")

    def test_medianDecidesWhenItIsLookedAt(self) -> None:
        """
        A candidate that is slower everywhere, of the same calls.
        """
        self.begin(HALF, LARGE)
        mine, others = split(LARGE)
        for _ in range(5):
            self.now += 1
            times = [BucketTime(bucket, True, 2, 2 * -8.0) for bucket in mine[:300]]
            times += [BucketTime(bucket, False, 2, 2 * -9.0) for bucket in others[:300]]
            self.judge.heard(TrialEvidence("t", ArmCounts(600), ArmCounts(600), times=tuple(times)))
            kind = self.judge.verdict(self.now).kind
        self.assertEqual((kind, self.judge.verdict(self.now).family), ("regression", "median"))
        self.assertIn("more than a tenth", self.judge.verdict(self.now).reason)

    def test_hardLimitsDecideAtOnce(self) -> None:
        """
        While the candidate warms up, too, and whatever else is broken.
        """
        self.begin()
        fingerprints = tuple(Fingerprint(bucket, True, "KeyError", "plugin.py", "handle") for bucket in OURS[:3])
        self.judge.heard(TrialEvidence("t", candidate=ArmCounts(warming=3), fingerprints=fingerprints))
        self.judge.heard(TrialEvidence("t", lost=3))
        verdict = self.judge.verdict(self.now)
        self.assertEqual((verdict.kind, verdict.family, verdict.odds), ("regression", "fingerprint", 0.0))

    def test_newExceptionTakesMoreClientsWhereHalfAreTheCandidates(self) -> None:
        """
        Three of those might be its own by chance.
        """
        self.begin(HALF, LARGE)
        mine, _ = split(LARGE)
        for count, kind in ((3, "undecided"), (10, "regression")):
            prints = tuple(Fingerprint(bucket, True, "KeyError", "plugin.py", "handle") for bucket in mine[:count])
            self.judge.heard(TrialEvidence("t", ArmCounts(5), ArmCounts(5), fingerprints=prints))
            self.assertEqual(self.judge.verdict(self.now).kind, kind)

    def test_stepThatIsMeasuredAnewKeepsWhatIsKnownOfBuckets(self) -> None:
        """
        Whose they are was not drawn again, so what is told once more of them says nothing.
        """
        self.begin()
        self.second(firsts=tuple(THEIRS[:100]))
        self.begin(HALF, LARGE)
        _, theirs = split(LARGE)
        again = tuple(bucket for bucket in THEIRS[:100] if bucket in theirs)
        self.second(firsts=again, family="interrupts")
        self.second(firsts=again)
        before = [each.odds for each in self.judge.families()]
        self.judge.heard(TrialEvidence("t", lost=1))
        self.judge.accept()
        self.second(firsts=again)
        self.assertEqual([each.odds for each in self.judge.families()], before)

    def test_stallsAndLeaksDecide(self) -> None:
        """
        Each with its reason.
        """
        self.begin()
        self.quiet()
        self.judge.heard(TrialEvidence("t", stalls=(ArmStall(True, 0.5, 0.4, "handle", "plugin.py:3"),)))
        self.assertEqual(self.judge.verdict(self.now).family, "stall")
        other = Judge(now=0.0)
        other.leaked("a timer")
        self.assertEqual(other.verdict(1.0).family, "leak")

    def test_allClientsTheCandidatesAreNothingToCompareWith(self) -> None:
        """
        That is said, and is no success.
        """
        self.begin(Step("canary", 1.0, Until(fault=0.01)), ALL)
        self.quiet(100, 100, 0)
        verdict = self.judge.verdict(self.now)
        self.assertEqual(verdict.kind, "undecided")
        self.assertIn("no client is left to the running version", verdict.reason)

    def test_stepThatNothingCountedEndsIsUndecided(self) -> None:
        """
        Whoever drives it ends it by the clock.
        """
        self.begin(Step("canary", 0.05), SMALL)
        self.assertEqual(self.quiet(100), "undecided")
        self.assertEqual(self.judge.progress(self.now).need, None)

    def test_armsAndFamiliesAreShown(self) -> None:
        """
        What came, of how many.
        """
        self.begin()
        self.quiet(2)
        self.second(family="slow90", firsts=(OURS[0], THEIRS[0], THEIRS[1]))
        running, candidate = self.judge.arms()
        self.assertEqual((running.requests, candidate.requests), (380, 20))
        slow = next(known for known in self.judge.families() if known.family == "slow90")
        self.assertEqual((slow.candidate, slow.running, slow.ofCandidate, slow.ofRunning), (1, 2, 20, 380))
        self.assertEqual(slow.threshold, 125)
        self.assertEqual([at for at, _ in self.judge.curve], [1e6 + 1, 1e6 + 2, 1e6 + 3])


class RampTests(Case):
    """
    From one step to the next.
    """

    def test_evidenceGoesOn(self) -> None:
        """
        What two clients showed at 5 % is not forgotten at 50 %, and the step itself begins anew.
        """
        self.begin()
        self.quiet(3)
        self.second(firsts=tuple(OURS[:2]))
        odds = self.judge.families()[0].odds
        self.begin(HALF, LARGE)
        self.assertEqual(self.judge.families()[0].odds, odds)
        self.assertEqual(self.judge.progress(self.now).have, 0.0)
        self.assertEqual(self.judge.verdict(self.now).kind, "no-traffic")

    def test_clientsStayWithTheCandidate(self) -> None:
        """
        A draw that took some of them back is refused, and so is one of another size.
        """
        self.begin(HALF, LARGE)
        self.assertRaises(ValueError, self.judge.begin, CANARY, SMALL, self.now)
        self.assertRaises(ValueError, self.judge.begin, CANARY, b"", self.now)

    def test_whatHappenedBeforeIsNotOfTheStep(self) -> None:
        """
        It may be told a moment later.
        """
        self.begin(HALF, LARGE)
        mine, _ = split(LARGE)
        late = tuple(First(self.now - 0.5, "faults", bucket, True) for bucket in mine[:50])
        self.judge.heard(TrialEvidence("t", ArmCounts(100), ArmCounts(100), firsts=late))
        self.assertEqual(self.judge.verdict(self.now + 1).kind, "undecided")

    def test_whatIsToldFirstMayBeOfBefore(self) -> None:
        """
        Of nearly all clients by the other label, if nearly all have become the candidate's. That breaks nothing.
        """
        self.begin()
        most = drawn(4000)[0]
        self.judge.begin(Step("canary", 0.97, Until(fault=0.01)), most, self.now)
        self.judge.heard(told(self.canary, self.now, dict.fromkeys(range(300), 1)))
        self.canary = most
        self.assertEqual(self.quiet(30, 190, 10), "undecided")

    def test_requestsThatBeganBeforeAreNotOfTheStep(self) -> None:
        """
        They are told as the running version's, of buckets that are not its any more.
        """
        self.begin(HALF, LARGE)
        self.quiet()
        mine = split(LARGE)[0]
        old = tuple(First(self.now, "interrupts", bucket, False) for bucket in mine[:50])
        self.judge.heard(TrialEvidence("t", firsts=old))
        self.assertEqual(self.judge.verdict(self.now).kind, "undecided")


class MeasurementTests(Case):
    """
    Silence, and what cannot be believed: never success.
    """

    def test_nobodyComes(self) -> None:
        """
        To the candidate, to the running version, to either.
        """
        self.begin()
        self.assertEqual(self.second(), "no-traffic")
        self.assertEqual(self.quiet(100, ours=0), "no-traffic")
        self.assertEqual(self.judge.verdict(self.now).reason, "no request has come to the candidate")
        self.begin()
        self.assertEqual(self.quiet(100, theirs=0), "no-traffic")
        self.assertEqual(self.judge.verdict(self.now).reason, "no request has come to the running version")

    def test_allAreLeftOut(self) -> None:
        """
        Testers, and calls of an instance that warms up.
        """
        self.begin()
        self.judge.heard(TrialEvidence("t", ArmCounts(requests=500), ArmCounts(warming=90, testers=7)))
        verdict = self.judge.verdict(self.now)
        self.assertEqual(verdict.kind, "no-traffic")
        self.assertEqual(
            verdict.reason,
            "no request of the candidate's can be judged: 90 came while it warmed up, 7 were testers'",
        )

    def test_lostEventsBreakTheMeasurement(self) -> None:
        """
        For the whole step, however much comes then; the next begins anew.
        """
        self.begin()
        self.judge.heard(TrialEvidence("t", lost=1))
        self.assertEqual(self.quiet(100), "broken-measurement")
        self.begin(HALF, LARGE)
        self.assertEqual(self.quiet(1, 50, 50), "undecided")

    def test_lostEventsHideNothing(self) -> None:
        """
        What is told beside them decides all the same, but for exceptions: the running version's may be among the lost.
        """
        self.begin()
        prints = tuple(Fingerprint(bucket, True, "KeyError", "plugin.py", "handle") for bucket in OURS[:3])
        self.judge.heard(TrialEvidence("t", ArmCounts(9), ArmCounts(9), fingerprints=prints, lost=1))
        self.assertEqual(self.judge.verdict(self.now).kind, "broken-measurement")
        firsts = tuple(First(self.now, "faults", bucket, True) for bucket in OURS[:3])
        self.judge.heard(TrialEvidence("t", ArmCounts(9), ArmCounts(9), firsts, lost=1))
        self.assertEqual(self.judge.verdict(self.now).family, "faults")

    def test_whoeverGoesOnHasItMeasuredAnew(self) -> None:
        """
        In the same step: what came before counts for nothing.
        """
        self.begin()
        self.quiet(60)
        self.judge.heard(TrialEvidence("t", lost=1))
        self.judge.accept()
        self.assertEqual(self.judge.verdict(self.now).kind, "no-traffic")
        self.assertEqual(self.quiet(40), "undecided")
        self.assertEqual(self.quiet(20), "no-regression")

    def test_figuresThatAreNoneBreakTheMeasurement(self) -> None:
        """
        NaN, less than nothing, buckets and families that are not there.
        """
        hostile = (
            TrialEvidence("t", times=(BucketTime(1, False, 1, nan),)),
            TrialEvidence("t", times=(BucketTime(1, False, -1, 0.0),)),
            TrialEvidence("t", times=(BucketTime(4096, False, 1, 0.0),)),
            TrialEvidence("t", firsts=(First(nan, "faults", 1, False),)),
            TrialEvidence("t", firsts=(First(self.now, "faults", -1, False),)),
            TrialEvidence("t", firsts=(First(self.now, "other", 1, False),)),  # type: ignore[arg-type]
            TrialEvidence("t", running=ArmCounts(seconds=nan)),
            TrialEvidence("t", candidate=ArmCounts(requests=-5)),
            TrialEvidence("t", thresholds={"quota": (nan, 1.0, 2.0)}),
            TrialEvidence("t", stalls=(ArmStall(True, 1.0, nan, "", ""),)),
        )
        for evidence in hostile:
            self.setUp()
            self.begin()
            self.judge.heard(evidence)
            self.assertEqual(self.quiet(100), "broken-measurement", evidence)
            self.assertTrue(self.judge.verdict(self.now).reason)

    def test_pairsThatAreNoneBreakTheMeasurement(self) -> None:
        """
        The same, in a shadow.
        """
        self.begin(SHADOW, NONE)
        self.judge.compared(TrialPairs("t", compared=5000, logs=nan))
        self.judge.compared(TrialPairs("t", compared=5000))
        self.assertEqual(self.judge.verdict(self.now).kind, "broken-measurement")

    def test_clockThatLeapsForwardIsNoTime(self) -> None:
        """
        The median is not looked at for it, and no step ends by it.
        """
        self.begin()
        self.quiet(2)
        self.now += 100_000
        self.assertEqual(self.judge.verdict(self.now).kind, "undecided")
        progress = self.judge.progress(self.now)
        assert progress.leftSeconds is not None
        self.assertLess(progress.leftSeconds, 100)

    def test_clockThatStandsStillIsNoSuccess(self) -> None:
        """
        However much is told: what is looked at after some time is never looked at.
        """
        self.begin()
        for _ in range(200):
            self.judge.heard(told(SMALL, self.now, dict.fromkeys((*OURS[:10], *THEIRS[:90]), 10)))
            self.assertNotEqual(self.judge.verdict(self.now).kind, "no-regression")
        self.assertIn("clock", self.judge.verdict(self.now).reason)

    def test_clockThatGoesBackLosesNothing(self) -> None:
        """
        What happens then is of the step.
        """
        self.begin()
        self.quiet(20)
        self.now -= 5000
        self.judge.verdict(self.now)
        self.assertEqual(self.second(firsts=tuple(OURS[:3])), "regression")

    def test_eventsFromLongAgoBreakTheMeasurement(self) -> None:
        """
        If they are told when the step has long begun: some that speak against the candidate could be among them.
        """
        self.begin()
        self.quiet(20)
        self.judge.heard(TrialEvidence("t", firsts=(First(10.0, "faults", OURS[0], True),)))
        self.assertEqual(self.quiet(100), "broken-measurement")

    def test_labelsTheWrongWayRoundBreakTheMeasurement(self) -> None:
        """
        Whoever confuses the versions must not promote by it.
        """
        self.begin()
        for _ in range(100):
            self.now += 1
            times = tuple(BucketTime(bucket, bucket not in OURS, 1, -9.0) for bucket in (*OURS[:9], *THEIRS[:90]))
            self.judge.heard(TrialEvidence("t", ArmCounts(9), ArmCounts(90), times=times))
            verdict = self.judge.verdict(self.now)
        self.assertEqual(verdict.kind, "broken-measurement")
        self.assertIn("the other version's", verdict.reason)

    def test_beforeAnyStepNothingIsSaid(self) -> None:
        """
        Nor in one that workers take no part in.
        """
        self.assertEqual(self.judge.verdict(self.now).kind, "undecided")
        self.begin(Step("preflight"), NONE)
        self.assertEqual(self.second(), "undecided")
        self.assertIsNone(self.judge.progress(self.now).have)


class ShadowTests(Case):
    """
    A step in which the candidate is tried, and serves nobody.
    """

    def setUp(self) -> None:
        super().setUp()
        self.begin(SHADOW, NONE)

    def pairs(self, compared: int, *differences: DifferenceCount, reversed: bool = False, slower: int = 0) -> str:
        """
        So many. What the judge says then.
        """
        self.now += 1
        self.judge.compared(
            TrialPairs("t", reversed, compared, differences=differences, slower=(slower,) * 3, timed=100,
                       logs=100 * log(2))
        )  # fmt: skip
        return self.judge.verdict(self.now).kind

    def test_endsWellAfterItsPairs(self) -> None:
        """
        And says what they could show.
        """
        self.assertEqual(self.pairs(2999), "undecided")
        self.assertEqual(self.judge.progress(self.now).need, 3000)
        self.assertEqual(self.pairs(1), "no-regression")
        self.assertEqual(
            self.judge.verdict(self.now).reason,
            "3,000 pairs: shows what the candidate does otherwise in 1 of 250 calls",
        )

    def test_noPairIsNoSuccess(self) -> None:
        """
        Nothing came, nothing could be compared, there was no time for it.
        """
        self.assertEqual(self.judge.verdict(self.now).kind, "no-traffic")
        self.judge.compared(TrialPairs("t", dropped=50))
        self.assertIn("too much to do", self.judge.verdict(self.now).reason)
        self.judge.compared(TrialPairs("t", incomparable={"keeps a lifecycle": 9}))
        self.assertEqual(self.judge.verdict(self.now).reason, "no pair could be compared: keeps a lifecycle (9)")

    def test_differenceIsShown(self) -> None:
        """
        With how often, beside the noise.
        """
        self.pairs(1000, DifferenceCount("header:x-a", "changed", 20, 1, 3))
        verdict = self.judge.verdict(self.now)
        self.assertEqual((verdict.kind, verdict.family), ("regression", "content"))
        self.assertEqual(
            verdict.reason,
            "header:x-a:changed differs: the candidate alone in 20 of 1,000 pairs, the running version beside itself "
            "in 1; if that is meant, name it in expect",
        )
        self.assertEqual(self.judge.families()[0].family, "content")

    def test_slownessIsShown(self) -> None:
        """
        With how much.
        """
        self.pairs(1000, slower=30)
        verdict = self.judge.verdict(self.now)
        self.assertEqual((verdict.kind, verdict.family), ("regression", "pair-time"))
        self.assertIn("2.00 times as long", verdict.reason)

    def test_whatIsMeantIsNot(self) -> None:
        """
        It is listed as expected.
        """
        self.judge = Judge(expect=[Expectation("header:x-a")], now=self.now)
        self.begin(SHADOW, NONE)
        self.assertEqual(self.pairs(3000, DifferenceCount("header:x-a", "changed", 3000, 0, 0)), "no-regression")
        self.assertTrue(self.judge.differences()[0].isExpected)

    def test_whoeverGoesOnHasSeenIt(self) -> None:
        """
        The same does not stop the next step; clients that fail do.
        """
        self.pairs(1000, DifferenceCount("header:x-a", "changed", 20, 0, 0), slower=40)
        self.begin()
        self.quiet()
        self.assertEqual(self.pairs(10, DifferenceCount("header:x-a", "changed", 10, 0, 0), reversed=True), "undecided")
        self.assertEqual(max(known.odds for known in self.judge.families()), 0.4)
        self.assertEqual(self.second(firsts=tuple(OURS[:3])), "regression")
        self.assertEqual(self.judge.verdict(self.now).family, "faults")

    def test_wrongHeaderIsFoundInTheCanaryToo(self) -> None:
        """
        By trying the running version on the candidate's requests.
        """
        self.begin()
        self.quiet()
        self.assertEqual(
            self.pairs(500, DifferenceCount("header:x-a", "removed", 15, 0, 0), reversed=True), "regression"
        )
        self.assertEqual(self.judge.differences()[0].kind, "added")

    def test_failingClientsWeighMoreThanWhatIsShown(self) -> None:
        """
        What is rolled back for comes before what is held for.
        """
        self.begin()
        self.quiet()
        self.pairs(500, DifferenceCount("header:x-a", "changed", 15, 0, 0))
        self.second(firsts=tuple(OURS[:3]))
        self.assertEqual(self.judge.verdict(self.now).family, "faults")

    def test_nextStepCountsItsOwnPairs(self) -> None:
        """
        What an earlier shadow compared ends no later one.
        """
        self.pairs(5000)
        self.begin(SHADOW, NONE)
        self.assertEqual(self.judge.verdict(self.now).kind, "no-traffic")
        self.assertEqual(self.pairs(100), "undecided")

    def test_timesOfTheRunningVersionAreKeptForTheCanary(self) -> None:
        """
        What buckets took before, so that clients that always were slow are known.
        """
        for bucket in range(100):
            self.judge.heard(told(NONE, self.now, {bucket: 10}))
        self.assertEqual(self.judge.verdict(self.now).kind, "no-traffic")
        self.begin()
        self.assertEqual(self.judge.families()[0].ofRunning, 0)


class RestartTests(Case):
    """
    ``saved`` and ``restored``.
    """

    def again(self) -> Judge:
        """
        A judge of what was written, as text.
        """
        text = msgspec.json.encode(self.judge.saved())
        return Judge.restored(msgspec.json.decode(text, type=SavedJudge), now=self.now)

    def test_goesOnInMidStep(self) -> None:
        """
        Two clients failed before it, one after it: a regression.
        """
        self.begin()
        self.quiet(30)
        self.second(firsts=tuple(OURS[:2]))
        before = self.judge.progress(self.now)
        self.judge = self.again()
        after = self.judge.progress(self.now)
        assert before.have is not None and after.have is not None
        self.assertAlmostEqual(before.have, after.have)
        self.assertEqual((after.need, after.canSee), (before.need, before.canSee))
        self.now += 40
        self.assertEqual(self.second(firsts=(OURS[0], OURS[1])), "undecided")
        self.assertEqual(self.second(firsts=(OURS[2],)), "regression")

    def test_allIsKept(self) -> None:
        """
        A verdict, what differs, thresholds, pairs, the curve.
        """
        self.begin(SHADOW, NONE)
        self.judge.compared(TrialPairs("t", compared=50, differences=(DifferenceCount("status", "changed", 20, 0, 0),)))
        self.begin()
        self.quiet(9)
        self.judge.heard(TrialEvidence("t", thresholds={"quota": (0.1, 0.2, 0.3)}))
        self.judge.compared(TrialPairs("t", compared=50, differences=(DifferenceCount("body", "changed", 20, 0, 0),)))
        again = self.again()
        self.assertEqual(again.saved(), self.judge.saved())
        self.assertEqual(again.verdict(self.now), self.judge.verdict(self.now))
        self.assertEqual(again.families(), self.judge.families())
        self.assertEqual(again.differences(), self.judge.differences())
        self.assertEqual((again.arms(), again.pairs()), (self.judge.arms(), self.judge.pairs()))
        self.assertEqual((again.curve, again.thresholds), (self.judge.curve, self.judge.thresholds))

    def test_whatIsKeptIsSmall(self) -> None:
        """
        It is written each second.
        """
        self.begin()
        self.quiet(200)
        self.assertLess(len(msgspec.json.encode(self.judge.saved())), 100_000)

    def test_damagedFigures(self) -> None:
        """
        Are told, and nothing is judged by them.
        """
        self.begin()
        saved = self.judge.saved()
        self.assertRaises(ValueError, Judge.restored, msgspec.structs.replace(saved, canary=b"12"), now=1.0)
        for until in (Until(fault=4096.0), Until(fault=-1.0), Until(power=1e308)):
            self.assertRaises(ValueError, Judge.restored, msgspec.structs.replace(saved, until=until), now=1.0)
        labels = msgspec.structs.replace(saved.canaryJudge, labels={})
        self.assertRaises(ValueError, Judge.restored, msgspec.structs.replace(saved, canaryJudge=labels), now=1.0)
