"""
What hostile clients send: each attack is one connection, bounded in bytes and in time.

All are legal to begin with; what makes them attacks is that they cost the proxy more than the client.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.load import clientContext

MEGABYTE = 1 << 20
GET = b"GET /10k HTTP/1.1\r\nHost: localhost\r\n\r\n"
SMALL = b"GET /small HTTP/1.1\r\nHost: localhost\r\n\r\n"
_CHUNKED = b"POST /upload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
_BLOCK = 65536


@dataclass(frozen=True, slots=True)
class Attack:
    """
    One kind of hostile client.

    :ivar title: what the table calls it.
    :ivar head: sent first.
    :ivar piece: sent again and again behind it.
    :ivar megabytes: how much is sent at most.
    :ivar reads: whether it takes what it is answered.
    :ivar record: plain bytes in each TLS record; 0: no TLS.
    """

    title: str
    head: bytes
    piece: bytes
    megabytes: float
    reads: bool = True
    record: int = 0


def _fields(line: bytes, count: int) -> bytes:
    return b"GET /small HTTP/1.1\r\nHost: localhost\r\n" + line * count + b"\r\n"


_HOPS = b"X-Forwarded-For: " + b", ".join([b"127.0.0.1"] * 2900) + b"\r\n"

BY_WORK = (
    Attack("chunks of 64 KB", _CHUNKED, b"10000\r\n" + b"x" * 65536 + b"\r\n", 32),
    Attack("small GETs", b"", SMALL, 1),
    Attack("empty lines before a request", b"", b"\r\n", 4),
    Attack("one-byte chunks", _CHUNKED, b"1\r\nx\r\n", 4),
    Attack("chunks of one and two bytes", _CHUNKED, b"1\r\nx\r\n02\r\nxy\r\n", 4),
    Attack("chunks of 17 bytes", _CHUNKED, b"11\r\n" + b"x" * 17 + b"\r\n", 4),
    Attack("chunk extensions of 200 bytes", _CHUNKED, b"1;" + b"e" * 199 + b"\r\nx\r\n", 8),
    Attack("TLS records of one byte", _CHUNKED, b"8000\r\n" + b"x" * 32768 + b"\r\n", 2, record=1),
    Attack("heads with 4,600 × TE: a", b"", _fields(b"TE: a\r\n", 4600), 2),
    Attack("heads with 2,000 × Connection: a", b"", _fields(b"Connection: a\r\n", 2000), 2),
    Attack("heads with 2,900 hops", b"", _fields(_HOPS, 1), 2),
)
"""Those that cost CPU time."""

BY_MEMORY = (
    Attack("GETs of 10 KB without end, no answer read", b"", GET, 64, reads=False),
    Attack("GETs of 12 bytes without end, no answer read", b"", SMALL, 64, reads=False),
)
"""Those that cost memory."""


def perform(attack: Attack, port: int, seconds: float, watch: Callable[[], None] = lambda: None) -> tuple[int, bool]:
    """
    Attack a proxy.

    :param seconds: how long at most.
    :param watch: called every few milliseconds.
    :returns: bytes that were sent, and whether the proxy ended the connection.
    """
    end = time.monotonic() + seconds
    sent = 0
    with socket.create_connection(("127.0.0.1", port), 15) as connection:
        wire = _records(attack, connection) if attack.record else _blocks(attack)
        # A handshake comes with the first of it, and waits.
        waiting = memoryview(next(wire))
        connection.setblocking(False)
        try:
            while time.monotonic() < end and sent < attack.megabytes * MEGABYTE:
                watch()
                if attack.reads:
                    _take(connection)
                waiting = waiting or memoryview(next(wire))
                try:
                    count = connection.send(waiting)
                except BlockingIOError:
                    time.sleep(0.002)
                    continue
                sent += count
                waiting = waiting[count:]
            _settle(connection, attack, end, watch)
        except OSError:
            return sent, True
    return sent, False


def _settle(connection: socket.socket, attack: Attack, end: float, watch: Callable[[], None]) -> None:
    """All is sent: let the proxy read it. :raises OSError: if it ends the connection."""
    rest = min(end, time.monotonic() + 1.5)
    while time.monotonic() < rest:
        watch()
        if attack.reads:
            _take(connection)
        time.sleep(0.005)


def _take(connection: socket.socket) -> None:
    """Read what is there. :raises ConnectionResetError: at the end, too."""
    try:
        while data := connection.recv(1 << 20):
            if len(data) < 1 << 20:
                return
    except BlockingIOError:
        return
    raise ConnectionResetError("closed")


def _blocks(attack: Attack) -> Iterator[bytes]:
    block = attack.piece * max(1, _BLOCK // len(attack.piece))
    yield attack.head + block
    while True:
        yield block


def _records(attack: Attack, connection: socket.socket) -> Iterator[bytes]:
    """The same in TLS records of the size wanted, many of them in one segment."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = clientContext().wrap_bio(incoming, outgoing, server_hostname="localhost")
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            connection.sendall(outgoing.read())
            incoming.write(connection.recv(65536))
    for plain in _blocks(attack):
        for at in range(0, len(plain), attack.record):
            tls.write(plain[at : at + attack.record])
            if outgoing.pending >= _BLOCK:
                yield outgoing.read()


class Bystander:
    """
    Somebody else, who asks for something small again and again.

    :ivar worst: the longest time that an answer took, in seconds.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self.worst = 0.0

    def ask(self, until: Callable[[], bool]) -> None:
        """Ask every millisecond until told to stop."""
        with socket.create_connection(("127.0.0.1", self._port), 15) as connection:
            while not until():
                began = time.monotonic()
                connection.sendall(SMALL)
                if not connection.recv(65536):
                    raise ConnectionResetError("closed")
                self.worst = max(self.worst, time.monotonic() - began)
                time.sleep(0.001)


def pipeline(port: int, target: bytes, size: int = 131072) -> None:
    """Send so many bytes of small requests in one go, and read all answers."""
    request = b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % target
    count = size // len(request)
    with socket.create_connection(("127.0.0.1", port), 15) as connection:
        connection.sendall(request * count)
        answered, rest = 0, b""
        while answered < count:
            data = rest + connection.recv(1 << 20)
            if len(data) == len(rest):
                raise ConnectionResetError("closed")
            answered += data.count(b"HTTP/1.1 200")
            rest = data[-11:] if not data.endswith(b"HTTP/1.1 200") else b""
