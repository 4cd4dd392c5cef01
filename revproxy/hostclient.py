"""
A plugin's client: requests that are under way when the plugin ends are cancelled.

The connections are the edge's and shared; what belongs to one plugin is the wish for an answer. That is a Deferred
until the head is there, and a protocol that is given the body afterwards. Both are booked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.python.components import proxyForInterface
from twisted.python.failure import Failure
from twisted.web.iweb import IResponse


class Book(Protocol):
    """Where things are booked; see :class:`revproxy.host.Host`."""

    def check(self) -> None:
        """:raises RuntimeError: if the plugin was stopped."""

    def untilFired(self, kind: str, waiting: Deferred[Any]) -> Deferred[Any]:
        """
        Book a Deferred until it fires.

        :returns: the same.
        """

    def booked(self, kind: str, end: Callable[[], Any]) -> Callable[[], None]:
        """
        Book what is ended by a function.

        :returns: takes it out again.
        """


class ClientMethods:
    """
    The methods of a treq client, by :meth:`request`, which whoever is one has.
    """

    def request(self, method: str, url: Any, **options: Any) -> Deferred[Any]:
        """As :func:`treq.request`."""
        raise NotImplementedError

    def get(self, url: Any, **options: Any) -> Deferred[Any]:
        """As :func:`treq.get`."""
        return self.request("GET", url, **options)

    def head(self, url: Any, **options: Any) -> Deferred[Any]:
        """As :func:`treq.head`."""
        return self.request("HEAD", url, **options)

    def post(self, url: Any, data: Any = None, **options: Any) -> Deferred[Any]:
        """As :func:`treq.post`."""
        return self.request("POST", url, data=data, **options)

    def put(self, url: Any, data: Any = None, **options: Any) -> Deferred[Any]:
        """As :func:`treq.put`."""
        return self.request("PUT", url, data=data, **options)

    def patch(self, url: Any, data: Any = None, **options: Any) -> Deferred[Any]:
        """As :func:`treq.patch`."""
        return self.request("PATCH", url, data=data, **options)

    def delete(self, url: Any, **options: Any) -> Deferred[Any]:
        """As :func:`treq.delete`."""
        return self.request("DELETE", url, **options)


class HostClient(ClientMethods):
    """
    A treq client whose requests end with a plugin. Methods as of :class:`treq.client.HTTPClient`.

    :param client: what sends them.
    :ivar listens: given what was sent, its method, URL and parameters, and gives it back, where requests are taken
        down; None: they are not.
    """

    listens: Callable[[Deferred[Any], str, Any, Any], Deferred[Any]] | None = None

    def __init__(self, client: Any, book: Book) -> None:
        self._client = client
        self._book = book

    def request(self, method: str, url: Any, **options: Any) -> Deferred[Any]:
        """
        As :func:`treq.request`.

        :raises RuntimeError: if the plugin was stopped.
        """
        sent = self._send(method, url, options)
        return sent if self.listens is None else self.listens(sent, method, url, options.get("params"))

    def _send(self, method: str, url: Any, options: dict[str, Any]) -> Deferred[Any]:
        self._book.check()
        sent = self._client.request(method, url, **options)
        return self._book.untilFired(f"request {method}", sent).addCallback(self._bookBody, method)

    def _bookBody(self, response: Any, method: str) -> Any:
        # treq wraps the agent's response, up to four deep; each reads from the one inside, and so from ours.
        outer, inner = None, response
        while getattr(inner, "original", None) is not None:
            outer, inner = inner, inner.original
        if outer is not None and IResponse.providedBy(inner):
            outer.original = _BookedResponse(inner, self._book, f"response to {method}")
        return response


class _BookedResponse(proxyForInterface(IResponse)):  # type: ignore[misc]
    """An answer whose body is broken off with the plugin that reads it."""

    def __init__(self, original: IResponse, book: Book, kind: str) -> None:
        super().__init__(original)
        self._book = book
        self._kind = kind

    def deliverBody(self, protocol: IProtocol) -> None:
        """As :meth:`IResponse.deliverBody`."""
        self.original.deliverBody(_BookedReader(protocol, self._book, self._kind))


class _BookedReader(TwistedProtocol):
    """Stands between a body and who reads it."""

    def __init__(self, reader: IProtocol, book: Book, kind: str) -> None:
        self._reader = reader
        self._book = book
        self._kind = kind
        self._unbook: Callable[[], None] = lambda: None

    def connectionMade(self) -> None:
        transport: Any = self.transport
        self._unbook = self._book.booked(self._kind, transport.stopProducing)
        self._reader.makeConnection(transport)

    def dataReceived(self, data: bytes) -> None:
        self._reader.dataReceived(data)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        self._unbook()
        self._reader.connectionLost(reason)


BookedClient = HostClient
"""The earlier name of `HostClient`; imports of it go on working."""
