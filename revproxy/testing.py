"""
Doubles for those who write plugins: run a middleware with no socket.

::

    class BannerTests(SynchronousTestCase):
        def test_insertsBanner(self):
            edge = EdgeDouble(PluginMain({"text": "hello"}))
            edge.originAnswers(200, {"Content-Type": "text/html"}, b"<body></body>")
            self.assertIn(b"hello", edge.get("/").body)

:class:`EdgeDouble` takes one middleware or several through both phases, as the edge does: ``handle`` in order, the
origin, ``handleResponse`` in reverse for those that let the request pass, ``finished`` at the end. Errors of the
plugin are raised in the test. The pieces it uses (:func:`makeContext`, :class:`SourceDouble`, :class:`SinkDouble`,
:class:`ToolboxDouble`, :class:`ClientDouble`) can be used alone. :class:`HostDouble` is for plugins with ``attach``.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import isawaitable, iscoroutine
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer
from zope.interface.interface import InterfaceClass

from revproxy.context import Body, Context, Headers, Outcome, Peer, Request, Response
from revproxy.errors import EdgeError
from revproxy.host import Host
from revproxy.interfaces import IBodySink, IBodySource, IMiddleware, IObserver, IResponseMiddleware

__all__ = [
    "Answer",
    "ClientDouble",
    "EdgeDouble",
    "HostDouble",
    "SinkDouble",
    "SourceDouble",
    "ToolboxDouble",
    "makeContext",
    "makeResponse",
]

HeaderPairs = Mapping[str, str] | Iterable[tuple[str, str]]
Pieces = bytes | Sequence[bytes]


@implementer(IBodySource)
class SourceDouble:
    """
    Where a body comes from: gives its pieces one by one, as long as it is not paused.

    :ivar body: the body it feeds.
    :ivar calls: what it was asked: ``"pause"``, ``"resume"``, ``"stop"``, in order.
    :ivar paused: whether it has to wait.
    :ivar stopped: whether the rest is not wanted.
    :ivar pending: the pieces not given yet.
    """

    def __init__(
        self, pieces: Iterable[bytes] = (), length: int | None = None, trailers: Headers | None = None
    ) -> None:
        self.body = Body(self, length)
        self.calls: list[str] = []
        self.paused = False
        self.stopped = False
        self.pending = deque(pieces)
        self._trailers = trailers
        self._begun = False
        self._giving = False
        self._finished = False

    def begin(self) -> None:
        """Give pieces until paused or stopped, and then the end."""
        self._begun = True
        self._give()

    def feed(self, data: bytes) -> None:
        """Give one piece, whether asked to wait or not: what is on its way cannot be called back."""
        self.body.feed(data)

    def finish(self) -> None:
        """The body is complete."""
        self._finished = True
        self.body.finish(self._trailers)

    def fail(self, reason: Exception) -> None:
        """The rest will never come."""
        self._finished = True
        self.body.fail(Failure(reason))

    def pauseProducing(self) -> None:
        self.calls.append("pause")
        self.paused = True

    def resumeProducing(self) -> None:
        self.calls.append("resume")
        self.paused = False
        if self._begun:
            self._give()

    def stopProducing(self) -> None:
        self.calls.append("stop")
        self.stopped = True
        self.pending.clear()

    def _give(self) -> None:
        if self._giving:
            return
        self._giving = True
        try:
            while self.pending and not self.paused and not self.stopped:
                self.body.feed(self.pending.popleft())
        finally:
            self._giving = False
        if not self.pending and not self.paused and not self.stopped and not self._finished:
            self.finish()


@implementer(IBodySink)
class SinkDouble:
    """
    Where a body goes.

    :ivar pieces: what has arrived.
    :ivar finished: whether the body is complete.
    :ivar failure: why it never will be, or None.
    """

    def __init__(self, body: Body | None = None) -> None:
        self.pieces: list[bytes] = []
        self.finished = False
        self.failure: Failure | None = None
        if body is not None:
            body.attach(self)

    @property
    def data(self) -> bytes:
        """All that has arrived."""
        return b"".join(self.pieces)

    def bodyData(self, data: bytes) -> None:
        assert data and not self.ended, "a sink gets no empty piece, and nothing after the end"
        self.pieces.append(data)

    def bodyFinished(self) -> None:
        assert not self.ended, "a body ends once"
        self.finished = True

    def bodyFailed(self, reason: Failure) -> None:
        assert not self.ended, "a body ends once"
        self.failure = reason

    @property
    def ended(self) -> bool:
        """Whether the body is complete or has failed."""
        return self.finished or self.failure is not None


@dataclass
class ClientAnswer:
    """What :class:`ClientDouble` answers: the part of a treq response that plugins use."""

    code: int
    body: bytes = b""
    headers: Headers = field(default_factory=Headers)

    def content(self) -> Deferred[bytes]:
        """The body."""
        return succeed(self.body)

    def text(self, encoding: str = "utf-8") -> Deferred[str]:
        """The body, decoded."""
        return succeed(self.body.decode(encoding))

    def json(self) -> Deferred[Any]:
        """The body, parsed."""
        return succeed(json.loads(self.body))


class ClientDouble:
    """
    Stands for ``context.client``: records requests and answers with what was laid ready.

    :ivar requests: method, url and keyword arguments of each call.
    """

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, Any]]] = []
        self._answers: dict[tuple[str, str], ClientAnswer | Exception | Deferred[Any]] = {}

    def answers(self, method: str, url: str, answer: ClientAnswer | Exception | Deferred[Any]) -> None:
        """Have a request answered so; an exception is what the Deferred fails with."""
        self._answers[method, url] = answer

    def request(self, method: str, url: str, **arguments: Any) -> Deferred[Any]:
        """As ``treq.request``. :raises AssertionError: if nothing was laid ready."""
        self.requests.append((method, url, arguments))
        assert (method, url) in self._answers, f"no answer was laid ready for {method} {url}"
        answer = self._answers[method, url]
        if isinstance(answer, Deferred):
            return answer
        ready: Deferred[Any] = Deferred()
        if isinstance(answer, Exception):
            ready.errback(answer)
        else:
            ready.callback(answer)
        return ready

    def get(self, url: str, **arguments: Any) -> Deferred[Any]:
        """As ``treq.get``."""
        return self.request("GET", url, **arguments)

    def post(self, url: str, **arguments: Any) -> Deferred[Any]:
        """As ``treq.post``."""
        return self.request("POST", url, **arguments)


class ToolboxDouble:
    """
    What a plugin reaches through its context.

    :ivar client: a :class:`ClientDouble`.
    :ivar events: what was logged.
    :ivar provided: interface to object, for ``context.services``.
    """

    def __init__(self, name: str = "plugin", provided: Mapping[InterfaceClass, Any] | None = None) -> None:
        self.name = name
        self.client = ClientDouble()
        self.events: list[Any] = []
        self.log = Logger(namespace=f"plugin.{name}", observer=self.events.append)  # type: ignore[arg-type]
        self.provided = dict(provided or {})

    def service(self, interface: InterfaceClass) -> Any:
        """:raises KeyError: if nothing is provided for it."""
        return self.provided[interface]


class HostDouble(Host):
    """
    What a plugin is given by ``attach``: the edge's own host, on a clock that a test moves.

    ::

        host = HostDouble()
        plugin.attach(host)
        plugin.start()
        host.clock.advance(60)
        host.work()
        self.assertEqual(self.successResultOf(host.close()), [])

    :ivar clock: moves when told to.
    :ivar clientDouble: answers the requests of ``client``.
    :ivar events: what was logged.
    """

    def __init__(self, name: str = "plugin", version: str = "1") -> None:
        self.clock = _ReactorDouble()
        self.clientDouble = ClientDouble()
        super().__init__(self.clock, name, version, lambda: self.clientDouble)
        self.events: list[Any] = []
        self.log = Logger(namespace=f"plugin.{name}", observer=self.events.append)  # type: ignore[arg-type]

    def work(self) -> None:
        """Do what waits for a thread, here and now."""
        self.clock.work()


class _ReactorDouble(Clock):
    """A clock whose one thread works when told to."""

    def __init__(self) -> None:
        super().__init__()
        self._jobs: deque[Callable[[], None]] = deque()

    def getThreadPool(self) -> _ReactorDouble:
        return self

    def callFromThread(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        function(*args, **kwargs)

    def callInThreadWithCallback(
        self, onResult: Callable[[bool, Any], None], function: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> None:
        def job() -> None:
            try:
                result, success = function(*args, **kwargs), True
            except Exception:  # as a thread of the reactor would
                result, success = Failure(), False
            onResult(success, result)

        self._jobs.append(job)

    def work(self) -> None:
        while self._jobs:
            self._jobs.popleft()()


def makeContext(
    method: str = "GET",
    target: str = "/",
    headers: HeaderPairs = (),
    body: Pieces | Body | None = None,
    *,
    host: str = "www.example.com",
    scheme: str = "https",
    version: str = "1.1",
    client: str = "192.0.2.1",
    connected: str | None = None,
    route: str = "default",
    id: str = "request-1",
    tls: Any = None,
    toolbox: ToolboxDouble | None = None,
) -> Context:
    """
    A context as it is when the head of a request has arrived.

    :param body: bytes (complete at once), pieces (given one by one, by a :class:`SourceDouble`), or a body.
    :param client: the client's address.
    :param connected: the address at the other end of the connection, if that is a trusted proxy.
    """
    fields = Headers.of(headers)
    if "Host" not in fields:
        fields.fields.insert(0, (b"host", b"Host", host.encode("latin-1")))
    request = Request(
        method.encode("ascii"),
        target.encode("latin-1"),
        host.encode("latin-1"),
        version,
        scheme,
        fields,
        Peer(client, 50000, client if connected is None else connected),
        None if body is None else _bodyOf(body),
        tls,
    )
    context = Context(request, route, id.encode("ascii"))
    context._toolbox = ToolboxDouble() if toolbox is None else toolbox
    return context


def makeResponse(status: int = 200, headers: HeaderPairs = (), body: Pieces | Body = b"") -> Response:
    """An answer of the origin."""
    return Response(status, None, Headers.of(headers), _bodyOf(body))


def _bodyOf(body: Pieces | Body) -> Body:
    if isinstance(body, Body):
        return body
    return Body.of(body) if isinstance(body, bytes) else SourceDouble(body).body


def _begin(body: Body | None) -> None:
    if body is not None and isinstance(body._source, SourceDouble):
        body._source.begin()


@dataclass
class Answer:
    """
    How one request went.

    :ivar status: what the client got.
    :ivar headers: what the client got.
    :ivar body: what the client got.
    :ivar context: the context, after the end.
    :ivar forwarded: the request as it went to the origin: None if a plugin answered.
    :ivar received: the body that the origin received.
    """

    status: int
    headers: Headers
    body: bytes
    context: Context
    forwarded: Request | None
    received: bytes


class EdgeDouble:
    """
    An edge of one route whose chain is the middleware given, lowest priority first.

    :ivar toolbox: what the plugins find in their contexts; one for all.
    """

    def __init__(self, *chain: IMiddleware, toolbox: ToolboxDouble | None = None) -> None:
        self.toolbox = ToolboxDouble() if toolbox is None else toolbox
        self._chain = chain
        self.originAnswers()

    def originAnswers(self, status: int = 200, headers: HeaderPairs = (), body: Pieces = b"") -> None:
        """What the origin answers from now on; pieces arrive one by one."""
        pairs = list(headers.items() if isinstance(headers, Mapping) else headers)
        self._origin = (status, pairs, body)

    def get(self, target: str = "/", headers: HeaderPairs = (), **more: Any) -> Answer:
        """A GET request; arguments as of :func:`makeContext`."""
        return self.request("GET", target, headers, **more)

    def request(
        self, method: str, target: str = "/", headers: HeaderPairs = (), body: Pieces | None = None, **more: Any
    ) -> Answer:
        """
        A request whose plugins answer without waiting for anything outside.

        :raises AssertionError: if a plugin still waits; then use :meth:`send`.
        """
        results: list[Any] = []
        self.send(makeContext(method, target, headers, body, toolbox=self.toolbox, **more)).addBoth(results.append)
        assert results, "a plugin is still waiting: use EdgeDouble.send and fire what it waits for"
        result = results[0]
        if isinstance(result, Failure):
            result.raiseException()
        assert isinstance(result, Answer)
        return result

    def send(self, context: Context) -> Deferred[Answer]:
        """Take a context through the chain; fails with what a plugin raises, or why a body failed."""
        return Deferred.fromCoroutine(self._send(context))

    async def _send(self, context: Context) -> Answer:
        outcome = context.outcome = Outcome()
        try:
            answer = await self._run(context, outcome)
            outcome.status, outcome.bytesOut, outcome.bytesIn = answer.status, len(answer.body), len(answer.received)
            return answer
        except EdgeError as error:
            outcome.status, outcome.error = error.status, error
            raise
        finally:
            for middleware in self._chain:
                if IObserver.providedBy(middleware):
                    middleware.finished(context)

    async def _run(self, context: Context, outcome: Outcome) -> Answer:
        passed: list[IMiddleware] = []
        forwarded, received = None, b""
        for middleware in self._chain:
            waiting = _started(middleware.handle(context))
            _begin(context.request._body)
            verdict = await waiting if isawaitable(waiting) else waiting
            assert verdict is True or verdict is False, f"handle returns a bool, not {verdict!r}"
            if not verdict:
                assert context.response is not None, "handle returned False, but there is no context.response"
                outcome.interruptedBy = str(middleware.name)
                break
            passed.append(middleware)
        else:
            forwarded, received = context.request, _drained(context.request._body)
            status, headers, body = self._origin
            context.response = makeResponse(status, headers, body)
        response = context.response
        assert response is not None
        for middleware in reversed(passed):
            if IResponseMiddleware.providedBy(middleware):
                changed = _started(middleware.handleResponse(context))
                _begin(response.body)
                if isawaitable(changed):
                    await changed
        assert context.response is not None
        data = _drained(context.response.body)
        return Answer(context.response.status, context.response.headers, data, context, forwarded, received)


def _started(result: Any) -> Any:
    # A coroutine does nothing until somebody awaits it; the body arrives while it waits.
    return Deferred.fromCoroutine(result) if iscoroutine(result) else result


def _drained(body: Body | None) -> bytes:
    if body is None:
        return b""
    sink = SinkDouble(body)
    _begin(body)
    if sink.failure is not None:
        sink.failure.raiseException()
    assert sink.finished, "the body never ended"
    return sink.data
