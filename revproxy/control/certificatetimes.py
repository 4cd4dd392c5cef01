"""
Which certificates near their end, and the events of that: 30, 7 and 1 days before it, and at it; each once for each
certificate, also over restarts.

An edge that was down when one of these was due tells only of the last: nobody is helped by three. What is told of is
remembered by the certificate's fingerprint, so a file that is renewed is another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from twisted.internet.interfaces import IDelayedCall

from revproxy.config.settings import Config
from revproxy.control.state.latestfile import LatestFile
from revproxy.plan.events import EventLog
from revproxy.plan.words import CertificateFacts, CertificateState

DAYS = (30, 7, 1)
"""How many days before its end a certificate is told of."""

INTERVAL = 600.0
"""Seconds between two looks."""

_DAY = 86400.0
_REMEMBERED = 30 * _DAY
"""Seconds that one that is served no more is remembered after its end: a disk may be mounted late."""

_MOST_NAMES = 3

_EXPIRED = 0
_NEVER = DAYS[0] + 1


class _Told(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """
    What was told of a certificate.

    :ivar days: the last of :data:`DAYS` that was told of; 0: that it has expired.
    :ivar path: the file it was in.
    """

    path: str
    expires: float
    days: int


class CertificateTimes:
    """
    Of the certificates of all listeners.

    Its events are ``certificate-expiring``, ``certificate-expired`` and ``certificate-renewed``.

    :ivar states: by endpoint, what was told of a listener's certificates last.
    :ivar readAt: by endpoint, when that was, in seconds since the epoch.
    :ivar file: keeps what was told.
    """

    def __init__(self, events: EventLog, clock: Any, file: LatestFile) -> None:
        """
        Reads what was told before a restart.

        :param clock: provides `IReactorTime`, in seconds since the epoch.
        """
        self.states: dict[str, CertificateState] = {}
        self.readAt: dict[str, float] = {}
        self.file = file
        self._events = events
        self._clock = clock
        self._next: IDelayedCall | None = None
        self._isStopped = False
        kept, damaged = file.read(msgspec.json.Decoder(dict[str, _Told]).decode, {})
        if damaged is not None:
            events.add("ledger-damaged", damaged)
        self._told: dict[str, _Told] = kept

    def heard(self, word: CertificateState) -> None:
        """The certificates of a listener were read."""
        self.states[word.endpoint] = word
        self.readAt[word.endpoint] = self._clock.seconds()
        self._look()

    def committed(self, config: Config) -> None:
        """Forget listeners that there are not any more."""
        endpoints = {listener.endpoint for listener in config.listeners if listener.tls is not None}
        for endpoint in self.states.keys() - endpoints:
            del self.states[endpoint], self.readAt[endpoint]

    def stop(self) -> None:
        """Look no more."""
        self._isStopped = True
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _look(self) -> None:
        """Tell what is due, now and every :data:`INTERVAL`."""
        if self._isStopped:
            return
        if self._next is not None and self._next.active():
            self._next.cancel()
        self._next = self._clock.callLater(INTERVAL, self._look)
        before = dict(self._told)
        now, served = self._clock.seconds(), self._served()
        for fingerprint, facts in served.items():
            self._tell(fingerprint, facts, now)
        self._forget(served, now)
        if self._told != before:
            self.file.save(msgspec.json.encode(self._told))

    def _served(self) -> dict[str, CertificateFacts]:
        """By fingerprint. One that no host has is nobody's trouble."""
        return {
            facts.fingerprint: facts
            for state in self.states.values()
            for facts in state.certificates
            if facts.serves or facts.isDefault
        }

    def _tell(self, fingerprint: str, facts: CertificateFacts, now: float) -> None:
        days = _due(facts.expires - now)
        told = self._told.get(fingerprint)
        if days >= (_NEVER if told is None else told.days):
            return
        self._told[fingerprint] = _Told(facts.path, facts.expires, days)
        on = f"{datetime.fromtimestamp(facts.expires, UTC):%Y-%m-%d %H:%M} UTC"
        text = f"{facts.path} ({_hosts(facts)})"
        if days == _EXPIRED:
            self._onEvent("certificate-expired", f"{text} expired on {on}, and is served all the same", facts.path)
        else:
            left = max(1, round((facts.expires - now) / _DAY))
            within = f"{left} day{'s' * (left > 1)}"
            self._onEvent("certificate-expiring", f"{text} expires within {within}, on {on}", facts.path)

    def _forget(self, served: Mapping[str, CertificateFacts], now: float) -> None:
        """What is served no more: renewed, if its file has another one now."""
        files = {facts.path: facts for facts in served.values()}
        for fingerprint, told in list(self._told.items()):
            if fingerprint in served:
                continue
            successor = files.get(told.path)
            if successor is not None and successor.expires > told.expires:
                del self._told[fingerprint]
                on = f"{datetime.fromtimestamp(successor.expires, UTC):%Y-%m-%d}"
                text = f"{told.path} ({_hosts(successor)}) is valid until {on} now"
                self._onEvent("certificate-renewed", text, told.path)
            elif told.expires + _REMEMBERED < now:
                del self._told[fingerprint]

    def _onEvent(self, kind: str, text: str, path: str) -> None:
        self._events.add(kind, text, about={"certificate": path})


def _due(left: float) -> int:
    """The least of :data:`DAYS` that is not over, of so many seconds left; 0: none is left."""
    if left <= 0:
        return _EXPIRED
    return min((days for days in DAYS if left <= days * _DAY), default=_NEVER)


def _hosts(facts: CertificateFacts) -> str:
    names = facts.serves or facts.names
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f", and {more} more" if more > 0 else "")
