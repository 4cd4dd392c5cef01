"""
The chunked transfer coding (RFC 9112 §7.1), taken off strictly and put on plainly.
"""

from __future__ import annotations

from revproxy.dataplane.fieldnames import NOTED, PROXY, isForwarding, joined
from revproxy.dataplane.framing import HEX, VALUE_REFUSED, listMembers
from revproxy.errors import BadRequest
from revproxy.headers import TOKEN, Field

# RFC 9110 §6.5.1: fields that must not arrive in a trailer section, since they were acted upon already.
_NEVER_TRAILING = NOTED | frozenset(
    (
        PROXY,
        b"age",
        b"authorization",
        b"cache-control",
        b"content-encoding",
        b"content-range",
        b"content-type",
        b"cookie",
        b"date",
        b"expires",
        b"location",
        b"max-forwards",
        b"pragma",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"range",
        b"retry-after",
        b"set-cookie",
        b"vary",
        b"via",
        b"warning",
        b"www-authenticate",
    )
)


def _mayTrail(lower: bytes) -> bool:
    name = joined(lower)
    return name not in _NEVER_TRAILING and not isForwarding(name)


class ChunkedDecoder:
    """
    Takes the chunked transfer coding off (RFC 9112 §7.1), strictly: hexadecimal size, CRLF, nothing else.

    :ivar left: -1: nobody knows how many bytes have not come.
    :ivar finished: True after the trailer section.
    :ivar trailers: the fields of the trailer section that may be passed on, in order.
    """

    __slots__ = ("_announced", "_held", "_left", "_maxTrailerBytes", "_state", "_trailerBytes", "finished", "trailers")

    left = -1
    _SIZE, _DATA, _END, _TRAILER = range(4)
    _MAX_LINE = 4096

    def __init__(self, announced: bytes | None, maxTrailerBytes: int) -> None:
        """
        :param announced: the value of the ``Trailer`` field: only what it names is passed on.
        :param maxTrailerBytes: the most that the trailer section may be long.
        """
        self._state = self._SIZE
        self._left = 0
        self._held = b""
        self._announced = frozenset(filter(_mayTrail, listMembers(announced))) if announced else frozenset()
        self._maxTrailerBytes = maxTrailerBytes
        self._trailerBytes = 0
        self.trailers: list[Field] = []
        self.finished = False

    def decode(self, data: bytes) -> tuple[list[bytes], bytes]:
        """
        :returns: pieces of the body, and what follows the message (empty until :attr:`finished`).
        :raises BadRequest: if this is not the chunked coding.
        """
        if self._held:
            data, self._held = self._held + data, b""
        pieces: list[bytes] = []
        at = 0
        size = len(data)
        while at < size and not self.finished:
            if self._state == self._DATA:
                end = min(size, at + self._left)
                pieces.append(data[at:end])
                self._left -= end - at
                at = end
                if not self._left:
                    self._state = self._END
                continue
            if self._state == self._END:
                if size - at < 2:
                    if data[at:] != b"\r":
                        raise BadRequest("a chunk is longer than its size")
                    break
                if data[at : at + 2] != b"\r\n":
                    raise BadRequest("a chunk is longer than its size")
                at += 2
                self._state = self._SIZE
                continue
            end = data.find(b"\r\n", at)
            if end < 0:
                self._checkPartialLine(data[at:])
                break
            line = data[at:end]
            at = end + 2
            if self._state == self._SIZE:
                self._size(line)
            else:
                self._trailer(line)
        if self.finished:
            return pieces, data[at:]
        self._held = data[at:]
        return pieces, b""

    def _checkPartialLine(self, line: bytes) -> None:
        if len(line) > (self._MAX_LINE if self._state == self._SIZE else self._maxTrailerBytes):
            raise BadRequest("a line of the chunked coding is too long")
        if b"\n" in line or b"\r" in line[:-1]:
            raise BadRequest("a bare line break in the chunked coding")

    def _size(self, line: bytes) -> None:
        number, _, extension = line.partition(b";")
        if not number or len(number) > 15 or not HEX.issuperset(number):
            raise BadRequest("a chunk size is no hexadecimal number")
        if len(line) > self._MAX_LINE or extension.translate(None, VALUE_REFUSED) != extension:
            raise BadRequest("a chunk extension that does not belong there")
        self._left = int(number, 16)
        self._state = self._DATA if self._left else self._TRAILER

    def _trailer(self, line: bytes) -> None:
        if not line:
            self.finished = True
            return
        self._trailerBytes += len(line) + 2
        if self._trailerBytes > self._maxTrailerBytes:
            raise BadRequest("the trailer section is too large")
        name, colon, value = line.partition(b":")
        if not colon or not name or not TOKEN.issuperset(name) or value.translate(None, VALUE_REFUSED) != value:
            raise BadRequest("a trailer field is malformed")
        lower = name.lower()
        if lower in self._announced:
            self.trailers.append((lower, name, value.strip(b" \t")))


def chunk(data: bytes) -> bytes:
    """One chunk; never empty data, which would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def lastChunk(trailers: list[Field]) -> bytes:
    """What ends a chunked body."""
    if not trailers:
        return b"0\r\n\r\n"
    lines = b"".join(b"%b: %b\r\n" % (name, value) for _, name, value in trailers)
    return b"0\r\n%b\r\n" % lines
