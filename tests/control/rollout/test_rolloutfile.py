"""
Rollouts as they are kept.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.bundles.versionstore import StoreError
from revproxy.config.rolloutpolicy import ClientKey, Expectation, RolloutPolicy, Step, Testers, Until
from revproxy.control.history.standing import configText
from revproxy.control.planning.ongoing import Newcomer
from revproxy.control.rollout.rollout import Rollout
from revproxy.control.rollout.rolloutfile import FORMAT, SavedRollouts, encoded, parsed, restored, saved
from revproxy.control.state.records import Pin
from revproxy.plan.evidence import ArmCounts, BucketTime, First, TrialEvidence
from revproxy.secrets import Secret
from tests.control.conversations import makeConfig
from tests.plan.plans import entry

POLICY = RolloutPolicy(
    (
        Step("preflight", replay=Path("/recordings/one")),
        Step("shadow", 0.2, Until(3000)),
        Step("canary", 0.05, Until(fault=0.01), 60.0, 900.0, shadow=0.1),
    ),
    "roll_back",
    ClientKey("header", "X-User"),
    Testers("X-Arm", Secret("very-secret-token")),
    (Expectation("header:x-new", "added"),),
    "refuse",
)

OLD, NEW = entry("a", "1.0.0"), entry("a", "2.0.0")


class FileTests(SynchronousTestCase):
    """
    There and back.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_000_000)
        newcomer = Newcomer({"a": NEW}, POLICY, {"a": NEW.digest}, {"a": Pin(str(OLD.digest), "rollback")})
        self.rollout = Rollout("r1", newcomer, {"a": OLD}, self.clock.seconds)
        self.rollout.wait("it is new", "files")

    def stored(self, name: str, digest: str) -> Any:
        """A version."""
        found = {each.digest: each for each in (OLD, NEW)}.get(digest)
        if found is None:
            raise StoreError("it is not there")
        return found

    def readConfig(self, text: str) -> Any:
        """Of a text."""
        return makeConfig(text)

    def again(self, more: tuple[Any, ...] = ()) -> Rollout:
        """The same after a restart."""
        data = encoded(SavedRollouts(FORMAT, b"k" * 32, (saved(self.rollout, configText),), more))
        self.assertNotIn(b"very-secret-token", data)
        (kept,) = parsed(data).going
        return restored(kept, self.stored, self.readConfig, self.clock.seconds, b"k" * 32)

    def test_waiting(self) -> None:
        """
        Who is the candidate's is kept, and what it is about; the token of testers is not.
        """
        found = self.again()
        self.assertEqual((found.id, found.state, found.step, found.trial), ("r1", "waiting", None, None))
        self.assertEqual((found.permutation, found.salt), (self.rollout.permutation, self.rollout.salt))
        self.assertEqual(found.newcomer, replace(self.rollout.newcomer, policy=replace(POLICY, testers=None)))
        self.assertEqual((found.bases, found.transitions), ({"a": OLD}, self.rollout.transitions))

    def test_canary(self) -> None:
        """
        So are its step, its evidence, and how long it has lasted.
        """
        rollout = self.rollout
        rollout.beginStep(0, "", "edge")
        for index in (1, 2):
            rollout.beginStep(index, "", "edge", rollout.trialOf(index, b""))
        now = self.clock.seconds()
        firsts = tuple(First(now, "faults", bucket, True) for bucket in range(BUCKETS_HIT))
        times, known = (BucketTime(3, False, 2, -9.0),), {"a": (1e-4, 1e-3, 1e-2)}
        running, candidate = ArmCounts(9000), ArmCounts(500, faults=9)
        rollout.heard(TrialEvidence("r1", running, candidate, firsts, times, thresholds=known))
        for _ in range(3):
            self.clock.advance(1)
            rollout.tick()
        rollout.decision()
        rollout.hold("to look at it", "jane")
        rollout.note("b: 1.0 runs")
        found = self.again()
        self.assertEqual((found.index, found.elapsed, found.isHeld), (2, 3.0, True))
        self.assertEqual(found.trial, replace(rollout.trialOf(2, b""), testers=None))
        self.assertEqual(found.trial and found.trial.known, {"a": (1e-4, 1e-3, 1e-2)})
        self.assertEqual(found.decision(), rollout.decision())
        assert found.judge is not None and rollout.judge is not None
        self.assertEqual(found.judge.families(), rollout.judge.families())
        self.assertEqual((found.notes, found.verdict), (rollout.notes, rollout.verdict))

    def test_sure(self) -> None:
        """
        However sure a judge is, that can be written.
        """
        rollout = self.rollout
        rollout.beginStep(2, "", "edge", rollout.trialOf(2, b""))
        assert rollout.trial is not None
        now, canary = self.clock.seconds(), [each for each in range(4096) if rollout.trial.isCandidates(each)]
        firsts = tuple(First(now, "faults", bucket, True) for bucket in canary)
        rollout.heard(TrialEvidence("r1", ArmCounts(9000), ArmCounts(500, faults=500), firsts))
        self.assertEqual(rollout.decision().what, "roll-back")
        self.assertEqual(self.again().verdict, rollout.verdict)

    def test_down(self) -> None:
        """
        Time in which no edge ran is not counted.
        """
        self.rollout.beginStep(1, "", "edge", self.rollout.trialOf(1, b""))
        self.clock.advance(3600)
        found = self.again()
        self.clock.advance(1)
        found.tick()
        self.assertEqual(found.elapsed, 1.0)

    def test_damaged(self) -> None:
        """
        What cannot be is no rollout.
        """
        kept = saved(self.rollout, configText)
        wrong: tuple[dict[str, Any], ...] = (
            {"permutation": b"short"}, {"permutation": bytes(8192)}, {"index": 3}, {"index": 1}, {"candidates": ()},
        )  # fmt: skip
        for each in wrong:
            with self.assertRaises(ValueError, msg=each):
                restored(msgspec.structs.replace(kept, **each), self.stored, self.readConfig, self.clock.seconds, b"")
        lost = msgspec.structs.replace(kept.candidates[0], digest="0" * 64)
        with self.assertRaises(StoreError):
            kept = msgspec.structs.replace(kept, candidates=(lost,))
            restored(kept, self.stored, self.readConfig, self.clock.seconds, b"")

    def test_notUnderstood(self) -> None:
        """
        A file of a newer revproxy, and one that is none, are not understood.
        """
        for data in (b'{"format": 2}', b"{", b'{"format": 1}', b"\xff"):
            self.assertRaises(ValueError, parsed, data)


BUCKETS_HIT = 9
