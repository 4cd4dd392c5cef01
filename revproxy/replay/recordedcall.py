"""
What a plugin was asked, and all that it was told meanwhile, as a value.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

HeaderPair = tuple[bytes, bytes]
"""Name and value, as on the wire."""

Phase = Literal["handle", "handleResponse"]


class RecordedExchange(msgspec.Struct, frozen=True, array_like=True):
    """
    A request that the plugin itself sent by ``context.client`` or its host's client, and what came back.

    :ivar error: the class of what it failed with, and its text; empty: it was answered.
    :ivar isWhole: whether all of the body was taken down: the plugin may not have read it.
    """

    method: str
    url: str
    status: int
    headers: tuple[HeaderPair, ...]
    body: bytes
    error: str = ""
    isWhole: bool = True


class RecordedResponse(msgspec.Struct, frozen=True, array_like=True):
    """
    An answer.

    :ivar body: None: it was not taken down; ``isWhole``: whether all of it was.
    """

    status: int
    headers: tuple[HeaderPair, ...]
    body: bytes | None = None
    isWhole: bool = True


class RecordedCall(msgspec.Struct, frozen=True, array_like=True):
    """
    A call of one plugin in one request, as it was when it came to it.

    :ivar target: as on the wire; ``host``: as in the Host field; ``version``: ``1.0`` or ``1.1``.
    :ivar headers: those of the request, with what plugins before it have done to them.
    :ivar peer: the client's address and port, as the edge believes them.
    :ivar values: what plugins before it have left for others, as far as it can be written as JSON.
    :ivar unwritable: the keys of values that cannot.
    :ivar upstream: that a plugin before it has chosen; empty: none has.
    :ivar body: of the request; None: it was not taken down; ``isWhole``: whether all of it was.
    :ivar response: the answer on its way out, where the phase is that.
    :ivar told: what it was answered by others, in order.
    :ivar routeUpstream: that of the route; empty: it has another leaf.
    """

    phase: Phase
    method: bytes
    target: bytes
    host: bytes
    version: str
    scheme: str
    headers: tuple[HeaderPair, ...]
    peer: tuple[str, int]
    id: str
    route: str
    serverName: str = ""
    values: dict[str, Any] = {}
    unwritable: tuple[str, ...] = ()
    upstream: str = ""
    body: bytes | None = None
    isWhole: bool = True
    response: RecordedResponse | None = None
    told: tuple[RecordedExchange, ...] = ()
    routeUpstream: str = ""
