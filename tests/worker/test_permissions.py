"""Plugins with permissions in a worker: what they may not do is their failure, and nobody else's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from revproxy.errors import NotPermitted, PluginFailed
from revproxy.guardedmiddleware import GuardedMiddleware
from revproxy.permissions import Permissions
from revproxy.plan.plan import Plan
from revproxy.plan.words import Failures, Remains
from tests.worker.workers import WorkerCase, entry

READS = """
    def handle(self, context):
        context.values["host"] = context.request.host
        return True
"""

STORES = """
    def attach(self, host):
        host.counter("a_total").inc()
"""


class PermissionsTests(WorkerCase):
    """Plugins in the worker's own process."""

    def setUp(self) -> None:
        super().setUp()
        self.settings = self.config()

    def links(self) -> list[Any]:
        """Of the only chain."""
        [chain] = self.worker.edge.generation.chains
        return list(chain.links)

    def permitted(self, plan: Plan, **permissions: Any) -> Plan:
        """The same plan, with its only plugin granted these."""
        [plugin] = plan.selected
        granted = replace(plugin, permissions=Permissions.of(permissions))
        orders = tuple(tuple((granted, settings) for _, settings in order) for order in plan.orderPerGroup)
        return replace(plan, selected=(granted,), orderPerGroup=orders)

    def test_none(self) -> None:
        """What says nothing of permissions stands in the chain by itself."""
        self.become(self.plan(1, self.settings, entry("a", body=READS)))
        [link] = self.links()
        self.assertNotIsInstance(link.instance, GuardedMiddleware)
        self.seen()

    def test_refused(self) -> None:
        """What it may not do fails its call, as whatever it raises does: it is named, counted and told."""
        self.become(self.plan(1, self.settings, entry("a", body=READS, permissions={}), entry("b")))
        error = self.assertRaises(PluginFailed, self.seen)
        self.assertIn("a 1.0: request.host is not permitted: ask for it in plugin.json", str(error))
        self.assertIn("read_headers: :authority", str(error))
        [failure] = self.flushLoggedErrors(NotPermitted)
        self.assertEqual(failure.value.permission, "read_headers: :authority")
        words: list[Any] = [word for word in self.told if isinstance(word, Failures)]
        self.assertEqual([(word.plugin, word.count) for word in words], [("a", 1)])
        self.assertIn("plugin.py:", words[0].last.where)

    def test_open(self) -> None:
        """With on_error: open, the request goes on without it."""
        self.become(self.plan(1, self.settings, entry("a", body=READS, permissions={}, on_error="open"), entry("b")))
        self.assertEqual(self.seen(), ["b 1.0"])
        self.assertEqual(len(self.flushLoggedErrors(NotPermitted)), 1)

    def test_granted(self) -> None:
        """Other permissions are another version: loaded anew, and all of it has what was granted."""
        plugin = entry("a", body=READS, permissions={})
        plan = self.plan(1, self.settings, plugin)
        self.become(plan)
        [before] = self.worker.staging.running.of("a")  # type: ignore[union-attr]
        self.assertRaises(PluginFailed, self.seen)
        self.become(self.permitted(replace(plan, number=2), read_headers=[":authority"], figures=True))
        self.seen()
        [after] = self.worker.staging.running.of("a")  # type: ignore[union-attr]
        self.assertIsNot(after, before)
        after.host.counter("a_total").inc()
        self.flushLoggedErrors(NotPermitted)

    def test_gate(self) -> None:
        """A probe is guarded, too."""
        plugin = entry("a", body=READS, permissions={}, on_error="open")
        self.become(self.plan(1, self.settings, plugin))
        self.become(self.plan(2, self.settings, plugin, gates={"a": 2}))
        [gate] = self.worker.health.gates.values()
        self.assertIsInstance(gate.instance, GuardedMiddleware)
        self.reactor.advance(3600)
        self.seen()
        self.assertEqual(len(self.flushLoggedErrors(NotPermitted)), 1)

    def test_nothingStays(self) -> None:
        """A version that was guarded and metered is gone when it was replaced, and requests went through it."""
        limits = {"memory_mb": 1000, "concurrency": 5}
        first = entry("a", permissions={"respond": True}, limits=limits)
        self.become(self.plan(1, self.settings, first))
        self.assertEqual(self.seen(), ["a 1.0"])
        self.become(self.plan(2, self.settings, entry("a", "2.0", permissions={"respond": True}, limits=limits)))
        self.settle(5)
        self.assertEqual([word for word in self.told if isinstance(word, Remains)], [])
        self.assertEqual(self.worker.retirement.counts(), {})

    def test_attach(self) -> None:
        """What it may not do when it is loaded refuses the load, with the reason."""
        plugin = entry("a", body=STORES, interfaces="IHosted", permissions={})
        [reason] = self.prepare(self.plan(1, self.settings, plugin))
        self.assertIn("a figure of its own is not permitted", reason)
        self.become(self.plan(1, self.settings, entry("a", body=STORES, interfaces="IHosted")))

    def test_client(self) -> None:
        """Its client knows the upstreams of the configuration."""
        settings = self.config("upstreams: {billing: {targets: ['http://127.0.0.1:9']}}\n")
        plugin = entry("a", permissions={"upstreams": ["billing"]})
        self.become(self.plan(1, settings, plugin))
        [instance] = self.worker.staging.running.of("a")  # type: ignore[union-attr]
        client = instance.host.client
        self.assertEqual(client._permitted("http://billing/x"), "http://127.0.0.1:9/x")
        self.assertRaises(NotPermitted, client.get, "http://elsewhere.example/")
