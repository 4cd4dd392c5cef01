"""
A plugin's store: the edge keeps it.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from twisted.internet.defer import Deferred

from revproxy.isolation.frames import UseStore
from revproxy.isolation.inside.asks import Asks
from revproxy.store import checkedKey, encoded


class EdgeStore:
    """
    As `revproxy.interfaces.IStore`.
    """

    def __init__(self, asks: Asks) -> None:
        self._asks = asks

    def get(self, key: str, default: Any = None) -> Deferred[Any]:
        """As :meth:`~revproxy.interfaces.IStore.get`."""
        return self._ask("get", checkedKey(key)).addCallback(_valueOf, default)

    def set(self, key: str, value: Any) -> Deferred[None]:
        """As :meth:`~revproxy.interfaces.IStore.set`."""
        return self._ask("set", checkedKey(key), encoded(key, value).encode()).addCallback(lambda _: None)

    def delete(self, key: str) -> Deferred[bool]:
        """As :meth:`~revproxy.interfaces.IStore.delete`."""
        return self._ask("delete", checkedKey(key)).addCallback(lambda there: bool(there))

    def keys(self, prefix: str = "") -> Deferred[list[str]]:
        """As :meth:`~revproxy.interfaces.IStore.keys`."""
        return self._ask("keys", checkedKey(prefix) if prefix else "")

    def _ask(self, action: Literal["get", "set", "delete", "keys"], key: str, value: bytes = b"") -> Deferred[Any]:
        asked = self._asks.ask(lambda number: UseStore(number, action, key, value))
        return asked.addCallback(msgspec.msgpack.decode)


def _valueOf(told: list[Any], default: Any) -> Any:
    return told[0] if told else default
