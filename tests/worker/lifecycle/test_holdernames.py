"""What those who hold a plugin are called."""

from __future__ import annotations

import functools
import logging
import sys
import threading
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock, LoopingCall
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from revproxy.loading.loader import loadBundle, unload
from revproxy.testing import HostDouble
from revproxy.worker.lifecycle.holdernames import describeHandler, endOf, kindOf, nameOf, placeOf, wayOf
from tests.loading.test_loader import bundle, manifest


class Ticker:
    """Something with a method."""

    def tick(self) -> None:
        """What is called."""


class NameTests(SynchronousTestCase):
    """Functions, classes and frames."""

    def test_function(self) -> None:
        """A function has its module's last name, however it is wrapped."""
        loop = LoopingCall(functools.partial(Ticker().tick))
        for function in (Ticker.tick, Ticker().tick, functools.partial(functools.partial(Ticker().tick), 1), loop):
            self.assertEqual(nameOf(function), "test_holdernames.Ticker.tick")

    def test_callable(self) -> None:
        """An object that can be called has the name of its class."""
        self.assertEqual(nameOf(Ticker()), "test_holdernames.Ticker")

    def test_hostCall(self) -> None:
        """A call booked with a plugin's host is that of the plugin's function."""
        host = HostDouble()
        host.callLater(1, Ticker().tick)
        self.assertEqual(nameOf(host.clock.getDelayedCalls()[0].func), "test_holdernames.Ticker.tick")

    def test_class(self) -> None:
        """A builtin has no module; a plugin's class is not called by the name of its load."""
        loaded = loadBundle(bundle(), manifest())
        self.addCleanup(unload, loaded)
        self.assertEqual(kindOf([]), "list")
        self.assertEqual(kindOf(Ticker()), f"{__name__}.Ticker")
        self.assertEqual(kindOf(loaded.main.Middleware({})), "plugin.Middleware")

    def test_place(self) -> None:
        """A frame is its function, with file and line."""
        frame = sys._getframe()
        self.assertEqual(placeOf(frame), f"function NameTests.test_place at test_holdernames.py:{frame.f_lineno}")


class EndTests(SynchronousTestCase):
    """Who keeps things by itself."""

    def test_thread(self) -> None:
        """A thread does so while it runs."""
        over = threading.Event()
        thread = threading.Thread(target=over.wait, name="worker bee")
        self.assertIsNone(endOf(thread))
        thread.start()
        self.assertEqual(endOf(thread), "a thread: worker bee")
        over.set()
        thread.join()
        self.assertIsNone(endOf(thread))

    def test_delayedCall(self) -> None:
        """A delayed call does so until it was called or cancelled."""
        clock = Clock()
        call = clock.callLater(5, Ticker().tick)
        clock.advance(1)
        self.assertEqual(endOf(call), "a delayed call of the reactor: test_holdernames.Ticker.tick in 4.0 s")
        call.cancel()
        self.assertIsNone(endOf(call))

    def test_loop(self) -> None:
        """A looping call does so while it runs."""
        loop = LoopingCall(Ticker().tick)
        loop.clock = Clock()
        self.assertIsNone(endOf(loop))
        loop.start(2)
        self.assertEqual(endOf(loop), "a looping call: test_holdernames.Ticker.tick every 2 s")
        loop.stop()
        self.assertIsNone(endOf(loop))

    def test_handler(self) -> None:
        """A log handler does so while a logger has it; the root logger has no name."""
        handler = logging.Handler()
        self.assertIsNone(describeHandler(handler))
        for logger, text in ((logging.root, ""), (logging.getLogger("some.name"), "'some.name'")):
            logger.addHandler(handler)
            self.assertEqual(endOf(handler), f"a log handler of logging.getLogger({text})")
            logger.removeHandler(handler)

    def test_others(self) -> None:
        """Containers, and whatever else is kept by somebody, do not."""
        things: tuple[Any, ...] = ([], {}, Ticker(), Ticker().tick, Deferred())
        self.assertEqual([endOf(thing) for thing in things], [None] * len(things))


class WayTests(SynchronousTestCase):
    """What is worth telling on the way."""

    def test_deferred(self) -> None:
        """A Deferred is, while somebody waits for it; its first callback tells more."""
        waiting: Deferred[None] = Deferred()
        self.assertEqual(wayOf(waiting), "a pending Deferred")
        waiting.addCallback(lambda result: None).addCallback(Ticker().tick)
        self.assertIn("a pending Deferred with callback test_holdernames.WayTests.test_deferred", str(wayOf(waiting)))
        self.assertIsNone(wayOf(succeed(None)))
        chained = succeed(None).addCallback(lambda result: waiting)
        self.assertIn("a pending Deferred", str(wayOf(chained)))

    def test_suspended(self) -> None:
        """A coroutine is until it has ended."""

        async def wait() -> None:
            """Nothing to wait for."""

        coroutine = wait()
        self.assertRegex(str(wayOf(coroutine)), r"^a coroutine: function WayTests.* at test_holdernames.py:\d+$")
        coroutine.close()
        self.assertIsNone(wayOf(coroutine))

    def test_errors(self) -> None:
        """Failures and exceptions are, by their class."""
        self.assertEqual(wayOf(Failure(KeyError("x"))), "a Failure: KeyError")
        self.assertEqual(wayOf(KeyError("x")), "an exception: KeyError")

    def test_edge(self) -> None:
        """What is the edge's own is; what is everybody's tells nothing."""
        self.assertEqual(wayOf(HostDouble()), "the edge's revproxy.hostdoubles.HostDouble")
        self.assertEqual([wayOf([]), wayOf("x"), wayOf(Ticker())], [None] * 3)
