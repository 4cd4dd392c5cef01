"""The leaf that tells whether the edge is alive, or ready, in a word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from twisted.web.server import NOT_DONE_YET

from revproxy.body import Body
from revproxy.context import Response
from revproxy.dataplane.leaves.leaf import Leaf
from revproxy.headers import Headers

if TYPE_CHECKING:
    from revproxy.dataplane.exchange import Exchange

HealthKind = Literal["live", "ready"]


@dataclass(slots=True)
class EdgeHealth:
    """
    What is known here of the edge as a whole. Mutable: control says so when it changes.

    :ivar isReady: whether it is ready for requests.
    """

    isReady: bool = False


class HealthLeaf(Leaf):
    """
    Answers 200 and ``ok``, if it is asked whether the edge lives; 200 and ``ready``, or 503 and ``not ready``, if it is
    asked for that. Why not, is told to nobody here.
    """

    def __init__(self, kind: HealthKind, health: EdgeHealth) -> None:
        super().__init__()
        self._kind = kind
        self._health = health

    def render(self, exchange: Exchange) -> int:
        """As :meth:`Leaf.render`."""
        if self._kind == "live":
            status, word = 200, b"ok"
        else:
            status, word = (200, b"ready") if self._health.isReady else (503, b"not ready")
        headers = Headers.of({"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"})
        exchange.answered(Response(status, None, headers, Body.of(word + b"\n")))
        return NOT_DONE_YET
