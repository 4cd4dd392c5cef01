"""
A plugin's client: the edge sends its requests, to the upstreams that were granted by name.

The methods are those of :class:`treq.client.HTTPClient`, and so is what they answer. The whole answer is here when its
head is.
"""

from __future__ import annotations

import base64
import json as jsonLibrary
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote, urlencode, urlsplit

import msgspec
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers

from revproxy.errors import NotPermitted
from revproxy.hostclient import ClientMethods
from revproxy.isolation.frames import Fields, SendRequest
from revproxy.isolation.inside.asks import Asks
from revproxy.permissions import Permissions

_NOTHING: Any = object()

_TARGET = "/?#[]@!$&'()*+,;=:%-._~"


class _Sent(NamedTuple):
    status: int
    reason: bytes
    fields: Fields
    body: bytes


class Book(Protocol):
    """As `revproxy.hostclient.Book`."""

    def check(self) -> None:
        """:raises RuntimeError: if the plugin was stopped."""

    def untilFired(self, kind: str, waiting: Deferred[Any]) -> Deferred[Any]:
        """Book a Deferred until it fires. :returns: the same."""


_decoder = msgspec.msgpack.Decoder(_Sent)


class EdgeClient(ClientMethods):
    """
    Sends requests to ``http://NAME/…``, where NAME is that of an upstream.
    """

    def __init__(
        self, asks: Asks, permissions: Permissions, requestOf: Callable[[], int], bookOf: Callable[[], Book]
    ) -> None:
        """
        :param requestOf: tells the number of the request in whose call it is used; 0: in none.
        :param bookOf: gives what ends its requests with the plugin.
        """
        self._bookOf = bookOf
        self._asks = asks
        self._permissions = permissions
        self._requestOf = requestOf

    def request(
        self,
        method: str,
        url: Any,
        *,
        params: Any = None,
        headers: Any = None,
        data: Any = None,
        json: Any = _NOTHING,
        auth: tuple[Any, Any] | None = None,
        timeout: float | None = None,
        **others: Any,
    ) -> Deferred[EdgeAnswer]:
        """
        As :meth:`treq.client.HTTPClient.request`.

        :raises RuntimeError: the plugin was stopped.
        :raises NotPermitted: the upstream was not granted.
        :raises ValueError: the URL is none.
        :raises TypeError: of ``files`` and ``cookies``, which cannot be had here.
        """
        book = self._bookOf()
        book.check()
        refused = others.keys() - _PASSED_OVER
        if refused:
            raise TypeError(f"in a locked process, the client takes no {', '.join(sorted(refused))}")
        upstream, target = self._placeOf(url, params)
        fields = _fieldsOf(headers)
        body, kind = _bodyOf(data, json)
        if kind and all(name.lower() != b"content-type" for name, _ in fields):
            fields.append((b"Content-Type", kind))
        if auth is not None:
            pair = b":".join(each.encode() if isinstance(each, str) else each for each in auth)
            fields.append((b"Authorization", b"Basic " + base64.b64encode(pair)))
        verb, request = method.encode("ascii").upper(), self._requestOf()
        asked = self._asks.ask(
            lambda number: SendRequest(number, request, verb, upstream, target, tuple(fields), body, timeout)
        )
        return book.untilFired(f"request {method}", asked).addCallback(EdgeAnswer)

    def _placeOf(self, url: Any, params: Any) -> tuple[str, bytes]:
        text = url if isinstance(url, str) else url.decode("ascii") if isinstance(url, bytes) else url.to_text()
        parts = urlsplit(text)
        upstream = parts.netloc.rpartition("@")[2]
        if parts.scheme not in ("http", "https") or not upstream:
            raise ValueError(f"not a URL of an upstream: {text!r}; http://NAME/path, with the name of an upstream")
        if upstream not in self._permissions.upstreams:
            what = f"a request to {upstream}, which in a locked process is the name of an upstream,"
            raise NotPermitted(what, f"upstreams: {upstream}")
        query = "&".join(filter(None, (parts.query, urlencode(params, doseq=True) if params else "")))
        target = (parts.path or "/") + (f"?{query}" if query else "")
        return upstream, quote(target, _TARGET).encode("ascii")


