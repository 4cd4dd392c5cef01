"""
Which request heads are acceptable (RFC 9112 §2.2, §3, §6.3, RFC 9110 §7.6.1), and what they say.
"""

from __future__ import annotations

from functools import lru_cache
from socket import AF_INET6, inet_pton
from typing import ClassVar

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from revproxy.dataplane.http.fieldnames import (
    FORWARDING,
    FORWARDING_PREFIXES,
    NOTED,
    PROXY,
    isForwarding,
    learn,
    plainName,
)
from revproxy.dataplane.http.limits import METHOD_LENGTH
from revproxy.dataplane.http.tracing import TRACE_FIELDS
from revproxy.dataplane.http1.heads import (
    CHUNKED,
    NEVER_NOMINATED,
    SHORTEST_LINE,
    Head,
    linesOf,
    listMembers,
    refusal,
)
from revproxy.errors import BadRequest, ExpectationFailed, HeadersTooLarge, NotSupported, VersionNotSupported
from revproxy.headers import LETTERS_DIGITS_HYPHEN, Field, Headers, JoinedHeaders, isJoined, isToken, joined
from revproxy.hostport import splitPort
from revproxy.paths import PLAIN_OCTETS, targetFault

_HOST_OCTETS = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=%")

_HOST_LENGTH = 255 + len(":65535")
"""The longest name (RFC 3986 §3.2.2) with a port. Hosts are remembered, here and by others: strangers write them."""

