"""Tests for :mod:`revproxy.loop.reactor`."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.loop import reactor
from revproxy.loop.reactor import EdgeReactor, installUnlessChosen, leaveThreads


class Descriptor:
    """One end of a pipe, as the reactor sees it."""

    def __init__(self, descriptor: int, outcome: Any = None) -> None:
        self._descriptor = descriptor
        self._outcome = outcome
        self.calls: list[str] = []
        self.reason: Any = None

    def fileno(self) -> int:
        return self._descriptor

    def logPrefix(self) -> str:
        return "test"

    def doRead(self) -> Any:
        self.calls.append("read")
        if isinstance(self._outcome, Exception) and not isinstance(self._outcome, ConnectionDone):
            raise self._outcome
        return self._outcome

    def doWrite(self) -> Any:
        self.calls.append("write")

    def connectionLost(self, reason: Any) -> None:
        self.reason = reason

    def readConnectionLost(self, reason: Any) -> None:
        self.reason = reason


class EdgeReactorTests(SynchronousTestCase):
    """Events reach descriptors as under Twisted's own reactor."""

    def test_clockSetBack(self) -> None:
        """When the machine's clock is set back by hours, what was to come in five seconds comes in five seconds."""
        made = EdgeReactor()
        self.addCleanup(made.disconnectAll)
        now, came = [1e9], []
        made.seconds = lambda: now[0]
        made.callLater(5, came.append, "first")
        made.runUntilCurrent()
        made.timeout()
        made.callLater(6, came.append, "second")
        now[0] -= 3 * 3600
        self.assertLessEqual(made.timeout(), 5.0)
        for wanted in (["first"], ["first", "second"]):
            now[0] += 5
            made.runUntilCurrent()
            self.assertEqual(came, wanted)

    def setUp(self) -> None:
        self.reactor = EdgeReactor()
        self.addCleanup(self.reactor._poller.close)
        self.readable, self.writable = os.pipe()
        self.addCleanup(os.close, self.readable)
        self.addCleanup(os.close, self.writable)

    def poll(self) -> None:
        self.reactor.doPoll(0)

    def test_readable(self) -> None:
        """Bytes that wait have doRead called, each turn until they are taken; nothing else is."""
        descriptor = Descriptor(self.readable)
        self.reactor.addReader(descriptor)
        self.poll()
        self.assertEqual(descriptor.calls, [])
        os.write(self.writable, b"x")
        self.poll()
        self.poll()
        self.assertEqual(descriptor.calls, ["read", "read"])

    def test_writable(self) -> None:
        """Room to write has doWrite called."""
        descriptor = Descriptor(self.writable)
        self.reactor.addWriter(descriptor)
        self.poll()
        self.assertEqual(descriptor.calls, ["write"])

    def test_ends(self) -> None:
        """A reason given by doRead ends the descriptor, and it is watched no more."""
        descriptor = Descriptor(self.readable, ConnectionDone())
        self.reactor.addReader(descriptor)
        os.write(self.writable, b"x")
        self.poll()
        self.poll()
        self.assertEqual(descriptor.calls, ["read"])
        self.assertTrue(descriptor.reason.check(ConnectionDone))

    def test_raises(self) -> None:
        """What doRead raises is logged, ends that descriptor, and leaves the others alone."""
        broken = Descriptor(self.readable, ZeroDivisionError("oops"))
        other = Descriptor(self.writable)
        self.reactor.addReader(broken)
        self.reactor.addWriter(other)
        os.write(self.writable, b"x")
        self.poll()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertTrue(broken.reason.check(ZeroDivisionError))
        self.assertEqual(other.calls, ["write"])

    def test_urgent(self) -> None:
        """After one event that takes long the others wait for another look, in which what is urgent comes first."""
        order: list[str] = []
        clock = Clock()
        self.patch(reactor, "monotonic", clock.seconds)

        def ready(name: str, takes: float) -> Descriptor:
            readable, writable = os.pipe()
            self.addCleanup(os.close, readable)
            self.addCleanup(os.close, writable)
            descriptor = Descriptor(readable)

            def read() -> None:
                os.read(readable, 1)
                order.append(name)
                clock.advance(takes)

            descriptor.doRead = read  # type: ignore[method-assign]
            self.reactor.addReader(descriptor)
            os.write(writable, b"x")
            return descriptor

        for number in range(3):
            ready(f"slow {number}", reactor.LONG + 0.1)
        ready("urgent", 0).isUrgent = True  # type: ignore[attr-defined]
        ready("quick", 0)
        self.poll()
        self.assertEqual(order, ["slow 0"])
        self.poll()
        self.assertEqual(order[1:], ["urgent"])
        for _ in range(3):
            self.poll()
        self.assertEqual(order[2:], ["slow 1", "slow 2", "quick"])

    def test_goneMeanwhile(self) -> None:
        """A descriptor that another one's event has removed is not called any more."""
        second, secondWritable = os.pipe()
        self.addCleanup(os.close, second)
        self.addCleanup(os.close, secondWritable)
        later = Descriptor(second)
        first = Descriptor(self.readable)
        reads = []

        def removeOther() -> None:
            reads.append(1)
            self.reactor.removeReader(later)
            self.reactor.removeReader(first)

        first.doRead = later.doRead = removeOther  # type: ignore[method-assign]
        self.reactor.addReader(first)
        self.reactor.addReader(later)
        os.write(self.writable, b"x")
        os.write(secondWritable, b"x")
        self.poll()
        self.assertEqual(reads, [1])


class InstallTests(SynchronousTestCase):
    """It is installed where nobody chose another."""

    def test_chosen(self) -> None:
        """A reactor that is installed already stays."""
        from twisted.internet import reactor

        self.assertIs(installUnlessChosen(), reactor)

    def test_notChosen(self) -> None:
        """Otherwise ours is."""
        script = (
            "from revproxy.loop.reactor import installUnlessChosen as i; i()\n"
            "from twisted.internet import reactor; print(type(reactor).__name__)"
        )
        said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        self.assertEqual(said.stdout, "EdgeReactor\n")


class ThreadsTests(SynchronousTestCase):
    """`keepThreadsApart` and `leaveThreads`."""

    def test_filled(self) -> None:
        """What fills the reactor's threads keeps neither names from being resolved nor the process from ending."""
        code = """
import sys, threading
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.protocol import Factory, Protocol
from revproxy.loop.reactor import EdgeReactor, installUnlessChosen, keepThreadsApart, leaveThreads
reactor = installUnlessChosen()
keepThreadsApart(reactor)
for _ in range(24):
    reactor.callInThread(threading.Event().wait)
port = reactor.listenTCP(0, Factory.forProtocol(Protocol), interface="127.0.0.1").getHost().port

def connected(_):
    print("connected")
    leaveThreads(reactor)
    reactor.stop()

connecting = HostnameEndpoint(reactor, "localhost", port).connect(Factory.forProtocol(Protocol))
connecting.addCallbacks(connected, lambda failure: print(failure))
reactor.run()
print("ended")
"""
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=environment, check=False
        )
        self.assertEqual((done.stdout, done.stderr, done.returncode), ("connected\nended\n", "", 0))

    def test_noThreads(self) -> None:
        """A reactor without threads, as tests have, has nothing to leave."""
        leaveThreads(object())
