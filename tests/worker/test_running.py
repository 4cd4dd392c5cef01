"""Tests for `revproxy.worker.running`: the instance for each plugin and configuration of a plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.configfile import parseConfig
from revproxy.plan.catalog import Selected
from revproxy.plan.plan import Plan
from revproxy.worker.lifecycle.instance import configKey
from revproxy.worker.running import Running
from tests.worker.workers import entry

ROUTES = (
    "[{path: /1, respond: {}}, {path: /2, respond: {}, plugins: {a: {x: 1}}}, "
    "{path: /3, respond: {}, plugins: {a: false}}]"
)


class InstanceDouble:
    """An instance, as far as it is looked up."""

    def __init__(self, version: str) -> None:
        self.version: Any = version


class RunningTests(SynchronousTestCase):
    """Plugin a with two configurations, and b with one."""

    def setUp(self) -> None:
        text = f"listeners: [{{endpoint: 'tcp:1'}}]\nroutes: {ROUTES}\nplugins: {{directory: plugins}}\n"
        root = Path(self.mktemp()).absolute()
        (root / "plugins").mkdir(parents=True)
        config = parseConfig(text, "r.yaml", root)
        self.usual: dict[str, Any] = {}
        self.other = {"x": 1}
        a = Selected(entry("a"), self.usual, {1: self.other, 2: None})
        b = Selected(entry("b"), self.usual)
        plan = Plan(1, config, {}, (a, b), ())
        self.first, self.second, self.third = (InstanceDouble(version) for version in ("a 1", "a 1", "b 1"))
        members: Any = {
            ("a", configKey(self.usual)): self.first,
            ("a", configKey(self.other)): self.second,
            ("b", configKey(self.usual)): self.third,
        }
        self.running = Running(plan, members)

    def test_member(self) -> None:
        """By plugin and configuration; equal configurations are one."""
        self.assertIs(self.running.member("a", self.usual), self.first)
        self.assertIs(self.running.member("a", {"x": 1}), self.second)
        self.assertRaises(KeyError, self.running.member, "b", self.other)

    def test_of(self) -> None:
        """All of a plugin, and none of one that does not run."""
        self.assertEqual(self.running.of("a"), [self.first, self.second])
        self.assertEqual(self.running.of("c"), [])
        self.assertEqual(self.running.versions, {"a": "a 1", "b": "b 1"})

    def test_inGroups(self) -> None:
        """Those on some routes; where the plugin is off there is none."""
        self.assertEqual(list(self.running.inGroups("a", [1, 0])), [self.second, self.first])
        self.assertEqual(list(self.running.inGroups("a", [2])), [])
        self.assertEqual(list(self.running.inGroups("c", [0])), [])
