"""Tests for :mod:`revproxy.dataplane.http1.bodycoding`, with h11 and a slow reader as second and third opinion."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import h11
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.http1.bodycoding import ChunkedDecoder, chunk, lastChunk
from revproxy.dataplane.http1.chunkgrammar import EXTENSIONS
from revproxy.errors import BadRequest
from tests.counting import calls


def decoded(pieces: list[bytes], announced: bytes | None = None) -> tuple[bytes, ChunkedDecoder, bytes]:
    decoder = ChunkedDecoder(announced, 1000, 20)
    body = b""
    for at, piece in enumerate(pieces):
        got, rest = decoder.decode(piece)
        body += b"".join(got)
        if decoder.finished:
            return body, decoder, rest + b"".join(pieces[at + 1 :])
    return body, decoder, b""


MESSAGE = b"3\r\nabc\r\n0A;name=value\r\n0123456789\r\n000\r\nX-Sum: 1 \r\nX-Other: 2\r\nContent-Length: 3\r\n\r\n"

BAD_CHUNKS = [
    b"\r\n",
    b"x\r\n",
    b" 3\r\nabc\r\n",
    b"3 \r\nabc\r\n",
    b"+3\r\nabc\r\n",
    b"-3\r\nabc\r\n",
    b"0x3\r\nabc\r\n",
    b"3_0\r\nabc\r\n",
    b";ext\r\nabc\r\n",
    b"3\nabc\r\n",
    b"3\rabc\r\n",
    b"3\r\nabcd\r\n",
    b"3\r\nabc\n0\r\n\r\n",
    b"3\r\nabc\rx0\r\n\r\n",
    b"3\r\nabc0\r\n\r\n",
    b"1" * 16 + b"\r\n",
    b"f" * 17 + b"\r\n",
    b"3;a\x00b\r\nabc\r\n",
    b"3;a\nb\r\nabc\r\n",
    b"3;a\rb\r\nabc\r\n",
    b"3;\r\nabc\r\n",
    b"3;=\r\nabc\r\n",
    b"3; a\r\nabc\r\n",
    b"3;a \r\nabc\r\n",
    b'3;a="b\r\nabc\r\n',
    b"3;" + b"x" * 5000,
    b"3;" + b"x" * 5000 + b"\r\nabc\r\n",
    b"0\r\nX\r\n\r\n",
    b"0\r\nX : 1\r\n\r\n",
    b"0\r\n: 1\r\n\r\n",
    b"0\r\n X: 1\r\n\r\n",
    b"0\r\nX: \x00\r\n\r\n",
    b"0\r\nX: a\nb\r\n\r\n",
    b"0\r\n\n",
    b"0\r\n" + b"X: 1\r\n" * 500,
    b"0\r\n" + b"X:\r\n" * 21,
    b"0\r\nX: " + b"x" * 2000,
]


TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def reference(wire: bytes, maxBytes: int = 1000, maxFields: int = 20) -> tuple[bytes, bytes] | None:
    """
    The coding as the RFC writes it, byte after byte, with no thought of speed.

    :return: content, and what is behind the message; None if the message is not whole.
    :raises ValueError: if it is not the coding, or over a bound.
    """
    content, at, excess = b"", 0, 0
    while True:
        end = wire.find(b"\r\n", at)
        if end < 0:
            return None
        line = wire[at:end]
        number = bytes(octet for octet in line.split(b";")[0])
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,15}", number) or len(line) > 4096:
            raise ValueError("size")
        checkExtensions(line[len(number) :])
        size = int(number, 16)
        excess = max(0, excess + len(line) + 4 - 64 - 2 * size)
        if excess > 16384:
            raise ValueError("excess")
        at = end + 2
        if not size:
            break
        content += wire[at : at + size]
        at += size
        if len(wire) < at + 2:
            if wire[at:] not in (b"", b"\r"):
                raise ValueError("end")
            return None
        if wire[at : at + 2] != b"\r\n":
            raise ValueError("end")
        at += 2
    size, fields = 0, 0
    while True:
        end = wire.find(b"\r\n", at)
        if end < 0:
            return None
        line = wire[at:end]
        at = end + 2
        if not line:
            return content, wire[at:]
        size += len(line) + 2
        fields += 1
        name, colon, value = line.partition(b":")
        bad = any((octet < 0x20 and octet != 9) or octet == 0x7F for octet in value)
        if size > maxBytes or fields > maxFields or not colon or not TOKEN.fullmatch(name) or bad:
            raise ValueError("trailer")


def checkExtensions(rest: bytes) -> None:
    """``*( ";" chunk-ext-name [ "=" chunk-ext-val ] )``. :raises ValueError: if it is anything else."""
    while rest:
        if not rest.startswith(b";"):
            raise ValueError("extension")
        name = TOKEN.match(rest, 1)
        if name is None:
            raise ValueError("extension")
        rest = rest[name.end() :]
        if rest.startswith(b'="'):
            at = 2
            while rest[at : at + 1] != b'"':
                at += rest[at : at + 1] == b"\\"
                if at >= len(rest) or (rest[at] < 0x20 and rest[at] != 9) or rest[at] == 0x7F:
                    raise ValueError("quoted string")
                at += 1
            rest = rest[at + 1 :]
        elif rest.startswith(b"="):
            value = TOKEN.match(rest, 1)
            if value is None:
                raise ValueError("value")
            rest = rest[value.end() :]


PARTS = [b"1\r\na\r\n", b"2\r\n\r\n\r\n", b"a\r\n0123456789\r\n", b"10\r\n" + b"x" * 16 + b"\r\n", b"1;a=b\r\nc\r\n"]
PARTS += [
    b"0",
    b"00",
    b"1",
    b"F",
    b"4f",
    b"\r\n",
    b"\r",
    b"\n",
    b";",
    b"a",
    b"=",
    b'"',
    b"\\",
    b" ",
    b"X: 1",
    b"abc",
    b"0\r\n\r\n",
]
PARTS += [b"1;" + b"a" * 38 + b"\r\nx\r\n", b"1;" + b"b" * 39 + b"\r\nx\r\n", b"1;" + b"c" * 900 + b"\r\nx\r\n"]
PARTS += [
    b"0" * 13 + b"1\r\nz\r\n",
    b"0" * 14 + b"1\r\nz\r\n",
    b"0" * 13,
    b"0" * 14 + b"10\r\n",
    b"3f\r\n" + b"y" * 63 + b"\r\n",
]


def outcome(pieces: list[bytes]) -> Any:
    """What comes of a message in pieces: content and rest, None if it is not whole, or that it is refused."""
    try:
        body, decoder, rest = decoded(pieces)
    except BadRequest:
        return "refused"
    return (body, rest) if decoder.finished else None


def cut(wire: bytes, places: list[int]) -> Iterator[bytes]:
    """The bytes, cut at these places."""
    before = 0
    for place in [*sorted(place for place in places if 0 < place < len(wire)), len(wire)]:
        yield wire[before:place]
        before = place


class ChunkedTests(SynchronousTestCase):
    """The chunked coding (RFC 9112 §7.1)."""

    def test_everySplit(self) -> None:
        """It does not matter where the bytes are cut: in two at every place, in three at all pairs, or all apart."""
        data = MESSAGE + b"next"
        cuts = [[data]]
        cuts += [[data[:a], data[a:]] for a in range(len(data))]
        cuts += [[data[:a], data[a:b], data[b:]] for a in range(0, len(data), 2) for b in range(a, len(data), 3)]
        cuts.append([data[at : at + 1] for at in range(len(data))])
        for pieces in cuts:
            body, decoder, rest = decoded(pieces, b"X-Sum, content-length")
            self.assertEqual((body, decoder.finished, rest), (b"abc0123456789", True, b"next"), pieces)
            self.assertEqual(decoder.trailers, [(b"x-sum", b"X-Sum", b"1")])

    def test_unannounced(self) -> None:
        """Trailers that were not announced are dropped."""
        self.assertEqual(decoded([MESSAGE])[1].trailers, [])

    def test_traces(self) -> None:
        """What tells of a trace is said at the beginning, and checked there; not in a trailer."""
        wire = b"0\r\ntraceparent: x\r\nTraceState: a=1\r\nX-Sum: 1\r\n\r\n"
        decoder = decoded([wire], b"traceparent, Tracestate, X-Sum")[1]
        self.assertEqual([name for name, _, _ in decoder.trailers], [b"x-sum"])

    def test_bad(self) -> None:
        """Whatever is not the coding is refused, cut or not."""
        for data in BAD_CHUNKS:
            for pieces in ([data], [data[at : at + 1] for at in range(len(data))]):
                with self.assertRaises(BadRequest, msg=repr(data)):
                    decoded(pieces)

    def test_unfinished(self) -> None:
        """A message that is cut off is never finished."""
        whole = b"3\r\nabc\r\n0\r\n\r\n"
        for end in range(len(whole)):
            self.assertFalse(decoded([whole[:end]])[1].finished)

    @given(st.lists(st.binary(min_size=1, max_size=50), max_size=6), st.data())
    def test_roundTrip(self, chunks: list[bytes], data: st.DataObject) -> None:
        """What we encode, h11 and we decode to the same, in any pieces."""
        wire = b"".join(map(chunk, chunks)) + lastChunk([(b"x-a", b"X-A", b"1")] if len(chunks) % 2 else [])
        size = data.draw(st.integers(1, len(wire)))
        body, decoder, rest = decoded([wire[at : at + size] for at in range(0, len(wire), size)], b"X-A")
        self.assertEqual((body, decoder.finished, rest), (b"".join(chunks), True, b""))
        self.assertEqual(len(decoder.trailers), len(chunks) % 2)
        self.assertEqual(self.byH11(wire), body)

    @settings(max_examples=300)
    @given(
        st.lists(st.sampled_from([b"3", b"0", b"\r\n", b"abc", b";x", b"A", b"\n", b" ", b"X: 1", b"\r"]), max_size=12)
    )
    def test_sameAsH11(self, parts: list[bytes]) -> None:
        """What we accept as a whole body, h11 reads as the same body."""
        wire = b"".join(parts)
        try:
            body, decoder, rest = decoded([wire])
        except BadRequest:
            return
        if decoder.finished:
            self.assertEqual(self.byH11(wire[: len(wire) - len(rest)]), body)

    @settings(max_examples=300)
    @given(st.lists(st.sampled_from(PARTS), max_size=40), st.lists(st.integers(1, 400), max_size=8))
    def test_sameAsReference(self, parts: list[bytes], places: list[int]) -> None:
        """In one go, cut at any places and byte by byte: what the plain reader says, or refused where that refuses."""
        wire = b"".join(parts)
        expected: Any
        try:
            expected = reference(wire)
        except ValueError:
            expected = "refused"
        outcomes = [outcome([wire]), outcome(list(cut(wire, places))), outcome([bytes((octet,)) for octet in wire])]
        if expected is None:
            # It may be refused before the line is whole that would be.
            outcomes = [None if what == "refused" and not self.canGoOn(wire) else what for what in outcomes]
        self.assertEqual(outcomes, [expected] * 3)

    @staticmethod
    def canGoOn(wire: bytes) -> bool:
        """Whether there is a way to go on that the plain reader would accept."""
        for end in (b"", b"\n", b"\r\n", b"x\r\n", b'"\r\n', b"0\r\n", b": 1\r\n"):
            for size in (0, 1, 2, 79, 4096):
                try:
                    reference(wire + end + b"x" * size + b"\r\n0\r\n\r\n")
                except ValueError:
                    continue
                return True
        return False

    def test_trailerBounds(self) -> None:
        """Bytes and fields of the trailer section are bounded, passed on or not, to the last one that is allowed."""
        for announced in (None, b"X"):
            for fields, allowed in (([b"X:"] * 20, True), ([b"X:"] * 21, False), ([b"X" * 998 + b":"], False)):
                wire = b"0\r\n" + b"".join(field + b"\r\n" for field in fields) + b"\r\n"
                for pieces in ([wire], [wire[at : at + 1] for at in range(len(wire))]):
                    if allowed:
                        self.assertTrue(decoded(pieces, announced)[1].finished)
                    else:
                        self.assertRaises(BadRequest, decoded, pieces, announced)
        self.assertTrue(decoded([b"0\r\n" + b"X" * 997 + b":\r\n\r\n"])[1].finished)

    def test_trailing(self) -> None:
        """It is told when the content is over and only the trailer section is awaited."""
        decoder = ChunkedDecoder(None, 1000, 20)
        for piece, trailing in ((b"1\r\na\r\n", False), (b"0\r", False), (b"\n", True), (b"X: 1\r\n\r\n", True)):
            decoder.decode(piece)
            self.assertEqual(decoder.trailing, trailing, piece)

    def test_smallChunksForEver(self) -> None:
        """A stream of small chunks is no attack: hours of them are decoded, in any spelling of their size."""
        for sent in (b"1\r\na\r\n", b"00000001\r\na\r\n", b"1;t=1700000000.25\r\na\r\n", b"5;a\r\nhello\r\n"):
            for count in (1, 300):
                decoder = ChunkedDecoder(None, 1000, 20)
                content = sum(len(b"".join(decoder.decode(sent * count)[0])) for _ in range(90000 // count))
                self.assertEqual(content, 90000 // count * count * (len(sent.split(b"\r\n")[1])))

    def test_excess(self) -> None:
        """More than 16 KB of extensions that no content justifies are refused, in one read or in many."""
        for size in (61, 100, 200, 1000, 4090):
            sent = b"1;%b\r\nx\r\n" % (b"a" * size)
            most = 16384 // (size + 4 + 2 - 64 - 2)
            for pieces in ([sent * most], [sent] * most):
                self.assertEqual(len(decoded(pieces)[0]), most)
                self.assertRaises(BadRequest, decoded, [*pieces, sent])
            # With content of half their size they may come for ever.
            self.assertEqual(len(decoded([b"%x;%b\r\n%b\r\n" % (size, b"a" * size, b"x" * size)] * 500)[0]), 500 * size)

    def test_hostileExtensions(self) -> None:
        """The longest line costs the same however it fails: the pattern looks at each byte once."""
        for unit, last in (
            (b";a", b";"),
            (b';a="', b""),
            (b";a=b", b"="),
            (b';a="\\\\', b"\\"),
            (b';a=""', b'"'),
            (b"a", b" "),
        ):
            line = (b";" + unit.lstrip(b";")) + unit * (4000 // len(unit)) + last
            self.assertRaises(BadRequest, decoded, [b"1" + line + b"\r\nx\r\n"])
            # A pattern that went back and tried again would not come to an end here.
            self.assertIsNone(EXTENSIONS.fullmatch(unit * 50000 + last + b"\r"))

    def test_cost(self) -> None:
        """A megabyte of the smallest chunks takes no more steps than four times one of chunks of 600 bytes."""
        plain = self.stepsFor(b"%x\r\n%b\r\n" % (600, b"x" * 600))
        kinds = [
            b"1\r\nx\r\n",
            b"1\r\nx\r\n2\r\nxx\r\n",
            b"F\r\n%b\r\n" % (b"x" * 15),
            b"0001\r\nx\r\n",
            b"1;a\r\nx\r\n",
        ]
        kinds += [b"1;a=b\r\nx\r\n", b"1\r\nx\r\n10\r\n%b\r\n" % (b"x" * 16), b'1;a=";"\r\n\r\r\n']
        for kind in kinds:
            # Of each small chunk only its cut off head is left to do for us, one call into C.
            wired = self.stepsFor(kind)
            chunks = (1 << 20) // len(kind) * kind.count(b"\r\n") // 2
            self.assertLess(wired - chunks, plain * 4, kind)

    @staticmethod
    def stepsFor(unit: bytes) -> int:
        wire = unit * ((1 << 20) // len(unit))

        def decode() -> None:
            decoder = ChunkedDecoder(None, 1000, 20)
            for at in range(0, len(wire), 131072):
                decoder.decode(wire[at : at + 131072])

        return calls(decode)

    def byH11(self, wire: bytes) -> bytes:
        reader = h11.Connection(h11.SERVER)
        reader.receive_data(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + wire)
        reader.next_event()
        body = b""
        while isinstance(event := reader.next_event(), h11.Data):
            body += bytes(event.data)
        self.assertIsInstance(event, h11.EndOfMessage, wire)
        return body
