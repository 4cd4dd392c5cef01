"""
A client that sends nothing: what it is asked for is answered as it was before, for the same method and URL.
"""

from __future__ import annotations

import builtins
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from treq.content import collect, json_content, text_content
from twisted.internet import error as connectionErrors
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProtocol
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH

from revproxy import errors
from revproxy.hostclient import ClientMethods
from revproxy.replay.recordedcall import RecordedExchange
from revproxy.replay.toldclient import urlWith

UNKNOWN_REQUEST = "it sends a request whose answer is not known"
UNREAD_BODY = "it reads the body of an answer that was not read before"


class NotComparable(Exception):
    """What is wanted is not known from the call that is made again."""


class ReplayedAnswer:
    """
    An answer, as treq gives it.

    :ivar code: its status.
    :ivar headers: as of :class:`twisted.web.iweb.IResponse`.
    :ivar length: of the body, as far as it is known.
    """

    version = (b"HTTP", 1, 1)

    def __init__(self, exchange: RecordedExchange, unknown: Callable[[str], Exception]) -> None:
        """:param unknown: told what is wanted and not known; gives what is raised then."""
        self.code = exchange.status
        self.phrase = errors.REASONS.get(exchange.status, "").encode("ascii")
        self.headers = Headers()
        for name, value in exchange.headers:
            self.headers.addRawHeader(name, value)
        self.length = len(exchange.body) if exchange.isWhole else UNKNOWN_LENGTH
        self._exchange = exchange
        self._unknown = unknown

    def content(self) -> Deferred[bytes]:
        """The body."""
        if not self._exchange.isWhole:
            return fail(self._unknown(UNREAD_BODY))
        return succeed(self._exchange.body)

    @property
    def _whole(self) -> Any:
        """As treq reads it: of `IResponse` it asks the fields, the length and the body."""
        return self

    def text(self, encoding: str = "ISO-8859-1") -> Deferred[str]:
        """The body, decoded as its fields say."""
        return text_content(self._whole, encoding)

    def json(self, **options: Any) -> Deferred[Any]:
        """The body, parsed."""
        return json_content(self._whole, **options)

    def collect(self, collector: Callable[[bytes], Any]) -> Deferred[None]:
        """The body, piece by piece."""
        return collect(self._whole, collector)

    def deliverBody(self, protocol: IProtocol) -> None:
        """As :meth:`twisted.web.iweb.IResponse.deliverBody`."""
        if not self._exchange.isWhole:
            self._unknown(UNREAD_BODY)
            protocol.connectionLost(Failure(ConnectionDone()))
            return
        if self._exchange.body:
            protocol.dataReceived(self._exchange.body)
        protocol.connectionLost(Failure(ResponseDone()))

    def cookies(self) -> dict[str, str]:
        """None: a plugin's client keeps no cookies."""
        return {}

    def history(self) -> list[Any]:
        """What came before it, where there were redirects: not known."""
        return []


class ReplayedClient(ClientMethods):
    """
    Answers with what is known; methods as of :class:`revproxy.hostclient.HostClient`.

    :ivar unknown: told what is wanted and not known; gives what is raised then.
    """

    def __init__(
        self, unknown: Callable[[str], Exception] = NotComparable, told: Sequence[RecordedExchange] = ()
    ) -> None:
        """
        :param told: what is known, in order: what was asked for twice is answered by one after the other.
        """
        self.unknown = unknown
        self._known: dict[tuple[str, str], deque[RecordedExchange]] = {}
        self.tell(told)

    def forget(self) -> None:
        """Nothing is known."""
        self._known.clear()

    def tell(self, told: Sequence[RecordedExchange]) -> None:
        """More is known."""
        for exchange in told:
            self._known.setdefault((exchange.method, exchange.url), deque()).append(exchange)

    def request(self, method: str, url: Any, **options: Any) -> Deferred[Any]:
        """As :func:`treq.request`."""
        known = self._known.get((method.upper(), urlWith(url, options.get("params"))))
        if known is None:
            return fail(self.unknown(UNKNOWN_REQUEST))
        exchange = known.popleft() if len(known) > 1 else known[0]
        if exchange.error:
            return fail(_errorOf(exchange.error))
        return succeed(ReplayedAnswer(exchange, self.unknown))


def _errorOf(told: str) -> Exception:
    """What it failed with, of the same class where that is one of the edge's, Twisted's or Python's."""
    name, _, text = told.partition(": ")
    for module in (errors, connectionErrors, builtins):
        kind = getattr(module, name, None)
        if isinstance(kind, type) and issubclass(kind, Exception):
            try:
                return kind(text)
            except TypeError:
                break
    return RuntimeError(told)
