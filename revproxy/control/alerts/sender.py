"""
HTTP to receivers: the one module that speaks it.

A receiver may be slow, hostile, or somebody else by now. So there is a deadline for each request, a bound on every byte
that comes back, head included, no redirect is followed, no proxy of the environment is asked, and TLS is verified. A
connection serves one request: nothing is kept.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError, ConnectionClosed, DNSLookupError
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.ssl import Certificate, optionsForClientTLS, trustRootFromCertificates
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent, ResponseDone
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory, IBodyProducer
from zope.interface import implementer

from revproxy.config.problems import textOf
from revproxy.errors import printable
from revproxy.regularfile import readFile

TIMEOUT = 10.0
"""Seconds for a whole request, the name and the handshake included."""

MAX_ANSWER = 64 << 10
"""Bytes of an answer, head included."""

_MAX_CA = 4 << 20
_SHOWN = 200
_LONGEST_RETRY = 3600.0


@dataclass(frozen=True, slots=True)
class Outgoing:
    """
    A request.

    :ivar headers: besides those of HTTP itself.
    :ivar ca: PEM file of the authorities to trust instead of the system's; None: the system's.
    """

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    ca: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What a receiver has answered.

    :ivar text: the beginning of its body, for people.
    :ivar retryAfter: seconds that it asks to be left alone.
    """

    status: int
    text: str = ""
    retryAfter: float = 0.0

    @property
    def isTaken(self) -> bool:
        """Whether it took what it was sent."""
        return 200 <= self.status < 300

    def __str__(self) -> str:
        return f"it answered {self.status}" + (f": {self.text}" if self.text else "")


class NotSent(Exception):
    """There was no answer; the text says why."""


class Sender(Protocol):
    """What sends."""

    def send(self, request: Outgoing) -> Deferred[Answer]:
        """Fails with `NotSent`. Cancelling ends the connection."""


class HTTPSender:
    """
    Sends by HTTP/1.1.
    """

    def __init__(self, reactor: Any, inThread: Callable[..., Deferred[Any]], clock: Any = None) -> None:
        """
        :param inThread: runs a function, with arguments, in a thread: files of authorities are read there.
        :param clock: provides `IReactorTime`; None: the reactor.
        """
        self._reactor = reactor
        self._inThread = inThread
        self._clock = clock or reactor

    def send(self, request: Outgoing) -> Deferred[Answer]:
        """Post it, and read the answer."""
        sending = Deferred.fromCoroutine(self._send(request))
        sending.addTimeout(TIMEOUT, self._clock)
        return sending.addErrback(_reasonOf)

    async def _send(self, request: Outgoing) -> Answer:
        trust = None if request.ca is None else await self._inThread(_trustRoot, request.ca)
        endpoints = _Endpoints(self._reactor, trust)
        agent = Agent.usingEndpointFactory(self._reactor, endpoints)
        headers = Headers({name: [value] for name, value in request.headers.items()})
        try:
            response = await agent.request(b"POST", request.url.encode("ascii"), headers, _Body(request.body))
            text = await _beginning(response)
        finally:
            endpoints.end()
        return Answer(response.code, printable(textOf(text), _SHOWN), _retryAfter(response.headers))


@implementer(IAgentEndpointFactory)
class _Endpoints:
    """Connections that take so much and no more."""

    def __init__(self, reactor: Any, trust: Any) -> None:
        self._reactor = reactor
        self._trust = trust
        self._opened: list[_BoundedProtocol] = []

    def end(self) -> None:
        """Nobody keeps a connection: not by never closing it, nor by never reading."""
        for connection in self._opened:
            connection.abort()

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """As `IAgentEndpointFactory` says."""
        host = uri.host.decode("ascii").strip("[]")
        endpoint: Any = HostnameEndpoint(self._reactor, host, uri.port, timeout=TIMEOUT)
        if uri.scheme == b"https":
            endpoint = wrapClientTLS(optionsForClientTLS(host, trustRoot=self._trust), endpoint)
        return _Bounded(endpoint, self._opened)


