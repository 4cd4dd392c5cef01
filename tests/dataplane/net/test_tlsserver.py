"""
Tests for :mod:`revproxy.dataplane.net.tlsserver`, against the ``ssl`` module of
Python, which has an OpenSSL of its own. Peers are blocking and live in threads.
"""

from __future__ import annotations

import socket
import ssl
from datetime import timedelta
from typing import Any

from twisted.internet.threads import deferToThread

from revproxy.addresses import AddressSet
from revproxy.dataplane.net.sockettls import TLSInfo
from tests.dataplane.net.test_clienthello import inRecords
from tests.dataplane.net.tlscase import ALICE, AUTHORITY, CLIENTS, OPEN, OTHERS, Peer, ServerCase, makeHost
from tests.dataplane.wire import PATIENCE, reset


class HandshakeTests(ServerCase):
    """What is agreed on."""

    async def test_info(self) -> None:
        """The protocol is told of the handshake once, and what it agreed on is on the transport."""
        port = self.tls()
        for version, name in ((ssl.TLSVersion.TLSv1_3, "TLSv1.3"), (ssl.TLSVersion.TLSv1_2, "TLSv1.2")):
            client, recorder = await self.meet(port, Peer(version))
            self.assertEqual(recorder.events, ["made", "handshake"])
            agreed = client.cipher()
            assert agreed is not None
            expected = TLSInfo("open.example", name, agreed[0], b"http/1.1", None, False)
            self.assertEqual(recorder.transport.tlsInfo, expected)  # type: ignore[attr-defined]

    async def test_serverName(self) -> None:
        """Each name is shown its own certificate, unknown and absent ones the default's."""
        port = self.tls("none")
        client, _ = await self.meet(port, name="admin.example")
        self.assertEqual(client.getpeercert()["subjectAltName"], (("DNS", "admin.example"),))  # type: ignore[index]
        peer = Peer()
        peer.context.check_hostname = False
        for name in ("unknown.example", None):
            client, recorder = await self.meet(port, peer, name=name)
            self.assertIn(("DNS", "open.example"), client.getpeercert()["subjectAltName"])  # type: ignore[index]
            self.assertEqual(recorder.transport.tlsInfo.serverName, name)  # type: ignore[attr-defined]

    async def test_swap(self) -> None:
        """New connections get the new certificates, present ones are not touched."""
        port = self.tls()
        client, recorder = await self.meet(port)
        renewed = AUTHORITY.issue("open.example")
        self.contexts.swap({}, makeHost(renewed))
        other, _ = await self.meet(port)
        number = f"{renewed.certificate.serial_number:X}"
        self.assertEqual(other.getpeercert()["serialNumber"].lstrip("0"), number)  # type: ignore[index]
        recorder.transport.write(b"still here")
        self.assertEqual(await deferToThread(client.recv, 100), b"still here")

    async def test_oldVersions(self) -> None:
        """TLS 1.1 is refused, and 1.2 where 1.3 is the least."""
        port = self.tls()
        self.contexts.swap({}, makeHost(OPEN, minimumVersion="TLSv1.3"))
        with self.assertRaises(ssl.SSLError):
            await deferToThread(Peer(ssl.TLSVersion.TLSv1_2).connect, port)

    async def test_fragmentedHello(self) -> None:
        """A hello in many packets and records is waited for without looking all the time."""
        port = self.tls()
        context = Peer().context
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context.wrap_bio(incoming, outgoing, server_hostname="admin.example")
        self.assertRaises(ssl.SSLWantReadError, client.do_handshake)
        hello = outgoing.read()
        for data in (hello, inRecords(hello, 100)):
            peer = self.raw(port)
            known = len(self.factory.made)
            await self.until(lambda known=known: len(self.factory.made) > known)
            transport: Any = self.factory.made[-1].transport
            for at in range(0, len(data), 10):
                peer.send(data[at : at + 10])
                await self.until(lambda: True)
            await self.until(lambda transport=transport: transport._tls is not None)
            self.assertEqual(transport._serverName, "admin.example")

    async def test_notTLS(self) -> None:
        """Plain text on a TLS port ends that connection and nothing else."""
        port = self.tls()
        for data in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05hello", b"\x00" * 100):
            peer = self.raw(port)
            peer.send(data)
            known = len(self.factory.made)
            await self.until(lambda known=known: len(self.factory.made) > known)
            recorder = self.factory.made[-1]
            await self.until(lambda recorder=recorder: recorder.reason)
            self.assertEqual(recorder.events, ["made", "lost"])
        await self.meet(port)

    async def test_leavesBeforeHello(self) -> None:
        """A client that connects and leaves, in order or not, is forgotten."""
        port = self.tls()
        for leave in (socket.socket.close, reset):
            known = len(self.factory.made)
            peer = self.raw(port)
            await self.until(lambda known=known: len(self.factory.made) > known)
            leave(peer)
            recorder = self.factory.made[-1]
            await self.until(lambda recorder=recorder: recorder.reason)

    async def test_closedBeforeHello(self) -> None:
        """The protocol's deadline can end a connection that never says anything."""
        peer = self.raw(self.tls())
        recorder = await self.accepted()
        recorder.transport.loseConnection()
        await self.until(lambda: recorder.reason)
        self.assertEqual(await self.drain(peer, 1), b"")

    async def test_behindProxyHeader(self) -> None:
        """TLS begins behind a PROXY header."""
        port = self.tls(trusted=AddressSet(["127.0.0.1"]))

        def connect() -> ssl.SSLSocket:
            raw = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
            raw.sendall(b"PROXY TCP4 203.0.113.9 192.0.2.1 56324 443\r\n")
            return Peer().context.wrap_socket(raw, server_hostname="open.example")

        client = await deferToThread(connect)
        self.addCleanup(client.close)
        recorder = await self.accepted()
        await self.until(lambda: "handshake" in recorder.events)
        self.assertEqual(recorder.transport.getPeer().host, "203.0.113.9")  # type: ignore[attr-defined]
        recorder.transport.write(b"hello")
        self.assertEqual(await deferToThread(client.recv, 10), b"hello")

    async def test_writtenBefore(self) -> None:
        """What the protocol writes when it is connected waits for the handshake and is encrypted."""
        self.factory.prepare = lambda recorder: setattr(
            recorder, "connectionMade", lambda: recorder.transport.write(b"early")
        )
        client, _ = await self.meet(self.tls())
        self.assertEqual(await deferToThread(client.recv, 10), b"early")


