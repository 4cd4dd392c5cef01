"""
Recordings: requests that are taken down with what each plugin did in them, to be replayed.
"""

from __future__ import annotations

from typing import Any

from revproxy.admin.operation import Call, Operation, Parameter
from revproxy.admin.role import Role
from revproxy.admin.shapes import COUNT, FLAG, NUMBER, REASON, TEXT, TIME, fields, items, optional, record
from revproxy.control.control import Control
from revproxy.control.recordings import (
    MOST_BYTES,
    MOST_REQUESTS,
    MOST_SECONDS,
    USUAL_BYTES,
    USUAL_REQUESTS,
    Recordings,
    Wanted,
)
from revproxy.durations import DURATION, SHARE, parseDuration, parseShare

MOST_BODY = 65536
"""Bytes of each body that are kept at most."""

MOST_READ = 4 << 20
"""Bytes of a recording in one answer, but for a line that is longer."""

_NAMES = {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 256}, "maxItems": 100}

RECORDING = record(
    name=TEXT,
    path={**TEXT, "description": "Where it is on the edge's machine."},
    state={"enum": ["recording", "ending", "ended", "cut"],
           "description": "cut: it was broken off; what is in it is good."},
    begun=TIME,
    until=optional(TIME),
    ended=optional(TIME),
    why=optional({**TEXT, "description": "Why it has ended."}),
    routes={"type": "array", "items": TEXT, "description": "Whose requests; empty: those of all."},
    share=NUMBER,
    requests=optional(COUNT),
    dropped=optional({**COUNT, "description": "Requests for which there was no room, or no time."}),
    bytes=COUNT,
    most_requests=optional(COUNT),
    most_bytes=optional(COUNT),
    redact={"type": "array", "items": TEXT},
    keep={"type": "array", "items": TEXT},
    hides_clients=FLAG,
)  # fmt: skip

_BODY = fields(
    "for",
    routes={**_NAMES, "description": "Whose requests; left out: those of all."},
    share={**SHARE, "exclusiveMinimum": 0, "default": "100%", "description": "Of their requests."},
    name={"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,63}$", "description": "Left out: one is made up."},
    requests={"type": "integer", "minimum": 1, "maximum": MOST_REQUESTS, "default": USUAL_REQUESTS},
    bytes={"type": "integer", "minimum": 65536, "maximum": MOST_BYTES, "default": USUAL_BYTES},
    body_bytes={"type": "integer", "minimum": 0, "maximum": MOST_BODY, "default": MOST_BODY,
                "description": "Of each body that are kept."},
    redact={**_NAMES, "description": "Names of fields, cookies, parameters and members whose values are taken out, "
                                     "besides those that say that they are secrets."},
    keep={**_NAMES, "description": "Those that are not taken out though they say so; takes the role configure."},
    hides_clients={"type": "boolean", "default": False, "description": "Whether addresses of clients are made up."},
    reason=REASON,
    **{"for": {**DURATION, "exclusiveMinimum": 0, "maximum": MOST_SECONDS, "description": "How long, at most."}},
)  # fmt: skip

_NAME = Parameter(
    "name", "The recording's name.", {"type": "string", "minLength": 1, "maxLength": 64}, "path", required=True
)

_OFFSET = Parameter("offset", "Where to begin: `next` of the answer before.", {
    "type": "integer", "minimum": 0, "maximum": 1 << 40, "default": 0})  # fmt: skip

_READ = Parameter("bytes", "How much, about.", {
    "type": "integer", "minimum": 1, "maximum": MOST_READ, "default": 1 << 20})  # fmt: skip


class _Recordings:
    """The handlers."""

    def __init__(self, recordings: Recordings) -> None:
        self._recordings = recordings

    async def all(self, call: Call) -> Any:
        return {"items": await self._recordings.all()}

    async def begin(self, call: Call) -> Any:
        body = call.body
        wanted = Wanted(
            parseDuration(body["for"]),
            parseShare(body.get("share", "100%")),
            tuple(body.get("routes", ())),
            body.get("name", ""),
            body.get("requests", USUAL_REQUESTS),
            body.get("bytes", USUAL_BYTES),
            body.get("body_bytes", MOST_BODY),
            tuple(body.get("redact", ())),
            tuple(body.get("keep", ())),
            body.get("hides_clients", False),
        )
        return await self._recordings.begin(call.actor, wanted)

    async def stop(self, call: Call) -> Any:
        return await self._recordings.stop(call.values["name"])

    async def delete(self, call: Call) -> Any:
        await self._recordings.delete(call.values["name"])
        return {"text": [f"{call.values['name']}: deleted"]}

    async def content(self, call: Call) -> Any:
        values = call.values
        lines, following = await self._recordings.content(values["name"], values["offset"], values["bytes"])
        return {"items": lines, "next": following}


def recordingOperations(control: Control) -> tuple[Operation, ...]:
    """All about recordings."""
    handlers = _Recordings(control.recordings)
    notThere = {404: "There is no such recording."}
    return (
        Operation("GET", "/recordings", Role.READ, "listRecordings", "The recordings that there are.", handlers.all,
                  answer=items(RECORDING), description="The latest first; without what is in them."),
        Operation("POST", "/recordings", Role.OPERATE, "record", "Take requests down, to replay them later.",
                  handlers.begin, (), _BODY, RECORDING,
                  problems={409: "Another one goes on, or it cannot be begun; the detail says why."},
                  description="There is one at a time. What lets in is taken out before anything is written."),
        Operation("POST", "/recordings/{name}/stop", Role.OPERATE, "stopRecording", "End a recording before its time.",
                  handlers.stop, (_NAME,), fields(reason=REASON), RECORDING,
                  problems={**notThere, 409: "It is over already."}),
        Operation("DELETE", "/recordings/{name}", Role.OPERATE, "deleteRecording", "Remove a recording.",
                  handlers.delete, (_NAME,), answer=record(text={"type": "array", "items": TEXT}),
                  problems={**notThere, 409: "It goes on, or its file cannot be removed; the detail says why."}),
        Operation("GET", "/recordings/{name}/content", Role.OBSERVE, "readRecording", "What is in a recording.",
                  handlers.content, (_NAME, _OFFSET, _READ),
                  answer=items({**TEXT, "description": "A line of the file."}, next=optional(COUNT)),
                  description="Line by line, as the file has them; ask with `offset` of what `next` was for more.",
                  problems={**notThere, 409: "Its file cannot be read; the detail says why."}),
    )  # fmt: skip


__all__ = ["RECORDING", "recordingOperations"]
