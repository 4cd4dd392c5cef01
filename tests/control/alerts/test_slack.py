"""Messages as Slack takes them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.alerts.messages import Entry, Message, entryOf, testMessage
from revproxy.control.alerts.slack import MOST_SHOWN, payload, slackRequest
from tests.control.alerts.doubles import CHAT, alertOf


class SlackTests(SynchronousTestCase):
    """What is in the body."""

    def test_firing(self) -> None:
        """A headline, and each alert with its colour, text and labels."""
        found = payload(Message("m", {}, (entryOf(alertOf(n="1", since=7.0)),), 9.0, 1))
        self.assertEqual(found, {"text": "Firing: down", "attachments": [{
            "color": "#ef6c00", "fallback": "down is so (alertname=down, n=1, severity=warning)", "title": "down is so",
            "text": "since then\nalertname=down, n=1, severity=warning", "ts": 7}]})

    def test_resolved(self) -> None:
        """In green, with why."""
        found = payload(Message("m", {}, (entryOf(alertOf(since=7.0, endedAt=8.0)),), 9.0, 0))
        (attachment,) = found["attachments"]
        self.assertEqual((found["text"], attachment["title"], attachment["color"], attachment["ts"]),
                         ("Resolved: down", "Resolved: down is so", "#2e7d32", 8))

    def test_nobodyIsCalled(self) -> None:
        """What comes from elsewhere cannot call a channel, nor look like a link."""
        entry = Entry("f", "firing", {"alertname": "<!channel>"}, "<!here> & co", "<http://evil|ok>", 0.0)
        text = str(payload(Message("m", {}, (entry,), 0.0, 1)))
        self.assertNotIn("<", text)
        self.assertIn("&lt;!here&gt; &amp; co", text)

    def test_many(self) -> None:
        """Not all of very many are shown one by one."""
        entries = tuple(entryOf(alertOf(n=str(n))) for n in range(MOST_SHOWN + 5))
        attachments = payload(Message("m", {}, entries, 0.0, 25))["attachments"]
        self.assertEqual((len(attachments), attachments[-1]["text"]),
                         (MOST_SHOWN + 1, "and 5 more: revproxy alerts list"))

    def test_repeatedAndTest(self) -> None:
        """What goes on, and what is none, says so."""
        entry = Entry("f", "firing", {"alertname": "down"}, "", "", 0.0, isRepeated=True)
        self.assertEqual(payload(Message("m", {}, (entry,), 0.0, 1))["text"], "Firing (still): down")
        self.assertEqual(payload(testMessage(0.0, "chat", "ann"))["text"], "Test: nothing is wrong")
        self.assertEqual(slackRequest(CHAT, testMessage(0.0, "chat", ""), 0.0).headers["Content-Type"],
                         "application/json")