@implementer(IStreamClientEndpoint)
class _Bounded:
    def __init__(self, endpoint: Any, opened: list[_BoundedProtocol]) -> None:
        self._endpoint = endpoint
        self._opened = opened

    def connect(self, factory: IProtocolFactory) -> Deferred[Any]:
        """As `IStreamClientEndpoint` says."""
        factory.noisy = False  # type: ignore[attr-defined]
        connecting: Deferred[Any] = self._endpoint.connect(_BoundedFactory(factory))
        return connecting.addCallback(self._connected)

    def _connected(self, connection: _BoundedProtocol) -> Any:
        self._opened.append(connection)
        return connection.wrappedProtocol


class _BoundedProtocol(ProtocolWrapper):  # type: ignore[misc]
    received = 0

    def dataReceived(self, data: bytes) -> None:
        """Count it."""
        self.received += len(data)
        if self.received > MAX_ANSWER:
            self.abort()
        else:
            super().dataReceived(data)

    def abort(self) -> None:
        """End it now; no matter if it has ended."""
        transport: Any = self.transport
        if transport is not None:
            transport.abortConnection()


class _BoundedFactory(WrappingFactory):  # type: ignore[misc]
    protocol = _BoundedProtocol
    noisy = False


@implementer(IBodyProducer)
class _Body:
    """Bytes that are there."""

    def __init__(self, data: bytes) -> None:
        self.length = len(data)
        self._data = data

    def startProducing(self, consumer: Any) -> Deferred[None]:
        """All at once."""
        consumer.write(self._data)
        done: Deferred[None] = Deferred()
        done.callback(None)
        return done

    def pauseProducing(self) -> None:
        """There is nothing to pause."""

    def resumeProducing(self) -> None:
        """Nor to resume."""

    def stopProducing(self) -> None:
        """Nor to stop."""


class _Beginning(TwistedProtocol):
    """Keeps what is shown of a body, and ends with it."""

    def __init__(self, done: Deferred[bytes]) -> None:
        self._done = done
        self._kept = b""

    def dataReceived(self, data: bytes) -> None:
        """The connection bounds how much comes."""
        if len(self._kept) < 4 * _SHOWN:
            self._kept += data[: 4 * _SHOWN]

    def connectionLost(self, reason: Failure = Failure(ResponseDone())) -> None:  # noqa: B008
        """However it ends: the status has been read."""
        if not self._done.called:
            self._done.callback(self._kept)


def _beginning(response: Any) -> Deferred[str]:
    """Cancelling, for it takes too long, is no failure: the status has been read."""
    done: Deferred[bytes] = Deferred(lambda done: done.callback(b""))
    response.deliverBody(_Beginning(done))
    return done.addCallback(lambda data: data.decode("utf-8", "replace"))


def _retryAfter(headers: Headers) -> float:
    """Only seconds: a date needs two clocks that agree."""
    values = headers.getRawHeaders("retry-after", [])
    text = values[0].strip() if values else ""
    return min(float(text), _LONGEST_RETRY) if text.isdecimal() and len(text) < 10 else 0.0


def _trustRoot(path: str) -> Any:
    """Blocks."""
    pem = readFile(path, _MAX_CA).decode("ascii", "replace")
    blocks = [f"{block}-----END CERTIFICATE-----\n" for block in pem.split("-----END CERTIFICATE-----")[:-1]]
    if not blocks:
        raise ValueError(f"{path} has no certificate of an authority in it")
    return trustRootFromCertificates([Certificate.loadPEM(block.encode()) for block in blocks])


def _reasonOf(failure: Failure) -> Any:
    """:raises NotSent: for whatever went wrong."""
    if failure.check(NotSent):
        return failure
    if failure.check(TimeoutError, CancelledError, ConnectTimeout):
        raise NotSent(f"no answer within {TIMEOUT:g} s")
    if failure.check(DNSLookupError):
        raise NotSent("its name is not known")
    if failure.check(ConnectError):
        number = getattr(failure.value, "osError", None)
        why = os.strerror(number) if isinstance(number, int) else textOf(failure.value)
        raise NotSent(f"cannot be connected to: {why}")
    reasons: list[Failure] = getattr(failure.value, "reasons", [failure])
    inner = [reason.value for reason in reasons]
    if any(isinstance(each, CancelledError) for each in inner):
        raise NotSent(f"no answer within {TIMEOUT:g} s")
    texts = ["the connection was closed" if isinstance(each, ConnectionClosed) and not str(each) else textOf(each)
             for each in inner]
    raise NotSent(printable("; ".join(dict.fromkeys(filter(None, texts))), _SHOWN) or type(inner[0]).__name__)
