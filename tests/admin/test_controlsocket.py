"""Tests for `revproxy.admin.controlsocket` and the HTTP behind it: a real socket, blocking clients in threads."""

from __future__ import annotations

import os
import pwd
import socket
import stat
from time import thread_time

from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.logger import LogEvent, globalLogPublisher

from revproxy.admin import callers, channel
from revproxy.admin.callers import CONNECTIONS, RESCUERS
from revproxy.admin.channel import FIELDS, HEAD_LIMIT
from revproxy.admin.controlsocket import ControlSocket
from revproxy.admin.operation import BODY_LIMIT
from revproxy.cli.edgeclient import EdgeClient, Refused
from tests.admin.doors import DoorCase, RawClient, reactor, request


class ConnectionTests(DoorCase):
    """What a client may do."""

    async def test_inTurn(self) -> None:
        """Requests sent at once are answered one after the other, in order; many of them, too."""
        one = self.client()
        one.socket.sendall(request("do/wait") + request("do/a") + request("do/b") * 500)
        await self.until(lambda: self.double.calls)
        self.assertEqual(len(self.double.calls), 1)
        self.double.gate.callback("")
        answers = await self.answers(one, 502)
        self.assertEqual([answer.json["called"] for answer in answers], ["wait", "a", *["b"] * 500])

    async def test_noRequests(self) -> None:
        """What is no request is answered so, and nothing behind it is taken for one."""
        for line in (b"hello", b"{}", b"GET  /x HTTP/1.1 more", b"GET /x HTTP/1.1\r\nno field", b"\x16\x03\x01\0"):
            (answer,) = await self.asked(line + b"\r\n\r\n" + request("do/x"), 9)
            self.assertEqual((answer.status, answer.json["status"]), (400, 400), line)
        self.assertEqual(self.double.calls, [])
        (answer,) = await self.asked(request("do/x"))
        self.assertEqual(answer.json, {"called": "x", "body": {}})

    async def test_endlessHead(self) -> None:
        """A head without an end is given up at the limit: a long line, many lines, many fields."""
        line = b"GET /" + b"x" * HEAD_LIMIT
        lines = b"GET /x HTTP/1.1\r\n" + b"X-Y: abcdefghijklmnopqrstuvwxyz\r\n" * 600
        fields = b"GET /x HTTP/1.1\r\n" + b"X: y\r\n" * (FIELDS + 2)
        for data in (line, lines, fields):
            (answer,) = await self.asked(data, 9)
            self.assertEqual((answer.status, answer.fields["content-type"]), (431, "application/problem+json"))

    async def test_withoutEnd(self) -> None:
        """Who goes on sending after a refusal is not read for long."""
        one = self.client()

        def send() -> int:
            sent = 0
            try:
                while sent < 64 << 20:
                    sent += one.socket.send(b"x" * 65536)
            except OSError:
                pass
            return sent

        self.assertLess(await deferToThread(send), 8 << 20)

    async def test_longBody(self) -> None:
        """A body that is too long is refused by its length, or as soon as it is; nothing more of it is read."""
        declared = request("do/x", fields=("Content-Length: 65537", "Expect: 100-continue"))
        declared = declared.replace(b"Content-Length: 0\r\n", b"")
        piece = b"1000\r\n" + b" " * 4096 + b"\r\n"
        chunked = b"POST /api/v1/do/x HTTP/1.1\r\nHost: e\r\nTransfer-Encoding: chunked\r\n\r\n" + piece * 40
        for data in (declared, chunked):
            (answer,) = await self.asked(data, 9)
            self.assertEqual(answer.status, 413)
            self.assertEqual(answer.json["detail"], f"its body has {BODY_LIMIT} bytes at most")
        self.assertEqual(self.double.calls, [])

    async def test_longBodyOfNobody(self) -> None:
        """What is refused by its head is refused with its own reason, with whatever body."""
        for size, wanted in ((100, [404, 200]), (1 << 20, [404])):
            answers = await self.asked(request("nothing", body=b" " * size) + request("do/x"), len(wanted))
            self.assertEqual([answer.status for answer in answers], wanted)

    async def test_tooMany(self) -> None:
        """Where all wait for an answer, further ones may only rescue, and not many; else there is room again."""
        clients = [self.client() for _ in range(CONNECTIONS)]
        for client in clients:
            client.socket.sendall(request("do/wait"))
        await self.until(lambda: len(self.double.calls) == CONNECTIONS)
        with self.assertRaisesRegex(Refused, f"{CONNECTIONS} others are connected"):
            await self.call("x")
        self.assertEqual((await self.call("x", kind="rescue"))["called"], "x")
        self.double.waits = "pin"
        for count in range(RESCUERS):
            self.client().socket.sendall(request("rescue/pin"))
            await self.until(lambda: len(self.double.calls) == CONNECTIONS + 2 + count)  # noqa: B023
        (answer,) = await self.answers(self.client(), 9)
        self.assertEqual(answer.status, 503)
        self.assertIn(f"{CONNECTIONS} others are connected", answer.json["detail"])
        self.double.gate.callback("")
        await self.call("x")

    async def test_silent(self) -> None:
        """Who is connected and asks nothing gives way, who has been silent longest first; others are answered."""
        self.patch(callers, "NEW", 0.0)
        clients = [self.client() for _ in range(CONNECTIONS)]
        await self.until(lambda: len(self.socket.site.callers) == CONNECTIONS)
        clients[0].socket.sendall(request("do/wait"))
        clients[1].socket.sendall(request("do/x"))
        await self.answers(clients[1], 1)
        for _ in range(3):
            await self.call("x")
        (answer,) = await self.answers(clients[2], 2)
        told = "others need the place of who has asked nothing for longest"
        self.assertEqual((answer.status, answer.json["detail"]), (503, told))
        clients[3].socket.sendall(request("do/x"))
        self.assertEqual([answer.status for answer in await self.answers(clients[3], 1)], [200])
        self.double.gate.callback("")
        self.assertEqual([answer.json["called"] for answer in await self.answers(clients[0], 1)], ["wait"])

    async def test_neverReads(self) -> None:
        """Who asks without end and reads nothing is not read either, is answered no further, and loses the place."""
        self.patch(channel, "IDLE_TIMEOUT", 0.3)
        one = self.client()
        one.socket.setblocking(False)
        sent = 0
        while True:
            try:
                sent += one.socket.send(request("do/big") * 1000)
            except BlockingIOError:
                await deferLater(reactor, 0.01)
            except OSError:
                break
        self.assertLess(sent, 2 << 20)
        self.assertLess(len(self.double.calls), 10)
        await self.until(lambda: not len(self.socket.site.callers))

    async def test_byteByByte(self) -> None:
        """The time for a request runs from its beginning: bytes now and then do not prolong it, in head or body."""
        self.patch(channel, "IDLE_TIMEOUT", 0.2)
        body = request("do/x", fields=("Content-Length: 1000",)).replace(b"Content-Length: 0\r\n", b"")
        for begin in (b"", body):
            one = self.client()
            one.socket.sendall(begin)
            for _ in range(100):
                await deferLater(reactor, 0.02)
                try:
                    one.socket.sendall(b"x")
                except OSError:
                    break
            else:
                self.fail("it was waited for")

    async def test_turns(self) -> None:
        """Many requests at once do not hold up the others."""
        one = self.client()
        one.socket.sendall(request("do/x") * 1000)
        await self.until(lambda: self.double.calls)
        self.assertLess(await self.longestTurn(), 0.03)

    async def longestTurn(self) -> float:
        """Seconds of the processor's, for those of the clock are anybody's on a busy machine."""
        before = reactor.seconds()
        longest = 0.0
        while reactor.seconds() < before + 0.2:
            begun = thread_time()
            await deferLater(reactor, 0)
            longest = max(longest, thread_time() - begun)
        return longest

    async def test_longAnswer(self) -> None:
        """A long answer is written in slices, and comes whole."""
        one = self.client()
        one.socket.sendall(request("do/long"))
        await self.until(lambda: self.double.calls)
        longest = await self.longestTurn()
        (answer,) = await self.answers(one, 1)
        self.assertEqual(answer.json["items"][99_999], {"number": 99_999})
        self.assertLess(longest, 0.03)

    async def test_quiet(self) -> None:
        """What is no request, and who is slow, is nothing for the log."""
        self.patch(channel, "IDLE_TIMEOUT", 0.05)
        logged: list[LogEvent] = []
        globalLogPublisher.addObserver(logged.append)
        self.addCleanup(globalLogPublisher.removeObserver, logged.append)
        await self.asked(b"\x1b[2J\r\n\r\n", 9)
        await self.answers(self.client(), 1)
        self.assertEqual([event.get("log_format") for event in logged], [])

    async def test_idle(self) -> None:
        """Who asks nothing loses the place."""
        self.patch(channel, "IDLE_TIMEOUT", 0.05)
        self.assertEqual(await self.answers(self.client(), 1), [])

    async def test_leaves(self) -> None:
        """A call goes on when its client has left; the end of a client's sending does not cost it the answer."""
        one, two = self.client(), self.client()
        for client in (one, two):
            client.socket.sendall(request("do/wait"))
        two.socket.shutdown(socket.SHUT_WR)
        await self.until(lambda: len(self.double.calls) == 2)
        one.socket.close()
        self.double.gate.callback("")
        self.assertEqual([answer.json["called"] for answer in await self.answers(two, 9)], ["wait"])
        self.assertEqual(self.double.finished, ["wait", "wait"])
        await self.until(lambda: not len(self.socket.site.callers))

    async def test_actor(self) -> None:
        """Who asks is the user who has opened the socket."""
        await self.call("x")
        (actor,) = self.double.actors
        self.assertEqual((actor.via, actor.name, actor.role), ("socket", pwd.getpwuid(os.geteuid()).pw_name, "admin"))


