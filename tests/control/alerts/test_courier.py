"""How messages get to one receiver."""

from __future__ import annotations

import json

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.alertsettings import ReceiverConfig
from revproxy.control.alerts.alert import Alert
from revproxy.control.alerts.courier import LONGEST_PAUSE, Courier, pauseAfter
from revproxy.control.alerts.messages import testMessage
from revproxy.control.alerts.outbox import Outbox
from revproxy.control.alerts.sender import Answer, NotSent, Outgoing
from tests.control.alerts.doubles import CHAT, PAGER, FakeSender, alertOf, configOf, entriesOf

AWAY = NotSent("cannot be connected to: Connection refused")


class CourierCase(SynchronousTestCase):
    """One to a receiver that answers as it is told to."""

    receiver: ReceiverConfig = PAGER

    def setUp(self) -> None:
        self.clock = Clock()
        self.sender = FakeSender()
        self.firing: dict[str, Alert] = {}
        self.events: list[tuple[str, str]] = []
        self.outbox = Outbox(configOf(self.receiver))
        self.courier = Courier(
            self.receiver, self.outbox, self.sender, self.clock, self.firing.get,
            lambda kind, text, name: self.events.append((kind, text)), lambda: None, lambda: 0.5,
        )

    def fires(self, name: str = "down", n: str = "") -> None:
        alert = alertOf(name, n, self.clock.seconds())
        self.firing[alert.fingerprint] = alert
        self.courier.changed(alert)

    def resolves(self, name: str = "down", n: str = "") -> None:
        now = self.clock.seconds()
        alert = alertOf(name, n, now, now)
        self.firing.pop(alert.fingerprint, None)
        self.courier.changed(alert)

    def passes(self, seconds: int) -> None:
        self.clock.pump([1] * seconds)

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.events]


class DeliveryTests(CourierCase):
    """A receiver that takes what it is sent."""

    def test_once(self) -> None:
        """It is told once, and nothing more happens."""
        self.fires()
        self.passes(9)
        self.assertEqual(self.sender.sent, [])
        self.passes(3000)
        self.assertEqual(self.sender.told(), [("down", "firing")])
        self.assertEqual((self.courier.deliveredAt, self.courier.lastError, self.courier.failures), (10, "", 0))
        self.assertEqual(self.events, [])

    def test_flapping(self) -> None:
        """Ten times a minute for half an hour: six messages."""
        for _ in range(300):
            self.fires()
            self.passes(3)
            self.resolves()
            self.passes(3)
        self.assertEqual(len(self.sender.sent), 6)

    def test_stopped(self) -> None:
        """At the end nothing is left to happen."""
        self.sender.says(None)
        self.fires()
        self.passes(10)
        self.courier.stop()
        self.assertEqual((self.sender.cancelled, self.clock.getDelayedCalls()), (1, []))
        self.assertEqual(self.outbox.queued, 1)
        self.assertEqual(self.events, [])


