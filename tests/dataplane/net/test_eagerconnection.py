"""
Tests for :mod:`revproxy.dataplane.net.eagerconnection` and the connections made of it, on loopback.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
)
from zope.interface import directlyProvides

from revproxy.dataplane.net import eagerconnection as connection
from tests.dataplane.wire import WireCase, reset

BIG = bytes(range(256)) * 65536




class Push:
    """A streaming producer that records what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def pauseProducing(self) -> None:
        """Told when too much is queued."""
        self.told.append("pause")

    def resumeProducing(self) -> None:
        """Told when the queue is empty."""
        self.told.append("resume")

    def stopProducing(self) -> None:
        """Told when the connection is gone."""
        self.told.append("stop")


class WritingTests(WireCase):
    """From ``write`` to the wire."""

    async def test_atOnce(self) -> None:
        """What is written has left before ``write`` returns."""
        peer = self.raw(self.listen())
        recorder = await self.accepted()
        recorder.transport.write(b"now")
        self.assertEqual(peer.recv(10), b"now")
        recorder.transport.writeSequence([b"a", b"", b"bc"])
        self.assertEqual(peer.recv(10), b"abc")

    async def test_order(self) -> None:
        """What does not fit waits in order, and later writes wait behind it."""
        peer = self.raw(self.listen())
        recorder = await self.accepted()
        for data in (BIG, b"second", b"", BIG, b"last"):
            recorder.transport.write(data)
        expected = BIG + b"second" + BIG + b"last"
        self.assertEqual(await self.drain(peer, len(expected)), expected)
        recorder.transport.write(b"direct again")
        self.assertEqual(peer.recv(100), b"direct again")

    async def test_textIsRefused(self) -> None:
        """A string is a mistake that shows at once."""
        self.raw(self.listen())
        recorder = await self.accepted()
        self.assertRaises(TypeError, recorder.transport.write, "text")

    async def test_streamingProducer(self) -> None:
        """It is paused only while much is queued, resumed once when all is out, and then writes directly."""
        peer = self.raw(self.listen())
        recorder = await self.accepted()
        producer = Push()
        recorder.transport.registerProducer(producer, True)  # type: ignore[attr-defined]
        recorder.transport.write(b"little")
        self.assertEqual(producer.told, [])
        recorder.transport.write(BIG)
        self.assertEqual(producer.told, ["pause"])
        await self.drain(peer, len(BIG) + 6)
        await self.until(lambda: producer.told[1:])
        self.assertEqual(producer.told, ["pause", "resume"])
        recorder.transport.write(b"direct")
        self.assertEqual(peer.recv(10), b"direct")

    async def test_resumedProducerWritesDirectly(self) -> None:
        """What a producer writes when it is resumed goes out in the same call."""
        peer = self.raw(self.listen())
        recorder = await self.accepted()
        producer = Push()
        seen: list[Any] = []
        transport: Any = recorder.transport

        def resume() -> None:
            transport.write(b"more")
            seen.append(len(transport.dataBuffer) + transport._tempDataLen)

        producer.resumeProducing = resume  # type: ignore[method-assign]
        recorder.transport.registerProducer(producer, True)  # type: ignore[attr-defined]
        recorder.transport.write(BIG)
        self.assertEqual(await self.drain(peer, len(BIG) + 4), BIG + b"more")
        self.assertEqual(seen, [0])

    async def test_pullProducer(self) -> None:
        """It is asked each time the queue is empty, never from inside its own write."""
        peer = self.raw(self.listen())
        recorder = await self.accepted()
        pieces = [b"%d," % i for i in range(50)]
        depth = [0]

        class Pull:
            def resumeProducing(self) -> None:
                depth[0] += 1
                assert depth[0] == 1
                if pieces:
                    recorder.transport.write(pieces.pop(0))
                else:
                    recorder.transport.unregisterProducer()  # type: ignore[attr-defined]
                    recorder.transport.loseConnection()
                depth[0] -= 1

            def stopProducing(self) -> None:
                pieces.clear()

        recorder.transport.registerProducer(Pull(), False)  # type: ignore[attr-defined]
        self.assertEqual(await self.drain(peer, 1 << 20), b"".join(b"%d," % i for i in range(50)))

    async def test_pausedReading(self) -> None:
        """Bytes stay in the kernel while the protocol is paused."""
        peer = self.raw(self.listen())
        recorder = await self.accepted()
        recorder.transport.pauseProducing()  # type: ignore[attr-defined]
        peer.send(b"later")
        other = self.raw(self.factory_port())
        other.send(b"x")
        await self.until(lambda: self.factory.made[-1].received)
        self.assertEqual(recorder.received, b"")
        recorder.transport.resumeProducing()  # type: ignore[attr-defined]
        await self.until(lambda: recorder.received)
        self.assertEqual(recorder.received, b"later")

    def factory_port(self) -> int:
        """Another port of the same factory: its traffic shows that the loop has turned."""
        return self.listen()


