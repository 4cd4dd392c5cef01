"""Tests for `revproxy.worker.listeners`: what happens to ports, with real sockets and a clock that stands still."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError

from revproxy.config.settings import ListenerConfig
from revproxy.worker.participant import Refused
from tests.harness import freePort
from tests.worker.listenerscase import GET, ListenersCase, on


class BeginningTests(ListenersCase):
    """From none to some."""

    def test_paused(self) -> None:
        """What is bound lets nobody in before it is committed."""
        configs = [on(freePort()), on(freePort())]
        self.prepare(*configs)
        self.assertEqual((self.accepting(), self.set.ports), ([], []))
        self.set.commit()
        self.assertEqual([port.getHost().port for port in self.set.ports], [
            int(config.endpoint.split(":")[1]) for config in configs])
        self.assertEqual(set(self.accepting()), set(self.set.ports))

    def test_beforeTheLoop(self) -> None:
        """Before the loop runs nothing is bound but when it is asked for; then it stays bound over the next word."""
        number = freePort()
        self.done(self.set.prepare(self.word([on(number)], starts=False)))
        self.assertTrue(self.refuses(number))
        self.done(self.set.bind())
        self.assertFalse(self.refuses(number))
        self.prepare(on(number))
        self.set.commit()
        self.assertEqual([port.getHost().port for port in self.accepting()], [number])

    def test_abandoned(self) -> None:
        """A change that is given up leaves no port."""
        number = freePort()
        self.prepare(on(number))
        self.assertFalse(self.refuses(number))
        self.done(self.set.abandon())
        self.assertTrue(self.refuses(number))
        self.set.commit()
        self.assertEqual(self.set.ports, [])

    def test_preparedAgain(self) -> None:
        """Another try takes the place of the one before: what both want stays bound, if all of it is the same."""
        first, second = on(freePort()), on(freePort())
        self.prepare(first)
        self.prepare(first)
        self.assertEqual(self.set.ports, [])
        self.prepare(second)
        self.assertTrue(self.refuses(int(first.endpoint.split(":")[1])))
        self.set.commit()
        self.assertEqual([port.getHost().port for port in self.accepting()], [int(second.endpoint.split(":")[1])])

    def test_stoppedBeforeCommitted(self) -> None:
        """An edge that is stopped while it starts leaves none either."""
        number = freePort()
        self.prepare(on(number))
        self.done(self.set.stop())
        self.assertTrue(self.refuses(number))

    def test_committedAfterTheStop(self) -> None:
        """A change that comes too late has no effect, whether it was bound before or is to be now."""
        running = on(freePort())
        self.become(running)
        self.prepare(replace(running, trustedProxies=("::1",)), on(freePort()))
        self.done(self.set.stop())
        self.set.commit()
        self.assertIn("is being stopped", self.refused(on(freePort())))
        self.assertEqual((self.set.ports, self.accepting(), self.reactor.getDelayedCalls()), ([], [], []))

    def test_stoppedWhileBound(self) -> None:
        """A port that an endpoint takes its time to bind does not outlive a stop meanwhile."""
        bound: Deferred[None] = Deferred()
        listen = self.set._bound

        async def slowly(listening: Any) -> Any:
            await bound
            return await listen(listening)

        self.patch(self.set, "_bound", slowly)
        number = freePort()
        preparing = self.begin(self.set.prepare(self.word([on(number)])))
        self.done(self.set.stop())
        bound.callback(None)
        for _ in range(5):
            self.reactor.advance(0)
        self.assertIn("is being stopped", str(self.failureResultOf(preparing, Refused).value))
        self.assertTrue(self.refuses(number))

    def test_taken(self) -> None:
        """Somebody else's port is named; what was bound before it is closed, what runs is left alone."""
        running, another = freePort(), freePort()
        before = self.become(on(running))
        with socket.create_server(("127.0.0.1", 0)) as other:
            taken = other.getsockname()[1]
            reason = self.refused(on(running), on(another), on(taken))
        self.assertIn(f"Couldn't listen on 127.0.0.1:{taken}: [Errno 98]", reason)
        self.assertTrue(self.refuses(another))
        self.assertEqual((self.set.ports, self.accepting()), (before, before))

    def test_takenAtTheStart(self) -> None:
        """When the edge starts, the error is the port's own."""
        with socket.create_server(("127.0.0.1", 0)) as other:
            taken = other.getsockname()[1]
            self.done(self.set.prepare(self.word([on(taken)], starts=False)))
            self.assertIn(f"127.0.0.1:{taken}", self.failed(self.set.bind(), CannotListenError))

    def test_ours(self) -> None:
        """The same address in other words cannot be bound beside itself: the message says that it is ours."""
        number = freePort()
        self.become(on(number))
        reason = self.refused(ListenerConfig(f"tcp:{number}"))
        self.assertIn(f'this edge listens there already, as "tcp:{number}:interface=127.0.0.1"; take that away', reason)

    def test_ourFile(self) -> None:
        """Likewise a file."""
        path = self.socketPath()
        self.become(ListenerConfig(f"unix:{path}"))
        self.assertIn(f'already, as "unix:{path}"', self.refused(ListenerConfig(f"unix:{path}:mode=600")))

    def test_notOurs(self) -> None:
        """The same number on another interface is somebody else's."""
        number = freePort()
        self.become(on(number))
        with socket.create_server(("127.0.0.2", number)):
            self.assertNotIn("this edge", self.refused(ListenerConfig(f"tcp:{number}:interface=127.0.0.2")))

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
        self.become(self.one, self.two)
        self.assertFalse(self.refuses(self.number(self.two)))

    def test_otherSettings(self) -> None:
        """The port stays, its listener is a new one; the other is not touched."""
        ports = self.become(self.one, replace(self.two, trustedProxies=("192.0.2.0/24",)))
        self.assertEqual(ports, self.before)
        self.assertIs(ports[0].factory, self.factories[0])
        self.assertIsNot(ports[1].factory, self.factories[1])
        self.assertTrue(ports[1].factory.trusts("192.0.2.1"))
        self.assertTrue(self.factories[1].draining)

    def test_abandoned(self) -> None:
        """A change of settings that is given up has changed nothing."""
        self.prepare(replace(self.one, trustedProxies=("::/0",)), self.three)
        self.done(self.set.abandon())
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
        self.assertEqual([client.end for client in (idle, running, new)], ["close", None, None])
        new.send(GET[5:])
        self.leaf.answer(1)
        self.leaf.answer(2)
        for client in (running, new):
            self.assertIn(b"Connection: close\r\n", client.received())
            self.assertEqual(client.end, "close")

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
