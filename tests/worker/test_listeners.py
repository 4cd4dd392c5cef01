"""Tests for `revproxy.worker.listeners`: what happens to ports, with real sockets and a clock that stands still."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.document import Document, parseYAML
from revproxy.config.problems import ConfigErrors
from revproxy.config.settings import ListenerConfig, TLSConfig
from revproxy.dataplane.http.limits import Timeouts
from revproxy.worker.listeners import ListenerSet, Prepared
from tests.authority import Authority
from tests.coordinators import Threadless
from tests.dataplane.doubles import EdgeDouble, RecordingLeaf
from tests.harness import freePort
from tests.socketfolder import socketFolder

NOWHERE = Document("r.yaml", None)
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def on(port: int, **settings: Any) -> ListenerConfig:
    return ListenerConfig(f"tcp:{port}:interface=127.0.0.1", **settings)


class MemoryReactor(Threadless, MemoryReactorClock):
    """Whose threads are at once."""


class ListenersCase(SynchronousTestCase):
    """A set whose ports accept when they are told to."""

    def setUp(self) -> None:
        self.reactor: Any = MemoryReactor()
        self.leaf = RecordingLeaf()
        self.double = EdgeDouble(self.leaf, timeouts=Timeouts(drain=10))
        self.set = ListenerSet(self.reactor, self.double.edge)
        self.addCleanup(lambda: self.done(self.set.stop()))

    def socketPath(self) -> Path:
        """A file of the test's own."""
        return socketFolder(self) / "unix"

    def done(self, work: Any) -> Any:
        """The result of a coroutine, after as many turns as ports need to close."""
        deferred = Deferred.fromCoroutine(work)
        for _ in range(5):
            self.reactor.advance(0)
        return self.successResultOf(deferred)

    def failed(self, work: Any, kind: type[Exception]) -> str:
        deferred = Deferred.fromCoroutine(work)
        for _ in range(5):
            self.reactor.advance(0)
        return str(self.failureResultOf(deferred, kind).value)

    def prepare(self, configs: Sequence[ListenerConfig]) -> Prepared:
        prepared = self.set.load(configs, NOWHERE)
        self.done(self.set.bind(prepared))
        return prepared

    def become(self, *configs: ListenerConfig) -> list[Any]:
        """:return: the ports afterwards."""
        self.set.commit(self.prepare(configs))
        return self.set.ports

    def accepting(self) -> list[Any]:
        """Ports that the reactor looks at."""
        return [one for one in self.reactor.getReaders() if hasattr(one, "acceptRest")]

    def refuses(self, port: int) -> bool:
        """Whether nobody listens there."""
        for _ in range(3):
            self.reactor.advance(0)
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            return True
        return False


class BeginningTests(ListenersCase):
    """From none to some."""

    def test_paused(self) -> None:
        """What is bound lets nobody in before it is committed."""
        configs = [on(freePort()), on(freePort())]
        prepared = self.prepare(configs)
        self.assertEqual((self.accepting(), self.set.ports), ([], []))
        self.set.commit(prepared)
        self.assertEqual([port.getHost().port for port in self.set.ports], [
            int(config.endpoint.split(":")[1]) for config in configs])
        self.assertEqual(set(self.accepting()), set(self.set.ports))

    def test_discarded(self) -> None:
        """A change that is given up leaves no port."""
        number = freePort()
        prepared = self.prepare([on(number)])
        self.assertFalse(self.refuses(number))
        self.done(self.set.discard(prepared))
        self.assertTrue(self.refuses(number))

    def test_stoppedBeforeCommitted(self) -> None:
        """An edge that is stopped while it starts leaves none either."""
        number = freePort()
        self.prepare([on(number)])
        self.done(self.set.stop())
        self.assertTrue(self.refuses(number))

    def test_committedAfterTheStop(self) -> None:
        """A change that comes too late has no effect, whether it was bound before or is to be now."""
        running = on(freePort())
        self.become(running)
        bound = self.prepare([replace(running, trustedProxies=("::1",)), on(freePort())])
        unbound = self.set.load([on(freePort())], NOWHERE)
        self.done(self.set.stop())
        self.set.commit(bound)
        self.assertIn("is being stopped", self.failed(self.set.bind(unbound), OSError))
        self.assertEqual((self.set.ports, self.accepting(), self.reactor.getDelayedCalls()), ([], [], []))

    def test_taken(self) -> None:
        """Somebody else's port is named; what was bound before it is closed, what runs is left alone."""
        running, another = freePort(), freePort()
        before = self.become(on(running))
        with socket.create_server(("127.0.0.1", 0)) as other:
            taken = other.getsockname()[1]
            prepared = self.set.load([on(running), on(another), on(taken)], NOWHERE)
            said = self.failed(self.set.bind(prepared), CannotListenError)
        self.assertIn(f"Couldn't listen on 127.0.0.1:{taken}: [Errno 98]", said)
        self.assertTrue(self.refuses(another))
        self.assertEqual((self.set.ports, self.accepting()), (before, before))

    def test_ours(self) -> None:
        """The same address in other words cannot be bound beside itself: the message says that it is ours."""
        number = freePort()
        self.become(on(number))
        prepared = self.set.load([ListenerConfig(f"tcp:{number}")], NOWHERE)
        said = self.failed(self.set.bind(prepared), CannotListenError)
        self.assertIn(f'this edge listens there already, as "tcp:{number}:interface=127.0.0.1"; take that away', said)

    def test_ourFile(self) -> None:
        """Likewise a file."""
        path = self.socketPath()
        self.become(ListenerConfig(f"unix:{path}"))
        prepared = self.set.load([ListenerConfig(f"unix:{path}:mode=600")], NOWHERE)
        self.assertIn(f'already, as "unix:{path}"', self.failed(self.set.bind(prepared), CannotListenError))

    def test_notOurs(self) -> None:
        """The same number on another interface is somebody else's."""
        number = freePort()
        self.become(on(number))
        with socket.create_server(("127.0.0.2", number)):
            prepared = self.set.load([ListenerConfig(f"tcp:{number}:interface=127.0.0.2")], NOWHERE)
            said = self.failed(self.set.bind(prepared), CannotListenError)
        self.assertNotIn("this edge", said)

    def test_anyPort(self) -> None:
        """A port that the kernel chose stays, although its endpoint names none."""
        port = self.become(on(0))[0]
        self.assertEqual(self.become(on(0), on(freePort()))[0], port)


