"""How much and how long the data plane puts up with."""

from __future__ import annotations

from dataclasses import dataclass

METHOD_LENGTH = 32
"""Bytes of a method. The longest that is registered has 16."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what one client may send.

    :ivar maxHeaderBytes: bytes of a whole head: start line and fields. Above it: 431. Of a trailer section: 400.
    :ivar maxHeaders: number of header fields in a head. Above it: 431. Of fields in a trailer section: 400.
    :ivar maxTargetBytes: bytes of the request target. Above it: 414.
    :ivar maxBodyBytes: bytes of a request body; ``None`` is no bound. Above it: 413.
    :ivar maxConnections: client connections at one time, over all listeners.
    :ivar maxConnectionsPerClient: of these, by one IPv4 address or IPv6 /64; ``None`` is no bound.
    :ivar keepsUnderscores: whether fields of a request are kept whose names gateways join with others (``_``, ``.``).
    """

    maxHeaderBytes: int = 32768
    maxHeaders: int = 100
    maxTargetBytes: int = 8192
    maxBodyBytes: int | None = None
    maxConnections: int = 10000
    maxConnectionsPerClient: int | None = None
    keepsUnderscores: bool = False


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Deadlines, all in seconds.

    :ivar handshake: from accept until the TLS handshake is complete.
    :ivar header: from the first byte of a request (or the end of the handshake) until its head is complete; from the
        last chunk of a body, in either direction, until its trailer section is complete.
    :ivar body: the longest time without progress of a body, in either direction. Only content is progress.
    :ivar idle: how long a kept-alive client connection may be silent between requests.
    :ivar connect: until a connection to an origin is established, TLS included.
    :ivar response: from the request's head being sent until the origin's final head.
    :ivar drain: how long running requests may take to finish when the edge stops.
    :ivar tunnel: how long nothing may pass through a tunnel, in either direction.
    :ivar linger: how long a refused client is read from before its connection is closed.
    """

    handshake: float = 10.0
    header: float = 10.0
    body: float = 60.0
    idle: float = 60.0
    connect: float = 5.0
    response: float = 60.0
    tunnel: float = 3600.0
    drain: float = 30.0
    linger: float = 2.0
