"""Requests, answers and edges for tests of the connection to a client."""

from __future__ import annotations

from typing import Any

from twisted.web.server import NOT_DONE_YET

from revproxy.body import Body
from revproxy.context import Headers, Response
from revproxy.dataplane.leaves.fixed import Leaf, RespondLeaf
from revproxy.testing import SinkDouble
from tests.dataplane.doubles import EdgeDouble, RecordingLeaf

GET = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n"


HI = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 2\r\n\r\nhi"
EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def hello() -> EdgeDouble:
    return EdgeDouble(RespondLeaf(200, b"hi", {}))


def post(length: int, more: bytes = b"") -> bytes:
    return b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: %d\r\n%b\r\n" % (length, more)


class ReadingLeaf(Leaf):
    """Reads the body, and answers as :func:`hello` does."""

    def render(self, exchange: Any) -> int:
        headers = Headers.of({"Content-Type": "text/plain; charset=utf-8"})
        answer = Response(200, None, headers, Body.of(b"hi"))
        exchange.wait(exchange.context.request.body.read(100), lambda _: exchange.answered(answer))
        return NOT_DONE_YET


class Recorded:
    """An edge whose leaf keeps the exchanges, and one client."""

    def __init__(self, **options: Any) -> None:
        self.leaf = RecordingLeaf()
        self.edge = EdgeDouble(self.leaf, **options)
        self.client = self.edge.connect()

    @property
    def requests(self) -> list[Any]:
        return [exchange.context.request for exchange in self.leaf.exchanges]

    def sink(self, index: int = 0) -> SinkDouble:
        return SinkDouble(self.requests[index].body)
