"""
Descriptors of locked processes, before the reactor runs and when it does.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from revproxy.isolation.process.descriptors import Descriptor, Descriptors
from tests.isolation.process.turns import Turns


class Pipe(Descriptor):
    """Calls somebody when there is something to read."""

    def __init__(self, fd: int, onRead: Callable[[bytes], None]) -> None:
        self.fd = fd
        self.onRead = onRead
        self.lost: Failure | None = None

    def doRead(self) -> None:
        """It is read."""
        self.onRead(os.read(self.fd, 100))

    def connectionLost(self, reason: Failure) -> None:
        """It has failed."""
        self.lost = reason


class WaitForTests(SynchronousTestCase):
    """The reactor does not run."""

    def setUp(self) -> None:
        """A pipe."""
        self.reactor = Turns()
        self.descriptors = Descriptors(self.reactor)
        self.reading, self.writing = os.pipe()
        self.addCleanup(os.close, self.reading)
        self.addCleanup(os.close, self.writing)

    def test_hasFired(self) -> None:
        """What is there already is returned at once, though there is no time."""
        self.assertEqual(self.descriptors.waitFor(succeed(3), 0), 3)

    def test_hasFailed(self) -> None:
        """What has failed is raised."""
        with self.assertRaises(ZeroDivisionError):
            self.descriptors.waitFor(fail(ZeroDivisionError()), 0)

    def test_comes(self) -> None:
        """What a descriptor brings is waited for."""
        waiting: Deferred[bytes] = Deferred()
        self.descriptors.read(Pipe(self.reading, waiting.callback))
        os.write(self.writing, b"here")
        self.assertEqual(self.descriptors.waitFor(waiting, 5), b"here")

    def test_comesNot(self) -> None:
        """What does not come is cancelled."""
        cancelled: list[object] = []
        waiting: Deferred[None] = Deferred(cancelled.append)
        self.descriptors.read(Pipe(self.reading, lambda data: None))
        with self.assertRaisesRegex(TimeoutError, "has not answered in 0.01 s"):
            self.descriptors.waitFor(waiting, 0.01)
        self.assertEqual(cancelled, [waiting])

    def test_sendsWhatWaits(self) -> None:
        """What would be done at the end of a turn is done."""
        waiting: Deferred[int] = Deferred()
        self.descriptors.soon(lambda: waiting.callback(1))
        self.assertEqual(self.descriptors.waitFor(waiting, 5), 1)

    def test_nothingElse(self) -> None:
        """Timers of others do not come due."""
        called: list[int] = []
        self.reactor.callLater(0, called.append, 1)
        self.descriptors.waitFor(succeed(None), 0)
        self.assertEqual(called, [])

    def test_oneThatFails(self) -> None:
        """As in a reactor: it is told, and not asked again."""
        waiting: Deferred[bytes] = Deferred()
        pipe = Pipe(self.reading, lambda data: 1 / 0)  # type: ignore[arg-type, return-value]
        self.descriptors.read(pipe)
        os.write(self.writing, b"here")
        with self.assertRaises(TimeoutError):
            self.descriptors.waitFor(waiting, 0.01)
        assert pipe.lost is not None
        self.assertIs(pipe.lost.type, ZeroDivisionError)
        self.assertNotIn(pipe, self.reactor.readers)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class SoonTests(SynchronousTestCase):
    """The end of a turn."""

    def test_once(self) -> None:
        """However much is to be done at the end of a turn, it is one timer."""
        reactor = Turns()
        descriptors, called = Descriptors(reactor), []
        descriptors.soon(lambda: called.append(1))
        descriptors.soon(lambda: called.append(2))
        self.assertEqual(len(reactor.getDelayedCalls()), 1)
        reactor.turn()
        self.assertEqual(called, [1, 2])
        descriptors.soon(lambda: called.append(3))
        reactor.turn()
        self.assertEqual(called, [1, 2, 3])
