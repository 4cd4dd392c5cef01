"""
Where the connection to a client is.

The states, and what leads from one to another::

    HEAD ──▶ BODY ──▶ BUSY ──▶ HEAD …        a request without a body goes from HEAD to BUSY
                       │
      any ──▶ LINGER   └──▶ TUNNEL           refused or closing; after 101

``HEAD`` reads a head and begins an exchange. ``BODY`` feeds the request's body while the exchange is under way.
``BUSY`` waits for the answer to be written, and for the client to take it where much is queued. ``LINGER`` has closed
its own direction and discards what still arrives, so that the client reads our answer instead of a reset (RFC 9112
§9.6).
"""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """Where a connection is: see the top of the module."""

    HEAD = 0
    BODY = 1
    BUSY = 2
    TUNNEL = 3
    LINGER = 4
    CLOSED = 5


# Globals, for one look-up instead of two; compared with "is", which costs less than numbers did.
HEAD, BODY, BUSY, TUNNEL, LINGER, CLOSED = State

STATE_NAMES = {
    HEAD: "answering", BODY: "body", BUSY: "answering", TUNNEL: "tunnel", LINGER: "closing", CLOSED: "closing"
}  # fmt: skip
"""What people call them while a request is under way, or the connection ends."""
