"""
Some requests as bytes: the records of one after the other, without anything around them.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from revproxy.requestrecord import RequestRecord

_BLOCK = 256
"""Requests from which on a block is full."""

_BLOCK_BYTES = 64 * 1024
"""Bytes from which on it is."""

_AT_ONCE = 512
"""Requests that are decoded in one go."""


class Block:
    """
    Some requests one after the other.

    :ivar first: the number of the first.
    :ivar heardAt: when the last of them was heard of, seconds since the epoch.
    :ivar data: their records, one after the other.
    """

    __slots__ = ("count", "data", "first", "heardAt")

    def __init__(self, first: int) -> None:
        self.first = first
        self.count = 0
        self.heardAt = 0.0
        self.data: bytes | bytearray = bytearray()

    @classmethod
    def of(cls, array: bytes, first: int) -> Block:
        """
        What workers tell of.

        :param array: of records, as MessagePack.
        """
        block = cls(first)
        block.count, block.data = _elements(array)
        return block

    def add(self, other: Block, now: float) -> None:
        """Those of the other follow."""
        self.data += other.data
        self.count += other.count
        self.heardAt = now

    @property
    def isFull(self) -> bool:
        """Whether what comes next goes to another."""
        return self.count >= _BLOCK or len(self.data) >= _BLOCK_BYTES

    def parts(self) -> Iterator[tuple[int, list[RequestRecord]]]:
        """The requests, with the number of the first of each part; the last part first."""
        encoded = b"\xdd" + self.count.to_bytes(4, "big") + self.data
        if self.count <= _AT_ONCE:
            yield self.first, _records.decode(encoded)
            return
        raw = _raws.decode(encoded)
        for start in reversed(range(0, self.count, _AT_ONCE)):
            yield self.first + start, [_record.decode(each) for each in raw[start : start + _AT_ONCE]]


_records = msgspec.msgpack.Decoder(list[RequestRecord])
_record = msgspec.msgpack.Decoder(RequestRecord)
_raws = msgspec.msgpack.Decoder(list[msgspec.Raw])



def _elements(array: bytes) -> tuple[int, bytes]:
    """How many are in an array, and what is in it without the bytes that say so."""
    kind = array[0]
    if kind & 0xF0 == 0x90:
        return kind & 0x0F, array[1:]
    end = 3 if kind == 0xDC else 5
    return int.from_bytes(array[1:end], "big"), array[end:]
