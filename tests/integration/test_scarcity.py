"""The whole edge, in a process of its own, while descriptors or the log's disk run out."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.harness import PATIENCE, freePort

ROOT = Path(__file__).parents[2]
DESCRIPTORS = 48
STOPS = "accepts nobody for now"
REQUEST = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"


class Origin:
    """Answers every request, one thread for each connection."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        data = b""
        with connection, contextlib.suppress(OSError):
            while more := connection.recv(65536):
                data += more
                while b"\r\n\r\n" in data:
                    data = data.partition(b"\r\n\r\n")[2]
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    def close(self) -> None:
        """Accept nothing more."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


def _limit(descriptors: int | None, most: int | None) -> None:
    if descriptors is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, most or descriptors))


class Edge:
    """
    ``twistd revproxy`` in a process.

    :ivar log: what it wrote to its own log so far.
    """

    def __init__(
        self, originPort: int, accessLog: str, descriptors: int | None = None, most: int | None = None
    ) -> None:
        self.port = freePort()
        self._output = tempfile.TemporaryFile()  # noqa: SIM115
        self._state = tempfile.TemporaryDirectory()
        arguments = ("--listen", f"tcp:{self.port}:interface=127.0.0.1", "--upstream", f"http://127.0.0.1:{originPort}",
                     "--state", self._state.name)  # fmt: skip
        self.process = subprocess.Popen(
            [
                str(Path(sys.executable).with_name("twistd")),
                "-n",
                "--pidfile=",
                "revproxy",
                *arguments,
                "--access-log",
                accessLog,
            ],
            cwd=ROOT,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: _limit(descriptors, most),
        )
        self._await()

    def _await(self) -> None:
        ends = time.monotonic() + PATIENCE
        while time.monotonic() < ends and self.process.poll() is None:
            with contextlib.suppress(OSError), self.connect() as client:
                client.sendall(REQUEST)
                if client.recv(4096):
                    return
            time.sleep(0.05)
        raise AssertionError(f"the edge does not start: {self.log}")

    @property
    def log(self) -> str:
        return os.pread(self._output.fileno(), 1 << 20, 0).decode(errors="replace")

    def awaitLog(self, text: str) -> None:
        """Return when its log has this text."""
        ends = time.monotonic() + PATIENCE
        while text not in self.log:
            if time.monotonic() > ends:
                raise AssertionError(f"no {text!r} in {self.log}")
            time.sleep(0.01)

    def connect(self) -> socket.socket:
        """One client."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def used(self) -> float:
        """Seconds of CPU that it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> int:
        """End it as an operator would. :return: the exit status."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(PATIENCE)
        finally:
            self._output.close()
            self._state.cleanup()


def ask(client: socket.socket) -> int:
    """One request on a connection. :return: the status of the answer, 0 for none."""
    client.sendall(REQUEST)
    answer = client.recv(65536)
    return int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else 0


class ScarcityTests(SynchronousTestCase):
    """No spin, no death; who is in is served; then so are all. How soon, the tests of `EagerPort` say."""

    @contextlib.contextmanager
    def edge(self, accessLog: str, descriptors: int | None = None, most: int | None = None) -> Iterator[Edge]:
        origin = Origin()
        edge = Edge(origin.port, accessLog, descriptors, most)
        try:
            yield edge
        except BaseException:
            edge.process.kill()
            print(edge.log[-3000:])
            raise
        finally:
            origin.close()
            status = edge.stop()
        self.assertEqual(status, 0)

    def test_descriptors(self) -> None:
        """With more clients than descriptors, those who are in are answered, and the rest when some have left."""
        with self.edge(os.devnull, DESCRIPTORS) as edge:
            first = edge.connect()
            self.assertEqual(ask(first), 200)
            crowd = [edge.connect() for _ in range(2 * DESCRIPTORS)]
            edge.awaitLog(STOPS)
            before, began = edge.used(), time.monotonic()
            while (seconds := time.monotonic() - began) < 1.5:
                self.assertEqual(ask(first), 200)
                time.sleep(0.02)
            self.assertLess((edge.used() - before) / seconds, 0.5, "it spins")
            for client in crowd:
                client.close()
            with edge.connect() as late:
                self.assertEqual(ask(late), 200)
            first.close()

    def test_descriptorsForOrigins(self) -> None:
        """Where a client got the last descriptor there is none for an origin: an error, and not for long."""
        with self.edge(os.devnull, DESCRIPTORS) as edge:
            crowd = [edge.connect() for _ in range(2 * DESCRIPTORS)]
            edge.awaitLog(STOPS)
            # More at one time than there are connections to the origin.
            for client in crowd[:20]:
                client.sendall(REQUEST)
            statuses = set()
            for client in crowd[:20]:
                answer = client.recv(65536)
                statuses.add(answer[9:12])
            self.assertIn(b"200", statuses)
            self.assertLessEqual(statuses, {b"200", b"502", b"503"})
            for client in crowd:
                client.close()
            with edge.connect() as late:
                self.assertEqual(ask(late), 200)

    def test_limitIsRaised(self) -> None:
        """It takes all the descriptors it may have, and says so when they are too few for what is configured."""
        hard = DESCRIPTORS * 4
        with self.edge(os.devnull, DESCRIPTORS, hard) as edge:
            crowd = [edge.connect() for _ in range(2 * DESCRIPTORS)]
            self.assertEqual([ask(client) for client in crowd], [200] * len(crowd))
            self.assertIn(f"limit of open files is {hard}, which is not enough for limits.max_connections", edge.log)
            for client in crowd:
                client.close()

    def test_fullDisk(self) -> None:
        """A log that takes nothing costs lines, not requests, and is reported once."""
        with self.edge("/dev/full") as edge:
            before, began = edge.used(), time.monotonic()
            count = 0
            with edge.connect() as client:
                while (seconds := time.monotonic() - began) < 2 or count < 50:
                    self.assertEqual(ask(client), 200)
                    count += 1
                    time.sleep(0.01)
            self.assertLess((edge.used() - before) / seconds, 0.5, "it spins")
            edge.awaitLog("No space left on device")
            self.assertEqual(edge.log.count("No space left on device"), 1, edge.log)
