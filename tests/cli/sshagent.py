"""An agent of OpenSSH's that has one key: a security key that nobody has to plug in."""

from __future__ import annotations

import socket
import struct
import tempfile
import threading
from pathlib import Path

from tests.bundles.signing import Key, string


class Agent:
    """
    Answers ``ssh-keygen`` (draft-miller-ssh-agent) from a thread, until it is closed.

    :ivar path: for ``SSH_AUTH_SOCK``.
    """

    def __init__(self, key: Key) -> None:
        self._key = key
        self._folder = tempfile.TemporaryDirectory()
        self.path = str(Path(self._folder.name) / "agent")
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(self.path)
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """The end of it."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)
        self._folder.cleanup()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, connection.makefile("rwb") as stream:
                while size := stream.read(4):
                    answer = self._answer(stream.read(int.from_bytes(size, "big")))
                    stream.write(string(answer))
                    stream.flush()

    def _answer(self, asked: bytes) -> bytes:
        if asked[0] == 11:  # which identities?
            return b"\x0c" + struct.pack(">L", 1) + string(self._key.blob, b"test")
        if asked[0] == 13:  # sign this
            size = int.from_bytes(asked[1:5], "big")
            data = asked[5 + size:]
            message = data[4:4 + int.from_bytes(data[:4], "big")]
            return b"\x0e" + string(self._key.signature(message))
        return b"\x05"  # failure: it cannot do that

