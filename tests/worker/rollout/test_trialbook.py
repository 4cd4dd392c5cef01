"""Tests for `revproxy.worker.rollout.trialbook`: what is written down of a trial."""

from __future__ import annotations

from math import inf, log, nan

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.plan.evidence import NEGLIGIBLE, ArmCounts, ArmStall, First, TrialEvidence
from revproxy.worker.rollout import trialbook
from revproxy.worker.rollout.fingerprints import Print
from revproxy.worker.rollout.trialbook import SAMPLES, TrialBook
from tests.trials import bits, trial

MILLISECOND = 0.001


class BookCase(SynchronousTestCase):
    """A canary of a plugin ``a``."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.steady = Clock()
        self.book = TrialBook(trial("a", canary=bits(range(2048))), self.clock.seconds, self.steady.seconds)

    def take(self) -> TrialEvidence:
        told = self.book.take()
        assert told is not None
        return told

    def warm(self) -> None:
        """Both arms have had their first calls."""
        for isCandidate in (False, True):
            for _ in range(101):
                self.book.asked(isCandidate, False)
        self.assertFalse(self.book.isCold)
        self.book.take()


class TakenTests(BookCase):
    """Which calls are timed, where some requests are taken down."""

    def test_few(self) -> None:
        """Those that are not, as long as they are more."""
        timed = [self.book.isTimed(at % 5 == 4) for at in range(50)]
        self.assertEqual(timed, [at % 5 != 4 for at in range(50)])

    def test_all(self) -> None:
        """Where all are, because there is a recording of all, they are timed all the same, from soon on."""
        for _ in range(1000):
            self.book.isTimed(False)
        self.assertFalse(self.book.isTimed(True))
        for _ in range(10):
            self.book.take()
        self.assertTrue(self.book.isTimed(True))


class WarmingTests(BookCase):
    """The first calls of each arm are not judged."""

    def asked(self, *arms: bool) -> list[bool]:
        return [self.book.asked(isCandidate, False) for isCandidate in arms]

    def test_byCalls(self) -> None:
        """A hundred of each; as long as one is cold, the other is not judged either."""
        self.assertEqual(set(self.asked(*[False] * 1000)), {False})
        self.assertEqual(set(self.asked(*[True] * 100)), {False})
        self.assertEqual(self.asked(True, False), [True, True])
        self.assertEqual(self.take().running, ArmCounts(requests=1, warming=1000))

    def test_byTime(self) -> None:
        """Ten seconds after the first call of each, at the latest."""
        self.asked(False)
        self.steady.advance(60)
        self.assertEqual(self.asked(False, True), [False, False])
        self.steady.advance(9.9)
        self.clock.advance(3600)  # somebody has set it
        self.assertEqual(self.asked(True), [False])
        self.steady.advance(0.1)
        self.assertEqual(self.asked(False, True), [True, True])

    def test_nobodyCame(self) -> None:
        """An arm that nobody has met is not warm, however long that lasts."""
        self.asked(*[False] * 200)
        self.steady.advance(3600)
        self.assertEqual(self.asked(False), [False])

    def test_otherInstances(self) -> None:
        """When other instances serve an arm, it begins anew."""
        self.warm()
        self.book.cool(True)
        self.assertEqual(self.asked(False, True), [False, False])
        self.assertEqual(set(self.asked(*[True] * 99)), {False})
        self.assertEqual(self.asked(True, False), [True, True])

    def test_shadow(self) -> None:
        """Before anybody meets the candidate, it is not waited for."""
        self.book = TrialBook(trial("a", stage="shadow"), self.clock.seconds, self.steady.seconds)
        self.assertEqual(set(self.asked(*[False] * 100)), {False})
        self.assertEqual(self.asked(False), [True])

    def test_testers(self) -> None:
        """They are counted, neither judged nor do they warm anything."""
        self.assertEqual({self.book.asked(True, True) for _ in range(500)}, {False})
        self.assertEqual(self.take().candidate, ArmCounts(testers=500))
        self.assertFalse(self.book.arms[True].early)


    def test_failures(self) -> None:
        """What fails is counted, and known by its fingerprint, from the first; only as an event it is left out."""
        self.book.failed(True, 7)
        self.book.raised(True, 7, Print("ValueError", "plugin.py", "A.handle"), "")
        told = self.take()
        self.assertEqual((told.candidate.faults, len(told.fingerprints), told.firsts), (1, 1, ()))


class FirstTests(BookCase):
    """First events."""

    def setUp(self) -> None:
        super().setUp()
        self.warm()

    def test_order(self) -> None:
        """The first of a bucket and family, in order; later ones are counted only."""
        self.book.failed(True, 7)
        self.clock.advance(1)
        self.book.failed(False, 3008)
        self.book.failed(True, 7)
        self.book.interrupted(True, 7)
        told = self.take()
        self.assertEqual(
            told.firsts,
            (First(1_000_000, "faults", 7, True), First(1_000_001, "faults", 3008, False),
             First(1_000_001, "interrupts", 7, True)),
        )  # fmt: skip
        self.assertEqual((told.candidate.faults, told.candidate.interrupts, told.running.faults), (2, 1, 1))
        self.book.failed(True, 7)
        self.book.failed(False, 4095)
        self.assertEqual([first.bucket for first in self.take().firsts], [4095])

    def test_nothing(self) -> None:
        """Where nothing happens, nothing is told."""
        self.assertIsNone(self.book.take())

    def test_otherArm(self) -> None:
        """
        A request that began before a ramp moved its bucket says nothing of that, and takes nothing from what comes.
        """
        self.book.failed(False, 7)
        self.book.failed(True, 7)
        self.assertEqual([first.isCandidate for first in self.take().firsts], [True])

    def test_ramp(self) -> None:
        """When other buckets become the candidate's, what happens is told anew; in a stage with the same, it is not."""
        for canary in (bits(range(100)), bits(range(100)), bits(range(2000))):
            self.book.adopt(trial("a", canary=canary))
            self.book.failed(False, 3000)
        self.assertEqual([first.bucket for first in self.take().firsts], [3000, 3000])

    def test_bounded(self) -> None:
        """However much happens, no more is told than there are buckets."""
        for bucket in range(4096):
            for _ in range(3):
                self.book.failed(bucket < 2048, bucket)
        self.assertEqual((len(self.take().firsts), self.book.take()), (4096, None))


