"""Tests for :mod:`revproxy.dataplane.http1.responsehead`, with h11 as a second opinion."""

from __future__ import annotations

import h11
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.http1.heads import CHUNKED, UNTIL_CLOSE
from revproxy.dataplane.http1.requesthead import RequestHead
from revproxy.dataplane.http1.responsehead import ResponseHead, parseResponseHead
from revproxy.errors import BadResponse


def fieldsOf(head: RequestHead | ResponseHead) -> list[tuple[bytes, bytes]]:
    return [(name, value.rstrip(b" \t")) for _, name, value in head.fields]


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
