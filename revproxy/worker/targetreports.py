"""
What goes on at the targets of upstreams now, told where it has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from revproxy.dataplane.upstream.target import Target
from revproxy.dataplane.upstream.upstream import Upstream
from revproxy.plan.counted import TargetNow

AT_ONCE = 1000
"""Targets that are looked at in one report: a millisecond. Where there are more, the next report goes on."""


class TargetReports:
    """
    Of the route table that is in effect.
    """

    def __init__(self, upstreams: Callable[[], Mapping[str, tuple[Any, Upstream]]]) -> None:
        """
        :param upstreams: by name, each with whatever else.
        """
        self._upstreams = upstreams
        self._told: dict[tuple[str, str], TargetNow] = {}
        # Of the round that is under way: so what is there no more is forgotten, in as many steps.
        self._found: dict[tuple[str, str], TargetNow] = {}
        self._going: Iterator[tuple[str, Target]] | None = None

    def take(self) -> tuple[TargetNow, ...]:
        """:returns: those that are not as they were told last."""
        going = self._going or self._all()
        looked = tuple(islice(going, AT_ONCE))
        new = []
        for upstream, target in looked:
            now, key = targetNow(upstream, target), (upstream, target.url)
            self._found[key] = now
            if self._told.get(key) != now:
                new.append(now)
        if len(looked) == AT_ONCE:
            self._going = going
        else:
            self._going, self._told, self._found = None, self._found, {}
        return tuple(new)

    def _all(self) -> Iterator[tuple[str, Target]]:
        upstreams = [(name, upstream) for name, (_, upstream) in self._upstreams().items()]
        return ((name, target) for name, upstream in upstreams for target in upstream.targets)


def targetNow(upstream: str, target: Target) -> TargetNow:
    """What goes on at one now."""
    pool = target.pool
    return TargetNow(
        upstream,
        target.url,
        pool.busy,
        len(pool.waiting),
        pool.shares.connections,
        pool.shares.tunnels,
        target.failures,
    )
