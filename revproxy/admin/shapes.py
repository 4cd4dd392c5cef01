"""
Pieces of schemas that several operations have.
"""

from __future__ import annotations

from typing import Any

from revproxy.admin.operation import Parameter, Schema

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
COUNT: Schema = {"type": "integer", "minimum": 0}
FLAG: Schema = {"type": "boolean"}
TIME: Schema = {"type": "number", "description": "Seconds since the epoch."}


def record(described: str = "", /, **members: Schema) -> dict[str, Any]:
    """An object with these members, all of which are there."""
    said = {"description": described} if described else {}
    return {**said, "type": "object", "properties": members, "required": list(members)}


def items(schema: Schema, **more: Schema) -> dict[str, Any]:
    """A list that may be long, and what else comes with it."""
    return record(items={"type": "array", "items": schema}, **more)


def optional(schema: Schema) -> dict[str, Any]:
    """Or null."""
    kind = schema.get("type")
    return {**schema, "type": [kind, "null"]} if isinstance(kind, str) else {"anyOf": [schema, {"type": "null"}]}


def fields(*required: str, **members: Schema) -> dict[str, Any]:
    """An object that is sent: nothing else may be in it."""
    schema: dict[str, Any] = {"type": "object", "properties": members, "additionalProperties": False}
    return {**schema, "required": list(required)} if required else schema


REASON: Schema = {
    "type": "string",
    "maxLength": 500,
    "description": "Why, for the history and the audit records.",
}

PLUGIN = Parameter(
    "name", "The plugin's name.", {"type": "string", "minLength": 1, "maxLength": 256}, "path", required=True
)

VERSION: Schema = {
    "type": ["string", "null"],
    "maxLength": 256,
    "description": "A version, or the beginning of a digest.",
}

__all__ = [
    "COUNT", "FLAG", "NUMBER", "PLUGIN", "REASON", "TEXT", "TIME", "VERSION", "fields", "items", "optional", "record",
]
