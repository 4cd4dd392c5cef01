"""
Which heads are acceptable, and where a body ends: pure functions on bytes.

llhttp (through httptools) tokenises a head; what it leaves to us is checked here, and everything ambiguous is refused.
A refusal is an exception from :mod:`revproxy.errors` that carries the status. The rules are those of RFC 9112 §2.2,
§3.2, §6 and §7 and RFC 9110 §7.6.1; where they let a recipient choose between repairing and refusing, we refuse,
because two recipients that repair differently are what request smuggling is made of.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import chain, product

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser, HttpResponseParser

from revproxy.errors import (
    BadRequest,
    BadResponse,
    ExpectationFailed,
    HeadersTooLarge,
    NotSupported,
    VersionNotSupported,
)
from revproxy.headers import TOKEN, Field

CHUNKED = -1
"""A body length: chunked transfer coding."""
UNTIL_CLOSE = -2
"""A body length: all that comes until the connection is closed; responses only."""

_NOTED = frozenset(
    (
        b"connection",
        b"content-length",
        b"expect",
        b"host",
        b"http2-settings",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
_FORWARDING = frozenset(
    (
        b"forwarded",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"x-forwarded-proto",
        b"x-forwarded-server",
        b"x-forwarded-ssl",
        b"x-real-ip",
    )
)


def _lookalikes(names: frozenset[bytes]) -> frozenset[bytes]:
    """Every spelling with underscores: CGI and its heirs (WSGI, PHP) cannot tell it from the real name."""
    spellings: set[bytes] = set()
    for name in names:
        parts = name.split(b"-")
        for joints in product((b"-", b"_"), repeat=len(parts) - 1):
            spellings.add(b"".join(chain.from_iterable(zip(parts, (*joints, b""), strict=True))))
    return frozenset(spellings) - names


_LOOKALIKES = _lookalikes(_NOTED | _FORWARDING)
_SPECIAL = _NOTED | _FORWARDING | _LOOKALIKES
_KEPT = frozenset((b"content-length", b"host", b"expect"))

# What a Connection field may not name: it would change whom the request is for or where it ends.
_NEVER_NOMINATED = frozenset((b"host", b"content-length", b"transfer-encoding", b"expect"))

_NEVER_UPGRADED = frozenset((b"h2", b"h2c", b"http", b"tls"))

# RFC 9110 §6.5.1: fields that must not arrive in a trailer section, since they were acted upon already.
_NEVER_TRAILING = _SPECIAL | frozenset(
    (
        b"age",
        b"authorization",
        b"cache-control",
        b"content-encoding",
        b"content-range",
        b"content-type",
        b"cookie",
        b"date",
        b"expires",
        b"location",
        b"max-forwards",
        b"pragma",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"range",
        b"retry-after",
        b"set-cookie",
        b"vary",
        b"via",
        b"warning",
        b"www-authenticate",
    )
)

_TARGET_OCTETS = bytes(octet for octet in range(0x21, 0x7F) if octet not in b"#")
_HOST_OCTETS = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=%")
_HEX = frozenset(b"0123456789abcdefABCDEF")
_VALUE_REFUSED = bytes(octet for octet in range(0x20) if octet != 0x09) + b"\x7f"


class _Head:
    """What llhttp reports of one head, and what both kinds have in common."""

    __slots__ = ("fields", "forwarding", "noted", "target")

    target: bytes
    fields: list[Field]
    forwarding: list[Field] | None
    noted: dict[bytes, bytes] | None

    def on_url(self, url: bytes) -> None:
        self.target = url

    def on_header(self, name: bytes, value: bytes) -> None:
        lower = name.lower()
        if lower not in _SPECIAL:
            self.fields.append((lower, name, value))
        else:
            self._note(lower, name, value)

    def _note(self, lower: bytes, name: bytes, value: bytes) -> None:
        if lower in _LOOKALIKES:
            self._noteLookalike(lower, name, value)
            return
        if lower in _FORWARDING:
            if self.forwarding is None:
                self.forwarding = []
            self.forwarding.append((lower, name, value))
            return
        value = value.rstrip(b" \t")
        noted = self.noted
        if noted is None:
            noted = self.noted = {}
        if lower in _KEPT:
            if lower in noted:
                raise BadRequest(f"more than one {name.decode('latin-1')} field")
            self.fields.append((lower, name, value))
            noted[lower] = value
        elif lower in noted:
            noted[lower] += b"," + value
        else:
            noted[lower] = value

    def _noteLookalike(self, lower: bytes, name: bytes, value: bytes) -> None:
        self.fields.append((lower, name, value))

    def trim(self) -> None:
        """Take blanks off the ends of values, which llhttp leaves there (RFC 9110 §5.5). Rarely needed."""
        self.fields = [(lower, name, value.rstrip(b" \t")) for lower, name, value in self.fields]
        if self.forwarding is not None:
            self.forwarding = [(lower, name, value.rstrip(b" \t")) for lower, name, value in self.forwarding]


@lru_cache(1024)
def _tokens(value: bytes) -> tuple[bytes, ...]:
    """The members of a comma-separated list, in lower case (RFC 9110 §5.6.1)."""
    return tuple(token.strip(b" \t").lower() for token in value.split(b",") if token.strip(b" \t"))


class RequestHead(_Head):
    """
    An acceptable request head.

    :ivar host: host and port the request is for, as bytes; empty only for HTTP/1.0 without a Host.
    :ivar hostname: the same without port, in lower case: what routes match.
    :ivar fields: the header section without the fields of the connection.
    :ivar forwarding: what the client says about those before it (X-Forwarded-*, Forwarded); not in ``fields``.
    :ivar length: bytes of the body; 0 for none, or :data:`CHUNKED`.
    :ivar keepAlive: whether the client will take another response on this connection.
    """

    __slots__ = (
        "expectsContinue",
        "host",
        "hostname",
        "keepAlive",
        "length",
        "method",
        "trailer",
        "upgrade",
        "version",
        "wantsTrailers",
    )

    def __init__(self, version: str) -> None:
        self.version = version
        self.method = b""
        self.target = b""
        self.fields = []
        self.forwarding = None
        self.noted = None
        self.host = b""
        self.hostname = b""
        self.length = 0
        self.keepAlive = version == "1.1"
        self.upgrade: bytes | None = None
        self.expectsContinue = False
        self.wantsTrailers = False
        self.trailer: bytes | None = None

    def _noteLookalike(self, lower: bytes, name: bytes, value: bytes) -> None:
        """Dropped: an origin might believe that we said it."""


def parseRequestHead(data: bytes, maxHeaders: int) -> RequestHead:
    """
    Read one complete head.

    :param data: from the first byte of the request line to the empty line, both included.
    :raises EdgeError: with the status that says what is wrong with it.
    """
    line = data[: data.index(b"\r\n")]
    version = line[-9:]
    if version == b" HTTP/1.1":
        parsedVersion = "1.1"
    elif version == b" HTTP/1.0":
        parsedVersion = "1.0"
    else:
        raise _wrongVersion(line)
    if line.count(b" ") != 2:
        raise BadRequest("the request line has not exactly two spaces")
    request = RequestHead(parsedVersion)
    parser = HttpRequestParser(request)
    try:
        parser.feed_data(data)
    except HttpParserUpgrade:
        pass
    except HttpParserError as error:
        raise _refusal(error, BadRequest) from None
    if b" \r\n" in data or b"\t\r\n" in data:
        request.trim()
    if len(request.fields) + len(request.forwarding or ()) > maxHeaders:
        raise HeadersTooLarge(f"more than {maxHeaders} fields")
    request.method = parser.get_method()
    if request.noted is not None:
        _heed(request, request.noted)
    _place(request)
    return request


def _wrongVersion(line: bytes) -> BadRequest | VersionNotSupported:
    words = line.split(b" ")
    if len(words) == 3 and words[2].startswith(b"HTTP/") and words[2][5:6].isdigit():
        return VersionNotSupported(f"version {words[2].decode('latin-1')}")
    return BadRequest("the request line does not end with an HTTP version")


def _refusal(error: HttpParserError, kind: type[BadRequest] | type[BadResponse]) -> Exception:
    """What was raised in a callback, or the parser's own words."""
    context = error.__context__
    if isinstance(context, BadRequest):
        return kind(str(context))
    return kind(str(error))


