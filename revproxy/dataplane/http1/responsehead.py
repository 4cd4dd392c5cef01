"""
Which response heads may be passed on (RFC 9112 §4, §6.3), and what they say.
"""

from __future__ import annotations

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from revproxy.dataplane.http.fieldnames import NOTED
from revproxy.dataplane.http1.heads import (
    CHUNKED,
    NEVER_NOMINATED,
    SHORTEST_LINE,
    UNTIL_CLOSE,
    Head,
    linesOf,
    listMembers,
    refusal,
)
from revproxy.dataplane.http1.keepalive import announced
from revproxy.errors import BadResponse
from revproxy.headers import isFieldValue

_OPTIONS = NOTED | {b"close"}
"""What a Connection field says that names no field of the header section."""


class ResponseHead(Head):
    """
    An acceptable response head.

    :ivar length: bytes of the body; 0 for none, :data:`CHUNKED` or :data:`UNTIL_CLOSE`.
    :ivar declared: the Content-Length, also where there is no body (HEAD, 304), or None.
    :ivar idle: seconds for which the origin keeps the connection unused, by its own word; None if it says nothing.
    :ivar keepAlive: whether the origin will take another request on this connection.
    """

    __slots__ = ("declared", "idle", "keepAlive", "length", "reason", "status", "trailer", "upgrade", "version")

    def __init__(self, reason: bytes, version: str) -> None:
        self.status = 0
        self.reason = reason
        self.version = version
        self.fields = []
        self.noted = None
        self.length = UNTIL_CLOSE
        self.declared: int | None = None
        self.keepAlive = version == "1.1"
        self.idle: float | None = None
        self.upgrade: bytes | None = None
        self.trailer: bytes | None = None


def parseResponseHead(data: bytes, method: bytes, maxHeaders: int) -> ResponseHead:
    """
    Read one complete head.

    :param data: from the first byte of the status line to the empty line, both included.
    :param method: of the request this answers: it decides whether there is a body.
    :raises BadResponse: if it may not be passed on.
    """
    if len(data) > SHORTEST_LINE * maxHeaders and linesOf(data) > maxHeaders:
        raise BadResponse(f"more than {maxHeaders} fields")
    line = data[: data.index(b"\r\n")]
    version = line[:9]
    if version == b"HTTP/1.1 ":
        parsedVersion = "1.1"
    elif version == b"HTTP/1.0 ":
        parsedVersion = "1.0"
    else:
        raise BadResponse("the status line does not begin with HTTP/1.1 or HTTP/1.0")
    reason = line[13:]
    if reason != b"OK" and not isFieldValue(reason):
        raise BadResponse("a control character in the reason phrase")
    response = ResponseHead(reason, parsedVersion)
    parser = HttpResponseParser(response)
    try:
        parser.feed_data(data)
    except HttpParserUpgrade:
        pass
    except HttpParserError as error:
        raise refusal(error, BadResponse) from None
    status = response.status = parser.get_status_code()
    if not 100 <= status <= 599:
        raise BadResponse(f"status {status}")
    if response.noted is not None:
        _heedResponse(response, response.noted)
    if status < 200 or status == 204 or status == 304 or method == b"HEAD":
        _bodiless(response)
    return response


def _heedResponse(response: ResponseHead, noted: dict[bytes, bytes]) -> None:
    length = noted.get(b"content-length")
    if length is not None:
        if not length.isdigit() or len(length) > 18:
            raise BadResponse("Content-Length is no number")
        response.length = response.declared = int(length)
        if len(noted) == 1:
            return
    coding = noted.get(b"transfer-encoding")
    if coding is not None:
        if response.version == "1.0":
            raise BadResponse("Transfer-Encoding in an HTTP/1.0 response")
        if length is not None:
            raise BadResponse("Transfer-Encoding and Content-Length")
        if coding.lower() != b"chunked":
            raise BadResponse(f"transfer coding {coding[:40]!r}")
        response.length = CHUNKED
        response.trailer = noted.get(b"trailer")
    connection = noted.get(b"connection")
    if connection is not None:
        tokens = listMembers(connection)
        if b"close" in tokens:
            response.keepAlive = False
        elif response.version == "1.0":
            response.keepAlive = b"keep-alive" in tokens
        if b"upgrade" in tokens:
            response.upgrade = noted.get(b"upgrade")
        if not tokens.isdisjoint(NEVER_NOMINATED):
            raise BadResponse("Connection names a field that decides whom the answer is for or where it ends")
        if not tokens <= _OPTIONS:
            response.fields = [field for field in response.fields if field[0] not in tokens]
    keepAlive = noted.get(b"keep-alive")
    if keepAlive is not None:
        response.idle = announced(keepAlive) if len(keepAlive) <= 64 else None
        if response.idle == 0:
            response.keepAlive = False


def isOffered(chosen: bytes | None, offered: bytes | None) -> bool:
    """
    Whether an origin has switched to what it was offered, which may be several protocols (RFC 9110 §7.8).

    :param chosen: what ``Upgrade`` says in the 101 answer.
    :param offered: what it said in the request.
    """
    if chosen is None or offered is None:
        return False
    protocols = listMembers(chosen)
    return bool(protocols) and protocols <= listMembers(offered)


def _bodiless(response: ResponseHead) -> None:
    """RFC 9112 §6.3 item 1; and what RFC 9110 §8.6 forbids a 1xx and 204 to say is taken out."""
    if response.status == 204 or response.status < 200:
        response.fields = [field for field in response.fields if field[0] != b"content-length"]
        response.declared = None
    response.length = 0
