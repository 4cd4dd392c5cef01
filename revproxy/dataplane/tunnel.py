"""
Bytes both ways after 101 Switching Protocols (RFC 9110 §7.8), with backpressure.

Each transport is the other's producer: when one side cannot take more, the other is read no more. When one side ends,
the other gets what is queued for it and is closed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.python.failure import Failure


class Tunnel:
    """
    Joins a client's transport with an origin's.

    :ivar bytesIn: bytes from the client.
    :ivar bytesOut: bytes to the client, with those of the 101 answer.
    """

    __slots__ = ("_client", "_closed", "_early", "_onClientLost", "_onClose", "_origin", "bytesIn", "bytesOut")

    def __init__(self, origin: Any, onClientLost: Callable[[], None]) -> None:
        """
        The origin is not read until the client is joined.

        :param origin: the origin's transport.
        :param onClientLost: called to close it once the client's side has ended.
        """
        self._origin = origin
        self._onClientLost = onClientLost
        origin.pauseProducing()
        self._client: Any = None
        self._early: list[bytes] = []
        self._closed = False
        self._onClose: Callable[[int, int], None] | None = None
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
        if self._closed:
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

    def clientLost(self, reason: Failure) -> None:
        """The client's side has ended."""
        if not self._closed:
            self._closed = True
            self._origin.unregisterProducer()
            self._onClientLost()
            self._over()

    def originLost(self, reason: Failure) -> None:
        """The origin's side has ended."""
        if not self._closed:
            self._closed = True
            if self._client is not None:
                self._client.unregisterProducer()
                self._client.loseConnection()
                self._over()

    def _over(self) -> None:
        onClose, self._onClose = self._onClose, None
        if onClose is not None:
            onClose(self.bytesIn, self.bytesOut)