class TimeTests(BookCase):
    """Self times."""

    def setUp(self) -> None:
        super().setUp()
        self.warm()

    def learn(self) -> None:
        """The running version takes 1 to 2,000 ms."""
        for at in range(SAMPLES):
            self.book.took("a", False, at % 100, (at + 1) * MILLISECOND)

    def test_thresholds(self) -> None:
        """Of 2,000 calls of the running version, told once; nobody is slow before."""
        for at in range(SAMPLES):
            self.book.took("a", True, at % 100, 5.0)
        self.assertEqual((self.take().thresholds, self.book.thresholds), ({}, {}))
        self.learn()
        told = self.take()
        self.assertEqual(told.thresholds, {"a": (1801 * MILLISECOND, 1981 * MILLISECOND, 1999 * MILLISECOND)})
        self.assertEqual(told.firsts, ())
        self.book.took("a", False, 1, MILLISECOND)
        self.assertEqual(self.take().thresholds, {})

    def test_negligible(self) -> None:
        """A call of the candidate may take 20 µs more than one of the running version before it is slow."""
        self.learn()
        self.take()
        limit = self.book.thresholds["a"][0]
        self.book.took("a", True, 1, limit + 15e-6)
        self.assertEqual(self.take().firsts, ())
        self.book.took("a", False, 3002, limit + 15e-6)
        self.book.took("a", True, 3, limit + 25e-6)
        self.assertEqual([(each.bucket, each.isCandidate) for each in self.take().firsts], [(3002, False), (3, True)])

    def test_slow(self) -> None:
        """In each family whose threshold it is over."""
        self.learn()
        self.book.take()
        for bucket, seconds in enumerate((1.801, 1.802, 1.982, 2.5)):
            self.book.took("a", True, bucket, seconds)
        self.assertEqual(
            [(first.family, first.bucket) for first in self.take().firsts],
            [("slow90", 1), ("slow90", 2), ("slow99", 2), ("slow90", 3), ("slow99", 3), ("slow999", 3)])

    def test_known(self) -> None:
        """After a restart those of before hold."""
        self.book.adopt(trial("a", known={"a": (1.0, 2.0, 3.0)}))
        self.book.took("a", True, 1, 2.5)
        self.assertEqual([first.family for first in self.take().firsts], ["slow90", "slow99"])

    def test_learnedMeanwhile(self) -> None:
        """The running version is learned from while the candidate is cold, once it is warm itself; nothing is told."""
        self.book.cool(True)
        for _ in range(SAMPLES):
            self.book.asked(False, False)
            self.book.took("a", True, 1, 5.0)
            self.book.took("a", False, 1, MILLISECOND)
        told = self.take()
        self.assertEqual((told.thresholds, told.times, told.firsts), ({"a": (MILLISECOND,) * 3}, (), ()))
        self.book.cool(False)
        self.book.took("b", False, 1, 5.0)
        self.assertNotIn("b", self.book._samples)

    def test_phasesApart(self) -> None:
        """Each phase of a plugin is held against its own."""
        self.learn()
        self.book.took("a handleResponse", True, 1, 5.0)
        self.assertEqual(self.take().firsts, ())

    def test_sums(self) -> None:
        """By bucket and arm, since they were told last; what a clock cannot have measured is bounded."""
        self.book.took("a", False, 5, 0.5)
        self.book.took("a", False, 5, 0.25)
        self.book.took("a", True, 5, 0.5)
        for bucket, seconds in ((1, -3.0), (2, 0.0), (3, inf), (4, nan), (6, 99.0)):
            self.book.took("a", False, bucket, seconds)
        times = {(each.bucket, each.isCandidate): (each.count, each.logs) for each in self.take().times}
        self.assertEqual(times[5, False], (2, log(0.5) + log(0.25)))
        self.assertEqual(times[5, True], (1, log(0.5 - NEGLIGIBLE)))
        low, high = (1, log(1e-6)), (1, log(10))
        self.assertEqual([times[at, False] for at in (1, 2, 3, 4, 6)], [low, low, high, low, high])
        self.book.took("a", False, 5, 0.5)
        self.assertEqual([each.count for each in self.take().times], [1])

    def test_counts(self) -> None:
        """Each arm's seconds, and how long its calls took."""
        self.book.took("a", True, 5, 0.001)
        self.book.took("a", True, 5, 0.001)
        told = self.take().candidate
        self.assertEqual((told.seconds, sum(told.times.values()), len(told.times)), (0.002, 2, 1))


