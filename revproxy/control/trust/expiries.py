"""
What comes with the time: signers whose end is near, and what was revoked where nobody watches the file.

A signer is told of 30, 7 and 1 days before its end, and at it; each once, also over restarts. What it has signed and
has run goes on; the end is for what is new.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from revproxy.config.settings import Config
from revproxy.config.trustconfig import SignerConfig
from revproxy.control.trust.memory import Memory
from revproxy.plan.events import EventLog
from revproxy.plan.plan import Plan

DAYS = (30, 7, 1)
"""How many days before its end a signer is told of."""

INTERVAL = 30.0
"""Seconds between two looks."""

_DAY = 86400.0
_OVER = 0


class Expiries:
    """
    Of one edge.

    Its events are ``signer-expiring`` and ``signer-expired``.
    """

    _log = Logger()

    def __init__(
        self,
        memory: Memory,
        clock: Any,
        events: EventLog,
        look: Callable[[Config], Coroutine[Any, Any, None]],
    ) -> None:
        """
        :param memory: remembers what was told.
        :param clock: provides `IReactorTime`, in seconds since the epoch.
        :param look: looks whether something was revoked, and has it taken up.
        """
        self._memory = memory
        self._clock = clock
        self._events = events
        self._lookAt = look
        self._config: Config | None = None
        self._next: IDelayedCall | None = None
        self._isLooking = False
        self._isStopped = False

    def committed(self, before: Plan | None, plan: Plan) -> None:
        """This configuration is in force."""
        if self._config is None or self._config.trust != plan.config.trust:
            self._tell(plan.config)
        self._config = plan.config
        if self._next is None and not self._isStopped:
            self._next = self._clock.callLater(INTERVAL, self._tick)

    def stop(self) -> None:
        """No more."""
        self._isStopped = True
        if self._next is not None and self._next.active():
            self._next.cancel()

    def _tick(self) -> None:
        self._next = None if self._isStopped else self._clock.callLater(INTERVAL, self._tick)
        if self._config is None:
            return
        self._tell(self._config)
        if self._config.trust.revoked is not None and not self._isLooking:
            self._isLooking = True
            looking = Deferred.fromCoroutine(self._lookAt(self._config))
            looking.addErrback(lambda failure: self._log.failure("looking at what is revoked", failure))
            looking.addBoth(self._looked)

    def _looked(self, _: object) -> None:
        self._isLooking = False

    def _tell(self, config: Config) -> None:
        now = max(self._clock.seconds(), self._memory.seen)
        for signer in config.trust.signers:
            if signer.notAfter is not None:
                self._tellOf(signer, signer.notAfter, now)
        self._memory.save()

    def _tellOf(self, signer: SignerConfig, end: float, now: float) -> None:
        days = _due(end - now)
        if days == _OVER:
            self._memory.isOver(end)
        if days is None or not self._memory.isNews(signer.key, end, days):
            return
        about = {"signer": signer.name}
        last = f"{datetime.fromtimestamp(end - 1, UTC):%Y-%m-%d}"
        if days == _OVER:
            text = f"nothing new is taken that {signer.name} has signed: {last} was its end. What has run may go on"
            self._events.add("signer-expired", text, about=about)
        else:
            left = max(1, round((end - now) / _DAY))
            text = (
                f"what {signer.name} signs is taken for {left} more day{'s' * (left > 1)}, until {last}: name another "
                "key beside it, and sign with that"
            )
            self._events.add("signer-expiring", text, about=about)


def _due(left: float) -> int | None:
    """The least of :data:`DAYS` that is not over, of so many seconds left; 0: none is left; None: nothing is due."""
    if left <= 0:
        return _OVER
    return min((days for days in DAYS if left <= days * _DAY), default=None)


__all__ = ["Expiries"]
