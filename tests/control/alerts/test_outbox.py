"""What a receiver is still to be told."""

from __future__ import annotations

from hypothesis import given
from hypothesis.strategies import integers, lists, sampled_from, tuples
from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.alerts.alert import Alert
from revproxy.control.alerts.messages import Message
from revproxy.control.alerts.outbox import GIVE_UP, MOST_DEAD, MOST_PENDING, DeadLetter, Outbox
from tests.control.alerts.doubles import PAGER, alertOf, configOf


class OutboxCase(SynchronousTestCase):
    """One with the usual times: 10 s, 5 min, 4 h."""

    def setUp(self) -> None:
        self.outbox = Outbox(configOf(PAGER))
        self.firing: dict[str, Alert] = {}

    def fires(self, now: float, name: str = "down", n: str = "") -> None:
        alert = alertOf(name, n, now)
        self.firing[alert.fingerprint] = alert
        self.outbox.changed(alert, now)

    def resolves(self, now: float, name: str = "down", n: str = "") -> None:
        alert = alertOf(name, n, now - 1, now)
        self.firing.pop(alert.fingerprint, None)
        self.outbox.changed(alert, now)

    def sent(self, now: float, arrives: bool = True) -> list[str]:
        """What is sent at a time: name and state of each alert; a message is in brackets."""
        self.outbox.make(now, self.firing.get)
        found = []
        while (waiting := self.outbox.due(now)) is not None:
            found.append(textOf(waiting.message))
            if arrives:
                self.outbox.delivered(waiting.message)
            else:
                self.outbox.failed(waiting, "away", now + 5, now)
        return found


def textOf(message: Message) -> str:
    return " ".join(
        f"{entry.labels['alertname']}{entry.labels.get('n', '')}"
        f"{'=' if entry.isRepeated else '+' if entry.status == 'firing' else '-'}"
        for entry in message.entries
    )


class GroupTests(OutboxCase):
    """What goes into one message, and when."""

    def test_waits(self) -> None:
        """The first message waits for others of its group."""
        self.fires(0, n="1")
        self.assertEqual(self.outbox.next, 10)
        self.fires(5, n="2")
        self.fires(6, "slow")
        self.assertEqual(self.sent(9), [])
        self.assertEqual(self.sent(10), ["down1+ down2+"])
        self.assertEqual(self.sent(16), ["slow+"])

    def test_interval(self) -> None:
        """The next one of the group waits for its interval, and has what is new only."""
        self.fires(0, n="1")
        self.sent(10)
        self.fires(11, n="2")
        self.resolves(12, n="1")
        self.assertEqual([self.sent(now) for now in (12, 309)], [[], []])
        self.assertEqual(self.sent(310), ["down2+ down1-"])

    def test_newGroup(self) -> None:
        """When all was over for an interval, what comes is a new group, which waits again."""
        self.fires(0)
        self.sent(10)
        self.resolves(20)
        self.sent(310)
        self.assertEqual(len(self.outbox.groups), 1)
        self.fires(700)
        self.assertEqual(self.outbox.next, 710)
        self.sent(710)
        self.resolves(800)
        self.sent(1010)
        self.sent(1310)
        self.assertEqual(self.outbox.groups, {})

    def test_repeats(self) -> None:
        """While alerts go on they are told again."""
        self.fires(0)
        self.sent(10)
        self.assertEqual(self.outbox.next, 10 + 14400)
        self.assertEqual(self.sent(14409), [])
        self.assertEqual(self.sent(14410), ["down="])
        self.firing.clear()  # it was silenced
        self.assertEqual(self.sent(28810), [])

    def test_flapping(self) -> None:
        """Ten times a minute, for an hour: one message each interval at most, and in the end it is known how it is."""
        messages = []
        for now in range(3600):
            if now % 6 == 0:
                self.fires(now)
            elif now % 6 == 3:
                self.resolves(now)
            messages += [(now, text) for text in self.sent(now)]
        self.assertEqual([now for now, _ in messages], list(range(10, 3600, 300)))
        self.assertEqual(self.sent(3700)[-1][-1], "-")

    def test_together(self) -> None:
        """Without labels to group by, all alerts go into one message."""
        self.outbox = Outbox(configOf(PAGER, groupBy=()))
        self.fires(0, "down")
        self.fires(1, "slow")
        self.assertEqual(self.sent(10), ["down+ slow+"])

    def test_regrouped(self) -> None:
        """With other groups, what was told is known, and what waits still arrives."""
        self.fires(0, n="1")
        self.sent(10)
        self.fires(20, n="2")
        self.fires(20, "slow")
        self.sent(40, arrives=False)
        self.outbox.adopt(configOf(PAGER, groupBy=()), 41)
        self.resolves(50, n="1")
        self.assertEqual(self.sent(400), ["slow+", "down2+ down1-"])


