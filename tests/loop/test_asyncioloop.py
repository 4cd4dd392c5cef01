"""Tests for :mod:`revproxy.loop.asyncioloop`; the loop is real, and what it tells is waited for."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from revproxy.loop.asyncioloop import AsyncioLoop, LoopHeld, Tasks

PATIENCE = 20
LOOP = AsyncioLoop()


class ReactorDouble:
    """Does what threads ask for when a test waits."""

    def __init__(self) -> None:
        self.asked: SimpleQueue[Callable[[], Any]] = SimpleQueue()

    def callFromThread(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self.asked.put(partial(function, *args, **kwargs))

    def workUntil(self, isDone: Callable[[], bool]) -> None:
        """:raises queue.Empty: if it takes too long."""
        while not isDone():
            self.asked.get(timeout=PATIENCE)()


class TasksCase(SynchronousTestCase):
    """A book of tasks in a loop."""

    def setUp(self) -> None:
        self.reactor = ReactorDouble()
        self.failures: list[Failure] = []
        self.tasks = Tasks(self.reactor, self.failures.append, LOOP)

    def result(self, waiting: Deferred[Any]) -> Any:
        self.reactor.workUntil(lambda: waiting.called)
        return self.successResultOf(waiting)

    def failure(self, waiting: Deferred[Any], *kinds: type[BaseException]) -> Failure:
        self.reactor.workUntil(lambda: waiting.called)
        return self.failureResultOf(waiting, *kinds)

    def close(self) -> None:
        self.result(self.tasks.close())


class BeginTests(TasksCase):
    """Work for asyncio."""

    def test_result(self) -> None:
        """A coroutine runs in the loop's thread, and what it returns arrives in the reactor's."""

        async def work() -> Any:
            await asyncio.sleep(0)
            return threading.current_thread().name, asyncio.get_running_loop()

        self.assertEqual(self.result(self.tasks.begin(work())), ("asyncio", LOOP.loop))

    def test_function(self) -> None:
        """A function is called in the loop, and gives the coroutine."""

        async def work(loop: Any) -> Any:
            return loop

        self.assertIs(self.result(self.tasks.begin(lambda: work(asyncio.get_running_loop()))), LOOP.loop)

    def test_raises(self) -> None:
        """So does what it raises; and what a function raises before there is a coroutine."""

        async def work() -> None:
            raise ZeroDivisionError

        self.failure(self.tasks.begin(work()), ZeroDivisionError)
        self.failure(self.tasks.begin(lambda: 1 / 0), ZeroDivisionError)  # type: ignore[arg-type]
        self.failure(self.tasks.begin(lambda: 5), TypeError)  # type: ignore[arg-type, return-value]
        self.assertEqual(self.failures, [])

    def test_cancelled(self) -> None:
        """Cancelling is at once, and the task learns of it; before it has begun, it never does."""
        told = threading.Event()
        begun = threading.Event()

        async def work() -> None:
            begun.set()
            try:
                await asyncio.sleep(1000)
            finally:
                told.set()

        waiting = self.tasks.begin(work())
        self.assertTrue(begun.wait(PATIENCE))
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertTrue(told.wait(PATIENCE))
        hold = threading.Event()
        LOOP.loop.call_soon_threadsafe(hold.wait, PATIENCE)
        begun.clear()
        waiting = self.tasks.begin(work())
        waiting.cancel()
        hold.set()
        self.failureResultOf(waiting, CancelledError)
        self.close()
        self.assertFalse(begun.is_set())

    def test_failsCancelled(self) -> None:
        """What fails because it is cancelled has nobody who waits for it: it is told as unhandled."""
        begun = threading.Event()

        async def work() -> None:
            begun.set()
            try:
                await asyncio.sleep(1000)
            finally:
                raise LookupError

        waiting = self.tasks.begin(work())
        waiting.onUnhandled = self.failures.append
        self.assertTrue(begun.wait(PATIENCE))
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.reactor.workUntil(lambda: bool(self.failures))
        self.assertIs(self.failures[0].type, LookupError)

    def test_cancelledInside(self) -> None:
        """Who is cancelled by somebody inside has not answered."""

        async def work() -> None:
            raise asyncio.CancelledError

        self.failure(self.tasks.begin(work()), CancelledError)


class BookTests(TasksCase):
    """Whose a task is."""

    def test_inherited(self) -> None:
        """What tasks and their callbacks begin ends with the book, and nobody else's does."""
        ended: list[str] = []

        async def forever(name: str) -> None:
            try:
                await asyncio.sleep(1000)
            finally:
                ended.append(name)

        async def work() -> None:
            loop = asyncio.get_running_loop()
            self.kept = [asyncio.create_task(forever("task"))]
            loop.call_later(0.001, lambda: self.kept.append(asyncio.create_task(forever("timer"))))
            while len(self.kept) < 2:
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.001)

        other = Tasks(self.reactor, self.failures.append, LOOP)
        others = other.begin(forever("other"))
        self.result(self.tasks.begin(work()))
        self.assertEqual((self.tasks.left(), ended), (2, []))
        self.close()
        self.assertEqual((self.tasks.left(), sorted(ended)), (0, ["task", "timer"]))
        self.assertFalse(others.called)
        self.result(other.close())
        self.failure(others, CancelledError)

    def test_begunMeanwhile(self) -> None:
        """What a task begins while it is cancelled is cancelled, too."""
        ended = []

        async def last() -> None:
            try:
                await asyncio.sleep(1000)
            finally:
                ended.append("last")

        begun = threading.Event()

        async def work() -> None:
            begun.set()
            try:
                await asyncio.sleep(1000)
            finally:
                self.kept = asyncio.create_task(last())
                await asyncio.sleep(0)

        waiting = self.tasks.begin(work())
        self.assertTrue(begun.wait(PATIENCE))
        self.close()
        self.failure(waiting, CancelledError)
        self.assertEqual((ended, self.tasks.left()), ([], 0))  # it was cancelled before its first step

    def test_notBegun(self) -> None:
        """A task that is cancelled before its first step leaves nothing behind, no warning either."""

        async def work() -> None:
            raise AssertionError

        hold = threading.Event()
        LOOP.loop.call_soon_threadsafe(hold.wait, PATIENCE)
        waiting, closing = self.tasks.begin(work()), self.tasks.close()
        hold.set()
        self.failure(waiting, CancelledError)
        self.result(closing)
        self.assertEqual(self.flushWarnings(), [])

    def test_refuses(self) -> None:
        """A task that does not end keeps nobody but whoever waits for just that."""
        end = asyncio.Event()
        begun = threading.Event()

        async def work() -> None:
            begun.set()
            while not end.is_set():
                try:
                    await end.wait()
                except asyncio.CancelledError:
                    pass

        waiting = self.tasks.begin(work())
        self.assertTrue(begun.wait(PATIENCE))
        closing = self.tasks.close()
        self.result(Tasks(self.reactor, self.failures.append, LOOP).begin(asyncio.sleep(0)))
        self.assertFalse(closing.called)
        LOOP.loop.call_soon_threadsafe(end.set)
        self.result(closing)
        self.result(waiting)

    def test_unheard(self) -> None:
        """What fails and is heard of by nobody is told to the book it is in: of tasks, and of callbacks."""

        async def fails() -> None:
            raise ZeroDivisionError

        def raises() -> None:
            raise KeyError

        async def work() -> None:
            asyncio.create_task(fails())  # noqa: RUF006
            asyncio.get_running_loop().call_soon(raises)
            await asyncio.sleep(0.001)
            gc.collect()

        self.result(self.tasks.begin(work()))
        self.reactor.workUntil(lambda: len(self.failures) == 2)
        self.assertEqual({failure.type for failure in self.failures}, {ZeroDivisionError, KeyError})

    def test_survives(self) -> None:
        """Neither SystemExit of a task nor a loop that is stopped by one is the end of the loop."""

        async def work() -> None:
            raise SystemExit(3)

        async def stops() -> None:
            asyncio.get_running_loop().stop()

        self.failure(self.tasks.begin(work()), SystemExit)
        self.result(self.tasks.begin(stops()))
        self.result(self.tasks.begin(asyncio.sleep(0)))
        self.flushLoggedErrors(SystemExit)

    def test_held(self) -> None:
        """Who holds the loop is told so, once, when somebody else comes."""
        loop = AsyncioLoop()
        hold, held = threading.Event(), threading.Event()

        async def work() -> None:
            held.set()
            hold.wait(PATIENCE)

        tasks = Tasks(self.reactor, self.failures.append, loop)
        first = tasks.begin(work())
        self.assertTrue(held.wait(PATIENCE))
        loop._beaten -= 10
        others: list[Failure] = []
        other = Tasks(self.reactor, others.append, loop)
        waiting = [other.begin(asyncio.sleep(0)) for _ in range(3)]
        self.reactor.workUntil(lambda: bool(self.failures))
        hold.set()
        for each in (first, *waiting):
            self.result(each)
        self.assertEqual((len(self.failures), others), (1, []))
        self.failures[0].trap(LoopHeld)
        self.assertIn("threading.py:", self.failures[0].getErrorMessage())
