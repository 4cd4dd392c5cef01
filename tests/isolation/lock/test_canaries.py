"""
Children that have to die.
"""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from revproxy.isolation.lock import canaries
from revproxy.isolation.lock.canaries import CALLS
from revproxy.isolation.lock.seccomp import DEADLY
from revproxy.isolation.lock.trial import Trial, attemptInChild
from tests.isolation.lock.inchildren import lockFor, machine


class CanaryTests(SynchronousTestCase):
    """
    Each of them.
    """

    def test_allDie(self) -> None:
        """As they should, here and now."""
        self.assertEqual(canaries.canaries(lockFor(machine())), ())

    def test_calls(self) -> None:
        """Each makes a call that is the end."""
        self.assertEqual(CALLS.keys() - set(DEADLY), set())

    def test_otherDeath(self) -> None:
        """Another death is not the right one, and what it said is told."""
        self.patch(canaries, "attemptInChild", lambda work: Trial(b"0", -9))
        told = canaries.canaries(lockFor(machine()))
        self.assertEqual(len(told), len(CALLS))
        self.assertEqual(told[0], "execve did not end a locked process: 0 (status -9)")


class TrialTests(SynchronousTestCase):
    """
    A child that tries something.
    """

    def test_says(self) -> None:
        """What it returns, and that it ended well; however long it is."""
        self.assertEqual(attemptInChild(lambda writing: b"x" * 10), Trial(b"x" * 10, 0))
        self.assertEqual(len(attemptInChild(lambda writing: b"x" * 1_000_000).said), 1_000_000)

    def test_raises(self) -> None:
        """What went wrong in there, with where."""
        trial = attemptInChild(lambda writing: 1 // 0)
        self.assertEqual(trial.status, 1)
        self.assertIn(b"ZeroDivisionError", trial.said)

    def test_exits(self) -> None:
        """It never comes back into the code of the one that has forked it."""

        def leave(writing: int) -> bytes:
            raise SystemExit(0)

        self.assertEqual(attemptInChild(leave).status, 1)

    def test_dies(self) -> None:
        """Of a signal, whose number is told."""
        self.assertEqual(attemptInChild(lambda writing: os.kill(os.getpid(), 9) or b""), Trial(b"", -9))
