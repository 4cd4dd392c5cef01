"""
The answer of the last recipient: OPTIONS and TRACE that a client lets go no further (RFC 9110 §7.6.2).

Elsewhere than in front of an origin there is nothing to count: who answers by itself is the last in any case.
"""

from __future__ import annotations

from collections.abc import Collection

from revproxy.body import Body
from revproxy.context import Request, Response
from revproxy.dataplane.http.fieldnames import isForwarding
from revproxy.errors import BadRequest
from revproxy.headers import Headers

COUNTED = frozenset((b"OPTIONS", b"TRACE"))
"""The methods whose Max-Forwards counts."""

_NAME = b"max-forwards"
_MOST_DIGITS = 9

_SENSITIVE = (b"auth", b"cookie", b"cred", b"key", b"pass", b"secret", b"session", b"token")


def answerAsLast(request: Request, methods: Collection[bytes] | None) -> Response | None:
    """
    The answer if ``Max-Forwards`` is 0; else None, and the request has one less.

    :param request: its method is one of :data:`COUNTED`.
    :param methods: those the route takes; None if it does not say.
    :raises BadRequest: if the field is no number, or there are several: the next one might read another.
    """
    values = [field[2].strip(b" \t") for field in request.headers.fields if field[0] == _NAME]
    if not values:
        return None
    value = values[0]
    if len(values) > 1 or not value.isdigit():
        raise BadRequest("Max-Forwards is no number")
    # RFC 9110 §7.6.2: no more than what we can count.
    hops = int(value) if len(value) <= _MOST_DIGITS else 10**_MOST_DIGITS
    if hops:
        request.headers.setRaw(_NAME, b"Max-Forwards", b"%d" % (hops - 1))
        return None
    if request._rawMethod == b"TRACE":
        return Response(200, None, Headers([(b"content-type", b"Content-Type", b"message/http")]), _reflected(request))
    headers = Headers([] if methods is None else [(b"allow", b"Allow", b", ".join(sorted(methods)))])
    return Response(200, None, headers, Body.of(b""))


def _reflected(request: Request) -> Body:
    """The head as it came, without what nobody else is to see (RFC 9110 §9.3.8): by the names, for values tell less."""
    lines = [b"%b %b HTTP/%b" % (request._rawMethod, request._rawTarget, request.version.encode())]
    for lower, name, value in request.headers.fields:
        if not isForwarding(lower) and not any(word in lower for word in _SENSITIVE):
            lines.append(name + b": " + value)
    return Body.of(b"\r\n".join(lines) + b"\r\n\r\n")
