"""
HTTP to receivers of alerts, on loopback: those that take what they are sent, those that are away, those that mean harm.
"""

from __future__ import annotations

import gc
import os
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from standardwebhooks import Webhook
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from revproxy.config.alertsettings import ReceiverConfig
from revproxy.control.alerts.messages import testMessage
from revproxy.control.alerts.sender import MAX_ANSWER, TIMEOUT, Answer, HTTPSender, NotSent, Outgoing
from revproxy.control.alerts.webhook import webhookRequest
from tests.authority import Authority
from tests.control.alerts.doubles import SECRET
from tests.harness import RawOrigin, freePort, readExactly, readHead

reactor: Any = _reactor


class SenderCase(TestCase):
    """A sender, and receivers that a function speaks for, in threads."""

    timeout = 60

    def setUp(self) -> None:
        self.sender = HTTPSender(reactor, deferToThread)
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []

    def receiver(self, answer: bytes | Callable[[socket.socket], None]) -> RawOrigin:
        def speak(peer: socket.socket) -> None:
            head, rest = readHead(peer)
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
            self.heads.append(head)
            self.bodies.append(rest + readExactly(peer, length - len(rest)))
            if callable(answer):
                answer(peer)
            else:
                peer.sendall(answer)

        origin = RawOrigin(speak)
        self.addCleanup(origin.close)
        return origin

    def send(self, url: str, **more: Any) -> Deferred[Answer]:
        return self.sender.send(Outgoing(url, {"Content-Type": "application/json"}, b'{"a": 1}', **more))


