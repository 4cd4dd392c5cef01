"""The end of instances: after their last request, or when the drain time is over."""

from __future__ import annotations

import gc
from collections.abc import Collection
from typing import Any
from weakref import ref

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.loading.bundlefinder import finder
from revproxy.loading.loader import LoadedBundle, instantiate, loadBundle
from revproxy.plan.refusal import Refusal
from revproxy.plan.versionid import VersionId
from revproxy.plan.words import Notice, Remains
from revproxy.worker.lifecycle.retirement import BROKEN_OFF_TIMEOUT, Retirement
from revproxy.worker.lifecycle.stages import StageFailed
from tests.loading.test_loader import bundle, manifest
from tests.worker.lifecycle.retired import KEPT

DRAIN = 10.0

Stopping = Deferred[StageFailed | None]


class ChainDouble:
    """A chain that requests go through until a test says that they are over."""

    def __init__(self, active: int = 0) -> None:
        self.active = active
        self._waiting: list[Deferred[None]] = []

    def whenIdle(self) -> Deferred[None]:
        if not self.active:
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        return waiting

    def end(self) -> None:
        """All requests are over."""
        self.active = 0
        waiting, self._waiting = self._waiting, []
        for deferred in waiting:
            deferred.callback(None)


class VersionDouble:
    """A version that is loaded."""

    def __init__(self, name: str = "p", number: str = "1", module: LoadedBundle | None = None) -> None:
        self.name = name
        self.id = VersionId(number, "abc")
        self.module = module
        self.instances: set[Any] = set()
        self.ended: list[ref[Any]] = []


class InstanceDouble:
    """An instance whose stop takes as long as a test likes."""

    def __init__(self, version: Any, *chains: ChainDouble, stopping: Stopping | None = None) -> None:
        self.version = version
        self.object: Any = Clock()
        self.chains: set[Any] = set(chains)
        self.retiring = False
        self.closed = False
        self.isGone = True
        self.stopping: Stopping = stopping or succeed(None)
        version.instances.add(self)

    async def close(self) -> StageFailed | None:
        self.closed = True
        failed = await self.stopping
        self.version.instances.discard(self)
        self.object = None
        return failed


