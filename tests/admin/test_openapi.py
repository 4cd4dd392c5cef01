"""The description of the API: a sound OpenAPI document, of all that there is."""

from __future__ import annotations

import re
from typing import Any

from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from revproxy.admin.openapi import describe, published
from revproxy.admin.operation import BODY_LIMIT
from revproxy.admin.role import Role
from revproxy.config.schema import checkAgainst
from revproxy.durations import DURATION
from tests.admin.benches import AdminCase


class DescriptionTests(AdminCase):
    """Of an edge's whole table."""

    def test_sound(self) -> None:
        """It is what OpenAPI 3.1 says that it is to be."""
        validate(describe(self.admin.router.operations))

    def test_served(self) -> None:
        """It is served to whoever has a token, and has each operation once."""
        self.assertEqual(self.ask("GET", "/openapi.json").status, 401)
        _, token = self.token(Role.READ)
        document = self.ask("GET", "/openapi.json", token=token).json
        names = [way["operationId"] for place in document["paths"].values() for way in place.values()]
        self.assertEqual(sorted(names), sorted(each.name for each in self.admin.router.operations))

    def test_schemas(self) -> None:
        """Every schema is one, and bounds what it takes: lists and texts that are sent have ends."""
        for operation in self.admin.router.operations:
            Draft202012Validator.check_schema(operation.answer)
            body = operation.body if operation.bodyLimit == BODY_LIMIT else None
            for schema in (body, *(each.schema for each in operation.parameters)):
                if schema is not None:
                    Draft202012Validator.check_schema(schema)
                    self.assertEqual(list(self.unbounded(schema, operation.name)), [])

    def unbounded(self, schema: Any, where: str) -> Any:
        if not isinstance(schema, dict):
            return
        kinds = schema.get("type", ())
        if ("string" in kinds or kinds == "string") and not schema.keys() & {"maxLength", "enum", "pattern", "const"}:
            yield f"{where}: a text without maxLength"
        if kinds == "array" and "maxItems" not in schema:
            yield f"{where}: a list without maxItems"
        for name, inner in schema.get("properties", {}).items():
            yield from self.unbounded(inner, f"{where}.{name}")
        for key in ("items", "additionalProperties"):
            yield from self.unbounded(schema.get(key), f"{where}.{key}")

    def test_paths(self) -> None:
        """Every parameter of a path is described, and no other."""
        for operation in self.admin.router.operations:
            said = {each.name for each in operation.parameters if each.place == "path"}
            self.assertEqual(set(re.findall(r"\{(\w+)\}", operation.path)), said, operation.name)
            self.assertTrue(operation.summary.endswith("."), operation.name)

    def test_durations(self) -> None:
        """What is published of a duration is understood by everybody, and taken by the edge."""
        def refuse(path: Any, message: str) -> Any:
            raise AssertionError(message)

        shown = published({**DURATION, "minimum": 60, "maximum": 90 * 86400, "default": "7d"})
        self.assertEqual(shown["default"], "7d")
        validator = Draft202012Validator(shown)
        for text in ("1m", "999m", "12h", "9d", 60, 7776000):
            self.assertTrue(validator.is_valid(text), text)
            self.assertEqual(checkAgainst({**DURATION, "minimum": 60, "maximum": 90 * 86400}, text, refuse), [])
        for text in ("1s", "0m", "100d", "1w", "", 59, 7776001, None):
            self.assertFalse(validator.is_valid(text), text)
