"""What JSON Schema finds wrong, in words."""

from __future__ import annotations

from typing import Any

from jsonschema import Draft202012Validator
from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.document import parseYAML
from revproxy.config.schema import checkAgainst, checkSchema, editorSchema, publishedSchema
from revproxy.durations import DURATION, SHARE


def messages(schema: dict[str, Any], text: str) -> list[str]:
    """What ``schema`` says about YAML ``text``."""
    document = parseYAML(text, "f")
    return [str(problem) for problem in checkAgainst(schema, document.value, document.problem)]


class ReasonTests(SynchronousTestCase):
    """`checkAgainst`."""

    def test_words(self) -> None:
        """Each keyword has a sentence; those without one say what jsonschema says."""
        for schema, text, message in (
            ({"type": "integer"}, "x", 'expected a whole number, not the text "x"'),
            ({"type": ["string", "null"]}, "[]", "expected text or null, not a list"),
            ({"enum": ["a", 1]}, "b", '"b" is not one of "a", 1'),
            ({"const": 1}, "2", "must be 1, not 2"),
            ({"required": ["a", "b"]}, "{}", 'missing "a", "b"'),
            ({"minimum": 2}, "1", "1 is less than the least allowed, 2"),
            ({"maximum": 2}, "3", "3 is more than the most allowed, 2"),
            ({"exclusiveMaximum": 2}, "2", "2 must be less than 2"),
            ({"minItems": 2}, "[1]", "needs at least 2 items"),
            ({"minLength": 1}, "''", "must not be empty"),
            ({"minProperties": 2}, "{a: 1}", "needs at least 2 keys"),
            ({"pattern": "^b"}, "a", '"a" does not match the pattern ^b'),
            ({"pattern": "^b", "description": "A b."}, "a", '"a" does not match the pattern ^b; A b.'),
            ({"uniqueItems": True}, "[1, 1]", "has the same item twice"),
            ({"multipleOf": 2}, "3", "3 is not a multiple of 2"),
        ):
            self.assertEqual(messages(schema, text)[0], f"f:1:1: $: {message}")

    def test_units(self) -> None:
        """Text with a unit is read before its bounds are compared; each message shows what was written."""
        how = "write a number of seconds, or 500ms, 30s, 5m, 1h, 7d"
        wait = {**DURATION, "exclusiveMinimum": 0, "maximum": 604800}
        for schema, text, found in (
            (wait, "5m", []), (wait, "7d", []), (wait, "0.5", []),
            *((wait, f'"{text}"', [f'"{text}": {how}']) for text in ("30 s", "30sec", "-5s", "1e999s", "5M", "")),
            (wait, "'5s\n\n  '", [f'"5s\\n": {how}']),
            (wait, "8d", ['"8d" is more than the most allowed, 7d']), (wait, "0ms", ['"0ms" must be more than 0s']),
            (wait, "-1", ["-1 must be more than 0s"]), (wait, "[]", [f"expected a duration, not a list; {how}"]),
            (wait, "true", [f"expected a duration, not true; {how}"]),
            ({**SHARE, "maximum": 0.5}, "50%", []),
            ({**SHARE, "maximum": 0.5}, "51%", ['"51%" is more than the most allowed, 50%']),
            (SHARE, "0.5", ["expected a share, not 0.5; write a share as 5% or 0.5%, 100% at most"]),
            (SHARE, "101%", ['"101%": write a share as 5% or 0.5%, 100% at most']),
            ({"x-unit": "miles", "pattern": "^a", "minimum": 1}, "b", ['"b" does not match the pattern ^a']),
        ):
            self.assertEqual(messages(schema, text), [f"f:1:1: $: {message}" for message in found], text)

    def test_unknownKeys(self) -> None:
        """An unknown key stands at itself; patterns of keys are known keys too."""
        schema = {"properties": {"header": {}}, "patternProperties": {"^x-": {}}, "additionalProperties": False}
        self.assertEqual(messages(schema, "x-a: 1\nheadr: 2\n"),
                         ['f:2:1: $.headr: unknown key; did you mean "header"?'])

    def test_keyNames(self) -> None:
        """A key of the wrong form stands at itself."""
        self.assertEqual(messages({"propertyNames": {"pattern": "^a"}}, "a: 1\nb: 2\n"),
                         ['f:2:1: $.b: "b" does not match the pattern ^a'])

    def test_alternatives(self) -> None:
        """Of alternatives the reason of the nearest is given, where it is."""
        schema = {"anyOf": [{"type": "string"}, {"type": "object", "properties": {"a": {"type": "integer"}}}]}
        self.assertEqual(messages(schema, "a: x"), ['f:1:1: $.a: expected a whole number, not the text "x"'])
        self.assertEqual(messages(schema, "5"), ["f:1:1: $: expected text, not 5, or expected a mapping, not 5"])

    def test_secrets(self) -> None:
        """What stands under a key that sounds secret is not repeated."""
        schema = {"properties": {"password": {"type": "integer"}, "api_key": {"pattern": "^a"}, "token": {"format": "x",
                  "not": {}}}}
        found = "\n".join(messages(schema, "password: hunter2\napi_key: hunter2\ntoken: hunter2\n"))
        self.assertEqual(found.count("\n"), 2)
        self.assertNotIn("hunter2", found)

    def test_schemaThatFails(self) -> None:
        """A schema that cannot be applied is a problem, not an exception."""
        self.assertIn("cannot be checked against its schema", messages({"$ref": "#/$defs/none"}, "1")[0])


