"""
What a plugin in a locked process sees of requests and answers: by its permissions, and nothing else is sent.
"""

from __future__ import annotations

from revproxy.context import Context, Outcome, Response
from revproxy.headers import Headers
from revproxy.isolation.frames import Fields, OutcomeSeen, RequestHead, ResponseHead
from revproxy.permissions import ALL, NAMED_ONLY, Permissions

UNKNOWN = -1
"""The length of a body that is not known."""

_NOBODY = ("", 0, "")


class Sight:
    """
    Of one plugin; decided once, and asked for each request.

    The method and the path are always seen, as are the request's id, its route and its upstream. The host is seen by
    whoever may read ``:authority`` or ``Host``, the query by whoever may read ``:path``, and the client's address by
    whoever may read ``X-Forwarded-For``, which would tell it, too.
    """

    __slots__ = ("_hidden", "_names", "_seesAll", "_seesBody", "_seesFields", "_seesHost", "_seesPeer", "_seesQuery")

    def __init__(self, permissions: Permissions) -> None:
        names = permissions.readHeaders
        self._seesAll = ALL in names
        self._names = frozenset(name.encode("latin-1") for name in names)
        hidden = NAMED_ONLY - names if permissions.seesHost else (NAMED_ONLY - names) | {"host"}
        self._seesFields = bool(names)
        self._hidden = frozenset(name.encode("ascii") for name in hidden)
        self._seesHost = permissions.seesHost
        self._seesQuery = permissions.seesQuery
        self._seesPeer = permissions.seesClient
        self._seesBody = permissions.seesBody

    def request(self, context: Context) -> RequestHead:
        """The request of a context, as it is now."""
        request, route, goal = context._request, context._route, context._goal
        target, peer, body = request._rawTarget, request._peer, request._body
        return RequestHead(
            request._rawMethod,
            target if self._seesQuery else target.partition(b"?")[0],
            request._rawHost if self._seesHost else b"",
            request._scheme,
            request._version,
            self.fields(request._headers) if self._seesFields else (),
            (peer.host, peer.port, peer.connected) if self._seesPeer else _NOBODY,
            self._length(body._length) if body is not None and self._seesBody else None,
            context.id,
            route.name,
            route.upstream if goal is None or goal.upstream is None else goal.upstream,
        )

    def response(self, response: Response) -> ResponseHead:
        """An answer, as it is now."""
        body = response._body
        return ResponseHead(
            response._status,
            response._rawReason,
            self.fields(response._headers),
            self._length(body._length) if body is not None and self._seesBody else None,
        )

    @staticmethod
    def _length(length: int | None) -> int:
        return UNKNOWN if length is None else length

    def fields(self, headers: Headers) -> Fields:
        """Those that are seen, in order."""
        if self._seesAll:
            hidden = self._hidden
            return tuple([(name, value) for lower, name, value in headers.fields if lower not in hidden])
        names = self._names
        return tuple(
            [
                (name, value)
                for lower, name, value in headers.fields
                if lower in names or (lower == b"host" and self._seesHost)
            ]
        )


def outcomeSeen(outcome: Outcome) -> OutcomeSeen:
    """How a request ended. That is no secret to whoever was asked about it."""
    return OutcomeSeen(
        outcome.status,
        outcome.bytesIn,
        outcome.bytesOut,
        outcome.seconds,
        outcome.upstream,
        outcome.upstreamSeconds,
        outcome.interruptedBy,
        None if outcome.error is None else str(outcome.error),
    )
