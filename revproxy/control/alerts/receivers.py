"""
Who is told, of what, and what each knows already.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from revproxy.config.alertsettings import AlertRule, AlertsConfig, ReceiverConfig
from revproxy.control.alerts.alert import Alert
from revproxy.control.alerts.alertbook import AlertBook
from revproxy.control.alerts.alertfile import ReceiverState
from revproxy.control.alerts.alertmanager import Feed
from revproxy.control.alerts.courier import Courier
from revproxy.control.alerts.messages import testMessage
from revproxy.control.alerts.outbox import Outbox
from revproxy.control.alerts.sender import Answer, Sender
from revproxy.control.alerts.silences import Silence, Silences
from revproxy.plan.events import EventLog


class Receivers:
    """
    Those of one edge.
    """

    def __init__(
        self,
        book: AlertBook,
        silences: Silences,
        sender: Sender,
        events: EventLog,
        clock: Any,
        kept: Mapping[str, ReceiverState],
        onChanged: Callable[[], None],
    ) -> None:
        """
        :param clock: provides `IReactorTime`, in seconds since the epoch.
        :param kept: by name, what is remembered of each.
        :param onChanged: called when there is something to write down.
        """
        self._book = book
        self._silences = silences
        self._sender = sender
        self._events = events
        self._clock = clock
        self._kept = dict(kept)
        self._onChanged = onChanged
        self._config = AlertsConfig()
        self._rules: dict[str, AlertRule] = {}
        self._all: dict[str, Courier | Feed] = {}
        self._isStarted = False

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def start(self) -> None:
        """Tell from now on."""
        self._isStarted = True

    def stop(self) -> None:
        """The edge ends."""
        for receiver in self._all.values():
            receiver.stop()

    def adopt(self, config: AlertsConfig) -> None:
        """These are configured."""
        self._config = config
        self._rules = {rule.name: rule for rule in config.rules}
        before, self._all = self._all, {}
        for each in config.receivers:
            known = before.get(each.name)
            if known is None or known.config != each:
                self._all[each.name] = self._receiver(each, known)
            else:
                self._all[each.name] = before.pop(each.name)
                if isinstance(known, Courier):
                    known.outbox.adopt(config, self._clock.seconds())
        for gone in before.values():
            gone.stop()

    def _receiver(self, config: ReceiverConfig, before: Courier | Feed | None) -> Courier | Feed:
        """
        :param before: what had this name, and another configuration: what it was told is known.
        """
        kept = self._kept.pop(config.name, None) or ReceiverState("")
        if before is not None:
            kept = _stateOf(before)
        if config.kind == "alertmanager":
            telling = self._tellingTo(config.name)
            feed = Feed(config, self._sender, self._clock, telling, self._event, self._onChanged)
            feed.over.update(kept.over)
            feed.deliveredAt = kept.deliveredAt
            return feed
        outbox = Outbox(self._config)
        outbox.restore(kept.groups, kept.dead)
        courier = Courier(config, outbox, self._sender, self._clock, self._telling, self._event, self._onChanged)
        courier.isDisabled = kept.isDisabled and kept.known == _knownBy(config)
        courier.deliveredAt = kept.deliveredAt
        return courier

    # What they are told

    def changed(self, alert: Alert) -> None:
        """An alert fires, or was resolved after it did."""
        if not self._isStarted:
            return
        if alert.endedAt is not None:
            for receiver in self._all.values():
                if isinstance(receiver, Feed) or receiver.isKnown(alert):
                    receiver.changed(alert)
        elif self._silences.of(alert.labels) is None:
            for name in self.of(alert.rule):
                self._all[name].changed(alert)

    def tellAll(self) -> None:
        """Whoever does not know that something fires is told; and what waits is seen to."""
        if not self._isStarted:
            return
        for alert in self._book.firing:
            if self._silences.of(alert.labels) is None:
                for name in self.of(alert.rule):
                    if not self._all[name].isKnown(alert):
                        self._all[name].changed(alert)
        for receiver in self._all.values():
            receiver.wake()

    def withdraw(self, silence: Silence) -> None:
        """What matches is not told any more."""
        for alert in self._book.firing:
            if silence.matches(alert.labels):
                for receiver in self._all.values():
                    receiver.withdraw(alert)

    def of(self, rule: str) -> Sequence[str]:
        """Who is told of a rule."""
        known = self._rules.get(rule)
        return [name for name in self._all if known is None or not known.to or name in known.to]

    def _telling(self, known: str) -> Alert | None:
        """By fingerprint, if it fires and is to be told."""
        alert = self._book.get(known)
        return alert if alert and alert.state.isTold and self._silences.of(alert.labels) is None else None

    def _tellingTo(self, name: str) -> Callable[[], list[Alert]]:
        def telling() -> list[Alert]:
            alerts = self._book.firing
            return [alert for alert in alerts if name in self.of(alert.rule) and not self._silences.of(alert.labels)]

        return telling

    def _event(self, kind: str, text: str, receiver: str) -> None:
        self._events.add(kind, text, about={"receiver": receiver})

    # What people do

    async def test(self, name: str, by: str) -> Answer:
        """
        Send a message that says that it is a test.

        :raises KeyError: there is no such receiver.
        :raises NotSent: there was no answer.
        """
        receiver = self._all[name]
        answer = await receiver.test(testMessage(self._clock.seconds(), name, by))
        receiver.wake()
        self._onChanged()
        return answer

    def redeliver(self, name: str) -> int:
        """
        Try again what was given up.

        :returns: how many messages.
        :raises KeyError: there is no such receiver.
        """
        count = self._all[name].redeliver()
        self._onChanged()
        return count

    # What is shown and kept

    @property
    def failures(self) -> dict[str, int]:
        """By receiver, how often it could not be told."""
        return {name: receiver.failures for name, receiver in self._all.items()}

    def state(self) -> dict[str, ReceiverState]:
        """What is to be remembered."""
        return {name: _stateOf(receiver) for name, receiver in self._all.items()}

    def asDicts(self) -> list[dict[str, Any]]:
        """As JSON shows them."""
        return [
            {
                "name": name,
                "kind": receiver.config.kind,
                "is_disabled": receiver.isDisabled,
                "last_delivery": receiver.deliveredAt,
                "last_failure": receiver.failedAt,
                "last_error": receiver.lastError,
                "failures": receiver.failures,
                "queued": receiver.queued,
                "dead_letters": receiver.deadLetters,
                "dead": receiver.deadAsDicts(),
            }
            for name, receiver in self._all.items()
        ]


def _knownBy(config: ReceiverConfig) -> str:
    """Tells whether a receiver is still the one it was, and nothing else about it."""
    written = json.dumps([config.kind, *map(str, config.urls)])
    return hashlib.sha256(written.encode()).hexdigest()


def _stateOf(receiver: Courier | Feed) -> ReceiverState:
    known = _knownBy(receiver.config)
    if isinstance(receiver, Feed):
        return ReceiverState(known, over=receiver.over, deliveredAt=receiver.deliveredAt)
    outbox = receiver.outbox
    return ReceiverState(known, outbox.groups, list(outbox.dead), isDisabled=receiver.isDisabled,
                         deliveredAt=receiver.deliveredAt)  # fmt: skip
