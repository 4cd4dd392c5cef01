"""
What a stretch of time has brought.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from revproxy.plan.durations import FINE, quantiles

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[int, int, int, float, dict[int, int]]).decode


class Sum:
    """
    Requests, added up.

    :ivar duration: seconds that they took, together.
    :ivar buckets: by the number of a bucket, how many.
    """

    __slots__ = ("buckets", "duration", "errors4xx", "errors5xx", "requests")

    def __init__(self) -> None:
        self.requests = 0
        self.errors4xx = 0
        self.errors5xx = 0
        self.duration = 0.0
        self.buckets: dict[int, int] = {}

    def add(
        self, requests: int, errors4xx: int, errors5xx: int, duration: float, buckets: Iterable[tuple[int, int]]
    ) -> None:
        """Add so many."""
        self.requests += requests
        self.errors4xx += errors4xx
        self.errors5xx += errors5xx
        self.duration += duration
        own = self.buckets
        for bucket, count in buckets:
            own[bucket] = own.get(bucket, 0) + count

    @property
    def figures(self) -> tuple[int, int, int, float, Iterable[tuple[int, int]]]:
        """What :meth:`add` takes."""
        return self.requests, self.errors4xx, self.errors5xx, self.duration, self.buckets.items()

    def packed(self) -> bytes:
        """In some dozen bytes, for there are many."""
        return _encode((self.requests, self.errors4xx, self.errors5xx, self.duration, self.buckets))

    def addPacked(self, packed: bytes, sign: int = 1) -> None:
        """Add what was packed; or take it away, with -1."""
        requests, errors4xx, errors5xx, duration, buckets = _decode(packed)
        self.requests += sign * requests
        self.errors4xx += sign * errors4xx
        self.errors5xx += sign * errors5xx
        self.duration += sign * duration
        own = self.buckets
        if not own and sign > 0:
            self.buckets = buckets
            return
        for bucket, count in buckets.items():
            own[bucket] = own.get(bucket, 0) + sign * count


@dataclass(frozen=True, slots=True)
class Window:
    """
    What so many seconds have brought.

    :ivar requests: that were over. Of a plugin: calls.
    :ivar errors4xx: of these, answered with 4xx. Of a plugin: requests that it answered itself.
    :ivar errors5xx: of these, answered with 5xx. Of a plugin: calls that failed.
    :ivar duration: seconds that they took, together. Of a plugin: self time.
    :ivar buckets: by the number of a bucket of ``bounds``, how many.
    """

    seconds: float
    requests: int = 0
    errors4xx: int = 0
    errors5xx: int = 0
    duration: float = 0.0
    buckets: Mapping[int, int] = field(default_factory=dict)
    bounds: Sequence[float] = FINE

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds if self.seconds > 0 else 0.0

    @property
    def errorShare(self) -> float:
        """How many of them were answered with 5xx, or failed: between 0 and 1; 0 without any."""
        return self.errors5xx / self.requests if self.requests else 0.0

    @property
    def loopShare(self) -> float:
        """Of a plugin: the share of the time that its own code took."""
        return self.duration / self.seconds if self.seconds > 0 else 0.0

    def quantile(self, q: float) -> float | None:
        """
        :param q: between 0 and 1.
        :returns: seconds; None if there were no requests.
        """
        return quantiles(self.buckets, (q,), self.bounds)[0]

    def quantiles(self, *wanted: float) -> list[float | None]:
        """:returns: each of them, as :meth:`quantile`. They ascend."""
        return quantiles(self.buckets, wanted, self.bounds)


def windowOf(total: Sum, seconds: float, bounds: Sequence[float]) -> Window:
    """What was added up, as a window."""
    return Window(
        seconds, total.requests, total.errors4xx, total.errors5xx, total.duration, dict(total.buckets), bounds
    )
