"""A process that has run out of descriptors: no spin, no death, those who are in are served, others after them."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.harness import PATIENCE

SERVER = """
import sys
from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol
from revproxy.dataplane.net.eagerreactor import EagerReactor

class Echo(Protocol):
    def dataReceived(self, data):
        self.transport.write(data)

port = EagerReactor(reactor).listenTCP(0, Factory.forProtocol(Echo), interface="127.0.0.1")
print(port.getHost().port, flush=True)
reactor.run()
"""
ALLOWED = 48
CLIENTS = 120


class ScarcityTests(SynchronousTestCase):
    """A server of its own under ``RLIMIT_NOFILE``."""

    def setUp(self) -> None:
        self.server = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (ALLOWED, ALLOWED)),
        )
        self.addCleanup(self.server.wait)
        self.addCleanup(self.server.kill)
        assert self.server.stdout is not None
        self.addCleanup(self.server.stdout.close)
        self.port = int(self.server.stdout.readline())

    def connect(self) -> socket.socket:
        """One client; the kernel completes it whether the server accepts or not."""
        client = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        self.addCleanup(client.close)
        return client

    def used(self) -> float:
        """:return: seconds of CPU the server has used."""
        fields = Path(f"/proc/{self.server.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def test_scarcity(self) -> None:
        """More clients than descriptors."""
        clients = [self.connect() for _ in range(CLIENTS)]
        first, last = clients[0], clients[-1]
        first.sendall(b"served")
        self.assertEqual(first.recv(10), b"served")
        last.sendall(b"waiting")
        before, since = self.used(), time.monotonic()
        last.settimeout(1)
        self.assertRaises(TimeoutError, last.recv, 10)
        self.assertLess((self.used() - before) / (time.monotonic() - since), 0.5, "it spins")
        first.sendall(b"still")
        self.assertEqual(first.recv(10), b"still")
        for client in clients[:-1]:
            client.close()
        last.settimeout(PATIENCE)
        self.assertEqual(last.recv(10), b"waiting")
        self.assertIsNone(self.server.poll())
