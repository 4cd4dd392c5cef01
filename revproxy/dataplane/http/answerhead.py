"""
What the edge itself has to say in the head of an answer, or to check.
"""

from __future__ import annotations

from functools import lru_cache

from twisted.web.http import datetimeToString

from revproxy.body import Body
from revproxy.headers import Headers


@lru_cache(2)
def httpDate(second: int) -> bytes:
    """A time as HTTP writes it (RFC 9110 §5.6.7)."""
    date: bytes = datetimeToString(second)
    return date


def keepFramed(body: Body, headers: Headers) -> None:
    """A plugin may have assigned another header section, without the length that the origin's had."""
    length = headers.find(b"content-length")
    if length is None or int(length) != body.length:
        body.framed = False
