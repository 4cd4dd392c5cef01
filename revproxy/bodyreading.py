"""
What a plugin waits for when it reads a body.

``in`` asks any Deferred for its items, and finds nothing: ``b"x" in body.read(100)`` would be False for every body, and
a plugin that forgot ``await`` would let everything pass.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure


class Reading(Deferred[bytes]):
    """The bytes of a body, once they are there."""

    def __contains__(self, item: object) -> bool:
        """:raises TypeError: always; it says what to write."""
        raise TypeError("these are no bytes yet: await body.read(limit)")


def readAlready(result: bytes | Exception | Failure) -> Reading:
    """One that is over: with the bytes, or with what went wrong."""
    reading = Reading()
    if isinstance(result, bytes):
        reading.callback(result)
    else:
        reading.errback(result)
    return reading
