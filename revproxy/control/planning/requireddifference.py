"""What has become of required plugins from one plan to the next: each loss is said aloud, and by whose word."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from revproxy.control.planning.difference import Difference, differencesOf
from revproxy.plan.plan import Plan

_TOLD = 3
"""So many routes are named."""


def allDifferencesOf(before: Plan, after: Plan) -> list[Difference]:
    """All that has changed; what has become of required plugins comes last."""
    return [*differencesOf(before, after), *requiredDifferencesOf(before, after)]


def requiredDifferencesOf(before: Plan, after: Plan) -> Iterator[Difference]:
    """By name: those that are off where they ran, that are not required any more, and that cannot be had."""
    for name in before.required:
        yield from _ended(name, before, after)
    for name, groups in after.missing.items():
        if before.missing.get(name) is None:
            routes = sum(len(after.config.routeGroups[group].routes) for group in groups)
            text = (
                f"it is required, and cannot be had: {routes} route{'s' if routes != 1 else ''} answered 503 until it "
                f"works, its folder is gone, or `revproxy disable {name}`"
            )
            yield Difference("required-missing", text, name)
    for name in before.missing:
        if name not in after.missing and after.find(name) is None:
            yield Difference("required-off", f"it never ran, and is {_byWhom(name, after)}: requests pass", name)


def _ended(name: str, before: Plan, after: Plan) -> Iterator[Difference]:
    now = after.find(name)
    if now is not None and name not in after.required:
        yield Difference("required-ended", "it is not required any more: it leaves with its folder", name)
    ran, runs = _routesOf(name, before), _routesOf(name, after)
    here = {route.name for route in after.config.routes}
    lost = sorted((ran & here) - runs - _withoutOf(name, after))
    if lost:
        where = "everywhere" if not runs else _listed(lost)
        yield Difference("required-off", f"it is required, and {_byWhom(name, after)}: off {where}", name)


def _byWhom(name: str, after: Plan) -> str:
    if after.switches.get(name) is False:
        return f"switched off by `revproxy disable {name}`"
    said = [after.config.plugins.config.get(name), *(group.plugins.get(name) for group in after.config.routeGroups)]
    if any(each is False for each in said):
        return f"switched off by {after.config.source}"
    if name in after.entries:
        return "switched off by its plugin.json, or by what is said no more"
    return "gone with its folder"


def _routesOf(name: str, plan: Plan) -> set[str]:
    """The names of the routes on which a plugin runs."""
    plugin = plan.find(name)
    if plugin is None:
        return set()
    return _named(plan, (at for at in range(len(plan.config.routeGroups)) if plugin.configFor(at) is not None))


def _withoutOf(name: str, plan: Plan) -> set[str]:
    """The names of the routes that would need it: nobody passes there."""
    return _named(plan, plan.missing.get(name, ()))


def _named(plan: Plan, groups: Iterable[int]) -> set[str]:
    return {plan.config.routes[route].name for at in groups for route in plan.config.routeGroups[at].routes}


def _listed(routes: list[str]) -> str:
    more = len(routes) - _TOLD
    return f"on {', '.join(routes[:_TOLD])}{f' and {more} other routes' if more > 0 else ''}"
