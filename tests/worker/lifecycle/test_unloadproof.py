"""Proof of unload: what is gone is told to be gone, and of what is not, who holds it."""

from __future__ import annotations

import atexit
import ctypes
import functools
import gc
import itertools
import logging
import signal
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, LoopingCall
from twisted.logger import globalLogPublisher
from twisted.python.components import globalRegistry
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import Interface, implementedBy

from revproxy.testing import HostDouble
from revproxy.worker.lifecycle.loader import instantiate, loadBundle, unload
from revproxy.worker.lifecycle.unloadproof import Remains, UnloadProof
from tests.worker.lifecycle.test_loader import GOOD, bundle, manifest

KEPT: list[Any] = []
"""What somebody else keeps."""

ATTRIBUTE: Any = None

PLUGIN = f"""\
import functools, logging, threading
from twisted.internet.defer import Deferred, ensureDeferred
{GOOD}
class Handler(logging.Handler):
    def emit(self, record):
        pass

def tick(*arguments):
    pass

def wait(event, ready=None):
    if ready is not None:
        ready.set()
    event.wait(120)

async def sleep(waiting):
    await waiting

def boom():
    raise ValueError("boom")

def count():
    yield 1
    yield 2
"""


class IAsked(Interface):
    """Something to adapt to."""


