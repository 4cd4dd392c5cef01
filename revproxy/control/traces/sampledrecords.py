"""
Which of the requests that are over belong to a trace that is sampled.

One in a hundred does, as a rule; so the others are not decoded.
"""

from __future__ import annotations

import re

import msgspec

from revproxy.requestrecord import RequestRecord

_SAMPLED = re.compile(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-0[13]")
"""As the trace of a record has it. What else a client may have sent that looks like it, is found out afterwards."""

_FLAG = 54
"""Where the flags of a trace have *sampled*: the last bit of this digit."""

_array = msgspec.msgpack.Decoder(list[msgspec.Raw])
_record = msgspec.msgpack.Decoder(RequestRecord)


def sampledIn(batch: bytes) -> list[RequestRecord]:
    """
    :param batch: an array of records, as MessagePack.
    """
    if not batch or _SAMPLED.search(batch) is None:
        return []
    found = [_record.decode(raw) for raw in _array.decode(batch) if _SAMPLED.search(raw) is not None]
    return [record for record in found if isSampled(record.trace)]


def isSampled(trace: bytes) -> bool:
    """Whether a trace is to be exported."""
    return len(trace) > _FLAG and trace[_FLAG] in b"13"
