"""
Why a request went as it did, as far as only the request itself could tell: what of it travels with its record.

Which route it took, and which plugins with which versions stand there, its record and its plan say. Names of header
fields are in here, and never a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from revproxy.headers import EDGES_OWN, Field

__all__ = ["NO_CHANGES", "Changes", "Explained", "Step", "Try", "changesOf", "decodeExplained", "encodeExplained"]

MOST: Final = 32
"""Names in each list of them, and tries; more are left out."""

MOST_STEPS: Final = 64
"""Calls of plugins."""

_LONGEST: Final = 128
"""Characters of a name, or a reason, that a client or a plugin may have chosen."""

_NOT_TOLD: Final = EDGES_OWN | {b"date"}
"""Fields that the edge itself sets, or changes."""


class Changes(msgspec.Struct, frozen=True, array_like=True):
    """
    Names of header fields, in lower case, sorted.

    :ivar more: how many other names there were.
    """

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    more: int = 0

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)


NO_CHANGES: Final = Changes()

AWAITED: Final = "awaited in "
"""Of a plugin whose answer was awaited when the request ended; in which method of its, follows."""


class Step(msgspec.Struct, frozen=True, array_like=True):
    """
    One call of a plugin.

    :ivar call: ``handle`` or ``handleResponse``.
    :ivar seconds: that the call held the event loop; None: that was not measured.
    :ivar waited: seconds from its end to its answer, where that came later; None: it came at once.
    :ivar changes: of the request's fields, or of the answer's; None: nobody looked.
    """

    plugin: str
    version: str
    call: str
    seconds: float | None = None
    waited: float | None = None
    changes: Changes | None = None


class Try(msgspec.Struct, frozen=True, array_like=True):
    """
    A target that the request was lost at.

    :ivar url: of the target.
    :ivar reason: why.
    :ivar attempt: which target it was, counted from 1; the same again where only a kept connection was closed.
    :ivar seconds: from the head of the request to the loss.
    """

    url: str
    reason: str
    attempt: int = 0
    seconds: float = 0.0


class Explained(msgspec.Struct, frozen=True, array_like=True):
    """
    What is known of one request.

    :ivar because: ``sample``, ``failed``, ``interrupted``, ``slow``, ``rerouted`` or ``retried``: why it is.
    :ivar steps: the calls of plugins that somebody looked at, in their order: all of them of one that is in the
        sample; of others those whose answers came later.
    :ivar request: what all plugins together have done to the request's fields; None: no plugin was asked.
    :ivar response: the same of the answer's.
    :ivar tries: targets that it was lost at, before the last one.
    :ivar notes: of plugins, by name, what happened with them besides: ``quarantine``, ``probe``, ``rerouted to ROUTE``,
        ``awaited in handle``.
    :ivar sent: seconds from its head to when it was sent to the origin; None: it was not.
    :ivar upstream: the upstream that a plugin has chosen, and ``origin``: the target; empty: none has.
    """

    because: str
    steps: tuple[Step, ...] = ()
    request: Changes | None = None
    response: Changes | None = None
    tries: tuple[Try, ...] = ()
    notes: tuple[tuple[str, str], ...] = ()
    sent: float | None = None
    upstream: str = ""
    origin: str = ""


def changesOf(before: Sequence[Field], after: Sequence[Field]) -> Changes:
    """What has become of header fields."""
    if before == after:
        return NO_CHANGES
    old: dict[bytes, Any] = {field[0]: field[2] for field in before}
    new: dict[bytes, Any] = {field[0]: field[2] for field in after}
    if len(old) != len(before) or len(new) != len(after):  # some names are there twice
        old, new = _values(before), _values(after)
    added: list[str] = []
    changed: list[str] = []
    removed: list[str] = []
    for name in sorted({name for name, _ in old.items() ^ new.items()} - _NOT_TOLD):
        where = removed if name not in new else changed if name in old else added
        where.append(name.decode("latin-1")[:_LONGEST])
    if len(added) <= MOST >= len(changed) and len(removed) <= MOST:
        return Changes(tuple(added), tuple(changed), tuple(removed))
    more = sum(max(0, len(each) - MOST) for each in (added, changed, removed))
    return Changes(tuple(added[:MOST]), tuple(changed[:MOST]), tuple(removed[:MOST]), more)


def _values(fields: Sequence[Field]) -> dict[bytes, tuple[bytes, ...]]:
    values: dict[bytes, list[bytes]] = {}
    for lower, _, value in fields:
        values.setdefault(lower, []).append(value)
    return {name: tuple(each) for name, each in values.items()}


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Explained)


def encodeExplained(explained: Explained) -> bytes:
    """As it is in a record."""
    return _encoder.encode(explained)


def decodeExplained(encoded: bytes) -> Explained:
    """
    From a record.

    :raises msgspec.ValidationError: it is none.
    """
    return _decoder.decode(encoded)
