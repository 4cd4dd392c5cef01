"""One origin server among those of an upstream."""

from __future__ import annotations

from revproxy.dataplane.upstream.pool import Pool


class Target:
    """
    One origin server.

    :ivar url: for logs.
    :ivar host: what to send as Host where the client's is not kept, as bytes.
    :ivar fails: failures since the last answer.
    :ivar downUntil: when it may be tried again after it was marked down; not 0: the log says that it fails.
    :ivar quietUntil: when it may be said again that it fails, if it is the only one.
    """

    __slots__ = ("current", "downUntil", "fails", "host", "pool", "quietUntil", "url", "weight")

    def __init__(self, url: str, host: bytes, weight: int, pool: Pool) -> None:
        self.url = url
        self.host = host
        self.weight = weight
        self.pool = pool
        self.current = 0
        self.fails = 0
        self.downUntil = 0.0
        self.quietUntil = 0.0
