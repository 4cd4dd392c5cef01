"""
``ip-filter``: who may come in, by address.

A client in ``deny`` is refused, whatever ``allow`` says. A client in ``allow`` is let in. Everybody else gets
``default``, which is ``deny`` when there is an ``allow`` list and ``allow`` when there is none.

The address is the client's as the listener knows it: behind a proxy that is not in ``trusted_proxies``, that proxy's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zope.interface import implementer

from revproxy.addresses import AddressSet
from revproxy.context import Context
from revproxy.dropin import DropIn
from revproxy.interfaces import IMiddleware


@implementer(IMiddleware)
class IPFilter:
    """Answers 403, or what ``status`` says, to those who may not come in."""

    name = "ip-filter"

    def __init__(self, config: Mapping[str, Any]) -> None:
        """:raises ValueError: for what is neither an address nor a network, or when nothing would be filtered."""
        allow, deny = config.get("allow", []), config.get("deny", [])
        default = config.get("default", "deny" if allow else "allow")
        if not allow and not deny and "default" not in config:
            raise ValueError("ip-filter has nothing to go by: give allow, deny, or a default")
        self._allow = self._set("allow", allow)
        self._deny = self._set("deny", deny)
        self._default = default == "allow"
        self._status = int(config.get("status", 403))

    def handle(self, context: Context) -> bool:
        """Let in, or answer."""
        host = context.request.peer.host
        deny, allow = self._deny, self._allow
        if deny is not None and deny.contains(host):
            return self._refuse(context)
        if self._default or (allow is not None and allow.contains(host)):
            return True
        return self._refuse(context)

    def _refuse(self, context: Context) -> bool:
        text = "You may not come in from this address.\n" if self._status == 403 else "Nothing is served here.\n"
        return context.respond(self._status, text)

    @staticmethod
    def _set(key: str, networks: list[str]) -> AddressSet | None:
        try:
            return AddressSet(networks) if networks else None
        except ValueError as error:
            raise ValueError(f"ip-filter: {key}: {error}") from None


def _networks(description: str) -> dict[str, Any]:
    return {"description": description, "type": "array", "items": {"type": "string", "minLength": 1}}


ipFilter = DropIn(
    {
        "name": "ip-filter",
        "version": "1.0.0",
        "description": "Who may come in, by address.",
        "priority": 20,
        "config": {},
        "config_schema": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "allow": _networks("Addresses and networks that are let in, such as 10.0.0.0/8 or 2001:db8::/32."),
                "deny": _networks("Addresses and networks that are refused, even if allow has them."),
                "default": {
                    "description": "What happens to all others; deny if there is an allow list, else allow.",
                    "enum": ["allow", "deny"],
                },
                "status": {"description": "The answer to who is refused; 404 gives less away.", "enum": [403, 404]},
            },
        },
        "required": True,
        "shadow_safe": True,
    },
    IPFilter,
)
