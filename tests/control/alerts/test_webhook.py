"""Messages as Standard Webhooks have them; their own library is asked."""

from __future__ import annotations

import json
import time

from msgspec.structs import replace
from standardwebhooks import Webhook, WebhookVerificationError
from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.alertsettings import ReceiverConfig
from revproxy.control.alerts.messages import Message, entryOf
from revproxy.control.alerts.webhook import webhookRequest
from revproxy.secrets import Secret
from tests.control.alerts.doubles import PAGER, SECRET, alertOf

OTHER = "whsec_" + "QUJD" * 8


class WebhookTests(SynchronousTestCase):
    """What is sent."""

    def setUp(self) -> None:
        self.now = time.time()
        entries = entryOf(alertOf(n="1", since=0.0)), entryOf(alertOf(n="2", since=0.0, endedAt=60.0))
        self.message = Message("msg_1", {"alertname": "down"}, entries, 90.0, 1)

    def test_verified(self) -> None:
        """The library takes it, with either of two secrets; not with another, and not when a byte is another."""
        for secrets in ((SECRET,), (OTHER, SECRET)):
            receiver = ReceiverConfig("pager", "webhook", ("http://x/",), secrets)
            request = webhookRequest(receiver, self.message, self.now)
            for secret in secrets:
                Webhook(secret).verify(request.body, dict(request.headers))
        wrong = Webhook("whsec_" + "QUJE" * 8)
        self.assertRaises(WebhookVerificationError, wrong.verify, request.body, dict(request.headers))
        changed = request.body.replace(b"firing", b"fired.", 1)
        self.assertRaises(WebhookVerificationError, Webhook(SECRET).verify, changed, dict(request.headers))

    def test_again(self) -> None:
        """The id and the body stay, the time and the signature do not."""
        first, second = (webhookRequest(PAGER, self.message, self.now + later) for later in (0, 60))
        self.assertEqual((first.headers["webhook-id"], first.body), (second.headers["webhook-id"], second.body))
        self.assertNotEqual(first.headers["webhook-timestamp"], second.headers["webhook-timestamp"])
        self.assertNotEqual(first.headers["webhook-signature"], second.headers["webhook-signature"])

    def test_body(self) -> None:
        """What it says."""
        body = json.loads(webhookRequest(PAGER, self.message, self.now).body)
        self.assertEqual((body["type"], body["timestamp"]), ("alerts.firing", "1970-01-01T00:01:30.000Z"))
        data = body["data"]
        self.assertEqual((data["receiver"], data["status"], data["group"], data["firing"]),
                         ("pager", "firing", {"alertname": "down"}, 1))
        self.assertEqual(data["alerts"][1], {
            "fingerprint": alertOf(n="2").fingerprint, "status": "resolved",
            "labels": {"alertname": "down", "severity": "warning", "n": "2"}, "summary": "down is so",
            "text": "well again", "starts_at": "1970-01-01T00:00:00.000Z", "ends_at": "1970-01-01T00:01:00.000Z",
            "is_repeated": False})

    def test_secrets(self) -> None:
        """What is secret is in no text, and the request does not show itself."""
        hidden = Secret("correct horse battery")
        entry = entryOf(replace(alertOf(), text=f"no answer from http://u:{hidden}@db"))
        url, secrets = (Secret("http://x/hooktoken"),), (Secret(SECRET),)
        receiver = ReceiverConfig("pager", "webhook", url, secrets, Secret("Bearer t"))
        request = webhookRequest(receiver, Message("m", {}, (entry,), 0.0, 1), self.now)
        self.assertNotIn(b"correct horse", request.body)
        self.assertEqual(request.headers["Authorization"], "Bearer t")
        self.assertNotIn("hooktoken", repr(request))
        self.assertNotIn("Bearer t", repr(request))
