"""
Who has tried to get in and was not let in: so many in a minute, and no more.

Nobody guesses a token. The bounds are for what attempts cost: each is an audit record.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from ipaddress import ip_address, ip_network

from revproxy.admin.problem import Problem

PER_MINUTE = 10
"""Of one address."""

ALL_PER_MINUTE = 100
"""Of all together that are recorded."""

ADDRESSES = 1000
"""That are remembered."""


class Attempts:
    """
    Those of one door.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        """:param now: seconds."""
        self._now = now
        self._known: OrderedDict[str, tuple[float, float]] = OrderedDict()  # since when, and what is left
        self._all = (0.0, float(ALL_PER_MINUTE))

    def failed(self, address: str) -> bool:
        """
        One more.

        :returns: whether it is to be recorded.
        :raises Problem: that address has tried too often (429).
        """
        key = _groupOf(address)
        left = self._take(self._known.pop(key, (0.0, float(PER_MINUTE))), PER_MINUTE)
        self._known[key] = left
        if len(self._known) > ADDRESSES:
            self._known.popitem(last=False)
        if left[1] < 0:
            text = "too many attempts from there have failed; try again in a minute"
            raise Problem(429, text, headers={"Retry-After": "60"})
        self._all = self._take(self._all, ALL_PER_MINUTE)
        return self._all[1] >= 0

    def _take(self, before: tuple[float, float], most: int) -> tuple[float, float]:
        now = self._now()
        left = min(float(most), before[1] + (now - before[0]) * most / 60)
        return now, max(left - 1, -1.0)


def _groupOf(address: str) -> str:
    """Who has one address of IPv6 has many."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    return str(parsed) if parsed.version == 4 else str(ip_network((parsed, 64), strict=False))


__all__ = ["Attempts"]
