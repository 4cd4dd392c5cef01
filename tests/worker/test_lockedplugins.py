"""Plugins of a worker that run in locked processes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.trustconfig import TrustConfig
from revproxy.loop.deadlines import Deadlines
from revproxy.permissions import Permissions
from revproxy.worker.lifecycle.instance import Version
from revproxy.worker.lifecycle.lockedcode import limitsOf
from revproxy.worker.lifecycle.stages import StageFailed, StageLimits
from revproxy.worker.lockedplugins import LockedPlugins
from tests.isolation.doubles import ProcessDouble
from tests.worker.workers import entry


class PoolDouble:
    """Locked processes that nobody makes."""

    def __init__(self, config: TrustConfig) -> None:
        self.config = config
        self.taken: list[tuple[str, int]] = []
        self.isClosed = False

    def take(self, version: str, memoryBytes: int = 0) -> Deferred[Any]:
        self.taken.append((version, memoryBytes))
        return succeed(ProcessDouble())

    def close(self) -> Deferred[None]:
        self.isClosed = True
        return succeed(None)


class LockedPluginsTests(SynchronousTestCase):
    """One plugin that is to be in a locked process."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.pools: list[PoolDouble] = []
        deadlines = Deadlines(self.clock, 0.02)
        self.locked = LockedPlugins(
            self.clock, TrustConfig(), deadlines, lambda *asked: succeed(None), maybeDeferred, self.makePool
        )

    def makePool(self, config: TrustConfig) -> PoolDouble:
        self.pools.append(PoolDouble(config))
        return self.pools[-1]

    def load(self, **manifest: Any) -> Any:
        version = Version(
            entry("a", **manifest), StageLimits(), isolation="process", permissions=Permissions(),
            locked=self.locked.make,
        )  # fmt: skip
        instance = version.make({}, self.clock, lambda: None)
        loading = Deferred.fromCoroutine(instance.load())
        loading.addErrback(lambda failure: None)
        return instance

    def test_lazy(self) -> None:
        """Nothing is made before a plugin is; it has the memory that it asks for."""
        self.assertEqual(self.pools, [])
        instance = self.load(limits={"memory_mb": 64})
        [(version, memory)] = self.pools[0].taken
        self.assertEqual((version.split()[0], memory), ("a", 64 << 20))
        self.assertIsNone(instance.version.module, "it was imported here")

    def test_adopted(self) -> None:
        """Another level makes other processes, for what comes; all end with the worker."""
        self.load()
        self.locked.adopt(TrustConfig())
        self.load()
        self.locked.adopt(TrustConfig(minimumLevel="A"))
        self.load()
        self.assertEqual([(pool.config.minimumLevel, len(pool.taken)) for pool in self.pools], [("C", 2), ("A", 1)])
        self.successResultOf(self.locked.close())
        self.assertTrue(all(pool.isClosed for pool in self.pools))

    def test_dropIn(self) -> None:
        """What is installed with Python was imported when it was found: it is refused, and says what to do."""
        version = Version(
            replace(entry("a"), bundle=None, origin="dropin"), StageLimits(), isolation="process",
            locked=self.locked.make,
        )  # fmt: skip
        failed = self.assertRaises(StageFailed, version.make, {}, self.clock, lambda: None)
        self.assertIn("a drop-in is installed with Python", failed.refusal.message)
        self.assertIn("write a: inline under plugins.isolation", failed.refusal.message)

    def test_limits(self) -> None:
        """What a manifest says of limits holds in the process."""
        limits = limitsOf(entry("a", limits={"timeout_ms": 250, "body_bytes": 10, "concurrency": 3}).manifest,
                          StageLimits())  # fmt: skip
        self.assertEqual((limits.call, limits.body, limits.calls), (0.25, 10, 3))
        self.assertIsNone(limitsOf(entry("a", limits={"timeout_ms": None}).manifest, StageLimits()).call)