_PASSED_OVER = frozenset(("allow_redirects", "browser_like_redirects", "unbuffered", "reactor"))
"""What treq takes, and means nothing here: redirects are answers, and answers come whole."""


class EdgeAnswer:
    """
    What an upstream has answered, as treq has it.

    :ivar code: the status.
    :ivar phrase: its reason phrase.
    :ivar headers: Twisted's, with bytes.
    :ivar length: bytes of the body.
    """

    version = (b"HTTP", 1, 1)
    request = None
    previousResponse = None

    def __init__(self, told: bytes) -> None:
        """:param told: as the `Reply` to `SendRequest` has it."""
        sent = _decoder.decode(told)
        self.code = sent.status
        self.phrase = sent.reason
        self.headers = Headers()
        for name, value in sent.fields:
            self.headers.addRawHeader(name, value)
        self._body = sent.body
        self.length = len(sent.body)

    def content(self) -> Deferred[bytes]:
        """The body."""
        return succeed(self._body)

    def text(self, encoding: str = "ISO-8859-1") -> Deferred[str]:
        """The body, decoded as its ``Content-Type`` says, else as said here."""
        for part in (self.headers.getRawHeaders("content-type") or [""])[0].split(";")[1:]:
            name, _, value = part.partition("=")
            if name.strip().lower() == "charset":
                encoding = value.strip().strip("\"'") or encoding
        return succeed(self._body.decode(encoding))

    def json(self, **options: Any) -> Deferred[Any]:
        """The body, parsed."""
        return succeed(jsonLibrary.loads(self._body, **options))

    def collect(self, collector: Callable[[bytes], None]) -> Deferred[None]:
        """Give the body to a function."""
        if self._body:
            collector(self._body)
        return succeed(None)

    def history(self) -> list[Any]:
        """No redirects were followed."""
        return []

    def deliverBody(self, protocol: Any) -> None:
        """As :meth:`twisted.web.iweb.IResponse.deliverBody`."""
        if self._body:
            protocol.dataReceived(self._body)
        # Whoever knows twisted.web's reason has imported it; here it is megabytes that hardly anybody needs.
        client: Any = sys.modules.get("twisted.web.client")
        protocol.connectionLost(Failure(ConnectionDone() if client is None else client.ResponseDone()))


def _fieldsOf(headers: Any) -> list[tuple[bytes, bytes]]:
    if headers is None:
        return []
    if isinstance(headers, Headers):
        return [(name, value) for name, values in headers.getAllRawHeaders() for value in values]
    if not isinstance(headers, Mapping):
        raise TypeError(f"headers are a dict, or Twisted's Headers, and not {type(headers).__name__}")
    return [
        (_bytesOf(name), _bytesOf(each))
        for name, value in headers.items()
        for each in ([value] if isinstance(value, (str, bytes)) else value)
    ]


def _bytesOf(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode("latin-1")
    if isinstance(value, bytes):
        return value
    raise TypeError(f"the name and value of a header are text or bytes, not {type(value).__name__}")


def _bodyOf(data: Any, json: Any) -> tuple[bytes, bytes]:
    """:returns: the body, and its type if that follows."""
    if json is not _NOTHING:
        if data:
            raise TypeError("a request has data or json, not both")
        return jsonLibrary.dumps(json, separators=(",", ":")).encode(), b"application/json; charset=UTF-8"
    if data is None:
        return b"", b""
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data), b""
    if isinstance(data, str):
        return data.encode(), b""
    if isinstance(data, (Mapping, list, tuple)):
        pairs: Iterable[Any] = data.items() if isinstance(data, Mapping) else data
        return urlencode(list(pairs), doseq=True).encode(), b"application/x-www-form-urlencoded"
    if hasattr(data, "read"):
        return _bodyOf(data.read(), _NOTHING)
    raise TypeError(f"data is bytes, text, or names and values, not {type(data).__name__}")