class ClientCertificateTests(ServerCase):
    """Hosts that ask who the client is."""

    async def refused(self, port: int, peer: Peer, **arguments: Any) -> None:
        """The handshake fails, at the latest with the first read (TLS 1.3)."""

        def attempt() -> bytes:
            with peer.connect(port, **arguments) as client:
                return client.recv(1)

        with self.assertRaises((ssl.SSLError, ConnectionResetError)):
            await deferToThread(attempt)
        await self.until(lambda: self.factory.made[-1].reason)
        self.assertNotIn("handshake", self.factory.made[-1].events)

    async def test_required(self) -> None:
        """Without a certificate, or with one of someone else's, there is no connection; with one it has a name."""
        port = self.tls("required")
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            await self.refused(port, Peer(version), name="admin.example")
            await self.refused(port, Peer(version, OTHERS.issue(subject="mallory")), name="admin.example")
            expired = CLIENTS.issue(subject="old", lifetime=timedelta(days=-1))
            await self.refused(port, Peer(version, expired), name="admin.example")
            _, recorder = await self.meet(port, Peer(version, ALICE), name="admin.example")
            self.assertEqual(recorder.transport.tlsInfo.clientName, "CN=alice")  # type: ignore[attr-defined]

    async def test_optional(self) -> None:
        """Without a certificate the client has no name; with a wrong one there is still no connection."""
        port = self.tls("optional")
        _, recorder = await self.meet(port, name="admin.example")
        self.assertIsNone(recorder.transport.tlsInfo.clientName)  # type: ignore[attr-defined]
        await self.refused(port, Peer(own=OTHERS.issue(subject="mallory")), name="admin.example")

    async def test_nameless(self) -> None:
        """A certificate with no subject is named by its alternative name."""
        _, recorder = await self.meet(self.tls(), Peer(own=CLIENTS.issue("bot.example")), name="admin.example")
        self.assertEqual(recorder.transport.tlsInfo.clientName, "DNS:bot.example")  # type: ignore[attr-defined]

    async def test_openHostAsksNobody(self) -> None:
        """A certificate is neither asked for nor looked at where no rule says so."""
        _, recorder = await self.meet(self.tls(), Peer(own=ALICE))
        self.assertIsNone(recorder.transport.tlsInfo.clientName)  # type: ignore[attr-defined]

    async def test_resumedSessionKeepsTheName(self) -> None:
        """A resumed session of a protected host still knows its client."""
        port = self.tls("required")
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            peer = Peer(version, ALICE)
            session = await sessionOf(self, port, peer, "admin.example")
            _, recorder = await self.meet(port, peer, name="admin.example", session=session)
            info = recorder.transport.tlsInfo  # type: ignore[attr-defined]
            self.assertEqual((info.resumed, info.clientName), (True, "CN=alice"))

    async def test_sessionOfAnotherHost(self) -> None:
        """A session of an open host does not open a protected one."""
        port = self.tls("required")
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            peer = Peer(version)
            session = await sessionOf(self, port, peer, "open.example")
            await self.refused(port, peer, name="admin.example", session=session)


async def sessionOf(case: ServerCase, port: int, peer: Peer, name: str) -> Any:
    """Connect once, in order, and keep the session."""
    client, recorder = await case.meet(port, peer, name=name)
    recorder.transport.write(b"x")
    await deferToThread(client.recv, 1)
    session = client.session
    client.close()
    await case.until(lambda: recorder.reason)
    return session


class ResumptionTests(ServerCase):
    """Sessions."""

    async def test_resumed(self) -> None:
        """A client that comes back with its session is spared the full handshake, in both versions and per host."""
        port = self.tls("none")
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            for name in ("open.example", "admin.example"):
                peer = Peer(version)
                session = await sessionOf(self, port, peer, name)
                client, recorder = await self.meet(port, peer, name=name, session=session)
                self.assertTrue(client.session_reused, (version, name))
                self.assertTrue(recorder.transport.tlsInfo.resumed)  # type: ignore[attr-defined]

    async def test_withoutTickets(self) -> None:
        """The cache serves TLS 1.2 clients that take no tickets."""
        port = self.tls("none")
        peer = Peer(ssl.TLSVersion.TLSv1_2)
        peer.context.options |= ssl.OP_NO_TICKET
        client, recorder = await self.meet(port, peer)
        session = client.session
        await deferToThread(self._leaveInOrder, client)
        await self.until(lambda: recorder.reason)
        client, _ = await self.meet(port, peer, session=session)
        self.assertTrue(client.session_reused)

    @staticmethod
    def _leaveInOrder(client: ssl.SSLSocket) -> None:
        client.unwrap()
