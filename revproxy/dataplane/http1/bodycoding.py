"""
The chunked transfer coding (RFC 9112 §7.1), taken off strictly and put on plainly.
"""

from __future__ import annotations

from revproxy.dataplane.http.fieldnames import NOTED, PROXY, isForwarding
from revproxy.dataplane.http.tracing import TRACE_FIELDS
from revproxy.dataplane.http1.chunkgrammar import CHUNK, CHUNKS, EXTENSIONS, SMALL
from revproxy.dataplane.http1.heads import listMembers
from revproxy.errors import BadRequest
from revproxy.headers import Field, isFieldValue, isToken, joined

# RFC 9110 §6.5.1: fields that must not arrive in a trailer section, since they were acted upon already.
_NEVER_TRAILING = NOTED | TRACE_FIELDS | frozenset(
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

_DIGITS = b"0123456789abcdefABCDEF"

_MAX_LINE = 4096
"""Bytes of a line with a chunk's size and its extensions."""

_FREE = 64
"""Bytes that may frame a chunk, however small it is."""

_MAX_EXCESS = 16384
"""Bytes that may frame chunks beyond that and twice their content."""


def _mayTrail(lower: bytes) -> bool:
    name = joined(lower)
    return name not in _NEVER_TRAILING and not isForwarding(name)


class LengthDecoder:
    """
    Counts off a body whose length is known.

    :ivar remaining: bytes that have not come.
    :ivar finished: True when there are none.
    :cvar trailing: no trailer section is awaited, ever.
    """

    __slots__ = ("finished", "remaining", "trailers")

    trailing = False

    def __init__(self, length: int) -> None:
        """:param length: more than 0."""
        self.remaining = length
        self.finished = False
        self.trailers: list[Field] = []

    def decode(self, data: bytes) -> tuple[list[bytes], bytes]:
        """:returns: pieces of the body, and what follows the message."""
        remaining = self.remaining = self.remaining - len(data)
        if remaining > 0:
            return [data], b""
        self.remaining = 0
        self.finished = True
        return ([data], b"") if remaining == 0 else ([data[:remaining]], data[remaining:])


class ChunkedDecoder:
    """
    Takes the chunked transfer coding off (RFC 9112 §7.1), strictly: hexadecimal size, extensions that are some, CRLF.

    What frames the content is bounded by the content, as in Go's net/http: all that a chunk has beyond 64 bytes and
    twice its content is added up, less what others have stayed below, and 16 KB are too much. So chunks of one byte may
    come for ever, and extensions of 200 bytes with them may not.

    :cvar remaining: -1: nobody knows how many bytes have not come.
    :ivar trailing: True once the last chunk has come: only the trailer section is awaited.
    :ivar finished: True after the trailer section.
    :ivar trailers: the fields of the trailer section that may be passed on, in order.
    """

    __slots__ = (
        "_announced",
        "_excess",
        "_held",
        "_maxTrailerBytes",
        "_maxTrailers",
        "_remaining",
        "_state",
        "_trailerBytes",
        "_trailerCount",
        "finished",
        "trailers",
        "trailing",
    )

    remaining = -1
    _CHUNK, _DATA, _END, _TRAILER = range(4)

    def __init__(self, announced: bytes | None, maxTrailerBytes: int, maxTrailers: int) -> None:
        """
        :param announced: the value of the ``Trailer`` field: only what it names is passed on.
        :param maxTrailerBytes: the most that the trailer section may be long.
        :param maxTrailers: the most fields it may have. Both count what is not passed on, too.
        """
        self._state = self._CHUNK
        self._remaining = 0
        self._held = b""
        self._excess = 0
        self._announced = frozenset(filter(_mayTrail, listMembers(announced))) if announced else frozenset()
        self._maxTrailerBytes = maxTrailerBytes
        self._maxTrailers = maxTrailers
        self._trailerBytes = 0
        self._trailerCount = 0
        self.trailers: list[Field] = []
        self.trailing = False
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
            state = self._state
            before = at
            if state == self._CHUNK:
                at = self._takeChunks(data, at, pieces)
            elif state == self._DATA:
                at = self._takeData(data, at, pieces)
            elif state == self._END:
                at = self._takeEnd(data, at)
            else:
                at = self._takeTrailer(data, at)
            if at == before:
                self._held = data[at:]
                return pieces, b""
        return pieces, data[at:]

    def _takeChunks(self, data: bytes, at: int, pieces: list[bytes]) -> int:
        """Take chunks as long as they are whole, and the size of one that is not. :return: where it stopped."""
        while (end := data.find(b"\r\n", at)) >= 0:
            size = self._size(data[at:end])
            start = end + 2
            stop = start + size
            if not size:
                self.trailing = True
                self._state = self._TRAILER
                return start
            if stop + 2 > len(data):
                self._remaining = size
                self._state = self._DATA
                return start
            if data[stop : stop + 2] != b"\r\n":
                raise BadRequest("a chunk is longer than its size")
            pieces.append(data[start:stop])
            at = stop + 2
            if size <= SMALL:
                # Who has sent one small chunk has sent more.
                at = self._takeSmallChunks(data, at, pieces)
        self._checkPartialLine(data[at:], _MAX_LINE)
        return at

    def _takeSmallChunks(self, data: bytes, at: int, pieces: list[bytes]) -> int:
        found = CHUNKS.match(data, at)
        if found is None:
            return at
        end = found.end()
        chunks = CHUNK.findall(data, at, end)
        content = b"".join([chunk.partition(b"\n")[2] for chunk in chunks])
        # None of them is over the bound, so it does not matter that they are added up in one go.
        self._excess = max(0, self._excess + end - at - 3 * len(content) - _FREE * len(chunks))
        pieces.append(content)
        return end

    def _size(self, line: bytes) -> int:
        number = line
        if line.translate(None, _DIGITS):
            number, semicolon, _ = line.partition(b";")
            if semicolon and (len(line) > _MAX_LINE or EXTENSIONS.fullmatch(line, len(number)) is None):
                raise BadRequest("a chunk extension that does not belong there")
        if not number or len(number) > 15 or number.translate(None, _DIGITS):
            raise BadRequest("a chunk size is no hexadecimal number")
        size = int(number, 16)
        excess = self._excess + len(line) + 4 - 2 * size - _FREE
        self._excess = excess if excess > 0 else 0
        if excess > _MAX_EXCESS:
            raise BadRequest("there is too little content in the chunks for what frames them")
        return size

    def _takeData(self, data: bytes, at: int, pieces: list[bytes]) -> int:
        """Take what is there of a chunk that came in parts."""
        end = min(len(data), at + self._remaining)
        pieces.append(data[at:end])
        self._remaining -= end - at
        if not self._remaining:
            self._state = self._END
        return end

    def _takeEnd(self, data: bytes, at: int) -> int:
        """Take the CRLF behind it."""
        if data.startswith(b"\r\n", at):
            self._state = self._CHUNK
            return at + 2
        if data[at:] != b"\r":
            raise BadRequest("a chunk is longer than its size")
        return at

    def _checkPartialLine(self, line: bytes, most: int) -> None:
        if len(line.removesuffix(b"\r")) > most:
            raise BadRequest("a line of the chunked coding is too long")
        if b"\n" in line or b"\r" in line[:-1]:
            raise BadRequest("a bare line break in the chunked coding")

    def _takeTrailer(self, data: bytes, at: int) -> int:
        """Take a field of the trailer section, or its end."""
        end = data.find(b"\r\n", at)
        if end < 0:
            self._checkPartialLine(data[at:], self._maxTrailerBytes - self._trailerBytes - 2)
        elif end == at:
            self.finished = True
        else:
            self._trailer(data[at:end])
        return at if end < 0 else end + 2

    def _trailer(self, line: bytes) -> None:
        self._trailerBytes += len(line) + 2
        self._trailerCount += 1
        if self._trailerBytes > self._maxTrailerBytes or self._trailerCount > self._maxTrailers:
            raise BadRequest("the trailer section is too large")
        name, colon, value = line.partition(b":")
        if not colon or not isToken(name) or not isFieldValue(value):
            raise BadRequest("a trailer field is malformed")
        lower = name.lower()
        if lower in self._announced:
            self.trailers.append((lower, name, value.strip(b" \t")))


def chunk(data: bytes) -> bytes:
    """One chunk; never empty data, which would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def unsaid(trailers: list[Field], head: bytes) -> list[Field]:
    """
    The trailers that may follow a head: none whose name it has, in any spelling that gateways join.

    Whoever merges the two (RFC 9110 §6.5.1) would have two values of it, and nobody has checked the later one.
    """
    said = frozenset(joined(line.partition(b":")[0].lower()) for line in head.split(b"\r\n"))
    return [trailer for trailer in trailers if joined(trailer[0]) not in said]


def lastChunk(trailers: list[Field]) -> bytes:
    """What ends a chunked body."""
    if not trailers:
        return b"0\r\n\r\n"
    lines = b"".join(b"%b: %b\r\n" % (name, value) for _, name, value in trailers)
    return b"0\r\n%b\r\n" % lines
