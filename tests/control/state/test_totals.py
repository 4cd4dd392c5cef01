"""
What versions have done, added up.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.state.totals import Totals
from revproxy.plan.counted import ThreadFigures, VersionCounters
from revproxy.plan.versionid import VersionId
from revproxy.plan.words import Counters, Failures, LastFailure

OLD, NEW, DROPIN = VersionId("1.0", "1" * 64), VersionId("2.0", "2" * 64), VersionId("1.0")


class TotalsTests(SynchronousTestCase):
    """
    Sums over workers, and over time.
    """

    def setUp(self) -> None:
        self.totals = Totals()

    def test_nothing(self) -> None:
        """
        Of what nobody told anything there are zeros.
        """
        self.assertEqual(self.totals.of("a", OLD.digest), VersionCounters("a", VersionId(digest=OLD.digest)))
        self.assertEqual(self.totals.retired("a"), 0)

    def test_sums(self) -> None:
        """
        What workers tell is added, each figure by itself, and each version by itself.
        """
        first = VersionCounters("a", OLD, 7, 6, 5, 4, 3, 0.5)
        self.totals.add(0, Counters((first, VersionCounters("a", NEW, 1))))
        self.totals.add(1, Counters((VersionCounters("a", OLD, 10, 1, 1, 1, 1, 0.25),)))
        self.totals.add(0, Counters((VersionCounters("a", OLD, 100), VersionCounters("b", OLD, 1))))
        self.assertEqual(self.totals.of("a", OLD.digest), VersionCounters("a", OLD, 117, 7, 6, 5, 4, 0.75))
        self.assertEqual(self.totals.of("a", NEW.digest).calls, 1)

    def test_retired(self) -> None:
        """
        Of versions that still exist the worker with most counts, as it told last.
        """
        self.totals.add(0, Counters(retired={"a": 3}))
        self.totals.add(1, Counters(retired={"a": 2, "b": 1}))
        self.assertEqual((self.totals.retired("a"), self.totals.retired("b")), (3, 1))
        self.totals.add(0, Counters())
        self.assertEqual((self.totals.retired("a"), self.totals.retired("b")), (2, 1))

    def test_gated(self) -> None:
        """
        A gate in any worker is one.
        """
        self.totals.add(0, Counters(gated=("a",)))
        self.totals.add(1, Counters())
        self.assertEqual((self.totals.isGated("a"), self.totals.isGated("b")), (True, False))
        self.totals.add(0, Counters())
        self.assertFalse(self.totals.isGated("a"))

    def test_threads(self) -> None:
        """
        Of all workers together, as they were told last.
        """
        self.assertIsNone(self.totals.threads("a"))
        self.totals.add(0, Counters(threads=(ThreadFigures("a", 8, 7, 1, 1, 1),)))
        self.totals.add(0, Counters(threads=(ThreadFigures("a", 8, 1, 2, 3, 4), ThreadFigures("b", 1))))
        self.totals.add(1, Counters(threads=(ThreadFigures("a", 8, 1),)))
        self.assertEqual(self.totals.threads("a"), ThreadFigures("a", 16, 2, 2, 3, 4))

    def test_lastFailure(self) -> None:
        """
        The last failure of each version is remembered, whoever told it first, also once another version runs; that of
        what goes on under another digest, too.
        """
        self.assertIsNone(self.totals.lastFailure("a", OLD.digest))
        for word in (
            Failures("a", OLD, 1, 9, LastFailure(5.0, "second")),
            Failures("a", OLD, 1, 9, LastFailure(4.0, "first")),
            Failures("a", OLD, 7, 9),
            Failures("a", DROPIN, 1, 9, LastFailure(1.0, "of a drop-in")),
        ):
            self.totals.failed(word)
        self.assertEqual(self.totals.lastFailure("a", OLD.digest), LastFailure(5.0, "second"))
        self.assertIsNone(self.totals.lastFailure("a", NEW.digest))
        self.totals.carryOver("a", OLD, NEW)
        self.totals.keepOnly({("a", str(NEW.digest))})
        found = [self.totals.lastFailure("a", version.digest) for version in (OLD, NEW, DROPIN)]
        self.assertEqual([failure and failure.message for failure in found], [None, "second", "of a drop-in"])

    def test_carryOver(self) -> None:
        """
        What goes on under another digest keeps its figures.
        """
        self.totals.add(0, Counters((VersionCounters("a", OLD, 5),)))
        self.totals.carryOver("a", OLD, NEW)
        self.totals.carryOver("b", OLD, NEW)
        self.assertEqual(self.totals.of("a", NEW.digest), VersionCounters("a", NEW, 5))
        self.assertEqual(self.totals.of("b", NEW.digest).calls, 0)

    def test_keepOnly(self) -> None:
        """
        Versions that are not remembered are forgotten; drop-ins have none to be remembered.
        """
        told = (VersionCounters("a", OLD, 1), VersionCounters("a", NEW, 2), VersionCounters("c", DROPIN, 3))
        self.totals.add(0, Counters(told))
        self.totals.keepOnly({("a", "2" * 64)})
        self.assertEqual([self.totals.of("a", each.digest).calls for each in (OLD, NEW)], [0, 2])
        self.assertEqual(self.totals.of("c", None).calls, 3)
