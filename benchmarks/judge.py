"""What a response must be while plugins are swapped: pure, no sockets.

Every plugin of a swap benchmark writes one field on the way out, `X-Stamp-NAME: EPOCH SERIAL EPOCH SERIAL INSTANCE`:
what its code says now, what its code said on the way in, and which object it is. A request that met one generation has
the same pair twice, and the same epoch in all fields that have one (0 is none). Plugins that are changed in one
transaction get a new epoch together.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

STAMP = re.compile(rb"\r\nX-Stamp-([\w-]+): (\d+) (\d+) (\d+) (\d+) (\w+)")
_OK = b"HTTP/1.1 200 "
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection:[^\r\n]*close", re.IGNORECASE)


class Wrong(Exception):
    """A response that is not what was asked for. The message is its kind, without anything of this one request."""


def completeLength(data: bytes | bytearray) -> int | None:
    """How many bytes the response that ``data`` begins with has; ``None`` while its head is not complete.

    :raises Wrong: it cannot be told; the origin always gives a length, so an answer without one is none of ours.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    found = _LENGTH.search(data, 0, end + 2)
    if found is None:
        raise Wrong(f"{_statusOf(data)} without a length")
    return end + 4 + int(found[1])


@dataclass(slots=True)
class Judge:
    """Looks at complete responses.

    :param plugins: how many plugins are to have stamped each response.
    :param watched: the plugin whose serial only grows, seen from any one connection.
    :ivar serials: serials of the watched plugin that came up.
    :ivar instances: plugin and object that came up.
    """

    plugins: int
    watched: bytes
    serials: set[int] = field(default_factory=set)
    instances: set[tuple[bytes, bytes]] = field(default_factory=set)

    def look(self, data: bytes, body: bytes, lastSerial: int) -> int:
        """Judge one response.

        :param body: what it must have.
        :param lastSerial: the watched plugin's serial in the connection's response before.
        :returns: the serial in this one.
        :raises Wrong: it failed.
        :raises Mixed: more than one generation had a hand in it.
        """
        if not data.startswith(_OK):
            raise Wrong(f"status {_statusOf(data)}")
        head, _, received = data.partition(b"\r\n\r\n")
        if received != body:
            raise Wrong("another body than the origin's")
        if _CLOSE.search(head):
            raise Wrong("announces that the connection will be closed")
        return self._stamps(head, lastSerial)

    def _stamps(self, head: bytes, lastSerial: int) -> int:
        stamps = STAMP.findall(head)
        if len(stamps) != self.plugins:
            raise Mixed(f"{len(stamps)} plugins of {self.plugins} had their turn")
        epochs = set()
        serial = -1
        for name, epoch, now, epochBefore, before, instance in stamps:
            if now != before or epoch != epochBefore:
                raise Mixed(f"{name.decode()} was another version on the way out")
            epochs.add(epoch)
            self.instances.add((name, instance))
            if name == self.watched:
                serial = int(now)
        epochs.discard(b"0")
        if len(epochs) > 1:
            raise Mixed("plugins changed in one transaction are of two transactions")
        if serial < lastSerial:
            raise Mixed(f"{self.watched.decode()} went back to an earlier version")
        self.serials.add(serial)
        return serial


class Mixed(Wrong):
    """A response that more than one generation had a hand in."""


def _statusOf(data: bytes | bytearray) -> str:
    parts = bytes(data[:64]).split(b" ", 2)
    return parts[1].decode("latin-1") if len(parts) > 1 and parts[0].startswith(b"HTTP/") else "no HTTP"
