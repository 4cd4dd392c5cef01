"""Tests for `revproxy.control.controlsocket`: a real socket, blocking clients in threads."""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import TestCase

from revproxy.cli.edgeclient import callEdge
from revproxy.control import controlsocket
from revproxy.control.commands import CommandError
from revproxy.control.controlsocket import CONNECTIONS, LINE_LIMIT, RESCUERS, ControlSocket
from revproxy.control.socketfile import connect
from tests.socketfolder import socketFolder

reactor: Any = _reactor
PATIENCE = 60.0


class SteeringDouble:
    """
    Some calls.

    :ivar calls: what was called, in order.
    :ivar gate: what ``wait`` waits for.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, Mapping[str, Any]]] = []
        self.finished: list[str] = []
        self.gate: Deferred[str] = Deferred()
        self.waits = ""

    async def call(self, name: str, arguments: Mapping[str, Any]) -> Any:
        self.calls.append((name, arguments))
        if name == "refuse":
            raise CommandError("not today")
        if name == "break":
            raise ZeroDivisionError("ours")
        if name == "bytes":
            return b"not for JSON"
        if name in ("wait", self.waits):
            await self.gate
            self.finished.append(name)
        if name == "big":
            return "x" * (1 << 20)
        return {"called": name, **arguments}


class SocketCase(TestCase):
    """A socket in a folder of its own."""

    timeout = 180

    def setUp(self) -> None:
        # In a short path: test_longPath is the one about long ones.
        self.path = socketFolder(self) / "control.sock"
        self.steering = SteeringDouble()
        self.socket = self.opened(self.path)

    def opened(self, path: Path) -> ControlSocket:
        made = ControlSocket(reactor, path, self.steering)
        made.open()
        self.addCleanup(lambda: Deferred.fromCoroutine(made.close()))
        return made

    def call(self, name: str, path: Path | None = None, timeout: float = PATIENCE, **arguments: Any) -> Deferred[Any]:
        return deferToThread(callEdge, path or self.path, name, arguments, timeout)

    def client(self) -> socket.socket:
        one = connect(self.path, PATIENCE)
        self.addCleanup(one.close)
        return one

    async def until(self, fact: Any) -> None:
        ends = reactor.seconds() + PATIENCE
        while not fact():
            if reactor.seconds() > ends:
                self.fail("it did not come to pass")
            await deferLater(reactor, 0.002)

    async def lines(self, one: socket.socket, count: int) -> list[Any]:
        """The next answers; fewer at the end of the connection."""

        def read() -> list[Any]:
            data = b""
            while data.count(b"\n") < count and (more := one.recv(65536)):
                data += more
            return [json.loads(line) for line in data.splitlines()]

        result: list[Any] = await deferToThread(read)
        return result


class ConnectionTests(SocketCase):
    """What a client may do."""

    async def test_inTurn(self) -> None:
        """Requests sent at once are answered one after the other, in order; many of them, too."""
        one = self.client()
        one.sendall(b'{"call": "wait"}\n{"call": "a"}\n' + b'{"call": "b", "arguments": {}}\n' * 1500)
        await self.until(lambda: self.steering.calls)
        self.assertEqual(len(self.steering.calls), 1)
        self.steering.gate.callback("")
        answers = await self.lines(one, 1502)
        self.assertEqual([answer["result"]["called"] for answer in answers], ["wait", "a", *["b"] * 1500])

    async def test_noRequests(self) -> None:
        """What is no request is answered so, and the connection goes on."""
        one = self.client()
        bad = [b"", b"hello", b"[]", b"[" * 10000, b'{"call": 1}', b'{"call": "x", "arguments": []}', b'{"x": 1}']
        for line in [*bad, b"\xff"]:
            one.sendall(line + b"\n")
            self.assertEqual([*(await self.lines(one, 1))[0]], ["error"], line)
        one.sendall(b'{"call": "x"}\n')
        self.assertEqual(await self.lines(one, 1), [{"result": {"called": "x"}}])
        self.assertEqual(len(self.steering.calls), 1)

    async def test_tooLong(self) -> None:
        """A request without an end is given up at the limit."""
        one = self.client()
        one.sendall(b"x" * LINE_LIMIT)
        self.assertEqual(await self.lines(one, 9), [{"error": "a request has 65536 bytes at most"}])

    async def test_tooMany(self) -> None:
        """Where all wait for an answer, further ones may only rescue, and not many; else there is room again."""
        clients = [self.client() for _ in range(CONNECTIONS)]
        for client in clients:
            client.sendall(b'{"call": "wait"}\n')
        await self.until(lambda: len(self.steering.calls) == CONNECTIONS)
        with self.assertRaisesRegex(CommandError, "16 others are connected"):
            await self.call("x")
        self.assertEqual(await self.call("disable"), {"called": "disable"})
        self.steering.waits = "pin"
        for count in range(RESCUERS):
            self.client().sendall(b'{"call": "pin"}\n')
            await self.until(lambda: len(self.steering.calls) == CONNECTIONS + 2 + count)  # noqa: B023
        self.assertIn("16 others are connected", (await self.lines(self.client(), 9))[0]["error"])
        self.steering.gate.callback("")
        await self.call("x")

    async def test_silent(self) -> None:
        """Who is connected and asks nothing gives way, who has been silent longest first; others are answered."""
        clients = [self.client() for _ in range(CONNECTIONS)]
        await self.until(lambda: len(self.socket.connections) == CONNECTIONS)
        clients[0].sendall(b'{"call": "wait"}\n')
        clients[1].sendall(b'{"call": "x"}\n')
        await self.lines(clients[1], 1)
        for _ in range(3):
            await self.call("x")
        told = "others need the place of who has asked nothing for longest"
        self.assertEqual(await self.lines(clients[2], 2), [{"error": told}])
        clients[3].sendall(b'{"call": "x"}\n')
        self.assertEqual(await self.lines(clients[3], 1), [{"result": {"called": "x"}}])
        self.steering.gate.callback("")
        self.assertEqual(await self.lines(clients[0], 1), [{"result": {"called": "wait"}}])

    async def test_neverReads(self) -> None:
        """Who asks without end and reads nothing is not read either, is answered no further, and loses the place."""
        self.patch(controlsocket, "IDLE_TIMEOUT", 0.3)
        one = self.client()
        one.setblocking(False)
        sent = 0
        while True:
            try:
                sent += one.send(b'{"call": "big"}\n' * 1000)
            except BlockingIOError:
                await deferLater(reactor, 0.01)
            except OSError:
                break
        self.assertLess(sent, 2 << 20)
        self.assertLess(len(self.steering.calls), 5)
        await self.until(lambda: not self.socket.connections)

    async def test_byteByByte(self) -> None:
        """The time for a request runs from its beginning: bytes now and then do not prolong it."""
        self.patch(controlsocket, "IDLE_TIMEOUT", 0.2)
        one = self.client()
        for _ in range(100):
            await deferLater(reactor, 0.02)
            try:
                one.sendall(b"x")
            except OSError:
                break
        else:
            self.fail("it was waited for")

    async def test_turns(self) -> None:
        """Many requests at once do not hold up the others."""
        one = self.client()
        one.sendall(b"\n" * 60_000)
        await self.until(lambda: self.socket.connections)
        before = reactor.seconds()
        longest = 0.0
        while reactor.seconds() < before + 0.2:
            begun = reactor.seconds()
            await deferLater(reactor, 0)
            longest = max(longest, reactor.seconds() - begun)
        self.assertLess(longest, 0.1)

    async def test_loggedOnce(self) -> None:
        """What is no request is one line in the log for each connection, without a traceback."""
        logged: list[LogEvent] = []
        globalLogPublisher.addObserver(logged.append)
        self.addCleanup(globalLogPublisher.removeObserver, logged.append)
        one = self.client()
        one.sendall(b"\x1b[2J\n" * 100)
        await self.lines(one, 100)
        ours = [event for event in logged if "control socket" in str(event.get("log_format"))]
        self.assertEqual([event.get("log_failure") for event in ours], [None])
        self.assertTrue(str(formatEvent(ours[0])).isprintable())

    async def test_idle(self) -> None:
        """Who asks nothing loses the place."""
        self.patch(controlsocket, "IDLE_TIMEOUT", 0.05)
        one = self.client()
        self.assertEqual(await self.lines(one, 1), [])

    async def test_leaves(self) -> None:
        """A call goes on when its client has left; the end of a client's sending does not cost it the answer."""
        one, two = self.client(), self.client()
        for client in (one, two):
            client.sendall(b'{"call": "wait"}\n')
        two.shutdown(socket.SHUT_WR)
        await self.until(lambda: len(self.steering.calls) == 2)
        one.close()
        self.steering.gate.callback("")
        self.assertEqual(await self.lines(two, 9), [{"result": {"called": "wait"}}])
        self.assertEqual(self.steering.finished, ["wait", "wait"])
        await self.until(lambda: not self.socket.connections)