def _heed(request: RequestHead, noted: dict[bytes, bytes]) -> None:
    """Act on the fields that concern the connection, the length and the host."""
    host = noted.get(b"host")
    if host is not None:
        request.host = host
        if len(noted) == 1:
            return
    coding = noted.get(b"transfer-encoding")
    length = noted.get(b"content-length")
    if coding is not None:
        # RFC 9112 §6.1: in a 1.0 message it is a mistake somebody else may not notice.
        if request.version == "1.0":
            raise BadRequest("Transfer-Encoding in an HTTP/1.0 request")
        if length is not None:
            raise BadRequest("Transfer-Encoding and Content-Length")
        if coding.lower() != b"chunked":
            raise NotSupported(f"transfer coding {coding[:40]!r}")
        request.length = CHUNKED
        request.trailer = noted.get(b"trailer")
    elif length is not None:
        request.length = parseLength(length)
    connection = noted.get(b"connection")
    if connection is not None:
        _heedConnection(request, _tokens(connection), noted)
    expect = noted.get(b"expect")
    if expect is not None:
        _heedExpect(request, expect)


def _heedConnection(request: RequestHead, tokens: tuple[bytes, ...], noted: dict[bytes, bytes]) -> None:
    for token in tokens:
        if token == b"close":
            request.keepAlive = False
        elif token == b"keep-alive":
            if request.version == "1.0" and b"close" not in tokens:
                request.keepAlive = True
        elif token == b"upgrade":
            # With a body it is passed over (RFC 9110 §7.8 lets us): nobody agrees on what would come first.
            if request.version == "1.1" and not request.length:
                request.upgrade = _offered(noted.get(b"upgrade", b""))
        elif token == b"te":
            request.wantsTrailers = b"trailers" in _tokens(noted.get(b"te", b""))
        elif token in _NEVER_NOMINATED:
            raise BadRequest(f"Connection names {token.decode('latin-1')}")
        else:
            request.fields = [field for field in request.fields if field[0] != token]


