"""nginx behind the edge, HAProxy before it: what each says, the other understands."""

from __future__ import annotations

import gzip
import hashlib
import re
import socket
from pathlib import Path

from tests.harness import PATIENCE, EdgeCase, EdgeProcess, readAll
from tests.thorough.servers import Server, haproxy, nginx
from tests.tools import needs

BIG = b"".join(hashlib.sha256(b"%d" % at).digest() for at in range(1 << 16))
"""Two megabytes that do not repeat."""


class ServerCase(EdgeCase):
    """An edge before an nginx."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        files = self.folder / "files"
        files.mkdir(parents=True)
        (files / "big").write_bytes(BIG)
        (files / "words.txt").write_text(BIG.hex())
        self.nginx = self.serving(nginx(self.folder))

    def serving(self, server: Server) -> Server:
        self.addCleanup(server.end)
        return server

    def edge(self, listener: str = "") -> EdgeProcess:
        """:param listener: further keys of it."""
        return self.start([], (
            f"listeners: [{{endpoint: 'tcp:PORT:interface=127.0.0.1'{listener}}}]\n"
            f"upstreams: {{app: {{targets: ['http://127.0.0.1:{self.nginx.port}']}}}}\n"
            "routes: [{upstream: app}]\n"
        ))

    def ask(self, port: int, request: str) -> tuple[bytes, bytes]:
        """A request on a connection of its own. :return: head and body."""
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
            client.sendall(request.replace("\n", "\r\n").encode())
            head, _, body = readAll(client).partition(b"\r\n\r\n")
        return head, body


@needs("nginx")
class NginxTests(ServerCase):
    """nginx as the origin."""

    def request(self, target: str, fields: str = "", method: str = "GET") -> tuple[bytes, bytes]:
        request = f"{method} {target} HTTP/1.1\nHost: shop\nConnection: close\n{fields}\n"
        return self.ask(self.running.port, request)

    def setUp(self) -> None:
        super().setUp()
        self.running = self.edge()

    def test_files(self) -> None:
        """Whole, by its head alone, in part, and not again."""
        head, body = self.request("/big")
        self.assertEqual((head.split(b"\r\n")[0], body == BIG), (b"HTTP/1.1 200 OK", True))
        etag = re.search(rb"ETag: (\S+)", head)
        assert etag is not None
        head, body = self.request("/big", method="HEAD")
        self.assertIn(b"Content-Length: %d" % len(BIG), head)
        self.assertEqual(body, b"")
        head, body = self.request("/big", "Range: bytes=1000-1999\n")
        self.assertIn(b" 206 ", head)
        self.assertEqual(body, BIG[1000:2000])
        head, body = self.request("/big", f"If-None-Match: {etag[1].decode()}\n")
        self.assertEqual((head[9:12], body), (b"304", b""))
        self.assertIn(b" 404 ", self.request("/other")[0])

    def test_compressed(self) -> None:
        """What it compresses as it goes arrives as it was sent, in chunks."""
        head, body = self.request("/words.txt", "Accept-Encoding: gzip\n")
        self.assertIn(b"Content-Encoding: gzip", head)
        self.assertIn(b"Transfer-Encoding: chunked", head)
        data = b""
        while body:
            size, _, body = body.partition(b"\r\n")
            data += body[: int(size, 16)]
            body = body[int(size, 16) + 2 :]
        self.assertEqual(gzip.decompress(data).decode(), BIG.hex())

    def test_keptConnections(self) -> None:
        """Requests one after the other share a connection to it."""
        heads = [self.request("/echo")[0] for _ in range(20)]
        connections = {found[1] for head in heads if (found := re.search(rb"X-Connection: (\d+)", head))}
        self.assertEqual(len(connections), 1)

    def test_uploads(self) -> None:
        """It takes one, and refuses what is too much before it has all of it."""
        size = 90_000
        request = f"POST /upload HTTP/1.1\nHost: shop\nConnection: close\nContent-Length: {size}\n\n" + "x" * size
        head, body = self.ask(self.running.port, request)
        self.assertEqual((head[9:12], body), (b"200", b"taken\n"))
        size = 5_000_000
        with socket.create_connection(("127.0.0.1", self.running.port), PATIENCE) as client:
            client.sendall(b"POST /upload HTTP/1.1\r\nHost: shop\r\nContent-Length: %d\r\n\r\n" % size)
            self.assertEqual(client.recv(12), b"HTTP/1.1 413")

    def test_gone(self) -> None:
        """502 when it has died, and 200 when it is back: no connection of before is believed in."""
        self.assertIn(b" 200 ", self.request("/echo")[0])
        port = self.nginx.port
        self.nginx.end()
        self.assertIn(b" 502 ", self.request("/echo")[0])
        config = (self.folder / "nginx.conf").read_text()
        command = ["nginx", "-p", f"{self.folder}/", "-c", "nginx.conf", "-e", "stderr"]
        self.assertIn(str(port), config)
        self.serving(Server(self.folder, port, command))
        self.assertIn(b" 200 ", self.request("/echo")[0])


@needs("nginx", "haproxy")
class HAProxyTests(ServerCase):
    """HAProxy before the edge."""

    def through(self, mode: str, options: str, listener: str, count: int = 1) -> list[bytes]:
        """The bodies of so many requests on one connection."""
        edge = self.edge(listener)
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        front = self.serving(haproxy(folder, edge.port, mode, options))
        request = "GET /echo?a=%2F HTTP/1.1\nHost: shop\n\n" * (count - 1)
        request += "GET /echo?a=%2F HTTP/1.1\nHost: shop\nConnection: close\n\n"
        with socket.create_connection(("127.0.0.1", front.port), PATIENCE) as client:
            client.sendall(request.replace("\n", "\r\n").encode())
            return re.findall(rb"(/echo\?a=%2F .*?)\n", readAll(client))

    def test_http(self) -> None:
        """As a proxy of HTTP: connections are kept, pipelines answered in order."""
        self.assertEqual(self.through("http", "", "", 10), [b"/echo?a=%2F 127.0.0.1 shop"] * 10)

    def test_headers(self) -> None:
        """Its PROXY headers of both versions are understood: the client's address is at the origin."""
        for options in ("send-proxy", "send-proxy-v2"):
            bodies = self.through("tcp", options, ", proxy_protocol: true, trusted_proxies: [127.0.0.1]", 3)
            self.assertEqual(bodies, [b"/echo?a=%2F 127.0.0.1 shop"] * 3, options)
