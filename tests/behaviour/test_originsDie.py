"""Origins that die before, in and after the head, over real sockets; and clients that leave in the middle."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable

from tests.harness import PATIENCE, EdgeCase, freePort, readAll, readHead


def reset(peer: socket.socket) -> None:
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def dying(said: bytes, rudely: bool) -> Callable[[socket.socket], None]:
    """An origin that says so much and goes."""

    def handle(peer: socket.socket) -> None:
        if readHead(peer)[0]:
            peer.sendall(said)
            if rudely:
                reset(peer)

    return handle


class DyingTests(EdgeCase):
    """One edge, several origins."""

    def test_beforeAndInTheHead(self) -> None:
        """502, and the client's connection goes on."""
        ways = [(b"", False), (b"", True), (b"HTTP/1.1 200 OK\r\nContent-Le", False), (b"nonsense\r\n\r\n", False)]
        origins = [self.origin(dying(*way)) for way in ways]
        upstreams = "".join(f"  o{at}: {{targets: ['{one.url}']}}\n" for at, one in enumerate(origins))
        routes = "".join(f"  - {{path: /{at}, upstream: o{at}}}\n" for at in range(len(ways)))
        edge = self.start([], f"upstreams:\n{upstreams}routes:\n{routes}")
        client = self.connect(edge)
        for at in range(len(ways)):
            client.sendall(b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n" % at)
            head, body = readHead(client)
            self.assertTrue(head.startswith(b"HTTP/1.1 502 "), head)
            while b"request " not in body or not body.endswith(b"\n"):
                body += client.recv(1000)
            self.assertEqual(self.recordOf(edge, f"/{at}")["status"], 502)

    def test_inTheBody(self) -> None:
        """What is truncated never passes for whole, however it is framed."""
        ways = [
            (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", False),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", True),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", False),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", True),
        ]
        origins = [self.origin(dying(*way)) for way in ways]
        upstreams = "".join(f"  o{at}: {{targets: ['{one.url}']}}\n" for at, one in enumerate(origins))
        routes = "".join(f"  - {{path: /{at}, upstream: o{at}}}\n" for at in range(len(ways)))
        edge = self.start([], f"upstreams:\n{upstreams}routes:\n{routes}")
        for at in range(len(ways)):
            client = self.connect(edge)
            client.sendall(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % at)
            with self.assertRaises(ConnectionResetError):
                readAll(client)
            self.assertIn("BadResponse", self.recordOf(edge, f"/{at}")["error"])

    def test_staleConnections(self) -> None:
        """An origin that closes every connection after one answer, unannounced: no GET fails."""

        def handle(peer: socket.socket) -> None:
            readHead(peer)
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")

        edge = self.start([self.origin(handle)])
        client = self.connect(edge)
        for _ in range(50):
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            self.assertTrue(readHead(client)[0].startswith(b"HTTP/1.1 200 "))

    def test_failOver(self) -> None:
        """One of two origins is dead: every request is answered."""
        alive = self.answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        targets = f"['http://127.0.0.1:{freePort()}', '{alive.url}']"
        edge = self.start([], f"upstreams: {{app: {{targets: {targets}, max_fails: 2}}}}\n")
        client = self.connect(edge)
        for _ in range(10):
            client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
            self.assertTrue(readHead(client)[0].startswith(b"HTTP/1.1 200 "))
        self.assertIn("is passed over for", edge.said())

    def test_earlyAnswer(self) -> None:
        """413 while the client still sends: the client reads it, whatever it has sent since."""

        def handle(peer: socket.socket) -> None:
            readHead(peer)
            peer.sendall(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")

        edge = self.start([self.origin(handle)])
        client = self.connect(edge)
        client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n" + b"x" * 100_000)
        head, _ = readHead(client)
        self.assertTrue(head.startswith(b"HTTP/1.1 413 "), head)

    def test_clientLeaves(self) -> None:
        """A client that leaves while sending, or while reading, takes the origin's side with it."""
        begun = [threading.Event(), threading.Event()]
        ended = [threading.Event(), threading.Event()]

        def handle(peer: socket.socket) -> None:
            head, _ = readHead(peer)
            at = int(head.startswith(b"POST"))
            begun[at].set()
            try:
                if at:
                    while peer.recv(65536):
                        pass
                else:
                    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
                    while True:
                        peer.sendall(b"x" * 65536)
            finally:
                ended[at].set()

        edge = self.start([self.origin(handle)])
        get = b"GET /get HTTP/1.1\r\nHost: a\r\n\r\n"
        post = b"POST /post HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nabc"
        for at, start in enumerate((get, post)):
            client = self.connect(edge)
            client.sendall(start)
            self.assertTrue(begun[at].wait(PATIENCE))
            if start is get:
                readHead(client)
            client.close()
        for event in ended:
            self.assertTrue(event.wait(PATIENCE), "the origin's side goes on")
        self.assertIn("ClientGone", self.recordOf(edge, "/get")["error"])
        self.assertEqual(self.recordOf(edge, "/post")["status"], 499)

    def test_pipelining(self) -> None:
        """Answers come in the order of the requests, though later ones are ready first."""

        def handle(peer: socket.socket) -> None:
            data = b""
            while more := peer.recv(65536):
                data += more
                while b"\r\n\r\n" in data:
                    head, _, data = data.partition(b"\r\n\r\n")
                    target = head.split(b" ")[1]
                    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(target) + target)

        edge = self.start([self.origin(handle)])
        client = self.connect(edge)
        count = 200
        client.sendall(b"".join(b"GET /%03d HTTP/1.1\r\nHost: a\r\n\r\n" % at for at in range(count)))
        got = b""
        while got.count(b"HTTP/1.1 200 OK") < count or not got.endswith(b"/199"):
            got += client.recv(65536)
        bodies = [part.rpartition(b"\r\n\r\n")[2] for part in got.split(b"HTTP/1.1 ")[1:]]
        self.assertEqual(bodies, [b"/%03d" % at for at in range(count)])

    def test_earlyHints(self) -> None:
        """103 comes before the answer; a 1.0 client is spared it."""
        edge = self.start([self.answering(
            b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")])
        head, body = self.get(edge)
        self.assertTrue(head.startswith(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>"), head)
        self.assertTrue(body.startswith(b"HTTP/1.1 200 ") and body.endswith(b"hi"), body)
        client = self.connect(edge)
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        self.assertTrue(readAll(client).startswith(b"HTTP/1.1 200 "))
