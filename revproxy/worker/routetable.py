"""
What of a generation depends on the configuration alone: upstreams, leaves, the resource tree.

While the configuration stays as it is, so does its route table: what is done for a plugin that changes does not become
more with the number of routes. With another configuration, most of the work is done in a thread; there may be ten
thousand routes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from twisted.python.reflect import namedAny
from twisted.web.resource import IResource

from revproxy.config.problems import ConfigErrors, Problem
from revproxy.config.settings import Config, RouteConfig
from revproxy.dataplane.http.interfaces import ILeaf
from revproxy.dataplane.leaves.destinations import Destinations
from revproxy.dataplane.leaves.fixed import RedirectLeaf, RespondLeaf
from revproxy.dataplane.leaves.health import HealthLeaf
from revproxy.dataplane.leaves.mounted import MountedLeaf
from revproxy.dataplane.leaves.proxy import ProxyLeaf
from revproxy.dataplane.leaves.static import StaticLeaf
from revproxy.dataplane.routing import Route, Tree
from revproxy.worker.upstreamfactory import Known, Parts, Upstreams

# The leaf first. Flat, for there may be ten thousand, and each tuple is one more for the collector to look at.
_MadeLeaf = tuple[ILeaf, *tuple[Any, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class RouteTable:
    """
    The upstreams, leaves and resource tree of one configuration.

    :ivar upstreams: by name, each with the key under which it may be shared.
    :ivar destinations: the upstreams again, for plugins that choose among them.
    :ivar leaves: by host and path of their routes, each with what it was made from.
    """

    config: Config
    upstreams: Known
    leaves: Mapping[tuple[str | None, str], _MadeLeaf]
    tree: Tree
    destinations: Destinations

    def close(self, successor: RouteTable | None = None) -> None:
        """Give up upstream connections that the successor does not share, as they become idle."""
        if successor is self:
            return
        kept = set() if successor is None else {id(upstream) for _, upstream in successor.upstreams.values()}
        for _, upstream in self.upstreams.values():
            if id(upstream) not in kept:
                if successor is not None:
                    upstream.forget()
                upstream.close()


def makeRouteTable(config: Config, parts: Parts, client: Any, previous: RouteTable | None = None) -> RouteTable:
    """
    At once; blocks while it reads files.

    :param client: what requests are sent with.
    :param previous: what is shared as far as it would be the same.
    :raises ConfigErrors: with every problem found; nothing is left behind.
    """
    work = _TableInTheMaking(config, parts, client, previous)
    if work.isSame():
        assert previous is not None
        return previous
    work.read()
    work.connect()
    return work.finish()


async def makeRouteTableWhileServing(
    config: Config,
    parts: Parts,
    client: Any,
    previous: RouteTable,
    inThread: Callable[..., Awaitable[Any]],
) -> RouteTable:
    """
    The same, and requests are served meanwhile.

    :param inThread: runs a function in a thread.
    """
    work = _TableInTheMaking(config, parts, client, previous)
    if await inThread(work.isSame) if work.mustLook else work.isSame():
        return previous
    await inThread(work.read)
    work.connect()
    table: RouteTable = await inThread(work.finish)
    return table


class _TableInTheMaking:
    """
    One table in the making, in steps: `read`, `connect`, `finish`. The first and the last may be done in any thread.

    :ivar mustLook: whether it takes files to know that nothing has changed.
    """

    def __init__(self, config: Config, parts: Parts, client: Any, previous: RouteTable | None) -> None:
        self.config = config
        self._parts = parts
        self._client = client
        self._previous = previous
        self._makes = Upstreams(config, parts)
        self._isOfSame = previous is not None and previous.config is config
        self.mustLook = self._isOfSame and self._makes.haveFiles
        self._problems: list[Problem] = []
        self._keys: Mapping[str, Any] = {}
        self._upstreams: Known = {}
        self._mounted: dict[int, ILeaf] = {}
        self._shared: dict[tuple[Any, ...], _MadeLeaf] = {}

    def isSame(self) -> bool:
        """Whether it would be the previous one."""
        previous = self._previous
        return previous is not None and self._isOfSame and self._makes.areSame(previous.upstreams)

    def read(self) -> None:
        """The files of upstreams."""
        self._keys = self._makes.keys()

    def connect(self) -> None:
        """
        Make what needs the reactor's thread: upstreams, and resources, which are foreign code.

        :raises ConfigErrors:
        """
        self._upstreams = self._makes.made(self._keys, {} if self._previous is None else self._previous.upstreams)
        self._problems += self._makes.problems
        for index, route in enumerate(self.config.routes):
            if route.resource is not None and self._known(route) is None:
                leaf = self._resource(index, route.resource, route.path.encode())
                if leaf is not None:
                    self._mounted[index] = leaf
        if self._problems:
            raise ConfigErrors(self._problems)

    def finish(self) -> RouteTable:
        """The other leaves, and the resource tree."""
        groups = {index: at for at, group in enumerate(self.config.routeGroups) for index in group.routes}
        leaves: dict[tuple[str | None, str], _MadeLeaf] = {}
        routes = []
        for index, route in enumerate(self.config.routes):
            made = leaves[route.host, route.path] = self._known(route) or self._made(index, route)
            host = (route.host or "").encode("ascii")
            methods = None if route.methods is None else frozenset(map(str.encode, route.methods))
            routes.append(
                Route(
                    route.name,
                    host,
                    route.path.encode(),
                    made[0],
                    groups[index],
                    methods,
                    ignoresCase=route.case == "insensitive",
                    strips=route.stripPrefix and route.upstream is not None,
                )
            )
        choice = {name: (made[1], self.config.upstreams[name].host) for name, made in self._upstreams.items()}
        return RouteTable(
            self.config, self._upstreams, leaves, Tree(routes), Destinations(self._client, choice)
        )

    # Leaves

    def _known(self, route: RouteConfig) -> _MadeLeaf | None:
        """A leaf that would be made the same is the same: what a mounted resource holds outlives the change."""
        known = self._previous.leaves.get((route.host, route.path)) if self._previous is not None else None
        return known if known is not None and known[1:] == self._key(route) else None

    def _key(self, route: RouteConfig) -> tuple[Any, ...]:
        return (
            route.upstream and self._upstreams[route.upstream][1],
            route.upstream and self.config.upstreams[route.upstream].host,
            route.redirect,
            route.respond,
            route.health,
            route.static,
            route.resource,
            route.stripPrefix,
            route.resource and self.config.limits.maxBodyBytes,
        )

    def _made(self, index: int, route: RouteConfig) -> _MadeLeaf:
        alike = _alike(route)
        made = None if alike is None else self._shared.get(alike)
        if made is None:
            made = self._leaf(index, route), *self._key(route)
            if alike is not None:
                self._shared[alike] = made
        return made

    def _leaf(self, index: int, route: RouteConfig) -> ILeaf:
        prefix = route.path.encode()
        if route.upstream is not None:
            strip = prefix if route.stripPrefix else b""
            policy = self.config.upstreams[route.upstream].host
            return ProxyLeaf(self._client, self._upstreams[route.upstream][1], hostPolicy=policy, strip=strip)
        if route.redirect is not None:
            return RedirectLeaf(route.redirect.location, route.redirect.status)
        if route.respond is not None:
            return RespondLeaf(route.respond.status, route.respond.body.encode(), route.respond.headers)
        if route.health is not None:
            return HealthLeaf(route.health, self._parts.health)
        if route.static is not None:
            return StaticLeaf(str(route.static), prefix, self._parts.inThread)
        return self._mounted[index]

    def _resource(self, index: int, name: str, prefix: bytes) -> ILeaf | None:
        try:
            resource = namedAny(name)
            if not IResource.providedBy(resource) and callable(resource):
                resource = resource()
            if not IResource.providedBy(resource):
                raise TypeError(f"{name} is neither an IResource nor a function that makes one")
        except (Exception, SystemExit) as error:  # foreign code
            document = self.config.document
            message = f"{name} cannot be mounted: {type(error).__name__}: {error}"
            if document is None:
                self._problems.append(Problem(self.config.source, 0, 0, f"$.routes[{index}].resource", message))
            else:
                self._problems.append(document.problem(("routes", index, "resource"), message))
            return None
        return MountedLeaf(resource, prefix, self._parts.reactor, self._parts.inThread, self.config.limits.maxBodyBytes)


def _alike(route: RouteConfig) -> tuple[Any, ...] | None:
    """Routes that have this in common have the same leaf; None: it has one of its own."""
    if route.upstream is not None:
        return route.upstream, route.path if route.stripPrefix else ""
    if route.respond is not None:
        return route.respond.status, route.respond.body, *route.respond.headers.items()
    return None
