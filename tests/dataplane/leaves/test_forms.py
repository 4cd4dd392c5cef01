"""Tests for :mod:`revproxy.dataplane.leaves.forms`."""

from __future__ import annotations

import tracemalloc
from urllib.parse import quote_from_bytes

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.leaves.forms import MOST_FIELDS, Fields, isForm, readForm
from revproxy.errors import BadRequest, BodyTooLarge
from tests.behaviour.test_hostileClientsCostLittle import calls

PLAIN = b"application/x-www-form-urlencoded"
MULTIPART = b"multipart/form-data; boundary=B"
NAMED = b'Content-Disposition: form-data; name="%b"'


def plain(content: bytes) -> Fields:
    return readForm(PLAIN, content)


def multipart(*parts: bytes, end: bytes = b"--B--\r\n", kind: bytes = MULTIPART) -> Fields:
    return readForm(kind, b"".join(b"--B\r\n" + part + b"\r\n" for part in parts) + end)


class URLEncodedTests(SynchronousTestCase):
    """What ``twisted.web`` makes of it."""

    def test_fields(self) -> None:
        """Names and values are decoded; what has no = is passed over; what has no value is empty."""
        self.assertEqual(
            plain(b"a=1&b=x+y%26%3D%ff&a=2;c=&d&=e&%61=%zz&f=g=h"),
            {b"a": [b"1", b"2", b"%zz"], b"b": [b"x y&=\xff"], b"c": [b""], b"": [b"e"], b"f": [b"g=h"]},
        )
        self.assertEqual(plain(b""), {})

    def test_most(self) -> None:
        """There is an end to fields, and to separators."""
        self.assertEqual(len(plain(b"&".join(b"%d=" % number for number in range(MOST_FIELDS)))), MOST_FIELDS)
        for content in (b"a=&" * MOST_FIELDS, b"&" * MOST_FIELDS, b"&;" * (MOST_FIELDS // 2)):
            self.assertRaises(BodyTooLarge, plain, content)

    def test_escapes(self) -> None:
        """Escapes are decoded wherever they stand in a long value, and without an object for each of them."""
        for shift in range(4):
            value = b"x" * shift + bytes(range(256)) * 800
            self.assertEqual(plain(b"a=" + quote_from_bytes(value, safe="").encode()), {b"a": [value]})
        content = b"a=" + b"%41" * 1_000_000
        tracemalloc.start()
        try:
            self.assertEqual(len(plain(content)[b"a"][0]), 1_000_000)
            self.assertLess(tracemalloc.get_traced_memory()[1], 13_000_000)
        finally:
            tracemalloc.stop()

    @given(st.lists(st.tuples(st.binary(), st.binary())))
    def test_anything(self, pairs: list[tuple[bytes, bytes]]) -> None:
        """Whatever is sent arrives."""
        content = "&".join(f"{quote_from_bytes(name)}={quote_from_bytes(value)}" for name, value in pairs).encode()
        expected: Fields = {}
        for name, value in pairs:
            expected.setdefault(name, []).append(value)
        self.assertEqual(plain(content), expected)


class MultipartTests(SynchronousTestCase):
    """Forms with files."""

    def test_fields(self) -> None:
        """Values are as they are, between delimiters; files among them."""
        file = b'content-type: x/y\r\nCONTENT-disposition: form-data; filename="a;name=b"; name = "f"'
        self.assertEqual(
            multipart(
                NAMED % b"a" + b"\r\n\r\n1",
                NAMED % b"b" + b"\r\n\r\n",
                NAMED % b"a" + b"\r\n\r\n\r\n--C\r\n\r\n",
                file + b"\r\n\r\n\0\xff\r\n",
                NAMED % b"\xc3\xa9\xff%22%0D%0A%41\\" + b"\r\n\r\nx",
                NAMED % b"old\\\"\\\\" + b"\r\n\r\nx",
                b"Content-Disposition: form-data; name=t\r\n\r\ntoken",
            ),
            {
                b"a": [b"1", b"\r\n--C\r\n\r\n"],
                b"b": [b""],
                b"f": [b"\0\xff\r\n"],
                b'\xc3\xa9\xff"\r\n%41\\': [b"x"],
                b'old"\\': [b"x"],
                b"t": [b"token"],
            },
        )

    def test_nameless(self) -> None:
        """What has an empty name is passed over, and what stands before the first delimiter or behind the last."""
        self.assertEqual(multipart(NAMED % b"" + b"\r\n\r\n1"), {})
        content = b"before\r\n--B\r\n" + NAMED % b"a" + b"\r\n\r\n1\r\n--B--behind\r\n--B\r\n"
        self.assertEqual(readForm(MULTIPART, content), {b"a": [b"1"]})
        self.assertEqual(readForm(MULTIPART, b"--B--"), {})

    def test_encodings(self) -> None:
        """What old clients encode is decoded."""
        for coding, sent, meant in (
            (b"base64", b"aGVsbG8=", b"hello"),
            (b"Quoted-Printable ", b"a=3Db", b"a=b"),
            (b"binary", b"a=3Db", b"a=3Db"),
        ):
            part = NAMED % b"a" + b"\r\nContent-Transfer-Encoding: " + coding + b"\r\n\r\n" + sent
            self.assertEqual(multipart(part), {b"a": [meant]})

    def test_broken(self) -> None:
        """What is cut off, or no such form, is refused."""
        part = NAMED % b"a" + b"\r\n\r\n1"
        for kind, content in (
            (b"multipart/form-data", b"--B--"),
            (b"multipart/form-data; boundary=", b"--B--"),
            (b'multipart/form-data; boundary="B', b"--B--"),
            (b"multipart/form-data; boundary=" + b"B" * 71, b"--" + b"B" * 71 + b"--"),
            (MULTIPART, b""),
            (MULTIPART, b"nothing"),
            (MULTIPART, b"--B\r\n" + part),
            (MULTIPART, b"--B\r\n" + part + b"\r\n--B"),
            (MULTIPART, b"--B\r\n" + part + b"\r\n--Bx--"),
            (MULTIPART, b"--B\r\n" + NAMED % b"a" + b"\r\n--B--"),
            (MULTIPART, b"--B\r\n\r\nno fields\r\n--B--"),
            (MULTIPART, b"--B\r\nContent-Disposition: form-data\r\n\r\nno name\r\n--B--"),
            (MULTIPART, b"--B\r\nContent-Disposition: form-data;\r\n name=a\r\n\r\nfolded\r\n--B--"),
            (MULTIPART, b"--B\r\nContent-Transfer-Encoding: base64\r\n" + part + b"\r\n--B--"),
            (MULTIPART, b"--B\n" + part + b"\n--B--"),
        ):
            self.assertRaises(BadRequest, readForm, kind, content)

    def test_most(self) -> None:
        """There is an end to parts, to header fields of a part, and to each of these."""
        part = NAMED % b"a" + b"\r\n\r\n"
        self.assertEqual(len(multipart(*[part] * MOST_FIELDS)[b"a"]), MOST_FIELDS)
        self.assertRaises(BodyTooLarge, multipart, *[part] * (MOST_FIELDS + 1))
        self.assertEqual(multipart(b"X: y\r\n" * 7 + part), {b"a": [b""]})
        for head in (b"X: y\r\n" * 8, b"X: " + b"y" * 5000 + b"\r\n"):
            self.assertRaises(BodyTooLarge, multipart, head + part)

    @given(st.binary())
    def test_anything(self, content: bytes) -> None:
        """Any bytes are read, or refused."""
        named = NAMED % content + b"\r\n\r\n"
        for whole in (content, b"--B\r\n" + content + b"\r\n--B--", b"--B\r\n" + named + b"\r\n--B--"):
            try:
                readForm(MULTIPART, whole)
            except (BadRequest, BodyTooLarge):
                pass

    @given(st.binary(), st.binary().filter(lambda value: b"\r\n--B" not in value))
    def test_values(self, name: bytes, value: bytes) -> None:
        """Any value arrives, and any name that a browser can write (HTML §4.10.21.8)."""
        if b"%" in name or b'\\"' in name or not name:
            name = b"n"
        quoted = name.replace(b"\r", b"%0D").replace(b"\n", b"%0A").replace(b'"', b"%22")
        self.assertEqual(multipart(NAMED % quoted + b"\r\n\r\n" + value), {name: [value]})


class CostTests(SynchronousTestCase):
    """Hostile forms."""

    def test_isForm(self) -> None:
        """The media type decides, however it is written."""
        for kind in (PLAIN, MULTIPART, b" Application/X-WWW-Form-URLEncoded ;a", b"multipart/form-data"):
            self.assertTrue(isForm(kind), kind)
        for kind in (b"", b"text/plain", b"multipart/mixed; boundary=B", b"x; application/x-www-form-urlencoded"):
            self.assertFalse(isForm(kind), kind)

    def test_semicolons(self) -> None:
        """Semicolons and backslashes in quotes are no work, where there may be many."""
        for mark in (b";", b"\\"):
            part = NAMED % (mark * 4000) + b"\r\n\r\n1"
            self.assertLess(calls(lambda part=part: multipart(part)), 100)
            self.assertEqual(multipart(part), {mark * 4000: [b"1"]})
            kind = b'multipart/form-data; x="' + mark * 30_000 + b'"; boundary=B'
            self.assertLess(calls(lambda part=part, kind=kind: multipart(part, kind=kind)), 100)
            self.assertRaises(BodyTooLarge, multipart, NAMED % (mark * 5000) + b"\r\n\r\n1")

    def test_lines(self) -> None:
        """A field of many lines, which would be put together anew for each of them, is refused at the second."""
        part = NAMED % b"a" + b"\r\nX: y" + b"\r\n x" * 2000 + b"\r\n\r\n1"
        self.assertLess(calls(lambda: self.assertRaises(BadRequest, multipart, part)), 200)

    def test_fewCalls(self) -> None:
        """A million delimiters that are none are no work either."""
        value = b"\r\n--" * 200_000 + b"\r\n--A" * 200_000
        self.assertLess(calls(lambda: multipart(NAMED % b"a" + b"\r\n\r\n" + value)), 100)
