"""
Where a request goes, as plugins choose it: :class:`Routed` is that part of a :class:`~revproxy.context.Context`.

As long as no plugin says anything, there is no :class:`Goal`, and nothing of this is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol


class Destinations(Protocol):
    """The upstreams that are configured, by name."""

    def origins(self, upstream: str) -> Sequence[str]:
        """The URLs of its targets, as configured. :raises ValueError: if there is no such upstream."""

    def available(self, upstream: str) -> Sequence[str]:
        """Those that are in service and not marked down. :raises ValueError: if there is no such upstream."""

    def leaf(self, upstream: str, origin: str | None, strip: bytes) -> Any:
        """What sends requests there. :param strip: a prefix of the path that goes before."""


class _Tools(Protocol):
    @property
    def destinations(self) -> Destinations: ...


class Place(Protocol):
    """A route, as far as plugins see it."""

    @property
    def name(self) -> str: ...

    @property
    def upstream(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class NamedPlace:
    """A place that is nothing but its name."""

    name: str
    upstream: str | None = None


NOWHERE = NamedPlace("")
"""Where a request is whose route is not found yet."""


class Goal:
    """
    What plugins have said of where one request goes.

    :ivar destinations: where ``upstream`` is to be found.
    :ivar isRerouting: whether the route is to be chosen anew.
    :ivar isSettled: whether it is too late to say more.
    :ivar origin: the URL of the one target it goes to; None for any.
    :ivar upstream: the name of the one it goes to; None for where the route leads.
    :ivar via: the names of the routes that it has left.
    """

    __slots__ = ("destinations", "isRerouting", "isSettled", "origin", "upstream", "via")

    def __init__(self, isSettled: bool = False) -> None:
        self.destinations: Destinations | None = None
        self.isRerouting = False
        self.isSettled = isSettled
        self.origin: str | None = None
        self.upstream: str | None = None
        self.via: tuple[str, ...] = ()


SETTLED = Goal(True)
"""That of every request of which nobody has said anything, and which is on its way."""


class Routed:
    """A request's route, and what plugins may say of it."""

    __slots__ = ("_goal", "_route")

    def __init__(self, route: Place) -> None:
        self._route = route
        self._goal: Goal | None = None

    @property
    def route(self) -> str:
        """
        The name of the route.

        :raises AttributeError: when set.
        """
        return self._route.name

    @route.setter
    def route(self, route: str) -> None:
        raise AttributeError(
            "a route is not set by its name: change request.host or request.path and call context.reroute(),"
            " or choose an upstream: context.upstream = NAME"
        )

    @property
    def upstream(self) -> str | None:
        """
        The upstream that the request goes to: the one that was chosen, else the route's; None if that has another leaf.

        Set it in ``handle`` to the name of any that is configured: the request goes there, whatever the route's leaf
        is. None gives the choice back to the route.

        :raises ValueError: when set to what is none.
        :raises RuntimeError: when set while the request is not on its way in.
        """
        goal = self._goal
        return self._route.upstream if goal is None or goal.upstream is None else goal.upstream

    @upstream.setter
    def upstream(self, name: str | None) -> None:
        goal = self._choosing("context.upstream")
        destinations = self._tools().destinations
        if name is not None:
            destinations.origins(name)
        goal.destinations = destinations
        goal.upstream = name
        goal.origin = None

    @property
    def origin(self) -> str | None:
        """
        The target that was chosen, or None.

        Set it in ``handle`` to the URL of one of the targets of :attr:`upstream`, as configured. The request goes there
        and nowhere else, even if that target is marked down or out of service; :attr:`origins` has those that are not.
        To choose a target is to choose its upstream. None: any of them.

        :raises ValueError: when set to what is none.
        :raises RuntimeError: when set while the request is not on its way in, or after :meth:`reroute`, when its
            upstream is not known yet.
        """
        return None if self._goal is None else self._goal.origin

    @origin.setter
    def origin(self, url: str | None) -> None:
        goal = self._choosing("context.origin")
        if url is None:
            goal.origin = None
            return
        if goal.isRerouting and goal.upstream is None:
            raise RuntimeError("the new route, and so its upstream, is not known yet: choose context.upstream first")
        name = self.upstream
        if name is None:
            raise ValueError(f"route {self.route} has no upstream: choose context.upstream first")
        destinations = self._tools().destinations
        urls = destinations.origins(name)
        if url not in urls:
            raise ValueError(f"no target of upstream {name}: {url!r}; there are {', '.join(urls)}")
        goal.destinations = destinations
        goal.upstream = name
        goal.origin = url

    @property
    def origins(self) -> tuple[str, ...]:
        """
        The URLs of the targets of :attr:`upstream` that take requests: in service, and not marked down.

        :raises RuntimeError: if no plugin is being called.
        """
        name = self.upstream
        return () if name is None else tuple(self._tools().destinations.available(name))

    def reroute(self) -> None:
        """
        Have the route chosen anew, by host and path as they are then, once ``handle`` has returned True.

        The plugins of the new route that have not let the request pass yet are asked next, in their order, and then
        its leaf. One that has is not asked again, unless it has another configuration there. The rest of the old
        route's plugins are not asked.

        :raises RuntimeError: if called elsewhere than in ``handle``.
        """
        self._choosing("context.reroute()").isRerouting = True

    def _choosing(self, what: str) -> Goal:
        goal = self._goal
        if (goal is not None and goal.isSettled) or not self._isOnItsWayIn():
            raise RuntimeError(f"{what} is for handle: this request is on its way already")
        if goal is None:
            goal = self._goal = Goal()
        return goal

    def _isOnItsWayIn(self) -> bool:
        raise NotImplementedError

    def _tools(self) -> _Tools:
        raise NotImplementedError
