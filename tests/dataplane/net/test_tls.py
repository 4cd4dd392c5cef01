"""
TLS on the socket itself, against the ``ssl`` module of Python, which has an OpenSSL of its own.

Peers are blocking and live in threads.
"""

from __future__ import annotations

import os
import select
import shutil
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from OpenSSL import SSL
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, UNIXClientEndpoint
from twisted.internet.error import ConnectionDone, ConnectionLost, TimeoutError
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from revproxy.addresses import AddressSet
from revproxy.dataplane.net.eagerconnection import READ_SIZE
from revproxy.dataplane.net.servertransport import serverTransport
from revproxy.dataplane.net.sockettls import LOOK_EVERY, MESSAGES_PER_MINUTE, RECORDS_PER_TURN, TLSInfo
from revproxy.dataplane.net.tlsclient import HandshakeFailed, TLSClientReactor
from revproxy.dataplane.net.tlscontexts import HostTLS, ServerContexts, clientContext, serverContext
from tests.authority import Authority, Issued
from tests.dataplane.net.test_clienthello import inRecords
from tests.dataplane.net.tlsrecords import RecordWriter
from tests.dataplane.wire import PATIENCE, Recorder, WireCase, reactor, reset
from tests.socketfolder import socketFolder

AUTHORITY = Authority()
CLIENTS = Authority("client authority")
OTHERS = Authority("other authority")
OPEN = AUTHORITY.issue("open.example", "localhost", "127.0.0.1")
ADMIN = AUTHORITY.issue("admin.example")
ALICE = CLIENTS.issue(subject="alice")
BIG = os.urandom(1 << 20) * 6


def makeHost(issued: Issued, clientAuth: str = "none", minimumVersion: str = "TLSv1.2") -> HostTLS:
    """A host with a certificate, which trusts the clients' authority."""
    context = serverContext(
        [issued.certificate],
        issued.key,
        clientAuth=clientAuth,
        clientCA=[CLIENTS.own.certificate],
        minimumVersion=minimumVersion,
        sessionContext=issued.certificate.serial_number.to_bytes(20, "big"),
    )
    return HostTLS(context, clientAuth)


class Peer:
    """A client made of Python's ``ssl``."""

    def __init__(self, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3, own: Issued | None = None) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.load_verify_locations(cadata=AUTHORITY.own.certificatePEM.decode())
        self.context.minimum_version = self.context.maximum_version = version
        self.context.set_alpn_protocols(["h2", "http/1.1"])
        if own is not None:
            with tempfile.NamedTemporaryFile() as file:
                file.write(own.pem)
                file.flush()
                self.context.load_cert_chain(file.name)

    def connect(self, port: int, name: str = "open.example", session: Any = None) -> ssl.SSLSocket:
        """Handshake; a truncated end is an error, not an end."""
        raw = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        return self.context.wrap_socket(raw, server_hostname=name, session=session, suppress_ragged_eofs=False)


class ServerCase(WireCase):
    """A listener with an open host and one that can be protected."""

    def tls(self, adminAuth: str = "required", trusted: AddressSet | None = None) -> int:
        """:return: a port that speaks TLS."""
        self.contexts = ServerContexts(
            {"open.example": makeHost(OPEN), "admin.example": makeHost(ADMIN, adminAuth)}, makeHost(OPEN)
        )
        return self.listen(serverTransport(self.contexts, trusted))

    async def meet(self, port: int, peer: Peer | None = None, **arguments: Any) -> tuple[ssl.SSLSocket, Recorder]:
        """Both ends of a connection after the handshake."""
        known = len(self.factory.made)
        client = await deferToThread((peer or Peer()).connect, port, **arguments)
        self.addCleanup(client.close)
        await self.until(lambda: len(self.factory.made) > known and "handshake" in self.factory.made[-1].events)
        return client, self.factory.made[-1]


def readAll(client: ssl.SSLSocket) -> bytes:
    """Everything up to a proper end."""
    pieces = []
    while data := client.recv(1 << 16):
        pieces.append(data)
    return b"".join(pieces)


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


