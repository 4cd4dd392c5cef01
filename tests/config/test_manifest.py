"""plugin.json: what it becomes and how it is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from twisted.trial.unittest import SynchronousTestCase

from revproxy import __version__
from revproxy.config.configfile import parseConfig
from revproxy.config.manifest import (
    ConfigLayer,
    checkConfig,
    effectiveConfig,
    fitsEdge,
    manifestFromMapping,
    parseManifest,
)
from revproxy.config.problems import ConfigErrors
from revproxy.config.schema import publishedSchema
from revproxy.permissions import Permissions

FULL: dict[str, Any] = {
    "$schema": "plugin.schema.json", "name": "rate-limit", "version": "1.2.0", "description": "d",
    "entry_point": "Main", "enabled": False, "config": {"rate": "100/s"}, "config_schema": {"type": "object"},
    "priority": -5, "before": ["b"], "after": ["auth"], "requires": {"auth": ">=2,<3", "any": ""},
    "conflicts": {"old": "<1"}, "provides": ["limiter"], "on_error": "open", "isolation": "inline",
    "limits": {"timeout_ms": 250, "threads": 64, "memory_mb": 128, "body_bytes": 1048576}, "revision": 7,
    "permissions": {"read_headers": ["X-Tenant"], "body": "read", "respond": True},
    "shadow_safe": True, "judge": {"interrupts": False}, "edge": ">=0.1", "required": False,
    "dependencies": ["pyjwt[crypto]>=2.8,<3; python_version >= '3'"],
}


def refused(value: Any) -> list[str]:
    """The messages with which a manifest is refused; text is taken as it is."""
    text = value if isinstance(value, str) else json.dumps({"name": "p", "version": "1", **value})
    try:
        parseManifest(text.encode(), "plugin.json")
    except ConfigErrors as errors:
        return [str(problem) for problem in errors.problems]
    raise AssertionError(f"not refused: {value!r}")


class ManifestTests(SynchronousTestCase):
    """`parseManifest`."""

    def test_full(self) -> None:
        """Every key becomes a value."""
        manifest = parseManifest(json.dumps(FULL).encode(), "plugin.json")
        self.assertEqual((manifest.name, manifest.version, manifest.description, manifest.entryPoint),
                         ("rate-limit", Version("1.2.0"), "d", "Main"))
        self.assertEqual((manifest.enabled, manifest.config, manifest.configSchema, manifest.priority),
                         (False, {"rate": "100/s"}, {"type": "object"}, -5))
        self.assertEqual((manifest.before, manifest.after, manifest.provides), (("b",), ("auth",), ("limiter",)))
        self.assertEqual(manifest.requires, {"auth": SpecifierSet(">=2,<3"), "any": SpecifierSet("")})
        self.assertEqual(manifest.conflicts, {"old": SpecifierSet("<1")})
        self.assertEqual((manifest.onError, manifest.isolation, manifest.shadowSafe), ("open", "inline", True))
        self.assertEqual((manifest.timeoutMs, manifest.threads), (250, 64))
        self.assertEqual((manifest.memoryMb, manifest.bodyBytes), (128, 1048576))
        self.assertEqual(manifest.permissions, Permissions(frozenset(["x-tenant"]), body="read", respond=True))
        self.assertEqual(manifest.revision, 7)
        self.assertEqual((str(manifest), manifest.edge), ("rate-limit 1.2.0", SpecifierSet(">=0.1")))

    def test_required(self) -> None:
        """What is required cannot let requests pass when it fails."""
        self.assertTrue(parseManifest(b'{"name": "p", "version": "1", "required": true}', "plugin.json").required)
        (text,) = refused('{"name": "p", "version": "1", "required": true,\n "on_error": "open"}')
        self.assertIn("plugin.json:2:2: $.on_error: a plugin that is required cannot be open", text)

    def test_dependencies(self) -> None:
        """Requirements as pip takes them, without URLs; each that is none is refused where it stands."""
        [requirement] = parseManifest(json.dumps(FULL).encode(), "plugin.json").dependencies
        self.assertEqual((requirement.name, requirement.extras, str(requirement.specifier)),
                         ("pyjwt", {"crypto"}, "<3,>=2.8"))
        for text in ("pyjwt 2.8", "pyjwt>=x", "", "-r file", "a @ https://example.com/a.whl", "a;b"):
            [message] = refused({"dependencies": ["fine", text]})
            self.assertTrue(message.startswith("plugin.json:1:"), message)
            self.assertIn("$.dependencies[1]: ", message)
        self.assertIn('is no requirement; write "pyjwt>=2.8,<3"', message)

    def test_edge(self) -> None:
        """A plugin for another edge is refused where it says so; pre-releases count as what they come before."""
        self.assertEqual(refused({"edge": ">=9000"}), [
            f"plugin.json:1:31: $.edge: needs revproxy >=9000, and this is {__version__}; "
            "run an edge that fits, or a version of the plugin that is made for this one"])
        self.assertIn('">= 0.2 or so" says no versions; write ">=2,<3"', refused({"edge": ">= 0.2 or so"})[0])
        self.assertIn("must not be empty", refused({"edge": ""})[0])
        for wanted, version, fits in ((">=0.2,<1", "0.2.0", True), (">=0.2,<1", "0.2.0.dev3", True),
                                      (">=0.2,<1", "0.2rc1", True), (">=0.2,<1", "1.0", False),
                                      (">=0.2,<1", "0.1.9", False), (">=0.2,<1", "1.0rc1", False),
                                      ("==0.2.*", "0.2.7", True)):
            self.assertEqual(fitsEdge(SpecifierSet(wanted), Version(version)), fits, (wanted, version))

    def test_short(self) -> None:
        """Name and version are enough; the defaults are those the schema shows."""
        manifest = parseManifest(b'{"name": "p", "version": "1"}', "plugin.json")
        self.assertEqual((manifest.entryPoint, manifest.enabled, manifest.config, manifest.configSchema),
                         ("PluginMain", True, {}, None))
        self.assertEqual((manifest.priority, manifest.onError, manifest.timeoutMs), (100, "closed", 1000))
        properties = publishedSchema("plugin")["properties"]
        self.assertEqual(properties["priority"]["default"], manifest.priority)
        self.assertEqual(properties["limits"]["properties"]["timeout_ms"]["default"], manifest.timeoutMs)

    def test_noTimeout(self) -> None:
        """A timeout of null is none."""
        manifest = parseManifest(b'{"name": "p", "version": "1", "limits": {"timeout_ms": null}}', "plugin.json")
        self.assertIsNone(manifest.timeoutMs)

    def test_schema(self) -> None:
        """The published schema is one, and `FULL` has all its keys."""
        schema = publishedSchema("plugin")
        Draft202012Validator.check_schema(schema)
        self.assertEqual(set(schema["properties"]), set(FULL))

    def test_positions(self) -> None:
        """Problems have line and column of plugin.json."""
        text = '{\n  "name": "Bad Name",\n  "version": "1",\n  "priorty": 5,\n  "after": ["a", 7]\n}'
        self.assertEqual(refused(text), [
            'plugin.json:2:3: $.name: "Bad Name": a name has lower-case letters, digits and hyphens only',
            'plugin.json:4:3: $.priorty: unknown key; did you mean "priority"?',
            "plugin.json:5:18: $.after[1]: expected text, not 7"])

    def test_refusals(self) -> None:
        """Each value that cannot work, with what to write instead."""
        for value, part in (
            ({"version": "one"}, '$.version: "one" is not a version; write it as 1.2.0'),
            ({"version": 1}, "$.version: expected text, not 1"),
            ({"version": "9" * 5000}, "is not a version"),
            ({"requires": {"a": ">=" + "9" * 5000}}, "says no versions"),
            ({"requires": {"a": "2"}}, '$.requires.a: "2" says no versions; write ">=2,<3"'),
            ({"conflicts": {"a": "?"}}, "$.conflicts.a: "),
            ({"requires": {"p": ""}}, "$.requires.p: names the plugin itself"),
            ({"after": ["a", "p"]}, "$.after[1]: names the plugin itself"),
            ({"provides": ["p"]}, "$.provides[0]: names the plugin itself"),
            ({"before": ["a", "a"]}, "$.before: has the same item twice"),
            ({"before": ["A"]}, "$.before[0]: "),
            ({"entry_point": "a.b"}, "$.entry_point: \"a.b\": must be the name of a function"),
            ({"isolation": "thread"}, '$.isolation: "thread" is not one of "inline", "process"'),
            ({"on_error": "ignore"}, "$.on_error: "),
            ({"limits": {"timeout_ms": 0}}, "$.limits.timeout_ms: 0 is less than"),
            ({"limits": {"threads": 65}}, "$.limits.threads: 65 is more than the most allowed"),
            ({"limits": {"timeout": 1}}, '$.limits.timeout: unknown key; did you mean "timeout_ms"?'),
            ({"config_schema": {"type": "strin"}}, "$.config_schema.type: not a JSON Schema"),
            ({"config_schema": {"$ref": "other.json"}}, "$.config_schema.$ref"),
            ({"config": []}, "$.config: expected a mapping, not a list"),
        ):
            messages = refused(value)
            self.assertEqual(len(messages), 1, messages)
            self.assertIn(part.replace("$.config_schema.$ref", '$.config_schema["$ref"]'), messages[0])
        self.assertEqual(refused("[]"), ["plugin.json:1:1: $: expected a mapping, not a list"])
        self.assertEqual(refused("{}"), ['plugin.json:1:1: $: missing "name", "version"'])
        self.assertIn("plugin.json:1:2: not JSON", refused("{a}")[0])

    def test_severalAtOnce(self) -> None:
        """What the schema cannot say is reported together too."""
        self.assertEqual(len(refused({"version": "x", "requires": {"a": "b"}, "before": ["p"]})), 3)

    def test_dropIn(self) -> None:
        """A drop-in's mapping is checked alike; its problems have no lines; it is copied; tuples are lists."""
        given = {"name": "p", "version": "1", "config": {"a": 1}, "after": ("b",)}
        manifest = manifestFromMapping(given, "x.y")
        given["config"]["a"] = 2  # type: ignore[index]
        self.assertEqual(manifest.config, {"a": 1})
        error = self.assertRaises(ConfigErrors, manifestFromMapping, {"name": "p"}, "x.y")
        self.assertEqual(str(error), 'x.y: $: missing "version"')
        error = self.assertRaises(ConfigErrors, manifestFromMapping, None, "x.y")
        self.assertEqual(str(error), "x.y: $: expected a mapping, not null")

    @given(st.dictionaries(
        st.sampled_from(sorted(FULL)),
        st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.sampled_from(["p", ">=1"]),
                     lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
                         st.sampled_from(["p", "type", "timeout_ms", "$ref", "pattern"]), inner, max_size=3),
                     max_leaves=6), max_size=5))
    @settings(max_examples=150, deadline=None)
    def test_anyManifest(self, value: dict[str, Any]) -> None:
        """Whatever the values: a manifest or `ConfigErrors`; and its own config can be checked."""
        try:
            manifest = parseManifest(json.dumps({"name": "q", "version": "1", **value}).encode(), "plugin.json")
        except ConfigErrors as errors:
            self.assertTrue(all(problem.line == 1 for problem in errors.problems))
        else:
            checkConfig(manifest, effectiveConfig(manifest))


