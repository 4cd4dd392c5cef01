"""
What the edge itself has to say in the head of an answer, or to check; and the end of one that is not to be sent.
"""

from __future__ import annotations

from functools import lru_cache

from twisted.python.failure import Failure
from twisted.web.http import datetimeToString

from revproxy.body import Body
from revproxy.context import Response
from revproxy.errors import ClientGone
from revproxy.headers import Headers


@lru_cache(2)
def httpDate(second: int) -> bytes:
    """A time as HTTP writes it (RFC 9110 §5.6.7)."""
    date: bytes = datetimeToString(second)
    return date


def keepFramed(body: Body, headers: Headers) -> None:
    """A plugin may have assigned another header section, without the length that the origin's had."""
    length = headers.find(b"content-length")
    if length is None or int(length) != body._length:
        body.framed = False


def discard(response: Response | None) -> None:
    """Nobody gets this answer: what still comes of it is not wanted."""
    if response is None:
        return
    tunnel = getattr(response, "tunnel", None)
    if tunnel is not None:
        tunnel.clientLost(Failure(ClientGone("no tunnel")))
    elif response._body is not None:
        response._body.detach()
        response._body.stopProducing()
