"""
Whether a cache that many clients share may keep an answer (RFC 9111 §3).

What is told to one client only must not be in an answer for which that is so.
"""

from __future__ import annotations

from typing import Final

from revproxy.messages import Request, Response

_BY_DEFAULT: Final = frozenset((200, 203, 204, 206, 300, 301, 304, 308, 404, 405, 410, 414, 501))
"""Status codes of answers that caches may keep without being told for how long (RFC 9110 §15.1)."""


def mayKeep(request: Request, response: Response) -> bool:
    """Whether it may. In doubt it may: an unknown method, a directive for some fields only."""
    directives = _directivesOf(response)
    if "no-store" in directives or directives.get("private") == "":
        return False
    isPublic = bool(directives.keys() & {"public", "s-maxage"})
    if request._headers.find(b"authorization") is not None and not (isPublic or "must-revalidate" in directives):
        return False
    isTold = isPublic or "max-age" in directives or response._headers.find(b"expires") is not None
    if request._rawMethod in (b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"TRACE", b"CONNECT"):
        return False
    if request._rawMethod == b"POST":
        return isTold
    return isTold or response._status in _BY_DEFAULT


def _directivesOf(response: Response) -> dict[str, str]:
    """Those of Cache-Control, in lower case, with what they are for; empty text: with nothing."""
    found: dict[str, str] = {}
    for lower, _, value in response._headers.fields:
        if lower == b"cache-control":
            for part in value.decode("latin-1").lower().split(","):
                name, _, rest = part.partition("=")
                found[name.strip()] = rest.strip()
    return found
