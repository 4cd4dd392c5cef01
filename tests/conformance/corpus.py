"""
gunicorn's request corpus, and what it takes to be safe with each file of it.

Safe means: the origin got exactly what a strict reader sees in the file, or the beginning of that, or nothing, and what
it got was well-formed. For the files that gunicorn calls valid, gunicorn's own reading is as good.

As a programme it sends the corpus through any proxy: ``python -m tests.conformance.corpus HOST:PORT ORIGINPORT``, where
the proxy passes everything on to ORIGINPORT on 127.0.0.1, where the recording origin of this programme listens.
"""

from __future__ import annotations

import json
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.conformance.strict import Malformed, Reading, read, readAll

CORPUS = Path(__file__).parent / "gunicorn"
QUIET = 0.3
"""Seconds without a byte after which nothing more is expected of a proxy."""

_ESCAPES = {b"\\r": b"\r", b"\\n": b"\n", b"\\t": b"\t", b"\\0": b"\0"}
_ESCAPE = re.compile(rb"\\(?:[rnt0]|x[0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Entry:
    """
    One file.

    :ivar readings: the sequences of requests that an origin may get, or any beginning of one.
    """

    name: str
    data: bytes
    readings: tuple[tuple[Reading, ...], ...]

    def isSafe(self, got: Sequence[Reading]) -> bool:
        """Whether an origin that got these requests has not been misled."""
        return any(tuple(got) == reading[: len(got)] for reading in self.readings)


def entries() -> Iterator[Entry]:
    """The whole corpus."""
    theirs = json.loads((CORPUS / "valid.json").read_text())
    for path in sorted(CORPUS.glob("*/*.http")):
        name = f"{path.parent.name}/{path.name}"
        data = _octets(path.read_bytes())
        strict = tuple(readAll(data)[0])
        valid = tuple(_reading(*request) for request in theirs.get(name, ()))
        yield Entry(name, data, (strict, valid))


def _reading(method: str, target: str, body: str) -> Reading:
    match = re.match(r"https?://[^/?#]+(.*)", target)
    return Reading(method.encode("latin-1"), (match[1] if match else target).encode("latin-1"), body.encode("latin-1"))


def _octets(text: bytes) -> bytes:
    def octet(match: re.Match[bytes]) -> bytes:
        found = match[0]
        return bytes([int(found[2:], 16)]) if found[1:2] == b"x" else _ESCAPES[found]

    return _ESCAPE.sub(octet, text.replace(b"\n", b""))


class RecordingOrigin:
    """
    Listens on 127.0.0.1, reads strictly, answers whole requests.

    :ivar got: the requests since they were last taken out.
    :ivar misled: whether something came that is no request.
    """

    def __init__(self, port: int) -> None:
        self.got: list[Reading] = []
        self.misled = False
        self._listening = socket.create_server(("127.0.0.1", port), backlog=64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listening.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        data = b""
        try:
            while more := connection.recv(65536):
                data += more
                while (one := read(data)) is not None:
                    reading, data = one
                    self.got.append(reading)
                    connection.sendall(
                        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"[: -2 if reading.method == b"HEAD" else None]
                    )
        except Malformed:
            self.misled = True
        except OSError:
            pass
        finally:
            connection.close()


def send(address: tuple[str, int], data: bytes) -> bytes:
    """Send to a proxy. :return: all that it says until it closes or falls silent."""
    answer = b""
    with socket.create_connection(address) as connection:
        connection.settimeout(QUIET)
        try:
            connection.sendall(data)
            while more := connection.recv(65536):
                answer += more
        except OSError:
            pass
    return answer


def main(arguments: list[str]) -> int:
    """Send everything, print what was unsafe and how many were safe."""
    host, _, port = arguments[0].rpartition(":")
    origin = RecordingOrigin(int(arguments[1]))
    safe = total = 0
    for entry in entries():
        origin.got.clear()
        origin.misled = False
        answer = send((host, int(port)), entry.data)
        time.sleep(0.02)
        total += 1
        if entry.isSafe(origin.got) and not origin.misled:
            safe += 1
        else:
            print(entry.name, entry.data[:300], "origin:", origin.got, origin.misled, "client:", answer[:60])
    print(f"safe: {safe} of {total}")
    return 0 if safe == total else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