class FileTests(SocketCase):
    """The file."""

    def test_mode(self) -> None:
        """It is for its owner only, and a socket."""
        mode = self.path.stat().st_mode
        self.assertEqual((stat.S_ISSOCK(mode), stat.S_IMODE(mode)), (True, 0o600))

    async def test_live(self) -> None:
        """Another that lives is left alone, and said to be there."""
        error = self.assertRaises(OSError, ControlSocket(reactor, self.path, self.steering).open)
        self.assertIn("another process listens there", str(error))
        self.assertIn(str(self.path), str(error))
        await self.call("x")

    async def test_stale(self) -> None:
        """What a dead process has left is replaced."""
        await self.socket.close()
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(self.path))
        self.opened(self.path)
        await self.call("x")

    def test_notASocket(self) -> None:
        """Somebody's file is not removed."""
        path = self.path.with_name("file")
        path.write_text("mine")
        error = self.assertRaises(OSError, ControlSocket(reactor, path, self.steering).open)
        self.assertIn("no socket", str(error))
        self.assertEqual(path.read_text(), "mine")

    def test_noFolder(self) -> None:
        """A folder that is not there."""
        for path in (self.path.parent / "no" / "x", self.path.parent / ("n" * 120) / "x"):
            self.assertRaises(FileNotFoundError, ControlSocket(reactor, path, self.steering).open)

    async def test_longPath(self) -> None:
        """A path of any length will do, and leaves neither file nor descriptor behind."""
        folder = self.path.parent / ("a" * 100) / ("b" * 100)
        folder.mkdir(parents=True)
        path = folder / "control.sock"
        made = self.opened(path)
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.assertEqual((await self.call("x", path))["called"], "x")
        error = self.assertRaises(OSError, ControlSocket(reactor, path, self.steering).open)
        self.assertIn("another process", str(error))
        await made.close()
        self.assertFalse(path.exists())
        held = [os.path.realpath(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")]
        self.assertNotIn(str(folder), held)

    async def test_removed(self) -> None:
        """A file that somebody has removed does not keep the edge from stopping."""
        self.path.unlink()
        await self.socket.close()
