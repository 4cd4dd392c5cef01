"""
Conditions and ranges of a request (RFC 9110 §13, §14), compared with what there is to be had.

Pure functions.
"""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime

from revproxy.context import Headers, Request


def evaluate(headers: Headers, tag: bytes, modified: int) -> int:
    """
    The preconditions of a GET or HEAD, in the order of RFC 9110 §13.2.2.

    :param tag: the file's strong entity tag.
    :param modified: seconds since the epoch.
    :returns: 0 to go on, 304 or 412.
    """
    match = headers.getAll("if-match")
    if match:
        if not _listed(match, tag, weak=False):
            return 412
    else:
        since = _seconds(headers.get("if-unmodified-since"))
        if since is not None and modified > since:
            return 412
    noneMatch = headers.getAll("if-none-match")
    if noneMatch:
        return 304 if _listed(noneMatch, tag, weak=True) else 0
    since = _seconds(headers.get("if-modified-since"))
    return 304 if since is not None and modified <= since else 0


def _listed(values: list[str], tag: bytes, *, weak: bool) -> bool:
    """Whether an entity tag, which has no comma in it, is among those listed (RFC 9110 §8.8.3.2)."""
    mine = tag.decode("ascii")
    for value in values:
        for entry in value.split(","):
            entry = entry.strip(" \t")
            if entry == mine or entry == "*" or (weak and entry == "W/" + mine):
                return True
    return False


def _seconds(date: str | None) -> float | None:
    """Of an HTTP date (RFC 9110 §5.6.7); None if it is none, which is to be treated as absent."""
    if date is None:
        return None
    try:
        when = parsedate_to_datetime(date)
        return (when if when.tzinfo is not None else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def wantedRange(request: Request, tag: bytes, lastModified: bytes, size: int) -> tuple[int, int] | None:
    """
    The bytes of a file that a request is for (RFC 9110 §14.2): from, and up to but without.

    More ranges than one, other units and what is malformed count as no range: all of the file.

    :returns: None if nothing of the range is in the file.
    """
    value = request.headers.get("range")
    condition = request.headers.get("if-range")
    if value is None or request._rawMethod != b"GET":
        return 0, size
    # RFC 9110 §13.1.5: strong comparison, and the very date.
    if condition is not None and condition not in (tag.decode("ascii"), lastModified.decode("ascii")):
        return 0, size
    unit, _, ranges = value.partition("=")
    first, dash, last = ranges.strip(" \t").partition("-")
    numbers = [number for number in (first, last) if number]
    if unit.lower() != "bytes" or not dash or not numbers:
        return 0, size
    if not all(number.isascii() and number.isdigit() and len(number) <= 18 for number in numbers):
        return 0, size
    if not first:
        return (max(0, size - int(last)), size) if size and int(last) else None
    start = int(first)
    if last and int(last) < start:
        return 0, size
    if start >= size:
        return None
    return start, min(size, int(last) + 1) if last else size
