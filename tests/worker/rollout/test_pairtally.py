"""Tests for `revproxy.worker.rollout.pairtally`."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from revproxy.plan.evidence import DifferenceCount, TrialPairs
from revproxy.replay.outcome import Outcome, Raised
from revproxy.worker.rollout.pairtally import EXAMPLES, GROUPS, REASONS, PairTally
from revproxy.worker.rollout.pairtimes import WARMING
from tests.replay.plugins import callOf

PASSED = Outcome(True, headers=((b"X", b"1"),), seconds=0.001)
OTHER = replace(PASSED, headers=((b"X", b"2"),))
FAILED = replace(PASSED, verdict=None, raised=Raised("KeyError", "x"))
CALL = callOf("GET", "/a?token=secret")


def _counts(told: DifferenceCount) -> tuple[Any, ...]:
    return told.field, told.kind, told.candidate, told.control, told.both


class TallyCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.tally = PairTally("r1")

    def compare(self, real: Outcome, same: Outcome, other: Outcome) -> None:
        self.tally.compare((CALL,), (real,), (same,), (other,))

    def told(self) -> TrialPairs:
        told = self.tally.take()
        assert told is not None
        return told


class DifferenceTests(TallyCase):
    """Who differs from the real answer is counted by field and kind."""

    def counts(self) -> list[tuple[Any, ...]]:
        return [_counts(each) for each in self.told().differences]

    def test_none(self) -> None:
        """Equal versions differ in nothing."""
        self.compare(PASSED, PASSED, PASSED)
        told = self.told()
        self.assertEqual((told.trial, told.compared, told.differences), ("r1", 1, ()))

    def test_candidate(self) -> None:
        """The other version alone, the same one alone, and both."""
        self.compare(PASSED, PASSED, OTHER)
        self.compare(PASSED, OTHER, PASSED)
        self.compare(PASSED, OTHER, OTHER)
        self.assertEqual(self.counts(), [("request:x", "changed", 1, 1, 1)])

    def test_examples(self) -> None:
        """A few, redacted, of what the other version alone does; they are told once."""
        for _ in range(EXAMPLES + 2):
            self.compare(PASSED, PASSED, OTHER)
        (group,) = self.told().differences
        self.assertEqual(group.examples, (("GET www.example.com/a?token=***", "1", "2"),) * EXAMPLES)
        self.compare(PASSED, PASSED, OTHER)
        self.assertEqual(self.told().differences, (DifferenceCount("request:x", "changed", 1, 0, 0, ()),))

    def test_most(self) -> None:
        """Kinds beyond the most are counted, and are one kind together."""
        headers = tuple((b"X-%d" % number, b"1") for number in range(GROUPS + 7))
        self.compare(PASSED, PASSED, replace(PASSED, headers=(*PASSED.headers, *headers)))
        told = self.told()
        self.assertEqual((len(told.differences), told.unnamed), (GROUPS + 1, 7))
        self.assertEqual(_counts(told.differences[-1]), ("others", "changed", 1, 0, 0))

    def test_othersDecide(self) -> None:
        """A version that differs under another name each time differs, whatever has been told of it before."""
        for number in range(GROUPS + 30):
            header = (b"X-%d" % number, b"1")
            self.compare(PASSED, PASSED, replace(PASSED, headers=(*PASSED.headers, header)))
            if number % 50 == 49:
                self.told()
        told = self.told()
        self.assertEqual([_counts(each) for each in told.differences], [("others", "changed", 30, 0, 0)])

    def test_toldOnce(self) -> None:
        """What was told is not told again; where there is nothing, nothing is."""
        self.compare(PASSED, PASSED, PASSED)
        self.told()
        self.assertIsNone(self.tally.take())


class OtherPairsTests(TallyCase):
    """Pairs that say nothing are counted, too."""

    def test_incomparable(self) -> None:
        """Whichever of the three cannot be compared, the pair cannot."""
        unknown = replace(PASSED, incomparable="why")
        for pair in ((unknown, PASSED, PASSED), (PASSED, unknown, PASSED), (PASSED, PASSED, unknown)):
            self.compare(*pair)
        self.assertEqual(self.told(), TrialPairs("r1", incomparable={"why": 3}))

    def test_reasons(self) -> None:
        """Of reasons there are a few; what comes besides is told as that."""
        for number in range(REASONS + 5):
            self.tally.notComparable(f"reason {number}")
        told = self.told().incomparable
        self.assertEqual((len(told), told["other reasons"]), (REASONS + 1, 5))

    def test_dropped(self) -> None:
        """Those for which there was no time."""
        self.tally.dropped(3)
        self.assertEqual(self.told(), TrialPairs("r1", dropped=3))

    def test_faults(self) -> None:
        """Who raises alone; both is neither's."""
        self.compare(PASSED, PASSED, FAILED)
        self.compare(PASSED, FAILED, PASSED)
        self.compare(PASSED, FAILED, FAILED)
        told = self.told()
        self.assertEqual((told.faults, told.controlFaults), (1, 1))

    def test_reversed(self) -> None:
        """Where the candidate has served, the version on a copy of which it is tried is the running one."""
        self.tally = PairTally("r1", isReversed=True)
        self.compare(PASSED, FAILED, PASSED)
        told = self.told()
        self.assertEqual((told.isReversed, told.faults, told.controlFaults), (True, 1, 0))


class TimeTests(TallyCase):
    """Self times, held against each other pair by pair: see `test_pairtimes`."""

    def timed(self, same: float, other: float, isOtherFirst: bool) -> None:
        mine, its = replace(PASSED, seconds=same), replace(PASSED, seconds=other)
        self.tally.compare((CALL,), (PASSED,), (mine,), (its,), isOtherFirst)

    def test_order(self) -> None:
        """Whose run was the first is known, whichever of the versions has served."""
        for isReversed in (False, True):
            self.tally = PairTally("r1", isReversed)
            for _ in range(WARMING // 2):
                self.timed(1.0, 2.0, True)
                self.timed(2.0, 1.0, False)
            self.timed(1.0, 2.0, True)  # as always
            self.timed(1.0, 2.0, False)
            told = self.told()
            self.assertEqual((told.timed, told.slower[1], told.faster[1]), (2, 0, 2) if isReversed else (2, 1, 1))
