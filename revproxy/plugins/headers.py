"""
``headers``: set, add and remove header fields of requests and responses.

Values may contain placeholders, written ``{client.host}``; ``{{`` and ``}}`` are braces. They are taken apart once,
when the configuration is read; a value without any costs one list operation per request.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Mapping
from typing import Any

from zope.interface import alsoProvides, implementer

from revproxy.context import Context, Headers
from revproxy.dropin import DropIn
from revproxy.headers import Field, isJoined, joined
from revproxy.interfaces import IMiddleware, IResponseMiddleware

PLACEHOLDERS: dict[str, Callable[[Context], str]] = {
    "request.id": lambda context: context.id,
    "client.host": lambda context: context.request.peer.host,
    "host": lambda context: context.request.host,
    "route": lambda context: context.route,
    "scheme": lambda context: context.request.scheme,
    "method": lambda context: context.request.method,
}
"""What may stand between braces, and what it becomes."""

_PARTS = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")

_HOST_OCTETS = (string.ascii_letters + string.digits + ".-_:[]").encode()

Part = str | Callable[[Context], str]


def compileTemplate(text: str) -> list[Part]:
    """
    The parts of a value, in order: text, and what is to be asked of each request.

    :raises ValueError: for a placeholder nobody knows, or a single brace.
    """
    parts: list[Part] = [""]
    at = 0
    for match in _PARTS.finditer(text):
        parts.append(text[at : match.start()])
        at = match.end()
        if match[0] in ("{{", "}}"):
            parts.append(match[0][0])
        elif match[1] in PLACEHOLDERS:
            parts.append(PLACEHOLDERS[match[1]])
        else:
            known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
            raise ValueError(f"{match[0]!r} in {text!r} is no placeholder; there are {known}, and {{{{ for a brace")
    parts.append(text[at:])
    return parts


class _Templated:
    """One field whose value depends on the request."""

    __slots__ = ("_name", "_parts")

    def __init__(self, name: str, parts: list[Part]) -> None:
        self._name = name
        self._parts = parts

    def fill(self, context: Context) -> Field:
        text = "".join([part if isinstance(part, str) else part(context) for part in self._parts])
        # Checked like any value: parts of it came from a client. What latin-1 has no octet for becomes "?".
        (field,) = Headers.of({self._name: text.encode("latin-1", "replace").decode("latin-1")}).fields
        return field


class _Edit:
    """What is done to one header section."""

    def __init__(self, where: str, config: Mapping[str, Any]) -> None:
        self.removed: list[bytes] = [self._field(where, "remove", name, "")[0] for name in config.get("remove", ())]
        self.fixed: list[Field] = []
        self.added: list[Field] = []
        self.filled: list[_Templated] = []
        self.filledAdded: list[_Templated] = []
        for verb, fixed, filled in (("set", self.fixed, self.filled), ("add", self.added, self.filledAdded)):
            for name, value in config.get(verb, {}).items():
                parts = compileTemplate(value)
                text = "".join(part for part in parts if isinstance(part, str))
                field = self._field(where, verb, name, text)
                if verb == "set" and where == "request" and isJoined(field[0]):
                    # Origins join it with the client's own, which has hyphens: the edge lets no other spelling through.
                    self.removed.append(joined(field[0]))
                if all(isinstance(part, str) for part in parts):
                    fixed.append(field)
                else:
                    filled.append(_Templated(name, parts))

    def __bool__(self) -> bool:
        return bool(self.removed or self.fixed or self.added or self.filled or self.filledAdded)

    @staticmethod
    def _field(where: str, verb: str, name: str, value: str) -> Field:
        try:
            (field,) = Headers.of({name: value}).fields
        except ValueError as error:
            raise ValueError(f"{where}.{verb}: {name}: {error}") from None
        if field[0] == b"host":
            if where == "response" or verb != "set":
                raise ValueError(f"{where}.{verb}: Host can only be set, and only in requests")
            if not field[2] or field[2].translate(None, _HOST_OCTETS):
                raise ValueError(f"{where}.{verb}: {value!r} is no host")
        return field

    def apply(self, headers: Headers, context: Context) -> None:
        for lower in self.removed:
            headers.removeRaw(lower)
        for field in self.fixed:
            headers.setRaw(*field)
        for templated in self.filled:
            headers.setRaw(*templated.fill(context))
        headers.fields.extend(self.added)
        for templated in self.filledAdded:
            headers.fields.append(templated.fill(context))


@implementer(IMiddleware)
class EditHeaders:
    """Removes, then sets, then adds; provides :class:`IResponseMiddleware` if there is something to do there."""

    name = "headers"

    def __init__(self, config: Mapping[str, Any]) -> None:
        """:raises ValueError: for a name or value that cannot be sent; says which."""
        request = dict(config.get("request", {}))
        hosts = [name for name in request.get("set", {}) if name.lower() == "host"]
        self._request = _Edit("request", request)
        self._response = _Edit("response", config.get("response", {}))
        self._editsRequest = bool(self._request)
        self._setsHost = bool(hosts)
        if self._response:
            # Only then is there a response phase: one that has nothing to do would cost every request.
            self.handleResponse = self._edit
            alsoProvides(self, IResponseMiddleware)

    def handle(self, context: Context) -> bool:
        """Change the request."""
        if not self._editsRequest:
            return True
        request = context.request
        self._request.apply(request.headers, context)
        if self._setsHost:
            # The Host field and what the edge thinks of it must not disagree.
            request.host = request.headers.get("Host", "") or ""
        return True

    def _edit(self, context: Context) -> None:
        """Change the response."""
        response = context.response
        if response is not None:
            self._response.apply(response.headers, context)


def _sectionSchema(which: str) -> dict[str, Any]:
    values = {"type": "object", "additionalProperties": {"type": "string"}}
    return {
        "description": f"What is done to {which}: remove first, then set, then add.",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "set": {"description": "Name to value: exactly one such field.", **values},
            "add": {"description": "Name to value: one more such field.", **values},
            "remove": {
                "description": "Names of fields to take out.",
                "type": "array",
                "items": {"type": "string", "minLength": 1},
            },
        },
    }


headers = DropIn(
    {
        "name": "headers",
        "version": "1.0.0",
        "description": "Set, add and remove header fields of requests and responses.",
        "priority": 90,
        "config": {},
        "config_schema": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"request": _sectionSchema("requests"), "response": _sectionSchema("responses")},
        },
        "shadow_safe": True,
    },
    EditHeaders,
)
