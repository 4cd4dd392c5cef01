"""Tests for `revproxy.worker.participant`: what every participant offers, and how it refuses."""

from __future__ import annotations

import inspect

from twisted.trial.unittest import SynchronousTestCase

from revproxy.plan.refusal import Refusal
from revproxy.worker.accesslogging import AccessLogging
from revproxy.worker.bounds import Bounds
from revproxy.worker.generations import Generations
from revproxy.worker.listeners import ListenerSet
from revproxy.worker.participant import Participant, Refused
from revproxy.worker.routes import Routes
from revproxy.worker.staging import Staging
from tests.worker.workers import WorkerCase

PARTICIPANTS = (Routes, Staging, ListenerSet, AccessLogging, Bounds, Generations)


class RefusedTests(SynchronousTestCase):
    """`Refused`."""

    def test_all(self) -> None:
        """It has all that is wrong, and says it line by line."""
        refusals = Refusal("p", "start", "one"), Refusal("", "listen", "two")
        refused = Refused(*refusals)
        self.assertEqual((refused.refusals, str(refused)), (refusals, "one\ntwo"))


class ContractTests(WorkerCase):
    """The participants of a worker."""

    def test_steps(self) -> None:
        """Each offers the same steps: a commit is at once, and everything else may take its time."""
        participants = self.worker._participants()
        self.assertEqual(tuple(map(type, participants)), PARTICIPANTS)
        for participant in participants:
            for step in ("prepare", "ready", "commit", "abandon"):
                method = getattr(participant, step)
                self.assertEqual(inspect.iscoroutinefunction(method), step != "commit", f"{participant} {step}")
                expected = list(inspect.signature(getattr(Participant, step)).parameters)[1:]
                self.assertEqual(list(inspect.signature(method).parameters), expected)
                self.assertTrue(inspect.getdoc(method))
