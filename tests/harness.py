"""
An edge in a process of its own, and origins in threads, on loopback: for tests of the whole.

Nothing here sleeps for a result: it is polled for, and a test that waits longer than :data:`PATIENCE` has failed.
"""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

PATIENCE = 120.0
"""Seconds until a test gives up. Much, for it costs nothing where all is well, and machines are busy."""

_held: deque[socket.socket] = deque()
_HELD = 32


def freePort() -> int:
    """
    A port that nobody listens on, and that nobody else is given until it is listened on.

    Linux gives a bound port to no other socket that asks for any, and to no outgoing connection, but lets anyone who
    sets ``SO_REUSEADDR`` listen there as long as the one who has bound it does not: so it stays bound here, until so
    many others have been asked for that it has been put to its use. Connecting to it meanwhile is refused.
    """
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind(("127.0.0.1", 0))
    port = int(one.getsockname()[1])
    _held.append(one)
    while len(_held) > (_HELD if sys.platform == "linux" else 0):
        _held.popleft().close()
    return port


class RawOrigin:
    """
    Calls a function with each accepted socket, in a thread; what it raises is kept.

    :ivar accepted: sockets, in order.
    """

    def __init__(self, handle: Callable[[socket.socket], None]) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listening.getsockname()[1])
        self.accepted: list[socket.socket] = []
        self._handle = handle
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listening.accept()
            except OSError:
                return
            client.settimeout(PATIENCE)
            self.accepted.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            self._handle(client)
        except OSError:
            pass
        finally:
            client.close()

    def close(self) -> None:
        """Listen no more; connections end."""
        self.listening.close()
        for client in self.accepted:
            try:
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def readHead(peer: socket.socket) -> tuple[bytes, bytes]:
    """A head with its empty line, and what came behind it; empty at the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = peer.recv(65536)
        if not more:
            return b"", data
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    return head + b"\r\n\r\n", rest


def readAll(peer: socket.socket) -> bytes:
    """Everything until the end of the connection. :raises ConnectionError: if that is a reset."""
    pieces = []
    while data := peer.recv(1 << 18):
        pieces.append(data)
    return b"".join(pieces)


def readExactly(peer: socket.socket, size: int) -> bytes:
    """So many bytes, or fewer at the end of the connection."""
    data = bytearray()
    while len(data) < size and (more := peer.recv(min(1 << 18, size - len(data)))):
        data += more
    return bytes(data)


class EdgeProcess:
    """A running edge: ``twistd revproxy``, or ``revproxy run``. :ivar folder: where its files are."""

    def __init__(
        self,
        folder: Path,
        port: int,
        arguments: list[str],
        twistd: Sequence[str] | None = ("--pidfile=", "-n"),
        before: Sequence[str] = (),
        **more: Any,
    ) -> None:
        """
        :param twistd: its options; None: it is ``revproxy run`` that is started.
        :param before: a command that is to start it.
        :param more: for `subprocess.Popen`.
        """
        self.folder = folder
        self.port = port
        command = [*before, sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]
        if twistd is not None:
            command += [*twistd, "revproxy"]
        else:
            command[-1:] = ["from revproxy.cli.main import main; main()", "run"]
        with (folder / "edge.log").open("wb") as log:
            self.process = subprocess.Popen([*command, *arguments], cwd=folder, stdout=log, stderr=log, **more)

    def said(self) -> str:
        """What it has written to standard output and error."""
        return (self.folder / "edge.log").read_text(errors="replace")

    def status(self) -> int | None:
        """Its exit status, waited for; None if it does not end."""
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            return None

    def terminate(self) -> None:
        """SIGTERM."""
        self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """For clean-up."""
        self.process.kill()
        self.process.wait()

    def peakMegabytes(self) -> float:
        """The most that was resident."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", text)[1]) / 1024  # type: ignore[index]

    def records(self) -> list[dict[str, Any]]:
        """Its access log, as far as lines are whole."""
        path = self.folder / "access.log"
        text = path.read_text() if path.exists() else ""
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


class EdgeCase(SynchronousTestCase):
    """Starts edges and origins, and ends them."""

    def until(self, fact: Callable[[], Any], what: str = "it did not come to pass") -> Any:
        """:return: what the function returned, once that is true."""
        ends = time.monotonic() + PATIENCE
        while not (result := fact()):
            if time.monotonic() > ends:
                self.fail(what)
            time.sleep(0.01)
        return result

    def origin(self, handle: Callable[[socket.socket], None]) -> RawOrigin:
        """An origin that a function speaks for."""
        origin = RawOrigin(handle)
        self.addCleanup(origin.close)
        return origin

    def answering(self, answer: bytes) -> RawOrigin:
        """An origin that gives each request without a body the same answer."""

        def handle(peer: socket.socket) -> None:
            while readHead(peer)[0]:
                peer.sendall(answer)

        return self.origin(handle)

    def launch(
        self, config: str, port: int | None = None, files: dict[str, str | bytes] | None = None, *options: str
    ) -> EdgeProcess:
        """
        An edge with this configuration, in which PORT stands for its port; it may still be starting.

        :param options: further ones: with ``--debuggable``, tests that are not root's see what it has open.
        """
        folder = Path(self.mktemp()).absolute()
        folder.mkdir(parents=True)
        port = port or freePort()
        for name, content in (files or {}).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        (folder / "revproxy.yaml").write_text(config.replace("PORT", str(port)))
        edge = EdgeProcess(folder, port, ["--config", "revproxy.yaml", *options])
        self.addCleanup(edge.kill)
        return edge

    def start(
        self, origins: list[RawOrigin], extra: str = "", files: dict[str, str | bytes] | None = None
    ) -> EdgeProcess:
        """An edge before these origins, accepting; its access log is a file."""
        targets = ", ".join(origin.url for origin in origins)
        listeners = "listeners: [{endpoint: 'tcp:PORT:interface=127.0.0.1'}]\n" if "listeners:" not in extra else ""
        upstreams = f"upstreams: {{app: {{targets: [{targets}]}}}}\n" if "upstreams:" not in extra else ""
        logging = "logging: {access: access.log}\n"
        edge = self.launch(listeners + upstreams + logging + extra, files=files)
        self.until(lambda: "listening on" in edge.said() or edge.process.poll() is not None)
        self.assertIsNone(edge.process.poll(), edge.said())
        return edge

    def connect(self, edge: EdgeProcess) -> socket.socket:
        """A client."""
        client = socket.create_connection(("127.0.0.1", edge.port), timeout=PATIENCE)
        self.addCleanup(client.close)
        return client

    def get(self, edge: EdgeProcess, target: str = "/", fields: str = "") -> tuple[bytes, bytes]:
        """One request on a connection of its own. :return: head and body."""
        client = self.connect(edge)
        client.sendall(f"GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n".encode())
        head, _, body = readAll(client).partition(b"\r\n\r\n")
        return head, body

    def recordOf(self, edge: EdgeProcess, target: str) -> dict[str, Any]:
        """The line of the access log for a target, waited for."""
        found: list[dict[str, Any]] = self.until(
            lambda: [record for record in edge.records() if record.get("target") == target], f"no record of {target}"
        )
        return found[0]