def _offered(upgrade: bytes) -> bytes | None:
    """The protocols that the client may change to: no HTTP, or requests that nobody looks at would pass."""
    offers = [offer.strip(b" \t") for offer in upgrade.split(b",")]
    kept = [offer for offer in offers if offer and offer.partition(b"/")[0].lower() not in _NEVER_UPGRADED]
    return b", ".join(kept) or None


def _heedExpect(request: RequestHead, expect: bytes) -> None:
    if request.version == "1.0":
        # RFC 9110 §10.1.1: ignored in 1.0.
        request.fields = [field for field in request.fields if field[0] != b"expect"]
    elif expect.lower() != b"100-continue":
        raise ExpectationFailed(f"Expect: {expect[:40]!r}")
    else:
        request.expectsContinue = True


def _place(request: RequestHead) -> None:
    """Decide host and target from the request line and the Host field (RFC 9112 §3.2, §3.3)."""
    target = request.target
    host = request.host
    if target.translate(None, _TARGET_OCTETS):
        raise BadRequest("a character in the target that does not belong there")
    if request.method == b"CONNECT":
        raise NotSupported("CONNECT: this is no forward proxy")
    if not target.startswith(b"/"):
        if target == b"*":
            if request.method != b"OPTIONS":
                raise BadRequest("only OPTIONS has the target *")
        else:
            _placeAbsolute(request)
            host = request.host
    if host:
        request.hostname = hostname(host)
    elif request.version == "1.1":
        raise BadRequest("no Host field")
    elif any(field[0] == b"host" for field in request.fields):
        raise BadRequest("an empty Host field")


def _placeAbsolute(request: RequestHead) -> None:
    scheme, separator, rest = request.target.partition(b"://")
    if not separator or scheme.lower() not in (b"http", b"https"):
        raise BadRequest("the target is neither a path nor an http URL")
    cut = min((rest.index(mark) for mark in (b"/", b"?") if mark in rest), default=len(rest))
    authority, path = rest[:cut], rest[cut:]
    if request.host and request.host.lower() != authority.lower():
        raise BadRequest("the target and the Host field name different hosts")
    if not request.host:
        if not authority or request.version != "1.0" or any(field[0] == b"host" for field in request.fields):
            raise BadRequest("no Host field, or an empty one")
        request.host = authority
        request.fields.insert(0, (b"host", b"Host", authority))
    request.target = path if path.startswith(b"/") else b"/" + path


