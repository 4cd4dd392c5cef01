"""
Which routes a request could have taken, and why all but one lost.

The rules are those of `revproxy.dataplane.routing`: the most specific host that has a route for the path wins, and
there the longest prefix. That is what chooses; this is what explains it, and a test holds that both agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from revproxy.casefolding import folded
from revproxy.control.traffic.pastplans import PastRoute, PastRoutes, prefixes
from revproxy.paths import normalised

MOST: Final = 10
"""Routes that are told of."""

_DEEPEST: Final = 256
"""Segments of a path, and labels of a host, that are looked at."""


@dataclass(frozen=True, slots=True)
class Loser:
    """
    A route that could have been, or nearly.

    :ivar why: it was not.
    """

    route: PastRoute
    why: str


def candidates(routes: PastRoutes, host: str, target: bytes) -> list[PastRoute]:
    """
    The routes that fit a request, in the order in which they would be chosen.

    :param host: in lower case, without port.
    :param target: as the client wrote it.
    """
    path = normalised(target.partition(b"?")[0])
    plain = prefixes(path)[:_DEEPEST]
    inAnyCase = prefixes(folded(path))[:_DEEPEST] if routes.inAnyCase else []
    found: list[PastRoute] = []
    for each in _hosts(host):
        of = [routes.byPlace.get((each, prefix)) for prefix in plain]
        of += [routes.inAnyCase.get((each, prefix)) for prefix in inAnyCase]
        unique = list(dict.fromkeys(route for route in of if route is not None))
        # A stable sort: of equally long ones that in the client's case comes first.
        found += sorted(unique, key=lambda route: -route.path.rstrip("/").count("/"))
    return found


def losers(routes: PastRoutes, host: str, target: bytes, chosen: str | None) -> list[Loser]:
    """
    The other routes that fit, each with why it lost; where none fits, those that come near.

    :param chosen: the name of the route it took; None or empty: there was none.
    """
    found = candidates(routes, host, target)
    if not found:
        return list(_near(routes, host))[:MOST]
    winner = routes.byName.get(chosen or "")
    return [Loser(route, _lost(route, winner)) for route in found if route is not winner][:MOST]


def _lost(route: PastRoute, winner: PastRoute | None) -> str:
    if winner is None:
        return "it fits, but was not taken: see the error"
    if route.host != winner.host:
        return f"its host, {_shown(route.host)}, is less specific than {_shown(winner.host)}"
    if route.path.rstrip("/").count("/") < winner.path.rstrip("/").count("/"):
        return f"its path, {route.path}, is shorter than {winner.path}"
    return f"{winner.path} has the case of the request, {route.path} only fits in any case"


def _near(routes: PastRoutes, host: str) -> Iterator[Loser]:
    hosts = [each for each in _hosts(host) if each in routes.byHost]
    for each in hosts:
        for name in routes.byHost[each][:MOST]:
            route = routes.byName[name]
            yield Loser(route, f"its path, {route.path}, is no prefix of the request's")
    if not hosts:
        asked = host or "that of a request without Host"
        for route in list(routes.byName.values())[:MOST]:
            yield Loser(route, f"its host, {_shown(route.host)}, is not {asked}")


def _hosts(host: str) -> Iterator[str]:
    """Those that a route for a host may have, the most specific first."""
    if host:
        yield host
    rest = host.partition(".")[2]
    for _ in range(_DEEPEST):
        if not rest:
            break
        yield f"*.{rest}"
        rest = rest.partition(".")[2]
    yield ""


def _shown(host: str) -> str:
    return host or "any"
