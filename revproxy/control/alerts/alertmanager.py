"""
Alertmanager's way of being told (API v2): all that fires, each minute, with an end four minutes ahead, so that it knows
when the edge is gone; and for five minutes that something is over. Each of the Alertmanagers of a receiver is told by
itself: they find out among them who tells people.

Nothing waits in a queue here: what one of them missed it is told with the next turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from random import random
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from revproxy.config.alertsettings import ReceiverConfig
from revproxy.control.alerts.alert import Alert
from revproxy.control.alerts.courier import pauseAfter
from revproxy.control.alerts.messages import Message, timeText
from revproxy.control.alerts.sender import Answer, NotSent, Outgoing, Sender
from revproxy.secrets import masked

INTERVAL = 60.0
"""Seconds between two turns."""

AHEAD = 4 * INTERVAL
"""Seconds after which an alert is over unless it is told again."""

RESOLVED_FOR = 300.0
"""Seconds for which it is told that an alert is over."""

UNTOLD_FOR = 86400.0
"""Seconds for which that is kept for an Alertmanager that does not answer."""

SOON = 1.0
"""Seconds that are waited for further alerts."""

MOST_AT_ONCE = 200
"""Alerts in one request."""

MOST_RESOLVED = 1000
"""Alerts that are over and still to be told; the oldest go."""


class Over(msgspec.Struct):
    """
    An alert that is over.

    :ivar told: by which of the Alertmanagers it was taken, by number.
    """

    alert: Alert
    told: list[int] = []


def alertsBody(alerts: Sequence[Alert], now: float) -> bytes:
    """What is posted."""
    return msgspec.json.encode([_written(alert, now) for alert in alerts])


def _written(alert: Alert, now: float) -> dict[str, Any]:
    startsAt = alert.since if alert.firedAt is None else alert.firedAt
    text = alert.why if alert.endedAt is not None and alert.why else alert.text
    return {
        "labels": dict(alert.labels),
        "annotations": {"summary": masked(alert.summary), "description": masked(text)},
        "startsAt": timeText(startsAt),
        "endsAt": timeText(now + AHEAD if alert.endedAt is None else alert.endedAt),
    }


class _Peer:
    """One of the Alertmanagers."""

    _log = Logger()

    def __init__(self, number: int, url: str, feed: Feed) -> None:
        self.number = number
        self.url = url
        self.error = ""
        self._feed = feed
        self._inARow = 0
        self._later: IDelayedCall | None = None
        self._sending: Deferred[Any] | None = None
        self._isAskedAgain = False

    def soon(self) -> None:
        """Something has changed. While it does not answer, it is told when it is tried again."""
        if self._sending is not None:
            self._isAskedAgain = True
        elif not self._inARow or self._later is None:  # there was nothing to try again with
            self._at(SOON)

    def again(self) -> None:
        """Try now, however it went before."""
        if self._sending is None:
            self._at(0.0)

    def stop(self) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if self._sending is not None:
            self._sending.cancel()

    def _at(self, seconds: float) -> None:
        if self._later is not None:
            if self._later.getTime() <= self._feed.clock.seconds() + seconds:
                return
            self._later.cancel()
        self._later = self._feed.clock.callLater(seconds, self._turn)

    def _turn(self) -> None:
        self._later = None
        alerts = self._feed.telling(self)
        if not alerts:
            return
        self._sending = sending = Deferred.fromCoroutine(self._tell(alerts))
        sending.addErrback(self._broken)
        sending.addBoth(self._ended)

    async def _tell(self, alerts: Sequence[Alert]) -> None:
        for start in range(0, len(alerts), MOST_AT_ONCE):
            part = alerts[start : start + MOST_AT_ONCE]
            try:
                answer = await self._feed.post(self.url, part)
            except NotSent as error:
                self._failed(str(error))
                return
            if not answer.isTaken:
                self._failed(str(answer))
                return
            self._feed.taken(self, part)
        self._inARow, self.error = 0, ""

    def _broken(self, failure: Any) -> None:
        if not self._feed.isStopped:
            self._log.failure("telling an Alertmanager", failure)
            self._failed(failure.type.__name__)

    def _failed(self, reason: str) -> None:
        self._inARow += 1
        self.error = masked(reason)
        self._feed.failed(self)

    def _ended(self, _: Any) -> None:
        self._sending = None
        if self._feed.isStopped:
            return
        isAsked, self._isAskedAgain = self._isAskedAgain, False
        if self._inARow:
            self._at(min(INTERVAL, pauseAfter(self._inARow, self._feed.chance)))
        else:
            self._at(SOON if isAsked else INTERVAL)


class Feed:
    """
    What the Alertmanagers of one receiver are told.

    :ivar over: by fingerprint, what is over and still told.
    :ivar failures: how many there were, in all; ``lastError``: the last one, empty if all of them answer.
    :ivar deliveredAt: when one of them took something last.
    """

    isDisabled = False
    queued = 0
    deadLetters = 0

    def __init__(
        self,
        config: ReceiverConfig,
        sender: Sender,
        clock: Any,
        firing: Callable[[], Iterable[Alert]],
        onEvent: Callable[[str, str, str], None],
        onChanged: Callable[[], None],
        chance: Callable[[], float] = random,
    ) -> None:
        """
        :param clock: provides `IReactorTime`, in seconds since the epoch.
        :param firing: what fires, and is to be told to this receiver.
        :param onEvent: takes kind and text of an event, and the receiver's name.
        :param onChanged: called when there is something to write down.
        """
        self.config = config
        self.clock = clock
        self.chance = chance
        self.over: dict[str, Over] = {}
        self.failures = 0
        self.failedAt: float | None = None
        self.deliveredAt: float | None = None
        self.isStopped = False
        self._sender = sender
        self._firing = firing
        self._onEvent = onEvent
        self._onChanged = onChanged
        self._isFailing = False
        self._peers = [_Peer(number, str(url).rstrip("/"), self) for number, url in enumerate(config.urls)]

    @property
    def lastError(self) -> str:
        """Of those that do not answer."""
        failing = [peer for peer in self._peers if peer.error]
        return "; ".join(f"{_origin(peer.url)}: {peer.error}" for peer in failing)

    def deadAsDicts(self) -> list[dict[str, Any]]:
        """Nothing is given up."""
        return []

    def changed(self, alert: Alert) -> None:
        """An alert fires, or was resolved."""
        self.over.pop(alert.fingerprint, None)
        if alert.endedAt is not None:
            self.over[alert.fingerprint] = Over(alert)
            while len(self.over) > MOST_RESOLVED:
                del self.over[next(iter(self.over))]
        self.wake()

    def isKnown(self, alert: Alert) -> bool:
        """Whether it is told that an alert fires: all that do are told each time."""
        return False

    def withdraw(self, alert: Alert) -> None:
        """An alert was silenced: it is not told any more, and so is over there in four minutes."""

    def redeliver(self) -> int:
        """Nothing is given up. :returns: how many."""
        return 0

    def wake(self) -> None:
        """See what there is to tell."""
        if not self.isStopped:
            for peer in self._peers:
                peer.soon()

    def stop(self) -> None:
        """The edge ends, or the receiver is not configured any more."""
        self.isStopped = True
        for peer in self._peers:
            peer.stop()

    async def test(self, message: Message) -> Answer:
        """
        Tell each of an alert that ends by itself.

        :raises NotSent: one of them did not answer.
        """
        entry, now = message.entries[0], self.clock.seconds()
        written = {
            "labels": dict(entry.labels),
            "annotations": {"summary": entry.summary, "description": entry.text},
            "startsAt": timeText(now),
            "endsAt": timeText(now + INTERVAL),
        }
        body = msgspec.json.encode([written])
        results: Any = await DeferredList(
            [self._sender.send(self._request(peer.url, body)) for peer in self._peers], consumeErrors=True
        )
        answers: list[Answer] = []
        for peer, (isAnswered, found) in zip(self._peers, results, strict=True):
            if not isAnswered:
                raise NotSent(f"{_origin(peer.url)}: {found.getErrorMessage()}")
            answers.append(found)
            if found.isTaken:
                peer.again()
        return next((answer for answer in answers if not answer.isTaken), answers[0])

    # What the peers ask for

    def telling(self, peer: _Peer) -> list[Alert]:
        """What fires, and what is over and still told to this one."""
        now, found = self.clock.seconds(), list(self._firing())
        for name, over in list(self.over.items()):
            age = now - (over.alert.endedAt or now)
            isTold = len(over.told) >= len(self._peers)
            if age > UNTOLD_FOR or (isTold and age > RESOLVED_FOR):
                del self.over[name]
            elif age <= RESOLVED_FOR or peer.number not in over.told:
                found.append(over.alert)
        return found

    def post(self, url: str, alerts: Sequence[Alert]) -> Deferred[Answer]:
        """Tell one of them."""
        return self._sender.send(self._request(url, alertsBody(alerts, self.clock.seconds())))

    def _request(self, url: str, body: bytes) -> Outgoing:
        headers = {"Content-Type": "application/json", "User-Agent": "revproxy"}
        if self.config.authorization:
            headers["Authorization"] = str(self.config.authorization)
        return Outgoing(f"{url}/api/v2/alerts", headers, body, self.config.ca)

    def taken(self, peer: _Peer, alerts: Sequence[Alert]) -> None:
        """One of them took these."""
        self.deliveredAt = self.clock.seconds()
        isNews = False
        for alert in alerts:
            over = self.over.get(alert.fingerprint)
            if over is not None and over.alert is alert and peer.number not in over.told:
                over.told.append(peer.number)
                isNews = True
        if isNews:
            self._onChanged()
        if self._isFailing and not any(other.error for other in self._peers if other is not peer):
            self._isFailing = False
            self._onEvent("alert-delivered", f"{self.config.name} takes alerts again", self.config.name)

    def failed(self, peer: _Peer) -> None:
        """One of them did not."""
        self.failures += 1
        self.failedAt = self.clock.seconds()
        if not self._isFailing:
            self._isFailing = True
            text = f"{self.config.name}: {_origin(peer.url)} cannot be told: {peer.error}; it is tried each minute"
            self._onEvent("alert-undelivered", text, self.config.name)


def _origin(url: str) -> str:
    """What may be shown of a URL."""
    return masked("/".join(url.split("/", 3)[:3]))
