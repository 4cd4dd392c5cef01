"""
Messages as incoming webhooks of Slack take them, and of those that take the same (Mattermost, Rocket.Chat).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from revproxy.config.alertsettings import ReceiverConfig
from revproxy.control.alerts.messages import Entry, Message
from revproxy.control.alerts.sender import Outgoing
from revproxy.secrets import masked

PAUSE = 1.0
"""Seconds between two messages: Slack takes one a second."""

MOST_SHOWN = 20
"""Alerts that are shown one by one."""

_COLOURS = {"resolved": "#2e7d32", "critical": "#c62828", "info": "#1565c0"}
_OTHER = "#ef6c00"


def slackRequest(receiver: ReceiverConfig, message: Message, now: float) -> Outgoing:
    """:param now: when it is sent."""
    headers = {"Content-Type": "application/json", "User-Agent": "revproxy"}
    if receiver.authorization:
        headers["Authorization"] = str(receiver.authorization)
    return Outgoing(str(receiver.urls[0]), headers, msgspec.json.encode(payload(message)), receiver.ca)


def payload(message: Message) -> dict[str, Any]:
    """What is in the body."""
    shown = message.entries[:MOST_SHOWN]
    attachments = [_attachment(entry) for entry in shown]
    more = len(message.entries) - len(shown)
    if more:
        attachments.append({"color": _OTHER, "text": f"and {more} more: revproxy alerts list"})
    return {"text": _headline(message), "attachments": attachments}


def _headline(message: Message) -> str:
    names = ", ".join(dict.fromkeys(entry.labels.get("alertname", "alert") for entry in message.entries))
    if message.isTest:
        return "Test: nothing is wrong"
    if not message.firing:
        return _escaped(f"Resolved: {names}")
    again = " (still)" if all(entry.isRepeated for entry in message.entries) else ""
    return _escaped(f"Firing{again}: {names}")


def _attachment(entry: Entry) -> dict[str, Any]:
    severity = entry.labels.get("severity", "")
    state = "resolved" if entry.status == "resolved" else severity
    title = f"{'Resolved: ' if entry.status == 'resolved' else ''}{masked(entry.summary)}"
    return {
        "color": _COLOURS.get(state, _OTHER),
        "fallback": _escaped(f"{title} ({_labelText(entry.labels)})"),
        "title": _escaped(title),
        "text": _escaped(f"{masked(entry.text)}\n{_labelText(entry.labels)}"),
        "ts": int(entry.startsAt if entry.endsAt is None else entry.endsAt),
    }


def _labelText(labels: Mapping[str, str]) -> str:
    shown: Iterable[tuple[str, str]] = sorted(labels.items())
    return ", ".join(f"{name}={value}" for name, value in shown)


def _escaped(text: str) -> str:
    """The three characters that mean something there: nobody is called by a text (``<!channel>``)."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
