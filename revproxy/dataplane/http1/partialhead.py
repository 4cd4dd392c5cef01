"""
A request head that has not come whole: what can become none is given up early.

Pure functions on bytes. Whoever sends a head byte by byte has it looked at as often, so of what came before only the
end is looked at again.
"""

from __future__ import annotations

from revproxy.dataplane.http.limits import METHOD_LENGTH, Limits
from revproxy.errors import BadRequest, HeadersTooLarge, NotSupported, TargetTooLong
from revproxy.headers import TOKEN

EMPTY_LINES = 4
"""Empty lines before a request that are passed over. RFC 9112 §2.2 asks for one."""

_AROUND_TARGET = 64
"""Bytes that a request line may have besides its target: the longest method, the version, two spaces."""


def emptyLines(data: bytes, before: int) -> int:
    """
    How many empty lines there are at the beginning (RFC 9112 §2.2).

    :param before: how many have come already.
    :raises BadRequest: for more of them than anybody sends by mistake.
    """
    count = 0
    while data.startswith(b"\r\n", 2 * count):
        count += 1
        if before + count > EMPTY_LINES:
            raise BadRequest(f"more than {EMPTY_LINES} empty lines before a request")
    return count


def checkPartialHead(data: bytes, scanned: int, limits: Limits) -> None:
    """
    :param data: from the first byte of the request line.
    :param scanned: bytes that have been looked at before.
    :raises EdgeError: if this can become no acceptable head.
    """
    if data[0] not in TOKEN:
        raise BadRequest("this does not begin like a request")
    size = len(data)
    if size > METHOD_LENGTH and data.find(b" ", 0, METHOD_LENGTH + 1) < 0:
        raise NotSupported("no method is that long")
    if size > limits.maxTargetBytes + _AROUND_TARGET and b"\r\n" not in data:
        raise TargetTooLong("the request line is longer than the limit")
    if size > limits.maxHeaderBytes:
        raise HeadersTooLarge("the head is larger than the limit")
    if data.count(b"\n", scanned) != data.count(b"\r\n", max(0, scanned - 1)):
        raise BadRequest("a bare line feed in the head")


__all__ = ["EMPTY_LINES", "checkPartialHead", "emptyLines"]
