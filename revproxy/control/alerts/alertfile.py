"""
What is known of alerts, as it is on disk: one JSON file. No secret is in it: what a receiver is sent with a message
beside its text is made when it is sent.
"""

from __future__ import annotations

import msgspec

from revproxy.control.alerts.alert import Alert
from revproxy.control.alerts.alertmanager import Over
from revproxy.control.alerts.outbox import DeadLetter, Group
from revproxy.control.alerts.silences import Silence

FORMAT = 1

MAX_BYTES = 64 << 20
"""Bytes that the file may have."""


class ReceiverState(msgspec.Struct):
    """
    What is remembered of one receiver.

    :ivar known: tells whether its configuration is still the one it was; none of that is in it.
    """

    known: str
    groups: dict[str, Group] = {}
    dead: list[DeadLetter] = []
    over: dict[str, Over] = {}
    isDisabled: bool = False
    deliveredAt: float | None = None


class AlertState(msgspec.Struct):
    """
    What is remembered of alerts.

    :ivar isRunning: whether the edge that wrote it had not ended yet.
    """

    format: int = FORMAT
    isRunning: bool | None = None
    alerts: list[Alert] = []
    resolved: list[Alert] = []
    silences: list[Silence] = []
    receivers: dict[str, ReceiverState] = {}


_decoder = msgspec.json.Decoder(AlertState)


def parseState(content: bytes) -> AlertState:
    """:raises ValueError: it is no such file; says why."""
    try:
        state = _decoder.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"is damaged: {error}") from None
    if state.format != FORMAT:
        raise ValueError(f"has format {state.format}, this revproxy knows {FORMAT}")
    return state


def formatState(state: AlertState) -> bytes:
    """As it is written."""
    return msgspec.json.encode(state)