class EndTests(WireCase):
    """How connections end."""

    async def test_loseConnectionFlushes(self) -> None:
        """Closing waits until everything queued is out."""
        peer = self.raw(self.listen())
        recorder = await self.accepted()
        recorder.transport.write(BIG)
        recorder.transport.loseConnection()
        self.assertEqual(recorder.events, ["made"])
        self.assertEqual(await self.drain(peer, len(BIG) + 1), BIG)
        await self.until(lambda: recorder.reason)
        self.assertIsNotNone(recorder.reason.check(ConnectionDone))

    async def test_peerEnds(self) -> None:
        """An orderly end is ``ConnectionDone``."""
        peer = self.raw(self.listen())
        recorder = await self.accepted()
        peer.close()
        await self.until(lambda: recorder.reason)
        self.assertIsNotNone(recorder.reason.check(ConnectionDone))
        self.assertFalse(recorder.transport.truncated)  # type: ignore[attr-defined]

    async def test_writeToReset(self) -> None:
        """A write that fails returns; the protocol hears of a loss later, not of a clean end, and once."""
        peer = self.raw(self.listen())
        recorder = await self.accepted()
        reset(peer)
        for _ in range(3):
            recorder.transport.write(b"x" * 1000)
        self.assertEqual(recorder.events, ["made"])
        await self.until(lambda: recorder.reason)
        self.assertIsNotNone(recorder.reason.check(ConnectionLost))
        self.assertTrue(recorder.transport.truncated)  # type: ignore[attr-defined]
        self.assertEqual(recorder.events, ["made", "lost"])

    async def test_writeToResetWhilePaused(self) -> None:
        """The loss is told even when nobody reads."""
        peer = self.raw(self.listen())
        recorder = await self.accepted()
        recorder.transport.pauseProducing()  # type: ignore[attr-defined]
        reset(peer)
        recorder.transport.write(b"x")
        recorder.transport.write(b"x")
        self.assertEqual(recorder.events, ["made"])
        await self.until(lambda: recorder.reason)
        self.assertIsNotNone(recorder.reason.check(ConnectionLost))

    async def test_closeAfterFailedWrite(self) -> None:
        """``loseConnection`` after a failed write ends the connection, in a later turn."""
        peer = self.raw(self.listen())
        recorder = await self.accepted()
        reset(peer)
        recorder.transport.write(b"x")
        recorder.transport.loseConnection()
        self.assertEqual(recorder.events, ["made"])
        await self.until(lambda: recorder.reason)

    async def test_lastWordsBeforeReset(self) -> None:
        """What a peer sent before it closed on us is delivered although our write has failed."""
        peer = self.raw(self.listen())
        recorder = await self.accepted()
        recorder.transport.write(b"unread, so that closing resets")
        self.patch(connection, "READ_SIZE", 1000)
        answer = bytes(40_000)
        peer.setblocking(True)
        peer.sendall(answer)
        peer.close()
        for _ in range(3):
            recorder.transport.write(b"upload")
        await self.until(lambda: recorder.reason)
        self.assertEqual(recorder.received, answer)
        self.assertIsNotNone(recorder.reason.check(ConnectionLost))

    async def test_abort(self) -> None:
        """Aborting resets the connection and drops what is queued."""
        peer = self.raw(self.listen())
        recorder = await self.accepted()
        recorder.transport.write(BIG)
        recorder.transport.abortConnection()  # type: ignore[attr-defined]
        recorder.transport.write(b"nothing")
        await self.until(lambda: recorder.reason)
        self.assertIsNotNone(recorder.reason.check(ConnectionAborted))
        peer.setblocking(True)
        with self.assertRaises(ConnectionResetError):
            while peer.recv(1 << 20):
                pass

    async def test_halfClose(self) -> None:
        """Ending our direction lets everything out first and leaves the other open."""
        peer = self.raw(self.listen())
        recorder = await self.accepted()
        recorder.transport.write(BIG)
        recorder.transport.loseWriteConnection()  # type: ignore[attr-defined]
        self.assertEqual(await self.drain(peer, len(BIG) + 1), BIG)
        recorder.transport.write(b"too late")
        peer.send(b"still heard")
        await self.until(lambda: recorder.received)
        recorder.transport.loseConnection()
        self.assertEqual(recorder.events, ["made"])
        await self.until(lambda: recorder.reason)

    async def test_peerHalfCloses(self) -> None:
        """A protocol that can takes the end of the peer's direction and still answers."""
        told: list[str] = []

        def prepare(recorder: Any) -> None:
            recorder.readConnectionLost = lambda: told.append("read")
            recorder.writeConnectionLost = lambda: told.append("write")
            directlyProvides(recorder, IHalfCloseableProtocol)

        self.factory.prepare = prepare
        peer = self.raw(self.listen())
        recorder = await self.accepted()
        peer.shutdown(socket.SHUT_WR)
        await self.until(lambda: told)
        recorder.transport.resumeProducing()  # type: ignore[attr-defined]
        recorder.transport.write(b"answer")
        self.assertEqual(peer.recv(10), b"answer")
        recorder.transport.loseConnection()
        await self.until(lambda: recorder.reason)
        self.assertEqual(told, ["read"])
