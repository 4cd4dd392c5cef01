"""TLS through a running edge: client certificates and 421 in front, verified origins behind."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path
from typing import Any

from tests.authority import Authority
from tests.harness import EdgeCase, EdgeProcess, RawOrigin, readAll, readHead

LISTENER = """
listeners:
  - endpoint: tcp:PORT:interface=127.0.0.1
    tls:
      certificates: certs
      hosts: {secret.example: {client_ca: ca.pem, client_auth: required}}
"""


class TLSCase(EdgeCase):
    """One authority for all."""

    def setUp(self) -> None:
        self.authority = Authority()
        self.ca = self.authority.own.certificatePEM.decode()

    def context(self, certificate: bytes | None = None) -> ssl.SSLContext:
        """A client's, which trusts the authority."""
        context = ssl.create_default_context(cadata=self.ca)
        if certificate is not None:
            path = Path(self.mktemp())
            path.write_bytes(certificate)
            context.load_cert_chain(path)
        return context

    def ask(self, edge: EdgeProcess, name: str, host: str, certificate: bytes | None = None) -> bytes:
        """:return: the answer to a request for one host on a connection made for a name."""
        plain = self.connect(edge)
        client = self.context(certificate).wrap_socket(plain, server_hostname=name)
        self.addCleanup(client.close)
        client.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        return readAll(client)


class ListenerTests(TLSCase):
    """In front."""

    def begin(self) -> EdgeProcess:
        self.heads: list[bytes] = []

        def handle(peer: socket.socket) -> None:
            while head := readHead(peer)[0]:
                self.heads.append(head)
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")

        files: dict[str, str | bytes] = {
            "certs/open.pem": self.authority.issue("open.example").pem,
            "certs/secret.pem": self.authority.issue("secret.example").pem,
            "ca.pem": self.ca,
        }
        return self.start([self.origin(handle)], LISTENER, files)

    def test_scheme(self) -> None:
        """The certificate fits the name, and the origin learns that the client used TLS."""
        answer = self.ask(self.begin(), "open.example", "open.example")
        self.assertTrue(answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"hi"), answer)
        self.assertIn(b"X-Forwarded-Proto: https\r\n", self.heads[0])

    def test_clientCertificates(self) -> None:
        """The protected host is for those with a certificate."""
        edge = self.begin()
        mine = self.authority.issue("me", subject="me").pem
        self.assertTrue(self.ask(edge, "secret.example", "secret.example", mine).startswith(b"HTTP/1.1 200 "))
        stranger = Authority("stranger").issue("me", subject="me").pem
        for certificate in (None, stranger):
            with self.assertRaises(OSError):
                self.assertEqual(self.ask(edge, "secret.example", "secret.example", certificate), b"reset")
        self.assertEqual(len(self.heads), 1)

    def test_misdirected(self) -> None:
        """Nobody reaches the protected host through the other's handshake: 421."""
        edge = self.begin()
        for host in ("secret.example", "SECRET.example.", "secret.example:8443"):
            self.assertTrue(self.ask(edge, "open.example", host).startswith(b"HTTP/1.1 421 "), host)
        self.assertEqual(self.heads, [])


class OriginTests(TLSCase):
    """Behind."""

    def secure(self, certificate: bytes, answer: bytes, *, rude: bool = False) -> RawOrigin:
        """An origin that speaks TLS."""
        path = Path(self.mktemp())
        path.write_bytes(certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        self.names: list[str] = []
        context.sni_callback = lambda _socket, name, _context: self.names.append(name)
        self.reached: list[bytes] = []
        self.lock = threading.Lock()

        def handle(peer: socket.socket) -> None:
            with context.wrap_socket(peer, server_side=True) as secured:
                while head := readHead(secured)[0]:
                    self.reached.append(head)
                    secured.sendall(answer)
                    if b"Content-Length" not in answer:
                        if not rude:
                            secured.unwrap()
                        return

        return self.origin(handle)

    def edge(self, origin: RawOrigin, tls: str) -> EdgeProcess:
        return self.start(
            [],
            f"upstreams: {{app: {{targets: ['https://127.0.0.1:{origin.port}'], tls: {{{tls}}}}}}}\n",
            {"ca.pem": self.ca},
        )

    OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

    def test_verified(self) -> None:
        """A certificate of the trusted authority, for the name or the address."""
        origin = self.secure(self.authority.issue("127.0.0.1", "inner.example").pem, self.OK)
        for tls, names in (("ca: ca.pem", []), ("ca: ca.pem, server_name: inner.example", ["inner.example"])):
            self.names.clear()
            head, body = self.get(self.edge(origin, tls))
            self.assertTrue(head.startswith(b"HTTP/1.1 200 "), head)
            self.assertEqual([body, {name for name in self.names if name}], [b"hi", set(names)])

    def test_unverified(self) -> None:
        """A stranger's certificate, one for another name, one that has expired: 502, and no request is sent."""
        for certificate, tls in (
            (Authority("stranger").issue("127.0.0.1").pem, "ca: ca.pem"),
            (self.authority.issue("other.example").pem, "ca: ca.pem"),
            (self.authority.issue("127.0.0.1").pem, "server_name: 127.0.0.1"),
        ):
            edge = self.edge(self.secure(certificate, self.OK), tls)
            head, _ = self.get(edge, "/v")
            self.assertTrue(head.startswith(b"HTTP/1.1 502 "), head)
            self.assertIn("certificate", self.recordOf(edge, "/v")["error"])
            self.assertEqual(self.reached, [])

    def test_notVerifying(self) -> None:
        """verify: false takes anyone."""
        edge = self.edge(self.secure(Authority("stranger").issue("x").pem, self.OK), "verify: false")
        self.assertTrue(self.get(edge)[0].startswith(b"HTTP/1.1 200 "))

    def test_untilClose(self) -> None:
        """A body until the end of the connection is whole with a goodbye, and broken off without."""
        certificate = self.authority.issue("127.0.0.1").pem
        answer = b"HTTP/1.1 200 OK\r\n\r\nhello"
        edge = self.edge(self.secure(certificate, answer), "ca: ca.pem")
        self.assertTrue(self.get(edge)[1].endswith(b"0\r\n\r\n"))
        edge = self.edge(self.secure(certificate, answer, rude=True), "ca: ca.pem")
        try:
            got: Any = self.get(edge)[1]
        except ConnectionError:
            got = b""
        self.assertFalse(got.endswith(b"0\r\n\r\n"), got)
