"""Tests for :mod:`revproxy.dataplane.http1.requesthead`, with h11 as a second opinion."""

from __future__ import annotations

import h11
from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.http1.heads import CHUNKED
from revproxy.dataplane.http1.requesthead import RequestHead, hostname, parseLength, parseRequestHead
from revproxy.dataplane.http1.responsehead import ResponseHead
from revproxy.errors import BadRequest, EdgeError, HeadersTooLarge
from revproxy.headers import TOKEN
from tests.dataplane.malformed import REQUESTS

TOKENS = st.text(sorted(chr(octet) for octet in TOKEN), min_size=1, max_size=12).map(str.encode)
VALUES = st.binary(max_size=20).map(
    lambda raw: bytes(octet for octet in raw if octet == 9 or 0x20 <= octet != 0x7F).strip(b" \t")
)
PATHS = st.binary(max_size=20).map(
    lambda raw: b"/" + bytes(octet for octet in raw if 0x20 < octet < 0x7F and octet != 35)
)


def request(data: bytes, maxHeaders: int = 100) -> RequestHead:
    return parseRequestHead(data, maxHeaders)


def fieldsOf(head: RequestHead | ResponseHead) -> list[tuple[bytes, bytes]]:
    return [(name, value.rstrip(b" \t")) for _, name, value in head.fields]


def get(*fields: bytes, version: bytes = b"1.1") -> bytes:
    return b"GET / HTTP/" + version + b"\r\nHost: a\r\n" + b"".join(field + b"\r\n" for field in fields) + b"\r\n"