@lru_cache(4096)
def hostname(host: bytes) -> bytes:
    """
    The name in ``host[:port]``: lower case, no port, no final dot.

    :raises BadRequest: if it is no host (RFC 3986 §3.2.2) or carries a user.
    """
    name, _, port = host.rpartition(b":")
    if not _ or (host.startswith(b"[") and host.endswith(b"]")):
        name, port = host, b""
    if port and not (port.isdigit() and len(port) <= 5 and int(port) <= 65535):
        raise BadRequest("the port in Host is no port")
    if name.startswith(b"["):
        digits = name[1:-1].replace(b":", b"").replace(b".", b"")
        if not (name.endswith(b"]") and digits and _HEX.issuperset(digits)):
            raise BadRequest("the address in Host is no address")
        return name.lower()
    if not name or not _HOST_OCTETS.issuperset(name):
        raise BadRequest("the Host field is no host")
    name = name.lower()
    return name[:-1] if name.endswith(b".") and len(name) > 1 else name


def parseLength(value: bytes) -> int:
    """A Content-Length (RFC 9110 §8.6). :raises BadRequest: if it is anything but digits."""
    if not value.isdigit() or len(value) > 18:
        raise BadRequest("Content-Length is no number")
    return int(value)


class ResponseHead(_Head):
    """
    An acceptable response head.

    :ivar length: bytes of the body; 0 for none, :data:`CHUNKED` or :data:`UNTIL_CLOSE`.
    :ivar declared: the Content-Length, also where there is no body (HEAD, 304), or None.
    :ivar keepAlive: whether the origin will take another request on this connection.
    """

    __slots__ = ("declared", "keepAlive", "length", "reason", "status", "trailer", "upgrade", "version")

    def __init__(self, reason: bytes, version: str) -> None:
        self.status = 0
        self.reason = reason
        self.version = version
        self.fields = []
        self.forwarding = None
        self.noted = None
        self.length = UNTIL_CLOSE
        self.declared: int | None = None
        self.keepAlive = version == "1.1"
        self.upgrade: bytes | None = None
        self.trailer: bytes | None = None


def parseResponseHead(data: bytes, method: bytes, maxHeaders: int) -> ResponseHead:
    """
    Read one complete head.

    :param data: from the first byte of the status line to the empty line, both included.
    :param method: of the request this answers: it decides whether there is a body.
    :raises BadResponse: if it may not be passed on.
    """
    line = data[: data.index(b"\r\n")]
    version = line[:9]
    if version == b"HTTP/1.1 ":
        parsedVersion = "1.1"
    elif version == b"HTTP/1.0 ":
        parsedVersion = "1.0"
    else:
        raise BadResponse("the status line does not begin with HTTP/1.1 or HTTP/1.0")
    reason = line[13:]
    if reason != b"OK" and reason.translate(None, _VALUE_REFUSED) != reason:
        raise BadResponse("a control character in the reason phrase")
    response = ResponseHead(reason, parsedVersion)
    parser = HttpResponseParser(response)
    try:
        parser.feed_data(data)
    except HttpParserUpgrade:
        pass
    except HttpParserError as error:
        raise _refusal(error, BadResponse) from None
    if b" \r\n" in data or b"\t\r\n" in data:
        response.trim()
    if response.forwarding is not None:
        # Said by an origin, these are fields like any other.
        response.fields += response.forwarding
    if len(response.fields) > maxHeaders:
        raise BadResponse(f"more than {maxHeaders} fields")
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
        tokens = _tokens(connection)
        if b"close" in tokens:
            response.keepAlive = False
        elif response.version == "1.0":
            response.keepAlive = b"keep-alive" in tokens
        if b"upgrade" in tokens:
            response.upgrade = noted.get(b"upgrade")
        for token in tokens:
            if token in _NEVER_NOMINATED:
                raise BadResponse(f"Connection names {token.decode('latin-1')}")
            if token not in _NOTED and token != b"close":
                response.fields = [field for field in response.fields if field[0] != token]


def _bodiless(response: ResponseHead) -> None:
    """RFC 9112 §6.3 item 1; and what RFC 9110 §8.6 forbids a 1xx and 204 to say is taken out."""
    if response.status == 204 or response.status < 200:
        response.fields = [field for field in response.fields if field[0] != b"content-length"]
        response.declared = None
    response.length = 0


