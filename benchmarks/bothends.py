"""Client and origin of an edge in one process and one loop, for load of which every response is verified.

Run as ``python -m benchmarks.bothends`` by :mod:`benchmarks.traffic`. Commands are lines of JSON on standard input,
each is answered by one on standard output; the first line says on which port the origin listens. The end of the input
ends it.

A program of its own instead of wrk, which looks at the status and nothing else; without asyncio, which would cost the
core of the load as much again. A response is bound to its request by its body, which repeats the request's target.

What is asked, by the connection's kind, which is the first segment of the target:

``plain``
    the origin answers at once. Only these count for latencies.
``held``
    the origin answers after :data:`HOLD` seconds: the swap comes while the request is at the origin.
``split``
    the second half of the body comes after :data:`HOLD`: the swap comes inside the body.
``pause``
    a plugin of the benchmark waits: the swap comes between two links of the chain.
"""

from __future__ import annotations

import heapq
import itertools
import json
import os
import select
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from benchmarks.judge import Judge, Mixed, Wrong, completeLength

HOLD = 0.02
"""Seconds."""
PATIENCE = 15.0
"""Seconds until a request without an answer has failed."""
_SPIN = 0.0015
"""Below this many seconds the loop does not sleep: epoll counts in whole milliseconds."""
_REPEATS = {b"plain": 1, b"held": 1, b"pause": 1, b"split": 2000}


def bodyFor(target: bytes) -> bytes:
    """What the origin answers to a target."""
    return target * _REPEATS[target.split(b"/", 2)[1]]


class Loop:
    """An epoll with timers, no more."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._readers: dict[int, Callable[[], None]] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = itertools.count()
        self.running = True

    def add(self, descriptor: int, reader: Callable[[], None]) -> None:
        """Call ``reader`` whenever there is something to read."""
        self._readers[descriptor] = reader
        self._poll.register(descriptor, select.EPOLLIN)

    def remove(self, descriptor: int) -> None:
        """To be called before the descriptor is closed."""
        self._poll.unregister(descriptor)
        del self._readers[descriptor]

    def at(self, moment: float, function: Callable[[], None]) -> None:
        """Call it at that time of ``time.perf_counter``."""
        heapq.heappush(self._timers, (moment, next(self._serial), function))

    def run(self) -> None:
        """Until ``running`` is no longer true."""
        while self.running:
            for descriptor, _ in self._poll.poll(self._pause()):
                if descriptor in self._readers:
                    self._readers[descriptor]()
            now = time.perf_counter()
            while self._timers and self._timers[0][0] <= now:
                heapq.heappop(self._timers)[2]()

    def _pause(self) -> float:
        left = self._timers[0][0] - time.perf_counter() if self._timers else 1.0
        return left - _SPIN if left > _SPIN else 0.0


class Origin:
    """Answers whatever the edge forwards. :ivar port: where."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._socket.setblocking(False)
        self.port = int(self._socket.getsockname()[1])
        loop.add(self._socket.fileno(), self._accept)

    def _accept(self) -> None:
        try:
            peer, _ = self._socket.accept()
        except BlockingIOError:
            return
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        buffer = bytearray()
        self._loop.add(peer.fileno(), lambda: self._read(peer, buffer))

    def _read(self, peer: socket.socket, buffer: bytearray) -> None:
        try:
            data = peer.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._loop.remove(peer.fileno())
            peer.close()
            return
        buffer += data
        while (end := buffer.find(b"\r\n\r\n")) >= 0:
            target = bytes(buffer[: buffer.find(b"\r\n")]).split(b" ")[1]
            del buffer[: end + 4]
            self._answer(peer, target)

    def _answer(self, peer: socket.socket, target: bytes) -> None:
        body = bodyFor(target)
        whole = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        kind = target.split(b"/", 2)[1]
        if kind == b"held":
            self._loop.at(time.perf_counter() + HOLD, lambda: _send(peer, whole))
        elif kind == b"split":
            half = len(whole) // 2
            _send(peer, whole[:half])
            self._loop.at(time.perf_counter() + HOLD, lambda: _send(peer, whole[half:]))
        else:
            _send(peer, whole)


