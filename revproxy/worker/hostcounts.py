"""
How many requests there were for the busiest hosts. A client can make up hosts, so there is room for so many, and only
the busiest of a second are told.
"""

from __future__ import annotations

from heapq import nlargest

from revproxy.dataplane.http1.requesthead import hostname
from revproxy.errors import EdgeError
from revproxy.plan.counted import HostCount
from revproxy.requestrecord import RequestRecord

ROOM = 4096
"""Hosts that are told apart between two reports."""

LONGEST = 255
"""Bytes of a host; no name is longer."""

SPARE = 4
"""So many times as many hosts are told as have figures of their own: which these are, control decides."""


class HostCounts:
    """
    Counts since it was taken last.
    """

    def __init__(self) -> None:
        self.top = 0
        self._counts: dict[bytes, int] = {}
        self._others = 0

    def take(self, batch: list[RequestRecord]) -> None:
        """Count them."""
        counts = self._counts
        for r in batch:
            host = r.host
            known = counts.get(host)
            if known is not None:
                counts[host] = known + 1
            elif len(counts) < ROOM and len(host) <= LONGEST:
                counts[host] = 1
            else:
                self._others += 1

    def told(self) -> tuple[HostCount, ...]:
        """:returns: the busiest, and all others together; they begin anew."""
        counts, self._counts = self._counts, {}
        others, self._others = self._others, 0
        byName: dict[str, int] = {}
        for host, count in counts.items():
            name = _nameOf(host)
            byName[name] = byName.get(name, 0) + count
        others += byName.pop("", 0)
        busiest = nlargest(self.top * SPARE, byName.items(), key=lambda item: item[1])
        others += sum(byName.values()) - sum(count for _, count in busiest)
        told = [HostCount(name, count) for name, count in busiest]
        return (*told, HostCount("", others)) if others else tuple(told)


def _nameOf(host: bytes) -> str:
    """In lower case, without port; empty for what is no host."""
    if host == b"-":  # of a head that was no request
        return ""
    try:
        return hostname(host).decode("ascii")
    except (UnicodeDecodeError, EdgeError):
        return ""