class ChunkedDecoder:
    """
    Takes the chunked transfer coding off (RFC 9112 §7.1), strictly: hexadecimal size, CRLF, nothing else.

    :ivar finished: True after the trailer section.
    :ivar trailers: the fields of the trailer section that may be passed on, in order.
    """

    __slots__ = ("_announced", "_held", "_left", "_maxTrailerBytes", "_state", "_trailerBytes", "finished", "trailers")

    _SIZE, _DATA, _END, _TRAILER = range(4)
    _MAX_LINE = 4096

    def __init__(self, announced: bytes | None, maxTrailerBytes: int) -> None:
        """
        :param announced: the value of the ``Trailer`` field: only what it names is passed on.
        :param maxTrailerBytes: the most that the trailer section may be long.
        """
        self._state = self._SIZE
        self._left = 0
        self._held = b""
        self._announced = frozenset(_tokens(announced)) if announced else frozenset()
        self._maxTrailerBytes = maxTrailerBytes
        self._trailerBytes = 0
        self.trailers: list[Field] = []
        self.finished = False

    def decode(self, data: bytes) -> tuple[list[bytes], bytes]:
        """
        :returns: pieces of the body, and what follows the message (empty until :attr:`finished`).
        :raises BadRequest: if this is not the chunked coding.
        """
        if self._held:
            data, self._held = self._held + data, b""
        pieces: list[bytes] = []
        at = 0
        size = len(data)
        while at < size and not self.finished:
            if self._state == self._DATA:
                end = min(size, at + self._left)
                pieces.append(data[at:end])
                self._left -= end - at
                at = end
                if not self._left:
                    self._state = self._END
                continue
            if self._state == self._END:
                if size - at < 2:
                    if data[at:] != b"\r":
                        raise BadRequest("a chunk is longer than its size")
                    break
                if data[at : at + 2] != b"\r\n":
                    raise BadRequest("a chunk is longer than its size")
                at += 2
                self._state = self._SIZE
                continue
            end = data.find(b"\r\n", at)
            if end < 0:
                self._checkPartialLine(data[at:])
                break
            line = data[at:end]
            at = end + 2
            if self._state == self._SIZE:
                self._size(line)
            else:
                self._trailer(line)
        if self.finished:
            return pieces, data[at:]
        self._held = data[at:]
        return pieces, b""

    def _checkPartialLine(self, line: bytes) -> None:
        if len(line) > (self._MAX_LINE if self._state == self._SIZE else self._maxTrailerBytes):
            raise BadRequest("a line of the chunked coding is too long")
        if b"\n" in line or b"\r" in line[:-1]:
            raise BadRequest("a bare line break in the chunked coding")

    def _size(self, line: bytes) -> None:
        number, _, extension = line.partition(b";")
        if not number or len(number) > 15 or not _HEX.issuperset(number):
            raise BadRequest("a chunk size is no hexadecimal number")
        if len(line) > self._MAX_LINE or extension.translate(None, _VALUE_REFUSED) != extension:
            raise BadRequest("a chunk extension that does not belong there")
        self._left = int(number, 16)
        self._state = self._DATA if self._left else self._TRAILER

    def _trailer(self, line: bytes) -> None:
        if not line:
            self.finished = True
            return
        self._trailerBytes += len(line) + 2
        if self._trailerBytes > self._maxTrailerBytes:
            raise BadRequest("the trailer section is too large")
        name, colon, value = line.partition(b":")
        if not colon or not name or not TOKEN.issuperset(name) or value.translate(None, _VALUE_REFUSED) != value:
            raise BadRequest("a trailer field is malformed")
        lower = name.lower()
        if lower in self._announced and lower not in _NEVER_TRAILING:
            self.trailers.append((lower, name, value.strip(b" \t")))


def chunk(data: bytes) -> bytes:
    """One chunk; never empty data, which would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def lastChunk(trailers: list[Field]) -> bytes:
    """What ends a chunked body."""
    if not trailers:
        return b"0\r\n\r\n"
    lines = b"".join(b"%b: %b\r\n" % (name, value) for _, name, value in trailers)
    return b"0\r\n%b\r\n" % lines
