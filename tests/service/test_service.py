"""Tests for `revproxy.service.service`: starting that fails, and signals, in a process of its own."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import socket
import subprocess
import sys
import termios
import threading
from pathlib import Path

from tests.harness import PATIENCE, EdgeCase, EdgeProcess, freePort, readAll, readHead

LISTENER = "listeners: [{endpoint: 'tcp:PORT:interface=127.0.0.1'}]\n"


class FailedStartTests(EdgeCase):
    """What cannot be known before the start."""

    def refused(self, config: str) -> str:
        edge = self.launch(config)
        self.assertEqual(edge.status(), 1, edge.said())
        self.assertNotIn("Traceback", edge.said())
        return edge.said()

    def test_log(self) -> None:
        """An access log that cannot be opened is one line."""
        said = self.refused(LISTENER + "routes: [{respond: {}}]\nlogging: {access: /proc/nothing}\n")
        self.assertIn("cannot start: [Errno 2] No such file or directory: '/proc/nothing'", said)

    def test_unixSocket(self) -> None:
        """A socket that cannot be made is named, not its lock."""
        said = self.refused("listeners: [{endpoint: 'unix:/nowhere/x.sock'}]\nroutes: [{respond: {}}]\n")
        self.assertIn("cannot start: [Errno 2] No such file or directory: 'unix:/nowhere/x.sock'", said)

    def test_pidFile(self) -> None:
        """twistd's pid file does not stay behind: its number may be another process's by the next start."""
        port = freePort()
        with socket.create_server(("127.0.0.1", port)):
            folder = Path(self.mktemp()).absolute()
            folder.mkdir()
            (folder / "r.yaml").write_text(LISTENER.replace("PORT", str(port)) + "routes: [{respond: {}}]\n")
            edge = EdgeProcess(folder, port, ["--config", "r.yaml"], twistd=["-n", "--pidfile=e.pid"])
            self.addCleanup(edge.kill)
            self.assertEqual(edge.status(), 1, edge.said())
        self.assertIn("cannot start: Couldn't listen on", edge.said())
        self.assertIn("Another program listens there: end it, or choose another port", edge.said())
        self.assertFalse((folder / "e.pid").exists())

    def test_twice(self) -> None:
        """Who starts the same edge again is told that it runs, and in which process."""
        first = self.start([], LISTENER + "upstreams: {}\nroutes: [{respond: {}}]\n")
        again = EdgeProcess(first.folder, first.port, ["--config", "revproxy.yaml"])
        self.addCleanup(again.kill)
        self.assertEqual(again.status(), 1, again.said())
        self.assertIn("This edge runs already: ", again.said())
        self.assertIn(f"is in use by process {first.process.pid}; stop that", again.said())


class CustodyTests(EdgeCase):
    """What others may write to."""

    def test_warned(self) -> None:
        """A state folder, a folder of plugins and a configuration that everybody may write to: said, and served."""
        folder = Path(self.mktemp()).absolute()
        for name in ("var", "plugins"):
            (folder / name).mkdir(parents=True)
            (folder / name).chmod(0o777)
        port = freePort()
        (folder / "r.yaml").write_text(
            LISTENER.replace("PORT", str(port)) + "routes: [{respond: {}}]\nplugins: {directory: plugins}\n")
        (folder / "r.yaml").chmod(0o666)
        edge = EdgeProcess(folder, port, ["--config", "r.yaml"])
        self.addCleanup(edge.kill)
        self.until(lambda: "listening on" in edge.said())
        for name in ("var", "r.yaml", "plugins"):
            self.assertIn(f"{folder / name}: everybody may write there, and who can decides", edge.said())


class HangUpTests(EdgeCase):
    """SIGHUP."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.port = freePort()
        self.write("one")

    def write(self, body: str) -> None:
        text = LISTENER.replace("PORT", str(self.port)) + f"routes: [{{respond: {{body: {body}}}}}]\n"
        (self.folder / "r.yaml").write_text(text)

    def answer(self) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            return readAll(client).rpartition(b"\r\n")[2]

    def test_looks(self) -> None:
        """As other servers do: nobody loses a connection, and what was written holds, however often it comes."""
        edge = EdgeProcess(self.folder, self.port, ["--config", "r.yaml"])
        self.addCleanup(edge.kill)
        self.until(lambda: "listening on" in edge.said())
        for _ in range(500):
            edge.process.send_signal(signal.SIGHUP)
            edge.process.send_signal(signal.SIGUSR1)
        self.write("two")
        edge.process.send_signal(signal.SIGHUP)
        self.until(lambda: self.answer() == b"two")
        self.until(lambda: "SIGHUP: the files were read; serving with 0 plugins" in edge.said(), edge.said())
        (self.folder / "r.yaml").write_text("routes: 5\n")
        edge.process.send_signal(signal.SIGHUP)
        self.until(lambda: "SIGHUP: the files were read; serving with 0 plugins; refused: revproxy.yaml" in edge.said())
        edge.terminate()
        self.assertEqual(edge.status(), 0)
        self.assertNotIn("Traceback", edge.said())

    def test_terminal(self) -> None:
        """An edge in the foreground of a terminal that is closed ends in order."""
        process, master, log = self.inTerminal(signal.SIG_DFL)
        process.send_signal(signal.SIGHUP)
        self.assertEqual(self.answer(), b"one")
        os.close(master)
        self.assertEqual(process.wait(PATIENCE), 0)
        self.assertIn("the terminal is gone", log.read_text())

    def test_ignored(self) -> None:
        """One that was started so that this is ignored (nohup, trap '' HUP) goes on without it and looks at files."""
        process, master, _ = self.inTerminal(signal.SIG_IGN)
        os.close(master)
        self.write("two")
        process.send_signal(signal.SIGHUP)
        self.until(lambda: self.answer() == b"two")
        process.terminate()
        self.assertEqual(process.wait(PATIENCE), 0)

    def inTerminal(self, atHangUp: signal.Handlers) -> tuple[subprocess.Popen[bytes], int, Path]:
        """An edge in the foreground of a terminal. :returns: the process, the terminal's other end, the edge's log."""
        master, slave = pty.openpty()

        def begin() -> None:
            signal.signal(signal.SIGHUP, atHangUp)
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        command = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()",
                   "--pidfile=", "-n", "--logfile=edge.log", "revproxy", "--config", "r.yaml"]
        log = self.folder / "edge.log"
        process = subprocess.Popen(
            command, cwd=self.folder, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, preexec_fn=begin
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        os.close(slave)
        self.until(lambda: log.exists() and "listening on" in log.read_text())
        return process, master, log


class SecondSignalTests(EdgeCase):
    """A request is under way, the edge was told to stop, and is told again."""

    def setUp(self) -> None:
        self.go = threading.Event()
        self.addCleanup(self.go.set)
        asked = threading.Event()

        def handle(peer: socket.socket) -> None:
            readHead(peer)
            asked.set()
            self.go.wait()
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")

        self.edge = self.start([self.origin(handle)])
        self.client = self.connect(self.edge)
        self.client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertTrue(asked.wait(PATIENCE))
        self.edge.terminate()
        self.until(lambda: "draining 1 connections" in self.edge.said())

    def test_terminate(self) -> None:
        """Another SIGTERM changes nothing: the request is answered, the status is 0, nothing is complained of."""
        self.edge.terminate()
        self.go.set()
        self.assertTrue(readAll(self.client).endswith(b"hi"))
        self.assertEqual(self.edge.status(), 0)
        self.assertNotIn("Traceback", self.edge.said())

    def test_interrupt(self) -> None:
        """SIGINT ends it now; the log still has the request."""
        self.edge.process.send_signal(signal.SIGINT)
        self.assertEqual(self.edge.status(), 0)
        self.assertEqual(len(self.edge.records()), 1)
