"""The upstreams of a configuration, for plugins that choose among them (:mod:`revproxy.destination`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from revproxy.dataplane.leaves.proxy import ProxyLeaf
from revproxy.dataplane.upstream.onetarget import OneTarget
from revproxy.dataplane.upstream.upstream import Upstream

if TYPE_CHECKING:
    from revproxy.dataplane.upstream.treqclient import UpstreamClient

_MOST_LEAVES = 1024
"""Leaves that are kept."""


class Destinations:
    """What there is to choose; a leaf is made when it is first chosen."""

    def __init__(self, client: UpstreamClient, upstreams: Mapping[str, tuple[Upstream, str]]) -> None:
        """:param upstreams: by name, each with its host policy (see :class:`ProxyLeaf`)."""
        self._client = client
        self._upstreams = upstreams
        self._leaves: dict[tuple[str, str | None, bytes], ProxyLeaf] = {}

    def _named(self, upstream: str) -> tuple[Upstream, str]:
        found = self._upstreams.get(upstream) if isinstance(upstream, str) else None
        if found is None:
            there = f"there are {', '.join(self._upstreams)}" if self._upstreams else "none is configured"
            raise ValueError(f"no upstream: {upstream!r}; {there}")
        return found

    def origins(self, upstream: str) -> list[str]:
        """As :meth:`revproxy.destination.Destinations.origins`."""
        return [target.url for target in self._named(upstream)[0].targets]

    def available(self, upstream: str) -> list[str]:
        """As :meth:`revproxy.destination.Destinations.available`."""
        return self._named(upstream)[0].available()

    def leaf(self, upstream: str, origin: str | None, strip: bytes) -> ProxyLeaf:
        """As :meth:`revproxy.destination.Destinations.leaf`."""
        key = upstream, origin, strip
        leaf = self._leaves.get(key)
        if leaf is None:
            if len(self._leaves) >= _MOST_LEAVES:
                self._leaves.clear()
            leaf = self._leaves[key] = self._made(*key)
        return leaf

    def _made(self, upstream: str, origin: str | None, strip: bytes) -> ProxyLeaf:
        found, policy = self._named(upstream)
        aim: Upstream | OneTarget = found
        if origin is not None:
            aim = OneTarget(found, next(target for target in found.targets if target.url == origin))
        return ProxyLeaf(self._client, aim, hostPolicy=policy, strip=strip)
