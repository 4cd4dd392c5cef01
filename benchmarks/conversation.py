"""One request after the other over loopback, and the origin behind: load that is the same each time.

With one connection on either side and never two requests at a time, the edge meets the same events in the same order,
whoever else uses the machine. Client and origin are in this process, the origin in a thread.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

from benchmarks.load import clientContext, connect
from benchmarks.memoryedge import ANSWER, BODY, REQUEST
from benchmarks.processes import BenchmarkError

_PATIENCE = 120.0
"""Seconds without an answer; an edge under valgrind takes its time to start."""


class SteadyOrigin:
    """Answers every request alike. Use as a context manager. :ivar port: where it listens on loopback."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listening.getsockname()[1])

    def __enter__(self) -> SteadyOrigin:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        # Closing alone does not wake a thread that accepts.
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        got = b""
        with connection, suppress(OSError):
            while data := connection.recv(65536):
                got += data
                if got.endswith(b"\r\n\r\n"):
                    got = b""
                    connection.sendall(ANSWER)


class Asker:
    """A client with one kept-alive connection.

    :raises BenchmarkError: when no connection can be made.
    """

    def __init__(self, port: int, tls: bool = False) -> None:
        try:
            self._socket = connect(port, clientContext() if tls else None)
        except OSError as error:
            raise BenchmarkError(f"cannot connect to the edge: {error}") from error
        self._socket.settimeout(_PATIENCE)

    def ask(self, count: int) -> None:
        """Make that many requests, one after the other.

        :raises BenchmarkError: when one is not answered as it should be.
        """
        for _ in range(count):
            got = b""
            try:
                self._socket.sendall(REQUEST)
                while not got.endswith(BODY):
                    data = self._socket.recv(65536)
                    if not data:
                        raise BenchmarkError("the edge closed the connection")
                    got += data
            except OSError as error:
                raise BenchmarkError(f"no answer from the edge: {error}") from error
            if not got.startswith(b"HTTP/1.1 200 "):
                raise BenchmarkError(f"the edge answers {got.splitlines()[0].decode('latin-1')}")

    def close(self) -> None:
        """End the connection."""
        self._socket.close()


class Ordering:
    """The same handle for an edge in memory: requests are made in its process, by order.

    :param port: where it takes orders.
    """

    def __init__(self, port: int) -> None:
        self._socket = connect(port, None)
        self._socket.settimeout(_PATIENCE)

    def ask(self, count: int) -> None:
        """As :meth:`Asker.ask`."""
        try:
            self._socket.sendall(b"%d\n" % count)
            if self._socket.recv(16).strip() != b"done":
                raise BenchmarkError("the edge in memory has ended")
        except OSError as error:
            raise BenchmarkError(f"the edge in memory: {error}") from error

    def close(self) -> None:
        """End the connection; the edge goes on."""
        self._socket.close()
