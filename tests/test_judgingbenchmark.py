"""
``benchmarks.judging``: what it simulates, in short and with a fixed seed, and what it makes of that.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from twisted.trial.unittest import SynchronousTestCase

from benchmarks.judging import Outcome, main, report, verdicts
from benchmarks.judgingcases import COLD, DETECTION, IDENTICAL, PLANNED, SHADOW
from benchmarks.simulatedclients import KINDS, draw
from benchmarks.simulatedpairs import PairPlant, compare
from benchmarks.simulatedrollout import CanaryCase, CanaryRun, ShadowCase, ShadowRun, runCanary, runShadow
from benchmarks.simulatedversions import NOTHING, Plant, call
from benchmarks.simulatedworker import SimulatedWorker, WarmUp, judged
from revproxy.plan.trial import BUCKETS
from revproxy.worker.rollout.pairtimes import PairTimes


def runs(case: CanaryCase, count: int) -> list[CanaryRun]:
    """
    Of the first seeds.
    """
    return [runCanary(case, (3, seed)) for seed in range(count)]


class TrafficTests(SynchronousTestCase):
    """
    ``simulatedclients``, ``simulatedversions``, ``simulatedworker``, ``simulatedpairs``.
    """

    def setUp(self) -> None:
        self.chance = np.random.default_rng(5)

    def test_rateIsAsAskedFor(self) -> None:
        """
        On average, waves apart; in order of time, and no later than the end.
        """
        for kind in KINDS:
            requests = draw(kind, 200, 120, self.chance)
            self.assertTrue(0.6 < len(requests.times) / 24_000 < 1.4, (kind, len(requests.times)))
            self.assertTrue((np.diff(requests.times) >= 0).all())
            self.assertTrue(requests.times.max() < 120)

    def test_clientsAreUneven(self) -> None:
        """
        A tenth of them sends half, or one a fifth; in independent traffic everybody one.
        """
        shares = {}
        for kind in KINDS:
            counts = np.sort(np.bincount(draw(kind, 200, 120, self.chance).clients))[::-1]
            shares[kind] = counts[: len(counts) // 10].sum() / counts.sum(), counts[0] / counts.sum()
        self.assertLess(shares["iid"][0], 0.11)
        self.assertGreater(shares["clustered"][0], 0.4)
        self.assertTrue(0.15 < shares["whale"][1] < 0.25, shares["whale"])

    def test_oneClientIsOneBucket(self) -> None:
        """
        Whatever it sends.
        """
        requests = draw("clustered", 200, 60, self.chance)
        pairs = set(zip(requests.clients.tolist(), requests.buckets.tolist(), strict=True))
        self.assertEqual(len(pairs), len(set(requests.clients.tolist())))

    def test_errorsAreAsOftenAsAskedFor(self) -> None:
        """
        Of both versions, and of the candidate besides.
        """
        requests = draw("iid", 2000, 240, self.chance)
        isOurs = requests.buckets < BUCKETS // 2
        calls = call(requests, isOurs, 240, 0.001, Plant(errors=0.01), self.chance)
        self.assertTrue(0.0007 < calls.faults[~isOurs].mean() < 0.0013, calls.faults[~isOurs].mean())
        self.assertTrue(0.009 < calls.faults[isOurs].mean() < 0.013)
        self.assertTrue(0.015 < calls.interrupts.mean() < 0.025)

    def test_wordsHaveWhatHappenedOnce(self) -> None:
        """
        First events in order, each bucket and family once, and all calls that are judged.
        """
        requests = draw("clustered", 200, 30, self.chance)
        isOurs = requests.buckets < 400
        calls = call(requests, isOurs, 30, 0.05, NOTHING, self.chance)
        isJudged = judged(requests, isOurs, WarmUp(100, 5.0))
        told = list(SimulatedWorker(requests, calls, isOurs, isJudged, 1000.0, (2e-4, 5e-4, 1e-3)).tell(30))
        firsts = [first for evidence in told for first in evidence.firsts]
        self.assertEqual(firsts, sorted(firsts, key=lambda first: first.at))
        self.assertEqual(len(firsts), len({(first.family, first.bucket) for first in firsts}))
        self.assertTrue(all(first.isCandidate == (first.bucket < 400) for first in firsts))
        self.assertTrue(min(first.at for first in firsts) > 1001)
        requested = sum(evidence.running.requests + evidence.candidate.requests for evidence in told)
        self.assertEqual(requested, int(isJudged.sum()))
        self.assertEqual(sum(time.count for evidence in told for time in evidence.times), requested)

    def test_pairsHaveWhatWasPlanted(self) -> None:
        """
        Noise in both, a wrong header in the candidate alone, and slowness.
        """
        told = compare(20_000, PairPlant(header=0.01, later=0.005), self.chance, PairTimes())
        noise, header = told.differences[0], told.differences[-1]
        self.assertTrue(0.8 < noise.candidate / noise.control < 1.25, noise)
        self.assertEqual((header.field, header.control, header.both), ("header:x-quota", 0, 0))
        self.assertTrue(150 < header.candidate < 250, header)
        self.assertGreater(told.slower[1], 100 * told.faster[1])


class SimulationTests(SynchronousTestCase):
    """
    The product's judge, in simulated rollouts.
    """

    def test_identicalVersionsRaiseNoAlarm(self) -> None:
        """
        In none of the four kinds of traffic; and their step ends well.
        """
        for kind in KINDS:
            for run in runs(CanaryCase(kind, kind, 200, 300, background=0.0, endsWell=True), 2):
                self.assertIsNone(run.found, kind)
                self.assertIsNotNone(run.well, kind)

    def test_errorsAreFound(self) -> None:
        """
        1 %, within two minutes, and hardly anybody has met them.
        """
        found = runs(CanaryCase("", "clustered", 200, 240, Plant(errors=0.01), background=0.0), 5)
        self.assertEqual({run.family for run in found}, {"faults"})
        self.assertLessEqual(max(run.faulty for run in found), 10)

    def test_slownessIsFoundInTwoSeconds(self) -> None:
        """
        5 ms, once calls are judged.
        """
        for run in runs(CanaryCase("", "clustered", 200, 30, Plant(later=0.005)), 3):
            assert run.afterWarmUp is not None
            self.assertLessEqual(run.afterWarmUp, 2.0)

    def test_guardThatLetsAllThroughIsFound(self) -> None:
        """
        At half of the clients within a minute.
        """
        for run in runs(CanaryCase("", "clustered", 200, 60, Plant(stopsNone=True), share=0.5), 2):
            self.assertEqual(run.family, "interrupts-fewer")

    def test_coldInstanceIsNoRegression(self) -> None:
        """
        Unless its first calls are judged.
        """
        warm = CanaryCase("", "clustered", 2000, 10, Plant(coldCalls=50))
        self.assertEqual([run.found for run in runs(warm, 3)], [None] * 3)
        self.assertTrue(any(run.found for run in runs(replace(warm, warmUp=WarmUp(0, 0.0)), 3)))

    def test_wrongHeaderIsFoundInTheShadow(self) -> None:
        """
        In 1 of 200 answers, before noise is ever taken for one.
        """
        for seed in range(3):
            self.assertEqual(runShadow(ShadowCase("", 8000, PairPlant(header=0.005)), (1, seed)).family, "content")
            self.assertIsNone(runShadow(ShadowCase("", 8000), (1, seed)).found)

    def test_sameSeedIsTheSameRun(self) -> None:
        """
        Whoever doubts a figure can have it again.
        """
        case = CanaryCase("", "bursty", 200, 20, Plant(errors=0.1))
        self.assertEqual(runs(case, 2), runs(case, 2))


class ReportTests(SynchronousTestCase):
    """
    What is made of it.
    """

    def outcome(self, alarms: int = 0, faulty: int = 4, header: int = 3000) -> Outcome:
        """
        One in which all is reached, but for these.
        """
        good, bad = CanaryRun(None, None, 90.0, "", 0, 9000), CanaryRun(50.0, 40.0, None, "faults", faulty, 500)
        outcome = Outcome()
        outcome.canaries = {case.name: (case, [good] * 10) for case in (*IDENTICAL, *COLD)}
        outcome.canaries[IDENTICAL[0].name] = (IDENTICAL[0], [bad] * alarms + [good] * (10 - alarms))
        outcome.canaries[DETECTION[0].name] = (DETECTION[0], [bad] * 10)
        outcome.shadows = {SHADOW[1].name: (SHADOW[1], [ShadowRun(header, "content")] * 10)}
        says = PLANNED[0].says()
        outcome.planned = {PLANNED[0].name: (PLANNED[0], [CanaryRun(None, None, 1.2 * says, "", 0, 0)] * 10)}
        return outcome

    def missed(self, outcome: Outcome) -> list[str]:
        """
        What is not reached.
        """
        return [what for what, (isReached, _) in verdicts(outcome).items() if not isReached]

    def test_saysWhatIsReached(self) -> None:
        """
        All of it; or what is not.
        """
        self.assertEqual(self.missed(self.outcome()), [])
        self.assertEqual(self.missed(self.outcome(alarms=3)), ["identical: false alarms ≤ 1 %"])
        self.assertEqual(len(self.missed(self.outcome(faulty=9))), 1)
        self.assertEqual(len(self.missed(self.outcome(header=3700))), 1)

    def test_tablesHaveEveryCase(self) -> None:
        """
        With what came of it.
        """
        text = report(self.outcome(alarms=1))
        self.assertIn("| all ", text)
        for name in (IDENTICAL[3].name, DETECTION[0].name, COLD[0].name, SHADOW[1].name, PLANNED[0].name):
            self.assertIn(f"| {name} ", text)
        self.assertIn("reached, 3,000", text)

    def test_thousandIdenticalPairs(self) -> None:
        """
        Of four kinds.
        """
        self.assertEqual(sum(case.runs for case in IDENTICAL), 1000)
        self.assertEqual({case.kind for case in IDENTICAL}, set(KINDS))

    def test_unknownPart(self) -> None:
        """
        Is told with those there are.
        """
        self.assertEqual(main(["--only", "nonsense"]), 2)
