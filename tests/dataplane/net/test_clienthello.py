"""The server name in the first bytes of a TLS connection."""

from __future__ import annotations

import ssl

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.net.clienthello import Hello, readHello


def helloFor(name: str | None) -> bytes:
    """What Python's own TLS client begins with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def inRecords(hello: bytes, size: int) -> bytes:
    """The same handshake message, in records of at most so many bytes."""
    body = hello[5:]
    pieces = (body[at : at + size] for at in range(0, len(body), size))
    return b"".join(hello[:3] + len(piece).to_bytes(2, "big") + piece for piece in pieces)


class ReadHelloTests(SynchronousTestCase):
    """From bytes to a name."""

    def test_name(self) -> None:
        """The name comes out in lower case."""
        self.assertEqual(readHello(helloFor("Shop.Example.com")), Hello(serverName="shop.example.com"))

    def test_noName(self) -> None:
        """A client may name no host."""
        self.assertEqual(readHello(helloFor(None)), Hello())

    def test_whatFollowsIsNotRead(self) -> None:
        """Bytes behind the hello change nothing."""
        self.assertEqual(readHello(helloFor("a.example") + b"\x17\x03\x03rest").serverName, "a.example")

    def test_everyPrefixAsksForMore(self) -> None:
        """As long as something is missing, more is asked for than is there, and never more than is coming."""
        hello = helloFor("a.example")
        for end in range(len(hello)):
            needed = readHello(hello[:end]).needed
            self.assertTrue(end < needed <= len(hello), (end, needed))

    def test_manyRecords(self) -> None:
        """A hello may be spread over some records of any size."""
        hello = helloFor("a.example")
        for size in (len(hello) // 12, 100, len(hello) - 6):
            spread = inRecords(hello, size)
            self.assertEqual(readHello(spread), Hello(serverName="a.example"), size)
            for end in range(0, len(spread), 7):
                self.assertGreater(readHello(spread[:end]).needed, end)

    def test_tooManyRecords(self) -> None:
        """Who spreads it over more has no name: each record would be another look at all before it."""
        spread = inRecords(helloFor("a.example"), 1)
        self.assertEqual(readHello(spread), Hello())
        self.assertEqual(readHello(spread[:200]), Hello())
        self.assertGreater(readHello(spread[:60]).needed, 60)

    def test_notTLS(self) -> None:
        """Other protocols are nameless from their first byte: OpenSSL is to answer them."""
        for data in (b"GET / HTTP/1.1\r\n", b"\x80", b"\x15\x03\x03\x00\x02\x01\x00", b"\x16\x03\x01\xff\xff", b"\r\n"):
            self.assertEqual(readHello(data), Hello(), data)

    def test_endlessHello(self) -> None:
        """A hello that announces more than any client sends is not waited for."""
        huge = b"\x16\x03\x01\x40\x00\x01\xff\xff\xff" + bytes(16380)
        self.assertEqual(readHello(huge), Hello())

    def test_namesThatAreNone(self) -> None:
        """A name with bytes no host has counts as none: it must not reach logs or tables."""
        hello = helloFor("a.example")
        for wrong in (b"a\x00example", b"a..xample", b"a/example", b".aexample", b"\xff.example"):
            changed = hello.replace(b"a.example", wrong)
            self.assertEqual((len(changed), changed != hello), (len(hello), True))
            self.assertEqual(readHello(changed), Hello(), wrong)

    @given(st.data())
    def test_hostileBytes(self, data: st.DataObject) -> None:
        """Whatever is changed in a hello, the answer is a name, none, or a bounded wait."""
        hello = bytearray(HELLO)
        for _ in range(data.draw(st.integers(1, 8))):
            hello[data.draw(st.integers(0, len(hello) - 1))] = data.draw(st.integers(0, 255))
        answer = readHello(bytes(hello))
        self.assertLessEqual(answer.needed, 65536)
        self.assertTrue(answer.needed == 0 or answer.needed > len(hello))


HELLO = helloFor("hypothesis.example")
