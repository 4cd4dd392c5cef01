"""``revproxy alerts``, asked of an edge which here is a thread with one answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.cli.test_edgecommands import CommandCase, Status

ALERT: dict[str, Any] = {
    "fingerprint": "f", "rule": "target-down", "state": "firing", "labels": {"severity": "warning", "upstream": "api"},
    "summary": "A target does not answer", "text": "no answer", "since": 1000.0, "fired_at": 1030.0, "ended_at": None,
    "why": "",
}
RECEIVER: dict[str, Any] = {
    "name": "pager", "kind": "webhook", "is_disabled": False, "last_delivery": None, "last_failure": None,
    "last_error": "", "failures": 0, "queued": 2, "dead_letters": 0, "dead": [],
}
RULE: dict[str, Any] = {
    "name": "slow", "on": [], "when": "p99 > 5s", "of": "route", "only": "api*", "over_seconds": 300.0,
    "for_seconds": 60.0, "severity": "warning", "to": ["pager"], "is_ready_made": True, "firing": 1, "pending": 0,
    "without_traffic": 3,
}
SILENCE: dict[str, Any] = {
    "id": "7f31c0d2", "matchers": ["upstream=api"], "by": "ann", "reason": "it moves", "at": 0.0, "until": 100.0}


def answer(**more: Any) -> dict[str, Any]:
    kinds = ("firing", "silenced", "pending", "resolved", "silences", "rules", "receivers")
    return {**{kind: [] for kind in kinds}, **more}


class AlertCommandTests(CommandCase):
    """What is asked, and what is printed."""

    def test_list(self) -> None:
        """With or without its name: alerts, silences, receivers; and what to do."""
        found = answer(
            firing=[ALERT], silenced=[{**ALERT, "silenced_by": "7f31c0d2"}], silences=[SILENCE], rules=[RULE],
            receivers=[RECEIVER, {**RECEIVER, "name": "chat", "is_disabled": True, "dead_letters": 1}])
        edge = self.edge(found)
        said = self.run_("alerts").stdout
        self.assertEqual(said, self.run_("alerts", "list").stdout)
        self.assertEqual(edge.requests[0], ("GET", "alerts", None))
        for text in ("firing    warning   target-down api", "silenced  warning", "7f31c0d2", "it moves", "pager",
                     "revproxy alerts test chat", "revproxy alerts redeliver chat"):
            self.assertIn(text, said)
        self.assertNotIn("p99", said)
        self.assertIn("p99 > 5s of route api*  1m", self.run_("alerts", "--rules").stdout)
        self.assertEqual(json.loads(self.run_("alerts", "--json").stdout), found)

    def test_nothing(self) -> None:
        """Nothing fires, and nobody would be told."""
        self.edge(answer())
        said = self.run_("alerts").stdout
        self.assertIn("nothing fires", said)
        self.assertIn("alerts.receivers in revproxy.yaml", said)

    def test_resolved(self) -> None:
        """What is over, when asked for."""
        over = {**ALERT, "state": "resolved", "ended_at": 2000.0, "why": "answers again"}
        self.edge(answer(resolved=[over]))
        self.assertNotIn("answers again", self.run_("alerts").stdout)
        self.assertIn("answers again", self.run_("alerts", "--resolved").stdout)

    def test_silence(self) -> None:
        """What is asked for, and how it is ended."""
        edge = self.edge(SILENCE)
        said = self.run_("alerts", "silence", "upstream=api", "alertname!=x", "--for", "2h", "--reason", "it moves")
        self.assertEqual(edge.requests, [("POST", "alerts/silences", {
            "matchers": ["upstream=api", "alertname!=x"], "for": 7200.0, "reason": "it moves"})])
        self.assertIn("revproxy alerts unsilence 7f31c0d2", said.stdout)
        self.run_("alerts", "silence", "upstream=api", status=2)
        self.run_("alerts", "silence", "--for", "2h", status=2)

    def test_unsilence(self) -> None:
        """By its id."""
        edge = self.edge(SILENCE)
        self.assertEqual(self.run_("alerts", "unsilence", "7f31c0d2").stdout, "ended: upstream=api\n")
        self.assertEqual(edge.requests[0][:2], ("DELETE", "alerts/silences/7f31c0d2"))

    def test_test(self) -> None:
        """Status 0 if it was taken, else 1 with why."""
        edge = self.edge({"is_delivered": True, "status": 204, "text": ""})
        self.assertEqual(self.run_("alerts", "test", "pager").stdout, "pager took it: 204\n")
        self.assertEqual(edge.requests[0][:2], ("POST", "alerts/receivers/pager/test"))
        edge.close()

    def test_notTaken(self) -> None:
        """Either because it said so, or because it said nothing."""
        for found, expected in (
            ({"status": 403, "text": "who?"}, "pager did not take it: it answered 403: who?"),
            ({"status": None, "text": "no answer within 10 s"}, "pager did not take it: no answer within 10 s"),
        ):
            Path("var/control.sock").unlink(missing_ok=True)
            edge = self.edge({"is_delivered": False, **found})
            self.assertIn(expected, self.run_("alerts", "test", "pager", status=1).stderr)
            edge.close()

    def test_redeliver(self) -> None:
        """How many."""
        self.edge({"messages": 1})
        self.assertIn("1 message tried again", self.run_("alerts", "redeliver", "pager").stdout)

    def test_refused(self) -> None:
        """The edge's own reason."""
        self.edge(Status(404, {"title": "Not Found", "status": 404, "detail": "no receiver is named \"x\""}))
        self.assertIn('no receiver is named "x"', self.run_("alerts", "test", "x", status=1).stderr)

    def test_wrong(self) -> None:
        """A word that is no command, and help."""
        self.assertIn("No such command", self.run_("alerts", "silenc", status=2).stderr)
        self.assertIn("unsilence", self.run_("alerts", "--help").stdout)
        self.run_("alerts", status=3)
