"""What nobody is to be told of, for a time."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.alerts.silences import LONGEST, MOST, Silences

DOWN = {"alertname": "target-down", "upstream": "api"}


class SilencesTests(SynchronousTestCase):
    """They match, and they end."""

    def test_course(self) -> None:
        """From the moment it is said up to its end, or until somebody ends it."""
        silences = Silences()
        first = silences.add(["alertname=target-*"], 60, "ann", "works on it", 100)
        second = silences.add(["upstream=api"], 600, "ben", "", 100)
        self.assertEqual((silences.of(DOWN), silences.of({"alertname": "slow"}), silences.next), (first, None, 160))
        self.assertEqual(silences.expire(159), [])
        self.assertEqual(silences.expire(160), [first])
        self.assertEqual(silences.of(DOWN), second)
        self.assertEqual((silences.remove(second.id), silences.remove(second.id)), (second, None))
        self.assertEqual((list(silences), silences.next), ([], None))

    def test_shown(self) -> None:
        """Who has said what, why, and until when."""
        silence = Silences().add(["alertname=a*", "upstream!=b"], 60, "ann", "works on it", 100)
        self.assertEqual(silence.asDict(), {
            "id": silence.id, "matchers": ["alertname=a*", "upstream!=b"], "by": "ann", "reason": "works on it",
            "at": 100, "until": 160})

    def test_restored(self) -> None:
        """Over a restart, as far as they still hold."""
        silences, after = Silences(), Silences()
        silences.add(["a=1"], 60, "", "", 0)
        kept = silences.add(["a=2"], 600, "", "", 0)
        after.restore(silences, 100)
        self.assertEqual(list(after), [kept])

    def test_refused(self) -> None:
        """One that lasts too long or not at all, has no matcher, or a long reason; and too many."""
        silences = Silences()
        for matchers, seconds, reason in (
            (["a=b"], 0, ""), (["a=b"], LONGEST + 1, ""), ([], 60, ""), (["a=b"], 60, "x" * 501),
        ):
            self.assertRaises(ValueError, silences.add, matchers, seconds, "", reason, 0)
        for _ in range(MOST):
            silences.add(["a=b"], 60, "", "", 0)
        self.assertIn("200 silences already", str(self.assertRaises(ValueError, silences.add, ["a=b"], 60, "", "", 0)))
