"""
Requests that are under way now, by route.

Nothing is counted for it while requests run: the connections are looked through each second, some at a time.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IDelayedCall

from revproxy.dataplane.edge import Edge
from revproxy.plan.counted import RouteNow

AT_ONCE = 1000
"""Connections that are looked at in one turn of the loop: half a millisecond."""


class UnderWay:
    """
    Looks through the connections of an edge.

    :ivar routes: what was found last.
    """

    def __init__(self, clock: Any, edge: Edge) -> None:
        """
        :param clock: provides `IReactorTime`.
        """
        self.routes: tuple[RouteNow, ...] = ()
        self._clock = clock
        self._edge = edge
        self._left: list[Any] = []
        self._found: dict[str, tuple[int, float]] = {}
        self._later: IDelayedCall | None = None

    def look(self) -> None:
        """Begin to look: :attr:`routes` is what there is now, or, where there are many connections, soon."""
        if self._later is None:
            self._left = list(self._edge.connections)
            self._go()

    def stop(self) -> None:
        """No more."""
        if self._later is not None:
            self._later.cancel()
            self._later = None

    def _go(self) -> None:
        self._later = None
        found, left = self._found, self._left
        for connection in left[-AT_ONCE:]:
            exchange = connection.exchange
            if exchange is not None:
                route = exchange.context._route.name
                count, began = found.get(route, (0, exchange.began))
                found[route] = count + 1, min(began, exchange.began)
        del left[-AT_ONCE:]
        if left:
            self._later = self._clock.callLater(0, self._go)
            return
        self._found = {}
        offset = self._edge.now() - self._edge.monotonic()
        self.routes = tuple(RouteNow(route, count, began + offset) for route, (count, began) in found.items())
