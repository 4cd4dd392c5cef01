"""docs/reference.md says what the published schemas say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.configfile import parseConfig
from revproxy.config.manifest import parseManifest
from revproxy.config.schema import publishedSchema
from revproxy.dataplane.http.fieldnames import FORWARDING, FORWARDING_PREFIXES
from revproxy.durations import durationText

REFERENCE = Path(__file__).parent.parent.parent / "docs" / "reference.md"

TYPES = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true, false", "object": "mapping",
         "array": "list", "null": "null"}

UNITS = {"#/$defs/duration": "duration", "#/$defs/share": "share", "#/$defs/optionalShare": "share or null"}


def rows(schema: Any, prefix: str = "") -> Iterator[str]:
    """One row of a table for each key below a schema of a mapping."""
    required = schema.get("required", ())
    for key, inner in schema.get("properties", {}).items():
        path = f"{prefix}{key}"
        yield f"| `{path}` | {_type(inner)} | {_default(key, inner, required)} | {inner['description']} |"
        yield from rows(inner, f"{path}.")
        if "items" in inner:
            yield from rows(inner["items"], f"{path}[].")
        if isinstance(inner.get("additionalProperties"), dict):
            yield from rows(inner["additionalProperties"], f"{path}.NAME.")


def _type(schema: Any) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "$ref" in schema:
        return UNITS[schema["$ref"]] + _bounds(schema)
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    text = " or ".join(TYPES[kind] for kind in kinds)
    return text + _bounds(schema)


def _bounds(schema: Any) -> str:
    low, high = schema.get("minimum", schema.get("exclusiveMinimum")), schema.get("maximum")
    if low is None:
        return ""
    above = "> " if "exclusiveMinimum" in schema else ""
    least = _quantity(low, schema)
    if high is None or high >= 2**53 - 1:
        return f", {above or '≥ '}{least}"
    return f", {above}{least}…{_quantity(high, schema)}"


def _quantity(value: Any, schema: Any) -> str:
    unit = UNITS.get(schema.get("$ref"), "")
    if unit == "duration" and value:
        return durationText(value)
    return f"{value * 100:g}%" if unit.startswith("share") and value else str(value)


def _default(key: str, schema: Any, required: Any) -> str:
    if key in required:
        return "**required**"
    if "default" not in schema:
        return "–"
    value = schema["default"]
    if schema.get("$ref") and isinstance(value, (int, float)):
        return f"`{_quantity(value, schema)}`"
    return f"`{value}`" if isinstance(value, str) and value not in ("", "-") else f"`{json.dumps(value)}`"


class ReferenceTests(SynchronousTestCase):
    """The page against the code."""

    def test_everyKey(self) -> None:
        """Each key has its row, with its type, default and description; and no row is about a key there is not."""
        lines = REFERENCE.read_text("utf-8").splitlines()
        for name, prefix in (("revproxy", ""), ("plugin", "")):
            for row in rows(publishedSchema(name), prefix):
                self.assertIn(row, lines)
        known = {row for name in ("revproxy", "plugin") for row in rows(publishedSchema(name))}
        self.assertEqual([line for line in lines if line.startswith("| `") and line not in known
                          and not line.startswith("| `revproxy ")], [])

    def test_examples(self) -> None:
        """Its examples are sound."""
        base = Path(self.mktemp()).absolute()
        for folder in ("plugins", "site"):
            (base / folder).mkdir(parents=True)
        (base / "ca.pem").write_text("")
        text = REFERENCE.read_text("utf-8")
        yaml, plugin = _blocks(text, "yaml"), _blocks(text, "json")
        self.assertEqual((len(yaml), len(plugin)), (2, 1))
        for block in yaml:
            parseConfig(block, "reference.md", base)
        for block in plugin:
            parseManifest(block.encode(), "reference.md")


def _blocks(text: str, language: str) -> list[str]:
    return [block.partition("```")[0] for block in text.split(f"```{language}\n")[1:]]


class FieldsOfStrangersTests(SynchronousTestCase):
    """The published list of fields that strangers cannot send."""

    def test_published(self) -> None:
        """It is the one in force."""
        text = REFERENCE.read_text("utf-8")
        section = text[text.index("### Fields that strangers cannot send") : text.index("`Proxy` is dropped of")]
        named = {name.lower().encode() for name in re.findall("`([A-Za-z0-9-]+)`", section)}
        self.assertEqual(named, FORWARDING | set(FORWARDING_PREFIXES))
