"""Tests for :mod:`revproxy.dataplane.chunked`, with h11 as a second opinion."""

from __future__ import annotations

import h11
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.chunked import ChunkedDecoder, chunk, lastChunk
from revproxy.errors import BadRequest


def decoded(pieces: list[bytes], announced: bytes | None = None) -> tuple[bytes, ChunkedDecoder, bytes]:
    decoder = ChunkedDecoder(announced, 1000)
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
    b"0\r\nX: " + b"x" * 2000,
]


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

    def byH11(self, wire: bytes) -> bytes:
        reader = h11.Connection(h11.SERVER)
        reader.receive_data(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + wire)
        reader.next_event()
        body = b""
        while isinstance(event := reader.next_event(), h11.Data):
            body += bytes(event.data)
        self.assertIsInstance(event, h11.EndOfMessage, wire)
        return body