class DifferenceTests(ListenersCase):
    """From some to others."""

    def setUp(self) -> None:
        super().setUp()
        self.one, self.two, self.three = on(freePort()), on(freePort()), on(freePort())
        self.before = self.become(self.one, self.two)
        self.factories = [port.factory for port in self.before]

    def number(self, config: ListenerConfig) -> int:
        return int(config.endpoint.split(":")[1])

    def test_same(self) -> None:
        """Equal ones are the same port with the same listener, in whatever order."""
        self.assertEqual(self.become(replace(self.two), replace(self.one)), self.before[::-1])
        self.assertEqual([port.factory for port in self.before], self.factories)
        self.assertEqual(set(self.accepting()), set(self.before))

    def test_added(self) -> None:
        """A new one is beside the others."""
        ports = self.become(self.one, self.three, self.two)
        self.assertEqual([ports[0], ports[2]], self.before)
        self.assertFalse(self.refuses(self.number(self.three)))

    def test_gone(self) -> None:
        """One that is gone listens no more; its address can be had again, by us and by others."""
        self.become(self.one)
        self.assertTrue(self.refuses(self.number(self.two)))
        self.assertEqual(self.accepting(), self.before[:1])
        self.become(self.two)
        self.become(self.one)
        self.assertFalse(self.refuses(self.number(self.one)))

    def test_goneAndBackAtOnce(self) -> None:
        """The address is waited for, when the turn in which a port closes is not over."""
        self.become(self.one)
        prepared = self.set.load([self.one, self.two], NOWHERE)
        self.done(self.set.bind(prepared))
        self.set.commit(prepared)
        self.assertFalse(self.refuses(self.number(self.two)))

    def test_otherSettings(self) -> None:
        """The port stays, its listener is a new one; the other is not touched."""
        ports = self.become(self.one, replace(self.two, trustedProxies=("192.0.2.0/24",)))
        self.assertEqual(ports, self.before)
        self.assertIs(ports[0].factory, self.factories[0])
        self.assertIsNot(ports[1].factory, self.factories[1])
        self.assertTrue(ports[1].factory.trusts("192.0.2.1"))
        self.assertTrue(self.factories[1].draining)

    def test_discarded(self) -> None:
        """A change of settings that is given up has changed nothing."""
        prepared = self.prepare([replace(self.one, trustedProxies=("::/0",)), self.three])
        self.done(self.set.discard(prepared))
        self.assertEqual((self.set.ports, [port.factory for port in self.before]), (self.before, self.factories))
        self.assertTrue(self.refuses(self.number(self.three)))

    def test_unixSocket(self) -> None:
        """A socket file appears with its listener, stays while it does, and goes with it."""
        path = self.socketPath()
        unix = ListenerConfig(f"unix:{path}")
        ports = self.become(self.one, unix)
        made = path.stat().st_ino
        self.assertEqual(self.become(replace(unix, trustedProxies=("::1",))), ports[1:])
        self.assertEqual(path.stat().st_ino, made)
        self.become(self.one)
        self.refuses(0)
        self.assertFalse(path.exists())

    def test_unixSocketRemoved(self) -> None:
        """A socket file that somebody has removed keeps nobody waiting, and can be made again."""
        path = self.socketPath()
        unix = ListenerConfig(f"unix:{path}")
        self.become(unix)
        path.unlink()
        self.become(self.one)
        self.become(unix)
        self.assertTrue(path.exists())
        path.unlink()
        path.with_name(path.name + ".lock").unlink()
        self.become(self.one)

    def test_whoWaits(self) -> None:
        """Clients in the kernel's backlog of a port that goes are let in, and answered once."""
        with socket.create_connection(("127.0.0.1", self.number(self.two))) as client:
            client.sendall(GET)
            self.become(self.one)
            connection = next(iter(self.double.edge.connections))
            connection.transport.doRead()
            self.leaf.answer(0, b"hi")
            client.settimeout(5)
            self.assertIn(b"Connection: close\r\n", client.recv(4096))


