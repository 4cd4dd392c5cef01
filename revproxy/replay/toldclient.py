"""
A plugin's client while its call is taken down: what it is answered is written down.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Protocol
from twisted.python.components import proxyForInterface
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.iweb import IResponse

from revproxy.hostclient import ClientMethods
from revproxy.replay.bodytap import Kept
from revproxy.replay.raising import textOf
from revproxy.replay.recordedcall import HeaderPair, RecordedExchange


def urlOf(url: Any) -> str:
    """As text. :param url: text, bytes, or what treq takes besides."""
    if isinstance(url, bytes):
        return url.decode("ascii", "replace")
    return url if isinstance(url, str) else str(url.to_text())


def urlWith(url: Any, params: Any) -> str:
    """With the parameters that are sent besides."""
    text = urlOf(url)
    if not params:
        return text
    pairs = sorted(params.items(), key=repr) if isinstance(params, Mapping) else params
    return f"{text}{'&' if urlsplit(text).query else '?'}{pairs!r}"


class ToldExchange:
    """
    A request of a plugin's own, as it goes on.
    """

    def __init__(self, method: str, url: str, most: int) -> None:
        self._method = method
        self._url = url
        self._status = 0
        self._fields: tuple[HeaderPair, ...] = ()
        self._error = ""
        self.body = Kept(most)

    def answered(self, response: Any) -> None:
        """The head of its answer is here."""
        self._status = int(getattr(response, "code", 0))
        self.body.isOver = getattr(response, "length", None) == 0  # treq reads none then
        headers: Any = getattr(response, "headers", None)
        if hasattr(headers, "getAllRawHeaders"):
            self._fields = tuple((name, value) for name, values in headers.getAllRawHeaders() for value in values)
        elif headers is not None and hasattr(headers, "fields"):
            self._fields = tuple((name, value) for _, name, value in headers.fields)

    def failed(self, error: BaseException) -> None:
        """There is none."""
        self._error = f"{type(error).__name__}: {textOf(error)}"[:300]

    def recorded(self) -> RecordedExchange:
        """As a value, as far as it went."""
        return RecordedExchange(
            self._method, self._url, self._status, self._fields, self.body.data, self._error, self.body.isWhole
        )


def listenedTo(
    sent: Deferred[Any], told: list[Any], method: str, url: Any, params: Any, most: int
) -> Deferred[Any]:
    """
    A request of a plugin's own has been sent: what it is answered is written down.

    :param told: where it is put; ``most``: bytes of the answer's body that are kept.
    :returns: the same Deferred.
    """
    exchange = ToldExchange(method.upper(), urlWith(url, params), most)
    told.append(exchange)
    return sent.addCallbacks(_answered, _failed, (exchange,), errbackArgs=(exchange,))


def _answered(response: Any, exchange: ToldExchange) -> Any:
    exchange.answered(response)
    original = getattr(response, "original", None)
    if original is not None and IResponse.providedBy(original):
        # Further inside, it may be compressed yet.
        response.original = _ToldResponse(original, exchange.body)
    elif isinstance(getattr(response, "body", None), bytes):  # it is here already
        exchange.body.add(response.body)
        exchange.body.isOver = True
    return response


def _failed(failure: Failure, exchange: ToldExchange) -> Failure:
    exchange.failed(failure.value or RuntimeError("no reason is known"))
    return failure


class ToldClient(ClientMethods):
    """
    The client of a plugin; methods as of :class:`revproxy.hostclient.HostClient`.
    """

    def __init__(self, client: Any, told: list[Any], most: int) -> None:
        """
        :param told: where each request that is sent is put.
        :param most: bytes of each answer's body that are kept.
        """
        self._client = client
        self._told = told
        self._most = most

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def request(self, method: str, url: Any, **options: Any) -> Deferred[Any]:
        """As :func:`treq.request`."""
        known = len(self._told)
        sent: Deferred[Any] = self._client.request(method, url, **options)
        if len(self._told) > known:
            return sent  # it is the client of the plugin's host, too, which has put it there
        return listenedTo(sent, self._told, method, url, options.get("params"), self._most)


class _ToldResponse(proxyForInterface(IResponse)):  # type: ignore[misc]
    """An answer whose body is written down as it is read first."""

    def __init__(self, original: IResponse, body: Kept) -> None:
        super().__init__(original)
        self._body: Kept | None = body

    def deliverBody(self, protocol: IProtocol) -> None:
        """As :meth:`IResponse.deliverBody`."""
        body, self._body = self._body, None
        self.original.deliverBody(protocol if body is None else _ToldReader(protocol, body))


class _ToldReader(Protocol):
    """Stands between a body and who reads it."""

    def __init__(self, reader: IProtocol, body: Kept) -> None:
        self._reader = reader
        self._body = body

    def connectionMade(self) -> None:
        transport: Any = self.transport
        self._reader.makeConnection(transport)

    def dataReceived(self, data: bytes) -> None:
        self._body.add(data)
        self._reader.dataReceived(data)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        self._body.isOver = reason.check(ResponseDone, PotentialDataLoss) is not None
        self._reader.connectionLost(reason)
