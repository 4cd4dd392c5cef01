"""Leaves whose answer is fixed by the configuration: a response, and a redirect."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from twisted.web.server import NOT_DONE_YET

from revproxy.body import Body
from revproxy.context import Request, Response
from revproxy.dataplane.leaves.leaf import Leaf
from revproxy.errors import BadRequest
from revproxy.headers import Headers
from revproxy.hostport import splitPort

if TYPE_CHECKING:
    from revproxy.dataplane.exchange import Exchange

_PLACEHOLDER = re.compile(r"(\{(?:host|hostname|target|path|query)\})")


class RespondLeaf(Leaf):
    """The same answer for every request."""

    def __init__(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        """:raises ValueError: for headers that cannot be sent."""
        super().__init__()
        self._status = status
        self._body = body
        self._headers = Headers.of(headers)
        if body and "content-type" not in self._headers:
            self._headers.add("Content-Type", "text/plain; charset=utf-8")

    def render(self, exchange: Exchange) -> int:
        """As :meth:`Leaf.render`; with a copy, for plugins may change what they see."""
        exchange.answered(Response(self._status, None, self._headers.copy(), Body.of(self._body)))
        return NOT_DONE_YET


class RedirectLeaf(Leaf):
    """
    Sends the client elsewhere (RFC 9110 §15.4).

    The location may contain ``{host}`` (with port), ``{hostname}``, ``{path}``, ``{query}`` and ``{target}`` (path and
    query), which are taken from the request. Whatever they are, a location that begins with a path stays on the site,
    and one that begins with ``https://{host}`` has a host: what else can lead away is refused in the configuration
    (:func:`revproxy.config.syntax.location`).
    """

    def __init__(self, location: str, status: int) -> None:
        super().__init__()
        self._location = location
        self._parts = _PLACEHOLDER.split(location)
        # Split, it begins with text, if only an empty one: {target} alone is a path.
        self._isPath = self._parts[0][:1] in ("", "/") and not location.startswith("//")
        self._status = status

    def render(self, exchange: Exchange) -> int:
        """:raises BadRequest: if the location is to have a host, and the request has none."""
        location = self._location if len(self._parts) == 1 else self._fill(exchange.context._request)
        headers = Headers([(b"location", b"Location", location.encode("latin-1"))])
        exchange.answered(Response(self._status, None, headers, Body.of(b"")))
        return NOT_DONE_YET

    def _fill(self, request: Request) -> str:
        host = request.host
        if not host and not self._isPath and ("{host}" in self._parts or "{hostname}" in self._parts):
            raise BadRequest("no Host to redirect to")
        target, path = request.target, request.path
        if target == "*":
            target = path = "/"
        name = splitPort(host)[0] or host
        values = {
            "{hostname}": name,
            "{host}": host,
            "{target}": target,
            "{path}": path,
            "{query}": request.query,
        }
        # In one pass: what the client wrote may look like a placeholder.
        location = "".join(values.get(part, part) for part in self._parts)
        if self._isPath and location[1:2] in ("/", "\\"):
            # "//evil.example" is a path in a request line and a host in a Location (RFC 3986 §4.2); browsers read a
            # backslash as a slash.
            return "/" + location.lstrip("/\\")
        return location
