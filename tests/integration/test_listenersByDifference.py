"""Listeners that change while clients are connected: real sockets, the real loop."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase
from twisted.web.server import NOT_DONE_YET

from revproxy.body import Body
from revproxy.config.settings import ListenerConfig, TLSConfig
from revproxy.context import Headers, Response
from revproxy.control.certificatefiles import CertificateReader
from revproxy.dataplane.chain import Chain
from revproxy.dataplane.edge import Edge
from revproxy.dataplane.generation import Generation
from revproxy.dataplane.http.limits import Limits, Timeouts
from revproxy.dataplane.leaves.leaf import Leaf
from revproxy.dataplane.routing import Route, Tree
from revproxy.loop.deadlines import Deadlines
from revproxy.loop.jobthread import JobThread
from revproxy.worker.listeners import ListenerSet
from revproxy.worker.participant import Refused
from tests.authority import Authority
from tests.harness import freePort, readAll, readHead
from tests.worker.listenerscase import on, prepareWord

reactor: Any = _reactor
PATIENCE = 60.0
GET = b"GET / HTTP/1.1\r\nHost: a.example\r\n%b\r\n"


class SchemeLeaf(Leaf):
    """Answers with the scheme and whom the edge takes the client for; ``/wait`` when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Callable[[], None]] = []

    def render(self, exchange: Any) -> int:
        request = exchange.context.request

        def answer() -> None:
            text = f"{request.scheme} {request.peer.host}".encode()
            exchange.answered(Response(200, None, Headers(), Body.of(text)))

        if request.path == "/wait":
            self.waiting.append(answer)
        else:
            answer()
        return NOT_DONE_YET


