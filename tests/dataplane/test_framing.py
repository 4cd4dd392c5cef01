"""Tests for :mod:`revproxy.dataplane.framing`, with h11 as a second opinion."""

from __future__ import annotations

import h11
from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.chunked import ChunkedDecoder, chunk, lastChunk
from revproxy.dataplane.framing import CHUNKED, UNTIL_CLOSE
from revproxy.dataplane.requesthead import RequestHead, hostname, parseLength, parseRequestHead
from revproxy.dataplane.responsehead import ResponseHead, parseResponseHead
from revproxy.errors import BadRequest, BadResponse, EdgeError, HeadersTooLarge
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


class LengthTests(SynchronousTestCase):
    """Content-Length (RFC 9110 §8.6)."""

    def test_digits(self) -> None:
        """Digits only; what int() would take besides is refused."""
        self.assertEqual(parseLength(b"0012"), 12)
        for value in (b"", b"+1", b"-1", b"1_0", b" 1", b"1 ", b"0x1", b"\xb2", b"1" * 19):
            with self.assertRaises(BadRequest, msg=repr(value)):
                parseLength(value)


def response(data: bytes, method: bytes = b"GET") -> ResponseHead:
    return parseResponseHead(data, method, 100)


def ok(*fields: bytes, status: bytes = b"200 OK", version: bytes = b"HTTP/1.1") -> bytes:
    return version + b" " + status + b"\r\n" + b"".join(field + b"\r\n" for field in fields) + b"\r\n"


BAD_RESPONSES = [
    b"HTTP/2.0 200 OK\r\n\r\n",
    b"HTTP/0.9 200 OK\r\n\r\n",
    b"http/1.1 200 OK\r\n\r\n",
    b"HTTP/1.1\r\n\r\n",
    b"HTTP/1.1 OK\r\n\r\n",
    b"HTTP/1.1 20 OK\r\n\r\n",
    b"HTTP/1.1 2000 OK\r\n\r\n",
    b"HTTP/1.1 099 OK\r\n\r\n",
    b"HTTP/1.1 600 OK\r\n\r\n",
    b"HTTP/1.1 999 OK\r\n\r\n",
    b"HTTP/1.1  200 OK\r\n\r\n",
    b"ICY 200 OK\r\n\r\n",
    b"<html>\r\n\r\n",
    b"HTTP/1.1 200 O\x00K\r\n\r\n",
    b"HTTP/1.1 200 O\x07K\r\n\r\n",
    ok(b"X : 1"),
    ok(b"X"),
    ok(b" X: 1"),
    ok(b"X: 1", b" folded"),
    ok(b"X: a\rb"),
    ok(b"X: a\nb"),
    ok(b"X: \x00"),
    ok(b"Content-Length: x"),
    ok(b"Content-Length: -1"),
    ok(b"Content-Length: 1, 1"),
    ok(b"Content-Length: 1", b"Content-Length: 1"),
    ok(b"Content-Length: 1", b"Content-Length: 2"),
    ok(b"Content-Length: 1", b"Transfer-Encoding: chunked"),
    ok(b"Transfer-Encoding: chunked", b"Content-Length: 1"),
    ok(b"Transfer-Encoding: gzip"),
    ok(b"Transfer-Encoding: gzip, chunked"),
    ok(b"Transfer-Encoding: identity"),
    ok(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    ok(b"Transfer-Encoding: chunked", version=b"HTTP/1.0"),
    ok(b"Connection: Content-Length", b"Content-Length: 1"),
]


class ResponseHeadTests(SynchronousTestCase):
    """Heads of responses, which are no less suspect."""

    def test_plain(self) -> None:
        """Status, reason and fields are as written."""
        head = response(ok(b"Content-Type: a/b", b"Content-Length: 3", status=b"404 Not  here"))
        self.assertEqual((head.status, head.reason, head.version), (404, b"Not  here", "1.1"))
        self.assertEqual(fieldsOf(head), [(b"Content-Type", b"a/b"), (b"Content-Length", b"3")])
        self.assertEqual((head.length, head.declared, head.keepAlive), (3, 3, True))

    def test_bad(self) -> None:
        """Each malformed or ambiguous head is refused, with 502."""
        for data in BAD_RESPONSES:
            with self.assertRaises(BadResponse, msg=repr(data)) as caught:
                response(data)
            self.assertEqual(caught.exception.status, 502)

    def test_noReason(self) -> None:
        """The reason may be empty, with its space or without."""
        self.assertEqual(response(b"HTTP/1.1 200 \r\n\r\n").reason, b"")
        self.assertEqual(response(b"HTTP/1.1 200\r\n\r\n").reason, b"")

    def test_lengths(self) -> None:
        """RFC 9112 §6.3: by chunks, by length, or until the close."""
        self.assertEqual(response(ok(b"Transfer-Encoding: chunked")).length, CHUNKED)
        self.assertEqual(response(ok(b"Content-Length: 7")).length, 7)
        self.assertEqual(response(ok()).length, UNTIL_CLOSE)

    def test_bodiless(self) -> None:
        """HEAD, 204, 304 and 1xx have no body whatever they say; 204 and 1xx no length either."""
        fields = (b"Content-Length: 7",)
        head = response(ok(*fields), b"HEAD")
        self.assertEqual((head.length, head.declared), (0, 7))
        head = response(ok(*fields, status=b"304 Not Modified"))
        self.assertEqual((head.length, head.declared), (0, 7))
        for status in (b"204 No Content", b"103 Early Hints", b"100 Continue"):
            head = response(ok(*fields, b"X: 1", status=status))
            self.assertEqual((head.length, head.declared, fieldsOf(head)), (0, None, [(b"X", b"1")]), status)
        self.assertEqual(response(ok(b"Transfer-Encoding: chunked"), b"HEAD").length, 0)

    def test_keepAlive(self) -> None:
        """As for requests."""
        self.assertFalse(response(ok(b"Connection: close")).keepAlive)
        self.assertFalse(response(ok(version=b"HTTP/1.0")).keepAlive)
        self.assertTrue(response(ok(b"Connection: keep-alive", version=b"HTTP/1.0")).keepAlive)

    def test_nominated(self) -> None:
        """What Connection names goes no further."""
        head = response(ok(b"Connection: X-One", b"X-One: 1", b"X-Two: 2", b"Keep-Alive: 5", b"Content-Length: 0"))
        self.assertEqual(fieldsOf(head), [(b"X-Two", b"2"), (b"Content-Length", b"0")])

    def test_switching(self) -> None:
        """101 names its protocol."""
        head = response(ok(b"Connection: upgrade", b"Upgrade: websocket", status=b"101 Switching Protocols"))
        self.assertEqual((head.status, head.upgrade), (101, b"websocket"))

    @given(st.binary(max_size=60))
    def test_anything(self, data: bytes) -> None:
        """No bytes raise anything but a refusal, and what is accepted h11 understands the same."""
        for head in (
            data + b"\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n" + data + b"\r\n\r\n",
            b"HTTP/1.1 " + data + b"\r\n\r\n",
        ):
            head = head[: head.index(b"\r\n\r\n") + 4]
            try:
                ours = response(head)
            except BadResponse:
                continue
            reader = h11.Connection(h11.CLIENT)
            reader.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
            reader.send(h11.EndOfMessage())
            reader.receive_data(head)
            theirs = reader.next_event()
            self.assertEqual(ours.status, theirs.status_code, head)
            kept = {field[0] for field in ours.fields}
            self.assertEqual(
                [(name.lower(), value) for name, value in fieldsOf(ours)],
                [(name, value) for name, value in theirs.headers if name in kept],
            )


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
