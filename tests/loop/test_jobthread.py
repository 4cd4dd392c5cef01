"""Threads for a disk that may never answer."""

from __future__ import annotations

import threading
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThreadPool
from twisted.trial.unittest import SynchronousTestCase, TestCase

from revproxy.loop.jobthread import HURRY, DaemonThreads, DiskSilent, JobThread


class JobThreadTests(SynchronousTestCase):
    """One job at a time, and no longer than its limit."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.jobs: list[Deferred[Any]] = []
        self.disk = JobThread(self.clock, self.begin, 30)

    def begin(self, function: Any, *arguments: Any) -> Deferred[Any]:
        self.jobs.append(Deferred())
        return self.jobs[-1]

    def do(self) -> Deferred[Any]:
        return Deferred.fromCoroutine(self.disk.do(print))

    def test_cancelled(self) -> None:
        """Who is not waited for any more is no silent disk; the next job comes when this one is over."""
        first = self.do()
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.clock.advance(29)
        second = self.do()
        self.assertEqual(len(self.jobs), 1)
        self.jobs[0].callback(1)
        self.clock.advance(29)
        self.jobs[1].callback(2)
        self.assertEqual(self.successResultOf(second), 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_silentBefore(self) -> None:
        """A job waits for the one before until that is late, and begins not even when it comes back then."""
        first = self.do()
        first.cancel()
        self.failureResultOf(first, CancelledError)
        second = self.do()
        self.clock.advance(30)
        self.assertEqual(str(self.failureResultOf(second, DiskSilent).value), "the disk has not answered for 30 s")
        self.failureResultOf(self.do(), DiskSilent)
        self.jobs[0].callback(1)
        self.assertEqual(len(self.jobs), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_hurry(self) -> None:
        """At the end of the edge a job that is waited for, or waits, is given less."""
        first = self.do()
        self.disk.hurry()
        self.clock.advance(HURRY)
        self.failureResultOf(first, DiskSilent)

    def test_hurryOfSeveral(self) -> None:
        """All of them are: who has asked first, and who waits for that."""
        asked = [self.do(), self.do(), self.do()]
        self.disk.hurry()
        self.clock.advance(HURRY)
        for each in asked:
            self.failureResultOf(each, DiskSilent)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class DaemonThreadTests(TestCase):
    """`DaemonThreads`, with the reactor."""

    def run_(self, function: object, *arguments: object) -> Deferred[object]:
        return deferToThreadPool(reactor, DaemonThreads(), function, *arguments)

    async def test_result(self) -> None:
        """What the function gives, or raises, comes back; it runs in a thread that keeps no process from ending."""
        isDaemon, name = await self.run_(lambda: (threading.current_thread().daemon, threading.current_thread().name))
        self.assertTrue(isDaemon)
        self.assertNotEqual(name, threading.current_thread().name)
        self.assertEqual(await self.run_(divmod, 7, 2), (3, 1))
        with self.assertRaises(ZeroDivisionError):
            await self.run_(divmod, 7, 0)

    async def test_notWaitedFor(self) -> None:
        """The loop does not wait until the system lets a new thread run."""
        waits, wait = [], threading.Event.wait

        def counted(event: threading.Event, timeout: float | None = None) -> bool:
            waits.append(threading.get_ident())
            return wait(event, timeout)

        self.patch(threading.Event, "wait", counted)
        self.assertEqual(await self.run_(divmod, 7, 2), (3, 1))
        self.assertNotIn(threading.get_ident(), waits)
