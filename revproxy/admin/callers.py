"""
Who is connected at one door: how many may be, and who gives way.
"""

from __future__ import annotations

from typing import Any, Protocol

from twisted.internet.defer import Deferred

from revproxy.admin.problem import Problem

CONNECTIONS = 32
"""Clients at a time. For one more, who asks nothing gives way."""

NEW = 1.0
"""Seconds in which whoever has come is about to ask something."""

RESCUERS = 4
"""More of them, where all wait for answers, which may take long; these may rescue, and nothing else."""


class Caller(Protocol):
    """One connection."""

    isExtra: bool
    isKnown: bool

    @property
    def isAnswering(self) -> bool:
        """Whether it waits for an answer."""

    def refuse(self, problem: Problem, lingers: bool = True) -> None:
        """Answer so, and end."""

    def end(self) -> None:
        """End, soon."""

    def dismiss(self) -> None:
        """End, when what it waits for is answered."""


class Callers:
    """
    All connections of one door.

    :ivar clock: provides `IReactorTime`.
    :ivar isUrgent: whether what they ask comes before requests for the data plane; see `revproxy.loop.reactor`.
    """

    def __init__(self, clock: Any, isUrgent: bool, limit: int = CONNECTIONS, areKnown: bool = False) -> None:
        """:param areKnown: whether nobody is a stranger here: whoever has come this far may."""
        self.clock = clock
        self.isUrgent = isUrgent
        self.limit = limit
        self.areKnown = areKnown
        # The one that has asked nothing for longest comes first. Each with when it is no newcomer any more.
        self._connected: dict[Caller, float] = {}
        self._leaving: set[Caller] = set()
        self._ended: list[Deferred[None]] = []

    def __len__(self) -> int:
        return len(self._connected)

    def connected(self, caller: Caller) -> None:
        """There is one more."""
        caller.isKnown = caller.isKnown or self.areKnown
        if len(self._connected) >= self.limit:
            silent, hasRoom = self._silent(), len(self._connected) < self.limit + RESCUERS
            if silent is not None and not (hasRoom and self._isNew(silent)):
                silent.refuse(Problem(503, "others need the place of who has asked nothing for longest"), False)
            elif hasRoom:
                caller.isExtra = True
            else:
                caller.refuse(self._full(), False)
                return
        self._connected[caller] = self.clock.seconds() + NEW

    def _silent(self) -> Caller | None:
        """Who is to give way: strangers before others."""
        silent = [other for other in self._connected if not other.isAnswering]
        return next((other for other in silent if not other.isKnown), silent[0] if silent else None)

    def _isNew(self, caller: Caller) -> bool:
        """Whether what it has sent is about to be read, and may be a rescue. Of strangers nobody believes that."""
        return self.areKnown and self.clock.seconds() < self._connected[caller]

    def checkPlace(self, caller: Caller, isRescue: bool) -> None:
        """:raises Problem: it has a place only for a rescue, and asks for something else."""
        if caller.isExtra and not isRescue and len(self._connected) > self.limit:
            raise self._full()

    def answered(self, caller: Caller) -> None:
        """It goes to the end of those that may have to give way."""
        if caller in self._connected:
            del self._connected[caller]
            self._connected[caller] = 0.0

    def leaving(self, caller: Caller) -> None:
        """It gives up its place, and is about to go."""
        self._connected.pop(caller, None)
        self._leaving.add(caller)

    def gone(self, caller: Caller) -> None:
        """It is not connected any more."""
        self._connected.pop(caller, None)
        self._leaving.discard(caller)
        if not self._connected and not self._leaving:
            ended, self._ended = self._ended, []
            for each in ended:
                each.callback(None)

    def dismiss(self) -> None:
        """End them, but for those that wait for an answer: these then."""
        for caller in list(self._connected):
            caller.dismiss()

    def close(self) -> Deferred[None]:
        """
        End them all. Does not wait for what they have asked for.

        :returns: fires when all are gone, which takes as long as a client that is leaving has, at most.
        """
        ended: Deferred[None] = Deferred()
        self._ended.append(ended)
        for caller in list(self._connected):
            caller.end()
        if not self._leaving:
            self._ended.remove(ended)
            ended.callback(None)
        return ended

    def _full(self) -> Problem:
        text = f"{self.limit} others are connected; try again later, or disable, rollback, pin, rollout abort"
        return Problem(503, text, headers={"Retry-After": "5"})


__all__ = ["CONNECTIONS", "RESCUERS", "Callers"]
