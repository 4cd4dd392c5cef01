"""Tests for `revproxy.worker.generations`: what requests go through, and when it becomes another."""

from __future__ import annotations

from typing import Any

from revproxy.errors import PluginFailed
from revproxy.plan.words import Abandon, Commit, Failures, Ready
from revproxy.worker.worker import Worker
from tests.worker.workers import WorkerCase, entry

FAILS = """
    def handle(self, context): raise ValueError("always")
"""


class GenerationTests(WorkerCase):
    """`Generations`."""

    def setUp(self) -> None:
        super().setUp()
        self.settings = self.config()
        self.become(self.plan(1, self.settings, entry("a"), entry("b")))

    def test_none(self) -> None:
        """Before the first plan there is a generation without routes."""
        worker = Worker(self.reactor, self.settings, self.told.append, self.inThread, dropIns=())
        self.assertIsNone(worker.generations.built)
        self.assertIsNone(worker.edge.generation.find(b"h", b"/"))

    def test_swap(self) -> None:
        """It is swapped with the commit, and not before; its number is the plan's."""
        before = self.worker.edge.generation
        self.prepare(self.plan(2, self.settings, entry("a", "2.0"), entry("b")))
        self.step(Ready(self.transaction))
        self.assertIs(self.worker.edge.generation, before)
        self.step(Commit(self.transaction))
        self.assertEqual(self.worker.edge.generation.number, 2)
        self.assertIs(self.worker.generations.built.generation, self.worker.edge.generation)  # type: ignore[union-attr]

    def test_chainsOfInstances(self) -> None:
        """Instances know the chains that use them: those that are in effect, and those with requests in them."""
        [a, _] = self.worker.generations.built.instances  # type: ignore[union-attr]
        [old] = self.worker.edge.generation.chains
        self.assertEqual(set(a.chains), {old})
        self.prepare(self.plan(2, self.settings, entry("a", "2.0"), entry("b")))
        self.step(Ready(self.transaction))
        self.assertEqual(set(a.chains), {old})
        self.step(Abandon(self.transaction))
        self.become(self.plan(2, self.settings, *(plugin.version.entry for plugin in (a,))))
        self.assertEqual(set(a.chains), {old, *self.worker.edge.generation.chains})

    def test_failures(self) -> None:
        """What fails in a chain is told, with the version whose it is."""
        bad = entry("a", "2.0", body=FAILS)
        self.become(self.plan(2, self.settings, bad, entry("b")))
        self.told.clear()
        for _ in range(2):
            self.assertRaises(PluginFailed, self.seen)
            self.flushLoggedErrors(ValueError)
        words: list[Any] = [word for word in self.told if isinstance(word, Failures)]
        self.assertEqual([(word.plugin, word.version, word.count) for word in words], [("a", bad.version, 1)] * 2)
        self.assertEqual([word.calls for word in words], [1, 2])

    def test_gates(self) -> None:
        """A plan with a gate has it before the instance that ran before; one without has the instance itself."""
        plugin = entry("a", on_error="open")
        self.become(self.plan(2, self.settings, plugin))
        instance = self.worker.staging.running.of("a")[0]  # type: ignore[union-attr]
        self.become(self.plan(3, self.settings, plugin, gates={"a": 3}))
        [[link]] = [chain.links for chain in self.worker.edge.generation.chains]
        self.assertIs(link.instance, self.worker.health.gates[instance])
        self.assertEqual(self.seen(), [])
        self.become(self.plan(4, self.settings, plugin))
        [[link]] = [chain.links for chain in self.worker.edge.generation.chains]
        self.assertIs(link.instance, instance.object)
        self.assertEqual((self.seen(), self.worker.health.gates), (["a 1.0"], {}))