def _send(peer: socket.socket, data: bytes) -> None:
    # Blocking for the moment: what is sent fits into the kernel's buffers.
    try:
        peer.sendall(data)
    except OSError:
        pass


class Client:
    """One kept-alive connection, asking again as soon as it is answered, or when its turn has come."""

    def __init__(self, load: Load, number: int, kind: bytes) -> None:
        self._load = load
        self._number = number
        self._kind = kind
        self._count = 0
        self._buffer = bytearray()
        self._length: int | None = None
        self._body = b""
        self._serial = -1
        self.waiting = False
        self.since = time.perf_counter()
        self._connect()

    def _connect(self) -> None:
        self._buffer.clear()
        self._length = None
        self.waiting = False
        self._socket = socket.create_connection(("127.0.0.1", self._load.port), PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._load.loop.add(self._socket.fileno(), self._read)

    def ask(self, since: float) -> None:
        """Send the next request. :param since: when its time had come, from which its latency counts."""
        self._count += 1
        target = b"/%b/%d/%d" % (self._kind, self._number, self._count)
        self._body = bodyFor(target)
        self.since = since
        self.waiting = True
        try:
            self._socket.send(b"GET %b HTTP/1.1\r\nHost: edge.test\r\n\r\n" % target)
        except OSError:
            pass  # what closed it is read next

    def _read(self) -> None:
        try:
            data = self._socket.recv(1 << 18)
        except OSError:
            data = b""
        if not data:
            self.dropped("closed by the edge" + (" inside a response" if self._buffer else ""))
            return
        self._buffer += data
        try:
            if self._length is None:
                self._length = completeLength(self._buffer)
            if self._length is None or len(self._buffer) < self._length:
                return
            self._complete()
        except Wrong as wrong:
            self._load.wrong(wrong, self)
            self.again()

    def _complete(self) -> None:
        now = time.perf_counter()
        assert self._length is not None
        if not self.waiting or len(self._buffer) > self._length:
            raise Wrong("bytes that nobody asked for")
        response = bytes(self._buffer)
        self._buffer.clear()
        self._length = None
        self.waiting = False
        self._load.requests += 1
        try:
            self._serial = self._load.judge.look(response, self._body, self._serial)
        except Wrong as wrong:
            self._load.wrong(wrong, self)
        if self._kind == b"plain":
            self._load.latencies.append(now - self.since)
        self._load.answered(self, now)

    def dropped(self, how: str) -> None:
        """The connection ended, and not by us."""
        self._load.drops[how] += 1
        if self.waiting:
            self._load.failures["no answer"] += 1
        self.again()

    def again(self) -> None:
        """Connect anew and go on."""
        self._load.loop.remove(self._socket.fileno())
        self._socket.close()
        try:
            self._connect()
        except OSError as error:
            self._load.drops[f"cannot connect again: {error}"] += 1
            self._load.clients.discard(self)
            return
        self._load.answered(self, time.perf_counter())

    def close(self) -> None:
        """For good."""
        self._load.loop.remove(self._socket.fileno())
        self._socket.close()


class Load:
    """All clients and what they met since the window began.

    :param mix: how many connections of each kind.
    :param rate: requests per second of all together, each at its time whether or not those before are answered late; 0
        is as fast as answers come.
    """

    def __init__(self, loop: Loop, port: int, judge: Judge, mix: dict[str, int], rate: float) -> None:
        self.loop = loop
        self.port = port
        self.judge = judge
        self.clients: set[Client] = set()
        self._stopping = False
        self._reset()
        kinds = [kind.encode() for kind, count in mix.items() for _ in range(count)]
        self._interval = len(kinds) / rate if rate else 0.0
        start = time.perf_counter()
        for number, kind in enumerate(kinds):
            client = Client(self, number, kind)
            self.clients.add(client)
            if rate:
                self._askAt(client, start + (number + 1) / rate)
            else:
                client.ask(start)
        loop.at(start + 1, self._sweep)

    def _reset(self) -> None:
        self.began = time.perf_counter()
        self.requests = 0
        self.latencies: list[float] = []
        self.failures: Counter[str] = Counter()
        self.mixtures: Counter[str] = Counter()
        self.drops: Counter[str] = Counter()

    def wrong(self, wrong: Wrong, client: Client) -> None:
        """Count a response that will not do."""
        (self.mixtures if isinstance(wrong, Mixed) else self.failures)[str(wrong)] += 1

    def answered(self, client: Client, now: float) -> None:
        """A client may ask again."""
        if self._stopping:
            return
        if not self._interval:
            client.ask(now)
        else:
            self._askAt(client, client.since + self._interval)

    def _askAt(self, client: Client, moment: float) -> None:
        def ask() -> None:
            if not self._stopping:
                client.ask(moment)

        self.loop.at(moment, ask)

    def _sweep(self) -> None:
        now = time.perf_counter()
        for client in list(self.clients):
            if client.waiting and now - client.since > PATIENCE:
                client.dropped(f"silent for {PATIENCE:.0f} s")
        if self.clients:
            self.loop.at(now + 1, self._sweep)

    def report(self) -> dict[str, Any]:
        """What there was since the report before."""
        seconds = time.perf_counter() - self.began
        ordered = sorted(self.latencies) or [0.0]
        told = {
            "requests": self.requests,
            "seconds": seconds,
            "p50": ordered[len(ordered) // 2] * 1e3,
            "p99": ordered[len(ordered) * 99 // 100] * 1e3,
            "worst": ordered[-1] * 1e3,
            "failures": dict(self.failures),
            "mixtures": dict(self.mixtures),
            "drops": dict(self.drops),
            "serials": len(self.judge.serials),
            "lastSerials": sorted(self.judge.serials)[-3:],
            "instances": dict(Counter(name.decode() for name, _ in self.judge.instances)),
        }
        self._reset()
        return told

    def waiting(self) -> int:
        """How many requests are not answered."""
        return sum(client.waiting for client in self.clients)

    def stop(self, whenDone: Callable[[], None]) -> None:
        """Ask nothing more, and call the function when all that was asked is answered."""
        self._stopping = True
        if self.waiting():
            self.loop.at(time.perf_counter() + 0.01, lambda: self.stop(whenDone))
            return
        whenDone()

    def close(self) -> None:
        """Close all connections."""
        for client in self.clients:
            client.close()
        self.clients.clear()


class Program:
    """Reads commands and answers them."""

    def __init__(self) -> None:
        self.loop = Loop()
        self._origin = Origin(self.loop)
        self._load: Load | None = None
        self._input = bytearray()
        os.set_blocking(0, False)
        self.loop.add(0, self._read)
        self._say({"origin": self._origin.port})

    def _say(self, told: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()

    def _read(self) -> None:
        data = os.read(0, 65536)
        if not data:
            self.loop.running = False
        self._input += data
        while (end := self._input.find(b"\n")) >= 0:
            command = json.loads(bytes(self._input[:end]))
            del self._input[: end + 1]
            getattr(self, "_do_" + command.pop("do"))(**command)

    def _do_load(self, port: int, plugins: int, watched: str, mix: dict[str, int], rate: float) -> None:
        self._load = Load(self.loop, port, Judge(plugins, watched.encode()), mix, rate)
        self._say({})

    def _do_window(self) -> None:
        assert self._load is not None
        self._say(self._load.report())

    def _do_forget(self) -> None:
        """The watched plugin's serials and the instances seen so far no longer count."""
        assert self._load is not None
        self._load.judge.serials.clear()
        self._load.judge.instances.clear()
        self._say({})

    def _do_stop(self) -> None:
        load = self._load
        assert load is not None

        def done() -> None:
            told = load.report()
            load.close()
            self._say(told)

        load.stop(done)


if __name__ == "__main__":
    Program().loop.run()