class PublishedUnitsTests(SynchronousTestCase):
    """Durations and shares in the published schemas."""

    def test_oneDefinition(self) -> None:
        """They are those that plugins may use."""
        defined = publishedSchema("revproxy")["$defs"]
        for name, unit in (("duration", DURATION), ("share", SHARE), ("optionalShare", SHARE)):
            given = {key: value for key, value in defined[name].items() if key not in ("title", "description")}
            self.assertEqual(given, {**unit, "type": given["type"]})


class EditorTests(SynchronousTestCase):
    """`editorSchema`."""

    def found(self, text: str) -> list[str]:
        """Where an editor underlines something."""
        validator = Draft202012Validator(editorSchema("revproxy"))
        return sorted({error.json_path for error in validator.iter_errors(parseYAML(text, "f").value)})

    def test_references(self) -> None:
        """A reference will do wherever text does, also in lists and choices; what is none is still wrong."""
        Draft202012Validator.check_schema(editorSchema("revproxy"))
        sound = """
            listeners: [{endpoint: {$env: A}, tls: {certificates: {$file: a}, minimum_version: {$env: A}},
              trusted_proxies: [{$env: A}, 10.0.0.0/8]}]
            upstreams: {a: {targets: [{$env: A}, {url: {$env: B}, weight: 2}, http://c], idle_timeout: {$env: A}}}
            routes: [{redirect: {$env: A}}, {redirect: {url: {$env: A}}, plugins: {p: {k: {$env: A}}}}]
            plugins: {config: {p: {a: [{$file: b}]}}, settle: 200ms, quarantine: {share: {$env: A}}}
            logging: {format: combined}"""
        self.assertEqual(self.found(sound), [])
        wrong = """
            listeners: [{endpoint: {$env: A, x: 1}, proxy_protocol: {$env: A}}]
            plugins: {settle: 5 m, quarantine: {failures: {$env: A}}}
            logging: {format: xml}
            timeouts: {idle: {a: 1}}"""
        self.assertEqual(self.found(wrong), [
            "$.listeners[0].endpoint", "$.listeners[0].proxy_protocol", "$.logging.format",
            "$.plugins.quarantine.failures", "$.plugins.settle", "$.timeouts.idle"])

    def test_plugin(self) -> None:
        """In plugin.json they are in the configuration alone, of which the schema says nothing."""
        self.assertEqual(editorSchema("plugin"), publishedSchema("plugin"))


class SchemaOfSchemasTests(SynchronousTestCase):
    """`checkSchema`."""

    def check(self, text: str) -> list[str]:
        """What is wrong with the schema at key ``s``."""
        document = parseYAML(text, "f")
        return [str(problem) for problem in checkSchema(document, ("s",), document.value["s"])]

    def test_sound(self) -> None:
        """A schema with references of its own."""
        self.assertEqual(self.check("s: {$defs: {a: {type: string}}, properties: {b: {$ref: '#/$defs/a'}}}"), [])

    def test_unsound(self) -> None:
        """A mistake in a schema stands where it was made."""
        self.assertEqual(self.check("s:\n  properties:\n    a:\n      minimum: x\n"),
                         ['f:4:7: $.s.properties.a.minimum: not a JSON Schema: expected a number, not the text "x"'])

    def test_references(self) -> None:
        """A schema that would be fetched from elsewhere is refused."""
        self.assertIn("only references within the schema", self.check("s:\n  allOf:\n  - $ref: http://a/b\n")[0])
