"""
The messages of a request as a plugin with permissions sees them: a guard against mistakes, and no wall.
"""

from __future__ import annotations

from typing import Any

from revproxy.body import Body
from revproxy.facade import guarded, shown, writing
from revproxy.guardedbody import GuardedBody
from revproxy.guardedheaders import GuardedHeaders, guardedHeaders
from revproxy.headers import Headers
from revproxy.messages import Request, Response
from revproxy.permit import Permit


class GuardedMessage:
    """What both have: the facades of one message are one thing, and of its parts there is one at a time."""

    __slots__ = ()

    _of: Any
    _permit: Permit
    _seenBody: GuardedBody | None
    _seenHeaders: Headers
    _seenOf: Headers | None

    @property
    def headers(self) -> Headers:
        """The header section, without what may not be seen."""
        headers = self._of._headers
        if headers is not self._seenOf:
            self._seenOf = headers  # type: ignore[misc]
            self._seenHeaders = guardedHeaders(headers, self._permit)  # type: ignore[misc]
        return self._seenHeaders

    @headers.setter
    def headers(self, headers: Any) -> None:
        mine = self.headers
        if isinstance(mine, GuardedHeaders) and isinstance(headers, Headers):
            mine.assign(headers.fields)
        else:
            self._of.headers = headers

    @property
    def body(self) -> Body:
        """The body, of which nothing is seen without permission."""
        body, seen = self._of.body, self._seenBody
        if seen is None or seen._of is not body:
            seen = self._seenBody = GuardedBody(body, self._permit)  # type: ignore[misc]
        return seen

    @body.setter
    def body(self, body: Any) -> None:
        self._of.body = body  # which says how it is changed

    def __eq__(self, other: object) -> bool:
        return self._of is (other._of if isinstance(other, GuardedMessage) else other)

    def __hash__(self) -> int:
        return hash(self._of)


class GuardedRequest(GuardedMessage, Request):
    """A request, of which method and path are always seen."""

    __slots__ = ("_of", "_permit", "_seenBody", "_seenHeaders", "_seenOf")

    def __init__(self, request: Request, permit: Permit) -> None:
        self._of = request
        self._permit = permit
        self._seenOf: Headers | None = None
        self._seenBody: GuardedBody | None = None

    method = guarded("method", "request.method", None, writing(":method"))
    path = guarded("path", "request.path", None, writing(":path"))
    query = guarded("query", "request.query", Permit.seeQuery, writing(":path"))
    target = guarded("target", "request.target, which has the query,", Permit.seeQuery, writing(":path"))
    host = guarded("host", "request.host", Permit.seeHost, Permit.changeHost)
    rawMethod = shown("rawMethod")
    rawTarget = guarded("rawTarget", "request.rawTarget, which has the query,", Permit.seeQuery, None)
    rawHost = guarded("rawHost", "request.rawHost", Permit.seeHost, None)
    scheme = guarded("scheme", "request.scheme", None, writing("x-forwarded-proto"))
    version = guarded("version", "request.version", None, writing(":method"))
    peer = guarded("peer", "request.peer", Permit.seeClient, Permit.changeClient)
    tls = guarded("tls", "request.tls", Permit.seeHost, None)
    upgrade = guarded("upgrade", "request.upgrade", None, writing("upgrade"))
    expectsContinue = guarded("expectsContinue", "request.expectsContinue", None, writing("expect"))
    wantsTrailers = guarded("wantsTrailers", "request.wantsTrailers", None, writing("te"))
    hasBody = guarded("hasBody", "request.hasBody", Permit.readBody, None)


class GuardedResponse(GuardedMessage, Response):
    """An answer, of which the status is always seen."""

    __slots__ = ("_of", "_permit", "_seenBody", "_seenHeaders", "_seenOf")

    def __init__(self, response: Response, permit: Permit) -> None:
        self._of = response
        self._permit = permit
        self._seenOf: Headers | None = None
        self._seenBody: GuardedBody | None = None

    status = guarded("status", "response.status", None, Permit.respond)
    reason = guarded("reason", "response.reason", None, Permit.respond)
    rawReason = shown("rawReason")