class RetirementCase(SynchronousTestCase):
    """A retirement on a clock."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.words: list[Notice | Remains] = []
        self.retirement: Any = Retirement(self.clock, self.words.append, DRAIN)
        self.broken: list[list[Any]] = []
        self.retirement.breakOff = self.breakOff
        self.addCleanup(self.retirement._proof.stop)

    def breakOff(self, chains: Collection[Any]) -> int:
        self.broken.append(list(chains))
        return len(chains)

    def told(self) -> list[tuple[str, str, str, str]]:
        """What control was told so far: kind, text, plugin and version."""
        return [(word.kind, word.text, word.plugin, str(word.version)) for word in self.notices()]

    def notices(self) -> list[Notice]:
        return [word for word in self.words if isinstance(word, Notice)]


class RetireTests(RetirementCase):
    """Instances that have served."""

    def test_unused(self) -> None:
        """One that no request uses is stopped at once."""
        instance = InstanceDouble(VersionDouble(), ChainDouble())
        self.retirement.retire([instance])
        self.assertTrue(instance.retiring)
        self.assertTrue(instance.closed)
        self.assertEqual((self.retirement.alive("p"), self.retirement.counts(), self.words), (0, {}, []))

    def test_later(self) -> None:
        """After a rescue they are left alone for a moment: a stop that holds the loop must not hold up the answer."""
        instance = InstanceDouble(VersionDouble(), ChainDouble())
        self.retirement.retire([instance], 0.25)
        self.assertTrue(instance.retiring)
        self.assertEqual(self.retirement.alive("p"), 1)
        self.clock.advance(0.2)
        self.assertFalse(instance.closed)
        self.clock.advance(0.1)
        self.assertTrue(instance.closed)
        self.assertEqual(self.retirement.alive("p"), 0)

    def test_lastRequest(self) -> None:
        """One that is used is stopped after the last request, in a later turn: the request may still cancel things."""
        first, second, idle = ChainDouble(2), ChainDouble(1), ChainDouble()
        instance = InstanceDouble(VersionDouble(), first, second, idle)
        self.retirement.retire([instance])
        first.end()
        self.clock.advance(DRAIN - 1)
        self.assertFalse(instance.closed)
        second.end()
        self.assertFalse(instance.closed)
        self.clock.advance(0)
        self.assertTrue(instance.closed)
        self.assertEqual((self.broken, self.told(), self.clock.getDelayedCalls()), ([], [], []))

    def test_brokenOff(self) -> None:
        """What still uses it after the drain time is broken off, which is told, and waited for."""
        first, second = ChainDouble(1), ChainDouble(1)
        instance = InstanceDouble(VersionDouble(), first, second)
        self.retirement.retire([instance])
        first.end()
        self.clock.advance(DRAIN)
        self.assertEqual(self.broken, [[second]])
        self.assertEqual(
            self.told(), [("broken-off", "1 request still used it after 10 s, and was broken off", "p", "1 (abc)")]
        )
        self.assertFalse(instance.closed)
        second.end()
        self.clock.advance(0)
        self.assertTrue(instance.closed)

    def test_nothingToBreakOff(self) -> None:
        """Where another that left with it has had them broken off, that is told once."""
        self.retirement.breakOff = lambda chains: 0
        self.retirement.retire([InstanceDouble(VersionDouble(), ChainDouble(1))])
        self.clock.advance(DRAIN)
        self.assertEqual(self.told(), [])

    def test_doesNotNotice(self) -> None:
        """What does not notice that it was broken off holds the stop up for some seconds, and no longer."""
        instance = InstanceDouble(VersionDouble(), ChainDouble(1), ChainDouble(1))
        self.retirement.retire([instance])
        self.clock.advance(DRAIN)
        [(_, text, _, _)] = self.told()
        self.assertEqual(text, "2 requests still used it after 10 s, and were broken off")
        self.clock.advance(BROKEN_OFF_TIMEOUT - 0.1)
        self.assertFalse(instance.closed)
        self.clock.pump([0.1, 0])
        self.assertTrue(instance.closed)

    def test_drainTime(self) -> None:
        """The drain time is that of the moment when it is retired, which a new configuration may change."""
        instance = InstanceDouble(VersionDouble(), ChainDouble(1))
        self.retirement.drainTime = 1
        self.retirement.retire([instance])
        self.clock.advance(1)
        self.assertEqual(len(self.broken), 1)

    def test_end(self) -> None:
        """At the end, when requests are over, no drain time is waited for; nor is who does not come back."""
        hanging: Stopping = Deferred()
        busy = InstanceDouble(VersionDouble(), ChainDouble(1))
        self.retirement.retire([busy, InstanceDouble(VersionDouble(), stopping=hanging)])
        settling = Deferred.fromCoroutine(self.retirement.settle([], 3))
        self.clock.advance(2.9)
        self.assertFalse(busy.closed)
        self.clock.pump([0.1, 0])
        self.successResultOf(settling)
        self.assertTrue(busy.closed)
        finishing = Deferred.fromCoroutine(self.retirement.finish(1))
        self.clock.advance(0.9)
        self.assertNoResult(finishing)
        self.clock.advance(0.1)
        self.successResultOf(finishing)
        self.assertEqual((self.broken, self.told(), self.clock.getDelayedCalls()), ([], [], []))

    def test_stopFailed(self) -> None:
        """A stop that fails is told with its traceback, and the instance is gone all the same."""
        failed = StageFailed(
            Refusal("p", "stop", "p.py:3: stop raised ValueError", VersionId("1", "abc"), "Traceback …")
        )
        instance = InstanceDouble(VersionDouble(), stopping=succeed(failed))
        self.retirement.retire([instance])
        self.assertEqual(self.told(), [("stop-failed", "p.py:3: stop raised ValueError", "p", "1 (abc)")])
        self.assertEqual(self.notices()[0].traceback, "Traceback …")
        self.assertEqual(self.retirement.alive("p"), 0)

    def test_siblings(self) -> None:
        """A version is on its way out once all of its instances are, and until the last of them is closed."""
        version = VersionDouble()
        stopping: Stopping = Deferred()
        first, second = InstanceDouble(version), InstanceDouble(version, stopping=stopping)
        self.retirement.retire([first])
        self.assertEqual(self.retirement.alive("p"), 0)
        self.retirement.retire([second])
        self.assertEqual((self.retirement.alive("p"), self.retirement.alive("q")), (1, 0))
        self.assertEqual(self.retirement.counts(), {"p": 1})
        stopping.callback(None)
        self.assertEqual(self.retirement.alive("p"), 0)

    def test_unexpected(self) -> None:
        """An error nobody has thought of is logged; what is being ended is not waited for for ever."""
        instance = InstanceDouble(VersionDouble(), stopping=Deferred())
        self.retirement.retire([instance])
        instance.stopping.errback(ZeroDivisionError())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.successResultOf(Deferred.fromCoroutine(self.retirement.finish(10)))


class UnloadTests(RetirementCase):
    """Versions whose last instance is closed."""

    def load(self) -> tuple[Any, Any]:
        """A version that is imported, with an instance."""
        loaded = loadBundle(bundle(), manifest())
        version = VersionDouble(module=loaded)
        instance = InstanceDouble(version)
        instance.object = instantiate(loaded, manifest(), {})
        return version, instance

    def test_unloaded(self) -> None:
        """Its modules are taken out, and soon it is proved that nothing of it exists."""
        version, instance = self.load()
        package = version.module.package
        self.retirement.retire([instance])
        self.assertNotIn(package, finder.bundles)
        self.assertIsNone(version.module)
        gc.collect()
        self.clock.advance(1)
        self.assertEqual((self.retirement.alive("p"), self.clock.getDelayedCalls()), (0, []))

    def test_remains(self) -> None:
        """What is kept by somebody is told after a while, with whoever keeps it."""
        version, instance = self.load()
        self.addCleanup(KEPT.clear)
        KEPT.append(instance.object)
        digest = version.module.bundle.digest
        self.retirement.retire([instance])
        for _ in range(400):
            self.clock.advance(0.1)
        self.assertEqual((self.retirement.alive("p"), self.retirement.counts()), (1, {"p": 1}))
        [word] = self.words
        assert isinstance(word, Remains)
        self.assertEqual((word.plugin, word.version), ("p", VersionId("1", digest)))
        self.assertTrue(30 <= word.seconds < 40 and "instance" in word.kinds, word)
        self.assertIn("retired.KEPT", "".join(word.holders))

    def test_siblingKeepsIt(self) -> None:
        """As long as another instance is there, the modules stay."""
        version, instance = self.load()
        other = InstanceDouble(version)
        self.retirement.retire([instance])
        self.assertIn(version.module.package, finder.bundles)
        self.retirement.retire([other])
        self.assertIsNone(version.module)


class DiscardTests(RetirementCase):
    """Instances that never served."""

    def test_closed(self) -> None:
        """They are closed one after the other; until then they count as retiring, and versions as loaded."""
        stopping: Stopping = Deferred()
        version = VersionDouble()
        first, second = InstanceDouble(version, stopping=stopping), InstanceDouble(version)
        discarded = self.retirement.discard([first, second], [version])
        self.assertEqual((first.retiring, second.retiring, second.closed), (True, True, False))
        self.assertNoResult(discarded)
        stopping.callback(None)
        self.assertTrue(second.closed)
        self.successResultOf(discarded)

    def test_versionAlone(self) -> None:
        """A version that was imported and has no instance is unloaded; one that has others is not."""
        lone, used = (VersionDouble(module=loadBundle(bundle(), manifest())) for _ in range(2))
        instance = InstanceDouble(used)
        self.successResultOf(self.retirement.discard([], [lone, used]))
        self.assertIsNone(lone.module)
        self.assertIsNotNone(used.module)
        self.retirement.retire([instance])

    def test_ofRetired(self) -> None:
        """An instance made of a version that was retired meanwhile was the last: the version goes with it."""
        version = VersionDouble(module=loadBundle(bundle(), manifest()))
        stopping: Stopping = Deferred()
        running = InstanceDouble(version, stopping=stopping)
        self.retirement.retire([running])
        fresh = InstanceDouble(version)
        stopping.callback(None)
        self.assertIsNotNone(version.module)
        self.successResultOf(self.retirement.discard([fresh], []))
        self.assertIsNone(version.module)


class FinishTests(RetirementCase):
    """The end of the edge."""

    def test_waits(self) -> None:
        """It waits for all that are being ended, of either kind, and leaves nothing on the clock."""
        retiring: Stopping = Deferred()
        discarding: Stopping = Deferred()
        version = VersionDouble(module=loadBundle(bundle(), manifest()))
        self.retirement.retire([InstanceDouble(version, stopping=retiring)])
        other = VersionDouble("q")
        self.retirement.discard([InstanceDouble(other, stopping=discarding)], [other])
        finished = Deferred.fromCoroutine(self.retirement.finish(10))
        retiring.callback(None)
        self.assertNoResult(finished)
        discarding.callback(None)
        self.successResultOf(finished)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nothing(self) -> None:
        """With nothing to wait for it is over at once."""
        self.successResultOf(Deferred.fromCoroutine(self.retirement.finish(10)))
