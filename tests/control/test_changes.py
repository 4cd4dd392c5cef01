"""
What somebody asks for, and what became of it.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.changes import NOTHING_ASKED, ChangeRefused, ChangeReport, ChangeRequest
from revproxy.plan.refusal import Refusal


class ChangeTests(SynchronousTestCase):
    """
    Values.
    """

    def test_refused(self) -> None:
        """
        Its text is what all refusals say, a line for each.
        """
        refusals = Refusal("a", "start", "no port"), Refusal("a", "order", "it requires b")
        refused = ChangeRefused(*refusals)
        self.assertEqual((str(refused), refused.refusals), ("no port\nit requires b", refusals))

    def test_nothing(self) -> None:
        """
        Where nothing is asked, nothing is forced, changed, or put behind a gate; and there is nothing to tell.
        """
        self.assertEqual(NOTHING_ASKED, ChangeRequest("", None, False, False, False, "", ""))
        self.assertEqual(ChangeReport(), ChangeReport((), (), ""))