class ProofTestCase(SynchronousTestCase):
    """A proof on a clock, and a plugin to be loaded."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.unloaded: list[tuple[str, str, str]] = []
        self.remains: list[Remains] = []
        self.proof = UnloadProof(self.clock, lambda *what: self.unloaded.append(what), self.remains.append)
        self.addCleanup(self.proof.stop)
        self.addCleanup(KEPT.clear)

    def retire(self, use: Callable[[Any, Any], Any] = lambda plugin, instance: None, text: str = PLUGIN) -> None:
        """Load a plugin, use its module and instance, unload it, and watch it."""
        module = loadBundle(bundle(text), manifest())
        instance = instantiate(module, manifest(), {})
        use(module.main, instance)
        unload(module)
        self.proof.watch("p-q", "1", module.bundle.digest, module.sentinel, [instance])

    def pass_(self, seconds: float) -> None:
        """Let time pass, in small steps."""
        for _ in range(int(seconds * 10)):
            self.clock.advance(0.1)

    def assertGone(self) -> None:
        """What was retired is freed at the first look."""
        self.pass_(1.1)
        self.assertEqual([one[0] for one in self.unloaded], ["p-q"])
        self.assertEqual((self.remains, self.proof.alive("p-q"), self.clock.getDelayedCalls()), ([], 0, []))

    def held(self) -> tuple[str, ...]:
        """Who holds what was retired, told after the deadline."""
        self.pass_(29.5)
        self.assertEqual((self.unloaded, self.remains, self.proof.alive("p-q")), ([], [], 1))
        self.pass_(4)
        self.assertEqual(len(self.remains), 1)
        return self.remains[0].holders

    def assertHeld(self, *parts: str) -> None:
        """One of those who hold it is called so."""
        holders = self.held()
        self.assertTrue([one for one in holders if all(part in one for part in parts)], holders)


class LookTests(ProofTestCase):
    """When it looks, and what that costs."""

    def test_gone(self) -> None:
        """A version that nobody holds is told to be gone, once, with its digest."""
        self.retire()
        self.assertEqual(self.proof.alive("p-q"), 1)
        self.assertEqual(self.proof.alive("other"), 0)
        self.assertGone()
        self.assertEqual(self.unloaded[0][1:], ("1", bundle(PLUGIN).digest))

    def test_idle(self) -> None:
        """With nothing to watch it does nothing."""
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_collectsOnlyIfNeeded(self) -> None:
        """What is gone by itself costs no collection; several that are not cost one."""
        collections: list[int] = []
        proof = UnloadProof(self.clock, lambda *_: None, self.remains.append, collect=lambda: collections.append(1))
        self.addCleanup(proof.stop)
        proof.watch("p", "1", "d", None, [])
        self.clock.advance(1)
        self.assertEqual(collections, [])
        KEPT.extend([Clock(), Clock()])
        proof.watch("p", "1", "d", None, [KEPT[0]])
        proof.watch("p", "1", "d", None, [weakref.ref(KEPT[1])])
        self.clock.advance(1)
        self.assertEqual((collections, proof.alive("p")), ([1], 2))

    def test_backsOff(self) -> None:
        """Looks become rare: every ten seconds, and every minute when all were told."""
        times: list[float] = []
        proof = UnloadProof(
            self.clock, lambda *_: None, self.remains.append, collect=lambda: times.append(self.clock.seconds())
        )
        self.addCleanup(proof.stop)
        KEPT.append(Clock())
        proof.watch("p", "1", "d", None, KEPT)
        for _ in range(2000):
            self.clock.advance(0.1)
        self.assertEqual([round(time) for time in times[:7]], [1, 3, 7, 15, 25, 30, 41])
        self.assertLess(len(times), 12)
        self.assertEqual(len(self.remains), 1)
        proof.watch("p", "2", "d", None, KEPT)
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
                KEPT[:] = [Clock()]
                proof.watch("p", "1", "d", None, KEPT)
                self.clock.advance(0.1)
            proof.stop()
            between = [later - earlier for earlier, later in itertools.pairwise(times)]
            self.assertGreater(len(between), 1)
            self.assertTrue(all(pause <= one < pause + 1 for one in between), between)

    def test_late(self) -> None:
        """What goes away after it was told is told to be gone all the same."""
        self.retire(lambda plugin, instance: KEPT.append(instance))
        self.assertHeld("module attribute tests.worker.lifecycle.test_unloadproof.KEPT")
        remains = self.remains[0]
        self.assertEqual((remains.plugin, remains.version, remains.digest), ("p-q", "1", bundle(PLUGIN).digest))
        self.assertEqual(remains.kinds, ("module globals", "instance", "class"))
        self.assertTrue(30 <= remains.seconds < 34, remains.seconds)
        self.assertEqual(self.unloaded, [])
        KEPT.clear()
        self.pass_(61)
        self.assertEqual((len(self.unloaded), len(self.remains)), (1, 1))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_globalsAlone(self) -> None:
        """A function keeps the globals, not the module: it is found through the sentinel."""
        self.retire(lambda plugin, instance: KEPT.append(plugin.tick))
        self.held()
        self.assertIn("module globals", self.remains[0].kinds)

    def test_stop(self) -> None:
        """After stop nothing is watched; also in the middle of a search, which lets go."""
        self.retire(lambda plugin, instance: KEPT.append(instance))
        gone = weakref.ref(KEPT[0])
        while self.proof._search is None:
            self.clock.advance(0.1)
        self.clock.advance(0)
        self.proof.stop()
        self.assertEqual((self.clock.getDelayedCalls(), self.proof.alive("p-q")), ([], 0))
        KEPT.clear()
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
        for _ in range(3):
            self.retire()
        self.retire(lambda plugin, instance: KEPT.append(instance))
        self.assertEqual(self.proof.alive("p-q"), 4)
        self.pass_(1.1)
        self.assertEqual((len(self.unloaded), self.proof.alive("p-q")), (3, 1))


class HolderTests(ProofTestCase):
    """Those who hold; each with a twin that lets go."""

    def test_moduleAttribute(self) -> None:
        """An attribute of another module."""
        def leak(plugin: Any, instance: Any) -> None:
            global ATTRIBUTE
            ATTRIBUTE = plugin.PluginMain

        self.addCleanup(globals().update, ATTRIBUTE=None)
        self.retire(leak)
        self.assertHeld("module attribute tests.worker.lifecycle.test_unloadproof.ATTRIBUTE")

    def test_classAttribute(self) -> None:
        """An attribute of a class of another module."""
        ProofTestCase.leaked = None  # type: ignore[attr-defined]
        self.addCleanup(delattr, ProofTestCase, "leaked")
        self.retire(lambda plugin, instance: setattr(ProofTestCase, "leaked", instance))
        self.assertHeld("an attribute of class tests.worker.lifecycle.test_unloadproof.ProofTestCase")

    def test_delayedCall(self) -> None:
        """A delayed call of the reactor; one that was cancelled, or booked, holds nobody."""
        def leak(plugin: Any, instance: Any) -> None:
            KEPT.append(weakref.ref(plugin.tick))
            call = reactor.callLater(3600, plugin.tick, 1)  # type: ignore[attr-defined]
            self.addCleanup(call.cancel)

        self.retire(leak)
        self.assertHeld("a delayed call of the reactor: plugin.tick in 3")

    def test_delayedCallEnded(self) -> None:
        """The same, ended with the plugin's host."""
        host = HostDouble()
        self.retire(lambda plugin, instance: host.callLater(3600, plugin.tick, instance))
        self.successResultOf(host.close())
        self.assertGone()

    def test_hostCall(self) -> None:
        """A host that was not closed is seen through."""
        host = HostDouble()
        self.retire(lambda plugin, instance: host.callLater(3600, plugin.tick, instance))
        self.assertHeld("a delayed call of the reactor: plugin.tick")

    def test_loop(self) -> None:
        """A looping call."""
        clock = Clock()

        def leak(plugin: Any, instance: Any) -> None:
            loop = LoopingCall(plugin.tick)
            loop.clock = clock
            loop.start(5)

        self.retire(leak)
        self.assertHeld("a looping call: plugin.tick every 5 s")

    def test_loopStopped(self) -> None:
        """A loop that the host ended."""
        host = HostDouble()
        self.retire(lambda plugin, instance: host.callEvery(5, plugin.tick, instance))
        self.successResultOf(host.close())
        self.assertGone()

    def test_deferred(self) -> None:
        """A pending Deferred, and who has it."""
        KEPT.append(Deferred())
        self.retire(lambda plugin, instance: KEPT[0].addCallback(plugin.tick))
        self.assertHeld("test_unloadproof.KEPT", "through a pending Deferred with callback plugin.tick")

    def test_deferredFired(self) -> None:
        """A Deferred that fired."""
        KEPT.append(Deferred())
        self.retire(lambda plugin, instance: KEPT[0].addCallback(plugin.tick))
        KEPT[0].callback(None)
        self.assertGone()

    def test_coroutine(self) -> None:
        """A coroutine that waits."""
        KEPT.append(Deferred())
        self.retire(lambda plugin, instance: plugin.ensureDeferred(plugin.sleep(KEPT[0])))
        self.assertHeld("test_unloadproof.KEPT", "a pending Deferred", "and a coroutine: function sleep at plugin.py:")
        KEPT.pop().callback(None)

    def test_generator(self) -> None:
        """A generator that was not exhausted."""
        def leak(plugin: Any, instance: Any) -> None:
            KEPT.append(plugin.count())
            next(KEPT[0])

        self.retire(leak)
        self.assertHeld("a generator: function count at plugin.py:")

    def test_logHandler(self) -> None:
        """A handler of a logger that is not its own."""
        logger = logging.getLogger("revproxy.tests.unloading")
        self.addCleanup(logger.handlers.clear)
        self.retire(lambda plugin, instance: logger.addHandler(plugin.Handler()))
        self.assertHeld("a log handler of logging.getLogger('revproxy.tests.unloading')")

    def test_logHandlerRemoved(self) -> None:
        """A handler that the host removed."""
        host = HostDouble()
        self.retire(lambda plugin, instance: host.addLogHandler(plugin.Handler(), "revproxy.tests.unloading"))
        self.successResultOf(host.close())
        self.assertGone()

    def test_logObserver(self) -> None:
        """An observer of twisted.logger."""
        def leak(plugin: Any, instance: Any) -> None:
            globalLogPublisher.addObserver(plugin.tick)
            self.addCleanup(globalLogPublisher.removeObserver, plugin.tick)

        self.retire(leak)
        self.assertHeld("a log observer of twisted.logger")

    def test_atexit(self) -> None:
        """A callback of atexit: a function, a method, a partial."""
        for make in (
            lambda plugin, instance: plugin.tick,
            lambda plugin, instance: instance.handle,
            lambda plugin, instance: functools.partial(plugin.tick, 1),
        ):
            self.remains.clear()
            self.proof.stop()

            def leak(plugin: Any, instance: Any, make: Any = make) -> None:
                callback = make(plugin, instance)
                atexit.register(callback)
                KEPT.append(weakref.WeakMethod(callback) if hasattr(callback, "__self__") else weakref.ref(callback))

            self.retire(leak)
            self.assertHeld("atexit callback")
            atexit.unregister(KEPT.pop()())

    def test_signal(self) -> None:
        """A signal handler."""
        before = signal.getsignal(signal.SIGUSR2)
        self.addCleanup(signal.signal, signal.SIGUSR2, before)
        self.retire(lambda plugin, instance: signal.signal(signal.SIGUSR2, plugin.tick))
        self.assertHeld("a signal handler of SIGUSR2")

    def test_finalizer(self) -> None:
        """A finalizer of something that lives on."""
        KEPT.append(Clock())
        self.retire(lambda plugin, instance: weakref.finalize(KEPT[0], plugin.tick))
        self.assertHeld("a weakref.finalize")

    def test_thread(self) -> None:
        """A thread that runs the plugin's code."""
        event, ready = threading.Event(), threading.Event()
        threads: list[threading.Thread] = []

        def leak(plugin: Any, instance: Any) -> None:
            threads.append(threading.Thread(target=plugin.wait, args=(event, ready), name="plugin thread"))
            threads[0].start()
            ready.wait(120)

        self.retire(leak)
        try:
            self.assertHeld("a thread: plugin thread")
        finally:
            event.set()
            threads.pop().join(120)

    def test_threadCalls(self) -> None:
        """A thread of somebody else's that is in a function of the plugin is told with the line."""
        event, ready = threading.Event(), threading.Event()
        given: list[Any] = []
        thread = threading.Thread(target=lambda: given.pop()(event, ready), name="pool thread")

        def leak(plugin: Any, instance: Any) -> None:
            given.append(plugin.wait)
            thread.start()
            ready.wait(120)

        self.retire(leak)
        try:
            self.assertHeld("a thread: pool thread, in function wait at plugin.py:")
        finally:
            event.set()
            thread.join(120)

    def test_threadEnded(self) -> None:
        """A thread that has ended."""
        event = threading.Event()
        event.set()

        def use(plugin: Any, instance: Any) -> None:
            thread = threading.Thread(target=plugin.wait, args=(event,))
            thread.start()
            thread.join(120)

        self.retire(use)
        self.assertGone()

    def test_registry(self) -> None:
        """An adapter that was registered with Twisted's registry."""
        def leak(plugin: Any, instance: Any) -> None:
            globalRegistry.register([implementedBy(Clock)], IAsked, "", plugin.PluginMain)

        self.addCleanup(globalRegistry.unregister, [implementedBy(Clock)], IAsked, "")
        self.retire(leak)
        self.assertHeld("an adapter registry")

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

    def test_failure(self) -> None:
        """A Failure with its frames, kept by somebody else; without them it holds nothing."""
        def leak(plugin: Any, instance: Any) -> None:
            try:
                plugin.boom()
            except ValueError:
                KEPT.append(Failure())

        self.retire(leak)
        self.assertHeld("test_unloadproof.KEPT", "through a Failure: ValueError and a frame: function ")

    def test_failureCleaned(self) -> None:
        """A Failure whose frames were cleaned."""
        def use(plugin: Any, instance: Any) -> None:
            try:
                plugin.boom()
            except ValueError:
                KEPT.append(Failure())
            KEPT[0].cleanFailure()

        self.retire(use)
        self.assertGone()

    def test_exception(self) -> None:
        """An exception with its traceback."""
        def leak(plugin: Any, instance: Any) -> None:
            try:
                plugin.boom()
            except ValueError as error:
                KEPT.append(error)

        self.retire(leak)
        self.assertHeld("test_unloadproof.KEPT", "through an exception: ValueError")

    def test_cache(self) -> None:
        """A cache of another module's function."""
        @functools.lru_cache
        def describe(kind: type) -> str:
            return kind.__name__

        KEPT.append(describe)
        self.retire(lambda plugin, instance: describe(plugin.Middleware))
        self.assertHeld("the cache of tests.worker.lifecycle.test_unloadproof.test_unloadproof.HolderTests.test_cache")

    def test_frozen(self) -> None:
        """A holder that was frozen is found too, though the collector leaves it out of its answers."""
        KEPT.append([])
        gc.collect()
        gc.freeze()
        self.addCleanup(gc.unfreeze)
        self.retire(lambda plugin, instance: KEPT[0].append(instance))
        self.pass_(30.2)
        while not self.remains and self.clock.seconds() < 600:
            self.clock.advance(0.1)
        self.assertTrue(any("module attribute tests.worker.lifecycle.test_unloadproof.KEPT" in one
                            for one in self.remains[0].holders), self.remains)

    def test_unseen(self) -> None:
        """A holder that nothing leads to is said to be so."""
        def leak(plugin: Any, instance: Any) -> None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(instance))
            KEPT.append(weakref.ref(instance))

        self.retire(leak)
        self.pass_(60)
        self.assertEqual(self.remains[0].holders,
                         ("an object of class plugin.Middleware, held by something that cannot be seen",))
        ctypes.pythonapi.Py_DecRef(ctypes.py_object(KEPT.pop()()))
        self.pass_(61)
        self.assertEqual(len(self.unloaded), 1)

    def test_limits(self) -> None:
        """However many hold it, a few are told, and no text is endless."""
        names = [f"kept{number}_{'x' * 500}" for number in range(30)]

        def leak(plugin: Any, instance: Any) -> None:
            for name in names:
                globals()[name] = instance

        self.addCleanup(lambda: [globals().pop(name) for name in names])
        self.retire(leak)
        holders = self.held()
        self.assertEqual((len(holders), {len(one) for one in holders}), (8, {200}))
