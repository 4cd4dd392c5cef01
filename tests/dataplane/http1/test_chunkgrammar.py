"""Tests for :mod:`revproxy.dataplane.http1.chunkgrammar`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.http1.chunkgrammar import CHUNK, CHUNKS, EXTENSIONS, SHORT_EXTENSIONS, SMALL
from revproxy.headers import isToken

_SPELLINGS = st.sampled_from((b"%x", b"%X", b"0%x", b"000%x"))
_CONTENTS = st.binary(min_size=1, max_size=SMALL)


class ExtensionTests(SynchronousTestCase):
    """``EXTENSIONS`` (RFC 9112 §7.1.1)."""

    def test_some(self) -> None:
        """A name, and perhaps a value: a token or a quoted string."""
        for good in (b";a", b";a=b", b';a="b;\\" c"', b";a;b=c"):
            self.assertIsNotNone(EXTENSIONS.fullmatch(good), good)
        for bad in (b";", b";a=", b"; a", b";a =b", b';a="', b';a="\r\n"', b";a=b c"):
            self.assertIsNone(EXTENSIONS.fullmatch(bad), bad)

    def test_names(self) -> None:
        """A name is a token, octet by octet."""
        for octet in range(256):
            name = bytes([octet])
            if name not in b";=":
                self.assertEqual(EXTENSIONS.fullmatch(b";a" + name + b"c=b") is not None, isToken(name), name)


class ChunkTests(SynchronousTestCase):
    """``CHUNK`` and ``CHUNKS``."""

    @given(st.lists(st.tuples(_SPELLINGS, _CONTENTS), min_size=1, max_size=20))
    def test_taken(self, chunks: list[tuple[bytes, bytes]]) -> None:
        """Whole small chunks are taken all at once, in any spelling of their size, whatever is in them."""
        wire = b"".join(spelling % len(content) + b"\r\n" + content + b"\r\n" for spelling, content in chunks)
        found = CHUNKS.match(wire)
        assert found is not None
        self.assertEqual(found.end(), len(wire))
        contents = [chunk.partition(b"\n")[2] for chunk in CHUNK.findall(wire)]
        self.assertEqual(contents, [content for _, content in chunks])

    def test_others(self) -> None:
        """The last chunk, a larger one, one that is not whole and one that is longer than it says are not."""
        for wire in (b"0\r\n\r\n", b"40\r\n" + b"a" * 64 + b"\r\n", b"2\r\na", b"1\r\nab\r\n", b"1;a b\r\na\r\n"):
            self.assertIsNone(CHUNKS.match(wire), wire)

    def test_extensions(self) -> None:
        """With short extensions they are taken, with long ones left to whoever counts them."""
        for size, isTaken in ((SHORT_EXTENSIONS - 1, True), (SHORT_EXTENSIONS, False)):
            wire = b"1;" + b"a" * size + b"\r\nx\r\n"
            self.assertEqual(CHUNKS.match(wire) is not None, isTaken, size)
