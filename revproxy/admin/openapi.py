"""
The description of the API, as OpenAPI 3.1 has it: made from the table that routes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from revproxy import __version__
from revproxy.admin.operation import Operation, Parameter, Schema
from revproxy.admin.reply import JSON
from revproxy.admin.router import PREFIX
from revproxy.admin.shapes import TEXT

_PROBLEM: Schema = {
    "type": "object",
    "description": "Why it was not done (RFC 9457).",
    "properties": {
        "title": TEXT,
        "status": {"type": "integer"},
        "detail": {**TEXT, "description": "What happened, where, and what to do."},
        "problems": {"type": "array", "description": "Each with where it is, and what is wrong."},
    },
    "required": ["title", "status", "detail"],
}

_ALWAYS = {
    400: "The request is wrong; `problems` says where, and why.",
    401: "Nobody knows who asks.",
    403: "Who asks may not; or a page of another site asks.",
    406: "What is asked for is not to be had in that form.",
    421: "The name in Host is none that is answered to.",
    429: "Too many attempts from there have failed.",
    431: "The head is longer than it may be.",
    500: "A mistake of the edge; its log says more.",
    503: "Too many are connected.",
}

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")

_OF_PATHS = {404: "There is nothing of that name."}

_OF_BODIES = {413: "The body is too long.", 415: "The body is no JSON."}


def describe(operations: Sequence[Operation]) -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        place = f"{PREFIX}{operation.path.strip('/')}"
        paths.setdefault(place, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "revproxy",
            "version": __version__,
            "description": "All that can be asked of a running edge, and done to it.",
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in sorted({_tag(operation) for operation in operations})],
        "paths": paths,
        "components": {
            "schemas": {"Problem": _PROBLEM},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "revproxy token new NAME --role ROLE"},
                "session": {
                    "type": "apiKey", "in": "cookie", "name": "__Host-revproxy",
                    "description": "For browsers. By TLS this is its name; else revproxy-PORT. Changes also need the "
                    "header X-Revproxy: 1.",
                },
            },
        },
    }  # fmt: skip


def published(schema: Any) -> Any:
    """
    A schema as others understand it: what ours says of durations beside JSON Schema (``x-unit``) becomes a pattern. It
    takes less than the edge does, and nothing that the edge would refuse.
    """
    if isinstance(schema, list):
        return [published(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    if schema.get("x-unit") == "duration" and "string" in schema.get("type", ()):
        return _duration(schema)
    return {key: published(value) for key, value in schema.items()}


def _duration(schema: Schema) -> dict[str, Any]:
    least = schema.get("minimum", schema.get("exclusiveMinimum", 0))
    most = schema.get("maximum", schema.get("exclusiveMaximum", 1e9))
    ways = []
    for unit, seconds in _UNITS.items():
        digits = next((count for count in (3, 2, 1) if (10**count - 1) * seconds < most), 0)
        if digits and seconds > least * (1 if "exclusiveMinimum" in schema else 0.999):
            ways.append(f"[1-9][0-9]{{0,{digits - 1}}}{unit}")
    bounds = {key: schema[key] for key in _BOUNDS if key in schema}
    rest = {key: value for key, value in schema.items() if key in ("description", "default", "title")}
    return {**rest, "anyOf": [{"type": "number", **bounds}, {"type": "string", "pattern": f"^({'|'.join(ways)})$"}]}


def _operation(operation: Operation) -> dict[str, Any]:
    role = "Anybody may." if operation.role is None else f"Takes the role {operation.role}."
    described: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [_tag(operation)],
        "summary": operation.summary,
        "description": " ".join(filter(None, (operation.description, role))),
        "parameters": [_parameter(each) for each in operation.parameters],
        "responses": _responses(operation),
        "security": [] if operation.role is None else [{"token": []}, {"session": []}],
    }
    if operation.streams:
        described["parameters"].append({
            "name": "Last-Event-ID", "in": "header", "schema": {"type": "string", "maxLength": 256},
            "description": "The id of the last event that was heard: it goes on from there.",
        })  # fmt: skip
    if operation.body is not None:
        described["requestBody"] = {
            "required": bool(operation.body.get("required") or operation.body.get("minProperties")),
            "content": {JSON: {"schema": published(operation.body)}},
        }
    return described


def _tag(operation: Operation) -> str:
    return operation.path.strip("/").partition("/")[0]


def _parameter(parameter: Parameter) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.description,
        "required": parameter.required or parameter.place == "path",
        "schema": published(parameter.schema),
    }
    if parameter.schema.get("type") == "array":
        described |= {"style": "form", "explode": True}
    return described


def _responses(operation: Operation) -> Mapping[str, Any]:
    kind = "text/event-stream" if operation.streams else JSON
    done = {"description": "Done.", "content": {kind: {"schema": TEXT if operation.streams else operation.answer}}}
    responses: dict[str, Any] = {}
    for status in operation.done:
        responses[str(status)] = done
    ofBodies = _OF_BODIES if operation.body is not None else {}
    problems = {**_ALWAYS, **(_OF_PATHS if "{" in operation.path else {}), **ofBodies, **operation.problems}
    for status, text in sorted(problems.items()):
        if status < 400:
            responses[str(status)] = {**done, "description": text}
        else:
            content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
            responses[str(status)] = {"description": text, "content": content}
    return responses


__all__ = ["describe", "published"]
