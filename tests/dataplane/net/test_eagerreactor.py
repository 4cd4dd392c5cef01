"""
Tests for :mod:`revproxy.dataplane.net.eagerreactor`, on loopback.
"""

from __future__ import annotations

import socket
from errno import ECONNABORTED, EMFILE
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.endpoints import HostnameEndpoint, clientFromString, serverFromString
from twisted.internet.interfaces import (
    IReactorPluggableNameResolver,
    IReactorTime,
)
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.net.eagerclient import EagerClient
from revproxy.dataplane.net.eagerreactor import (
    ACCEPT_PAUSE,
    ACCEPT_QUIET,
    ACCEPTS_PER_TURN,
    FEW_ACCEPTS,
    EagerPort,
    described,
)
from tests.dataplane.wire import Recorder, Recorders, WireCase
from tests.socketfolder import socketFolder


class EndpointTests(WireCase):
    """The facade under Twisted's endpoints."""

    def test_provides(self) -> None:
        """It provides what the wrapped reactor provides."""
        self.assertTrue(IReactorTime.providedBy(self.eager))
        self.assertTrue(IReactorPluggableNameResolver.providedBy(self.eager))

    async def _exchange(self, server: Any, client: Any) -> tuple[Recorder, Recorder]:
        port = await server.listen(self.factory)
        self.addCleanup(self._close, port)
        if callable(client):
            client = client(port)
        ours = Recorder()
        factory = Factory.forProtocol(lambda: ours)  # type: ignore[arg-type]
        factory.noisy = False
        await client.connect(factory)
        theirs = await self.accepted()
        ours.transport.write(b"ping")
        await self.until(lambda: theirs.received)
        theirs.transport.write(b"pong")
        await self.until(lambda: ours.received)
        self.assertEqual((theirs.received, ours.received), (b"ping", b"pong"))
        ours.transport.loseConnection()
        await self.until(lambda: ours.reason)
        return ours, theirs

    async def test_tcp(self) -> None:
        """A name resolved and raced by ``HostnameEndpoint`` gets an eager transport with no delay of small packets."""
        server = serverFromString(self.eager, "tcp:0:interface=127.0.0.1")
        seen: list[int] = []
        self.factory.prepare = lambda recorder: None

        def client(port: Any) -> Any:
            self.assertEqual(port.backlog, 1024)
            return HostnameEndpoint(self.eager, "localhost", port.getHost().port)

        def noDelay(recorder: Any) -> None:
            recorder.onData = lambda data: seen.append(recorder.transport.getTcpNoDelay())

        self.factory.prepare = noDelay
        ours, _ = await self._exchange(server, client)
        self.assertIsInstance(ours.transport, EagerClient)
        self.assertEqual(seen, [True])

    async def test_unix(self) -> None:
        """UNIX sockets, both ends."""
        path = str(socketFolder(self) / "s")
        await self._exchange(
            serverFromString(self.eager, f"unix:{path}"), clientFromString(self.eager, f"unix:{path}")
        )

    async def test_adopted(self) -> None:
        """A socket that someone else listens on, as systemd hands it over."""
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.setblocking(False)
        port: Any = self.eager.adoptStreamPort(listening.fileno(), socket.AF_INET, self.factory)
        listening.close()
        self.addCleanup(self._close, port)
        peer = self.raw(port.getHost().port)
        recorder = await self.accepted()
        recorder.transport.write(b"now")
        self.assertEqual(peer.recv(10), b"now")

    async def test_ipv6(self) -> None:
        """Addresses of the second family are told as such."""
        try:
            socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        except OSError:
            self.skipTest("no IPv6 here")
        port: Any = self.eager.listenTCP(0, self.factory, interface="::1")
        self.addCleanup(self._close, port)
        peer = socket.create_connection(("::1", port.getHost().port))
        self.addCleanup(peer.close)
        recorder = await self.accepted()
        self.assertEqual(recorder.transport.getPeer().host, "::1")  # type: ignore[attr-defined]
        self.assertEqual(recorder.transport.getHost().host, "::1")  # type: ignore[attr-defined]

    def test_explicitBacklog(self) -> None:
        """A backlog that was asked for is kept."""
        port: Any = self.eager.listenTCP(0, self.factory, backlog=7, interface="127.0.0.1")
        self.addCleanup(self._close, port)
        self.assertEqual(port.backlog, 7)

    async def test_refused(self) -> None:
        """A factory that builds nothing has the socket closed."""

        class Full(Factory):
            noisy = False

            def buildProtocol(self, addr: Any) -> None:
                return None

        peer = self.raw(self.listen(factory=Full()))
        self.assertEqual(await self.drain(peer, 1), b"")

    async def test_failingFactory(self) -> None:
        """A factory that raises costs one connection, is logged, and the port goes on."""
        failing = [True]

        def prepare(recorder: Recorder) -> None:
            if failing.pop() if failing else False:
                raise RuntimeError("first one")

        self.factory.prepare = prepare
        port = self.listen()
        peer = self.raw(port)
        self.assertEqual(await self.drain(peer, 1), b"")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.factory.made.clear()
        self.raw(port)
        await self.accepted()


