"""
How many connections each client has.

A client is an IPv4 address, or the first 64 bits of an IPv6 address: whoever has one address there has all of them
(RFC 6177 §2). Without an address (a Unix socket) nobody can be told from anybody, so nobody is counted.
"""

from __future__ import annotations

from socket import AF_INET, AF_INET6, inet_pton

_MAPPED = bytes(10) + b"\xff\xff"
"""How an IPv6 address begins that carries an IPv4 address (RFC 4291 §2.5.5.2)."""


def clientKey(host: str) -> bytes:
    """:returns: what all addresses of one client have in common; empty for what is no address."""
    try:
        if ":" not in host:
            return inet_pton(AF_INET, host)
        address = inet_pton(AF_INET6, host.partition("%")[0])
    except (OSError, ValueError):
        return b""
    return address[12:] if address.startswith(_MAPPED) else address[:8]


class ClientCounts:
    """
    Open connections by client. Each is entered once, and leaves under the key it was given.

    :ivar turnedAway: how many connections were one too many for their client.
    """

    __slots__ = ("_open", "turnedAway")

    def __init__(self) -> None:
        self.turnedAway = 0
        self._open: dict[bytes, int] = {}

    def count(self, host: str) -> int:
        """How many connections the client at this address has."""
        return self._open.get(clientKey(host), 0)

    def enter(self, host: str) -> bytes:
        """A connection begins. :returns: what to :meth:`leave` with."""
        key = clientKey(host)
        if key:
            self._open[key] = self._open.get(key, 0) + 1
        return key

    def leave(self, key: bytes) -> None:
        """A connection has ended."""
        remaining = self._open.get(key, 0) - 1
        if remaining > 0:
            self._open[key] = remaining
        else:
            self._open.pop(key, None)

    def __len__(self) -> int:
        return len(self._open)
