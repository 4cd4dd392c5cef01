"""
One request as a plugin sees it: :class:`Context`, with its :class:`Request` and :class:`Response`.

Strings are ``str`` (latin-1 on the wire), bodies are ``bytes``. What came over the wire is kept as bytes and decoded
when somebody looks, so a request that no plugin reads costs nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from revproxy.body import Body, Filter
from revproxy.checked import Checked, checked, finalStatus, fixed, oneOf, only, text, told
from revproxy.destination import NOWHERE, Place, Routed
from revproxy.errors import REASONS, EdgeError
from revproxy.headers import TOKEN, Headers, isToken
from revproxy.logfields import LogFields
from revproxy.toolbox import Services, Toolbox

__all__ = ["Body", "Context", "Headers", "Outcome", "Peer", "Request", "Response"]


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
        if self.length:
            self.request._body = self


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
        "_body",
        "_headers",
        "_peer",
        "_scheme",
        "_version",
        "expectsContinue",
        "rawHost",
        "rawMethod",
        "rawTarget",
        "tls",
        "upgrade",
        "wantsTrailers",
    )

    headers = checked("_headers", only(Headers, "Headers.of({name: value}) makes some"))
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
        self.rawMethod = method
        self.rawTarget = target
        self.rawHost = host
        self._version = version
        self._scheme = scheme
        self._headers = headers
        self._peer = peer
        self.tls = tls
        self._absent: _AbsentBody | None = None
        self._body = body
        self.upgrade: bytes | None = None
        self.expectsContinue = False
        self.wantsTrailers = False

    @property
    def method(self) -> str:
        """
        The method; case matters (RFC 9110 §9.1).

        :raises ValueError: when set to what is no token.
        """
        return self.rawMethod.decode("latin-1")

    @method.setter
    def method(self, method: str) -> None:
        raw = text(method, "a method").encode("latin-1", "replace")
        if not isToken(raw):
            raise ValueError(f"not a method: {method!r} (RFC 9110 §9.1)")
        self.rawMethod = raw

    @property
    def target(self) -> str:
        """
        Path and query as the client wrote them.

        :raises ValueError: when set to what cannot stand in a request line, or does not begin with a slash.
        """
        return self.rawTarget.decode("latin-1")

    @target.setter
    def target(self, target: str) -> None:
        try:
            raw = text(target, "a target").encode("latin-1")
        except UnicodeEncodeError:
            raise ValueError(f"a target is percent-encoded: {target!r} (RFC 3986 §2.1)") from None
        if not raw.startswith(b"/") and raw != b"*":
            raise ValueError(f"a target starts with a slash: {target!r} (RFC 9112 §3.2.1)")
        if any(octet <= 0x20 or octet == 0x7F for octet in raw):
            raise ValueError(f"a target has no spaces and no control characters: {target!r}")
        self.rawTarget = raw

    @property
    def path(self) -> str:
        """
        The target up to the question mark, not decoded.

        :raises ValueError: when set, as :attr:`target`, and for a question mark.
        """
        return self.rawTarget.partition(b"?")[0].decode("latin-1")

    @path.setter
    def path(self, path: str) -> None:
        if "?" in text(path, "a path"):
            raise ValueError(f"a path has no question mark (write %3F): {path!r}")
        _, mark, query = self.rawTarget.partition(b"?")
        self.target = path + (mark + query).decode("latin-1")

    @property
    def query(self) -> str:
        """
        What follows the question mark, not decoded; empty if there is none.

        :raises ValueError: when set, as :attr:`target`.
        """
        return self.rawTarget.partition(b"?")[2].decode("latin-1")

    @query.setter
    def query(self, query: str) -> None:
        self.target = self.path + ("?" + query if text(query, "a query") else "")

    @property
    def host(self) -> str:
        """
        The host the request is for, with the port if one was given. Setting it sets the field ``Host``, too.

        :raises ValueError: when set to what is no host.
        """
        return self.rawHost.decode("latin-1")

    @host.setter
    def host(self, host: str) -> None:
        raw = text(host, "a host").encode("ascii", "replace")
        if not raw or not _HOST.issuperset(raw):
            raise ValueError(f"not a host: {host!r} (RFC 9110 §7.2)")
        self._headers.setRaw(b"host", b"Host", raw)
        self.rawHost = raw

    @property
    def body(self) -> Body:
        """The body; an empty one if the request has none, which stays so unless that is replaced."""
        if self._body is not None:
            return self._body
        if self._absent is None:
            self._absent = _AbsentBody.of(b"")
            self._absent.request = self
        return self._absent

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

    __slots__ = ("_body", "_headers", "_status", "rawReason")

    status = checked("_status", finalStatus)
    headers = checked("_headers", only(Headers, "Headers.of({name: value}) makes some"))

    def __init__(self, status: int, reason: bytes | None, headers: Headers, body: Body | None) -> None:
        self._status = status
        self.rawReason = reason
        self._headers = headers
        self._body = body

    @property
    def reason(self) -> str:
        """
        The reason phrase.

        :raises ValueError: when set to what has control characters, or is not latin-1.
        """
        if self.rawReason is None:
            return REASONS.get(self._status, "")
        return self.rawReason.decode("latin-1")

    @reason.setter
    def reason(self, reason: str) -> None:
        if any(ord(char) < 0x20 or ord(char) > 0xFF for char in text(reason, "a reason phrase")):
            raise ValueError(f"not a reason phrase: {reason!r} (RFC 9112 §4)")
        self.rawReason = reason.encode("latin-1")

    @property
    def body(self) -> Body:
        """The body; an empty one if there is none."""
        body = self._body
        if body is None:
            body = self._body = Body.of(b"")
        return body

    @body.setter
    def body(self, body: Any) -> NoReturn:
        raise AttributeError("a body is not assigned: response.body.replace(data) puts other bytes in its place")


def _sendable(response: Any) -> Response | None:
    """
    What a plugin may assign as the answer.

    :raises TypeError: if it is no answer, or has parts that cannot be sent.
    """
    if not isinstance(response, Response):
        raise TypeError(f"not a Response: {told(response)}; context.respond(status, body, headers) makes one")
    if not isinstance(response._headers, Headers):
        raise TypeError(f"its headers are no Headers: {told(response._headers)}; use Headers.of({{name: value}})")
    if not (response._body is None or isinstance(response._body, Body)):
        raise TypeError(f"its body is no Body: {told(response._body)}; Body.of(data) makes one")
    if response._status != 101 or not hasattr(response, "tunnel"):
        finalStatus(response._status)
    return response


@dataclass(slots=True)
class Outcome:
    """
    How a request ended, for observers.

    :ivar status: what the client got; 499 if it left first.
    :ivar bytesIn: bytes of the request body that were received.
    :ivar bytesOut: bytes of the answer, head included, that were written.
    :ivar seconds: from the first byte of the head to the last byte of the answer.
    :ivar upstream: the target that answered, or None.
    :ivar upstreamSeconds: until the target's head was there, or None.
    :ivar interruptedBy: the plugin that answered, or None.
    :ivar error: the cause when it went wrong, or None.
    """

    status: int = 0
    bytesIn: int = 0
    bytesOut: int = 0
    seconds: float = 0.0
    upstream: str | None = None
    upstreamSeconds: float | None = None
    interruptedBy: str | None = None
    error: EdgeError | None = None


class Context(Routed):
    """
    One request on its way through the chain.

    :ivar request: the request.
    :ivar response: the answer, once there is one.
    :ivar values: what plugins pass to each other within this request.
    :ivar serial: the edge's own number for the request, as bytes: its :attr:`id` until a plugin sets another.
    :ivar outcome: how it ended; for observers only.
    :ivar depth: how many links have let the request pass; kept by the chain.
    :ivar interruptedBy: the name of the plugin that answered instead of the route, or None.
    :ivar pluginErrors: names of plugins whose failure failed the request.
    :ivar pluginsSkipped: names of plugins that failed and were passed over (``on_error: open``).
    """

    __slots__ = (
        "_fields",
        "_id",
        "_request",
        "_response",
        "_toolbox",
        "_values",
        "depth",
        "interruptedBy",
        "outcome",
        "pluginErrors",
        "pluginsSkipped",
        "serial",
    )

    request: Checked[Request] = fixed("_request", "context.request stays: assign to its method, target, host, headers")
    response = checked("_response", _sendable)

    def __init__(self, request: Request, route: Place = NOWHERE, serial: bytes = b"") -> None:
        # As Routed does; a call would cost each request more than these lines.
        self._route = route
        self._goal = None
        self._request = request
        self._response: Response | None = None
        self.serial = serial
        self.outcome = _UNFINISHED
        self.depth = 0
        self.interruptedBy: str | None = None
        self.pluginErrors: tuple[str, ...] = ()
        self.pluginsSkipped: tuple[str, ...] = ()
        self._id: str | None = None
        self._values: dict[str, Any] | None = None
        self._fields: LogFields | None = None
        self._toolbox: Toolbox | None = None

    @property
    def id(self) -> str:
        """
        The request's id: in error pages, the access log, and wherever a plugin puts it.

        :raises ValueError: when set to what is not printable ASCII of 1 to 255 characters.
        """
        if self._id is None:
            self._id = self.serial.decode("ascii")
        return self._id

    @id.setter
    def id(self, id: str) -> None:
        if not text(id, "an id") or len(id) > 255 or not (id.isascii() and id.isprintable()):
            raise ValueError(f"an id is printable ASCII, for it is sent in a header: {id[:300]!r}")
        self._id = id

    @property
    def isReadingBody(self) -> bool:
        """Whether a plugin waits for a body of this request."""
        body = self._request._body
        if body is not None and body.isBeingRead:
            return True
        response = self._response
        return response is not None and response._body is not None and response._body.isBeingRead

    @property
    def values(self) -> dict[str, Any]:
        """A dict of this request's own."""
        values = self._values
        if values is None:
            values = self._values = {}
        return values

    @values.setter
    def values(self, values: Any) -> NoReturn:
        raise AttributeError('context.values stays: context.values["name"] = value, or context.values.update(…)')

    @property
    def fields(self) -> LogFields:
        """
        What the access log is to say of this request besides: ``context.fields["tenant"] = "a"``. In JSON it is in
        ``fields``; the combined format has no room for it. Names and values are checked where they are assigned: text
        (cut at 256 characters), numbers, true, false and None, 16 of them.
        """
        fields = self._fields
        if fields is None:
            fields = self._fields = LogFields()
        return fields

    @fields.setter
    def fields(self, fields: Any) -> NoReturn:
        raise AttributeError('context.fields stays: context.fields["name"] = value, or context.fields.update(…)')

    @property
    def client(self) -> Any:
        """
        A treq client of the plugin's own: no shared cookies, bounded connections, deadlines.

        :raises RuntimeError: if no plugin is being called.
        """
        return self._tools().client

    @property
    def services(self) -> Services:
        """
        What other plugins provide, looked up by zope interface.

        :raises RuntimeError: if no plugin is being called.
        """
        return Services(self._tools())

    @property
    def log(self) -> Any:
        """
        A :class:`twisted.logger.Logger` in the plugin's name.

        :raises RuntimeError: if no plugin is being called.
        """
        return self._tools().log

    def respond(
        self,
        status: int,
        body: bytes | bytearray | memoryview | str = b"",
        headers: Mapping[str, str] | None = None,
    ) -> bool:
        """
        Answer the request here. ``return context.respond(403, "no")`` reads well in a middleware.

        :param body: bytes, or text (sent as UTF-8, with a content type unless ``headers`` has one).
        :returns: False, always.
        :raises ValueError: for a status outside 200–599 or a header that cannot be sent.
        :raises TypeError: for a status that is no int, a body that is neither bytes nor text, or headers that are none.
        """
        status = finalStatus(status)
        out = Headers.of(headers) if headers else Headers()
        if isinstance(body, str):
            body = body.encode()
            if out.find(b"content-type") is None:
                out.fields.append((b"content-type", b"Content-Type", b"text/plain; charset=utf-8"))
        self._response = Response(status, None, out, Body.of(body))
        return False

    def bodyBrokenBy(self, error: Exception) -> bool:
        """Whether a body of this request will never be complete for exactly this reason."""
        bodies = (self._request._body, None if self._response is None else self._response._body)
        return any(body is not None and body.brokenBy(error) for body in bodies)

    def _isOnItsWayIn(self) -> bool:
        return self._toolbox is not None and self._response is None and not self.outcome.status

    def _tools(self) -> Toolbox:
        if self._toolbox is None:
            raise RuntimeError("only a plugin that is being called may ask for this")
        return self._toolbox


_UNFINISHED = Outcome()