class StreamTests(DoorCase):
    """Server-sent events."""

    def listening(self) -> RawClient:
        one = self.client()
        one.socket.sendall(request("stream", "GET", fields=("Last-Event-ID: 7",)))
        return one

    async def test_told(self) -> None:
        """What happens is told as it happens, with its id; what the client had last is known."""
        following = EdgeClient(self.path).follow("stream", last="7")
        told = deferToThread(lambda: [next(following), next(following)])
        await self.until(lambda: self.double.told)
        self.double.tell({"a": "1\n2"}, "8")
        self.double.tell(["b"], "9")
        self.assertEqual(await told, [("8", {"a": "1\n2"}), ("9", ["b"])])
        self.assertEqual(self.double.last, ["7"])
        following.close()  # type: ignore[attr-defined]
        await self.until(lambda: self.double.stopped == 1)
        self.assertEqual(len(self.socket.site.streams), 0)

    async def test_leaves(self) -> None:
        """A client that leaves is told nothing more."""
        one = self.listening()
        await self.until(lambda: self.double.told)
        one.socket.close()
        await self.until(lambda: self.double.stopped)
        self.double.tell("too late")
        self.assertEqual((self.double.stopped, len(self.socket.site.streams)), (1, 0))

    async def test_neverReads(self) -> None:
        """Who does not take what it is told is dropped, and not much is kept for it."""
        self.listening()
        await self.until(lambda: self.double.told)
        for _ in range(400):
            self.double.tell("x" * 10_000)
            await deferLater(reactor, 0.001)
            if self.double.stopped:
                break
        self.assertEqual((self.double.stopped, len(self.socket.site.streams)), (1, 0))

    async def test_tooMany(self) -> None:
        """There are so many, and no more; one that ends makes room."""
        self.socket.site.streams.limit = 2
        clients = [self.listening() for _ in range(2)]
        await self.until(lambda: len(self.double.told) == 2)
        (answer,) = await self.answers(self.listening(), 1)
        self.assertEqual((answer.status, answer.fields["retry-after"]), (503, "10"))
        clients[0].socket.close()
        await self.until(lambda: self.double.stopped)
        self.listening()
        await self.until(lambda: len(self.socket.site.streams) == 2)

    async def test_stop(self) -> None:
        """They end with the edge."""
        one = self.listening()
        await self.until(lambda: self.double.told)
        await self.socket.close()
        await self.until(lambda: self.double.stopped)
        data = await deferToThread(self.rest, one)
        self.assertTrue(data.startswith(b"HTTP/1.1 200 OK\r\n"), data)

    def rest(self, one: RawClient) -> bytes:
        """All that comes until the end, however it comes."""
        data = b""
        try:
            while more := one.socket.recv(65536):
                data += more
        except ConnectionResetError:
            pass
        return data