class DataTests(ServerCase):
    """Bytes both ways."""

    async def test_echo(self) -> None:
        """Megabytes come back as they were sent, with both sides at their limits."""
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            client, recorder = await self.meet(self.tls(), Peer(version))
            recorder.onData = recorder.transport.write
            self.assertEqual(await deferToThread(self._exchange, client), BIG)

    @staticmethod
    def _exchange(client: ssl.SSLSocket) -> bytes:
        client.setblocking(False)
        got, sent = bytearray(), 0
        while len(got) < len(BIG):
            select.select([client], [client] if sent < len(BIG) else [], [], 5)
            try:
                sent += client.send(BIG[sent : sent + 70_000]) if sent < len(BIG) else 0
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                pass
            try:
                while data := client.recv(1 << 16):
                    got += data
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                pass
        return bytes(got)

    async def test_recordSizes(self) -> None:
        """Whatever sizes records have, nothing stays behind."""
        client, recorder = await self.meet(self.tls())
        for size in (1, 16383, 16384, 16385, 32768, 131072, 131073, 1):
            recorder.received = b""
            await deferToThread(client.sendall, BIG[:size])
            await self.until(lambda size=size: len(recorder.received) == size)
            self.assertEqual(recorder.received, BIG[:size])

    async def test_slowReader(self) -> None:
        """A queue behind a slow client goes out in order, later writes behind it, and the end last."""
        client, recorder = await self.meet(self.tls())
        for data in (BIG, b"second", b"third", BIG):
            recorder.transport.write(data)
        recorder.transport.loseConnection()
        self.assertEqual(await deferToThread(readAll, client), BIG + b"secondthird" + BIG)
        await self.until(lambda: recorder.reason)
        self.assertIsNotNone(recorder.reason.check(ConnectionDone))

    async def test_pause(self) -> None:
        """A paused protocol gets nothing, and everything once it resumes, though all is there already."""
        client, recorder = await self.meet(self.tls())
        transport: Any = recorder.transport
        transport.pauseProducing()
        await deferToThread(client.sendall, BIG[:50_000])
        await self.meet(self.tls())
        self.assertEqual(recorder.received, b"")
        recorder.onData = lambda data: transport.pauseProducing()
        while len(recorder.received) < 50_000:
            before = len(recorder.received)
            transport.resumeProducing()
            await self.until(lambda before=before: len(recorder.received) > before)
        self.assertEqual(recorder.received, BIG[:50_000])

    async def test_keyUpdate(self) -> None:
        """A client may change its keys, and ask us to, at any time."""
        openssl = shutil.which("openssl")
        if openssl is None:
            self.skipTest("needs the openssl program")
        port = self.tls()
        said = Path(self.mktemp())
        with said.open("wb") as errors, subprocess.Popen(
            [openssl, "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "open.example", "-tls1_3"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        ) as client:
            assert client.stdin is not None
            try:
                recorder = await self.accepted()
                await self.until(lambda: "handshake" in recorder.events)
                updates = 0
                for line in (b"one\n", b"K\n", b"two\n", b"k\n", b"three\n"):
                    client.stdin.write(line)
                    client.stdin.flush()
                    if len(line) == 2:
                        # A command, if it is all that the client reads at once.
                        updates += 1
                        await self.until(lambda updates=updates: said.read_bytes().count(b"KEYUPDATE") == updates)
                        continue
                    await self.until(lambda line=line: recorder.received.endswith(line))
                    recorder.transport.write(b"answer")
                self.assertEqual(recorder.received, b"one\ntwo\nthree\n")
            finally:
                client.kill()
        await self.until(lambda: recorder.reason)


class SmallRecordsTests(ServerCase):
    """Many records that carry little or nothing."""

    async def write(self, **arguments: Any) -> tuple[RecordWriter, Recorder, list[int]]:
        """A client that writes its records by hand, paused, the protocol, and how much each delivery had."""
        peer, keys = Peer(), Path(self.mktemp())
        peer.context.keylog_filename = str(keys)
        client, recorder = await self.meet(self.tls(), peer, **arguments)
        writer = RecordWriter(client, keys)
        self.addCleanup(writer.close)
        sizes: list[int] = []
        recorder.onData = lambda data: sizes.append(len(data))
        recorder.transport.pauseProducing()  # type: ignore[attr-defined]
        return writer, recorder, sizes

    async def test_together(self) -> None:
        """Thousands of one-byte records take a few turns of the loop, and each turn leaves the others theirs."""
        writer, recorder, sizes = await self.write()
        sent = bytes(range(256)) * 16
        await deferToThread(writer.send, b"".join(writer.record(sent[at : at + 1]) for at in range(len(sent))))
        recorder.transport.resumeProducing()  # type: ignore[attr-defined]
        await self.until(lambda: len(recorder.received) == len(sent))
        self.assertEqual(recorder.received, sent)
        self.assertLess(len(sizes), LOOK_EVERY + 2 * len(sent) // RECORDS_PER_TURN)
        self.assertLessEqual(max(sizes), RECORDS_PER_TURN)

    async def test_oneByOne(self) -> None:
        """Where none waits behind a record, we do not go on looking for more."""
        writer, recorder, sizes = await self.write()
        transport: Any = recorder.transport
        transport.resumeProducing()
        looks = []
        readSmall = transport._readSmall
        transport._readSmall = lambda got: looks.append(got) or readSmall(got)
        for count in range(1, 5 * LOOK_EVERY + 1):
            writer.send(writer.record(b"x"))
            await self.until(lambda count=count: len(recorder.received) == count)
        self.assertEqual((len(sizes), len(looks)), (5 * LOOK_EVERY, 5))

    async def test_anySizes(self) -> None:
        """Small and full ones in any order arrive as they were sent."""
        writer, recorder, sizes = await self.write()
        records = [size for _ in range(30) for size in (1, 2, 16384, 16383, 1, 1, 300, 1400, 0)]
        await deferToThread(self._sendAll, writer, recorder, [BIG[:size] for size in records])
        await self.until(lambda: len(recorder.received) == sum(records))
        self.assertEqual(recorder.received, b"".join(BIG[:size] for size in records))
        self.assertLessEqual(max(sizes), READ_SIZE)

    @staticmethod
    def _sendAll(writer: RecordWriter, recorder: Recorder, pieces: list[bytes]) -> None:
        reactor.callFromThread(recorder.transport.resumeProducing)  # type: ignore[attr-defined]
        writer.send(b"".join(map(writer.record, pieces)))

    async def test_paused(self) -> None:
        """A protocol that pauses at each delivery gets nothing more until it resumes, and then all of it."""
        writer, recorder, sizes = await self.write()
        transport: Any = recorder.transport
        recorder.onData = lambda data: (sizes.append(len(data)), transport.pauseProducing())
        await deferToThread(writer.send, b"".join(writer.record(b"x") for _ in range(2000)))
        while len(recorder.received) < 2000:
            before = len(sizes)
            transport.resumeProducing()
            await self.until(lambda before=before: len(sizes) > before)
            self.assertEqual(len(sizes), before + 1)

    async def test_ends(self) -> None:
        """An end right behind small records, proper or not, is told after them; to who has paused, when it resumes."""
        for proper in (True, False):
            for pausing in (False, True):
                writer, recorder, _ = await self.write()
                transport: Any = recorder.transport
                if pausing:
                    recorder.onData = lambda data, transport=transport: transport.pauseProducing()
                records = [writer.record(b"x") for _ in range(400)]
                await deferToThread(writer.send, b"".join(records) + (writer.closeNotify() if proper else b""))
                writer._socket.shutdown(socket.SHUT_WR)
                while recorder.reason is None:
                    transport.resumeProducing()
                    await deferLater(reactor, 0)
                self.assertEqual(len(recorder.received), 400)
                self.assertIsNotNone(recorder.reason.check(ConnectionDone if proper else ConnectionLost))
                self.assertEqual(transport.truncated, not proper)

    async def test_newKeys(self) -> None:
        """A peer may take new keys between any two records, and ask for ours."""
        writer, recorder, _ = await self.write()
        # Ours, which one of them asks for, counts, too.
        times = range(MESSAGES_PER_MINUTE - 1)
        sent = b"".join(writer.record(b"x") + writer.keyUpdate(at == 5) + writer.record(b"y") for at in times)
        await deferToThread(writer.send, sent)
        recorder.transport.resumeProducing()  # type: ignore[attr-defined]
        await self.until(lambda: len(recorder.received) == 2 * len(times))
        self.assertEqual((recorder.received, recorder.reason), (b"xy" * len(times), None))

    async def test_newKeysAmongRecords(self) -> None:
        """A flood is one also when there are records in it, however many are read together."""
        for records in (1, 2, 30):
            writer, recorder, _ = await self.write()
            sent = [b"".join(map(writer.record, [b"x"] * records)) + writer.keyUpdate() for _ in range(200)]
            await deferToThread(writer.send, b"".join(sent))
            recorder.transport.resumeProducing()  # type: ignore[attr-defined]
            await self.until(lambda recorder=recorder: recorder.reason)
            self.assertLessEqual(len(recorder.received), records * (MESSAGES_PER_MINUTE + 1))

    async def test_floodOfKeys(self) -> None:
        """Who sends nothing but new keys holds nobody up, and is let go."""
        await self.flood(False)

    async def test_floodOfKeysAskingForOurs(self) -> None:
        """The same with new keys of ours asked for each time."""
        await self.flood(True)

    async def flood(self, requested: bool) -> None:
        """Send new keys only, and count the turns of the loop that they take."""
        writer, recorder, _ = await self.write()
        await deferToThread(writer.send, b"".join(writer.keyUpdate(requested) for _ in range(2000)))
        transport: Any = recorder.transport
        doRead = transport.doRead
        turns = 0

        def counted() -> Any:
            nonlocal turns
            turns += 1
            return doRead()

        transport.doRead = counted
        transport.resumeProducing()
        await self.until(lambda: recorder.reason)
        self.assertIsNotNone(recorder.reason.check(ConnectionLost))
        self.assertEqual(turns, MESSAGES_PER_MINUTE + 1)

    async def test_recordInPieces(self) -> None:
        """A record that comes byte by byte is no flood."""
        writer, recorder, _ = await self.write()
        recorder.transport.resumeProducing()  # type: ignore[attr-defined]
        record = writer.record(b"x" * 200)
        for at in range(len(record)):
            writer.send(record[at : at + 1])
            await deferLater(reactor, 0)
        await self.until(lambda: recorder.received)
        self.assertEqual((recorder.received, recorder.reason), (b"x" * 200, None))


class EndTests(ServerCase):
    """How connections end."""

    async def test_weClose(self) -> None:
        """Our end is a proper one: the peer can tell that nothing is missing."""
        client, recorder = await self.meet(self.tls())
        recorder.transport.write(b"all")
        recorder.transport.loseConnection()
        self.assertEqual(await deferToThread(readAll, client), b"all")

    async def test_weAbort(self) -> None:
        """Aborting is not a proper end."""
        client, recorder = await self.meet(self.tls())
        recorder.transport.abortConnection()  # type: ignore[attr-defined]
        with self.assertRaises((ssl.SSLError, ConnectionResetError)):
            await deferToThread(readAll, client)
        await self.until(lambda: recorder.reason)

    async def test_peerCloses(self) -> None:
        """``close_notify`` is a clean end."""
        client, recorder = await self.meet(self.tls())
        await deferToThread(client.sendall, b"last")
        await deferToThread(client.unwrap)
        await self.until(lambda: recorder.reason)
        self.assertEqual(recorder.received, b"last")
        self.assertIsNotNone(recorder.reason.check(ConnectionDone))
        self.assertFalse(recorder.transport.truncated)  # type: ignore[attr-defined]

    async def test_truncated(self) -> None:
        """The end of the TCP connection without it is a loss, after everything that came before."""
        client, recorder = await self.meet(self.tls())
        # With the session tickets unread, the kernel would reset the connection instead of ending it.
        recorder.transport.write(b"x")
        await deferToThread(client.recv, 1)
        await deferToThread(client.sendall, b"last" * 10_000)
        socket.socket(fileno=client.detach()).close()
        await self.until(lambda: recorder.reason)
        self.assertEqual(recorder.received, b"last" * 10_000)
        self.assertIsNotNone(recorder.reason.check(ConnectionLost))
        self.assertTrue(recorder.transport.truncated)  # type: ignore[attr-defined]

    async def test_endWhilePaused(self) -> None:
        """An end that comes with the bytes that made the protocol pause is told when it resumes."""
        client, recorder = await self.meet(self.tls())
        transport: Any = recorder.transport
        recorder.onData = lambda data: transport.pauseProducing()
        transport.pauseProducing()
        await deferToThread(client.sendall, BIG[:16384])
        await deferToThread(self._endQuietly, client)
        transport.resumeProducing()
        await self.until(lambda: recorder.received)
        self.assertEqual((recorder.received, recorder.reason), (BIG[:16384], None))
        transport.resumeProducing()
        await self.until(lambda: recorder.reason)
        self.assertIsNotNone(recorder.reason.check(ConnectionDone))

    @staticmethod
    def _endQuietly(client: ssl.SSLSocket) -> None:
        client.settimeout(0.05)
        try:
            client.unwrap()
        except (TimeoutError, OSError):
            pass

    async def test_halfClose(self) -> None:
        """Ending our direction sends everything and ``close_notify``, and still hears the peer."""
        client, recorder = await self.meet(self.tls())
        recorder.transport.write(BIG)
        recorder.transport.loseWriteConnection()  # type: ignore[attr-defined]
        self.assertEqual(await deferToThread(readAll, client), BIG)
        await deferToThread(client.sendall, b"still heard")
        await self.until(lambda: recorder.received)
        self.assertEqual(recorder.received, b"still heard")
        recorder.transport.loseConnection()
        await self.until(lambda: recorder.reason)

    async def test_writeToReset(self) -> None:
        """A write that fails returns; the loss is told later."""
        client, recorder = await self.meet(self.tls())
        reset(socket.socket(fileno=client.detach()))
        for _ in range(3):
            recorder.transport.write(b"x" * 20_000)
        self.assertEqual(recorder.events, ["made", "handshake"])
        await self.until(lambda: recorder.reason)
        self.assertIsNotNone(recorder.reason.check(ConnectionLost))


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
