"""
What goes on at targets now, as workers told it last, added up over workers.
"""

from __future__ import annotations

from collections.abc import Mapping

from revproxy.config.settings import Config, UpstreamConfig
from revproxy.plan.counted import TargetNow
from revproxy.plan.words import Counters


class TargetGauges:
    """
    Of all targets.
    """

    def __init__(self) -> None:
        self._told: dict[tuple[str, str], dict[int, TargetNow]] = {}
        self._upstreams: Mapping[str, UpstreamConfig] = {}

    def counted(self, worker: int, word: Counters) -> None:
        """A worker tells which have changed."""
        for now in word.targets:
            self._told.setdefault((now.upstream, now.url), {})[worker] = now

    def committed(self, config: Config) -> None:
        """Forget what the configuration does not have any more."""
        if config.upstreams is self._upstreams:  # there may be ten thousand, and plugins come and go
            return
        self._upstreams = config.upstreams
        known = {(name, target.url) for name, upstream in config.upstreams.items() for target in upstream.targets}
        if not self._told.keys() <= known:
            self._told = {key: told for key, told in self._told.items() if key in known}

    def of(self, upstream: str, url: str) -> TargetNow:
        """Of one target, over all workers; nothing where nothing was told."""
        told: Mapping[int, TargetNow] = self._told.get((upstream, url), {})
        return TargetNow(
            upstream,
            url,
            sum(now.inFlight for now in told.values()),
            sum(now.queued for now in told.values()),
            sum(now.connections for now in told.values()),
            sum(now.tunnels for now in told.values()),
            sum(now.failures for now in told.values()),
        )