class DifferenceTests(TestCase):
    """An edge on one port, to begin with."""

    timeout = 180

    async def setUp(self) -> None:  # type: ignore[override]
        self.leaf = SchemeLeaf()
        deadlines = Deadlines(reactor, 0.5)
        tree = Tree([Route("default", b"", b"/", self.leaf)])
        self.edge = Edge(reactor, deadlines, Generation(1, tree, [Chain([])]), Limits(), Timeouts(drain=5), None)
        self.reader = CertificateReader()
        self.set = ListenerSet(reactor, self.edge, JobThread(reactor, deferToThread), lambda state: None)
        self.number = freePort()
        self.config = on(self.number)
        self.addCleanup(deadlines.stop)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.end()))
        await self.become(self.config)

    async def end(self) -> None:
        await self.set.stop()
        self.edge.breakOff()
        await self.edge.drain()

    async def become(self, *configs: ListenerConfig) -> None:
        await self.set.prepare(prepareWord(configs, self.reader))
        await self.set.ready()
        self.set.commit()

    async def until(self, fact: Callable[[], Any]) -> None:
        ends = reactor.seconds() + PATIENCE
        while not fact():
            if reactor.seconds() > ends:
                self.fail("it did not come to pass")
            await deferLater(reactor, 0.002)

    async def connect(self, port: int | None = None) -> socket.socket:
        client = await deferToThread(socket.create_connection, ("127.0.0.1", port or self.number), PATIENCE)
        self.addCleanup(client.close)
        return client

    async def ask(self, client: socket.socket, fields: bytes = b"") -> tuple[bytes, bytes]:
        """One request on a connection. :return: head and body."""

        def exchange() -> tuple[bytes, bytes]:
            client.sendall(GET % fields)
            head, body = readHead(client)
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            while len(body) < length:
                body += client.recv(4096)
            return head, body

        result: tuple[bytes, bytes] = await deferToThread(exchange)
        return result

    async def test_untouched(self) -> None:
        """While others come and go, a connection to one that stays is never closed, and its port is never rebound."""
        client = await self.connect()
        port = self.set.ports[0]
        for _ in range(5):
            other = on(freePort())
            await self.become(other, self.config)
            self.assertEqual((await self.ask(client))[1], b"http 127.0.0.1")
            self.assertEqual((await self.ask(await self.connect(int(other.endpoint.split(":")[1]))))[1][:4], b"http")
            await self.become(self.config)
        self.assertIs(self.set.ports[0], port)
        self.assertNotIn(b"Connection: close", (await self.ask(client))[0])

    async def test_gone(self) -> None:
        """The running request is answered, then the connection ends; nobody new gets in."""
        client, idle = await self.connect(), await self.connect()
        await self.ask(idle)
        client.sendall(GET.replace(b"/ ", b"/wait ", 1) % b"")
        await self.until(lambda: self.leaf.waiting)
        await self.become(on(freePort()))
        self.assertEqual(await deferToThread(readAll, idle), b"")
        await self.assertFailure(deferToThread(self.refusedSoon), ConnectionRefusedError)
        self.leaf.waiting.pop()()
        answer = await deferToThread(readAll, client)
        self.assertIn(b"Connection: close\r\n", answer)
        self.assertTrue(answer.endswith(b"http 127.0.0.1"))

    def refusedSoon(self) -> None:
        """:raises ConnectionRefusedError: as soon as nobody listens."""
        for _ in range(1000):
            # Not imported by name: trial takes a module's ``suppress`` for warnings to be ignored.
            with contextlib.suppress(ConnectionResetError):
                socket.create_connection(("127.0.0.1", self.number), PATIENCE).close()

    async def test_toTLS(self) -> None:
        """A port that speaks plain text speaks TLS from one connection to the next, and back."""
        authority = Authority()
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        (folder / "a.pem").write_bytes(authority.issue("a.example").pem)
        plain = await self.connect()
        await self.ask(plain)
        await self.become(replace(self.config, tls=TLSConfig(folder)))
        self.assertEqual(await deferToThread(readAll, plain), b"")
        context = ssl.create_default_context(cadata=authority.own.certificatePEM.decode())
        raw = await self.connect()
        secure = await deferToThread(context.wrap_socket, raw, server_hostname="a.example")
        self.addCleanup(secure.close)
        self.assertEqual((await self.ask(secure))[1], b"https 127.0.0.1")
        await self.become(self.config)
        self.assertEqual((await self.ask(await self.connect()))[1], b"http 127.0.0.1")

    async def test_renewed(self) -> None:
        """Another certificate is shown from one handshake to the next; who is connected goes on."""
        authority, folder = Authority(), Path(self.mktemp()).absolute()
        folder.mkdir()
        context = ssl.create_default_context(cadata=authority.own.certificatePEM.decode())
        config = replace(self.config, tls=TLSConfig(folder))
        clients = []
        for _ in range(3):
            issued = authority.issue("a.example")
            (folder / "a.pem").write_bytes(issued.pem)
            await self.become(config)
            client = await deferToThread(context.wrap_socket, await self.connect(), server_hostname="a.example")
            self.addCleanup(client.close)
            clients.append(client)
            self.assertEqual(client.getpeercert(binary_form=True), issued.certificate.public_bytes(Encoding.DER))
        for client in clients:
            head, body = await self.ask(client)
            self.assertNotIn(b"Connection: close", head)
            self.assertEqual(body, b"https 127.0.0.1")

    async def test_trusted(self) -> None:
        """Whom the edge believes changes for new connections; an old one does not outlive its next answer."""
        fields = b"X-Forwarded-For: 192.0.2.7\r\n"
        client, young = await self.connect(), await self.connect()
        self.assertEqual((await self.ask(client, fields))[1], b"http 127.0.0.1")
        await self.until(lambda: len(self.edge.connections) == 2)
        await self.become(replace(self.config, trustedProxies=("127.0.0.0/8",)))
        self.assertEqual(await deferToThread(readAll, client), b"")
        head, body = await self.ask(young, fields)
        self.assertIn(b"Connection: close\r\n", head)
        self.assertEqual(body, b"http 127.0.0.1")
        self.assertEqual((await self.ask(await self.connect(), fields))[1], b"http 192.0.2.7")

    async def test_continuously(self) -> None:
        """Clients that connect, ask once and leave never fail while the settings of their port change."""
        answers: list[bytes] = []
        done: list[bool] = []

        def load() -> None:
            while not done:
                with socket.create_connection(("127.0.0.1", self.number), PATIENCE) as client:
                    client.sendall(GET % b"Connection: close\r\n")
                    answers.append(readAll(client)[-14:])

        working = [deferToThread(load) for _ in range(2)]
        for number in range(50):
            before = len(answers)
            await self.become(replace(self.config, trustedProxies=(f"10.0.{number}.0/24",)))
            await self.until(lambda before=before: len(answers) > before + 1)  # type: ignore[misc]
        done.append(True)
        for deferred in working:
            await deferred
        self.assertEqual(set(answers), {b"http 127.0.0.1"})

    async def test_taken(self) -> None:
        """A port that somebody else has changes nothing for anybody."""
        client = await self.connect()
        await self.ask(client)
        with socket.create_server(("127.0.0.1", 0)) as other:
            changed = replace(self.config, trustedProxies=("::1",))
            becoming = Deferred.fromCoroutine(self.become(changed, on(other.getsockname()[1])))
            await self.assertFailure(becoming, Refused)
        self.assertNotIn(b"Connection: close", (await self.ask(client))[0])
