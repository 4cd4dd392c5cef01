"""
What plans had: of each plan its routes, and which version of which plugin stood where on them, in which order. So one
can say of a request why it went as it did when its plan has long been followed by others.

Plans with the same routes share them, so a hundred swaps of plugins cost little.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from revproxy.casefolding import folded
from revproxy.config.routeconfig import LEAVES
from revproxy.config.settings import Config, RouteConfig
from revproxy.plan.catalog import Order
from revproxy.plan.plan import Plan
from revproxy.requestrecord import ArmMet

MOST_PLANS: Final = 200
"""Plans that are remembered."""

MOST_ROUTES: Final = 50_000
"""Routes of all of them together; but the last plan is remembered whatever it has."""

Place = tuple[str, bytes]
"""A host, empty for any, and a path without a slash at its end."""


@dataclass(frozen=True, slots=True)
class PastRoute:
    """
    A route, as a plan had it.

    :ivar host: empty for any.
    :ivar answers: what is at its end: ``upstream NAME``, or another of `LEAVES`.
    :ivar group: of routes that have their plugins in common.
    """

    name: str
    host: str
    path: str
    answers: str
    group: int
    methods: tuple[str, ...] = ()
    ignoresCase: bool = False


@dataclass(frozen=True, slots=True)
class PastRoutes:
    """
    The routes of a configuration.

    :ivar byName: all of them.
    :ivar byPlace: by host and path; ``inAnyCase``: those that fit in any case, with the path in one case.
    :ivar byHost: the names of those of a host.
    """

    byName: Mapping[str, PastRoute]
    byPlace: Mapping[Place, PastRoute] = field(repr=False)
    inAnyCase: Mapping[Place, PastRoute] = field(repr=False)
    byHost: Mapping[str, list[str]] = field(repr=False)


@dataclass(frozen=True, slots=True)
class PastPlugin:
    """A plugin in a chain."""

    name: str
    version: str
    digest: str | None


Chains = tuple[tuple[PastPlugin, ...], ...]
"""The plugins of each group of routes, in the order of the way in."""


@dataclass(frozen=True, slots=True)
class PastPlan:
    """
    What a plan had.

    :ivar at: when it came into force, seconds since the epoch.
    :ivar chains: the plugins of each group of routes, in the order of the way in.
    :ivar missing: of each group, required plugins that could not be had.
    :ivar gates: plugins that were in quarantine.
    :ivar arms: the chains of those who met versions on trial, by the names of the plugins of which these were.
    """

    number: int
    at: float
    routes: PastRoutes
    chains: Chains
    missing: Mapping[int, tuple[str, ...]]
    gates: frozenset[str]
    arms: Mapping[frozenset[str], Chains] = field(default_factory=dict)

    def chainsOf(self, met: Iterable[ArmMet]) -> Chains:
        """
        The chains of a request.

        :param met: what it met of versions on trial.
        """
        candidates = {each.plugin for each in met if each.isCandidate}
        # A route may have some of an arm's plugins: then the arm of those alone is as good, or the least there is.
        fitting = sorted((names for names in self.arms if names >= candidates), key=len)
        return self.arms[fitting[0]] if candidates and fitting else self.chains


class PastPlans:
    """
    The last plans.

    :ivar current: that in force; None before the first.
    """

    def __init__(self) -> None:
        self.current: PastPlan | None = None
        self._plans: dict[int, PastPlan] = {}
        self._config: Config | None = None

    def committed(self, plan: Plan, now: float) -> None:
        """A plan is in force."""
        before = self.current
        isSame = before is not None and self._config is plan.config
        routes = before.routes if isSame and before is not None else routesOf(plan.config)
        missing: dict[int, tuple[str, ...]] = {}
        for name, groups in sorted(plan.missing.items()):
            for group in groups:
                missing[group] = (*missing.get(group, ()), name)
        arms = {frozenset(plan.triedIn(arm)): _chainsOf(arm.orderPerGroup) for arm in plan.arms}
        chains, gates = _chainsOf(plan.orderPerGroup), frozenset(plan.gates)
        past = PastPlan(plan.number, now, routes, chains, missing, gates, arms)
        self.current, self._config = past, plan.config
        self._plans.pop(plan.number, None)
        self._plans[plan.number] = past
        self._trim()

    def find(self, number: int) -> PastPlan | None:
        """That of a number, if it is remembered."""
        return self._plans.get(number)

    def _trim(self) -> None:
        while len(self._plans) > 1 and (len(self._plans) > MOST_PLANS or self._routes() > MOST_ROUTES):
            del self._plans[next(iter(self._plans))]

    def _routes(self) -> int:
        return sum({id(past.routes): len(past.routes.byName) for past in self._plans.values()}.values())


def routesOf(config: Config) -> PastRoutes:
    """The routes of a configuration, to be remembered."""
    groups = {index: at for at, group in enumerate(config.routeGroups) for index in group.routes}
    routes = [
        PastRoute(
            route.name,
            route.host or "",
            route.path,
            _answers(route),
            groups[index],
            tuple(sorted(route.methods or ())),
            route.case == "insensitive",
        )
        for index, route in enumerate(config.routes)
    ]
    byPlace = {(route.host, _plain(route.path)): route for route in routes}
    insensitive = {(route.host, folded(_plain(route.path))): route for route in routes if route.ignoresCase}
    inAnyCase = dict(insensitive)
    if insensitive:
        # What is below a route that ignores case does so, too.
        for route in routes:
            place = folded(_plain(route.path))
            if any((route.host, prefix) in insensitive for prefix in prefixes(place)):
                inAnyCase[route.host, place] = route
    byHost: dict[str, list[str]] = {}
    for route in routes:
        byHost.setdefault(route.host, []).append(route.name)
    return PastRoutes({route.name: route for route in routes}, byPlace, inAnyCase, byHost)


def prefixes(path: bytes) -> list[bytes]:
    """The path, and each prefix of it on segment boundaries, the longest first; the last is empty."""
    path = path.rstrip(b"/")
    found = [path]
    while path:
        path = path.rpartition(b"/")[0].rstrip(b"/")
        found.append(path)
    return found


def _plain(path: str) -> bytes:
    return path.rstrip("/").encode()


def _answers(route: RouteConfig) -> str:
    if route.upstream is not None:
        return f"upstream {route.upstream}"
    kinds = (leaf for leaf in LEAVES if leaf != "upstream")
    return next((kind for kind in kinds if getattr(route, kind) is not None), "")


def _chainsOf(orderPerGroup: Iterable[Order]) -> Chains:
    made: dict[int, tuple[PastPlugin, ...]] = {}
    orders = tuple(orderPerGroup)
    for order in orders:
        if id(order) not in made:
            made[id(order)] = tuple(
                PastPlugin(each.name, each.entry.version.number, each.entry.digest) for each, _ in order
            )
    return tuple(made[id(order)] for order in orders)
