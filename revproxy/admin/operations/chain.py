"""
Chains: in which order plugins see requests, which rule put each there, and what each does; and which generations live.
"""

from __future__ import annotations

from typing import Any

from revproxy.admin.operation import Call, Operation
from revproxy.admin.role import Role
from revproxy.admin.shapes import COUNT, NUMBER, TEXT, TIME, items, optional, record
from revproxy.control.control import Control
from revproxy.control.planning.placement import namesIn, ruleOf
from revproxy.plan.catalog import Order
from revproxy.plan.plan import Plan

HOUR = 3600.0

_LINK = record(
    name=TEXT,
    version=TEXT,
    digest=optional(TEXT),
    rule={**TEXT, "description": "What of its plugin.json put it there."},
    calls={**COUNT, "description": "Of the last hour, on all routes; so are the others."},
    errors=COUNT,
    interrupts=COUNT,
    self_p50_us=optional(NUMBER),
    self_p99_us=optional(NUMBER),
    share={**NUMBER, "description": "Its own time, of the time that requests took."},
)

_GROUP = record(
    routes={"type": "array", "items": TEXT},
    route_count=COUNT,
    plugins={"type": "array", "items": _LINK},
)

_GENERATION = record(
    plugin=TEXT,
    running=optional(record(version=TEXT, digest=optional(TEXT))),
    retired={**COUNT, "description": "Versions that run no more and still exist, in the worker that has most."},
    remains=optional(record("What was last said of who holds one.", at=TIME, version=TEXT, text=TEXT)),
)


class _Chains:
    """The handlers."""

    def __init__(self, control: Control) -> None:
        self._control = control

    async def all(self, call: Call) -> Any:
        plan = self._control.coordinator.shown
        if plan is None:
            return {"items": []}
        await self._control.coordinator.crew.ask()
        took = self._control.traffic.window(HOUR).duration
        names = {selected.name for selected in plan.selected}
        figures = {name: self._figures(name, took) for name in names}
        return {"items": [self._group(plan, index, order, figures) for index, order in enumerate(plan.orderPerGroup)]}

    def _group(self, plan: Plan, index: int, order: Order, figures: dict[str, Any]) -> dict[str, Any]:
        there = namesIn([selected.manifest for selected, _ in order])
        return {
            "routes": self._control.pluginView.chains.routes(plan, index),
            "route_count": len(plan.config.routeGroups[index].routes),
            "plugins": [
                {
                    "name": selected.name,
                    "version": selected.entry.version.number,
                    "digest": selected.entry.digest,
                    "rule": ruleOf(selected.manifest, there),
                    **figures[selected.name],
                }
                for selected, _ in order
            ],
        }

    def _figures(self, name: str, took: float) -> dict[str, Any]:
        window = self._control.traffic.window(HOUR, plugin=name)
        p50, p99 = (None if each is None else round(each * 1e6, 1) for each in window.quantiles(0.5, 0.99))
        return {
            "calls": window.requests,
            "errors": window.errors5xx,
            "interrupts": window.errors4xx,
            "self_p50_us": p50,
            "self_p99_us": p99,
            "share": round(min(1.0, window.duration / took), 6) if took > 0 else 0.0,
        }

    async def generations(self, call: Call) -> Any:
        coordinator = self._control.coordinator
        await coordinator.crew.ask()
        plan, totals = coordinator.shown, coordinator.keeper.totals
        running = {} if plan is None else {selected.name: selected.entry for selected in plan.selected}
        names = sorted({*running, *coordinator.records.plugins})
        return {
            "plan": 0 if plan is None else plan.number,
            "items": [
                {
                    "plugin": name,
                    "running": None if name not in running else {
                        "version": running[name].version.number, "digest": running[name].digest},
                    "retired": totals.retired(name),
                    "remains": self._control.pluginView.chains.lastRemains(name),
                }
                for name in names
                if name in running or totals.retired(name)
            ],
        }  # fmt: skip


def chainOperations(control: Control) -> tuple[Operation, ...]:
    """All about chains."""
    handlers = _Chains(control)
    return (
        Operation(
            "GET", "/chain", Role.READ, "showChains",
            "For each group of routes its plugins in the order of the way in, which rule put each there, what it does.",
            handlers.all, answer=items(_GROUP),
        ),
        Operation(
            "GET", "/generations", Role.READ, "listGenerations",
            "Of each plugin what runs, and how many versions that were replaced still exist.",
            handlers.generations, answer=items(_GENERATION, plan=COUNT),
        ),
    )  # fmt: skip


__all__ = ["chainOperations"]
