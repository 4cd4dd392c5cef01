"""
``cors``: which web pages of other origins may use these resources (Fetch Standard §3.2, "HTTP CORS protocol").

Preflights are answered here, with 204; the origin server never sees them. On other responses the edge's policy takes
the place of what the origin server said. ``Vary`` names what an answer depends on, also on answers to requests without
``Origin``, because a shared cache would otherwise give one page's answer to another.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from zope.interface import implementer

from revproxy.context import Context, Headers
from revproxy.dropin import DropIn
from revproxy.durations import DURATION, parseDuration
from revproxy.headers import Field, isToken
from revproxy.interfaces import IMiddleware, IResponseMiddleware

_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://(\*\.)?([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?\Z")
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_LABELS = b"abcdefghijklmnopqrstuvwxyz0123456789-_."
_PREFLIGHT_VARY = (b"origin", b"access-control-request-method", b"access-control-request-headers")


def _field(name: str, value: str) -> Field:
    return Headers.of({name: value}).fields[0]


def _tokens(key: str, names: Iterable[str]) -> str:
    for name in names:
        if not isToken(name.encode("ascii", "replace")):
            raise ValueError(f"cors: {key}: not a name: {name!r}")
    return ", ".join(names)


def _addVary(headers: Headers, names: tuple[bytes, ...]) -> None:
    """Add names to Vary (RFC 9110 §12.5.5) unless they, or ``*``, are there."""
    if headers.find(b"vary") is None:
        headers.fields.append((b"vary", b"Vary", b", ".join([name.title() for name in names])))
        return
    present: set[bytes] = set()
    for lower, _, value in headers.fields:
        if lower == b"vary":
            present.update(part.strip().lower() for part in value.split(b","))
    if b"*" in present:
        return
    missing = [name.title() for name in names if name not in present]
    if missing:
        headers.fields.append((b"vary", b"Vary", b", ".join(missing)))


class AllowedOrigins:
    """
    The origins of a policy.

    :ivar everyone: whether ``"*"`` is among them.
    """

    def __init__(self, origins: Iterable[str]) -> None:
        """:raises ValueError: for what is no serialised origin (RFC 6454 §6.2); says what to write instead."""
        self.everyone = False
        self._exact: set[bytes] = set()
        self._wildcards: list[tuple[bytes, bytes]] = []
        for origin in origins:
            self._add(origin)

    def _add(self, origin: str) -> None:
        if origin == "*":
            self.everyone = True
            return
        if origin == "null":
            self._exact.add(b"null")
            return
        match = _ORIGIN.match(origin.lower())
        if match is None:
            raise ValueError(
                f"cors: origins: {origin!r} is no origin; write https://shop.example.com, https://*.example.com "
                "(scheme and host, a port if it is not the usual one, no path, no slash at the end), or *"
            )
        scheme, star, host, port = match.groups()
        tail = "" if port is None or port == _DEFAULT_PORTS.get(scheme) else f":{port}"
        if star:
            self._wildcards.append((f"{scheme}://".encode(), f".{host}{tail}".encode()))
        else:
            self._exact.add(f"{scheme}://{host}{tail}".encode())

    def allows(self, origin: bytes) -> bool:
        """Whether a page of this origin may; compared octet by octet, as browsers serialise it."""
        if self.everyone or origin in self._exact:
            return True
        for head, tail in self._wildcards:
            if origin.startswith(head) and origin.endswith(tail):
                middle = origin[len(head) : -len(tail)]
                if middle and not middle.translate(None, _LABELS):
                    return True
        return False


@implementer(IMiddleware, IResponseMiddleware)
class CORS:
    """One policy, for all routes it runs on."""

    name = "cors"

    def __init__(self, config: Mapping[str, Any]) -> None:
        """:raises ValueError: for names and origins that are none, and for ``*`` together with credentials."""
        self._origins = AllowedOrigins(config.get("origins", ()))
        self._credentials = bool(config.get("credentials", False))
        if self._credentials and self._origins.everyone:
            raise ValueError(
                "cors: credentials cannot go with the origin *: every web page could act as the user; name the origins"
            )
        self._anyHeader = "*" in config.get("headers", ())
        headers = _tokens("headers", [name for name in config.get("headers", ()) if name != "*"])
        # A wildcard answer depends on nothing; any other does.
        self._same = self._origins.everyone
        self._vary = () if self._same else (b"origin",)
        self._preflight = [
            _field("Access-Control-Allow-Methods", _tokens("methods", config.get("methods", ("GET", "HEAD", "POST")))),
            _field("Access-Control-Max-Age", str(int(parseDuration(config.get("max_age", 600))))),
        ]
        if headers and not self._anyHeader:
            self._preflight.append(_field("Access-Control-Allow-Headers", headers))
        expose = _tokens("expose", config.get("expose", ()))
        self._actual = [_field("Access-Control-Expose-Headers", expose)] if expose else []

    def handle(self, context: Context) -> bool:
        """Answer a preflight; let everything else pass."""
        if context.request.method != "OPTIONS":
            return True
        headers = context.request.headers
        origin = headers.find(b"origin")
        if origin is None or headers.find(b"access-control-request-method") is None:
            return True
        context.respond(204)
        assert context.response is not None
        out = context.response.headers
        _addVary(out, _PREFLIGHT_VARY)
        if self._allow(origin, out):
            out.fields.extend(self._preflight)
            if self._anyHeader:
                self._reflect(headers, out)
        return False

    def handleResponse(self, context: Context) -> None:
        """Put the edge's policy in place of the origin server's."""
        response = context.response
        if response is None:
            return
        headers = response.headers
        for field in headers.fields:
            if field[0].startswith(b"access-control-"):
                headers.fields = [kept for kept in headers.fields if not kept[0].startswith(b"access-control-")]
                break
        if self._vary:
            _addVary(headers, self._vary)
        origin = context.request.headers.find(b"origin")
        if origin is not None and self._allow(origin, headers):
            headers.fields.extend(self._actual)

    def _allow(self, origin: bytes, out: Headers) -> bool:
        if not self._origins.allows(origin):
            return False
        value = b"*" if self._same else origin
        out.fields.append((b"access-control-allow-origin", b"Access-Control-Allow-Origin", value))
        if self._credentials:
            out.fields.append((b"access-control-allow-credentials", b"Access-Control-Allow-Credentials", b"true"))
        return True

    @staticmethod
    def _reflect(asked: Headers, out: Headers) -> None:
        """
        Allow the headers that were asked for, by name: ``*`` means nothing to a browser when credentials are sent,
        and never covers ``Authorization``.
        """
        value = asked.find(b"access-control-request-headers")
        if value:
            names = [name.strip() for name in value.split(b",")]
            if all(isToken(name) for name in names):
                out.fields.append((b"access-control-allow-headers", b"Access-Control-Allow-Headers", b", ".join(names)))


def _names(description: str) -> dict[str, Any]:
    return {"description": description, "type": "array", "items": {"type": "string", "minLength": 1}}


cors = DropIn(
    {
        "name": "cors",
        "version": "1.0.0",
        "description": "Which web pages of other origins may use these resources.",
        "priority": 40,
        "config": {"methods": ["GET", "HEAD", "POST"], "credentials": False, "max_age": 600},
        "config_schema": {
            "type": "object",
            "additionalProperties": False,
            "required": ["origins"],
            "properties": {
                "origins": {
                    **_names("Origins allowed: https://shop.example.com, https://*.example.com (any depth), or *."),
                    "minItems": 1,
                },
                "methods": _names("Methods allowed beyond what forms can do."),
                "headers": _names("Request headers allowed beyond the safelisted; * for whatever is asked."),
                "expose": _names("Response headers that pages may read beyond the safelisted."),
                "credentials": {"description": "Whether cookies and passwords may be sent.", "type": "boolean"},
                "max_age": {
                    **DURATION,
                    "description": "For how long a browser may remember a preflight, in whole seconds.",
                    "minimum": 0,
                    "maximum": 86400,
                },
            },
        },
        "shadow_safe": True,
    },
    CORS,
)
