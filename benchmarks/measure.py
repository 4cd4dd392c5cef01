"""One sample: a row measured against a proxy that runs."""

from __future__ import annotations

import datetime
import ipaddress
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from benchmarks.load import IdleConnections, LoadResult, Wrk, ask, clientContext, connect, runHandshakes
from benchmarks.origin import Origin
from benchmarks.peers import Peer, Site
from benchmarks.processes import BenchmarkError, Placement, Running, coreBusySeconds, freePorts
from benchmarks.rows import Kind, Row

_WARM_UP = 0.8
"""Load before a window, seconds: a little less than a whole one, as wrk knows whole seconds only."""
_WARM_UP_MANY = 1.8
"""The same when hundreds of TLS connections have to be made first."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What one window of one row said of one proxy.

    :param cpu: CPU time of the proxy per request, microseconds; for idle rows 0.
    :param system: the kernel's share of that time.
    :param rate: requests per second; for idle rows 0.
    :param p50: median latency, milliseconds.
    :param p99: 99th percentile of latency, milliseconds.
    :param resident: resident memory at the end, bytes.
    :param perConnection: memory per idle connection, bytes; 0 in other rows.
    :param busy: share of its core that the proxy used.
    :param foreign: share of that core that anybody else used.
    :param trouble: errors that the load generator met, in words.
    """

    cpu: float = 0.0
    system: float = 0.0
    rate: float = 0.0
    p50: float = 0.0
    p99: float = 0.0
    resident: int = 0
    perConnection: float = 0.0
    busy: float = 0.0
    foreign: float = 0.0
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Bench:
    """What all samples share.

    :param directory: temporary; everything that is written goes below it.
    :param placement: the cores.
    :param origin: the running origin.
    :param seconds: length of a window.
    """

    directory: Path
    placement: Placement
    origin: Origin
    seconds: float


@dataclass(frozen=True, slots=True)
class _Reading:
    """The instruments at one moment, in seconds; and the requests that the origin has had."""

    time: float
    cpu: float
    system: float
    core: float
    requests: int


