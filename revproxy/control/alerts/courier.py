"""
Takes messages to one receiver, one at a time, and tries again: after five seconds, ten, twenty, up to a quarter of an
hour, each time a little more or less, for a day. A receiver that is away is tried with one message, and sent all that
wait once it takes that; a message that it refuses by itself (with 400, say) keeps no other from it.
"""

from __future__ import annotations

from collections.abc import Callable
from random import random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from revproxy.config.alertsettings import ReceiverConfig
from revproxy.control.alerts.alert import Alert
from revproxy.control.alerts.messages import Message
from revproxy.control.alerts.outbox import Outbox, Waiting
from revproxy.control.alerts.sender import Answer, NotSent, Outgoing, Sender
from revproxy.control.alerts.slack import PAUSE, slackRequest
from revproxy.control.alerts.webhook import DISABLED, webhookRequest
from revproxy.secrets import masked

FIRST_PAUSE = 5.0
"""Seconds after the first failure."""

LONGEST_PAUSE = 900.0
"""Seconds between two tries at most."""

_OWN_FAULT = frozenset((400, 401, 403, 404, 405, 406, 409, 411, 413, 414, 415, 422))
"""Statuses that are about the message rather than the receiver."""


def pauseAfter(failures: int, chance: Callable[[], float] = random) -> float:
    """Seconds to wait after so many failures in a row: a fifth more or less, so that not all edges come at once."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures - 1, 20)) * (0.8 + 0.4 * chance())


class Courier:
    """
    To one receiver.

    :ivar outbox: what it is to be told.
    :ivar isDisabled: whether it has said that it wants nothing any more.
    :ivar failures: how many there were, in all; ``lastError``: the last one, empty if what came last was taken.
    :ivar deliveredAt: when it took something last.
    """

    _log = Logger()

    def __init__(
        self,
        config: ReceiverConfig,
        outbox: Outbox,
        sender: Sender,
        clock: Any,
        telling: Callable[[str], Alert | None],
        onEvent: Callable[[str, str, str], None],
        onChanged: Callable[[], None],
        chance: Callable[[], float] = random,
    ) -> None:
        """
        :param clock: provides `IReactorTime`, in seconds since the epoch.
        :param telling: an alert by its fingerprint, if it fires and is to be told.
        :param onEvent: takes kind and text of an event, and the receiver's name.
        :param onChanged: called when there is something to write down.
        """
        self.config = config
        self.outbox = outbox
        self.isDisabled = False
        self.failures = 0
        self.lastError = ""
        self.failedAt: float | None = None
        self.deliveredAt: float | None = None
        self._sender = sender
        self._clock = clock
        self._telling = telling
        self._onEvent = onEvent
        self._onChanged = onChanged
        self._chance = chance
        self._inARow = 0
        self._notBefore = 0.0
        self._later: IDelayedCall | None = None
        self._sending: Deferred[Any] | None = None
        self._isStopped = False

    @property
    def queued(self) -> int:
        """How many messages wait."""
        return self.outbox.queued

    @property
    def deadLetters(self) -> int:
        """How many were given up."""
        return len(self.outbox.dead)

    def deadAsDicts(self) -> list[dict[str, Any]]:
        """What was given up, as JSON shows it, the newest first."""
        return [
            {
                "id": letter.message.id,
                "at": letter.at,
                "alerts": [f"{entry.labels.get('alertname', '')}: {entry.status}" for entry in letter.message.entries],
                "attempts": letter.attempts,
                "reason": letter.reason,
            }
            for letter in reversed(self.outbox.dead)
        ]

    def changed(self, alert: Alert) -> None:
        """An alert fires, or was resolved."""
        self.outbox.changed(alert, self._clock.seconds())
        self.wake()

    def isKnown(self, alert: Alert) -> bool:
        """Whether it is or will be told that an alert fires."""
        return self.outbox.isKnown(alert)

    def withdraw(self, alert: Alert) -> None:
        """An alert was silenced."""
        self.outbox.withdraw(alert, self._clock.seconds())
        self.wake()

    def redeliver(self) -> int:
        """Try again what was given up. :returns: how many."""
        count = self.outbox.redeliver(self._clock.seconds())
        self._notBefore = 0.0
        self.wake()
        return count

    def wake(self) -> None:
        """See what there is to do, now and later."""
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if self._isStopped or self.isDisabled:
            return
        now = self._clock.seconds()
        self.outbox.make(now, self._telling)
        if self._sending is None and now >= self._notBefore:
            waiting = self.outbox.due(now)
            if waiting is not None:
                self._start(waiting)
                return
        next = self.outbox.next
        if next is not None and self._sending is None:
            self._later = self._clock.callLater(max(0.001, max(next, self._notBefore) - now), self._awake)

    def _awake(self) -> None:
        self._later = None
        self.wake()

    def stop(self) -> None:
        """The edge ends, or the receiver is not configured any more."""
        self._isStopped = True
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if self._sending is not None:
            self._sending.cancel()

    async def test(self, message: Message) -> Answer:
        """
        Send a message beside all that wait.

        :raises NotSent: there was no answer.
        """
        answer = await self._sender.send(self._request(message))
        if answer.isTaken:
            self.isDisabled = False
            self._taken()
        return answer

    def _request(self, message: Message) -> Outgoing:
        build = webhookRequest if self.config.kind == "webhook" else slackRequest
        return build(self.config, message, self._clock.seconds())

    def _start(self, waiting: Waiting) -> None:
        self._sending = sending = Deferred.fromCoroutine(self._deliver(waiting))
        sending.addErrback(self._broken, waiting)
        sending.addBoth(self._ended)

    def _broken(self, failure: Any, waiting: Waiting) -> None:
        """A bug of ours, or the end: it stays where it is."""
        if not self._isStopped:
            self._log.failure("telling a receiver of alerts", failure)
            self._failed(waiting, f"could not be sent: {failure.type.__name__}", 0.0, isItsOwn=False)

    def _ended(self, _: Any) -> None:
        self._sending = None
        if not self._isStopped:
            self._onChanged()
            self.wake()

    async def _deliver(self, waiting: Waiting) -> None:
        try:
            answer = await self._sender.send(self._request(waiting.message))
        except NotSent as error:
            if not self._isStopped:
                self._failed(waiting, str(error), 0.0, isItsOwn=False)
            return
        if answer.isTaken:
            self.outbox.delivered(waiting.message)
            self._taken()
        elif answer.status == DISABLED and self.config.kind == "webhook":
            self._disable(waiting, answer)
        else:
            self._failed(waiting, str(answer), answer.retryAfter, isItsOwn=answer.status in _OWN_FAULT)

    def _taken(self) -> None:
        now = self.deliveredAt = self._clock.seconds()
        self._notBefore = now + PAUSE if self.config.kind == "slack" else 0.0
        if self.lastError:
            self.lastError = ""
            self._onEvent("alert-delivered", f"{self.config.name} takes messages again", self.config.name)
        if self._inARow:
            self._inARow = 0
            self.outbox.hurry(now)

    def _disable(self, waiting: Waiting, answer: Answer) -> None:
        self.isDisabled = True
        self._note(str(answer))
        text = (f"{self.config.name} answered 410, and is told nothing any more; what waits is kept. "
                f"`revproxy alerts test {self.config.name}` switches it on again, if it takes that")
        self._onEvent("receiver-disabled", text, self.config.name)

    def _failed(self, waiting: Waiting, reason: str, retryAfter: float, isItsOwn: bool) -> None:
        """
        :param retryAfter: seconds that the receiver asks for.
        :param isItsOwn: whether another message may fare better.
        """
        now, wasWell = self._clock.seconds(), not self.lastError
        reason = masked(reason)
        self._note(reason)
        if isItsOwn:
            pause = pauseAfter(waiting.attempts + 1, self._chance)
        else:
            self._inARow += 1
            pause = pauseAfter(self._inARow, self._chance)
            self._notBefore = now + max(pause, retryAfter)
        isDead = self.outbox.failed(waiting, reason, now + max(pause, retryAfter), now)
        name = self.config.name
        if isDead:
            text = f"a message to {name} was given up after {waiting.attempts} tries: {reason}; `revproxy alerts " \
                   f"redeliver {name}` tries it again"
            self._onEvent("alert-undelivered", text, name)
        elif wasWell and (not isItsOwn or waiting.attempts == 1):
            self._onEvent("alert-undelivered", f"{name} cannot be told: {reason}; it is tried again for a day", name)

    def _note(self, reason: str) -> None:
        self.failures += 1
        self.lastError = reason
        self.failedAt = self._clock.seconds()
