"""
What is remembered of versions on trial.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.rolloutpolicy import USUAL
from revproxy.control.candidates import remembered
from revproxy.control.planning.ongoing import Ending, Newcomer, Ongoing, Rolled
from revproxy.control.state.records import PluginRecords
from revproxy.plan.catalog import Selected
from revproxy.plan.plan import Plan
from tests.control.conversations import makeConfig
from tests.plan.plans import entry

OLD, NEW = entry("a", "1.0.0"), entry("a", "2.0.0")
NEWCOMER = Newcomer({"a": NEW}, USUAL)


class CandidateTests(SynchronousTestCase):
    """
    a 1.0.0 runs, and 2.0.0 is on trial.
    """

    def setUp(self) -> None:
        self.kept: list[str] = []
        self.plan = Plan(1, makeConfig(), {"a": OLD}, (Selected(OLD, {}),), ())
        self.records = PluginRecords().ran("a", str(OLD.digest), "1.0.0", 1.0)
        self.ongoing = Ongoing("r1", NEWCOMER, {"a": OLD.digest})

    async def keepCandidate(self, name: str, candidate: Any) -> None:
        """Of the keeper."""
        self.kept.append(str(candidate.manifest))

    def after(self, rolled: Rolled, *ongoing: Ongoing) -> PluginRecords:
        """What is remembered after that."""
        keeper: Any = self
        work = remembered(keeper, self.records, self.plan, rolled, ongoing, 5.0)
        return self.successResultOf(Deferred.fromCoroutine(work))

    def state(self, records: PluginRecords) -> Any:
        """Of 2.0.0."""
        known = records.get("a").find(str(NEW.digest))
        return None if known is None or known.trial is None else (known.trial.state, known.trial.blocks)

    def test_begins(self) -> None:
        """
        Its files are kept, it is no version to go back to, and it is not let go of.
        """
        records = self.after(Rolled(newcomers=(NEWCOMER,)))
        self.assertEqual((self.kept, self.state(records)), (["a 2.0.0"], ("going", False)))
        self.assertEqual(records.get("a").running, OLD.digest)
        self.assertIn(NEW.digest, records.toKeep("a", 0))
        later = records.ran("a", "f" * 64, "3.0.0", 9.0)
        self.assertEqual([each.version for each in later.goodBefore("a", "f" * 64)], ["1.0.0"])

    def test_ends(self) -> None:
        """
        How it ended is known; and forgotten when it runs.
        """
        self.records = self.after(Rolled(newcomers=(NEWCOMER,)))
        records = self.after(Rolled(((self.ongoing, Ending("rolled-back", "it was worse", True)),)), self.ongoing)
        self.assertEqual(self.state(records), ("rolled-back", True))
        self.assertNotIn(NEW.digest, records.toKeep("a", 0))
        self.assertIsNone(self.state(records.ran("a", str(NEW.digest), "2.0.0", 9.0)))

    def test_lost(self) -> None:
        """
        What is remembered to be on trial, and is not, is over.
        """
        self.records = self.after(Rolled(newcomers=(NEWCOMER,)))
        self.assertEqual(self.state(self.after(Rolled(), self.ongoing)), ("going", False))
        self.assertEqual(self.state(self.after(Rolled())), ("aborted", False))

    def test_setOtherwise(self) -> None:
        """
        What runs stays what it is, if it is on trial with another configuration.
        """
        newcomer = Newcomer({"a": OLD}, USUAL, settings=makeConfig(), said={"a": "x"})
        self.assertEqual(self.after(Rolled(newcomers=(newcomer,))), self.records)
        self.assertEqual(self.kept, [])
