"""
Records for tests.
"""

from __future__ import annotations

from typing import Any

import msgspec

from revproxy.requestrecord import RequestRecord


def record(id: str = "1", **more: Any) -> RequestRecord:
    """
    A request that went well, but for what is said.
    """
    known: dict[str, Any] = {
        "startedAt": 1000.0,
        "duration": 0.01,
        "peer": "192.0.2.7",
        "method": b"GET",
        "target": b"/",
        "host": b"shop",
        "version": "1.1",
        "scheme": "http",
        "status": 200,
        "route": "shop",
        "generation": 1,
    }
    return RequestRecord(id=id, **{**known, **more})


def batch(*records: RequestRecord) -> bytes:
    """
    As workers tell of them.
    """
    return msgspec.msgpack.encode(list(records))


def numbered(first: int, last: int, **more: Any) -> bytes:
    """
    Requests whose ids are numbers, both included.
    """
    return batch(*(record(str(number), **more) for number in range(first, last + 1)))
