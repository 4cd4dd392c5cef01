"""
Tests for :mod:`revproxy.dataplane.net.sockettls`, against the ``ssl`` module of
Python, which has an OpenSSL of its own. Peers are blocking and live in threads.
"""

from __future__ import annotations

import os
import select
import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any

from twisted.internet.error import ConnectionDone, ConnectionLost, TimeoutError
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from revproxy.dataplane.net.eagerconnection import READ_SIZE
from revproxy.dataplane.net.sockettls import MESSAGES_PER_MINUTE, PROBE_EVERY, RECORDS_PER_TURN
from tests.dataplane.net.tlscase import Peer, ServerCase, readAll
from tests.dataplane.net.tlsrecords import RecordWriter
from tests.dataplane.wire import Recorder, reactor, reset
from tests.tools import needs

BIG = os.urandom(1 << 20) * 6


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

    @needs("openssl")
    async def test_keyUpdate(self) -> None:
        """A client may change its keys, and ask us to, at any time."""
        port = self.tls()
        said = Path(self.mktemp())
        with said.open("wb") as errors, subprocess.Popen(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "open.example", "-tls1_3"],
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
        self.assertLess(len(sizes), PROBE_EVERY + 2 * len(sent) // RECORDS_PER_TURN)
        self.assertLessEqual(max(sizes), RECORDS_PER_TURN)

    async def test_oneByOne(self) -> None:
        """Where none waits behind a record, we do not go on looking for more."""
        writer, recorder, sizes = await self.write()
        transport: Any = recorder.transport
        transport.resumeProducing()
        looks = []
        readSmall = transport._readSmall
        transport._readSmall = lambda got: looks.append(got) or readSmall(got)
        for count in range(1, 5 * PROBE_EVERY + 1):
            writer.send(writer.record(b"x"))
            await self.until(lambda count=count: len(recorder.received) == count)
        self.assertEqual((len(sizes), len(looks)), (5 * PROBE_EVERY, 5))

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
