"""Turns of the loop without a logging context each."""

from __future__ import annotations

from typing import Any

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.loop import shortenTurns
from revproxy.dataplane.transport import EagerReactor
from tests.dataplane.wire import Recorder, Recorders


class ShortenTurnsTests(SynchronousTestCase):
    """A reactor of its own, turned by hand."""

    def setUp(self) -> None:
        self.reactor: Any = EPollReactor()
        self.reactor.running = True
        self.assertTrue(shortenTurns(self.reactor))
        self.eager = EagerReactor(self.reactor)
        self.factory = Recorders()
        port: Any = self.eager.listenTCP(0, self.factory, interface="127.0.0.1")
        self.client = Recorder()
        made = Factory.forProtocol(lambda: self.client)  # type: ignore[arg-type]
        made.noisy = False
        for name in ("startedConnecting", "clientConnectionLost", "clientConnectionFailed"):
            setattr(made, name, lambda *args: None)
        self.eager.connectTCP("127.0.0.1", port.getHost().port, made)
        self.until(lambda: self.factory.made and self.client.events)
        self.server = self.factory.made[0]
        self.addCleanup(self.close, port)

    def close(self, port: Any) -> None:
        """Leave no descriptors."""
        port.stopListening()
        self.client.transport.abortConnection()  # type: ignore[attr-defined]
        self.until(lambda: not port.connected and self.server.reason and self.client.reason)
        for reader in self.reactor.removeAll():
            reader.connectionLost(None)
        self.reactor._poller.close()

    def until(self, fact: Any) -> None:
        """Turn until something is so."""
        for _ in range(1000):
            if fact():
                return
            self.reactor.iterate(0.01)
        self.fail("it did not come to pass")

    def test_bytes(self) -> None:
        """Connections are accepted, bytes go both ways, ends are told: as without it."""
        self.server.onData = self.server.transport.write
        data = bytes(3_000_000)
        self.client.transport.write(data)
        self.until(lambda: len(self.client.received) == len(data))
        self.client.transport.loseConnection()
        self.until(lambda: self.server.reason)
        self.assertIsNotNone(self.server.reason.check(ConnectionDone))

    def test_errorsEndTheirConnection(self) -> None:
        """A protocol that raises is logged and cut off with its error; the loop goes on."""

        def fail(data: bytes) -> None:
            raise ValueError("from a protocol")

        self.server.onData = fail
        self.client.transport.write(b"x")
        self.until(lambda: self.client.reason)
        self.assertIsNotNone(self.server.reason.check(ValueError))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_errorsOfTheEnd(self) -> None:
        """One that raises when it is told of the end is logged, and the loop goes on."""

        def fail(reason: Any = None) -> None:
            self.server.reason = reason
            raise ValueError("from an end")

        self.server.connectionLost = fail  # type: ignore[method-assign]
        self.client.transport.loseConnection()
        self.until(lambda: self.server.reason)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_otherReactors(self) -> None:
        """What is not exactly the epoll reactor is left alone."""
        clock = Clock()
        self.assertFalse(shortenTurns(clock))
        self.assertFalse(hasattr(clock, "doIteration"))
