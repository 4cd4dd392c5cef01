"""
Tests for :mod:`revproxy.dataplane.net.tlsclient`, against the ``ssl`` module of
Python, which has an OpenSSL of its own. Peers are blocking and live in threads.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from OpenSSL import SSL
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, UNIXClientEndpoint
from twisted.internet.error import TimeoutError
from twisted.internet.protocol import Factory

from revproxy.dataplane.net.servertransport import serverTransport
from revproxy.dataplane.net.tlsclient import HandshakeFailed, TLSClientReactor
from revproxy.dataplane.net.tlscontexts import ServerContexts, clientContext
from tests.dataplane.net.tlscase import ALICE, AUTHORITY, OPEN, OTHERS, ServerCase, makeHost
from tests.dataplane.wire import Recorder, reactor
from tests.socketfolder import socketFolder

BIG = os.urandom(1 << 20) * 6


class ClientTests(ServerCase):
    """Connections to origins."""

    def setUp(self) -> None:
        super().setUp()
        self.trusting = clientContext(caPEM=AUTHORITY.own.certificatePEM)

    async def dial(
        self, port: int, context: SSL.Context, name: str, endpoint: Callable[..., Any] = HostnameEndpoint
    ) -> Recorder:
        """Connect through an endpoint."""
        recorder = Recorder()
        factory = Factory.forProtocol(lambda: recorder)  # type: ignore[arg-type]
        factory.noisy = False
        host = "127.0.0.1" if endpoint is TCP4ClientEndpoint else "localhost"
        await endpoint(TLSClientReactor(self.eager, context, name), host, port).connect(factory)
        return recorder

    async def failure(self, port: int, context: SSL.Context, name: str) -> str:
        """:return: why there is no connection."""
        with self.assertRaises(HandshakeFailed) as caught:
            await self.dial(port, context, name)
        return str(caught.exception)

    async def end(self, recorder: Recorder) -> None:
        """Close from our side."""
        recorder.transport.loseConnection()
        await self.until(lambda: recorder.reason)

    async def test_verified(self) -> None:
        """The protocol is connected after the handshake, knows what was agreed on, and writes at once."""
        port = self.tls()
        for name in ("open.example", "127.0.0.1"):
            recorder = await self.dial(port, self.trusting, name)
            info = recorder.transport.tlsInfo  # type: ignore[attr-defined]
            self.assertEqual(recorder.events, ["made"])
            self.assertEqual((info.serverName, info.protocol, info.alpn), (name, "TLSv1.3", b"http/1.1"))
            theirs = self.factory.made[-1]
            theirs.onData = theirs.transport.write
            recorder.transport.write(BIG)
            await self.until(lambda recorder=recorder: len(recorder.received) == len(BIG))
            self.assertEqual(recorder.received, BIG)
            await self.end(recorder)

    async def test_asksForTheName(self) -> None:
        """The server is told which host is meant; an address is not a name."""
        port = self.tls()
        for name, expected in (("open.example", "open.example"), ("127.0.0.1", None)):
            recorder = await self.dial(port, self.trusting, name)
            theirs: Any = self.factory.made[-1]
            await self.until(lambda theirs=theirs: "handshake" in theirs.events)
            self.assertEqual(theirs.transport.tlsInfo.serverName, expected)
            await self.end(recorder)

    async def test_wrongName(self) -> None:
        """A good certificate of someone else is refused with a reason."""
        port = self.tls()
        for name in ("other.example", "127.0.0.2"):
            self.assertIn(
                f"TLS with {name}: its certificate is for other names", await self.failure(port, self.trusting, name)
            )
        self.assertEqual(self.factory.made[-1].received, b"")

    async def test_untrusted(self) -> None:
        """So is one of an authority that is not trusted, and one that has expired."""
        port = self.tls()
        context = clientContext(caPEM=OTHERS.own.certificatePEM)
        self.assertIn(
            "does not verify: unable to get local issuer certificate", await self.failure(port, context, "open.example")
        )
        self.contexts.swap({}, makeHost(AUTHORITY.issue("open.example", lifetime=timedelta(days=-1))))
        self.assertIn("certificate has expired", await self.failure(port, self.trusting, "open.example"))

    async def test_unverified(self) -> None:
        """Whoever does not want to verify reaches anyone."""
        recorder = await self.dial(self.tls(), clientContext(verify=False), "other.example")
        await self.end(recorder)

    async def test_ownCertificate(self) -> None:
        """We show a certificate where one is asked for."""
        port = self.tls("required")
        context = clientContext(caPEM=AUTHORITY.own.certificatePEM, certificatePEM=ALICE.pem)
        recorder = await self.dial(port, context, "admin.example")
        theirs: Any = self.factory.made[-1]
        await self.until(lambda: "handshake" in theirs.events)
        self.assertEqual(theirs.transport.tlsInfo.clientName, "CN=alice")
        await self.end(recorder)

    async def test_notTLS(self) -> None:
        """An origin that speaks something else is told apart."""

        def prepare(recorder: Recorder) -> None:
            recorder.onData = lambda data: recorder.transport.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        self.factory.prepare = prepare
        self.assertIn("wrong version number", await self.failure(self.listen(), self.trusting, "open.example"))

    async def test_hangsUp(self) -> None:
        """So is one that hangs up in the middle."""
        self.factory.prepare = lambda recorder: setattr(
            recorder, "onData", lambda data: recorder.transport.loseConnection()
        )
        reason = await self.failure(self.listen(), self.trusting, "open.example")
        self.assertIn("the connection ended during the handshake", reason)

    async def test_silent(self) -> None:
        """The endpoint's timeout covers the handshake."""
        endpoint = TCP4ClientEndpoint(
            TLSClientReactor(reactor, self.trusting, "open.example"), "127.0.0.1", self.listen(), timeout=0.05
        )
        with self.assertRaises(TimeoutError):
            await endpoint.connect(Factory.forProtocol(Recorder))
        await self.until(lambda: self.factory.made and self.factory.made[-1].reason)

    async def test_cancelled(self) -> None:
        """Cancelling during the handshake closes the socket."""
        port = self.listen()
        endpoint = TCP4ClientEndpoint(TLSClientReactor(reactor, self.trusting, "open.example"), "127.0.0.1", port)
        connecting = endpoint.connect(Factory.forProtocol(Recorder))
        theirs = await self.accepted()
        await self.until(lambda: theirs.received)
        connecting.addErrback(lambda reason: None)
        connecting.cancel()
        await self.until(lambda: theirs.reason)

    async def test_overUNIX(self) -> None:
        """Both ends over a UNIX socket."""
        path = str(socketFolder(self) / "s")
        port: Any = self.eager.listenUNIX(path, self.factory)
        port.transport = serverTransport(ServerContexts({}, makeHost(OPEN)))
        self.addCleanup(self._close, port)
        endpoint = UNIXClientEndpoint(TLSClientReactor(self.eager, self.trusting, "open.example"), path)
        recorder = Recorder()
        await endpoint.connect(Factory.forProtocol(lambda: recorder))  # type: ignore[arg-type]
        theirs = await self.accepted()
        theirs.onData = theirs.transport.write
        recorder.transport.write(b"through a file")
        await self.until(lambda: recorder.received)
        self.assertEqual(recorder.received, b"through a file")
        await self.end(recorder)