class AwayTests(CourierCase):
    """One that does not."""

    def test_tenMinutes(self) -> None:
        """It is away for ten minutes: it hears of each alert and state once, within as long again."""
        self.sender.says(AWAY)
        names = [str(n) for n in range(20)]
        for n in names:
            self.fires("a" if int(n) % 2 else "b", n)
            self.passes(10)
        for n in names[:10]:
            self.resolves("a" if int(n) % 2 else "b", n)
        self.passes(400)
        before = len(self.sender.sent)
        self.assertLess(before, 10)
        self.sender.says(Answer(200))
        self.passes(900)
        heard = self.sender.told(before)
        self.assertEqual(len(heard), len(set(heard)))
        self.assertEqual(sorted(heard), sorted(
            [(f"{'a' if int(n) % 2 else 'b'} {n}", "firing") for n in names]
            + [(f"{'a' if int(n) % 2 else 'b'} {n}", "resolved") for n in names[:10]]))
        self.assertEqual(self.kinds, ["alert-undelivered", "alert-delivered"])

    def test_sameId(self) -> None:
        """Each try has the same id."""
        self.sender.says(Answer(503, "busy"))
        self.fires()
        self.passes(100)
        self.assertEqual(len({request.headers["webhook-id"] for request in self.sender.sent}), 1)
        self.assertEqual(self.courier.lastError, "it answered 503: busy")

    def test_pauses(self) -> None:
        """They grow, each a fifth more or less, up to a quarter of an hour."""
        self.sender.says(AWAY)
        self.fires()
        times = []
        for second in range(1, 4000):
            before = len(self.sender.sent)
            self.clock.advance(1)
            times += [second] * (len(self.sender.sent) - before)
        self.assertEqual(times, [10, 15, 25, 45, 85, 165, 325, 645, 1285, 2185, 3085, 3985])
        self.assertEqual(pauseAfter(1, lambda: 0.0), 4.0)
        self.assertAlmostEqual(pauseAfter(1, lambda: 1.0), 6.0)
        self.assertEqual(pauseAfter(10000, lambda: 0.5), LONGEST_PAUSE)

    def test_dead(self) -> None:
        """After a day a message is given up, which is an event; it can be tried again."""
        self.sender.says(AWAY)
        self.fires()
        for _ in range(2 * 24 * 60):
            self.clock.advance(60)
        self.assertEqual(self.kinds[:2], ["alert-undelivered"] * 2)
        self.assertIn("`revproxy alerts redeliver pager`", self.events[1][1])
        dead = self.courier.deadAsDicts()
        self.assertEqual((dead[-1]["alerts"], dead[-1]["reason"]), (["down: firing"], str(AWAY)))
        self.sender.says(Answer(200))
        sent, count = len(self.sender.sent), self.courier.deadLetters
        self.assertEqual(self.courier.redeliver(), count)
        self.passes(2)
        self.assertEqual(self.courier.deadLetters, 0)
        self.assertIn(dead[-1]["id"], [request.headers["webhook-id"] for request in self.sender.sent[sent:]])

    def test_neverAnswers(self) -> None:
        """One that never answers has one request open, and no more."""
        self.sender.says(None)
        for n in "123":
            self.fires(f"rule{n}")
        self.passes(1000)
        self.assertEqual(len(self.sender.open), 1)

    def test_retryAfter(self) -> None:
        """It is left alone for as long as it asks."""
        self.sender.says(Answer(429, retryAfter=100.0))
        self.fires()
        self.passes(109)
        self.assertEqual(len(self.sender.sent), 1)
        self.passes(1)
        self.assertEqual(len(self.sender.sent), 2)

    def test_refusedMessage(self) -> None:
        """A message that is refused by itself keeps no other; it is told once."""
        poison = "poison"

        def answer(request: Outgoing) -> Answer:
            return Answer(400, "no") if entriesOf(request)[0][0] == poison else Answer(200)

        self.sender.answer = answer
        self.fires(poison)
        self.passes(1)
        self.fires("a")
        self.fires("b")
        self.passes(600)
        heard = [entry for entry in self.sender.told() if entry[0] != poison]
        self.assertEqual(heard, [("a", "firing"), ("b", "firing")])
        self.assertEqual(self.outbox.queued, 1)
        self.assertEqual(self.kinds.count("alert-undelivered"), 1)

    def test_gone(self) -> None:
        """410 of a webhook: it is told nothing any more, which is an event, until a test is taken."""
        self.sender.says(Answer(410))
        self.fires()
        self.passes(5000)
        self.fires("other")
        self.passes(5000)
        self.assertEqual((len(self.sender.sent), self.kinds, self.courier.isDisabled), (1, ["receiver-disabled"], True))
        self.sender.says(Answer(200))
        self.successResultOf(self._test())
        self.courier.wake()
        self.passes(20)
        self.assertEqual(self.sender.told(2), [("down", "firing"), ("other", "firing")])
        self.assertEqual(self.kinds[-1], "alert-delivered")

    def _test(self) -> Deferred[Answer]:
        return Deferred.fromCoroutine(self.courier.test(testMessage(self.clock.seconds(), "pager", "ann")))


class SlackTests(CourierCase):
    """Slack takes one message a second."""

    receiver = CHAT

    def test_pause(self) -> None:
        """Many groups at once are told one after the other."""
        for n in range(5):
            self.fires(f"rule{n}")
        self.passes(10)
        self.assertEqual(len(self.sender.sent), 1)
        for count in (2, 3, 4, 5, 5):
            self.passes(1)
            self.assertEqual(len(self.sender.sent), count)
        self.assertEqual(json.loads(self.sender.sent[0].body)["text"], "Firing: rule0")

    def test_gone(self) -> None:
        """Its 410 is a failure as any other."""
        self.sender.says(Answer(410, "channel_is_archived"))
        self.fires()
        self.passes(20)
        self.assertEqual((self.courier.isDisabled, len(self.sender.sent)), (False, 2))
