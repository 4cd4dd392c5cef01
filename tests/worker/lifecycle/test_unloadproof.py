"""Proof of unload: what is gone is told to be gone, and what keeps plugins by habit is emptied."""

from __future__ import annotations

import gc
import itertools
import sys
import weakref
from typing import Any

from twisted.internet.task import Clock
from zope.interface import Interface

from revproxy.plan.versionid import VersionId
from revproxy.worker.lifecycle.unloadproof import UnloadProof
from tests.loading.test_loader import bundle
from tests.worker.lifecycle import retired
from tests.worker.lifecycle.retired import PLUGIN, ProofTestCase

FIRST = VersionId("1", "d")


class IAsked(Interface):
    """Something to adapt to."""


class LookTests(ProofTestCase):
    """When it looks, and what that costs."""

    def test_gone(self) -> None:
        """A version that nobody holds is told to be gone, once, with its digest."""
        self.retire()
        self.assertEqual(self.proof.alive("p-q"), 1)
        self.assertEqual(self.proof.alive("other"), 0)
        self.assertGone()
        self.assertEqual(self.unloaded[0][1], VersionId("1", bundle(PLUGIN).digest))

    def test_idle(self) -> None:
        """With nothing to watch it does nothing."""
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_collectsOnlyIfNeeded(self) -> None:
        """What is gone by itself costs no collection; several that are not cost one."""
        collections: list[int] = []
        proof = UnloadProof(self.clock, lambda *_: None, self.remains.append, collect=lambda: collections.append(1))
        self.addCleanup(proof.stop)
        proof.watch("p", FIRST, None, [])
        self.clock.advance(1)
        self.assertEqual(collections, [])
        retired.KEPT.extend([Clock(), Clock()])
        proof.watch("p", FIRST, None, [retired.KEPT[0]])
        proof.watch("p", FIRST, None, [weakref.ref(retired.KEPT[1])])
        self.clock.advance(1)
        self.assertEqual((collections, proof.alive("p")), ([1], 2))

    def test_backsOff(self) -> None:
        """Looks become rare: every ten seconds, and every minute when all were told."""
        times: list[float] = []
        proof = UnloadProof(
            self.clock, lambda *_: None, self.remains.append, collect=lambda: times.append(self.clock.seconds())
        )
        self.addCleanup(proof.stop)
        retired.KEPT.append(Clock())
        proof.watch("p", FIRST, None, retired.KEPT)
        for _ in range(2000):
            self.clock.advance(0.1)
        self.assertEqual([round(time) for time in times[:7]], [1, 3, 7, 15, 25, 30, 41])
        self.assertLess(len(times), 12)
        self.assertEqual(len(self.remains), 1)
        proof.watch("p", VersionId("2", "d"), None, retired.KEPT)
        count = len(times)
        self.pass_(1.2)
        self.assertEqual(len(times), count + 1)

    def test_costly(self) -> None:
        """When versions come and go all the time, looks take a thousandth of it; one in ten seconds at least."""
        for cost, pause in ((0.004, 4), (0.5, 10)):
            times: list[float] = []

            def collect(times: list[float] = times, cost: float = cost) -> None:
                times.append(self.clock.seconds())
                self.clock.rightNow += cost

            proof = UnloadProof(self.clock, lambda *_: None, self.remains.append, collect=collect)
            for _ in range(300):
                retired.KEPT[:] = [Clock()]
                proof.watch("p", FIRST, None, retired.KEPT)
                self.clock.advance(0.1)
            proof.stop()
            between = [later - earlier for earlier, later in itertools.pairwise(times)]
            self.assertGreater(len(between), 1)
            self.assertTrue(all(pause <= one < pause + 1 for one in between), between)

    def test_late(self) -> None:
        """What goes away after it was told is told to be gone all the same."""
        self.retire(lambda plugin, instance: retired.KEPT.append(instance))
        self.assertHeld("module attribute tests.worker.lifecycle.retired.KEPT")
        remains = self.remains[0]
        self.assertEqual((remains.plugin, remains.version), ("p-q", VersionId("1", bundle(PLUGIN).digest)))
        self.assertEqual(remains.kinds, ("module globals", "instance", "class"))
        self.assertTrue(30 <= remains.seconds < 34, remains.seconds)
        self.assertEqual(self.unloaded, [])
        retired.KEPT.clear()
        self.pass_(61)
        self.assertEqual((len(self.unloaded), len(self.remains)), (1, 1))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_globalsAlone(self) -> None:
        """A function keeps the globals, not the module: it is found through the sentinel."""
        self.retire(lambda plugin, instance: retired.KEPT.append(plugin.tick))
        self.held()
        self.assertIn("module globals", self.remains[0].kinds)

    def test_stop(self) -> None:
        """After stop nothing is watched; also in the middle of a search, which lets go."""
        self.retire(lambda plugin, instance: retired.KEPT.append(instance))
        gone = weakref.ref(retired.KEPT[0])
        while self.proof._search is None:
            self.clock.advance(0.1)
        self.clock.advance(0)
        self.proof.stop()
        self.assertEqual((self.clock.getDelayedCalls(), self.proof.alive("p-q")), ([], 0))
        retired.KEPT.clear()
        gc.collect()
        self.assertIsNone(gone())

    def test_noWeakReference(self) -> None:
        """An instance with slots and no weak references is left out; its globals are watched."""
        slotted = PLUGIN.replace('    name = "p"\n    def __init__(self, config):\n        self.config = config\n',
                                 '    name = "p"\n    __slots__ = ("config",)\n'
                                 '    def __init__(self, config):\n        self.config = config\n')
        slotted = slotted.replace('    name = "p"\n    __slots__', '    __slots__').replace(
            "    def handle", "    @property\n    def name(self):\n        return 'p'\n    def handle")
        self.retire(text=slotted)
        self.assertGone()

    def test_manyVersions(self) -> None:
        """Each version is told on its own."""
        gc.disable()  # it may come between one and the next
        self.addCleanup(gc.enable)
        for _ in range(3):
            self.retire()
        self.retire(lambda plugin, instance: retired.KEPT.append(instance))
        self.assertEqual(self.proof.alive("p-q"), 4)
        self.pass_(1.1)
        self.assertEqual((len(self.unloaded), self.proof.alive("p-q")), (3, 1))


class CacheTests(ProofTestCase):
    """Caches that are emptied."""

    def test_asked(self) -> None:
        """An interface that an instance was asked for is remembered with its class: that is forgotten."""
        def asked(plugin: Any, instance: Any) -> None:
            self.assertIsNone(IAsked(instance, None))

        self.retire(asked)
        gc.collect()
        self.assertEqual(self.proof.alive("p-q"), 1, "nobody remembers: this test tests nothing")
        self.assertGone()

    def test_typing(self) -> None:
        """The caches of typing are emptied."""
        text = PLUGIN + "\nfrom typing import Dict, List, Optional\nMany = Dict[str, List[Optional[Middleware]]]\n"
        self.retire(text=text)
        gc.collect()
        self.assertEqual(self.proof.alive("p-q"), 1, "nobody remembers: this test tests nothing")
        self.assertGone()

    def test_lastValue(self) -> None:
        """What the interpreter showed last is forgotten."""
        def use(plugin: Any, instance: Any) -> None:
            try:
                plugin.boom()
            except ValueError as error:
                sys.last_value, sys.last_traceback = error, error.__traceback__

        self.retire(use)
        gc.collect()
        self.assertEqual(self.proof.alive("p-q"), 1, "nobody remembers: this test tests nothing")
        self.assertGone()