_COMMON_METHODS = frozenset((b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"))
"""Those that llhttp reads by their own name; to the reading of a head they are all the same."""

_NEVER_SERVED = frozenset((b"CONNECT", b"PRI"))
"""A forward proxy's, and what no HTTP/1.1 client may send (RFC 9113 §3.4)."""

_HEEDED = FORWARDING | TRACE_FIELDS | {PROXY}

_NEVER_UPGRADED = frozenset((b"h2", b"h2c", b"http", b"tls"))


class RequestHead(Head):
    """
    An acceptable request head.

    :ivar host: host and port the request is for, as bytes; empty only for HTTP/1.0 without a Host.
    :ivar hostname: the same without port, in lower case: what routes match.
    :ivar fields: the header section without the fields of the connection.
    :ivar forwarding: what the client says of itself and those before it, as only a proxy has a reason to (see
        :mod:`~revproxy.dataplane.http.fieldnames`); not in ``fields``.
    :ivar traces: the fields that tell of a trace; None if there are none. Not in ``fields``.
    :ivar length: bytes of the body; 0 for none, or :data:`CHUNKED`.
    :ivar keepAlive: whether the client will take another response on this connection.
    """

    __slots__ = (
        "expectsContinue",
        "forwarding",
        "host",
        "hostname",
        "keepAlive",
        "length",
        "method",
        "traces",
        "trailer",
        "upgrade",
        "version",
        "wantsTrailers",
    )

    section: ClassVar[type[Headers]] = Headers
    """What shows the fields to plugins."""

    def __init__(self, version: str, method: bytes) -> None:
        self.version = version
        self.method = method
        self.target = b""
        self.fields = []
        self.forwarding: list[Field] | None = None
        self.traces: list[Field] | None = None
        self.noted = None
        self.host = b""
        self.hostname = b""
        self.length = 0
        self.keepAlive = version == "1.1"
        self.upgrade: bytes | None = None
        self.expectsContinue = False
        self.wantsTrailers = False
        self.trailer: bytes | None = None

    def on_header(self, name: bytes, value: bytes) -> None:
        # As for answers, and what isForwarding and isJoined say: spelt out, since calls are most of what it costs.
        lower = plainName(name)
        if lower is None:
            lower = name.lower()
            if lower in NOTED:
                self._note(lower, name, value)
                return
            if (
                lower in _HEEDED
                or lower.startswith(FORWARDING_PREFIXES)
                or lower.translate(None, LETTERS_DIGITS_HYPHEN)
            ):
                self._noteUnusual(lower, name, value)
                return
            learn(name, lower)
        self.fields.append((lower, name, value))

    def _noteUnusual(self, lower: bytes, name: bytes, value: bytes) -> None:
        if isForwarding(lower):
            if self.forwarding is None:
                self.forwarding = []
            self.forwarding.append((lower, name, value))
        elif lower in TRACE_FIELDS:
            if self.traces is None:
                self.traces = []
            self.traces.append((lower, name, value))
        elif isJoined(lower):
            self._noteJoined(lower, name, value)
        # What is left is Proxy, which nobody may say.

    def _noteJoined(self, lower: bytes, name: bytes, value: bytes) -> None:
        """Dropped: behind a gateway it is another field, which we or a plugin may have set or checked."""

    def announcing(self, trailer: bytes) -> bytes | None:
        """What of a Trailer field may be promised to the origin: the rest will not arrive there."""
        if not isJoined(trailer):
            return trailer
        names = [name.strip(b" \t") for name in trailer.split(b",")]
        return b", ".join([name for name in names if name and not isJoined(name)]) or None

    def trim(self) -> None:
        """Take blanks off the ends of values, which llhttp leaves there (RFC 9110 §5.5). Rarely needed."""
        self.fields = [(lower, name, value.rstrip(b" \t")) for lower, name, value in self.fields]
        if self.forwarding is not None:
            self.forwarding = [(lower, name, value.rstrip(b" \t")) for lower, name, value in self.forwarding]
        if self.traces is not None:
            self.traces = [(lower, name, value.rstrip(b" \t")) for lower, name, value in self.traces]


class JoiningRequestHead(RequestHead):
    """
    One that keeps fields whose names gateways join with others, each under the name that a gateway would give it: so
    what is set, looked for or taken out under that name by a plugin is this field, too.
    """

    __slots__ = ()

    section = JoinedHeaders

    def _noteJoined(self, lower: bytes, name: bytes, value: bytes) -> None:
        lower = joined(lower)
        if lower not in NOTED and not isForwarding(lower):
            self.fields.append((lower, name, value))

    def announcing(self, trailer: bytes) -> bytes | None:
        return trailer


def parseRequestHead(data: bytes, maxHeaders: int, keepsUnderscores: bool = False) -> RequestHead:
    """
    Read one complete head.

    :param data: from the first byte of the request line to the empty line, both included.
    :param keepsUnderscores: whether fields are kept that gateways take for others, by an underscore, a dot or the like.
    :raises EdgeError: with the status that says what is wrong with it.
    """
    if len(data) > SHORTEST_LINE * maxHeaders and linesOf(data) > maxHeaders:
        raise HeadersTooLarge(f"more than {maxHeaders} fields")
    words = data[: data.index(b"\r\n")].split(b" ")
    if len(words) != 3:
        raise BadRequest("the request line has not exactly two spaces")
    method, _, version = words
    if version == b"HTTP/1.1":
        parsedVersion = "1.1"
    elif version == b"HTTP/1.0":
        parsedVersion = "1.0"
    else:
        raise _wrongVersion(version)
    if method not in _COMMON_METHODS:
        data = _standIn(data, method)
    request = (JoiningRequestHead if keepsUnderscores else RequestHead)(parsedVersion, method)
    parser = HttpRequestParser(request)
    try:
        parser.feed_data(data)
    except HttpParserUpgrade:
        pass
    except HttpParserError as error:
        raise refusal(error, BadRequest) from None
    # Not "in", which costs thrice as much.
    if data.find(b" \r\n") >= 0 or data.find(b"\t\r\n") >= 0:
        request.trim()
    if request.noted is not None:
        _heed(request, request.noted)
    _place(request)
    return request


def _standIn(data: bytes, method: bytes) -> bytes:
    """
    The head with GET for its method: llhttp refuses methods it does not know, and reads some in ways of their own.

    Case matters (RFC 9110 §9.1): ``get`` is a method, and not GET.
    """
    if method in _NEVER_SERVED:
        raise NotSupported(f"{method.decode('ascii')}: this is no forward proxy")
    if not isToken(method):
        raise BadRequest("the method is no token")
    if len(method) > METHOD_LENGTH:
        # RFC 9112 §3
        raise NotSupported(f"a method of {len(method)} bytes")
    return b"GET" + data[len(method) :]


def _wrongVersion(version: bytes) -> BadRequest | VersionNotSupported:
    # RFC 9112 §2.3: one digit, a dot, one digit.
    digits = version[5:6] + version[7:8]
    if len(version) == 8 and version.startswith(b"HTTP/") and version[6:7] == b"." and digits.isdigit():
        return VersionNotSupported(f"version {version.decode('ascii')}")
    return BadRequest("the request line does not end with an HTTP version")


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
        trailer = noted.get(b"trailer")
        if trailer is not None:
            request.trailer = request.announcing(trailer)
    elif length is not None:
        request.length = parseLength(length)
    connection = noted.get(b"connection")
    if connection is not None:
        _heedConnection(request, listMembers(connection), noted)
    expect = noted.get(b"expect")
    if expect is not None:
        _heedExpect(request, expect)
    if request.length and request.method == b"TRACE":
        raise BadRequest("a TRACE with a body (RFC 9110 §9.3.8)")


def _heedConnection(request: RequestHead, tokens: frozenset[bytes], noted: dict[bytes, bytes]) -> None:
    nominated = False
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
            request.wantsTrailers = b"trailers" in listMembers(noted.get(b"te", b""))
        elif token in NEVER_NOMINATED:
            raise BadRequest(f"Connection names {token.decode('latin-1')}")
        else:
            nominated = True
    if nominated:
        # By the name as it is written: under the other one there may be a field that was not nominated.
        request.fields = [field for field in request.fields if field[1].lower() not in tokens]
        if request.traces is not None:
            request.traces = [field for field in request.traces if field[0] not in tokens]


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
    if target.translate(None, PLAIN_OCTETS):
        fault = targetFault(target)
        if fault is not None:
            raise BadRequest(fault)
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
    if not path and request.method == b"OPTIONS":
        # RFC 9112 §3.2.4: the last proxy asks about the server as a whole.
        request.target = b"*"
    else:
        request.target = path if path.startswith(b"/") else b"/" + path


@lru_cache(4096)
def hostname(host: bytes) -> bytes:
    """
    The name in ``host[:port]``: lower case, no port, no final dot.

    :raises BadRequest: if it is no host (RFC 3986 §3.2.2) or carries a user.
    """
    if len(host) > _HOST_LENGTH:
        raise BadRequest("the Host field is longer than a name can be")
    name, port = splitPort(host)
    if port and not (port.isdigit() and len(port) <= 5 and int(port) <= 65535):
        raise BadRequest("the port in Host is no port")
    if name.startswith(b"["):
        if not (name.endswith(b"]") and _isAddress6(name[1:-1])):
            raise BadRequest("the address in Host is no address")
        return name.lower()
    if not name or not _HOST_OCTETS.issuperset(name):
        raise BadRequest("the Host field is no host")
    name = name.lower()
    return name[:-1] if name.endswith(b".") and len(name) > 1 else name


def _isAddress6(text: bytes) -> bool:
    try:
        inet_pton(AF_INET6, text.decode("latin-1"))
    except (OSError, ValueError):
        return False
    return True


def parseLength(value: bytes) -> int:
    """A Content-Length (RFC 9110 §8.6). :raises BadRequest: if it is anything but digits."""
    if not value.isdigit() or len(value) > 18:
        raise BadRequest("Content-Length is no number")
    return int(value)
