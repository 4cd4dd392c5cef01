"""
An origin that closes each connection 50 ms after its answer, and POSTs that arrive just then, through any proxy.

``python -m tests.conformance.closing HOST:PORT ORIGINPORT``, where the proxy passes everything on to ORIGINPORT on
127.0.0.1. Each of five runs sends 200 POSTs over one kept connection, spread evenly, in random order, from 1.2 ms
before the origin closes to 1.2 ms after. Counted are those that are answered, and those that the origin got twice,
which none may be: nobody can know that the first was not done.

The origin is a process of its own. It says in each answer when it will close, by the clock that all processes share.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import select
import socket
import statistics
import sys
import time
from collections import Counter

KEPT = 0.05
"""Seconds after its answer for which the origin keeps a connection."""
SPREAD = 0.0012
"""Seconds before and after the close within which the POSTs arrive."""
POSTS = 200
RUNS = 5
ENOUGH = 199
"""Answered POSTs, in the median of the runs, that are as good as all: the first can teach only by being lost."""
LONG = 10.0
"""Seconds that a client waits for an answer."""


class ClosingOrigin:
    """Answers every request, with the time at which it will close the connection unless another has come."""

    def __init__(self, port: int) -> None:
        self._listening = socket.create_server(("127.0.0.1", port), backlog=256)
        self._closing: dict[socket.socket, float] = {}
        self._bytes: dict[socket.socket, bytes] = {}
        self._heard: Counter[str] = Counter()

    def run(self) -> None:
        """For ever."""
        while True:
            first = min(self._closing.values(), default=time.monotonic() + 1)
            wait = max(0.0, first - time.monotonic())
            readable, _, _ = select.select([self._listening, *self._bytes], [], [], wait)
            now = time.monotonic()
            for connection in [one for one, closes in self._closing.items() if closes <= now]:
                self._end(connection)
            for one in readable:
                if one is self._listening:
                    connection, _ = one.accept()
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self._bytes[connection] = b""
                elif one in self._bytes:
                    self._read(one)

    def _end(self, connection: socket.socket) -> None:
        self._closing.pop(connection, None)
        del self._bytes[connection]
        connection.close()

    def _read(self, connection: socket.socket) -> None:
        try:
            data = connection.recv(65536)
            self._bytes[connection] += data
            if not data:
                self._end(connection)
            else:
                self._answer(connection)
        except OSError:
            self._end(connection)

    def _answer(self, connection: socket.socket) -> None:
        head, end, body = self._bytes[connection].partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = sum(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
        if not end or len(body) < length:
            return
        self._bytes[connection] = b""
        if head.startswith(b"GET /heard "):
            said = json.dumps(self._heard)
            self._heard.clear()
        else:
            if head.startswith(b"POST "):
                self._heard[body.decode()] += 1
            closes = self._closing[connection] = time.monotonic() + KEPT
            said = f"{closes:.6f}"
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(said)}\r\n\r\n{said}".encode())


class Client:
    """One connection, made again whenever it is gone."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._socket: socket.socket | None = None

    def connect(self) -> socket.socket:
        """:return: the connection, made now if there is none."""
        if self._socket is None:
            self._socket = socket.create_connection(self._address, timeout=LONG)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._socket

    def ask(self, head: str, body: str = "", at: float = 0.0) -> str | None:
        """:param at: when to send. :return: the body of a 200; None for anything else."""
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        data = f"{head} HTTP/1.1\r\nHost: x\r\n{length}\r\n{body}".encode()
        connection = self.connect()
        time.sleep(max(0.0, at - time.monotonic() - 0.001))
        while time.monotonic() < at:
            pass
        try:
            connection.sendall(data)
            return self._read(connection)
        except OSError:
            self.close()
            return None

    def _read(self, connection: socket.socket) -> str | None:
        data = b""
        while True:
            head, end, body = data.partition(b"\r\n\r\n")
            lines = head.lower().split(b"\r\n")
            length = sum(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
            if end and len(body) >= length:
                break
            more = connection.recv(65536)
            if not more:
                raise ConnectionError("closed in the middle")
            data += more
        if b"connection: close" in lines:
            self.close()
        return body.decode() if head.split(b" ")[1] == b"200" else None

    def close(self) -> None:
        """No more of this connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def run(address: tuple[str, int], origin: tuple[str, int], seed: int) -> tuple[int, int]:
    """:return: how many POSTs were answered, and how many the origin got more than once."""
    client, direct = Client(address), Client(origin)
    direct.ask("GET /heard")
    took = []
    for _ in range(20):
        began = time.monotonic()
        client.ask("GET /")
        took.append(time.monotonic() - began)
    way = statistics.median(took) / 2
    offsets = [SPREAD * (2 * number / (POSTS - 1) - 1) for number in range(POSTS)]
    random.Random(seed).shuffle(offsets)
    answered, said = 0, None
    for number, offset in enumerate(offsets):
        while said is None:
            said = client.ask("GET /")
        client.connect()
        said = client.ask("POST /", f"{seed}-{number}", float(said) + offset - way)
        answered += said is not None
    heard = json.loads(direct.ask("GET /heard") or "{}")
    client.close()
    direct.close()
    return answered, sum(count > 1 for count in heard.values())


def main(arguments: list[str]) -> int:
    """All runs; prints each, and the median."""
    host, _, port = arguments[0].rpartition(":")
    origin = ("127.0.0.1", int(arguments[1]))
    serving = ClosingOrigin(origin[1])
    process = multiprocessing.get_context("fork").Process(target=serving.run, daemon=True)
    process.start()
    try:
        results = []
        for seed in range(RUNS):
            results.append(run((host, int(port)), origin, seed))
            print(f"answered {results[-1][0]} of {POSTS}, got twice {results[-1][1]}", flush=True)
    finally:
        process.terminate()
        process.join()
    median = statistics.median(answered for answered, _ in results)
    twice = sum(count for _, count in results)
    print(f"median: answered {median:g} of {POSTS}; got twice: {twice}")
    return 0 if median >= ENOUGH and not twice else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
