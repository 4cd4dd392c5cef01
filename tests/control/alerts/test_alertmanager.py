"""What Alertmanagers are told, and when."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.alerts.alert import Alert
from revproxy.control.alerts.alertmanager import Feed
from revproxy.control.alerts.messages import testMessage
from revproxy.control.alerts.sender import Answer, NotSent, Outgoing
from tests.control.alerts.doubles import OPS, FakeSender, alertOf

FIRST, SECOND = "http://am1.test/api/v2/alerts", "http://am2.test/prefix/api/v2/alerts"


class FeedTests(SynchronousTestCase):
    """Two of them."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.sender = FakeSender()
        self.firing: dict[str, Alert] = {}
        self.events: list[str] = []
        self.feed = Feed(
            OPS, self.sender, self.clock, lambda: self.firing.values(),
            lambda kind, text, name: self.events.append(f"{kind}: {text}"), lambda: None, lambda: 0.5,
        )

    def fires(self, n: str = "1") -> None:
        alert = alertOf(n=n, since=self.clock.seconds())
        self.firing[alert.fingerprint] = alert
        self.feed.changed(alert)

    def resolves(self, n: str = "1") -> None:
        known = self.firing.pop(alertOf(n=n).fingerprint)
        self.feed.changed(alertOf(n=n, since=known.since, endedAt=self.clock.seconds()))

    def told(self, url: str = FIRST) -> list[list[tuple[str, str]]]:
        """What was posted: which alerts, and their ends."""
        found, self.sender.sent[:] = [r for r in self.sender.sent if r.url == url], [
            r for r in self.sender.sent if r.url != url]
        return [[(alert["labels"]["n"], alert["endsAt"][14:19]) for alert in json.loads(each.body)] for each in found]

    def passes(self, seconds: int) -> None:
        self.clock.pump([1] * seconds)

    def test_again(self) -> None:
        """All are told within a second, and each minute, with an end four minutes ahead."""
        self.fires()
        self.passes(1)
        for url in (FIRST, SECOND):
            self.assertEqual(self.told(url), [[("1", "04:01")]])
        self.passes(59)
        self.assertEqual(self.told(), [])
        self.passes(1)
        self.assertEqual(self.told(), [[("1", "05:01")]])

    def test_resolved(self) -> None:
        """That it is over is told for five minutes, and then nothing."""
        self.fires()
        self.passes(30)
        self.told()
        self.resolves()
        self.passes(1)
        self.assertEqual(self.told(), [[("1", "00:30")]])
        self.passes(299)
        self.assertEqual(self.told(), [[("1", "00:30")]] * 4)
        self.passes(600)
        self.assertEqual((self.told(), self.feed.over), ([], {}))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_form(self) -> None:
        """What the API takes; that it began stays the same."""
        self.clock.advance(100)
        self.fires()
        self.passes(1)
        request = self.sender.sent[0]
        self.assertEqual(request.headers["Content-Type"], "application/json")
        self.assertEqual(json.loads(request.body), [{
            "labels": {"alertname": "down", "severity": "warning", "n": "1"},
            "annotations": {"summary": "down is so", "description": "since then"},
            "startsAt": "1970-01-01T00:01:40.000Z", "endsAt": "1970-01-01T00:05:41.000Z"}])

    def test_away(self) -> None:
        """One of two is away for ten minutes: it is told of what fires and of what is over, the other all the time."""

        def answer(request: Outgoing) -> Answer | NotSent:
            return NotSent("gone") if request.url == FIRST else Answer(200)

        self.sender.answer = answer
        self.fires("1")
        self.fires("2")
        self.passes(60)
        self.resolves("2")
        self.passes(540)
        self.assertEqual(self.told(SECOND)[-1], [("1", "13:01")])
        self.assertIn("2", self.feed.over[alertOf(n="2").fingerprint].alert.labels["n"])
        self.assertIn("http://am1.test: gone", self.feed.lastError)
        self.told(FIRST)
        self.sender.says(Answer(200))
        self.passes(61)
        self.assertEqual([n for n, _ in self.told(FIRST)[0]], ["1", "2"])
        self.assertEqual(self.feed.lastError, "")
        self.assertEqual([event.partition(":")[0] for event in self.events], ["alert-undelivered", "alert-delivered"])
        self.passes(120)
        self.assertEqual([n for n, _ in self.told(FIRST)[-1]], ["1"])

    def test_comesBack(self) -> None:
        """What fires again is not told as over."""
        self.fires()
        self.passes(10)
        self.resolves()
        self.fires()
        self.told()
        self.passes(100)
        self.assertEqual({len(alerts) for alerts in self.told()}, {1})
        self.assertEqual(self.feed.over, {})

    def test_nothingToTellMeanwhile(self) -> None:
        """It did not answer, and then there was nothing to tell, for that was silenced: it is told what comes later."""
        self.sender.says(NotSent("gone"))
        self.fires("1")
        self.passes(10)
        self.firing.clear()
        self.passes(120)
        self.sender.says(Answer(200))
        self.told()
        self.fires("2")
        self.passes(1)
        self.assertEqual([n for n, _ in self.told()[0]], ["2"])

    def test_many(self) -> None:
        """Very many go in parts; while one of them does not answer, it is not asked again."""
        for n in range(450):
            self.fires(str(n))
        self.passes(1)
        self.assertEqual([len(alerts) for alerts in self.told()], [200, 200, 50])
        self.sender.says(None)
        self.passes(600)
        self.assertEqual(len(self.sender.open), 2)

    def test_test(self) -> None:
        """A test reaches all, and ends by itself; the first that does not take it is what is told."""
        self.assertEqual(self.successResultOf(self._test()), Answer(200))
        self.assertEqual([request.url for request in self.sender.sent], [FIRST, SECOND])
        self.sender.says(Answer(401, "who?"))
        self.assertEqual(self.successResultOf(self._test()).status, 401)

    def _test(self) -> Deferred[Any]:
        return Deferred.fromCoroutine(self.feed.test(testMessage(self.clock.seconds(), "ops", "ann")))

    def test_stopped(self) -> None:
        """At the end nothing is left to happen."""
        self.sender.says(None)
        self.fires()
        self.passes(1)
        self.feed.stop()
        self.assertEqual((self.sender.cancelled, self.clock.getDelayedCalls(), self.events), (2, [], []))
