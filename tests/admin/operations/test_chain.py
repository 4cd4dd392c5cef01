"""Asking for chains, for what stands where and why, and for what is different between versions."""

from __future__ import annotations

from tests.admin.apis import ApiCase
from tests.control.test_coordinator import code

SCHEMA = {"type": "object", "properties": {"key": {"type": "string"}}}


class ChainTests(ApiCase):
    """Three plugins, two groups of routes."""

    def setUp(self) -> None:
        super().setUp()
        self.bench.write("a", priority=20)
        self.bench.write("b", priority=30, before=["a"])
        self.bench.write("c", priority=10, config_schema=SCHEMA, config={"key": "x"})
        routes = "[{name: one, path: /one, respond: {}, plugins: {c: {key: y}}}, {name: two, respond: {}}]"
        self.bench.configure(routes)
        self.bench.start()

    def test_chain(self) -> None:
        """The order on each group of routes, with the rule that put each there."""
        groups = self.ask("GET", "chain")["items"]
        self.assertEqual([group["routes"] for group in groups], [["one"], ["two"]])
        for group in groups:
            self.assertEqual([(one["name"], one["rule"]) for one in group["plugins"]], [
                ("c", "priority 10"), ("b", "priority 30; before a"), ("a", "priority 20")])
            self.assertEqual(group["route_count"], 1)
        one = groups[0]["plugins"][0]
        self.assertEqual((one["version"], one["calls"], one["share"], one["self_p50_us"]), ("1.0.0", 0, 0.0, None))

    def test_plugin(self) -> None:
        """The same of one, with its schema and its configuration by group."""
        found = self.ask("GET", "plugins/c")
        self.assertEqual(found["config_schema"], SCHEMA)
        self.assertEqual(found["config"], [
            {"routes": ["one"], "config": {"key": "y"}}, {"routes": ["two"], "config": {"key": "x"}}])
        self.assertEqual(found["order"][1], {"routes": ["two"], "position": 1, "of": 3, "rule": "priority 10"})
        self.assertEqual(found["holders"], [])

    def test_generations(self) -> None:
        """What runs, and that nothing else does."""
        found = self.ask("GET", "generations")
        self.assertEqual(found["plan"], 1)
        self.assertEqual([(one["plugin"], one["running"]["version"], one["retired"]) for one in found["items"]],
                         [("a", "1.0.0", 0), ("b", "1.0.0", 0), ("c", "1.0.0", 0)])

    def test_difference(self) -> None:
        """The source of two versions, file by file; digests may be cut, and versions named by their number."""
        folder = self.bench.write("a", code(body="    x = 1"), version="2.0.0", priority=20)
        (folder / "data.bin").write_bytes(b"\xff\x00")
        self.bench.apply()
        first, second = (one["digest"] for one in self.ask("GET", "plugins/a")["versions"])
        found = self.ask("GET", f"plugins/a/diff?from={first[:8]}&to=2.0.0")
        self.assertEqual((found["from"], found["to"]), (first, second))
        files = {one["path"]: one["diff"] for one in found["files"]}
        self.assertEqual(sorted(files), ["data.bin", "plugin.json", "plugin.py"])
        self.assertIn("+    x = 1", files["plugin.py"])
        self.assertEqual(files["data.bin"], "no text: 0 bytes before, 2 bytes after")
        self.assertEqual(self.ask("GET", "plugins/a/diff?from=1.0.0&to=1.0.0")["files"], [])
        self.assertIn("no such version", self.problem(409, "GET", "plugins/a/diff?from=9.9&to=2.0.0").detail)
        self.problem(404, "GET", "plugins/nobody/diff?from=1&to=2")
        self.problem(400, "GET", "plugins/a/diff?from=1.0.0")