class PrintTests(BookCase):
    """Exceptions."""

    def setUp(self) -> None:
        super().setUp()
        self.warm()

    def test_oncePerBucket(self) -> None:
        """Each once for a bucket and an arm."""
        known = Print("ValueError", "plugin.py", "A.handle")
        for bucket in (1, 1, 2):
            self.book.raised(True, bucket, known, "ValueError: no (plugin.py:3)")
        self.book.raised(False, 1, known, "the same")
        told = self.take().fingerprints
        self.assertEqual([(each.bucket, each.isCandidate) for each in told], [(1, True), (2, True), (1, False)])
        self.assertEqual((told[0].kind, told[0].file, told[0].function), known)
        self.assertEqual(told[0].sample, "ValueError: no (plugin.py:3)")

    def test_bounded(self) -> None:
        """Of one, no more buckets than are needed; of too many, that they are lost."""
        self.patch(trialbook, "MOST_PRINTS", 2)
        for bucket in range(100):
            self.book.raised(True, bucket, Print("A", "", ""), "")
        self.book.raised(True, 1, Print("B", "", ""), "")
        for _ in range(3):
            self.book.raised(True, 1, Print("C", "", ""), "")
        told = self.take()
        self.assertEqual((len(told.fingerprints), told.lost), (trialbook.MOST_BUCKETS + 1, 3))
        self.assertIsNone(self.book.take())

    def test_stalls(self) -> None:
        """Each, up to a bound."""
        stall = ArmStall(True, 0.5, 0.4, "f", "a.py:1")
        for _ in range(1000):
            self.book.stalled(stall)
        self.assertEqual(self.take().stalls, (stall,) * trialbook.MOST_STALLS)
