"""
How far the edge is: it starts, it serves, it drains.
"""

from __future__ import annotations

from typing import Literal

State = Literal["starting", "serving", "draining"]


class Condition:
    """
    :ivar state: said by whoever runs the edge.
    :ivar startedAt: when it began to start, in seconds since the epoch.
    """

    def __init__(self, startedAt: float) -> None:
        self.state: State = "starting"
        self.startedAt = startedAt

    @property
    def notReady(self) -> list[str]:
        """Why no new requests should be sent here; empty if they may."""
        return [] if self.state == "serving" else [f"the edge is {self.state}"]
