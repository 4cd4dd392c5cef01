"""
``request-id``: one id per request, told to the origin and to the client.

An id that a client sends ends in logs and in other systems, so it is taken over only from those who are trusted, and
only when it is made of letters, digits and ``-_.:+/=@`` and is not long. Everyone else gets the edge's own.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Any

from zope.interface import implementer

from revproxy.addresses import AddressSet
from revproxy.context import Context, Headers
from revproxy.dropin import DropIn
from revproxy.interfaces import IMiddleware, IResponseMiddleware

MAX_LENGTH = 128
"""The longest id that is taken over, in bytes."""

_ALLOWED = (string.ascii_letters + string.digits + "-_.:+/=@").encode()


def _sound(raw: bytes) -> bool:
    return 0 < len(raw) <= MAX_LENGTH and not raw.translate(None, _ALLOWED)


@implementer(IMiddleware, IResponseMiddleware)
class RequestId:
    """Puts ``context.id`` into a header, both ways."""

    name = "request-id"

    def __init__(self, config: Mapping[str, Any]) -> None:
        """:raises ValueError: for a header name that cannot be used, or an address that is none."""
        header = config.get("header", "X-Request-Id")
        ((self._lower, self._header, _),) = Headers.of({header: ""}).fields
        trust = config.get("trust", False)
        self._trustAll = trust is True
        self._trusted = AddressSet(trust) if isinstance(trust, list) else None
        self._respond = bool(config.get("response", True))

    def handle(self, context: Context) -> bool:
        """Settle the id and send it to the origin."""
        headers = context.request.headers
        if self._trustAll or self._trusted is not None:
            given = headers.find(self._lower)
            if given is not None and _sound(given) and self._believed(context):
                context.id = given.decode("ascii")
        headers.setRaw(self._lower, self._header, self._idOf(context))
        return True

    def handleResponse(self, context: Context) -> None:
        """Send the id to the client; one that the origin may have sent is replaced."""
        response = context.response
        if self._respond and response is not None:
            response.headers.setRaw(self._lower, self._header, self._idOf(context))

    def _believed(self, context: Context) -> bool:
        trusted = self._trusted
        return trusted is None or trusted.contains(context.request.peer.connected)

    def _idOf(self, context: Context) -> bytes:
        identifier = context._id
        if identifier is None:
            return context._serial
        # Another plugin may have made the id of anything.
        raw = identifier.encode("ascii", "replace")
        return raw if _sound(raw) else context._serial


requestId = DropIn(
    {
        "name": "request-id",
        "version": "1.0.0",
        "description": "One id per request, told to the origin and to the client.",
        "priority": 10,
        "config": {"header": "X-Request-Id", "trust": False, "response": True},
        "config_schema": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "header": {
                    "description": "The header that carries the id, both ways.",
                    "type": "string",
                    "minLength": 1,
                },
                "trust": {
                    "description": "Whose id is taken over: true, everyone's; false, nobody's; a list, that of "
                    "clients connecting from these addresses and networks.",
                    "anyOf": [{"type": "boolean"}, {"type": "array", "items": {"type": "string"}}],
                },
                "response": {
                    "description": "Whether the client is told the id.",
                    "type": "boolean",
                },
            },
        },
        "shadow_safe": True,
    },
    RequestId,
)
