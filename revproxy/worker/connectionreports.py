"""
The connections of clients, told when somebody asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from heapq import nsmallest
from math import inf
from typing import Any

from twisted.internet.interfaces import IDelayedCall

from revproxy.dataplane.edge import Edge
from revproxy.plan.counted import ConnectionNow
from revproxy.plan.words import Connections

MOST = 1000
"""Connections that are told of at a time."""

AT_ONCE = 1000
"""Connections that are looked at in one turn of the loop: half a millisecond."""

_TOLD_AT_ONCE = 200
"""Connections that are described in one turn of the loop: half a millisecond, too."""

LONGEST = 256
"""Characters of an id, which a client may have chosen."""


class ConnectionReports:
    """
    Answers questions about the connections of an edge, one question after the other.
    """

    def __init__(
        self,
        clock: Any,
        edge: Edge,
        endpoints: Callable[[], Mapping[Any, str]],
        tell: Callable[[Connections], None],
    ) -> None:
        """
        :param clock: provides `IReactorTime`.
        :param endpoints: by listener, its endpoint.
        """
        self._clock = clock
        self._edge = edge
        self._endpoints = endpoints
        self._tell = tell
        self._asked: list[int] = []
        self._left: list[Any] = []
        self._first: list[Any] = []
        self._told: list[ConnectionNow] = []
        self._later: IDelayedCall | None = None

    def ask(self, number: int) -> None:
        """
        Tell, soon.

        :param number: of the question.
        """
        self._asked.append(number)
        if self._later is None:
            self._begin()

    def stop(self) -> None:
        """No more."""
        self._asked.clear()
        if self._later is not None:
            self._later.cancel()
            self._later = None

    def _begin(self) -> None:
        self._left = list(self._edge.connections)
        self._first, self._told = [], []
        self._look()

    def _look(self) -> None:
        """Choose among some more."""
        self._later = None
        some = self._left[-AT_ONCE:]
        del self._left[-AT_ONCE:]
        self._first = nsmallest(MOST, [*self._first, *some], key=_age)
        self._go(self._look if self._left else self._describe)

    def _describe(self) -> None:
        self._later = None
        endpoints = self._endpoints()
        offset = self._edge.now() - self._edge.monotonic()
        at = len(self._told)
        self._told += [_told(each, endpoints, offset) for each in self._first[at : at + _TOLD_AT_ONCE]]
        if len(self._told) < len(self._first):
            self._go(self._describe)
            return
        asked, self._asked = self._asked, []
        told, self._told, self._first = tuple(self._told), [], []
        for number in asked:
            self._tell(Connections(number, len(self._edge.connections), told))
        if self._asked:
            self._begin()

    def _go(self, step: Callable[[], None]) -> None:
        """At once where there are few, else in the next turn of the loop."""
        if len(self._edge.connections) <= _TOLD_AT_ONCE:
            step()
        else:
            self._later = self._clock.callLater(0, step)


def _age(connection: Any) -> tuple[float, float]:
    """First those with requests, the oldest of these first; then the others, so as well."""
    exchange = connection.exchange
    return (inf if exchange is None else exchange.began), connection.since


def _told(connection: Any, endpoints: Mapping[Any, str], offset: float) -> ConnectionNow:
    listener, exchange = connection.listener, connection.exchange
    now = (
        connection.peer,
        endpoints.get(listener, ""),
        listener.scheme,
        connection.protocol,
        connection.since + offset,
        connection.served,
        connection.stateName,
    )
    if exchange is None:
        return ConnectionNow(*now)
    context = exchange.context
    return ConnectionNow(*now, context._route.name, context.id[:LONGEST], exchange.began + offset)
