"""
The two messages of a request as a plugin sees them: :class:`Request` and :class:`Response`.

Strings are ``str`` (latin-1 on the wire), bodies are ``bytes``. What came over the wire is kept as bytes and decoded
when somebody looks, so a request that no plugin reads costs nothing here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

from revproxy.body import Body, Filter
from revproxy.checked import Checked, checked, finalStatus, kept, oneOf, only, text, told
from revproxy.errors import REASONS
from revproxy.headers import TOKEN, Headers, isFieldValue, isToken
from revproxy.paths import targetFault

__all__ = ["Peer", "Request", "Response"]


_HOST = (TOKEN - frozenset(b"#^`|")) | frozenset(b"()[]:;=%")
"""The octets of a host with a port (RFC 3986 §3.2.2, §3.2.3)."""


@dataclass(frozen=True, slots=True)
class Peer:
    """
    Who the client is.

    :ivar host: its address; the one that a trusted proxy named, if there is one.
    :ivar port: its port, 0 if unknown.
    :ivar connected: the address at the other end of the connection.
    """

    host: str
    port: int
    connected: str


class _AbsentBody(Body):
    """
    What a plugin finds where a request has no body: looking at it leaves the request without one, so that it can still
    be sent again; giving it content makes it the request's body.
    """

    __slots__ = ("request",)

    request: Request

    def replace(self, data: bytes | bytearray | memoryview) -> None:
        super().replace(data)
        self.request._body = self

    def addFilter(self, filter: Filter) -> None:
        super().addFilter(filter)
        if self._length != 0:
            self.request._body = self


def _protocols(value: Any) -> bytes | None:
    if not (value is None or (isinstance(value, bytes) and value and isFieldValue(value))):
        raise TypeError(f"protocols to switch to are bytes, or None, not {told(value)}")
    return value


class Request:
    """
    A request. What is assigned here is what the origin gets.

    :ivar scheme: ``"http"`` or ``"https"``, as the client used it.
    :ivar version: ``"1.0"`` or ``"1.1"``.
    :ivar headers: the header section, without fields of the connection.
    :ivar peer: who sent it.
    :ivar tls: what is known of the TLS session (server name, protocol, client name), or None.
    :ivar rawMethod: the method as bytes.
    :ivar rawTarget: the target as bytes, as the client wrote it (origin or asterisk form, RFC 9112 §3.2).
    :ivar rawHost: the host and port the request is for, as bytes.
    :ivar upgrade: the protocol the client wants to switch to, as bytes, or None.
    :ivar wantsTrailers: whether the client takes trailers (``TE: trailers``, RFC 9110 §10.1.4).
    :ivar expectsContinue: whether the client waits for 100 before it sends the body.
    """

    __slots__ = (
        "_absent",
        "_asSent",
        "_body",
        "_context",
        "_headers",
        "_peer",
        "_rawHost",
        "_rawMethod",
        "_rawTarget",
        "_scheme",
        "_tls",
        "_upgrade",
        "_version",
        "expectsContinue",
        "wantsTrailers",
    )

    headers = checked("_headers", only(Headers, "Headers.of({name: value}) makes some"))
    rawHost: Checked[bytes] = kept("_rawHost", "request.host = text")
    rawMethod: Checked[bytes] = kept("_rawMethod", "request.method = text")
    rawTarget: Checked[bytes] = kept("_rawTarget", "request.target = text")
    tls: Checked[Any] = kept("_tls")
    upgrade = checked("_upgrade", _protocols)
    peer = checked("_peer", only(Peer, "Peer(host, port, connected) makes one"))
    scheme = checked("_scheme", oneOf("http", "https"))
    version = checked("_version", oneOf("1.0", "1.1"))

    def __init__(
        self,
        method: bytes,
        target: bytes,
        host: bytes,
        version: str,
        scheme: str,
        headers: Headers,
        peer: Peer,
        body: Body | None = None,
        tls: Any = None,
    ) -> None:
        self._rawMethod = method
        self._rawTarget = target
        self._rawHost = host
        self._version = version
        self._scheme = scheme
        self._headers = headers
        self._peer = peer
        self._tls = tls
        self._absent: _AbsentBody | None = None
        self._body = body
        self._context: Any = None
        # Method, target and host as the client sent them, once a plugin has put another in the place of one of them.
        self._asSent: tuple[bytes, bytes, bytes] | None = None
        self._upgrade: bytes | None = None
        self.expectsContinue = False
        self.wantsTrailers = False

    @property
    def method(self) -> str:
        """
        The method; case matters (RFC 9110 §9.1).

        :raises ValueError: when set to what is no token.
        """
        return self._rawMethod.decode("latin-1")

    @method.setter
    def method(self, method: str) -> None:
        raw = text(method, "a method").encode("latin-1", "replace")
        if not isToken(raw):
            raise ValueError(f"not a method: {method!r} (RFC 9110 §9.1)")
        self._keepAsSent()
        self._rawMethod = raw

    @property
    def target(self) -> str:
        """
        Path and query as the client wrote them.

        :raises ValueError: when set to what the edge would refuse in a client's request line, or what does not begin
            with a slash.
        """
        return self._rawTarget.decode("latin-1")

    @target.setter
    def target(self, target: str) -> None:
        try:
            raw = text(target, "a target").encode("latin-1")
        except UnicodeEncodeError:
            raise ValueError(f"a target is percent-encoded: {target!r} (RFC 3986 §2.1)") from None
        if not raw.startswith(b"/") and raw != b"*":
            raise ValueError(f"a target starts with a slash: {target!r} (RFC 9112 §3.2.1)")
        fault = targetFault(raw)
        if fault is not None:
            raise ValueError(f"{fault}: {target!r}; what is no character of a URL is percent-encoded (RFC 3986 §2.1)")
        self._keepAsSent()
        self._rawTarget = raw

    @property
    def path(self) -> str:
        """
        The target up to the question mark, not decoded.

        :raises ValueError: when set, as :attr:`target`, and for a question mark.
        """
        return self._rawTarget.partition(b"?")[0].decode("latin-1")

    @path.setter
    def path(self, path: str) -> None:
        if "?" in text(path, "a path"):
            raise ValueError(f"a path has no question mark (write %3F): {path!r}")
        _, mark, query = self._rawTarget.partition(b"?")
        self.target = path + (mark + query).decode("latin-1")

    @property
    def query(self) -> str:
        """
        What follows the question mark, not decoded; empty if there is none.

        :raises ValueError: when set, as :attr:`target`.
        """
        return self._rawTarget.partition(b"?")[2].decode("latin-1")

    @query.setter
    def query(self, query: str) -> None:
        self.target = self.path + ("?" + query if text(query, "a query") else "")

    @property
    def host(self) -> str:
        """
        The host the request is for, with the port if one was given. Setting it sets the field ``Host``, too.

        :raises ValueError: when set to what is no host.
        """
        return self._rawHost.decode("latin-1")

    @host.setter
    def host(self, host: str) -> None:
        raw = text(host, "a host").encode("ascii", "replace")
        if not raw or not _HOST.issuperset(raw):
            raise ValueError(f"not a host: {host!r} (RFC 9110 §7.2)")
        self._keepAsSent()
        self._headers.setRaw(b"host", b"Host", raw)
        self._rawHost = raw

    def _keepAsSent(self) -> None:
        if self._asSent is None:
            self._asSent = self._rawMethod, self._rawTarget, self._rawHost

    @property
    def body(self) -> Body:
        """The body; an empty one if the request has none, which stays so unless that is replaced."""
        body = self._body or self._absent
        if body is None:
            body = self._absent = _AbsentBody.of(b"")
            self._absent.request = self
        body._context = self._context
        return body

    @body.setter
    def body(self, body: Any) -> NoReturn:
        raise AttributeError("a body is not assigned: request.body.replace(data) puts other bytes in its place")

    @property
    def hasBody(self) -> bool:
        """Whether there is a body: content was announced (a length above 0, or chunks), or a plugin gave it some."""
        return self._body is not None


class Response:
    """
    An answer.

    :ivar status: the status code.
    :ivar reason: the reason phrase.
    :ivar headers: the header section, without fields of the connection.
    :ivar rawReason: the reason phrase as bytes; None for the registered one.
    """

    __slots__ = ("_body", "_context", "_headers", "_rawReason", "_status")

    rawReason: Checked[bytes | None] = kept("_rawReason", "response.reason = text")
    status = checked("_status", finalStatus)
    headers = checked("_headers", only(Headers, "Headers.of({name: value}) makes some"))

    def __init__(self, status: int, reason: bytes | None, headers: Headers, body: Body | None) -> None:
        self._status = status
        self._rawReason = reason
        self._headers = headers
        self._body = body
        self._context: Any = None

    @property
    def reason(self) -> str:
        """
        The reason phrase.

        :raises ValueError: when set to what has control characters, or is not latin-1.
        """
        if self._rawReason is None:
            return REASONS.get(self._status, "")
        return self._rawReason.decode("latin-1")

    @reason.setter
    def reason(self, reason: str) -> None:
        if any(ord(char) < 0x20 or ord(char) > 0xFF for char in text(reason, "a reason phrase")):
            raise ValueError(f"not a reason phrase: {reason!r} (RFC 9112 §4)")
        self._rawReason = reason.encode("latin-1")

    @property
    def body(self) -> Body:
        """The body; an empty one if there is none."""
        body = self._body
        if body is None:
            body = self._body = Body.of(b"")
        body._context = self._context
        return body

    @body.setter
    def body(self, body: Any) -> NoReturn:
        raise AttributeError("a body is not assigned: response.body.replace(data) puts other bytes in its place")
