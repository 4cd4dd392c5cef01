"""
One thing that the API can be asked. The table of all of them routes requests, says who may ask, and is the OpenAPI
document: what is not in it does not exist, and what is in it has a role.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from revproxy.admin.role import Role
from revproxy.control.actor import Actor

Schema = Mapping[str, Any]
"""
JSON Schema, draft 2020-12, as OpenAPI 3.1 has it; with ``x-unit`` as in the schema of revproxy.yaml: ``duration`` takes
``30s``, too. Bound every list and text: what they are compared with runs in the event loop.
"""

BODY_LIMIT = 65536
"""Bytes of a request's body, where an operation does not say otherwise."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """
    A value in the path, or in the query.

    :ivar schema: of type ``string``, ``integer``, ``number`` or ``boolean``; an array of these for one that may be
        repeated. ``default`` is what the handler is given where the query does not have it; None without one.
    """

    name: str
    description: str
    schema: Schema = field(default_factory=lambda: {"type": "string", "maxLength": 256})
    place: Literal["path", "query"] = "query"
    required: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """
    One request for an operation, checked against its schemas.

    :ivar values: those of path and query together, by name; each parameter is there.
    :ivar body: the JSON body; None without one.
    :ivar ifMatch: the entity tag that ``If-Match`` has; None without one.
    :ivar lastEventId: what ``Last-Event-ID`` has, for streams.
    :ivar session: the key of the session by which it is made; empty without one.
    :ivar expiresAt: when whoever asks has to show something else; None: never.
    """

    actor: Actor
    values: Mapping[str, Any]
    body: Any = None
    ifMatch: str | None = None
    lastEventId: str | None = None
    session: str = ""
    expiresAt: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What a handler may return instead of plain JSON, to say more.

    :ivar etag: of what ``value`` describes, without quotes.
    :ivar session: what the cookie of a browser is to hold from now on; empty: it is to go; None: it stays as it is.
    """

    value: Any
    status: int = 200
    etag: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    session: str | None = None


Handler = Callable[[Call], Awaitable[Any]]
"""
Does it. Returns what JSON can say, or an `Answer`, or, for a stream, a `revproxy.admin.stream.Stream`.
Raises `Problem`; `revproxy.control.commands.CommandError` becomes one.
"""


@dataclass(frozen=True, slots=True)
class Operation:
    """
    :ivar path: below ``/api/v1``, with ``{name}`` for parameters of the path.
    :ivar role: the least that may ask; None: anybody, and only the session has that.
    :ivar name: the ``operationId``.
    :ivar summary: one line.
    :ivar body: schema of the JSON body; None: it takes none.
    :ivar answer: schema of the JSON answer.
    :ivar streams: whether the answer is a stream of server-sent events.
    :ivar description: further sentences.
    :ivar problems: statuses of problems that are its own, each with when it is; those that all have come by themselves.
    :ivar isRescue: it waits for nobody, and is answered even where everybody else has to wait for a place.
    :ivar isChange: whether it changes anything; what does is audited. GET never does.
    :ivar bodyLimit: bytes of the body, at most.
    :ivar done: the statuses of answers that say that it is done.
    """

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    role: Role | None
    name: str
    summary: str
    handler: Handler
    parameters: tuple[Parameter, ...] = ()
    body: Schema | None = None
    answer: Schema = field(default_factory=dict)
    streams: bool = False
    description: str = ""
    problems: Mapping[int, str] = field(default_factory=dict)
    isRescue: bool = False
    isChange: bool = True
    bodyLimit: int = BODY_LIMIT
    done: tuple[int, ...] = (200,)
