"""
``revproxy.control.rollout.hardlimits``.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.rollout.hardlimits import CHANCE, KINDS, HardLimits, clientsNeeded
from revproxy.plan.evidence import ArmCounts, ArmStall, Fingerprint

MANY = ArmCounts(requests=9500)
FEW = ArmCounts(requests=500)


def raised(bucket: int, isCandidate: bool = True, kind: str = "KeyError", function: str = "Q.handle") -> Fingerprint:
    """
    An exception of a client.
    """
    return Fingerprint(bucket, isCandidate, kind, "plugin.py", function, f"plugin.py:{bucket}: {kind}: 'tenant'")


def stall(isCandidate: bool = True, seconds: float = 0.4, cpu: float | None = None) -> ArmStall:
    """
    A call that held the loop.
    """
    return ArmStall(isCandidate, seconds, cpu, "Quota.handle", "plugin.py:12")


class HardLimitsTests(SynchronousTestCase):
    """
    ``HardLimits``.
    """

    def setUp(self) -> None:
        self.limits = HardLimits()

    def decided(self) -> str:
        """
        The family that has decided.
        """
        self.limits.look(MANY, FEW)
        return self.limits.decided[0] if self.limits.decided else ""

    def test_newExceptionInThreeBucketsDecides(self) -> None:
        """
        Not in two, and not three times in one; lines do not matter, for they move.
        """
        for bucket in (1, 1, 1, 2):
            self.limits.raised(raised(bucket))
        self.assertEqual(self.decided(), "")
        self.limits.raised(raised(3))
        self.assertEqual(self.decided(), "fingerprint")
        assert self.limits.decided is not None
        self.assertEqual(
            self.limits.decided[1],
            "KeyError in Q.handle (plugin.py), which the running version never raised, for clients in 3 groups: "
            "plugin.py:1: KeyError: 'tenant'",
        )

    def test_moreBucketsWhereManyAreTheCandidates(self) -> None:
        """
        What both versions raise now and then comes to its first three clients by chance, in one of eight cases with
        half of them.
        """
        for bucket in range(9):
            self.limits.raised(raised(bucket))
        self.limits.look(MANY, MANY, 0.5)
        self.assertIsNone(self.limits.decided)
        self.limits.raised(raised(9))
        self.limits.look(MANY, MANY, 0.5)
        assert self.limits.decided is not None
        self.assertIn("for clients in 10 groups", self.limits.decided[1])
        self.assertEqual([clientsNeeded(share) for share in (0.0, 0.05, 0.1, 0.25, 0.5, 0.9, 1.0)],
                         [3, 3, 3, 5, 10, 10, 3])  # fmt: skip
        for share in (0.05, 0.1, 0.25, 0.5):
            self.assertLessEqual(share ** clientsNeeded(share), CHANCE * 1.01)

    def test_fewClientsThatAllMeetIt(self) -> None:
        """
        Where the candidate has no more, what all of them meet is new; what three of five meet is not yet.
        """
        for bucket in range(3):
            self.limits.raised(raised(bucket))
        self.limits.look(MANY, MANY, 0.5, active=5)
        self.assertIsNone(self.limits.decided)
        self.limits.look(MANY, MANY, 0.5, active=3)
        self.assertIsNotNone(self.limits.decided)

    def test_whatTheRunningVersionRaisesIsNotNew(self) -> None:
        """
        Whether it raised it before or in between.
        """
        self.limits.raised(raised(9, isCandidate=False))
        for bucket in range(5):
            self.limits.raised(raised(bucket))
        for bucket in range(2):
            self.limits.raised(raised(bucket, function="other"))
        self.limits.raised(raised(9, isCandidate=False, function="other"))
        self.limits.raised(raised(3, function="other"))
        self.assertEqual(self.decided(), "")

    def test_differentExceptionsAreNotAdded(self) -> None:
        """
        Three kinds in a bucket each are three beginnings.
        """
        for bucket, kind in enumerate(("KeyError", "ValueError", "TypeError")):
            self.limits.raised(raised(bucket, kind=kind))
        self.assertEqual(self.decided(), "")

    def test_tooManyKindsAreNotTakenForNew(self) -> None:
        """
        Where no more can be remembered of the running version, nobody knows what is new.
        """
        for number in range(KINDS + 5):
            self.limits.raised(raised(1, isCandidate=False, function=f"f{number}"))
        for bucket in range(5):
            self.limits.raised(raised(bucket, function=f"f{KINDS + 1}"))
        self.assertEqual(self.decided(), "")

    def test_twoStallsDecide(self) -> None:
        """
        One may be anybody's fault.
        """
        self.limits.stalled(stall())
        self.assertEqual(self.decided(), "")
        self.limits.stalled(stall(cpu=0.01))
        self.assertEqual(self.decided(), "stall")

    def test_oneStallByItsOwnWorkDecides(self) -> None:
        """
        If its thread ran for more than half of it.
        """
        self.limits.stalled(stall(cpu=0.2))
        self.assertEqual(self.decided(), "")
        self.limits = HardLimits()
        self.limits.stalled(stall(cpu=0.21))
        self.assertEqual(self.decided(), "stall")

    def test_machineThatStallsBothIsNotTheCandidatesFault(self) -> None:
        """
        Two stalls do not count where the running version's requests stall about as often.
        """
        for _ in range(30):
            self.limits.stalled(stall(isCandidate=False))
        for _ in range(2):
            self.limits.stalled(stall())
        self.assertEqual(self.decided(), "")
        for _ in range(2):
            self.limits.stalled(stall())
        self.assertEqual(self.decided(), "stall")

    def test_stallsOfTheRunningVersionAreNotTheCandidates(self) -> None:
        """
        The sign is looked at.
        """
        for _ in range(5):
            self.limits.stalled(stall(isCandidate=False, cpu=0.4))
        self.assertEqual(self.decided(), "")

    def test_leakDecides(self) -> None:
        """
        One is enough.
        """
        self.limits.leaked("the module's globals, held by a timer")
        self.assertEqual(self.decided(), "leak")

    def test_goesOnWhereItWas(self) -> None:
        """
        What was kept is all there is; the first reason stays.
        """
        self.limits.raised(raised(9, isCandidate=False, function="old"))
        for bucket in range(2):
            self.limits.raised(raised(bucket))
        self.limits.stalled(stall())
        again = HardLimits()
        again.restore(self.limits.saved())
        self.assertEqual(again.saved(), self.limits.saved())
        again.raised(raised(7))
        again.look(MANY, FEW)
        again.leaked("later")
        assert again.decided is not None
        self.assertEqual(again.decided[0], "fingerprint")
