"""Threads for a disk that may never answer."""

from __future__ import annotations

import threading
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThreadPool
from twisted.trial.unittest import SynchronousTestCase, TestCase

from revproxy.control.changes import ChangeRefused
from revproxy.loop.jobthread import HURRY, READING, DaemonThreads, DiskSilent, JobThread
from tests.authority import Authority
from tests.control.test_coordinator import LifecycleCase


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


class LookTests(LifecycleCase):
    """The folder of plugins is on a disk that does not answer."""

    def setUp(self) -> None:
        super().setUp()
        self.bench.write("a")
        self.bench.start()
        self.bench.write("a", version="2.0")
        self.answers = self.bench.lifecycle.files.inThread
        self.bench.lifecycle.files.inThread = self.hang
        self.done = self.bench.later(self.bench.lifecycle.apply())

    def hang(self, *job: Any) -> Deferred[Any]:
        self.job = Deferred[Any]()
        self.run_ = lambda: self.job.callback(job[0](*job[1:]))
        return self.job

    def test_refused(self) -> None:
        """What runs goes on; the change is refused, and so is the next one, at once."""
        self.bench.clock.advance(READING)
        refused = self.failureResultOf(self.done, ChangeRefused).value
        self.assertIn(f"the files cannot be looked at: the disk has not answered for {READING:g} s", str(refused))
        self.assertEqual((self.bench.seen(), self.bench.kinds()), (["a 1.0.0"], [("refused", "")]))
        self.failureResultOf(self.bench.later(self.bench.lifecycle.apply()), ChangeRefused)

    def test_back(self) -> None:
        """Once it has answered, the next change is made."""
        self.bench.clock.advance(READING)
        self.failureResultOf(self.done, ChangeRefused)
        self.bench.lifecycle.files.inThread = self.answers
        self.run_()
        self.apply()
        self.assertEqual(self.bench.seen(), ["a 2.0"])

    def test_end(self) -> None:
        """The end of the edge does not wait for it for long."""
        ended = self.bench.later(self.bench.lifecycle.end())
        self.bench.clock.advance(HURRY - 1)
        self.assertNoResult(ended)
        self.bench.clock.advance(1)
        self.successResultOf(ended)
        self.failureResultOf(self.done, ChangeRefused)


class UpstreamFileTests(LifecycleCase):
    """The certificate authority of an upstream is on a disk that does not answer any more."""

    def setUp(self) -> None:
        super().setUp()
        self.bench.root.joinpath("ca.pem").write_bytes(Authority("one").own.certificatePEM)
        upstream = "{targets: ['https://127.0.0.1:1'], tls: {ca: ca.pem}}"
        self.bench.configure("[{upstream: app}]", f"upstreams: {{app: {upstream}}}\n")
        self.bench.write("a")
        self.bench.start()
        self.bench.write("a", version="2.0")
        answers = self.bench.lifecycle.files.inThread

        def inThread(function: Any, *arguments: Any) -> Deferred[Any]:
            return Deferred() if function.__name__ == "isSame" else answers(function, *arguments)

        self.bench.lifecycle.files.inThread = inThread
        self.done = self.bench.later(self.bench.lifecycle.apply())
        self.bench.clock.advance(0)
        self.assertNoResult(self.done)

    def test_refused(self) -> None:
        """The change is refused, and what runs goes on."""
        self.bench.clock.advance(READING)
        self.failureResultOf(self.done, ChangeRefused)
        self.assertEqual(self.bench.seen(), ["a 1.0.0"])

    def test_end(self) -> None:
        """The edge ends."""
        ended = self.bench.later(self.bench.lifecycle.end())
        self.bench.clock.advance(HURRY)
        self.successResultOf(ended)
        self.failureResultOf(self.done, ChangeRefused)


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
