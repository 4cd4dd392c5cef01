"""
What goes on now, in all workers together, as each has told it last.
"""

from __future__ import annotations

from revproxy.plan.counted import EdgeCounters, PluginNow, ProcessNow, RouteNow
from revproxy.plan.words import Counters


class Goings:
    """
    Sums over workers.

    :ivar processes: by the number of the worker.
    """

    def __init__(self) -> None:
        self.processes: dict[int, ProcessNow] = {}
        self._routes: dict[int, tuple[RouteNow, ...]] = {}
        self._plugins: dict[int, tuple[PluginNow, ...]] = {}
        self._edges: dict[int, EdgeCounters] = {}

    def counted(self, worker: int, word: Counters) -> None:
        """A worker has told what it counted."""
        self._routes[worker] = word.routes
        self._plugins[worker] = word.plugins
        if word.edge is not None:
            self._edges[worker] = word.edge
        if word.process is not None:
            self.processes[worker] = word.process

    def gone(self, worker: int) -> None:
        """A worker has ended: nothing goes on in it."""
        for known in (self.processes, self._routes, self._plugins, self._edges):
            known.pop(worker, None)

    @property
    def connections(self) -> int:
        """Connections of clients that are open."""
        return sum(edge.open for edge in self._edges.values())

    def routes(self) -> dict[str, RouteNow]:
        """By route, how many requests are under way, and when the oldest began."""
        found: dict[str, RouteNow] = {}
        for routes in self._routes.values():
            for now in routes:
                other = found.get(now.route)
                if other is not None:
                    now = RouteNow(now.route, now.count + other.count, min(now.oldestAt, other.oldestAt))
                found[now.route] = now
        return found

    def plugins(self) -> dict[str, int]:
        """By plugin, how many of its answers are awaited."""
        found: dict[str, int] = {}
        for plugins in self._plugins.values():
            for now in plugins:
                found[now.plugin] = found.get(now.plugin, 0) + now.inFlight
        return found