class EffectiveConfigTests(SynchronousTestCase):
    """`effectiveConfig` and `checkConfig`."""

    TEXT = """\
{
  "name": "p", "version": "1",
  "config": {"rate": 1, "burst": 2, "keys": ["a"]},
  "config_schema": {
    "properties": {"rate": {"type": "integer"}, "burst": {"minimum": 1}, "keys": {"items": {"type": "string"}}},
    "required": ["rate"], "additionalProperties": false
  }
}"""

    def setUp(self) -> None:
        self.manifest = parseManifest(self.TEXT.encode(), "plugin.json")

    def layers(self, everywhere: str, route: str) -> list[ConfigLayer]:
        """Layers as a configuration file gives them; it has five lines."""
        text = f"listeners: [{{endpoint: 'tcp:1'}}]\nroutes:\n- respond: {{}}\n  plugins: {{p: {route}}}\n" \
               f"plugins: {{config: {{p: {everywhere}}}}}\n"
        config = parseConfig(text, "r.yaml", Path("."))
        return [
            ConfigLayer(config.plugins.config["p"], config.document, ("plugins", "config", "p"), "r.yaml"),
            ConfigLayer(config.routes[0].plugins["p"], config.document, ("routes", 0, "plugins", "p"), "r.yaml"),
        ]

    def test_merged(self) -> None:
        """Later layers win key by key, lists are replaced; nothing is shared with the manifest."""
        config = effectiveConfig(self.manifest, self.layers("{burst: 5}", "{keys: [b]}"))
        self.assertEqual(config, {"rate": 1, "burst": 5, "keys": ["b"]})
        config = effectiveConfig(self.manifest)
        config["keys"].append("x")
        self.assertEqual(self.manifest.config["keys"], ["a"])

    def test_places(self) -> None:
        """A problem stands in the layer its value came from."""
        layers = self.layers("{burst: 0, rate: x}", "{rate: y, kees: 1, keys: [1]}")
        problems = checkConfig(self.manifest, effectiveConfig(self.manifest, layers), layers)
        self.assertEqual(sorted(str(problem) for problem in problems), [
            'r.yaml:4:17: $.routes[0].plugins.p.rate: expected a whole number, not the text "y" (plugin p)',
            'r.yaml:4:26: $.routes[0].plugins.p.kees: unknown key; did you mean "keys"? (plugin p)',
            "r.yaml:4:42: $.routes[0].plugins.p.keys[0]: expected text, not 1 (plugin p)",
            "r.yaml:5:24: $.plugins.config.p.burst: 0 is less than the least allowed, 1 (plugin p)",
        ])

    def test_own(self) -> None:
        """A plugin whose own configuration is wrong has the problem in its plugin.json."""
        manifest = parseManifest(self.TEXT.replace('"burst": 2', '"burst": 0').encode(), "plugin.json")
        self.assertEqual(str(checkConfig(manifest, effectiveConfig(manifest))[0]),
                         "plugin.json:3:25: $.config.burst: 0 is less than the least allowed, 1 (plugin p)")

    def test_noSchema(self) -> None:
        """Without a schema everything is sound."""
        manifest = manifestFromMapping({"name": "p", "version": "1"}, "x")
        self.assertEqual(checkConfig(manifest, {"any": object()}), [])