class FileTests(DoorCase):
    """The file."""

    def test_mode(self) -> None:
        """It is for its owner only, and a socket."""
        mode = self.path.stat().st_mode
        self.assertEqual((stat.S_ISSOCK(mode), stat.S_IMODE(mode)), (True, 0o600))

    async def test_live(self) -> None:
        """Another that lives is left alone, and said to be there."""
        error = self.assertRaises(OSError, ControlSocket(reactor, self.path, self.api).open)
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
        error = self.assertRaises(OSError, ControlSocket(reactor, path, self.api).open)
        self.assertIn("no socket", str(error))
        self.assertEqual(path.read_text(), "mine")

    def test_noFolder(self) -> None:
        """A folder that is not there."""
        for path in (self.path.parent / "no" / "x", self.path.parent / ("n" * 120) / "x"):
            self.assertRaises(FileNotFoundError, ControlSocket(reactor, path, self.api).open)

    async def test_longPath(self) -> None:
        """A path of any length will do, and leaves neither file nor descriptor behind."""
        folder = self.path.parent / ("a" * 100) / ("b" * 100)
        folder.mkdir(parents=True)
        path = folder / "control.sock"
        made = self.opened(path)
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.assertEqual((await self.call("x", path))["called"], "x")
        error = self.assertRaises(OSError, ControlSocket(reactor, path, self.api).open)
        self.assertIn("another process", str(error))
        await made.close()
        self.assertFalse(path.exists())
        held = [os.path.realpath(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")]
        self.assertNotIn(str(folder), held)

    async def test_removed(self) -> None:
        """A file that somebody has removed does not keep the edge from stopping."""
        self.path.unlink()
        await self.socket.close()
