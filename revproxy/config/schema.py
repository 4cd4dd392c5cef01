"""JSON Schema: what it finds wrong, said in words, at its line and column.

The published schemas avoid ``anyOf`` and ``oneOf``: keywords apply only to the type they are about, so every error
stands at the value that is wrong and names one reason.

One keyword is ours: ``x-unit``, ``duration`` or ``share``, in a published schema (by ``$ref``) or a plugin's. Text is
then read by `revproxy.durations`, and the bounds beside it hold for what was read. Editors see the pattern.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError, best_match
from jsonschema.validators import extend

from revproxy.config.document import Document
from revproxy.config.problems import Problem, Step, quoted, suggestion
from revproxy.durations import durationText, parseDuration, parseShare

_TYPES = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}


_UNITS: Mapping[str, Callable[[object], float]] = {"duration": parseDuration, "share": parseShare}
_BY_REFERENCE = {"#/$defs/duration": "duration", "#/$defs/share": "share", "#/$defs/optionalShare": "share"}


def _unitOf(schema: Any) -> str:
    """Whether a schema is about durations or shares; empty if about neither."""
    if not isinstance(schema, Mapping):
        return ""
    unit = schema.get("x-unit", _BY_REFERENCE.get(str(schema.get("$ref"))))
    return unit if isinstance(unit, str) and unit in _UNITS else ""


def _read(value: Any, schema: Any) -> Any:
    """The number that text stands for; a value of another kind as it is.

    :raises ValueError: it is no duration, or no share.
    """
    unit = _unitOf(schema)
    return _UNITS[unit](value) if unit and isinstance(value, str) else value


def _bound(keyword: str) -> Callable[..., Iterator[ValidationError]]:
    plain: Any = Draft202012Validator.VALIDATORS[keyword]

    def check(validator: Any, bound: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
        try:
            number = _read(value, schema)
        except ValueError:  # the pattern says so
            return
        yield from plain(validator, bound, number, schema) or ()

    return check


def _pattern(validator: Any, pattern: str, value: Any, schema: Any) -> Iterator[ValidationError]:
    if not _unitOf(schema):
        plain: Any = Draft202012Validator.VALIDATORS["pattern"]
        yield from plain(validator, pattern, value, schema) or ()
        return
    try:
        _read(value, schema)
    except ValueError as error:
        yield ValidationError(str(error))


_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")

_Validator: Any = extend(Draft202012Validator, {"pattern": _pattern, **{word: _bound(word) for word in _BOUNDS}})


@cache
def publishedSchema(name: str) -> Mapping[str, Any]:
    """The schema that ships as ``schemas/NAME.schema.json``."""
    text = (files("revproxy.config") / "schemas" / f"{name}.schema.json").read_text("utf-8")
    schema: Mapping[str, Any] = json.loads(text)
    return schema


@cache
def _publishedValidator(name: str) -> Any:
    return _Validator(publishedSchema(name))


_REFERENCE: Mapping[str, Any] = {
    "title": "Reference",
    "description": "A value that stands elsewhere: {$env: NAME} or {$file: PATH}.",
    "type": "object",
    "properties": {"$env": {"type": "string"}, "$file": {"type": "string"}},
    "additionalProperties": False,
    "minProperties": 1,
    "maxProperties": 1,
}
_IS_REFERENCE: Mapping[str, Any] = {"type": "object", "anyOf": [{"required": ["$env"]}, {"required": ["$file"]}]}


def editorSchema(name: str) -> Mapping[str, Any]:
    """A published schema for an editor, which sees references where the edge sees their values."""
    published = publishedSchema(name)
    if name != "revproxy":
        return published
    return {**_withReferences(published), "$defs": {**published["$defs"], "reference": _REFERENCE}}



def _withReferences(schema: Any) -> Any:
    """The same, in which a reference will do wherever text does."""
    if isinstance(schema, list) or not isinstance(schema, Mapping):
        return schema
    inner = {
        key: {name: _withReferences(each) for name, each in value.items()} if key == "properties"
        else _withReferences(value) if key in ("items", "additionalProperties") else value
        for key, value in schema.items()
    }
    kinds = schema.get("type", ())
    isText = kinds == "string" or "string" in kinds or "enum" in schema or _unitOf(schema)
    if not isText:
        return inner
    shown = {key: inner.pop(key) for key in ("title", "description", "default") if key in inner}
    return {**shown, "if": _IS_REFERENCE, "then": {"$ref": "#/$defs/reference"}, "else": inner}


def checkPublished(document: Document, name: str, value: Any = None) -> list[Problem]:
    """Everything in ``document`` that the published schema ``name`` refuses; empty when it is sound.

    :param value: the document's, without references; left out: as it was parsed.
    """
    found = document.value if value is None else value
    return list(_problems(_publishedValidator(name), found, document.problem))


def checkAgainst(
    schema: Mapping[str, Any],
    value: Any,
    problemAt: Callable[[Sequence[Step], str], Problem],
    most: int | None = None,
) -> list[Problem]:
    """Everything in ``value`` that somebody's schema refuses.

    :param problemAt: makes the `Problem` for a path in ``value``.
    :param most: so many of them at most; to find all can take long where somebody means it to.
    """
    return list(islice(_problems(_Validator(schema), value, problemAt), most))


def checkSchema(document: Document, path: Sequence[Step], schema: Any) -> list[Problem]:
    """Whether ``schema``, found at ``path``, is a JSON Schema (draft 2020-12) that refers to nothing elsewhere."""
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        worst = best_match(error.context) if error.context else error
        inner = [*path, *worst.absolute_path]
        return [document.problem(inner, f"not a JSON Schema: {_reason(worst)}")]
    return [
        document.problem([*path, *where], f"refers to {quoted(target)}; only references within the schema (#…) work")
        for where, target in _references(schema, ())
        if not target.startswith("#")
    ]


def _references(schema: Any, path: tuple[Step, ...]) -> Iterator[tuple[tuple[Step, ...], str]]:
    if isinstance(schema, Mapping):
        for key, value in schema.items():
            if key in ("$ref", "$dynamicRef") and isinstance(value, str):
                yield (*path, key), value
            else:
                yield from _references(value, (*path, key))
    elif isinstance(schema, list):
        for index, value in enumerate(schema):
            yield from _references(value, (*path, index))


def _problems(
    validator: Any, value: Any, problemAt: Callable[[Sequence[Step], str], Problem]
) -> Iterator[Problem]:
    try:
        for error in validator.iter_errors(value):
            yield from _explain(error, problemAt)
    except Exception as error:  # a plugin's schema may refer to what is not there, or hold a pattern re cannot compile
        yield problemAt((), f"cannot be checked against its schema: {type(error).__name__}: {error}")


def _explain(error: ValidationError, problemAt: Callable[[Sequence[Step], str], Problem]) -> Iterator[Problem]:
    path: list[Step] = list(error.absolute_path)
    if error.validator == "additionalProperties" and error.validator_value is False:
        known = list(error.schema.get("properties", ()))
        patterns = error.schema.get("patternProperties", {})
        for key in error.instance:
            if key not in known and not any(_matches(pattern, key) for pattern in patterns):
                yield problemAt([*path, key], f"unknown key{suggestion(key, known)}")
    elif error.validator in ("anyOf", "oneOf") and error.context:
        yield _nearest(error, problemAt)
    else:
        if "propertyNames" in list(error.absolute_schema_path)[-2:-1]:
            path.append(error.instance)  # the error is about a key: it stands there, not at the mapping
        yield problemAt(path, _reason(error))


def _nearest(error: ValidationError, problemAt: Callable[[Sequence[Step], str], Problem]) -> Problem:
    """The problem with the alternative that was meant, which is the one that fits furthest; or with all of them."""
    furthest = max(error.context, key=lambda inner: len(inner.absolute_path))
    path: list[Step] = list(furthest.absolute_path)
    if len(path) > len(error.absolute_path):
        return problemAt(path, _reason(furthest))
    return problemAt(path, ", or ".join(dict.fromkeys(_reason(inner) for inner in error.context)))


_SECRET = re.compile(r"(?i)secret|passw|token|credential|(?:^|_)key$|users")
"""Values under such keys are not repeated in messages, which end in logs."""


class _Hidden:
    def __repr__(self) -> str:
        return "(hidden)"


def _matches(pattern: str, key: str) -> bool:
    return re.search(pattern, key) is not None


def _reason(error: ValidationError) -> str:
    keyword, wanted, value = error.validator, error.validator_value, error.instance
    if keyword != "required" and any(_SECRET.search(str(step)) for step in error.absolute_path):
        value = _Hidden()
    explain = _REASONS.get(str(keyword))
    own = error.schema.get("x-message") if isinstance(error.schema, Mapping) else None
    unit = _unitOf(error.schema)
    if own and keyword in ("pattern", "format", "minLength"):
        return f"{quoted(value)}: {own}"
    if own and unit and keyword == "type":
        return f"expected a {unit}, not {_kind(value)}; {own}"
    if unit and keyword in _BOUNDS:
        wanted = durationText(wanted) if unit == "duration" else f"{wanted * 100:g}%"
    if explain and keyword == "pattern" and isinstance(error.schema.get("description"), str):
        return f"{explain(wanted, value)}; {error.schema['description']}"
    if explain:
        return explain(wanted, value)
    return f"does not fulfil {keyword}" if isinstance(value, _Hidden) else str(error.message)


def _wrongType(wanted: Any, value: Any) -> str:
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    return f"expected {' or '.join(_TYPES.get(name, name) for name in names)}, not {_kind(value)}"


def _kind(value: Any) -> str:
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return f"the text {quoted(value)}" if isinstance(value, str) else quoted(value)


def _oneOf(wanted: Any, value: Any) -> str:
    return f"{quoted(value)} is not one of {', '.join(quoted(word) for word in wanted)}"


def _missing(wanted: Sequence[str], value: Mapping[str, Any]) -> str:
    # An error comes for each missing key, all with the same list; ConfigErrors drops the repetitions.
    names = [name for name in wanted if name not in value]
    return f"missing {', '.join(quoted(name) for name in names)}"


_REASONS: Mapping[str, Callable[[Any, Any], str]] = {
    "type": _wrongType,
    "enum": _oneOf,
    "const": lambda wanted, value: f"must be {quoted(wanted)}, not {quoted(value)}",
    "required": _missing,
    "minimum": lambda wanted, value: f"{quoted(value)} is less than the least allowed, {wanted}",
    "maximum": lambda wanted, value: f"{quoted(value)} is more than the most allowed, {wanted}",
    "exclusiveMinimum": lambda wanted, value: f"{quoted(value)} must be more than {wanted}",
    "exclusiveMaximum": lambda wanted, value: f"{quoted(value)} must be less than {wanted}",
    "minItems": lambda wanted, value: "must not be empty" if wanted == 1 else f"needs at least {wanted} items",
    "minLength": lambda wanted, value: "must not be empty" if wanted == 1 else f"needs at least {wanted} characters",
    "minProperties": lambda wanted, value: "must not be empty" if wanted == 1 else f"needs at least {wanted} keys",
    "pattern": lambda wanted, value: f"{quoted(value)} does not match the pattern {wanted}",
    "uniqueItems": lambda wanted, value: "has the same item twice",
}
