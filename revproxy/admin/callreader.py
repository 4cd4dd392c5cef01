"""
Reads a `Call` out of what was sent, by the schemas of the operation that it is for.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from revproxy.admin.operation import Call, Operation, Parameter, Schema
from revproxy.admin.problem import Problem
from revproxy.config import problems
from revproxy.config.schema import checkAgainst
from revproxy.control.actor import Actor
from revproxy.errors import printable

MOST = 5
"""Problems that are told of at a time."""

_INTEGER = re.compile(r"-?[0-9]{1,18}")
_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?([eE][-+]?[0-9]{1,3})?")


class CallReader:
    """
    That of one operation.

    :ivar operation: which.
    """

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        self._query = {each.name: each for each in operation.parameters if each.place == "query"}
        self._path = {each.name: each for each in operation.parameters if each.place == "path"}

    def read(
        self,
        actor: Actor,
        texts: Mapping[str, str],
        query: str,
        body: bytes,
        ifMatch: str | None = None,
        lastEventId: str | None = None,
        session: str = "",
        expiresAt: float | None = None,
    ) -> Call:
        """
        :param texts: what the path has.
        :param session: and so on: as in `Call`.
        :param query: as it was sent, without its question mark.
        :raises Problem: what was sent does not go with the operation (400); where, and why.
        """
        found: list[dict[str, str]] = []
        values: dict[str, Any] = {}
        given = self._given(query, found)
        for name, parameter in self._path.items():
            values[name] = _valueOf(parameter, [texts[name]], found)
        for name, parameter in self._query.items():
            values[name] = _valueOf(parameter, given.get(name, []), found)
        content = self._body(body, found)
        if found:
            told = "; ".join(f"{one['where']}: {one['message']}" for one in found[:MOST])
            raise Problem(400, told, {"problems": found[:MOST]})
        return Call(actor, values, content, ifMatch, lastEventId, session, expiresAt)

    def _given(self, query: str, found: list[dict[str, str]]) -> dict[str, list[str]]:
        """The texts of the query, by name."""
        given: dict[str, list[str]] = {}
        for pair in filter(None, query.split("&")):
            name, _, value = pair.partition("=")
            try:
                key, text = _plain(name), _plain(value)
            except UnicodeDecodeError:
                found.append(_wrong("query", "it is no UTF-8"))
                continue
            if key in self._query:
                given.setdefault(key, []).append(text)
            elif len(found) < MOST:
                hint = problems.suggestion(key[:64], self._query)
                found.append(_wrong(f"query parameter {printable(key, 64)}", f"there is no such parameter{hint}"))
        return given

    def _body(self, body: bytes, found: list[dict[str, str]]) -> Any:
        schema = self.operation.body
        if schema is None:
            if body:
                found.append(_wrong("body", f"{self.operation.name} takes none"))
            return None
        try:
            # Nothing is as good as an object with nothing in it: what must be there is in the schema.
            content = msgspec.json.decode(body) if body else {}
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            found.append(_wrong("body", f"it is no JSON: {printable(str(error), 200)}"))
            return None
        found.extend(_refused("body", schema, content))
        return _whole(schema, content)


def _whole(schema: Schema, value: Any) -> Any:
    """The same, with 1 in place of 1.0 where a whole number is wanted: to JSON Schema both are one."""
    if isinstance(value, float) and value.is_integer():
        kind = schema.get("type", ())
        return int(value) if "integer" in ((kind,) if isinstance(kind, str) else kind) else value
    if isinstance(value, dict) and "properties" in schema:
        inner = schema["properties"]
        return {name: _whole(inner.get(name, {}), each) for name, each in value.items()}
    if isinstance(value, list) and "items" in schema:
        return [_whole(schema["items"], each) for each in value]
    return value


def _plain(text: str) -> str:
    return unquote_to_bytes(text.replace("+", " ")).decode()


def _valueOf(parameter: Parameter, texts: Sequence[str], found: list[dict[str, str]]) -> Any:
    """The value of a parameter, for which there are these texts."""
    where = f"{parameter.place} parameter {parameter.name}"
    schema = parameter.schema
    isList = schema.get("type") == "array"
    if not texts:
        if parameter.required:
            found.append(_wrong(where, "it is missing"))
        return schema.get("default")
    if len(texts) > 1 and not isList:
        found.append(_wrong(where, "it is there more than once"))
        return None
    kind = schema.get("items", {}).get("type") if isList else schema.get("type")
    try:
        values = [_read(kind, text) for text in texts]
    except ValueError as error:
        found.append(_wrong(where, str(error)))
        return None
    value = values if isList else values[0]
    found.extend(_refused(where, schema, value))
    return value


def _read(kind: Any, text: str) -> Any:
    """:raises ValueError: the text is nothing of this kind."""
    if kind == "integer":
        if not _INTEGER.fullmatch(text):
            raise ValueError(f"{problems.quoted(text[:64])} is no whole number")
        return int(text)
    if kind == "number":
        number = float(text) if _NUMBER.fullmatch(text) else math.inf
        if not math.isfinite(number):
            raise ValueError(f"{problems.quoted(text[:64])} is no number")
        return number
    if kind == "boolean":
        if text not in ("true", "false"):
            raise ValueError(f"{problems.quoted(text[:64])} is neither true nor false")
        return text == "true"
    return text


def _refused(where: str, schema: Mapping[str, Any], value: Any) -> list[dict[str, str]]:
    """What the schema has against it."""

    def problemAt(path: Sequence[problems.Step], message: str) -> problems.Problem:
        return problems.Problem("", 0, 0, ".".join([where, *(printable(str(step), 64) for step in path)]), message)

    return [_wrong(one.path, one.message) for one in checkAgainst(schema, value, problemAt, MOST)]


def _wrong(where: str, message: str) -> dict[str, str]:
    return {"where": where, "message": printable(message, 500)}


__all__ = ["CallReader"]
