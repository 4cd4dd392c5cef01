"""What ends the alert of an event."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.readymadealerts import ENDS_AFTER, EVENTS, READY_MADE
from revproxy.control.alerts.endings import ENDINGS, endedBy, endingOf

KNOWN_BY_STATE = {"refused", "target-down", "upstream-down", "certificate-refused"}
"""Of these control itself says whether they still stand."""


class EndingTests(SynchronousTestCase):
    """The table."""

    def test_kinds(self) -> None:
        """It names events that there are."""
        named = set(ENDINGS) | {event for ending in ENDINGS.values() for event in ending.events}
        self.assertEqual(named - EVENTS, set())

    def test_everyOneEnds(self) -> None:
        """Nothing that is told of by itself goes on for ever."""
        for kind in {kind for rule in READY_MADE.values() for kind in rule.on}:
            ending = endingOf(kind)
            self.assertTrue(ending.events or ending.after or kind in KNOWN_BY_STATE, kind)

    def test_others(self) -> None:
        """What the table does not have is over after a while."""
        self.assertEqual(endingOf("asked").after, ENDS_AFTER)

    def test_endedBy(self) -> None:
        """The other way round."""
        self.assertEqual(endedBy("target-up"), ("target-down",))
        self.assertIn("quarantined", endedBy("replaced"))
        self.assertEqual(endedBy("asked"), ())
