"""
Bytes both ways after 101 Switching Protocols (RFC 9110 §7.8), with backpressure.

Each transport is the other's producer: when one side cannot take more, the other is read no more. When one side ends,
the other gets what is queued for it and is closed. When nothing passes for too long, both are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.python.failure import Failure

from revproxy.dataplane.http.interfaces import IDeadlines

_CHECKS = 60
"""How often within its time-out a tunnel is checked, and so by which part of it the end may come late."""


class Tunnel:
    """
    Joins a client's transport with an origin's.

    :ivar bytesIn: bytes from the client.
    :ivar bytesOut: bytes to the client, with those of the 101 answer.
    :ivar reason: why the edge has ended it; None if it has not.
    :ivar deadline: when it is checked next.
    """

    __slots__ = (
        "_client",
        "_deadlines",
        "_early",
        "_isOver",
        "_onClientLost",
        "_onClose",
        "_origin",
        "_passed",
        "_patience",
        "_quietSince",
        "bytesIn",
        "bytesOut",
        "deadline",
        "reason",
    )

    def __init__(
        self, origin: Any, onClientLost: Callable[[], None], deadlines: IDeadlines, patience: float
    ) -> None:
        """
        The origin is not read until the client is joined.

        :param origin: the origin's transport.
        :param onClientLost: called to close it once the client's side has ended.
        :param patience: seconds for which nothing may pass. Kept late by a thirtieth of them.
        """
        self._origin = origin
        self._onClientLost = onClientLost
        origin.pauseProducing()
        self._client: Any = None
        self._early: list[bytes] = []
        self._isOver = False
        self.reason: str | None = None
        self._onClose: Callable[[int, int], None] | None = None
        self._passed: tuple[int, int] | None = None
        self._deadlines = deadlines
        self._patience = patience
        self._quietSince = deadlines.now()
        self.deadline = self._quietSince + patience / _CHECKS
        deadlines.watch(self)
        self.bytesIn = 0
        self.bytesOut = 0

    def connectClient(self, client: Any, written: int, onClose: Callable[[int, int], None]) -> None:
        """
        The 101 is written: begin.

        :param written: bytes of the 101.
        :param onClose: called once with the bytes from and to the client when the tunnel is over.
        """
        self._client = client
        self._onClose = onClose
        self.bytesOut = written
        if self._isOver:
            client.loseConnection()
            self._over()
            return
        client.registerProducer(self._origin, True)
        self._origin.registerProducer(client, True)
        self._origin.resumeProducing()
        early, self._early = self._early, []
        for data in early:
            self.fromOrigin(data)

    def fromClient(self, data: bytes) -> None:
        """Bytes of the client."""
        self.bytesIn += len(data)
        self._origin.write(data)

    def fromOrigin(self, data: bytes) -> None:
        """Bytes of the origin."""
        if self._client is None:
            self._early.append(data)
            return
        self.bytesOut += len(data)
        self._client.write(data)

    def deadlineExpired(self) -> None:
        """
        Check whether anything has come from either side, or gone to it, since the last check.

        So nothing is noted down for each piece, and what has passed between two checks counts as if it had right before
        the second.
        """
        now = self._deadlines.now()
        queued = self._origin.unsent + (0 if self._client is None else self._client.unsent)
        passed = (self.bytesIn + self.bytesOut, queued)
        if passed != self._passed:
            self._passed = passed
            self._quietSince = now
        if now - self._quietSince >= self._patience:
            self._end(f"nothing passed through the tunnel for {self._patience:g} s")
        else:
            self.deadline = now + self._patience / _CHECKS

    def _end(self, reason: str) -> None:
        """Close both sides, each after what is queued for it."""
        self.reason = reason
        if self._client is not None:
            self._client.unregisterProducer()
            self._client.loseConnection()
        self._originUnused()

    def clientLost(self, reason: Failure) -> None:
        """The client's side has ended."""
        if not self._isOver:
            self._originUnused()

    def _originUnused(self) -> None:
        self._isOver = True
        self._deadlines.forget(self)
        self._origin.unregisterProducer()
        self._onClientLost()
        self._over()

    def originLost(self, reason: Failure) -> None:
        """The origin's side has ended."""
        if not self._isOver:
            self._isOver = True
            self._deadlines.forget(self)
            if self._client is not None:
                self._client.unregisterProducer()
                self._client.loseConnection()
                self._over()

    def _over(self) -> None:
        onClose, self._onClose = self._onClose, None
        if onClose is not None:
            onClose(self.bytesIn, self.bytesOut)
