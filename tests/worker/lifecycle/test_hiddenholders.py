"""Those who keep things where the collector does not look."""

from __future__ import annotations

import atexit
import functools
import logging
import signal
import sys
import threading
import weakref
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.worker.lifecycle.hiddenholders import framesOfThreads, hiddenHolders


class Holder:
    """Something with a method to be called one day."""

    def called(self, *arguments: Any) -> None:
        """By somebody."""


class HiddenHolderTests(SynchronousTestCase):
    """`hiddenHolders`."""

    def setUp(self) -> None:
        self.function = Holder().called

    def assertHidden(self, name: str) -> None:
        """The function is kept by somebody of that name."""
        names = [holder for holder, thing in hiddenHolders() if thing == self.function]
        self.assertEqual(names, [name])

    def test_atexit(self) -> None:
        """A callback at the end of the process, with arguments too; asking takes none of them out."""
        for callback in (self.function, functools.partial(self.function, 1)):
            atexit.register(callback)
            self.assertHidden("atexit callback")
            self.assertHidden("atexit callback")
            atexit.unregister(callback)
        self.assertNotIn(self.function, [thing for _, thing in hiddenHolders()])

    def test_signal(self) -> None:
        """A signal's handler."""
        self.addCleanup(signal.signal, signal.SIGUSR2, signal.signal(signal.SIGUSR2, self.function))
        self.assertHidden("a signal handler of SIGUSR2")

    def test_finalizer(self) -> None:
        """What is called when something else is gone."""
        other = Holder()
        finalizer = weakref.finalize(other, self.function)
        self.assertHidden("a weakref.finalize")
        finalizer.detach()
        self.assertNotIn(self.function, [thing for _, thing in hiddenHolders()])

    def test_hook(self) -> None:
        """A hook of the interpreter."""
        self.patch(sys, "unraisablehook", self.function)
        self.assertHidden("sys.unraisablehook")

    def test_logHandler(self) -> None:
        """A log handler, by its logger."""
        handler = logging.Handler()
        logger = logging.getLogger("hidden.holder")
        logger.addHandler(handler)
        self.addCleanup(logger.removeHandler, handler)
        self.assertIn(("a log handler of logging.getLogger('hidden.holder')", handler), list(hiddenHolders()))


class ThreadTests(SynchronousTestCase):
    """`framesOfThreads`."""

    def test_others(self) -> None:
        """The frames of another thread are told with it, from the innermost on; those of this one are not."""
        ready, over = threading.Event(), threading.Event()

        def wait() -> None:
            ready.set()
            over.wait(60)

        thread = threading.Thread(target=wait)
        thread.start()
        ready.wait(60)
        frames = [frame.f_code.co_name for owner, frame in framesOfThreads() if owner is thread]
        mine = [frame for owner, frame in framesOfThreads() if owner is threading.current_thread()]
        over.set()
        thread.join()
        self.assertIn("wait", frames)
        self.assertLess(frames.index("wait"), frames.index("run"))
        self.assertEqual(mine, [])