class WellTests(SenderCase):
    """One that answers."""

    async def test_taken(self) -> None:
        """It gets the whole, and what it says is told."""
        origin = self.receiver(b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok")
        answer = await self.send(f"{origin.url}/hook?a=b")
        self.assertEqual(answer, Answer(202, "ok"))
        self.assertTrue(self.heads[0].startswith(b"POST /hook?a=b HTTP/1.1\r\n"))
        self.assertEqual(self.bodies, [b'{"a": 1}'])

    async def test_signed(self) -> None:
        """What arrives is what the library of Standard Webhooks takes."""
        origin = self.receiver(b"HTTP/1.1 204 No Content\r\n\r\n")
        config = ReceiverConfig("pager", "webhook", (f"{origin.url}/",), (SECRET,))
        await self.sender.send(webhookRequest(config, testMessage(time.time(), "pager", "ann"), time.time()))
        lines = self.heads[0].decode().split("\r\n")[1:-2]
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        Webhook(SECRET).verify(self.bodies[0], headers)

    async def test_refused(self) -> None:
        """A status and its reason; how long it wants to be left alone."""
        origin = self.receiver(b"HTTP/1.1 429 Slow\r\nRetry-After: 30\r\nContent-Length: 7\r\n\r\nno\x1b[1mw")
        answer = await self.send(origin.url)
        self.assertEqual((answer.status, answer.retryAfter, answer.isTaken), (429, 30.0, False))
        self.assertNotIn("\x1b", answer.text)

    async def test_redirect(self) -> None:
        """It is not followed."""
        elsewhere = self.receiver(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        location = f"HTTP/1.1 302 Found\r\nLocation: {elsewhere.url}/\r\nContent-Length: 0\r\n\r\n"
        answer = await self.send(self.receiver(location.encode()).url)
        self.assertEqual((answer.status, answer.isTaken, elsewhere.accepted), (302, False, []))

    async def test_proxy(self) -> None:
        """What the environment says of proxies is nothing to it."""
        proxy = self.receiver(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        self.patch(os, "environ", {**os.environ, "http_proxy": proxy.url})
        origin = self.receiver(b"HTTP/1.1 204 No Content\r\n\r\n")
        self.assertEqual((await self.send(origin.url)).status, 204)
        self.assertEqual(proxy.accepted, [])


class AwayTests(SenderCase):
    """One that does not answer, in each way."""

    async def fails(self, url: str, **more: Any) -> str:
        try:
            answer = await self.send(url, **more)
        except NotSent as error:
            return str(error)
        raise AssertionError(f"it answered: {answer}")

    async def test_nobody(self) -> None:
        """Nobody listens; the name is none."""
        self.assertEqual(await self.fails(f"http://127.0.0.1:{freePort()}/"),
                         "cannot be connected to: Connection refused")
        self.assertEqual(await self.fails("http://name.invalid/"), "its name is not known")

    async def test_breaksOff(self) -> None:
        """It ends before it has answered."""
        for answer in (b"", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\nContent-Le"):
            self.assertTrue(await self.fails(self.receiver(answer).url))

    async def test_noHTTP(self) -> None:
        """What answers speaks something else."""
        self.assertTrue(await self.fails(self.receiver(b"220 mail.example ESMTP\r\n" * 10).url))

    async def test_neverAnswers(self) -> None:
        """It accepts and is silent: that ends with the deadline, and so does the connection."""
        clock = Clock()
        self.sender = HTTPSender(reactor, deferToThread, clock)
        ended: Deferred[bytes] = Deferred()

        def silent(peer: socket.socket) -> None:
            try:
                found = peer.recv(10)
            except OSError:
                found = b""
            reactor.callFromThread(ended.callback, found)

        origin = self.receiver(silent)
        sending = self.send(origin.url)
        while not self.bodies:
            await deferLater(reactor, 0.01)
        clock.advance(TIMEOUT - 1)
        self.assertNoResult(sending)
        clock.advance(1)
        self.assertEqual(str(self.failureResultOf(sending, NotSent).value), "no answer within 10 s")
        self.assertEqual(await ended, b"")

    async def test_cancelled(self) -> None:
        """At the end of the edge nobody waits."""
        origin = self.receiver(lambda peer: peer.settimeout(peer.recv(10) or None))
        sending = self.send(origin.url)
        while not self.bodies:
            await deferLater(reactor, 0.01)
        sending.cancel()
        self.failureResultOf(sending, NotSent)


class HostileTests(SenderCase):
    """One that means harm."""

    async def test_endlessBody(self) -> None:
        """Of a body that does not end as much is read as is bounded; its status has been read."""
        written = [0]

        def endless(peer: socket.socket) -> None:
            peer.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                written[0] += peer.send(b"x" * 65536)

        answer = await self.send(self.receiver(endless).url)
        self.assertEqual(answer.status, 200)
        self.assertLess(len(answer.text), 300)
        self.assertLess(written[0], 64 * MAX_ANSWER)

    async def test_endlessHead(self) -> None:
        """So of a head: fields, one very long field, and interim answers without end."""
        for begin, piece in (
            (b"HTTP/1.1 200 OK\r\n", b"X-Field: y\r\n"), (b"HTTP/1.1 200 OK\r\n", b"x" * 1000),
            (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        ):

            def endless(peer: socket.socket, begin: bytes = begin, piece: bytes = piece) -> None:
                peer.sendall(begin)
                while True:
                    peer.sendall(piece * 100)

            try:
                answer = await self.send(self.receiver(endless).url)
            except NotSent:
                pass
            else:
                self.fail(f"it answered {answer}")
        gc.collect()
        self.flushLoggedErrors()

    async def test_slowBody(self) -> None:
        """A body that trickles: the status has been read when the deadline comes."""
        clock = Clock()
        self.sender = HTTPSender(reactor, deferToThread, clock)

        def trickles(peer: socket.socket) -> None:
            peer.sendall(b"HTTP/1.1 200 OK\r\n\r\nx")
            peer.recv(10)

        origin = self.receiver(trickles)
        sending = self.send(origin.url)
        while not self.bodies:
            await deferLater(reactor, 0.01)
        await deferLater(reactor, 0.2)  # the head is on its way
        clock.advance(TIMEOUT)
        self.assertEqual(self.successResultOf(sending).status, 200)


class TLSTests(SenderCase):
    """The certificate is verified."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.authority = Authority()
        self.ca = self.folder / "ca.pem"
        self.ca.write_bytes(self.authority.own.certificatePEM)

    def listening(self, *names: str) -> str:
        """A receiver whose certificate is for these names."""
        path = self.folder / "server.pem"
        path.write_bytes(self.authority.issue(*names).pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)

        def speak(raw: socket.socket) -> None:
            with context.wrap_socket(raw, server_side=True) as peer:
                self.heads.append(peer.recv(65536))
                peer.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

        origin = RawOrigin(speak)
        self.addCleanup(origin.close)
        return f"https://localhost:{origin.port}/"

    async def test_trusted(self) -> None:
        """With the authority that is named, and the right name."""
        self.assertEqual((await self.send(self.listening("localhost"), ca=str(self.ca))).status, 204)

    async def test_refused(self) -> None:
        """An authority that nobody knows, another name, and no authority in the file: nothing is sent."""
        (self.folder / "empty.pem").write_text("nothing")
        for url, ca in (
            (self.listening("localhost"), None), (self.listening("other.example"), str(self.ca)),
            (self.listening("localhost"), str(self.folder / "empty.pem")),
            (self.listening("localhost"), str(self.folder / "missing.pem")),
        ):
            try:
                await self.send(url, ca=ca)
            except NotSent as error:
                self.assertTrue(str(error))
            else:
                self.fail("it was sent")
        self.assertEqual([head for head in self.heads if head], [])
