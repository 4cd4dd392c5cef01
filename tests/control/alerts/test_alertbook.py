"""What becomes of alerts, as transcripts: what is seen at which second, and what is told."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.alerts.alert import Alert, Sighting, State
from revproxy.control.alerts.alertbook import MOST, MOST_RESOLVED, AlertBook
from revproxy.control.alerts.labels import fingerprint


def seen(n: str = "1", wait: float = 0.0, text: str = "so it is") -> Sighting:
    return Sighting("down", {"alertname": "down", "n": n}, "It is down", text, wait)


A = fingerprint(seen().labels)


class BookCase(SynchronousTestCase):
    """A book, and what it tells."""

    def setUp(self) -> None:
        self.told: list[tuple[str, State]] = []
        self.book = AlertBook(self._tell)

    def _tell(self, alert: Alert) -> None:
        self.told.append((alert.labels["n"], alert.state))

    def assertTranscript(self, wait: float, *steps: tuple[float, str, str]) -> None:
        """Each step: the second, what is seen, and what state the alert has then."""
        for now, what, state in steps:
            if what == "holds":
                self.book.holds(seen(wait=wait), now)
            elif what == "over":
                self.book.isOver(A, "well again", now)
            elif what == "silent":
                self.book.isSilent(A, now)
            else:
                self.book.advance(A, wait, now)
            alert = self.book.get(A)
            self.assertEqual("none" if alert is None else alert.state.value, state, f"at {now}: {what}")


class TranscriptTests(BookCase):
    """Each way through the states."""

    def test_atOnce(self) -> None:
        """Without a wait it fires with the first sighting; that it goes on is nothing new."""
        self.assertTranscript(
            0, (0, "holds", "firing"), (5, "holds", "firing"), (9, "over", "none"), (10, "over", "none"),
        )
        self.assertEqual(self.told, [("1", State.FIRING), ("1", State.RESOLVED)])

    def test_waits(self) -> None:
        """With a wait it has to hold all the time."""
        self.assertTranscript(
            30, (0, "holds", "pending"), (29, "holds", "pending"), (29.5, "over", "none"), (30, "holds", "pending"),
            (55, "holds", "pending"), (60, "holds", "firing"), (61, "over", "none"),
        )
        self.assertEqual(self.told, [("1", State.FIRING), ("1", State.RESOLVED)])

    def test_event(self) -> None:
        """What happened once fires when nothing has ended it until then."""
        self.assertTranscript(
            30, (0, "holds", "pending"), (29, "time", "pending"), (30, "time", "firing"), (31, "time", "firing"),
        )
        self.assertEqual(self.told, [("1", State.FIRING)])

    def test_noTraffic(self) -> None:
        """No traffic is neither good nor bad: what fired is not over, what might have fired begins anew."""
        self.assertTranscript(
            30, (0, "silent", "none"), (1, "holds", "pending"), (20, "silent", "none"), (31, "holds", "pending"),
            (61, "holds", "firing"), (70, "silent", "no-traffic"), (80, "silent", "no-traffic"),
            (90, "holds", "firing"), (95, "silent", "no-traffic"), (99, "over", "none"),
        )
        self.assertEqual(self.told, [("1", State.FIRING), ("1", State.RESOLVED)])

    def test_again(self) -> None:
        """What comes again after it was over begins anew."""
        self.assertTranscript(0, (0, "holds", "firing"), (5, "over", "none"), (9, "holds", "firing"))
        alert = self.book.get(A)
        assert alert is not None
        self.assertEqual((alert.since, alert.firedAt), (9, 9))


class ValueTests(BookCase):
    """What is remembered of each."""

    def test_times(self) -> None:
        """When it began, when it fired, when it was seen last, when it was over, and why."""
        for now, text in ((1.0, "first"), (4.0, "second"), (6.0, "third")):
            self.book.holds(seen(wait=3, text=text), now)
        alert = self.book.get(A)
        assert alert is not None
        self.assertEqual((alert.since, alert.firedAt, alert.lastAt, alert.text), (1.0, 4.0, 6.0, "third"))
        self.book.isOver(A, "well again", 8.0)
        (over,) = self.book.resolved
        self.assertEqual((over.endedAt, over.why, over.state), (8.0, "well again", State.RESOLVED))

    def test_silentSince(self) -> None:
        """Since when there is no traffic, until there is some."""
        self.book.holds(seen(), 0)
        for now in (5.0, 9.0):
            self.book.isSilent(A, now)
        self.assertEqual([alert.silentAt for alert in self.book], [5.0])
        self.book.holds(seen(), 12)
        self.assertEqual([alert.silentAt for alert in self.book], [None])


class BoundTests(BookCase):
    """Nothing grows for ever."""

    def test_many(self) -> None:
        """Beyond the most, new ones are refused; known ones go on."""
        for n in range(MOST + 3):
            self.book.holds(seen(str(n)), 0)
        self.assertEqual((len(self.book), self.book.refused), (MOST, 3))
        self.assertIsNotNone(self.book.holds(seen("5"), 1))
        self.assertIsNone(self.book.holds(seen("new"), 1))

    def test_resolved(self) -> None:
        """Of those that are over the last ones are shown."""
        for n in range(MOST_RESOLVED + 5):
            self.book.holds(seen(str(n)), n)
            self.book.isOver(fingerprint(seen(str(n)).labels), "", n + 0.5)
        self.assertEqual([alert.labels["n"] for alert in self.book.resolved][:2], ["5", "6"])
        self.assertEqual(len(self.book.resolved), MOST_RESOLVED)

    def test_restored(self) -> None:
        """What was before a restart goes on, and nobody is told of it again."""
        self.book.holds(seen(), 0)
        other = AlertBook(self._tell)
        other.restore(list(self.book), [])
        other.holds(seen(), 50)
        self.assertEqual([(alert.since, alert.lastAt) for alert in other], [(0, 50)])
        self.assertEqual(self.told, [("1", State.FIRING)])
