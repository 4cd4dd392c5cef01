"""Tests for :mod:`revproxy.loop.threads`."""

from __future__ import annotations

import gc
import threading
import weakref
from queue import SimpleQueue
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from revproxy.loop.threads import Threads, ThreadsFull, deferToThreads

LONG = 30.0
"""Seconds after which a test that waits for a thread fails."""


class Gate:
    """Functions that hang in a thread until they are let go."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.begun = threading.Semaphore(0)

    def hang(self) -> str:
        self.begun.release()
        self.open.wait(LONG)
        return threading.current_thread().name


class Thing:
    """Something to be kept alive by mistake."""

    def do(self) -> None:
        pass


class ThreadsTests(SynchronousTestCase):
    """`Threads`, without a reactor."""

    def setUp(self) -> None:
        self.gate = Gate()
        self.addCleanup(self.gate.open.set)
        self.results: list[tuple[bool, Any]] = []
        self.done = threading.Semaphore(0)

    def pool(self, most: int, queue: int | None = None, **options: Any) -> Threads:
        pool = Threads("p's threads", most, queue, **options)
        self.addCleanup(pool.end)
        return pool

    def told(self, success: bool, value: Any) -> None:
        self.results.append((success, value))
        self.done.release()

    def wait(self, count: int = 1) -> None:
        for _ in range(count):
            self.assertTrue(self.done.acquire(timeout=LONG))

    def hanging(self, pool: Threads, count: int) -> None:
        for _ in range(count):
            pool.begin(self.told, self.gate.hang)
        for _ in range(min(count, pool.most)):
            self.assertTrue(self.gate.begun.acquire(timeout=LONG))

    def test_result(self) -> None:
        """What a function returns, and what it raises, SystemExit included; the thread goes on."""
        pool = self.pool(1)
        pool.begin(self.told, int, "5")
        pool.begin(self.told, int, "x")
        pool.begin(self.told, exit, 3)
        pool.begin(self.told, dict, a=1)
        self.wait(4)
        (_, five), (right, wrong), (_, ended), (_, named) = self.results
        self.assertEqual((five, right, named), (5, False, {"a": 1}))
        self.assertTrue(wrong.check(ValueError))
        self.assertTrue(ended.check(SystemExit))

    def test_bounds(self) -> None:
        """No more threads than there may be, and no more waits than may; what is not taken says so, and is counted."""
        pool, full = self.pool(2, 3), []
        pool.onFull = lambda: full.append(1)
        self.hanging(pool, 5)
        self.assertEqual((pool.busy, pool.queued, pool.rejected), (2, 3, 0))
        message = str(self.assertRaises(ThreadsFull, pool.begin, self.told, int))
        self.assertEqual(message, "all 2 threads of p's threads are busy, and 3 calls wait for them already")
        self.assertEqual((pool.queued, pool.rejected, full), (3, 1, [1]))
        self.gate.open.set()
        self.wait(5)
        self.assertEqual({name for _, name in self.results}, {"p's threads"})

    def test_manyAtOnce(self) -> None:
        """What no thread has begun yet counts as well: what is quick does not make the queue longer than it may be."""
        threads = Threads("t", 2, 3)
        with self.assertRaises(ThreadsFull):
            for _ in range(100_000):
                threads.begin(lambda *result: None, int)
                self.assertLessEqual(threads.queued, 5)

    def test_noMoreThanNeeded(self) -> None:
        """A thread without work is used before another one is made."""
        pool = self.pool(8)
        for _ in range(20):
            pool.begin(self.told, threading.get_ident)
            self.wait()
            while pool.busy:
                pass
        self.assertLessEqual(len({ident for _, ident in self.results}), 2)

    def test_takenBack(self) -> None:
        """What waits can be taken back, and is not kept; what runs cannot."""
        pool = self.pool(1)
        running = pool.begin(self.told, self.gate.hang)
        self.assertTrue(self.gate.begun.acquire(timeout=LONG))
        thing = Thing()
        gone = weakref.ref(thing)
        waiting = pool.begin(self.told, thing.do)
        del thing
        self.assertEqual((pool.take(waiting), pool.take(waiting), pool.take(running)), (True, False, False))
        gc.collect()
        self.assertIsNone(gone())
        self.gate.open.set()
        self.wait()
        self.assertEqual((len(self.results), pool.queued), (1, 0))

    def test_keepsNothing(self) -> None:
        """A thread that waits for work keeps nothing of what it did."""
        pool, thing = self.pool(1), Thing()
        gone = weakref.ref(thing)
        pool.begin(self.told, thing.do)
        del thing
        self.wait()
        while pool.busy:
            pass
        gc.collect()
        self.assertIsNone(gone())

    def test_ends(self) -> None:
        """Threads without work end when they are told to, or after a while; later work is done all the same."""
        for end, options in ((True, {}), (False, {"idle": 0.0})):
            pool = self.pool(2, **options)
            pool.begin(self.told, threading.current_thread)
            self.wait()
            thread = self.results[-1][1]
            if end:
                pool.end()
            thread.join(LONG)
            self.assertFalse(thread.is_alive())
            pool.begin(self.told, int)
            self.wait()

    def test_daemons(self) -> None:
        """They do not keep the process from ending."""
        self.pool(1).begin(self.told, lambda: threading.current_thread().daemon)
        self.wait()
        self.assertEqual(self.results, [(True, True)])

    def test_nobodyTakesIt(self) -> None:
        """Where telling a result fails, that is logged, and the thread goes on."""
        pool = self.pool(1)
        pool.begin(lambda success, value: 1 // 0, int)
        pool.begin(self.told, int)
        self.wait()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class DeferredTests(TestCase):
    """`deferToThreads`."""

    def setUp(self) -> None:
        self.gate = Gate()
        self.addCleanup(self.gate.open.set)
        self.pool = Threads("p", 1, 1)
        self.addCleanup(self.pool.end)

    async def test_result(self) -> None:
        """Result and failure arrive in the reactor's thread."""
        arrived = deferToThreads(reactor, self.pool, int, "5").addCallback(lambda n: (n, threading.get_ident()))
        self.assertEqual(await arrived, (5, threading.get_ident()))
        await self.assertFailure(deferToThreads(reactor, self.pool, int, "x"), ValueError)

    async def test_cancelled(self) -> None:
        """What waits never runs, what runs is left alone; whoever waited is told at once."""
        calls: list[int] = []
        running = deferToThreads(reactor, self.pool, self.gate.hang)
        self.assertTrue(self.gate.begun.acquire(timeout=LONG))
        waiting = deferToThreads(reactor, self.pool, calls.append, 1)
        full = deferToThreads(reactor, self.pool, calls.append, 2)
        waiting.cancel()
        running.cancel()
        for each in (waiting, running):
            await self.assertFailure(each, CancelledError)
        await self.assertFailure(full, ThreadsFull)
        self.gate.open.set()
        self.assertEqual(await deferToThreads(reactor, self.pool, len, "abc"), 3)
        self.assertEqual(calls, [])

    async def test_nobodyWaits(self) -> None:
        """A failure whose result was cancelled is told all the same."""
        told: SimpleQueue[Failure] = SimpleQueue()

        def hanging() -> None:
            self.gate.hang()
            raise LookupError

        cancelled = deferToThreads(reactor, self.pool, hanging)
        cancelled.onUnhandled = told.put
        self.assertTrue(self.gate.begun.acquire(timeout=LONG))
        cancelled.cancel()
        await self.assertFailure(cancelled, CancelledError)
        self.gate.open.set()
        await deferToThreads(reactor, self.pool, len, "")
        self.assertIs(told.get_nowait().type, LookupError)
