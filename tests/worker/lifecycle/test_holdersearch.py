"""Who holds what should be gone."""

from __future__ import annotations

import atexit
import ctypes
import functools
import gc
import logging
import signal
import threading
import weakref
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, LoopingCall
from twisted.logger import globalLogPublisher
from twisted.python.components import globalRegistry
from twisted.python.failure import Failure
from zope.interface import Interface, implementedBy

from revproxy.testing import HostDouble
from tests.worker.lifecycle import retired
from tests.worker.lifecycle.retired import ProofTestCase

ATTRIBUTE: Any = None


class IRegistered(Interface):
    """Something to adapt to."""


class HolderTests(ProofTestCase):
    """Those who hold; each with a twin that lets go."""

    def test_moduleAttribute(self) -> None:
        """An attribute of another module."""
        def leak(plugin: Any, instance: Any) -> None:
            global ATTRIBUTE
            ATTRIBUTE = plugin.PluginMain

        self.addCleanup(globals().update, ATTRIBUTE=None)
        self.retire(leak)
        self.assertHeld("module attribute tests.worker.lifecycle.test_holdersearch.ATTRIBUTE")

    def test_classAttribute(self) -> None:
        """An attribute of a class of another module."""
        ProofTestCase.leaked = None  # type: ignore[attr-defined]
        self.addCleanup(delattr, ProofTestCase, "leaked")
        self.retire(lambda plugin, instance: setattr(ProofTestCase, "leaked", instance))
        self.assertHeld("an attribute of class tests.worker.lifecycle.retired.ProofTestCase")

    def test_delayedCall(self) -> None:
        """A delayed call of the reactor; one that was cancelled, or booked, holds nobody."""
        def leak(plugin: Any, instance: Any) -> None:
            retired.KEPT.append(weakref.ref(plugin.tick))
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
        retired.KEPT.append(Deferred())
        self.retire(lambda plugin, instance: retired.KEPT[0].addCallback(plugin.tick))
        self.assertHeld("retired.KEPT", "through a pending Deferred with callback plugin.tick")

    def test_deferredFired(self) -> None:
        """A Deferred that fired."""
        retired.KEPT.append(Deferred())
        self.retire(lambda plugin, instance: retired.KEPT[0].addCallback(plugin.tick))
        retired.KEPT[0].callback(None)
        self.assertGone()

    def test_coroutine(self) -> None:
        """A coroutine that waits."""
        retired.KEPT.append(Deferred())
        self.retire(lambda plugin, instance: plugin.ensureDeferred(plugin.sleep(retired.KEPT[0])))
        self.assertHeld("retired.KEPT", "a pending Deferred", "and a coroutine: function sleep at plugin.py:")
        retired.KEPT.pop().callback(None)

    def test_generator(self) -> None:
        """A generator that was not exhausted."""
        def leak(plugin: Any, instance: Any) -> None:
            retired.KEPT.append(plugin.count())
            next(retired.KEPT[0])

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
                makeRef: Any = weakref.WeakMethod if hasattr(callback, "__self__") else weakref.ref
                retired.KEPT.append(makeRef(callback))

            self.retire(leak)
            self.assertHeld("atexit callback")
            atexit.unregister(retired.KEPT.pop()())

    def test_signal(self) -> None:
        """A signal handler."""
        before = signal.getsignal(signal.SIGUSR2)
        self.addCleanup(signal.signal, signal.SIGUSR2, before)
        self.retire(lambda plugin, instance: signal.signal(signal.SIGUSR2, plugin.tick))
        self.assertHeld("a signal handler of SIGUSR2")

    def test_finalizer(self) -> None:
        """A finalizer of something that lives on."""
        retired.KEPT.append(Clock())
        self.retire(lambda plugin, instance: weakref.finalize(retired.KEPT[0], plugin.tick))
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
            globalRegistry.register([implementedBy(Clock)], IRegistered, "", plugin.PluginMain)

        self.addCleanup(globalRegistry.unregister, [implementedBy(Clock)], IRegistered, "")
        self.retire(leak)
        self.assertHeld("an adapter registry")

    def test_failure(self) -> None:
        """A Failure with its frames, kept by somebody else; without them it holds nothing."""
        def leak(plugin: Any, instance: Any) -> None:
            try:
                plugin.boom()
            except ValueError:
                retired.KEPT.append(Failure())

        self.retire(leak)
        self.assertHeld("retired.KEPT", "through a Failure: ValueError and a frame: function ")

    def test_failureCleaned(self) -> None:
        """A Failure whose frames were cleaned."""
        def use(plugin: Any, instance: Any) -> None:
            try:
                plugin.boom()
            except ValueError:
                retired.KEPT.append(Failure())
            retired.KEPT[0].cleanFailure()

        self.retire(use)
        self.assertGone()

    def test_exception(self) -> None:
        """An exception with its traceback."""
        def leak(plugin: Any, instance: Any) -> None:
            try:
                plugin.boom()
            except ValueError as error:
                retired.KEPT.append(error)

        self.retire(leak)
        self.assertHeld("retired.KEPT", "through an exception: ValueError")

    def test_cache(self) -> None:
        """A cache of another module's function."""
        @functools.lru_cache
        def describe(kind: type) -> str:
            return kind.__name__

        retired.KEPT.append(describe)
        self.retire(lambda plugin, instance: describe(plugin.Middleware))
        self.assertHeld(f"the cache of {__name__}.test_holdersearch.HolderTests.test_cache")

    def test_frozen(self) -> None:
        """A holder that was frozen is found too, though the collector leaves it out of its answers."""
        retired.KEPT.append([])
        gc.collect()
        gc.freeze()
        self.addCleanup(gc.unfreeze)
        self.retire(lambda plugin, instance: retired.KEPT[0].append(instance))
        self.pass_(30.2)
        while not self.remains and self.clock.seconds() < 600:
            self.clock.advance(0.1)
        self.assertTrue(any("module attribute tests.worker.lifecycle.retired.KEPT" in one
                            for one in self.remains[0].holders), self.remains)

    def test_unseen(self) -> None:
        """A holder that nothing leads to is said to be so."""
        def leak(plugin: Any, instance: Any) -> None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(instance))
            retired.KEPT.append(weakref.ref(instance))

        self.retire(leak)
        self.pass_(60)
        self.assertEqual(self.remains[0].holders,
                         ("an object of class plugin.Middleware, held by something that cannot be seen",))
        ctypes.pythonapi.Py_DecRef(ctypes.py_object(retired.KEPT.pop()()))
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
