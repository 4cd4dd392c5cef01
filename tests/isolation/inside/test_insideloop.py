"""The loop: one stream, and timers."""

from __future__ import annotations

import select
import socket
from typing import Any

from twisted.internet.interfaces import IReactorFromThreads, IReactorTime
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from revproxy.isolation.inside.holding import Holding
from revproxy.isolation.inside.insideloop import LATE, InsideLoop
from tests.isolation.inside.rooms import PageDouble


class LoopTests(SynchronousTestCase):
    """`InsideLoop`, on a clock that a test moves."""

    def setUp(self) -> None:
        self.now = 1000.0
        self.edge, self.inside = socket.socketpair()
        self.addCleanup(self.edge.close)
        self.addCleanup(self.inside.close)
        self.page = PageDouble()
        self.holding = Holding(self.page)
        self.loop = InsideLoop(self.inside.fileno(), self.holding, lambda: self.now)
        self.called: list[Any] = []
        self.edge.settimeout(5)

    def _turn(self, data: bytes = b".") -> None:
        """One turn, with something to read, so that it waits for nothing."""
        self.edge.sendall(data)
        self.loop._isRunning = True
        self.loop.turn()

    def _later(self, delay: float, name: str) -> Any:
        return self.loop.callLater(delay, self.called.append, name)

    def test_interfaces(self) -> None:
        """It is a clock as Twisted's."""
        verifyObject(IReactorTime, self.loop)
        verifyObject(IReactorFromThreads, self.loop)

    def test_order(self) -> None:
        """Calls come in the order of their times, and not before."""
        self._later(2, "c")
        self._later(1, "b")
        self._later(0, "a")
        self._turn()
        self.assertEqual(self.called, ["a"])
        self.now += 5
        self._turn()
        self.assertEqual(self.called, ["a", "b", "c"])
        self.assertEqual(list(self.loop.getDelayedCalls()), [])

    def test_cancel(self) -> None:
        """One that is cancelled does not come: not even if that happens in the same turn."""
        late: list[Any] = []
        self.loop.callLater(1, lambda: late[0].cancel())
        late.append(self._later(1, "never"))
        self._later(1, "ever")
        self.now += 1
        self._turn()
        self.assertEqual(self.called, ["ever"])

    def test_manyCancelled(self) -> None:
        """Those that were cancelled are not kept until their time would have come."""
        kept = self._later(10, "kept")
        for _ in range(1000):
            self._later(100, "never").cancel()
        self.assertLess(len(self.loop._timers), 120)
        self.assertEqual(list(self.loop.getDelayedCalls()), [kept])
        self.now += 10
        self._turn()
        self.assertEqual(self.called, ["kept"])

    def test_moved(self) -> None:
        """One that is put off comes later, one that is moved forward earlier."""
        off, forward = self._later(1, "off"), self._later(100, "forward")
        off.reset(10)
        forward.reset(2)
        self.now += 3
        self._turn()
        self.assertEqual(self.called, ["forward"])
        self.now += 7
        self._turn()
        self.assertEqual(self.called, ["forward", "off"])

    def test_negative(self) -> None:
        """There is no time before now."""
        self.assertRaises(ValueError, self.loop.callLater, -1, len)
        self.assertRaises(ValueError, self.loop.callLater, float("nan"), len)

    def test_raises(self) -> None:
        """What a call raises is told, and the next comes."""
        failures: list[BaseException] = []
        self.loop.onFailure = failures.append
        self.loop.callLater(0, lambda: 1 // 0)
        self._later(0, "next")
        self._turn()
        self.assertEqual((self.called, type(failures[0])), (["next"], ZeroDivisionError))

    def test_holder(self) -> None:
        """A timer runs on the account of the call that has set it, as long as that waits; so does what it sets."""
        self.holding.enter(7)
        self.holding.waits(7)
        self.loop.callLater(1, lambda: self.loop.callLater(1, self.called.append, "second"))
        self.loop.callFromThread(self.called.append, "soon")
        self.holding.leave()
        self.page.said.clear()
        self._turn()
        self.now += 1
        self._turn()
        self.holding.over(7)
        self.now += 1
        self._turn()
        self.assertEqual(self.called, ["soon", "second"])
        self.assertEqual(self.page.said, [7, 0, 7, 0])

    def test_data(self) -> None:
        """What has come is handed on; what was answered leaves together, at the end of the turn."""
        def answer(data: bytes) -> None:
            for octet in data:
                self.loop.sendLate()
                self.loop.send(b"<%c>" % octet)
            self.assertEqual(select.select([self.edge], [], [], 0)[0], [])

        self.loop.onData = answer
        self._turn(b"abc")
        self.assertEqual(self.edge.recv(100), b"<a><b><c>")

    def test_late(self) -> None:
        """What has waited too long leaves before the next call begins, which may spin."""
        def answer(data: bytes) -> None:
            self.loop.send(b"first")
            self.now += 2 * LATE
            self.loop.sendLate()
            self.assertEqual(self.edge.recv(100), b"first")
            self.loop.send(b"second")

        self.loop.onData = answer
        self._turn()
        self.assertEqual(self.edge.recv(100), b"second")

    def test_fromTimers(self) -> None:
        """What a timer sends does not wait for the edge to say something."""
        self.loop.callLater(0, self.loop.send, b"tick")
        self.loop.onData = lambda data: self.called.append(self.edge.recv(100))
        self._turn()
        self.assertEqual(self.called, [b"tick"])

    def test_large(self) -> None:
        """More than the socket takes at a time arrives whole."""
        from threading import Thread

        received: list[bytes] = []

        def read() -> None:
            while sum(map(len, received)) < 5_000_000:
                received.append(self.edge.recv(100_000))

        reader = Thread(target=read)
        reader.start()
        self.loop.send(b"x" * 5_000_000)
        self.loop.flush()
        reader.join(10)
        self.assertEqual(sum(map(len, received)), 5_000_000)

    def test_end(self) -> None:
        """It runs until the stream ends: also if that cannot be written to any more."""
        self.loop.onData = lambda data: self.loop.send(b"x" * 10)
        self.edge.sendall(b"something")
        self.edge.shutdown(socket.SHUT_WR)
        self.loop.run()
        self.assertEqual(self.edge.recv(100), b"x" * 10)
        self.edge.close()
        self.loop.run()

    def test_stop(self) -> None:
        """Or until it is stopped."""
        self.loop.callLater(0, self.loop.stop)
        self.loop.run()
        self.assertFalse(self.loop._isRunning)

    def test_waitsForTimer(self) -> None:
        """With nothing to read, it sleeps until the next call is due: really, here."""
        loop = InsideLoop(self.inside.fileno(), self.holding)
        loop.callLater(0.01, loop.stop)
        began = loop.seconds()
        loop.run()
        self.assertGreaterEqual(loop.seconds() - began, 0.01)