class RequestHeadTests(SynchronousTestCase):
    """Heads of requests (RFC 9112 §3, §5, §6)."""

    def test_plain(self) -> None:
        """Method, target, version, host and fields are as written."""
        head = request(b"PUT /a?b=c HTTP/1.1\r\nHost: A.Example.:8080\r\nX-One:  a b \r\n\r\n")
        self.assertEqual((head.method, head.target, head.version), (b"PUT", b"/a?b=c", "1.1"))
        self.assertEqual((head.host, head.hostname), (b"A.Example.:8080", b"a.example"))
        self.assertEqual(fieldsOf(head), [(b"Host", b"A.Example.:8080"), (b"X-One", b"a b")])
        self.assertEqual((head.length, head.keepAlive, head.upgrade), (0, True, None))

    def test_malformed(self) -> None:
        """Each malformed head is refused with its status."""
        for data, status in REQUESTS:
            data = data[: data.index(b"\r\n\r\n") + 4]
            with self.assertRaises(EdgeError, msg=repr(data)) as caught:
                request(data)
            self.assertEqual(caught.exception.status, status, data)

    def test_nul(self) -> None:
        """NUL is no part of a path, in whatever form of target; a query may have it."""
        for target in ("/%00", "/a%00b", "/a%00?b", "http://x/%00", "/%2500%00"):
            with self.assertRaisesRegex(BadRequest, "NUL in the path"):
                request(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        for target in ("/?%00", "/a?b=%00", "/%2500", "/%01", "/%"):
            head = request(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            self.assertEqual(head.target, target.encode())

    def test_lengths(self) -> None:
        """Content-Length, chunked, or nothing say where the body ends."""
        self.assertEqual(request(get(b"Content-Length: 12")).length, 12)
        self.assertEqual(request(get(b"Content-Length: 0")).length, 0)
        self.assertEqual(request(get(b"Transfer-Encoding: Chunked")).length, CHUNKED)
        self.assertNotIn(
            b"transfer-encoding", [field[0] for field in request(get(b"Transfer-Encoding: chunked")).fields]
        )

    def test_keepAlive(self) -> None:
        """1.1 stays open unless it says close, 1.0 closes unless it says keep-alive; close wins."""
        for version, value, expected in (
            (b"1.1", b"close", False),
            (b"1.1", b"Keep-Alive, Close", False),
            (b"1.1", b"", True),
            (b"1.0", b"", False),
            (b"1.0", b"Keep-Alive", True),
            (b"1.0", b"keep-alive, close", False),
        ):
            head = request(get(b"Connection: " + value, version=version))
            self.assertEqual(head.keepAlive, expected, (version, value))

    def test_nominated(self) -> None:
        """What Connection names goes no further, nor do the fields of the connection itself (RFC 9110 §7.6.1)."""
        head = request(
            get(
                b"Connection: close, X-One , x-TWO",
                b"X-One: 1",
                b"X-Two: 2",
                b"X-Three: 3",
                b"Keep-Alive: 1",
                b"Proxy-Connection: close",
                b"TE: trailers",
                b"Upgrade: h2c",
                b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
            )
        )
        self.assertEqual(fieldsOf(head), [(b"Host", b"a"), (b"X-Three", b"3")])
        self.assertIsNone(head.upgrade)

    def test_forwardingNominated(self) -> None:
        """A client cannot have Connection take out what the proxies before us said of it."""
        head = request(get(b"Connection: X-Forwarded-For", b"X-Forwarded-For: 1.2.3.4"))
        self.assertEqual([field[0] for field in head.forwarding or ()], [b"x-forwarded-for"])

    def test_upgrade(self) -> None:
        """Upgrade counts where Connection says so, and not in 1.0 (RFC 9110 §7.8)."""
        fields = (b"Connection: Upgrade", b"Upgrade: websocket")
        self.assertEqual(request(get(*fields)).upgrade, b"websocket")
        self.assertIsNone(request(get(*fields, version=b"1.0")).upgrade)
        self.assertIsNone(request(get(fields[1])).upgrade)

    def test_upgradeWithBody(self) -> None:
        """A request with a body cannot ask for an upgrade; its length counts."""
        head = request(get(b"Connection: Upgrade", b"Upgrade: websocket", b"Content-Length: 3"))
        self.assertEqual((head.length, head.upgrade), (3, None))

    def test_te(self) -> None:
        """Whether trailers are wanted is remembered."""
        self.assertTrue(request(get(b"Connection: TE", b"TE: trailers, deflate;q=0.5")).wantsTrailers)
        self.assertFalse(request(get(b"TE: trailers")).wantsTrailers)

    def test_expect(self) -> None:
        """100-continue is known, and ignored in 1.0 (RFC 9110 §10.1.1)."""
        self.assertTrue(request(get(b"Expect: 100-Continue", b"Content-Length: 1")).expectsContinue)
        old = request(get(b"Expect: 100-continue", b"Content-Length: 1", version=b"1.0"))
        self.assertFalse(old.expectsContinue)
        self.assertNotIn(b"expect", [field[0] for field in old.fields])

    def test_absoluteForm(self) -> None:
        """An absolute target becomes path and host (RFC 9112 §3.2.2)."""
        for target, path in (
            (b"http://a/x?y", b"/x?y"),
            (b"HTTPS://A", b"/"),
            (b"http://a?q", b"/?q"),
        ):
            head = request(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n")
            self.assertEqual((head.target, head.hostname), (path, b"a"), target)

    def test_absoluteFormOptions(self) -> None:
        """Asterisk form is for OPTIONS."""
        self.assertEqual(request(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").target, b"*")

    def test_http10WithoutHost(self) -> None:
        """1.0 needs no Host; from an absolute target it gets one."""
        head = request(b"GET / HTTP/1.0\r\n\r\n")
        self.assertEqual((head.host, head.hostname), (b"", b""))
        head = request(b"GET http://b.example/ HTTP/1.0\r\n\r\n")
        self.assertEqual((head.host, fieldsOf(head)), (b"b.example", [(b"Host", b"b.example")]))

    def test_manyFields(self) -> None:
        """One field more than the limit is too many; those of the client's proxies count."""
        request(get(*[b"X: 1"] * 9), 10)
        with self.assertRaises(HeadersTooLarge):
            request(get(*[b"X: 1"] * 10), 10)
        with self.assertRaises(HeadersTooLarge):
            request(get(*[b"X-Forwarded-For: 1"] * 10), 10)

    @given(
        st.sampled_from([b"GET", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"HEAD"]),
        PATHS,
        st.lists(st.tuples(TOKENS, VALUES), max_size=6),
        st.sampled_from([b"1.1", b"1.0"]),
    )
    def test_sameAsH11(self, method: bytes, path: bytes, fields: list[tuple[bytes, bytes]], version: bytes) -> None:
        """What is accepted, an independent parser understands in the same way."""
        data = method + b" " + path + b" HTTP/" + version + b"\r\nHost: a\r\n"
        data += b"".join(name + b": " + value + b"\r\n" for name, value in fields) + b"\r\n"
        self.agree(data)

    @settings(max_examples=300)
    @given(st.sampled_from(REQUESTS), st.data())
    def test_mutations(self, malformed: tuple[bytes, int], data: st.DataObject) -> None:
        """Also when a malformed head is cut, doubled or changed somewhere."""
        head = malformed[0]
        start = data.draw(st.integers(0, len(head)))
        end = data.draw(st.integers(start, min(len(head), start + 4)))
        insert = data.draw(st.sampled_from([b"", b"a", b"\r\n", b" ", b":", b"\x00", b"1", b"\n", b"\r", b"X: 1\r\n"]))
        self.agree(head[:start] + insert + head[end:])

    @given(st.binary(max_size=60))
    @example(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    def test_anything(self, data: bytes) -> None:
        """No bytes raise anything but a refusal."""
        self.agree(data + b"\r\n\r\n")
        self.agree(b"GET / HTTP/1.1\r\nHost: a\r\n" + data + b"\r\n\r\n")

    def agree(self, data: bytes) -> None:
        end = data.find(b"\r\n\r\n") + 4
        if end < 4:
            return
        data = data[:end]
        try:
            ours = request(data)
        except EdgeError:
            return
        reader = h11.Connection(h11.SERVER)
        reader.receive_data(data)
        theirs = reader.next_event()
        self.assertIsInstance(theirs, h11.Request, data)
        self.assertEqual(ours.method, theirs.method)
        if theirs.target.startswith(b"/"):
            self.assertEqual(ours.target, theirs.target)
        self.assertEqual(ours.version.encode(), theirs.http_version)
        if b"://" in theirs.target and b"host" not in dict(theirs.headers):
            # HTTP/1.0 with the host in the target only: we say it in the field too.
            del ours.fields[0]
        kept = {field[0] for field in ours.fields}
        self.assertEqual(
            [(name.lower(), value) for name, value in fieldsOf(ours)],
            [(name, value) for name, value in theirs.headers if name in kept],
            data,
        )
        framing = dict(theirs.headers)
        if ours.length == CHUNKED:
            self.assertEqual(framing.get(b"transfer-encoding"), b"chunked")
        else:
            self.assertEqual(ours.length, int(framing.get(b"content-length", b"0")))


class HostnameTests(SynchronousTestCase):
    """What routes match (RFC 3986 §3.2.2)."""

    def test_names(self) -> None:
        """Lower case, no port, no final dot."""
        for host, name in (
            (b"A.example", b"a.example"),
            (b"a.example:80", b"a.example"),
            (b"a.example:", b"a.example"),
            (b"a.example.", b"a.example"),
            (b"127.0.0.1:8080", b"127.0.0.1"),
            (b"[::1]", b"[::1]"),
            (b"[::FFFF:1.2.3.4]:443", b"[::ffff:1.2.3.4]"),
        ):
            self.assertEqual(hostname(host), name)

    def test_refused(self) -> None:
        """No users, paths, spaces, or ports that are none."""
        for host in (b"a@b", b"a/b", b"a b", b"a:x", b"a:123456", b":80", b"[]", b"[::1", b"::1]", b"a\\b", b"[::1]x"):
            with self.assertRaises(BadRequest, msg=repr(host)):
                hostname(host)

    def test_brackets(self) -> None:
        """Only an IPv6 address: a name in brackets is no route's, and TLS contexts take it for the name."""
        for address in (b"cafe.de", b"1.2.3.4", b"::1.", b"abc", b":", b"1::2::3", b"12345::", b"::1%25a"):
            host = b"[%b]:443" % address
            with self.assertRaises(BadRequest, msg=repr(host)):
                hostname(host)


class LengthTests(SynchronousTestCase):
    """Content-Length (RFC 9110 §8.6)."""

    def test_digits(self) -> None:
        """Digits only; what int() would take besides is refused."""
        self.assertEqual(parseLength(b"0012"), 12)
        for value in (b"", b"+1", b"-1", b"1_0", b" 1", b"1 ", b"0x1", b"\xb2", b"1" * 19):
            with self.assertRaises(BadRequest, msg=repr(value)):
                parseLength(value)
