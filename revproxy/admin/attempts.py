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

RECORDED = 100
"""Of all together that are recorded, at once."""

RECORDED_PER_MINUTE = 1
"""
Of them, from then on. The records are kept up to so many bytes, and the oldest go: whoever may not come in must not
make others' go by trying.
"""

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
        self._all = (0.0, float(RECORDED))

    def failed(self, address: str) -> bool:
        """
        One more.

        :returns: whether it is to be recorded.
        :raises Problem: that address has tried too often (429).
        """
        key = _groupOf(address)
        left = self._left(self._known.pop(key, (0.0, float(PER_MINUTE))), PER_MINUTE, PER_MINUTE)
        self._known[key] = self._now(), max(left - 1, -1.0)
        if len(self._known) > ADDRESSES:
            self._known.popitem(last=False)
        if left < 1:
            text = "too many attempts from there have failed; try again in a minute"
            raise Problem(429, text, headers={"Retry-After": "60"})
        left = self._left(self._all, RECORDED, RECORDED_PER_MINUTE)
        isRecorded = left >= 1
        self._all = self._now(), left - isRecorded
        return isRecorded

    def _left(self, before: tuple[float, float], most: int, perMinute: int) -> float:
        return min(float(most), before[1] + (self._now() - before[0]) * perMinute / 60)


def _groupOf(address: str) -> str:
    """Who has one address of IPv6 has many."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    return str(parsed) if parsed.version == 4 else str(ip_network((parsed, 64), strict=False))


__all__ = ["Attempts"]