class Subject:
    """A proxy under measurement: started on entering, ended on leaving.

    :raises BenchmarkError: on entering, when it is not installed or does not start.
    """

    def __init__(self, peer: Peer, bench: Bench, suffix: str = "") -> None:
        self.peer = peer
        self._bench = bench
        self._directory = bench.directory / f"{peer.name}{suffix}"
        self.cipher = ""
        self.loggedBytes = 0
        self._measures = {
            Kind.LOAD: self._measureLoad,
            Kind.HANDSHAKE: self._measureHandshakes,
            Kind.IDLE: self._measureIdle,
        }

    def __enter__(self) -> Subject:
        self.peer.version()
        self._directory.mkdir()
        plain, tls = freePorts(2)
        folder = self._bench.directory
        self.site = Site(
            self._directory, folder / "certificates", folder / "edge.crt", folder / "edge.key", self._bench.origin.port,
            plain, tls,
        )  # fmt: skip
        command = self.peer.prepare(self.site)
        # HAProxy logs to its stdout: that is where its access log is.
        output = self.site.log if self.peer.name == "haproxy" else self._directory / "output"
        cpus = frozenset([self._bench.placement.proxy])
        self.process = Running(command, cpus, output, self.peer.environment(self.site))
        try:
            self.process.waitForPorts([plain, tls])
        except BaseException:
            self.process.stop()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.stop()

    def port(self, row: Row) -> int:
        """Return the port that a row loads."""
        return self.site.tls if row.tls else self.site.plain

    def check(self, row: Row) -> None:
        """Ask once what the row asks, and look at the answer.

        :raises BenchmarkError: when it is wrong.
        """
        try:
            with connect(self.port(row), clientContext() if row.tls else None) as connection:
                ask(connection, row)
                if row.tls:
                    self.cipher = str(connection.cipher()[0])  # type: ignore[attr-defined]
        except (OSError, ValueError) as error:
            raise BenchmarkError(f"{type(error).__name__}: {error}") from error

    def emptyLog(self) -> None:
        """Count what the access log holds and cut it, so that a long benchmark does not fill the disk."""
        try:
            self.loggedBytes += os.stat(self.site.log).st_size
            os.truncate(self.site.log, 0)
        except FileNotFoundError:
            pass

    def measure(self, row: Row) -> Sample:
        """Take one sample.

        :raises BenchmarkError: when it cannot be taken, in words for the table.
        """
        if not self.process.alive:
            raise BenchmarkError(f"has died: {self.process.lastWords()}")
        try:
            return self._measures[row.kind](row)
        except (OSError, ValueError) as error:
            raise BenchmarkError(f"{type(error).__name__}: {error}") from error
        finally:
            self.emptyLog()

    def _measureLoad(self, row: Row) -> Sample:
        """Look at a window inside a longer load: opening connections, TLS handshakes above all, is not in it.

        Requests are counted by the origin, at the same moments at which the proxy's CPU time is read.
        """
        warmUp = _WARM_UP_MANY if row.tls and row.connections > 100 else _WARM_UP
        whole = math.ceil(warmUp + self._bench.seconds)
        with Wrk(row, self.port(row), whole, self._bench.placement.load, self._bench.directory) as wrk:
            time.sleep(warmUp)
            start = self._reading()
            time.sleep(self._bench.seconds)
            end = self._reading()
            result = wrk.result()
        # The reading at the end is itself a request to the origin; an upload makes two.
        requests = (end.requests - start.requests - 1) / (2 if row.upload else 1)
        return self._sample(start, end, requests, result)

    def _measureHandshakes(self, row: Row) -> Sample:
        start = self._reading()
        result = runHandshakes(row, self.port(row), self._bench.seconds)
        return self._sample(start, self._reading(), result.requests, result)

    def _sample(self, start: _Reading, end: _Reading, requests: float, result: LoadResult) -> Sample:
        if not self.process.alive:
            raise BenchmarkError(f"died under load: {self.process.lastWords()}")
        if requests <= 0:
            raise BenchmarkError(f"completed no request; {result.trouble}")
        seconds, cpu = end.time - start.time, end.cpu - start.cpu
        return Sample(
            cpu=cpu / requests * 1e6,
            system=(end.system - start.system) / cpu,
            rate=requests / seconds,
            p50=result.p50,
            p99=result.p99,
            resident=self.process.residentBytes(),
            busy=cpu / seconds,
            foreign=max(0.0, end.core - start.core - cpu) / seconds,
            trouble=result.trouble,
        )

    def _reading(self) -> _Reading:
        core = coreBusySeconds(self._bench.placement.proxy)
        requests = self._bench.origin.requests()
        return _Reading(time.perf_counter(), self.process.cpuSeconds(), self.process.systemSeconds(), core, requests)

    def _measureIdle(self, row: Row) -> Sample:
        """Warm a fresh process with a few connections, then open the many and compare its memory."""
        with IdleConnections(_fewer(row, 50), self.port(row)):
            pass
        time.sleep(0.5)
        before = self.process.residentBytes()
        with IdleConnections(row, self.port(row)) as idle:
            time.sleep(1.0)
            after = self.process.residentBytes()
            lost = row.connections - idle.stillOpen()
        trouble = f"closed {lost} of the connections" if lost else ""
        return Sample(resident=after, perConnection=(after - before) / row.connections, trouble=trouble)


def _fewer(row: Row, connections: int) -> Row:
    return Row(row.name, row.title, row.kind, row.tls, connections)


def writeCertificate(directory: Path) -> None:
    """Write a self-signed ECDSA P-256 certificate: ``edge.crt``, ``edge.key`` and both in ``certificates/edge.pem``."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=7))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    chain = certificate.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (directory / "edge.crt").write_bytes(chain)
    (directory / "edge.key").write_bytes(secret)
    (directory / "certificates").mkdir()
    (directory / "certificates" / "edge.pem").write_bytes(chain + secret)
