"""
What a plugin keeps over restarts: ``host.store``, a few values by name.

    >>> store = MemoryStore()
    >>> store.set("quota/shop", {"used": 5})
    <Deferred at ... current result: None>
    >>> store.get("quota/shop").addCallback(print)
    {'used': 5}
    <Deferred at ... current result: None>

Values are what JSON can hold. `MemoryStore` keeps them as long as it lives: it is that of a host in a test.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred, succeed

__all__ = ["MAX_KEY", "MAX_VALUE", "MemoryStore", "StoreError", "checkedKey", "encoded"]

MAX_KEY = 256
"""Bytes of a key, as UTF-8."""

MAX_VALUE = 64 * 1024
"""Bytes of a value, as JSON."""

MAX_KEYS = 1_000
"""Keys that are listed at once."""


class StoreError(Exception):
    """It could not be read or written: a full disk, a plugin's share that is used up, too much asked at once."""


def checkedKey(key: object) -> str:
    """
    :raises TypeError: it is no text.
    :raises ValueError: it is empty, has more than :data:`MAX_KEY` bytes, or a half of a surrogate pair.
    """
    if not isinstance(key, str):
        raise TypeError(f"a key of the store is text, and not {key!r:.100}")
    if not 0 < len(key.encode("utf-8", "surrogatepass")) <= MAX_KEY or "\0" in key or not _isText(key):
        raise ValueError(f"a key of the store has 1 to {MAX_KEY} bytes, and no NUL: {key!r:.100}")
    return str(key)


def _isText(key: str) -> bool:
    return key.isascii() or not any("\ud800" <= character <= "\udfff" for character in key)


def encoded(key: str, value: object) -> str:
    """
    A value as JSON.

    :raises TypeError, ValueError: JSON cannot hold it, or it has more than :data:`MAX_VALUE` bytes.
    """
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        size = len(text.encode())
    except TypeError as error:
        raise TypeError(f"the value for {key!r} is nothing that JSON can hold: {error}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the value for {key!r} is nothing that JSON can hold: {error}") from None
    if size > MAX_VALUE:
        raise ValueError(f"the value for {key!r} has {size} bytes as JSON; {MAX_VALUE} are allowed")
    return text


class BookedStore:
    """
    A store as an instance of a plugin has it: what it waits for ends with it. What was asked for is done all the same.
    """

    def __init__(self, store: Any, host: Any) -> None:
        """
        :param host: the plugin's `revproxy.host.Host`.
        """
        self._store = store
        self._host = host

    def get(self, key: str, default: Any = None) -> Deferred[Any]:
        """As :meth:`~revproxy.interfaces.IStore.get`."""
        return self._booked("get", key, default)

    def set(self, key: str, value: Any) -> Deferred[None]:
        """As :meth:`~revproxy.interfaces.IStore.set`."""
        return self._booked("set", key, value)

    def delete(self, key: str) -> Deferred[bool]:
        """As :meth:`~revproxy.interfaces.IStore.delete`."""
        return self._booked("delete", key)

    def keys(self, prefix: str = "") -> Deferred[list[str]]:
        """As :meth:`~revproxy.interfaces.IStore.keys`."""
        return self._booked("keys", prefix)

    def _booked(self, method: str, *arguments: Any) -> Deferred[Any]:
        self._host.check()
        waiting: Deferred[Any] = self._host.untilFired(f"store {method}", getattr(self._store, method)(*arguments))
        return waiting


class MemoryStore:
    """
    As `revproxy.interfaces.IStore`, in memory; every Deferred has fired.

    :ivar texts: what is kept, as JSON, by key.
    """

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def get(self, key: str, default: Any = None) -> Deferred[Any]:
        """As :meth:`~revproxy.interfaces.IStore.get`."""
        text = self.texts.get(checkedKey(key))
        return succeed(default if text is None else json.loads(text))

    def set(self, key: str, value: Any) -> Deferred[None]:
        """As :meth:`~revproxy.interfaces.IStore.set`."""
        self.texts[checkedKey(key)] = encoded(key, value)
        return succeed(None)

    def delete(self, key: str) -> Deferred[bool]:
        """As :meth:`~revproxy.interfaces.IStore.delete`."""
        return succeed(self.texts.pop(checkedKey(key), None) is not None)

    def keys(self, prefix: str = "") -> Deferred[list[str]]:
        """As :meth:`~revproxy.interfaces.IStore.keys`."""
        if prefix:
            checkedKey(prefix)
        return succeed(sorted(key for key in self.texts if key.startswith(prefix))[:MAX_KEYS])
