"""
Where a plugin stands in chains, why, and with which configuration, as JSON can say it; and who holds what remains of
it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from revproxy.control.configview import shownValue
from revproxy.control.coordinator import Coordinator
from revproxy.control.planning.placement import namesIn, ruleOf
from revproxy.plan.events import Event
from revproxy.plan.plan import Plan

MOST_GROUPS = 50
"""Groups of routes that are told of; there are hardly ever more than a few."""

MOST_ROUTES = 100
"""Names of routes that are told of a group; there may be ten thousand."""


class ChainView:
    """That of one edge."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator

    def routes(self, plan: Plan, index: int) -> list[str]:
        """The names of the routes of a group, or the first of them."""
        config = plan.config
        return [config.routes[number].name for number in config.routeGroups[index].routes[:MOST_ROUTES]]

    def of(self, name: str) -> dict[str, Any]:
        """Of a plugin: its schema; by group of routes its place and its configuration; what remains of it."""
        plan = self._coordinator.shown
        selected = None if plan is None else plan.find(name)
        schema = None if selected is None else selected.manifest.configSchema
        found: list[dict[str, Any]] = []
        if plan is not None and selected is not None:
            found = [self._place(plan, index, name) for index in self._groupsOf(plan, name)]
        return {
            "config_schema": schema,
            "config": [{"routes": one["routes"], "config": one.pop("config")} for one in found],
            "order": found,
            "holders": [remains(event) for event in self._remains(name)],
        }

    def lastRemains(self, name: str) -> dict[str, Any] | None:
        """What was said last of who holds a version that should be gone."""
        return next((remains(event) for event in self._remains(name)), None)

    def _groupsOf(self, plan: Plan, name: str) -> list[int]:
        orders = enumerate(plan.orderPerGroup)
        return [index for index, order in orders if any(one.name == name for one, _ in order)][:MOST_GROUPS]

    def _place(self, plan: Plan, index: int, name: str) -> dict[str, Any]:
        order = plan.orderPerGroup[index]
        names = namesIn([selected.manifest for selected, _ in order])
        position = next(number for number, (one, _) in enumerate(order) if one.name == name)
        selected, settings = order[position]
        return {
            "routes": self.routes(plan, index),
            "position": position + 1,
            "of": len(order),
            "rule": ruleOf(selected.manifest, names),
            "config": shownValue(settings),
        }

    def _remains(self, name: str) -> Iterable[Event]:
        """The latest first, of what still is there."""
        if self._coordinator.keeper.totals.retired(name):
            events = self._coordinator.events.latest(1000)
            yield from [event for event in reversed(events) if event.kind == "remains" and event.plugin == name][:3]


def remains(event: Event) -> dict[str, Any]:
    """One event that says so."""
    return {"at": event.at, "version": str(event.version), "text": event.text}


__all__ = ["ChainView", "remains"]