class AwayTests(OutboxCase):
    """A receiver that is away hears of each alert and state once."""

    def test_once(self) -> None:
        """Ten minutes: some fire, some are resolved, some come and go."""
        for now in range(600):
            if now == 5:
                self.fires(now, n="1")
            if now in (30, 120, 200):
                self.fires(now, n="2")
            if now in (60, 150):
                self.resolves(now, n="2")
            if now == 90:
                self.fires(now, n="3")
            if now == 400:
                self.resolves(now, n="3")
            if now == 500:
                self.resolves(now, n="1")
            self.sent(now, arrives=False)
        heard = [text for now in range(600, 1300) for text in self.sent(now)]
        self.assertEqual(heard, ["down1+", "down3+ down2+ down3- down1-"])

    def test_sameMessage(self) -> None:
        """What is tried again is the same message, with the same id, whatever has happened since."""
        self.fires(0)
        self.outbox.make(10, self.firing.get)
        first = self.outbox.due(10)
        assert first is not None
        self.resolves(20)
        self.outbox.failed(first, "away", 15, 10)
        self.outbox.make(400, self.firing.get)
        again = self.outbox.due(400)
        assert again is not None
        self.assertIs(again.message, first.message)
        self.assertEqual((again.attempts, again.error), (1, "away"))

    def test_comesAndGoes(self) -> None:
        """What came and went before it was told is told as both; what was told and is as it was is not told."""
        self.fires(0)
        self.resolves(1)
        self.assertEqual(self.sent(10), ["down+ down-"])
        self.fires(20)
        self.assertEqual(self.sent(310), ["down+"])
        self.resolves(320)
        self.fires(330)
        self.assertEqual(self.sent(1000), [])

    @given(lists(tuples(sampled_from("fr"), integers(1, 100), sampled_from([True, False])), max_size=30))
    def test_anyCourse(self, steps: list[tuple[str, int, bool]]) -> None:
        """However an alert comes and goes, and whatever arrives: what is told alternates, and ends with how it is."""
        self.setUp()
        now, isFiring, heard = 0.0, False, ""
        for what, seconds, arrives in steps:
            now += seconds
            if what == "f" and not isFiring:
                self.fires(now)
            elif what == "r" and isFiring:
                self.resolves(now)
            isFiring = what == "f"
            told = self.sent(now, arrives)
            heard += " ".join(told) if arrives else ""
        for _ in range(3):
            now += 400
            heard += " ".join(self.sent(now))
        states = [each for each in heard if each in "+-"]
        self.assertEqual(states, ["+", "-"] * (len(states) // 2) + ["+"] * (len(states) % 2))
        if any(what == "f" for what, _, _ in steps):
            self.assertEqual(states[-1:], ["+" if isFiring else "-"])


class SilencedTests(OutboxCase):
    """What is not to be told."""

    def test_withdrawn(self) -> None:
        """What was not told yet is not told; what was, is told when it is over."""
        self.fires(0, n="1")
        self.sent(10)
        self.fires(20, n="2")
        for n in "12":
            self.outbox.withdraw(alertOf(n=n), 30)
        self.assertTrue(self.outbox.isKnown(alertOf(n="1")))
        self.assertFalse(self.outbox.isKnown(alertOf(n="2")))
        self.assertEqual(self.sent(310), [])
        self.resolves(400, n="1")
        self.assertEqual(self.sent(400), ["down1-"])


class DeadTests(OutboxCase):
    """What cannot be delivered for a day."""

    def test_givenUp(self) -> None:
        """It is put aside with its reason, and can be taken up again, as the same message."""
        self.fires(0)
        self.assertEqual(self.sent(10, arrives=False), ["down+"])
        waiting = self.outbox.due(15)
        assert waiting is not None
        self.assertFalse(self.outbox.failed(waiting, "away", 20, 10 + GIVE_UP - 1))
        self.assertTrue(self.outbox.failed(waiting, "gone", 20, 10 + GIVE_UP))
        (letter,) = self.outbox.dead
        self.assertEqual((letter.reason, letter.attempts, letter.message.id), ("gone", 3, waiting.message.id))
        self.assertEqual((self.outbox.queued, self.outbox.redeliver(100000), len(self.outbox.dead)), (0, 1, 0))
        again = self.outbox.due(100000)
        assert again is not None
        self.assertEqual(again.message, letter.message)
        self.assertFalse(self.outbox.failed(again, "away", 100010, 100001))

    def test_bounds(self) -> None:
        """The oldest changes go, and are counted; the oldest dead letters go."""
        for n in range(MOST_PENDING + 7):
            self.fires(0, n=str(n))
        self.assertEqual(self.outbox.dropped, 7)
        self.assertEqual(sum(len(group.pending) for group in self.outbox.groups.values()), MOST_PENDING)
        for _ in range(MOST_DEAD + 2):
            self.outbox.dead.append(self.outbox.dead[0] if self.outbox.dead else self._letter())
        self.assertEqual(len(self.outbox.dead), MOST_DEAD)

    def _letter(self) -> DeadLetter:
        return DeadLetter(Message("m", {}, (), 0.0), 0.0, "gone", 1)