class ConnectionTests(ListenersCase):
    """What becomes of connections."""

    def setUp(self) -> None:
        super().setUp()
        self.config = on(freePort())
        port = self.become(self.config)[0]
        # The double's clients connect without a socket.
        self.double.listener = port.factory

    def test_gone(self) -> None:
        """Idle ones close, running ones after their answer, one that has not asked yet after its first."""
        idle, running, new = (self.double.connect() for _ in range(3))
        idle.send(GET)
        self.leaf.answer(0)
        running.send(GET)
        new.send(GET[:5])
        self.become()
        self.assertEqual([one.end for one in (idle, running, new)], ["close", None, None])
        new.send(GET[5:])
        self.leaf.answer(1)
        self.leaf.answer(2)
        for one in (running, new):
            self.assertIn(b"Connection: close\r\n", one.received())
            self.assertEqual(one.end, "close")

    def test_goneForLong(self) -> None:
        """After the drain time the rest is broken off."""
        running = self.double.connect()
        running.send(GET)
        self.become()
        self.reactor.advance(9)
        self.assertIsNone(running.end)
        self.reactor.advance(2)
        self.assertEqual(running.end, "abort")

    def test_otherSettings(self) -> None:
        """With other settings the same happens, but nobody is broken off."""
        running = self.double.connect()
        running.send(GET)
        self.become(replace(self.config, trustedProxies=("::/0",)))
        self.reactor.advance(20)
        self.assertIsNone(running.end)
        self.leaf.answer(0)
        self.assertEqual(running.end, "close")

    def test_same(self) -> None:
        """Connections of listeners that stay go on."""
        idle = self.double.connect()
        idle.send(GET)
        self.leaf.answer(0)
        self.become(self.config, on(freePort()))
        idle.send(GET)
        self.leaf.answer(1)
        self.assertNotIn(b"Connection: close", idle.received())
        self.assertIsNone(idle.end)

    def test_stopped(self) -> None:
        """A stop leaves nothing to be called."""
        self.become()
        self.done(self.set.stop())
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class CertificateTests(ListenersCase):
    """Certificates by difference."""

    def setUp(self) -> None:
        super().setUp()
        self.authority = Authority()
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.issue("a.example")
        self.config = on(freePort(), tls=TLSConfig(self.folder))

    def issue(self, name: str) -> None:
        (self.folder / "a.pem").write_bytes(self.authority.issue(name).pem)

    def contexts(self, port: Any) -> Any:
        """The hosts of a TLS port, as its transports look them up."""
        certificates = next(one for one in self.set._running if one.port is port).certificates
        assert certificates is not None
        return certificates.contexts

    def test_watched(self) -> None:
        """They are read again once committed, not before, and no more when the listener is gone."""
        prepared = self.prepare([self.config])
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.set.commit(prepared)
        contexts = self.contexts(self.set.ports[0])
        before = contexts.forName(None)
        self.issue("b.example")
        self.reactor.advance(6)
        self.assertIsNot(contexts.forName(None), before)
        self.become()
        self.reactor.advance(20)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_kept(self) -> None:
        """With the same ``tls`` they are not read again, even where they could not be."""
        contexts = self.contexts(self.become(self.config)[0])
        (self.folder / "a.pem").unlink()
        for config in (self.config, replace(self.config, trustedProxies=("::/0",))):
            self.assertIs(self.contexts(self.become(config)[0]), contexts)
        self.assertEqual(len(self.reactor.getDelayedCalls()), 1)

    def test_otherFolder(self) -> None:
        """Another folder: one watch, of that."""
        self.become(self.config)
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        (folder / "x.pem").write_bytes(self.authority.issue("x.example").pem)
        port = self.become(replace(self.config, tls=TLSConfig(folder)))[0]
        self.assertEqual(len(self.reactor.getDelayedCalls()), 1)
        self.assertIsNot(self.contexts(port).forName("x.example"), None)

    def test_plainAndBack(self) -> None:
        """From TLS to plain text on one port, and back."""
        port = self.become(self.config)[0]
        self.assertEqual(port.factory.scheme, "https")
        self.assertEqual(self.become(replace(self.config, tls=None)), [port])
        self.assertEqual((port.factory.scheme, self.reactor.getDelayedCalls()), ("http", []))
        self.assertEqual(self.become(self.config), [port])
        self.assertEqual(port.factory.scheme, "https")

    def test_problems(self) -> None:
        """All that are missing, with their places; nothing is bound."""
        text = "listeners:\n- endpoint: a\n- tls:\n    certificates: b\n- tls:\n    certificates: c\n"
        configs = [self.config, *(on(freePort(), tls=TLSConfig(self.folder / name)) for name in "bc")]
        errors = self.assertRaises(ConfigErrors, self.set.load, configs, parseYAML(text, "r.yaml"))
        self.assertEqual([problem.line for problem in errors.problems], [4, 6])
        self.assertIn(f"{self.folder}/b: there is no such folder", str(errors))
