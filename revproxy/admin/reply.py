"""
What is answered, as it is sent: JSON is written in slices, so that a long answer holds nobody up.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import msgspec

from revproxy.admin.operation import Answer
from revproxy.admin.problem import Problem
from revproxy.config.problems import writable

SLICE = 0.002
"""Seconds that writing JSON may hold the event loop at a time."""

JSON = "application/json"

Turn = Callable[[], Awaitable[Any]]
"""Lets others have their turn."""

ALWAYS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""What every answer of the API has."""


@dataclass(frozen=True, slots=True)
class Reply:
    """:ivar pieces: of the body, in order."""

    status: int
    headers: Mapping[str, str]
    pieces: list[bytes] = field(default_factory=list)


def problemReply(problem: Problem) -> Reply:
    """A problem, as it is answered."""
    headers = {**ALWAYS, "Content-Type": "application/problem+json", **problem.headers}
    return Reply(problem.status, headers, [encoded(problem.asDict())])


def encoded(value: Any) -> bytes:
    """
    JSON of a value. Halves of surrogate pairs, which names of files have that are not UTF-8, are escaped.

    :raises TypeError: JSON cannot say it.
    """
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(_writable(msgspec.to_builtins(value)))


def _writable(value: Any) -> Any:
    if isinstance(value, str):
        return writable(value)
    if isinstance(value, Mapping):
        return {_writable(key): _writable(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_writable(inner) for inner in value]
    return value


async def jsonReply(answer: Answer, turn: Turn) -> Reply:
    """
    What a handler has returned.

    :raises TypeError: JSON cannot say it.
    """
    headers = {**ALWAYS, "Content-Type": JSON, **answer.headers}
    if answer.etag is not None:
        headers["ETag"] = f'"{answer.etag}"'
    pieces: list[bytes] = []
    until = perf_counter() + SLICE
    for piece in written(answer.value):
        pieces.append(piece)
        if perf_counter() > until:
            await turn()
            until = perf_counter() + SLICE
    return Reply(answer.status, headers, pieces)


def written(value: Any, depth: int = 3) -> Iterator[bytes]:
    """
    JSON of a value, in pieces: objects and lists of the outermost levels are written member by member.

    :param depth: how many levels.
    """
    if depth and isinstance(value, Mapping) and value:
        before = b"{"
        for key, member in value.items():
            yield before + encoded(str(key)) + b":"
            yield from written(member, depth - 1)
            before = b","
        yield b"}"
    elif depth and isinstance(value, (list, tuple)) and len(value) > 1:
        before = b"["
        for member in value:
            yield before
            yield from written(member, 1 if depth > 1 and isinstance(member, list) else 0)
            before = b","
        yield b"]"
    else:
        yield encoded(value)


__all__ = ["ALWAYS", "JSON", "Reply", "encoded", "jsonReply", "problemReply", "written"]
