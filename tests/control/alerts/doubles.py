"""
Receivers that answer when they are told to, and what rules compare.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from revproxy.config.alertsettings import AlertRule, AlertsConfig, ReceiverConfig
from revproxy.control.alerts.alert import Alert, State
from revproxy.control.alerts.labels import fingerprint
from revproxy.control.alerts.sender import Answer, NotSent, Outgoing

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

PAGER = ReceiverConfig("pager", "webhook", ("http://pager.test/hook",), (SECRET,))
CHAT = ReceiverConfig("chat", "slack", ("http://chat.test/T/B/x",))
OPS = ReceiverConfig("ops", "alertmanager", ("http://am1.test", "http://am2.test/prefix/"))


class FakeSender:
    """
    :ivar sent: what was sent, in order.
    :ivar answer: what comes back: an answer, what there is instead, or None for nobody who answers.
    :ivar open: what was not answered.
    """

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []
        self.answer: Callable[[Outgoing], Answer | NotSent | None] = lambda request: Answer(200)
        self.open: list[Deferred[Answer]] = []
        self.cancelled = 0

    def send(self, request: Outgoing) -> Deferred[Answer]:
        """As a sender does."""
        self.sent.append(request)
        sending: Deferred[Answer] = Deferred(self._cancel)
        found = self.answer(request)
        if found is None:
            self.open.append(sending)
        elif isinstance(found, NotSent):
            sending.errback(Failure(found))
        else:
            sending.callback(found)
        return sending

    def _cancel(self, sending: Deferred[Answer]) -> None:
        self.cancelled += 1
        sending.errback(Failure(CancelledError()))

    def says(self, answer: Answer | NotSent | None) -> None:
        """From now on all are answered so."""
        self.answer = lambda request: answer

    def told(self, since: int = 0) -> list[tuple[str, str]]:
        """What webhooks were told: name and state of each alert, in order."""
        return [entry for request in self.sent[since:] for entry in entriesOf(request)]


def entriesOf(request: Outgoing) -> list[tuple[str, str]]:
    """Name, with what it is about, and state of each alert in a message for a webhook."""
    alerts: list[Any] = json.loads(request.body)["data"]["alerts"]
    return [(_nameOf(alert["labels"]), alert["status"]) for alert in alerts]


def _nameOf(labels: dict[str, str]) -> str:
    about = [labels[name] for name in ("route", "upstream", "target", "plugin", "n") if name in labels]
    return " ".join([labels["alertname"], *about])


class FakeMeasures:
    """
    :ivar values: by figure and name; None: no traffic.
    """

    def __init__(self, names: Iterable[str] = ("api", "shop")) -> None:
        self.known = list(names)
        self.values: dict[tuple[str, str], float | None] = {}

    def names(self, of: str) -> Iterable[str]:
        """Of what there are figures."""
        return ["edge"] if of == "edge" else self.known

    def value(self, figure: str, of: str, name: str, seconds: float) -> float | None:
        """A figure."""
        return self.values.get((figure, name), 0.0 if figure == "rate" else None)


def alertOf(name: str = "down", n: str = "", since: float = 0.0, endedAt: float | None = None) -> Alert:
    """One that fires, or that is over."""
    labels = {"alertname": name, "severity": "warning", **({"n": n} if n else {})}
    state = State.FIRING if endedAt is None else State.RESOLVED
    return Alert(fingerprint(labels), name, labels, f"{name} is so", "since then", state, since, since, since,
                 endedAt=endedAt, why="" if endedAt is None else "well again")


def configOf(*receivers: ReceiverConfig, rules: Iterable[AlertRule] = (), **more: Any) -> AlertsConfig:
    """A configuration."""
    return AlertsConfig(receivers, tuple(rules), **more)
