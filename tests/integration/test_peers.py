"""Clients and origins that others wrote agree with us: websockets, aiohttp, h11, curl."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import threading
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from itertools import product
from typing import Any

import aiohttp
import h11
from aiohttp import web
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, ConnectionClosedError
from yarl import URL

from tests.harness import PATIENCE, EdgeCase, EdgeProcess, readHead
from tests.tools import needs

PATIENT: dict[str, Any] = {"open_timeout": PATIENCE, "close_timeout": PATIENCE, "ping_interval": None}
dial = partial(connect, proxy=None, **PATIENT)


class LoopThread:
    """An event loop of asyncio in a thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """:return: what the coroutine returned."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(5 * PATIENCE)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(PATIENCE)
        self.loop.close()


class LoopCase(EdgeCase):
    """With a loop, and an edge before an origin on a port of it."""

    def setUp(self) -> None:
        self.loop = LoopThread()
        self.addCleanup(self.loop.close)

    def before(self, port: int, extra: str = "") -> EdgeProcess:
        return self.start([], f"upstreams: {{app: {{targets: ['http://127.0.0.1:{port}']}}}}\n{extra}")


class WebSocketTests(LoopCase):
    """The `websockets` library on both sides of a tunnel."""

    def begin(self, serving: Callable[[ServerConnection], Awaitable[None]]) -> str:
        async def listen() -> Any:
            return await serve(serving, "127.0.0.1", 0, max_size=None, **PATIENT)

        server = self.loop.run(listen())

        async def end() -> None:
            server.close()
            await server.wait_closed()

        self.addCleanup(lambda: self.loop.run(end()))
        self.edge = self.before(server.sockets[0].getsockname()[1])
        return f"ws://127.0.0.1:{self.edge.port}/chat?a=b"

    @staticmethod
    async def echo(peer: ServerConnection) -> None:
        async for message in peer:
            await peer.send(message)

    def test_echo(self) -> None:
        """Text, bytes, a ping, and a large message both ways."""
        url = self.begin(self.echo)

        async def talk() -> list[Any]:
            async with dial(url, max_size=None, compression=None) as peer:
                got = []
                for message in ("grüß", b"\0\xff", b"x" * 3_000_000, ""):
                    await peer.send(message)
                    got.append(await peer.recv() == message)
                await (await peer.ping())
                return got

        self.assertEqual(self.loop.run(talk()), [True] * 4)
        record = self.recordOf(self.edge, "/chat?a=b")
        self.assertEqual(record["status"], 101)
        self.assertGreater(record["bytes_in"], 3_000_000)
        self.assertGreater(record["bytes_out"], 3_000_000)

    def test_closeCodes(self) -> None:
        """A code and a reason get through, from either side."""
        heard: list[tuple[int, str]] = []

        async def serving(peer: ServerConnection) -> None:
            if await peer.recv() == "you":
                await peer.close(4001, "enough")
                return
            try:
                await peer.recv()
            except ConnectionClosed as closed:
                assert closed.rcvd is not None
                heard.append((closed.rcvd.code, closed.rcvd.reason))

        url = self.begin(serving)

        async def served() -> tuple[int, str]:
            async with dial(url) as peer:
                await peer.send("you")
                try:
                    await peer.recv()
                except ConnectionClosedError as closed:
                    assert closed.rcvd is not None
                    return closed.rcvd.code, closed.rcvd.reason
                raise AssertionError("not closed")

        async def leaving() -> None:
            async with dial(url) as peer:
                await peer.send("me")
                await peer.close(4002, "bye")

        self.assertEqual(self.loop.run(served()), (4001, "enough"))
        self.loop.run(leaving())
        self.until(lambda: heard)
        self.assertEqual(heard, [(4002, "bye")])

    def test_many(self) -> None:
        """A hundred at once, each gets its own."""
        url = self.begin(self.echo)

        async def one(number: int) -> bool:
            async with dial(url) as peer:
                for turn in range(5):
                    await peer.send(f"{number}:{turn}")
                    if await peer.recv() != f"{number}:{turn}":
                        return False
            return True

        async def all_() -> list[bool]:
            return await asyncio.gather(*(one(number) for number in range(100)))

        self.assertEqual(self.loop.run(all_()), [True] * 100)

    def test_rudeOrigin(self) -> None:
        """An origin that dies takes the client's side with it."""

        async def serving(peer: ServerConnection) -> None:
            await peer.recv()
            peer.transport.abort()

        url = self.begin(serving)

        async def talk() -> bool:
            async with dial(url) as peer:
                await peer.send("x")
                try:
                    await peer.recv()
                except ConnectionClosed as closed:
                    return closed.rcvd is None
            return False

        self.assertTrue(self.loop.run(talk()))


