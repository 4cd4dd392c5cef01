"""One target of an upstream, where a plugin has chosen it: no other is tried."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.python.failure import Failure

from revproxy.dataplane.upstream.target import Target
from revproxy.dataplane.upstream.upstream import Upstream


class OneTarget:
    """
    Stands for an upstream, and picks this target only, whether or not it is marked down.

    What comes of its requests counts as always.

    :ivar name: the upstream's.
    """

    def __init__(self, upstream: Upstream, target: Target) -> None:
        self.name = upstream.name
        self.succeeded = upstream.succeeded
        self._upstream = upstream
        self._target = target

    def pick(self, tried: Sequence[Target]) -> Target | None:
        """As :meth:`Upstream.pick`."""
        return None if tried else self._target

    def failedAt(self, target: Target, reason: Failure) -> None:
        """As :meth:`Upstream.failedAt`."""
        self._upstream.failedAt(target, reason)
