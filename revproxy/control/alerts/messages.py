"""
What is said to a receiver at one time: of alerts of one group, those whose state it does not know yet.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from revproxy.control.alerts.alert import Alert
from revproxy.secrets import masked

Status = Literal["firing", "resolved"]


class Entry(msgspec.Struct, frozen=True):
    """
    An alert in one state.

    :ivar isRepeated: whether it was told before, and goes on.
    """

    fingerprint: str
    status: Status
    labels: Mapping[str, str]
    summary: str
    text: str
    startsAt: float
    endsAt: float | None = None
    isRepeated: bool = False

    def asDict(self) -> dict[str, Any]:
        """As receivers are told it."""
        return {
            "fingerprint": self.fingerprint,
            "status": self.status,
            "labels": dict(self.labels),
            "summary": masked(self.summary),
            "text": masked(self.text),
            "starts_at": timeText(self.startsAt),
            "ends_at": None if self.endsAt is None else timeText(self.endsAt),
            "is_repeated": self.isRepeated,
        }


def entryOf(alert: Alert) -> Entry:
    """What there is to tell of an alert."""
    startsAt = alert.since if alert.firedAt is None else alert.firedAt
    if alert.endedAt is None:
        return Entry(alert.fingerprint, "firing", alert.labels, alert.summary, alert.text, startsAt)
    text = alert.why or alert.text
    return Entry(alert.fingerprint, "resolved", alert.labels, alert.summary, text, startsAt, alert.endedAt)


class Message(msgspec.Struct, frozen=True):
    """
    :ivar id: stays the same however often it is sent.
    :ivar group: labels that all have in common.
    :ivar entries: in the order in which they came to be.
    :ivar firing: how many alerts of the group fire now.
    """

    id: str
    group: Mapping[str, str]
    entries: tuple[Entry, ...]
    at: float
    firing: int = 0
    isTest: bool = False

    @property
    def status(self) -> Status:
        """``"firing"`` while any of the group does."""
        return "firing" if self.firing else "resolved"

    @property
    def kind(self) -> str:
        """What it is, for who chooses by that."""
        return "alerts.test" if self.isTest else f"alerts.{self.status}"


def newId() -> str:
    """Of a message: no other has it."""
    return f"msg_{secrets.token_hex(12)}"


def testMessage(now: float, receiver: str, by: str) -> Message:
    """What ``revproxy alerts test`` sends."""
    labels = {"alertname": "test", "severity": "info", "receiver": receiver}
    text = f"asked for by {by or 'somebody'}: nothing is wrong"
    entry = Entry("0" * 16, "firing", labels, "A test of this receiver", text, now)
    return Message(newId(), {"alertname": "test"}, (entry,), now, 1, isTest=True)


def timeText(seconds: float) -> str:
    """RFC 3339, UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
