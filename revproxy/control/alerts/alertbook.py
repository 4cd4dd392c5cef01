"""
All alerts that are pending or firing, and what becomes of them. No clock, no disk: whoever calls says what time it is.

Alerts of conditions fire when their condition still holds after ``for``; those of events when nothing has ended them
until then, by :meth:`AlertBook.advance`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

from msgspec.structs import replace

from revproxy.control.alerts.alert import Alert, Sighting, State
from revproxy.control.alerts.labels import cut, fingerprint

MOST = 1000
"""Alerts that are pending or firing at one time."""

MOST_RESOLVED = 100
"""Alerts that are over and still shown."""

MAX_TEXT = 1000
"""Characters of an alert's text."""


class AlertBook:
    """
    The alerts of one edge.

    :ivar resolved: the last ones that are over.
    :ivar refused: how many sightings were not taken, because there are too many alerts.
    """

    def __init__(self, onChanged: Callable[[Alert], None]) -> None:
        """:param onChanged: told of each alert that begins to fire, or is resolved after it did."""
        self._alerts: dict[str, Alert] = {}
        self._onChanged = onChanged
        self.resolved: deque[Alert] = deque(maxlen=MOST_RESOLVED)
        self.refused = 0

    def __iter__(self) -> Iterator[Alert]:
        return iter(list(self._alerts.values()))

    def __len__(self) -> int:
        return len(self._alerts)

    def get(self, known: str) -> Alert | None:
        """By fingerprint; None if it is neither pending nor firing."""
        return self._alerts.get(known)

    @property
    def firing(self) -> list[Alert]:
        """Those that receivers are to know of."""
        return [alert for alert in self._alerts.values() if alert.state.isTold]

    def restore(self, alerts: Iterable[Alert], resolved: Iterable[Alert]) -> None:
        """What was before a restart goes on; nobody is told of that."""
        for alert in alerts:
            if len(self._alerts) < MOST:
                self._alerts.setdefault(alert.fingerprint, alert)
        self.resolved.extend(resolved)

    def holds(self, seen: Sighting, now: float) -> str | None:
        """
        What a rule is about is the case, or has happened.

        :returns: the alert's fingerprint; None if there are too many.
        """
        name = fingerprint(seen.labels)
        alert = self._alerts.get(name)
        text = cut(seen.text, MAX_TEXT)
        if alert is None:
            if len(self._alerts) >= MOST:
                self.refused += 1
                return None
            alert = Alert(name, seen.rule, dict(seen.labels), seen.summary, text, State.PENDING, now, now)
        else:
            alert = replace(alert, text=text, summary=seen.summary, lastAt=now)
        if alert.state is State.PENDING and now - alert.since >= seen.wait:
            self._fires(alert, now)
        elif alert.state is State.SILENT:
            self._alerts[name] = replace(alert, state=State.FIRING, silentAt=None)
        else:
            self._alerts[name] = alert
        return name

    def advance(self, known: str, wait: float, now: float) -> None:
        """An event has happened and nothing has ended it: it fires once it has waited."""
        alert = self._alerts.get(known)
        if alert is not None and alert.state is State.PENDING and now - alert.since >= wait:
            self._fires(alert, now)

    def isSilent(self, known: str, now: float) -> None:
        """There is no traffic: what fired is neither confirmed nor over; what only might have fired begins anew."""
        alert = self._alerts.get(known)
        if alert is None:
            return
        if alert.state is State.PENDING:
            del self._alerts[known]
        elif alert.state is State.FIRING:
            self._alerts[known] = replace(alert, state=State.SILENT, silentAt=now)

    def isOver(self, known: str, why: str, now: float) -> None:
        """It is not the case any more."""
        alert = self._alerts.pop(known, None)
        if alert is None or alert.state is State.PENDING:
            return
        over = replace(alert, state=State.RESOLVED, endedAt=now, silentAt=None, why=cut(why, MAX_TEXT))
        self.resolved.append(over)
        self._onChanged(over)

    def _fires(self, alert: Alert, now: float) -> None:
        fires = self._alerts[alert.fingerprint] = replace(alert, state=State.FIRING, firedAt=now)
        self._onChanged(fires)
