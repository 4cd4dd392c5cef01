"""One origin server among those of an upstream."""

from __future__ import annotations

from revproxy.dataplane.upstream.pool import Pool


class Target:
    """
    One origin server.

    :ivar url: for logs.
    :ivar host: what to send as Host where the client's is not kept, as bytes.
    :ivar weight: its share of the requests, relative to the others'; ``configuredWeight``: what it is unless somebody
        has said otherwise.
    :ivar pool: the connections to it.
    :ivar current: how near its turn is, as the policy counts.
    :ivar fails: failures since the last answer.
    :ivar failures: failures in all.
    :ivar downUntil: when it may be tried again after it was marked down; not 0: the log says that it fails.
    :ivar isInService: whether it is to take new requests, as somebody has said.
    :ivar quietUntil: when it may be said again that it fails, if it is the only one.
    """

    __slots__ = (
        "configuredWeight",
        "current",
        "downUntil",
        "fails",
        "failures",
        "host",
        "isInService",
        "pool",
        "quietUntil",
        "url",
        "weight",
    )

    def __init__(self, url: str, host: bytes, weight: int, pool: Pool) -> None:
        self.url = url
        self.host = host
        self.weight = self.configuredWeight = weight
        self.pool = pool
        self.current = 0
        self.fails = 0
        self.failures = 0
        self.downUntil = 0.0
        self.quietUntil = 0.0
        self.isInService = True

    def isHealthy(self, now: float) -> bool:
        """
        Whether it is not marked down.

        :param now: the time, as :attr:`downUntil` has it.
        """
        return self.downUntil <= now

    @property
    def isFull(self) -> bool:
        """Whether it would refuse a request at once, as :attr:`Pool.isFull`."""
        return self.pool.isFull

    def isAvailable(self, now: float) -> bool:
        """Whether there is nothing against it: it is healthy, and not full."""
        return self.downUntil <= now and not self.pool.isFull
