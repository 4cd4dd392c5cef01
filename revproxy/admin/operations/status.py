"""
How the edge is now: what it is, and what goes through it, route by route.
"""

from __future__ import annotations

import platform
from collections import Counter
from time import perf_counter
from typing import Any

from twisted.internet.defer import Deferred

from revproxy import __version__
from revproxy.admin.operation import Call, Operation
from revproxy.admin.operations.figures import FIGURES, figures
from revproxy.admin.operations.rolloutshapes import BRIEF, goingOn
from revproxy.admin.reply import SLICE
from revproxy.admin.role import Role
from revproxy.admin.shapes import COUNT, FLAG, NUMBER, TEXT, TIME, optional, record
from revproxy.control.control import Control
from revproxy.plan.counted import RouteNow

STATES = ("running", "quarantined", "failed", "off")
"""Of plugins, those that are counted."""

_GOES_ON = {
    "last_10s": FIGURES,
    "last_hour": FIGURES,
    "in_flight": COUNT,
    "oldest_seconds": optional({**NUMBER, "description": "Age of the oldest request that is under way."}),
}

_STATUS = record(
    name=TEXT, version=TEXT, python=TEXT, started_at=TIME, now=TIME,
    state={"enum": ["starting", "serving", "draining"]},
    is_ready=FLAG, not_ready={"type": "array", "items": TEXT}, workers=COUNT,
    config=record(source=TEXT, failure=optional({"type": "object"})),
    plan={**COUNT, "description": "Its number; 0 before the first."},
    plugins=record(**dict.fromkeys(STATES, COUNT)),
    rollouts={"type": "array", "items": BRIEF, "description": "Those that go on."},
    connections=COUNT, requests_in_flight=COUNT, oldest_request_seconds=optional(NUMBER), alerts_firing=COUNT,
    routes={"type": "array", "items": record(route=TEXT, upstream=optional(TEXT), **_GOES_ON)},
    total=record(**_GOES_ON),
)  # fmt: skip


class _Status:
    """The handler."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._coordinator = control.coordinator

    async def status(self, call: Call) -> Any:
        await self._coordinator.crew.ask()
        routes = await self._routes()
        return {**await self._edge(), "routes": routes, "total": self._total()}

    async def _edge(self) -> dict[str, Any]:
        control, coordinator = self._control, self._coordinator
        plan = coordinator.plan
        plugins = Counter(control.pluginView.states().values())
        reasons = control.readiness.reasons
        goings = control.goings.routes()
        return {
            "name": "revproxy",
            "version": __version__,
            "python": platform.python_version(),
            "started_at": control.startedAt,
            "now": coordinator.now(),
            "state": "draining" if coordinator.hasEnded else "starting" if plan is None else "serving",
            "is_ready": not reasons,
            "not_ready": list(reasons),
            "workers": coordinator.crew.size,
            "config": control.pluginView.configuration(),
            "plan": 0 if plan is None else plan.number,
            "plugins": {state: plugins[state] for state in STATES},
            "rollouts": goingOn(control.rollouts.views()),
            "connections": control.goings.connections,
            "requests_in_flight": sum(now.count for now in goings.values()),
            "oldest_request_seconds": self._age(min((now.oldestAt for now in goings.values()), default=None)),
            "alerts_firing": sum(control.alerts.silences.of(alert.labels) is None for alert in control.alerts.firing),
        }

    async def _routes(self) -> list[dict[str, Any]]:
        """Those of the configuration, in its order, and last, if there were any, requests without a route."""
        plan, traffic = self._coordinator.plan, self._control.traffic
        known = {} if plan is None else {route.name: route.upstream for route in plan.config.routes}
        goings = self._control.goings.routes()
        names = [*known, *([""] if "" in goings or traffic.window(3600, route="").requests else [])]
        found, until = [], perf_counter() + SLICE
        for name in names:
            now = goings.get(name)
            found.append({
                "route": name,
                "upstream": known.get(name),
                "last_10s": figures(traffic.window(10, route=name)),
                "last_hour": figures(traffic.window(3600, route=name)),
                **self._goesOn(now),
            })
            if perf_counter() >= until:
                await self._turn()
                until = perf_counter() + SLICE
        return found

    def _goesOn(self, now: RouteNow | None) -> dict[str, Any]:
        if now is None:
            return {"in_flight": 0, "oldest_seconds": None}
        return {"in_flight": now.count, "oldest_seconds": self._age(now.oldestAt)}

    def _total(self) -> dict[str, Any]:
        traffic, goings = self._control.traffic, self._control.goings.routes().values()
        return {
            "last_10s": figures(traffic.window(10)),
            "last_hour": figures(traffic.window(3600)),
            "in_flight": sum(now.count for now in goings),
            "oldest_seconds": self._age(min((now.oldestAt for now in goings), default=None)),
        }

    def _age(self, began: float | None) -> float | None:
        return None if began is None else round(max(0.0, self._coordinator.now() - began), 3)

    def _turn(self) -> Deferred[None]:
        """Let others have the loop."""
        turn: Deferred[None] = Deferred()
        self._coordinator.callLater(0, turn.callback, None)
        return turn


def statusOperations(control: Control) -> tuple[Operation, ...]:
    """How the edge is."""
    return (
        Operation(
            "GET", "/status", Role.READ, "getStatus", "How the edge is, and what goes through it by route.",
            _Status(control).status, answer=_STATUS,
            description="Where `metrics.count` is false, nothing is known of requests that are over.",
        ),
    )  # fmt: skip


__all__ = ["statusOperations"]