class AiohttpTests(LoopCase):
    """aiohttp's client and server."""

    def test_matrix(self) -> None:
        """Methods, bodies and framings: what arrives is what was sent, both ways."""

        async def echo(request: web.Request) -> web.StreamResponse:
            body = await request.read()
            headers = {"X-Method": request.method, "X-Target": request.raw_path, "X-Length": str(len(body))}
            if "stream" in request.query_string:
                response = web.StreamResponse(headers=headers)
                response.enable_chunked_encoding()
                await response.prepare(request)
                if request.method != "HEAD":
                    for at in range(0, len(body), 1000):
                        await response.write(body[at : at + 1000])
                await response.write_eof()
                return response
            return web.Response(body=body, headers=headers)

        async def listen() -> int:
            app = web.Application(client_max_size=1 << 30)
            app.router.add_route("*", "/{tail:.*}", echo)
            self.runner = web.AppRunner(app)
            await self.runner.setup()
            site = web.TCPSite(self.runner, "127.0.0.1", 0)
            await site.start()
            return int(self.runner.addresses[0][1])

        edge = self.before(self.loop.run(listen()))
        self.addCleanup(lambda: self.loop.run(self.runner.cleanup()))

        async def pieces(body: bytes) -> Any:
            for at in range(0, len(body), 700):
                yield body[at : at + 700]

        async def talk() -> list[str]:
            wrong = []
            cases = product(
                ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "REPORT"),
                (None, b"", b"x", b"y" * 100_000),
                (False, True),
                ("", "&stream"),
            )
            async with aiohttp.ClientSession() as session:
                for method, body, chunked, stream in cases:
                    if chunked and body is None:
                        continue
                    target = f"/a%2fb;c?{method}{stream}"
                    url = f"http://127.0.0.1:{edge.port}{target}"
                    data = pieces(body) if chunked and body is not None else body
                    async with session.request(method, URL(url, encoded=True), data=data) as answer:
                        got = await answer.read()
                        said = [answer.headers[name] for name in ("X-Method", "X-Target", "X-Length")]
                    expected = b"" if method == "HEAD" else body or b""
                    if said != [method, target, str(len(body or b""))] or got != expected:
                        wrong.append(f"{method} {len(body or b'')} {chunked} {stream}: {said} {len(got)}")
            return wrong

        self.assertEqual(self.loop.run(talk()), [])


