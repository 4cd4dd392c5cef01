"""PROXY headers: pure parsing, and the stage that reads them from a socket."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.error import ConnectionLost
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from revproxy.addresses import AddressSet
from revproxy.dataplane.http.limits import Limits
from revproxy.dataplane.leaves.fixed import RespondLeaf
from revproxy.dataplane.net.proxyprotocol import SIGNATURE, ProxyHeader, ProxyHeaderError, readProxyHeader
from revproxy.dataplane.net.servertransport import serverTransport
from tests.dataplane.doubles import EdgeDouble
from tests.dataplane.wire import WireCase

V1 = b"PROXY TCP4 203.0.113.9 192.0.2.1 56324 443\r\n"
CLIENT = IPv4Address("TCP", "203.0.113.9", 56324)
EDGE = IPv4Address("TCP", "192.0.2.1", 443)


def v2(block: bytes, command: int = 0x21, family: int = 0x11) -> bytes:
    """A version 2 header around an address block."""
    return SIGNATURE + bytes((command, family)) + len(block).to_bytes(2, "big") + block


IPV4_BLOCK = bytes((203, 0, 113, 9, 192, 0, 2, 1)) + (56324).to_bytes(2, "big") + (443).to_bytes(2, "big")
IPV6_BLOCK = bytes(15) + b"\x01" + b"\x20\x01\x0d\xb8" + bytes(11) + b"\x02" + b"\x00\x01\x01\xbb"
TLV = b"\x03\x00\x04\xde\xad\xbe\xef"


class ReadProxyHeaderTests(SynchronousTestCase):
    """From bytes to addresses."""

    def test_version1(self) -> None:
        """TCP4 and TCP6 lines carry both ends; UNKNOWN carries none, whatever follows it."""
        self.assertEqual(readProxyHeader(V1 + b"GET"), ProxyHeader(0, len(V1), CLIENT, EDGE))
        line = b"PROXY TCP6 2001:db8::9 ::1 1 65535\r\n"
        header = readProxyHeader(line)
        self.assertEqual(header.source, IPv6Address("TCP", "2001:db8::9", 1))
        self.assertEqual(header.destination, IPv6Address("TCP", "::1", 65535))
        for line in (b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN ffff::1 ff 1 2\r\n"):
            self.assertEqual(readProxyHeader(line), ProxyHeader(length=len(line)))

    def test_version2(self) -> None:
        """Both families over TCP, with and without extensions."""
        for data in (v2(IPV4_BLOCK), v2(IPV4_BLOCK + TLV)):
            self.assertEqual(readProxyHeader(data + b"GET"), ProxyHeader(0, len(data), CLIENT, EDGE))
        header = readProxyHeader(v2(IPV6_BLOCK, family=0x21))
        self.assertEqual(header.source, IPv6Address("TCP", "::1", 1))
        self.assertEqual(header.destination, IPv6Address("TCP", "2001:db8::2", 443))

    def test_version2UNIX(self) -> None:
        """Paths end at their first NUL."""
        header = readProxyHeader(v2(b"/a".ljust(108, b"\0") + b"/b".ljust(108, b"\0"), family=0x31))
        self.assertEqual((header.source, header.destination), (UNIXAddress(b"/a"), UNIXAddress(b"/b")))

    def test_version2WithoutAddresses(self) -> None:
        """LOCAL, unspecified families and datagrams leave the connection's own addresses."""
        for data in (v2(b"", 0x20, 0x00), v2(IPV4_BLOCK, 0x20), v2(TLV, 0x21, 0x00), v2(IPV4_BLOCK, family=0x12)):
            self.assertEqual(readProxyHeader(data), ProxyHeader(length=len(data)))

    def test_everyPrefixAsksForMore(self) -> None:
        """As long as something is missing, more is asked for than is there, and never more than is coming."""
        for data in (V1, v2(IPV4_BLOCK + TLV), b"PROXY UNKNOWN\r\n"):
            for end in range(len(data)):
                needed = readProxyHeader(data[:end]).needed
                self.assertTrue(end < needed <= len(data), (data, end, needed))

    def test_refused(self) -> None:
        """What cannot become a header is refused as soon as that is clear."""
        wrong = [
            b"G",
            b"PROXY TCP5 203.0.113.9 192.0.2.1 1 2\r\n",
            b"PROXY TCP4 203.0.113.9 192.0.2.1 1\r\n",
            b"PROXY TCP4 203.0.113.9  192.0.2.1 1 2\r\n",
            b"PROXY TCP4 203.0.113.09 192.0.2.1 1 2\r\n",
            b"PROXY TCP4 2001:db8::1 ::1 1 2\r\n",
            b"PROXY TCP4 203.0.113.9 192.0.2.1 01 2\r\n",
            b"PROXY TCP4 203.0.113.9 192.0.2.1 +1 2\r\n",
            b"PROXY TCP4 203.0.113.9 192.0.2.1 1 65536\r\n",
            b"PROXY UNKNOWN " + b"x" * 100,
            b"PROXY\r\n\r\nXXXXXXXXXXXX",
            SIGNATURE + b"\x11\x11\x00\x0c",
            SIGNATURE + b"\x22\x11\x00\x0c",
            SIGNATURE + b"\x21\x11\xff\xff",
            v2(IPV4_BLOCK[:-1]),
        ]
        for data in wrong:
            with self.assertRaises(ProxyHeaderError, msg=data):
                readProxyHeader(data)

    @given(st.binary(max_size=40), st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", SIGNATURE, SIGNATURE + b"\x21"]))
    def test_hostileBytes(self, rest: bytes, start: bytes) -> None:
        """Whatever comes is a header, a bounded wait, or the one error."""
        try:
            header = readProxyHeader(start + rest)
        except ProxyHeaderError:
            return
        self.assertTrue(len(start + rest) < header.needed <= 4112 or 0 < header.length <= len(start + rest))


class StageTests(WireCase):
    """The header on a socket."""

    def behind(self, *trusted: str) -> int:
        """A port whose peers in these networks must send a header."""
        return self.listen(serverTransport(None, AddressSet(trusted)))

    async def test_addressesAndBytes(self) -> None:
        """The peer is the carried one, and the protocol's bytes begin right behind the header."""
        peer = self.raw(self.behind("127.0.0.0/8"))
        peer.send(V1 + b"GET / HTTP/1.1")
        recorder = await self.accepted()
        await self.until(lambda: recorder.received)
        self.assertEqual(recorder.received, b"GET / HTTP/1.1")
        transport: Any = recorder.transport
        self.assertEqual((transport.getPeer(), transport.getHost()), (CLIENT, EDGE))
        transport.write(b"answer")
        self.assertEqual(peer.recv(10), b"answer")

    async def test_inPieces(self) -> None:
        """A header that comes byte by byte does not keep the loop busy and is read all the same."""
        peer = self.raw(self.behind("127.0.0.1"))
        recorder = await self.accepted()
        transport: Any = recorder.transport
        looks = [0]
        peek = transport._peek

        def counted(limit: int) -> Any:
            looks[0] += 1
            return peek(limit)

        transport._peek = counted
        for byte in v2(IPV4_BLOCK + TLV):
            peer.send(bytes((byte,)))
            for _ in range(3):
                await self.until(lambda: True)
        peer.send(b"x")
        await self.until(lambda: recorder.received)
        self.assertEqual(recorder.received, b"x")
        self.assertEqual(transport.getPeer(), CLIENT)
        self.assertLess(looks[0], 10)

    async def test_pausedProtocol(self) -> None:
        """A protocol that pauses before the header came gets its bytes when it resumes, not before."""
        self.factory.prepare = lambda recorder: setattr(
            recorder, "connectionMade", lambda: recorder.transport.pauseProducing()
        )
        peer = self.raw(self.behind("127.0.0.1"))
        peer.send(V1 + b"x")
        recorder = await self.accepted()
        transport: Any = recorder.transport
        await self.until(lambda: transport.getPeer() == CLIENT)
        self.assertEqual(recorder.received, b"")
        transport.resumeProducing()
        await self.until(lambda: recorder.received)

    async def test_writtenBefore(self) -> None:
        """What the protocol writes before the header came waits for it."""
        peer = self.raw(self.behind("127.0.0.1"))
        recorder = await self.accepted()
        recorder.transport.write(b"hello")
        await self.until(lambda: True)
        with self.assertRaises(BlockingIOError):
            peer.recv(10)
        peer.send(V1)
        self.assertEqual(await self.drain(peer, 5), b"hello")

    async def test_manyOfOneClient(self) -> None:
        """It is the client that the header names whose connections are counted, from the header on."""
        trusted = AddressSet(["127.0.0.1"])
        edge = EdgeDouble(RespondLeaf(200, b"hi", {}), trusted=trusted, limits=Limits(maxConnectionsPerClient=1))
        port = self.listen(serverTransport(None, trusted), edge.listener)
        request = b"GET / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n"
        silent, first, second, other = [self.raw(port) for _ in range(4)]
        first.send(V1 + request)
        self.assertIn(b"200 OK", await self.drain(first, 1))
        second.send(V1 + request)
        await self.until(lambda: edge.edge.turnedAway)
        with self.assertRaises(ConnectionResetError):
            await self.drain(second, 1)
        other.send(V1.replace(b"203.0.113.9", b"203.0.113.8") + request)
        self.assertIn(b"200 OK", await self.drain(other, 1))
        for peer in (silent, first, other):
            peer.close()
        await self.until(lambda: not edge.edge.connections)
        self.assertEqual(len(edge.edge.clients), 0)

    async def test_closedBefore(self) -> None:
        """Closing does not wait for a header."""
        peer = self.raw(self.behind("127.0.0.1"))
        recorder = await self.accepted()
        recorder.transport.loseConnection()
        await self.until(lambda: recorder.reason)
        self.assertEqual(await self.drain(peer, 1), b"")

    async def test_untrusted(self) -> None:
        """The bytes of others are theirs, even if they look like a header."""
        peer = self.raw(self.behind("10.0.0.0/8"))
        peer.send(V1)
        recorder = await self.accepted()
        await self.until(lambda: recorder.received)
        self.assertEqual(recorder.received, V1)
        self.assertEqual(recorder.transport.getPeer().host, "127.0.0.1")  # type: ignore[attr-defined]

    async def test_missing(self) -> None:
        """A trusted peer without a header is cut off; every tenfold is logged, not every one."""
        port = self.behind("127.0.0.1")
        with capturedLogs() as logged:
            for number in range(12):
                peer = self.raw(port)
                peer.send(b"GET / HTTP/1.1\r\n")
                await self.until(lambda number=number: len(self.factory.made) > number)
                recorder = self.factory.made[number]
                await self.until(lambda recorder=recorder: recorder.reason)
                self.assertIsNotNone(recorder.reason.check(ConnectionLost))
                self.assertEqual(recorder.received, b"")
        counts = [event["count"] for event in logged if "PROXY header" in (event.get("log_format") or "")]
        self.assertEqual(counts, [1, 10])

    async def test_left(self) -> None:
        """A peer that only looks in (a health check) is no event."""
        peer = self.raw(self.behind("127.0.0.1"))
        recorder = await self.accepted()
        with capturedLogs() as logged:
            peer.close()
            await self.until(lambda: recorder.reason)
        self.assertEqual(logged, [])
