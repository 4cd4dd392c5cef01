"""Bodies stream: memory stays bounded, whatever their size and however slow either side is."""

from __future__ import annotations

import os
import socket
import threading

from tests.harness import PATIENCE, EdgeCase, EdgeProcess, readExactly, readHead

SIZE = int(os.environ.get("REVPROXY_BIG_BODY_MB", "192")) << 20
"""Bytes of a big body. The full test: REVPROXY_BIG_BODY_MB=1024."""

PIECE = b"x" * (1 << 18)
LIMIT = 40
"""Megabytes that may become resident: much less than a body, and more than anything else that comes first."""


def sendMuch(peer: socket.socket, size: int) -> int:
    sent = 0
    while sent < size:
        peer.sendall(PIECE)
        sent += len(PIECE)
    return sent


def takeMuch(peer: socket.socket, size: int) -> int:
    buffer = bytearray(1 << 18)
    got = 0
    while got < size and (count := peer.recv_into(buffer)):
        got += count
    return got


class StreamingTests(EdgeCase):
    """One big body each way."""

    def begin(self) -> EdgeProcess:
        self.taken: list[int] = []

        def handle(peer: socket.socket) -> None:
            while True:
                head, rest = readHead(peer)
                if not head:
                    return
                if head.startswith(b"GET /chunked"):
                    peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                    for _ in range(SIZE // len(PIECE)):
                        peer.sendall(b"%x\r\n%b\r\n" % (len(PIECE), PIECE))
                    peer.sendall(b"0\r\n\r\n")
                elif head.startswith(b"GET /small"):
                    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
                elif head.startswith(b"GET"):
                    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE)
                    sendMuch(peer, SIZE)
                else:
                    self.taken.append(len(rest) + takeMuch(peer, SIZE - len(rest)))
                    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

        edge = self.start([self.origin(handle)])
        self.before = edge.peakMegabytes()
        return edge

    def assertSmall(self, edge: EdgeProcess) -> None:
        """It has not kept what went through it."""
        self.assertLess(edge.peakMegabytes() - self.before, LIMIT)

    def test_down(self) -> None:
        """A big answer arrives whole."""
        edge = self.begin()
        client = self.connect(edge)
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        head, rest = readHead(client)
        self.assertIn(b"Content-Length: %d\r\n" % SIZE, head)
        self.assertEqual(len(rest) + takeMuch(client, SIZE - len(rest)), SIZE)
        self.assertSmall(edge)

    def test_up(self) -> None:
        """A big request arrives whole."""
        edge = self.begin()
        client = self.connect(edge)
        client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % SIZE)
        sendMuch(client, SIZE)
        self.assertTrue(readHead(client)[0].startswith(b"HTTP/1.1 200 "))
        self.assertEqual(self.taken, [SIZE])
        self.assertSmall(edge)

    def test_slowReader(self) -> None:
        """A client that reads nothing for a while makes the origin wait, and costs no memory; then it gets all."""
        edge = self.begin()
        client = self.connect(edge)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.sendall(b"GET /chunked HTTP/1.1\r\nHost: a\r\n\r\n")
        readHead(client)
        self.assertTrue(self.get(edge, "/small")[0].startswith(b"HTTP/1.1 200 "))
        self.assertSmall(edge)
        self.assertGreater(takeMuch(client, SIZE // 2), SIZE // 2 - 1)
        self.assertSmall(edge)

    def test_slowOrigin(self) -> None:
        """An origin that reads nothing makes the client wait."""
        go = threading.Event()
        self.addCleanup(go.set)

        def handle(peer: socket.socket) -> None:
            readHead(peer)
            go.wait()
            takeMuch(peer, 1 << 62)

        edge = self.start([self.origin(handle)])
        self.before = edge.peakMegabytes()
        client = self.connect(edge)
        client.settimeout(1)
        client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (1 << 40))
        with self.assertRaises(TimeoutError):
            sendMuch(client, 200 << 20)
        self.assertSmall(edge)
        go.set()
        client.settimeout(PATIENCE)
        sendMuch(client, 20 << 20)


class BothWaysTests(EdgeCase):
    """Request and answer at once."""

    def test_echo(self) -> None:
        """An origin that answers while it reads: every byte comes back."""

        def handle(peer: socket.socket) -> None:
            _, rest = readHead(peer)
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 8000000\r\n\r\n" + rest)
            left = 8000000 - len(rest)
            while left and (data := peer.recv(65536)):
                peer.sendall(data)
                left -= len(data)

        edge = self.start([self.origin(handle)])
        client = self.connect(edge)
        body = os.urandom(8000000)
        client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8000000\r\n\r\n")
        sender = threading.Thread(target=client.sendall, args=(body,), daemon=True)
        sender.start()
        _, rest = readHead(client)
        self.assertEqual(rest + readExactly(client, 8000000 - len(rest)), body)
        sender.join(PATIENCE)
