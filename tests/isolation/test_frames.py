"""Frames as bytes, and back."""

from __future__ import annotations

from hypothesis import given
from hypothesis.strategies import binary, integers
from twisted.trial.unittest import SynchronousTestCase

from revproxy.isolation.frames import (
    MOST_UP,
    Answered,
    BrokenStream,
    Call,
    Failed,
    FrameReader,
    RequestHead,
    decodeDown,
    decodeUp,
    encode,
)

HEAD = RequestHead(b"GET", b"/", b"", "https", "1.1", ((b"X-Tenant", b"a"),), ("", 0, ""), None, "id-1", "shop", "app")
CALL = Call(7, 3, "handle", HEAD)
ANSWER = Answered(7, True, fields=((b"x-user", ((b"X-User", b"ann"),)), (b"x-old", ())))


class FramesTests(SynchronousTestCase):
    """`encode`, `FrameReader`, and the decoders."""

    def test_roundTrip(self) -> None:
        """What was said is heard."""
        self.assertEqual([decodeDown(data) for data in FrameReader(1 << 20).feed(encode(CALL))], [CALL])
        self.assertEqual([decodeUp(data) for data in FrameReader(1 << 20).feed(encode(ANSWER))], [ANSWER])

    @given(integers(1, 50))
    def test_pieces(self, size: int) -> None:
        """However the stream is cut."""
        data, reader, found = encode(ANSWER) * 3, FrameReader(1 << 20), []
        for at in range(0, len(data), size):
            found += [decodeUp(frame) for frame in reader.feed(data[at : at + size])]
        self.assertEqual(found, [ANSWER] * 3)

    def test_tooLong(self) -> None:
        """A length beyond all bounds is told before its bytes have come."""
        with self.assertRaisesRegex(BrokenStream, "4294967295 bytes"):
            list(FrameReader(MOST_UP).feed(b"\xff\xff\xff\xff"))

    @given(binary(max_size=200))
    def test_hostile(self, data: bytes) -> None:
        """Whatever bytes come, they are a frame or refused."""
        try:
            decodeUp(data)
        except BrokenStream:
            pass

    def test_noText(self) -> None:
        """Text that is not UTF-8 is refused as all else is."""
        with self.assertRaises(BrokenStream):
            decodeUp(encode(Failed(1, "", "", "x"))[4:].replace(b"\xa1x", b"\xa1\x80"))

    def test_wrongDirection(self) -> None:
        """A process cannot say what only the edge says; nor with a number below zero."""
        with self.assertRaises(BrokenStream):
            decodeUp(encode(CALL)[4:])
        with self.assertRaises(BrokenStream):
            decodeUp(encode(Failed(-1, "", "", ""))[4:])
