"""
Fields whose values were taken out of a recording: whoever looks at one cannot do what was done with its value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from revproxy.replay.recordedcall import HeaderPair
from revproxy.replay.redactionrules import STAND_IN


class Redacted(bytes):
    """
    The value of a field that has a stand-in.

    :ivar seen: is told the name of the field when somebody looks at it.
    """

    name: str
    seen: Callable[[str], None]

    def decode(self, *arguments: Any, **named: Any) -> str:
        """As of `bytes`: what plugins get is decoded."""
        self.seen(self.name)
        return super().decode(*arguments, **named)

    def rstrip(self, *arguments: Any) -> bytes:
        """As of `bytes`: that of the first field of a name is."""
        self.seen(self.name)
        return super().rstrip(*arguments)


def watched(headers: Iterable[HeaderPair], seen: Callable[[str], None]) -> tuple[HeaderPair, ...]:
    """
    The same fields; of those whose values have stand-ins it is told when they are looked at.

    :param seen: called with the name of the field.
    """

    def value(name: bytes, octets: bytes) -> bytes:
        if not STAND_IN.search(octets):
            return octets
        redacted = Redacted(octets)
        redacted.name, redacted.seen = name.decode("latin-1").lower(), seen
        return redacted

    return tuple((name, value(name, octets)) for name, octets in headers)


__all__ = ["Redacted", "watched"]
