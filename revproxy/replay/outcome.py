"""
What a plugin did in a call, as a value.
"""

from __future__ import annotations

from typing import Any

import msgspec

from revproxy.replay.recordedcall import HeaderPair, RecordedResponse


class Raised(msgspec.Struct, frozen=True, array_like=True):
    """
    An exception.

    :ivar kind: its class; ``where``: ``FILE:LINE`` of the plugin's code; ``function``: qualified.
    """

    kind: str
    message: str
    where: str = ""
    function: str = ""


class Outcome(msgspec.Struct, frozen=True, array_like=True):
    """
    What came of a call.

    :ivar verdict: True: on; False: stopped with ``response``; None: of an answer on its way out, and where it raised.
    :ivar raised: what it failed with; None: nothing.
    :ivar response: what it answers, or what the answer is after it; None: it did not touch any.
    :ivar headers: of the request, after it.
    :ivar values: after it.
    :ivar upstream: that it has chosen; empty: none.
    :ivar bodyDigest: SHA-256 of the request's body after it, in hexadecimal digits; empty: it did not change it.
    :ivar rerouted: whether it asked for another route.
    :ivar informational: status codes of interim answers that it sent.
    :ivar fields: what it added to the log line.
    :ivar seconds: self time.
    :ivar incomparable: why this cannot be held against another; empty: it can.
    """

    verdict: bool | None
    raised: Raised | None = None
    response: RecordedResponse | None = None
    target: bytes = b""
    host: bytes = b""
    method: bytes = b""
    headers: tuple[HeaderPair, ...] = ()
    values: dict[str, Any] = {}
    upstream: str = ""
    bodyDigest: str = ""
    rerouted: bool = False
    informational: tuple[int, ...] = ()
    fields: dict[str, Any] = {}
    seconds: float = 0.0
    incomparable: str = ""
