"""The load: wrk and its output, connections with full handshakes, connections that stay idle.

Everything here runs in this process or in children on the load's cores.
"""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import BenchmarkError, Running
from benchmarks.rows import Row

_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 60e3, "h": 3600e3}
_DONE = re.compile(r"^\s*(\d+) requests in ([\d.]+)(us|ms|s|m|h),", re.MULTILINE)
_PERCENTILE = re.compile(r"^\s*(\d+)%\s+([\d.]+)(us|ms|s|m|h)\s*$", re.MULTILINE)
_SOCKET_ERRORS = re.compile(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")
_BAD_STATUS = re.compile(r"Non-2xx or 3xx responses: (\d+)")


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What a load generator saw.

    :param requests: responses completed.
    :param seconds: for how long.
    :param p50: median latency, milliseconds.
    :param p99: 99th percentile of latency, milliseconds.
    :param trouble: what went wrong, in words; empty when nothing did.
    """

    requests: int
    seconds: float
    p50: float
    p99: float
    trouble: str = ""


def parseWrk(text: str) -> LoadResult:
    """Read what ``wrk --latency`` prints.

    :raises BenchmarkError: when it is not that.
    """
    done = _DONE.search(text)
    percentiles = {int(rank): float(value) * _UNITS[unit] for rank, value, unit in _PERCENTILE.findall(text)}
    if done is None or not {50, 99} <= percentiles.keys():
        raise BenchmarkError(f"wrk said: {(text.strip().splitlines() or ['nothing'])[-1][:200]}")
    trouble = []
    if bad := _BAD_STATUS.search(text):
        trouble.append(f"{bad[1]} responses not 2xx")
    if errors := _SOCKET_ERRORS.search(text):
        names = ("connect", "read", "write", "timeout")
        trouble += [
            f"{count} {name} errors" for name, count in zip(names, errors.groups(), strict=True) if count != "0"
        ]
    seconds = float(done[2]) * _UNITS[done[3]] / 1e3
    return LoadResult(int(done[1]), seconds, percentiles[50], percentiles[99], ", ".join(trouble))


class Wrk:
    """wrk with one thread, at work. Use as a context manager: leaving ends it if it has not ended.

    :param seconds: how long it loads.
    :param directory: where its output and its script for uploads go.
    :raises BenchmarkError: when it is not installed.
    """

    def __init__(self, row: Row, port: int, seconds: int, cpus: frozenset[int], directory: Path) -> None:
        self._seconds = seconds
        self._output = directory / "wrk.out"
        self._output.unlink(missing_ok=True)
        self._process = Running(_wrkCommand(row, port, seconds, directory), cpus, self._output)

    def result(self) -> LoadResult:
        """Wait for the end and return what it saw.

        :raises BenchmarkError: when it fails or does not end.
        """
        self._process.wait(self._seconds + 30)
        return parseWrk(self._output.read_text())

    def __enter__(self) -> Wrk:
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.stop()


def _wrkCommand(row: Row, port: int, seconds: int, directory: Path) -> list[str]:
    program = shutil.which("wrk")
    if program is None:
        raise BenchmarkError("wrk is needed (Debian: apt install wrk)")
    scheme = "https" if row.tls else "http"
    command = [program, "-t1", f"-c{row.connections}", f"-d{seconds}s", "--timeout", "10s", "--latency"]
    if row.upload:
        script = directory / "upload.lua"
        script.write_text(f'wrk.method = "POST"\nwrk.body = string.rep("x", {row.upload})\n')
        command += ["-s", str(script)]
    command.append(f"{scheme}://127.0.0.1:{port}{row.path}")
    return command


def clientContext() -> ssl.SSLContext:
    """Return a TLS 1.3 client that accepts any certificate and offers HTTP/1.1."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["http/1.1"])
    return context


def connect(port: int, context: ssl.SSLContext | None) -> socket.socket:
    """Open a connection; over TLS with a full handshake, since no session is offered."""
    plain = socket.create_connection(("127.0.0.1", port), 15)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if context is None:
        return plain
    try:
        return context.wrap_socket(plain, server_hostname="localhost")
    except BaseException:
        plain.close()
        raise


def ask(connection: socket.socket, row: Row, close: bool = False) -> None:
    """Send the row's request and read the whole response, which must be the right one.

    :param close: ask for the connection to be closed.
    :raises BenchmarkError: when the response is not a 200 with the right number of bytes.
    """
    method = "POST" if row.upload else "GET"
    extra = f"Content-Length: {row.upload}\r\n" if row.upload else ""
    extra += "Connection: close\r\n" if close else ""
    connection.sendall(f"{method} {row.path} HTTP/1.1\r\nHost: localhost\r\n{extra}\r\n".encode() + b"x" * row.upload)
    data = b""
    while b"\r\n\r\n" not in data:
        data += _receive(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    fields = {k.strip().lower(): v.strip() for k, _, v in (f.partition(b":") for f in head.split(b"\r\n")[1:])}
    if head.split(b" ", 2)[1] != b"200":
        raise BenchmarkError(f"answers {head.splitlines()[0].decode('latin-1')}")
    length = int(fields[b"content-length"]) if b"content-length" in fields else None
    received = _readBody(connection, body, length)
    if received != row.expect:
        raise BenchmarkError(f"sent {received} bytes of body, not {row.expect}")


def _readBody(connection: socket.socket, start: bytes, length: int | None) -> int:
    """Read a body by its length, or chunked when it has none; return how many bytes it had."""
    if length is not None:
        received = len(start)
        while received < length:
            received += len(_receive(connection))
        return received
    total, rest = 0, start
    while True:
        while b"\r\n" not in rest:
            rest += _receive(connection)
        size, _, rest = rest.partition(b"\r\n")
        count = int(size, 16)
        while len(rest) < count + 2:
            rest += _receive(connection)
        if not count:
            return total
        total, rest = total + count, rest[count + 2 :]


def _receive(connection: socket.socket) -> bytes:
    data = connection.recv(1 << 16)
    if not data:
        raise BenchmarkError("closed the connection inside a response")
    return data


def runHandshakes(row: Row, port: int, seconds: float) -> LoadResult:
    """Make one connection per request, each with a full handshake, one after the other, for that long."""
    context = clientContext()
    latencies = []
    begin = time.perf_counter()
    while (start := time.perf_counter()) - begin < seconds:
        with connect(port, context) as connection:
            ask(connection, row, close=True)
        latencies.append((time.perf_counter() - start) * 1e3)
    cuts = statistics.quantiles(latencies, n=100)
    return LoadResult(len(latencies), time.perf_counter() - begin, cuts[49], cuts[98])


class IdleConnections:
    """Connections that have each had one request and are kept open. Use as a context manager.

    :raises BenchmarkError: on entering, when one is refused or answered wrongly.
    """

    def __init__(self, row: Row, port: int) -> None:
        self._row = row
        self._port = port
        self._open: list[socket.socket] = []

    def __enter__(self) -> IdleConnections:
        context = clientContext() if self._row.tls else None
        try:
            for _ in range(self._row.connections):
                self._open.append(connect(self._port, context))
                ask(self._open[-1], self._row)
        except BaseException:
            self.__exit__()
            raise
        return self

    def stillOpen(self) -> int:
        """Return how many the proxy has not closed."""
        count = 0
        for connection in self._open:
            connection.setblocking(False)
            try:
                count += bool(connection.recv(1))
            except (BlockingIOError, ssl.SSLWantReadError):
                count += 1
            except OSError:
                pass
        return count

    def __exit__(self, *exception: object) -> None:
        for connection in self._open:
            connection.close()