class H11Tests(EdgeCase):
    """h11 as client and origin, with every event of it compared."""

    def serve(self, peer: socket.socket) -> None:
        connection = h11.Connection(h11.SERVER)
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                if connection.they_are_waiting_for_100_continue:
                    peer.sendall(connection.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
                connection.receive_data(peer.recv(65536))
            elif isinstance(event, h11.Request):
                request, body = event, b""
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                self.heard.append((request.method, request.target, body, [tuple(pair) for pair in event.headers]))
                self.answer(connection, peer, request, body)
                if connection.our_state is h11.MUST_CLOSE:
                    return
                connection.start_next_cycle()
            else:
                return

    def answer(self, connection: h11.Connection, peer: socket.socket, request: h11.Request, body: bytes) -> None:
        fields = [(b"x-body", b"%d" % len(body))]
        if b"length" in request.target:
            fields.append((b"content-length", b"%d" % len(body)))
        elif b"close" in request.target:
            fields.append((b"connection", b"close"))
        trailers = []
        if b"trailers" in request.target and request.method != b"HEAD":
            fields.append((b"trailer", b"x-sum"))
            trailers = [(b"x-sum", b"7")]
        out = connection.send(h11.Response(status_code=200, headers=fields)) or b""
        if request.method != b"HEAD" and body:
            out += connection.send(h11.Data(data=body)) or b""
        out += connection.send(h11.EndOfMessage(headers=trailers)) or b""
        peer.sendall(out)

    def exchange(self, client: socket.socket, connection: h11.Connection, *events: Any) -> tuple[Any, bytes, list[Any]]:
        """Send a request. :return: the response, its body and its trailers."""
        for event in events:
            client.sendall(connection.send(event) or b"")
        response, body = None, b""
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(client.recv(65536))
            elif isinstance(event, h11.Response):
                response = event
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return response, body, [tuple(pair) for pair in event.headers]
            elif not isinstance(event, h11.InformationalResponse):
                raise AssertionError(event)

    def test_matrix(self) -> None:
        """Methods × bodies × framings both ways, on connections that are kept as long as both sides keep them."""
        self.heard: list[Any] = []
        origin = self.origin(self.serve)
        edge = self.start([origin])
        client, connection = self.connect(edge), h11.Connection(h11.CLIENT)
        cases = list(
            product(
                (b"GET", b"HEAD", b"POST", b"PUT", b"DELETE"),
                (b"", b"hello", b"z" * 70_000),
                (b"none", b"length", b"chunked"),
                (b"length", b"chunked", b"close", b"trailers"),
            )
        )
        for method, body, framing, wanted in cases:
            if framing == b"none" and body:
                continue
            fields = [(b"host", b"a"), (b"connection", b"te"), (b"te", b"trailers")]
            if framing == b"length":
                fields.append((b"content-length", b"%d" % len(body)))
            elif framing == b"chunked":
                fields.append((b"transfer-encoding", b"chunked"))
                fields.append((b"trailer", b"x-up"))
            trailers = [(b"x-up", b"1")] if framing == b"chunked" else []
            events = [h11.Request(method=method, target=b"/" + wanted, headers=fields)]
            if body:
                events.append(h11.Data(data=body))
            response, got, down = self.exchange(client, connection, *events, h11.EndOfMessage(headers=trailers))
            case = (method, len(body), framing, wanted)
            self.assertEqual(self.heard[-1], (method, b"/" + wanted, body, trailers), case)
            self.assertEqual([response.status_code, got], [200, b"" if method == b"HEAD" else body], case)
            self.assertEqual(down, [(b"x-sum", b"7")] if wanted == b"trailers" and method != b"HEAD" else [], case)
            if connection.our_state is h11.MUST_CLOSE or connection.their_state is h11.MUST_CLOSE:
                self.fail(f"the connection was not kept: {case}")
            connection.start_next_cycle()

    def test_http10(self) -> None:
        """A 1.0 client gets what it understands: no chunks, an end."""
        self.heard = []
        edge = self.start([self.origin(self.serve)])
        for target, body in product(("/chunked", "/length", "/close"), ("", "hello")):
            client = self.connect(edge)
            client.sendall(f"POST {target} HTTP/1.0\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
            head, rest = readHead(client)
            self.assertNotIn(b"chunked", head.lower())
            self.assertIn(b"Connection: close\r\n", head)
            while more := client.recv(1000):
                rest += more
            self.assertEqual(rest, body.encode())

    def test_continue(self) -> None:
        """100 comes from the origin, once; without it the body is not asked for by us."""
        self.heard = []
        edge = self.start([self.origin(self.serve)])
        client = self.connect(edge)
        client.sendall(b"POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        self.assertTrue(readHead(client)[0].startswith(b"HTTP/1.1 100 "))
        client.sendall(b"hello")
        head, _ = readHead(client)
        self.assertTrue(head.startswith(b"HTTP/1.1 200 "), head)

    def test_expectRefused(self) -> None:
        """A final answer instead of 100 comes through, and the connection does not wait for the body."""
        edge = self.start([self.answering(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")])
        client = self.connect(edge)
        client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\nExpect: 100-continue\r\n\r\n")
        head, _ = readHead(client)
        self.assertTrue(head.startswith(b"HTTP/1.1 413 "), head)
        self.assertIn(b"Connection: close", head)


@needs("curl")
class CurlTests(EdgeCase):
    """curl."""

    def curl(self, *arguments: str) -> str:
        command = ["curl", "-q", "-sS", "--noproxy", "*", "--max-time", f"{PATIENCE:.0f}", *arguments]
        done = subprocess.run(command, capture_output=True, timeout=2 * PATIENCE)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.decode()

    def test_curl(self) -> None:
        """GET, HEAD, an upload with and without 100-continue, HTTP/1.0, a connection used twice."""

        def handle(peer: socket.socket) -> None:
            while True:
                head, body = readHead(peer)
                if not head:
                    return
                lines = head.split(b"\r\n")
                length = next((int(line[15:]) for line in lines if line.startswith(b"Content-Length:")), 0)
                if b"Expect:" in head:
                    peer.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                while len(body) < length:
                    body += peer.recv(65536)
                answer = b"" if head.startswith(b"HEAD") else b"got %d\n" % len(body)
                peer.sendall(b"HTTP/1.1 200 OK\r\nX-From: origin\r\nContent-Length: %d\r\n\r\n" % len(answer))
                peer.sendall(answer)

        edge = self.start([self.origin(handle)])
        url = f"http://127.0.0.1:{edge.port}/"
        self.assertEqual(self.curl(url), "got 0\n")
        self.assertIn("X-From: origin", self.curl("-I", url))
        self.assertEqual(self.curl("-d", "x" * 50, url), "got 50\n")
        big = edge.folder / "big"
        big.write_bytes(b"x" * 3_000_000)
        self.assertEqual(self.curl("-T", str(big), "-H", "Expect: 100-continue", url), "got 3000000\n")
        self.assertEqual(self.curl("-0", url), "got 0\n")
        twice = self.curl("-w", "%{num_connects} ", url, url)
        self.assertEqual(twice, "got 0\n1 got 0\n0 ")