class Accepting:
    """A listening socket that answers ``accept`` from a list."""

    def __init__(self, answers: list[Any]) -> None:
        self.answers = answers

    def getsockname(self) -> Any:
        """Where it listens."""
        return "192.0.2.9", 80

    def accept(self) -> Any:
        """The next answer; raises those that are exceptions."""
        if not self.answers:
            raise BlockingIOError
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Watching(Clock):
    """A clock that also knows who is watched for reading."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: set[Any] = set()
        self.addReader = self.readers.add
        self.removeReader = self.readers.discard
        self.removeWriter = lambda writer: None


class ScarcityTests(SynchronousTestCase):
    """A port that runs out of descriptors."""

    def setUp(self) -> None:
        self.clock = Watching()
        self.port: Any = EagerPort(0, Recorders(), reactor=self.clock)
        self.port.connected = True
        self.port.transport = lambda *args: None
        self.port.startReading()

    def pair(self) -> Any:
        """An accepted connection."""
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        return ours, ("192.0.2.1", 1)

    def told(self, logged: Any) -> list[str]:
        """What the log says."""
        return [formatEvent(event) for event in logged]

    def test_turns(self) -> None:
        """Not all that wait are accepted in one turn; of a port beside those for requests, few."""
        self.port.socket = Accepting([self.pair() for _ in range(ACCEPTS_PER_TURN + FEW_ACCEPTS + 1)])
        self.port.doRead()
        self.assertEqual(len(self.port.socket.answers), FEW_ACCEPTS + 1)
        self.port.acceptsPerTurn = FEW_ACCEPTS
        self.port.doRead()
        self.assertEqual(len(self.port.socket.answers), 1)

    def test_noSpin(self) -> None:
        """Without descriptors it stops looking for a while, says so once, and says when it goes on."""
        full = OSError(EMFILE, "Too many open files")
        self.port.socket = Accepting([full, full, self.pair()])
        with capturedLogs() as logged:
            self.port.doRead()
            self.assertEqual(self.clock.readers, set())
            self.clock.advance(ACCEPT_PAUSE)
            self.assertEqual(self.clock.readers, {self.port})
            self.port.doRead()
            self.clock.advance(ACCEPT_QUIET)
            self.port.doRead()
        self.assertEqual(len(self.port.factory.made), 1)
        self.assertEqual(
            self.told(logged),
            ["192.0.2.9:80 accepts nobody for now: Too many open files", "192.0.2.9:80 accepts again"],
        )

    def test_onTheVerge(self) -> None:
        """While each client that leaves makes room for just one, nothing is said; nor is it said that all is well."""
        full = OSError(EMFILE, "Too many open files")
        self.port.socket = Accepting([full, *(answer for _ in range(50) for answer in (self.pair(), full))])
        with capturedLogs() as logged:
            for _ in range(100):
                self.port.doRead()
                self.clock.advance(ACCEPT_PAUSE)
        self.assertEqual(len(self.port.factory.made), 50)
        self.assertEqual(len(logged), 1)

    def test_onceMore(self) -> None:
        """When it is over and comes again, that is said."""
        full = OSError(EMFILE, "Too many open files")
        self.port.socket = Accepting([full])
        with capturedLogs() as logged:
            self.port.doRead()
            self.clock.advance(ACCEPT_QUIET)
            self.port.socket = Accepting([self.pair(), full])
            self.port.doRead()
        scarce = "192.0.2.9:80 accepts nobody for now: Too many open files"
        self.assertEqual(self.told(logged), [scarce, "192.0.2.9:80 accepts again", scarce])

    def test_goneAlready(self) -> None:
        """A client that left before it was accepted is passed over."""
        self.port.socket = Accepting([OSError(ECONNABORTED, "gone"), self.pair()])
        with capturedLogs() as logged:
            self.port.doRead()
        self.assertEqual(len(self.port.factory.made), 1)
        self.assertEqual(logged, [])

    def test_stoppedWhilePaused(self) -> None:
        """Stopping while it pauses leaves no timer behind."""
        self.port.socket = Accepting([OSError(EMFILE, "full")])
        self.port.doRead()
        self.port.connected = False
        self.port.stopListening()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class DescribedTests(SynchronousTestCase):
    """Addresses in the log."""

    def test_kinds(self) -> None:
        """As they are written in a configuration or a URL."""
        self.assertEqual(described(IPv4Address("TCP", "127.0.0.1", 80)), "127.0.0.1:80")
        self.assertEqual(described(IPv6Address("TCP", "::1", 80)), "[::1]:80")
        self.assertEqual(described(UNIXAddress(b"/tmp/x")), "unix:/tmp/x")
