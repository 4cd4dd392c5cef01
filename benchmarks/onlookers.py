"""Those who look at an edge: streams of events and requests, a Prometheus, and a dashboard that asks.

Run as ``python -m benchmarks.onlookers`` by :class:`Onlookers`; a program of its own, which gives way to the load that
shares its core. It reads ``1`` (look) or ``0`` (look away), a line each, and answers each with a line of JSON.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.bothends import Loop
from benchmarks.processes import BenchmarkError

STREAMS = ("/api/v1/events/stream", "/api/v1/requests/live") * 5
POLLED = ("/api/v1/status", "/api/v1/traffic?of=total&seconds=300&step=10", "/api/v1/requests?limit=50",
          "/api/v1/upstreams", "/api/v1/chain")  # fmt: skip
"""What a dashboard asks for, one after the other."""

_SCRAPE = 1.0
_POLL = 0.5
"""Seconds."""

_ROOT = Path(__file__).resolve().parent.parent


class _Looking:
    """One who asks for something and reads whatever comes."""

    def __init__(self, program: _Program, port: int, target: str) -> None:
        self._program = program
        self._socket = socket.create_connection(("127.0.0.1", port), 10)
        head = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {program.token}\r\n"
        self._socket.sendall(f"{head}Connection: close\r\n\r\n".encode())
        program.loop.add(self._socket.fileno(), self._read)
        program.looking.add(self)
        self._first = b""

    def _read(self) -> None:
        try:
            data = self._socket.recv(1 << 20)
        except OSError:
            data = b""
        self._first = self._first or data[:64]
        self._program.heard += len(data)
        if not data:
            self.close()

    def close(self) -> None:
        """Look away."""
        if self._first and not self._first.startswith(b"HTTP/1.1 200"):
            self._program.refused = self._first.split(b"\r\n")[0].decode("latin-1")
        self._program.loop.remove(self._socket.fileno())
        self._program.looking.discard(self)
        self._socket.close()


class _Program:
    """
    :ivar heard: bytes since the line before.
    :ivar refused: an answer that was not 200; empty: there was none.
    """

    def __init__(self, admin: int, metrics: int, token: str) -> None:
        self.token = token
        self.loop = Loop()
        self.looking: set[_Looking] = set()
        self.heard, self.refused = 0, ""
        self._admin, self._metrics = admin, metrics
        self._looks = self._polls = 0
        self.loop.add(0, self._order)

    def _order(self) -> None:
        line = os.read(0, 64).strip()
        if not line:
            self.loop.running = False
            return
        self._looks += 1
        for each in list(self.looking):
            each.close()
        if line == b"1":
            for target in STREAMS:
                _Looking(self, self._admin, target)
            now, looks = time.perf_counter(), self._looks
            self.loop.at(now, lambda: self._again(looks, _SCRAPE, self._scrape))
            self.loop.at(now, lambda: self._again(looks, _POLL, self._poll))
        print(json.dumps({"heard": self.heard, "refused": self.refused}), flush=True)
        self.heard, self.refused = 0, ""

    def _again(self, looks: int, seconds: float, look: Any) -> None:
        if looks == self._looks:
            look()
            self.loop.at(time.perf_counter() + seconds, lambda: self._again(looks, seconds, look))

    def _scrape(self) -> None:
        _Looking(self, self._metrics, "/metrics")

    def _poll(self) -> None:
        self._polls += 1
        _Looking(self, self._admin, POLLED[self._polls % len(POLLED)])


class Onlookers:
    """The process. Use as a context manager.

    :param admin: the port of the admin listener; ``metrics``: that of the other.
    """

    def __init__(self, cpus: frozenset[int], admin: int, metrics: int, token: str) -> None:
        def inChild() -> None:
            os.sched_setaffinity(0, cpus)
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))  # it would be measured as latency

        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.onlookers", str(admin), str(metrics)],
            cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, preexec_fn=inChild,
            env={**os.environ, "TOKEN": token},
        )  # fmt: skip

    def __enter__(self) -> Onlookers:
        return self

    def __exit__(self, *exception: object) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def look(self, does: bool) -> int:
        """Look from now on, or do not. :returns: bytes that they were told until now.

        :raises BenchmarkError: one of them was refused, or they have died.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{does:d}\n")
        self._process.stdin.flush()
        ready, _, _ = select.select([self._process.stdout], [], [], 20)
        line = self._process.stdout.readline() if ready else ""
        if not line:
            raise BenchmarkError("those who look on have died, or do not answer")
        told = json.loads(line)
        if told["refused"]:
            raise BenchmarkError(f"one who looks on was refused: {told['refused']}")
        return int(told["heard"])


if __name__ == "__main__":
    _Program(int(sys.argv[1]), int(sys.argv[2]), os.environ["TOKEN"]).loop.run()
