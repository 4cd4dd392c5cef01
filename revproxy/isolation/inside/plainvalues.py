"""
``context.values`` between a locked process and the edge: what of it is plain data goes to and fro.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

_DEEPEST: Final = 32
_ATOMS: Final = frozenset((str, bytes, bool, float, type(None)))
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(dict[str, Any])


def isPlain(value: Any, depth: int = 0) -> bool:
    """Whether it comes out at the other end as what it is: text, bytes, numbers, lists and dicts with text as keys."""
    kind: type = type(value)
    if kind in _ATOMS:
        return True
    if kind is int:
        return bool(-(2**63) <= value < 2**64)
    if depth >= _DEEPEST:
        return False
    if kind is list or kind is tuple:
        return all(isPlain(inner, depth + 1) for inner in value)
    if kind is dict:
        return all(type(key) is str and isPlain(inner, depth + 1) for key, inner in value.items())
    return False


class PlainValues:
    """
    Of one request: what the edge knows of its values.
    """

    __slots__ = ("_told",)

    def __init__(self) -> None:
        self._told: dict[str, bytes] = {}

    def heard(self, data: bytes, values: dict[str, Any]) -> None:
        """What has changed elsewhere is changed here. :param data: as `Call.values`."""
        for name, value in _decoder.decode(data).items():
            if value is None:
                values.pop(name, None)
                self._told.pop(name, None)
            else:
                values[name] = value
                self._told[name] = _encoder.encode(value)

    def changed(self, values: dict[str, Any]) -> bytes:
        """:returns: as `Answered.values`: what the edge does not know."""
        news: dict[str, Any] = {}
        for name, value in values.items():
            if type(name) is not str or value is None or not isPlain(value):
                continue
            encoded = _encoder.encode(value)
            if self._told.get(name) != encoded:
                self._told[name] = encoded
                news[name] = msgspec.Raw(encoded)
        for name in [name for name in self._told if values.get(name) is None]:
            del self._told[name]
            news[name] = None
        return _encoder.encode(news) if news else b""
