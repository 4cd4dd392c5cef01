"""
Messages as Standard Webhooks have them (https://www.standardwebhooks.com): an id that stays, the time, and a signature
of both and the body. Several secrets make several signatures, so that one can take over from another.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

import msgspec

from revproxy.config.alertconfig import secretKey
from revproxy.config.alertsettings import ReceiverConfig
from revproxy.control.alerts.messages import Message, timeText
from revproxy.control.alerts.sender import Outgoing

DISABLED = 410
"""The status that says: never again."""


def webhookRequest(receiver: ReceiverConfig, message: Message, now: float) -> Outgoing:
    """
    :param now: when it is sent; the signature holds for five minutes.
    """
    body = msgspec.json.encode(payload(receiver.name, message))
    at = str(int(now))
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "revproxy",
        "webhook-id": message.id,
        "webhook-timestamp": at,
        "webhook-signature": " ".join(signatures(receiver.secrets, message.id, at, body)),
    }
    if receiver.authorization:
        headers["Authorization"] = str(receiver.authorization)
    return Outgoing(str(receiver.urls[0]), headers, body, receiver.ca)


def payload(receiver: str, message: Message) -> dict[str, Any]:
    """What is in the body."""
    return {
        "type": message.kind,
        "timestamp": timeText(message.at),
        "data": {
            "receiver": receiver,
            "status": message.status,
            "group": dict(message.group),
            "firing": message.firing,
            "alerts": [entry.asDict() for entry in message.entries],
        },
    }


def signatures(secrets: Sequence[str], known: str, at: str, body: bytes) -> list[str]:
    """One for each secret."""
    signed = f"{known}.{at}.".encode() + body
    found = []
    for secret in secrets:
        digest = hmac.new(secretKey(secret) or b"", signed, hashlib.sha256).digest()
        found.append(f"v1,{base64.b64encode(digest).decode()}")
    return found
