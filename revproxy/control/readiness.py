"""
Whether the edge is ready for requests, and why not: for whoever decides to send it some.

It is alive as long as it answers at all. It is not ready while it starts or is being stopped, while a plugin that is
required is missing, and while an upstream has nobody to answer. The last is believed for a while only: an edge that is
sent no requests never finds out that its origins are back.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IDelayedCall

from revproxy.control.coordinator import Coordinator
from revproxy.control.crew import Crew
from revproxy.control.targetstates import TargetStates
from revproxy.plan import words
from revproxy.plan.plan import Plan

SLACK = 5.0
"""Seconds beyond ``fail_timeout`` that an upstream is believed to be down: before they are over, targets are tried."""

_INTERVAL = 1.0
"""Seconds between two looks while an upstream is down."""


class Readiness:
    """
    Of one edge. Workers are told when it changes.
    """

    def __init__(self, coordinator: Coordinator, targets: TargetStates, crew: Crew, clock: Any) -> None:
        """
        :param clock: provides `IReactorTime`.
        """
        self._coordinator = coordinator
        self._targets = targets
        self._crew = crew
        self._clock = clock
        self._told = False
        self._next: IDelayedCall | None = None
        targets.onChange.append(self.look)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is not ready, a sentence each; none if it is."""
        coordinator = self._coordinator
        if coordinator.hasEnded:
            return ("it is being stopped",)
        plan = coordinator.plan
        if plan is None:
            return ("it is starting",)
        missing = [f"plugin {name} is required, and missing" for name in sorted(plan.missing)]
        return (*missing, *self._down(plan))

    @property
    def isReady(self) -> bool:
        """Whether nothing is said against it."""
        return not self.reasons

    def word(self) -> words.Readiness:
        """What a worker is to know."""
        return words.Readiness(self._told)

    def look(self) -> None:
        """Something may have changed."""
        if self._next is not None and self._next.active():
            self._next.cancel()
        self._next = None
        isReady = self.isReady
        if isReady != self._told:
            self._told = isReady
            self._crew.tell(self.word())
        if self._targets.upstreamsDown and not self._coordinator.hasEnded:
            self._next = self._clock.callLater(_INTERVAL, self.look)

    def _down(self, plan: Plan) -> list[str]:
        now = self._clock.seconds()
        reasons = []
        for name in self._targets.upstreamsDown:
            upstream = plan.config.upstreams.get(name)
            if upstream is None:
                continue
            isOut, failedAt = self._targets.lastFailure(name)
            if isOut:
                reasons.append(f"upstream {name}: all its targets are drained")
            elif now < failedAt + upstream.failTimeout + SLACK:
                reasons.append(f"upstream {name}: no target answers")
        return reasons
