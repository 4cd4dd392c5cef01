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

:func:`loadPlugin` loads a folder as the edge does, so a test that stands beside ``plugin.py`` begins with
``plugin = loadPlugin(Path(__file__).parent)`` and makes instances with ``plugin.make({"text": "hello"})``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from inspect import isawaitable, iscoroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from revproxy.bodydoubles import SinkDouble, SourceDouble
from revproxy.cli.loadedplugin import LoadedPlugin, PluginRefused, loadPlugin
from revproxy.context import Body, Context, Headers, Outcome, Peer, Request, Response
from revproxy.destination import SETTLED, NamedPlace
from revproxy.errors import EdgeError, Refused
from revproxy.guardedmiddleware import guardedMiddleware
from revproxy.hostdoubles import ClientAnswer, ClientDouble, DestinationsDouble, HostDouble, ToolboxDouble
from revproxy.interfaces import IMiddleware, IObserver, IResponseMiddleware
from revproxy.permissions import Permissions

__all__ = [
    "Answer",
    "ClientAnswer",
    "ClientDouble",
    "DestinationsDouble",
    "EdgeDouble",
    "HostDouble",
    "LoadedPlugin",
    "PluginRefused",
    "SinkDouble",
    "SourceDouble",
    "ToolboxDouble",
    "loadPlugin",
    "makeContext",
    "makeResponse",
]

HeaderPairs = Mapping[str, str] | Iterable[tuple[str, str]]
"""Header fields: names and values."""

Pieces = bytes | Sequence[bytes]
"""A body: whole, or as it arrives piece by piece."""


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
    upstream: str | None = None,
    id: str = "request-1",
    tls: Any = None,
    toolbox: ToolboxDouble | None = None,
) -> Context:
    """
    A context as it is when the head of a request has arrived.

    :param body: bytes (complete at once), pieces (given one by one, by a :class:`SourceDouble`), or a body.
    :param client: the client's address.
    :param connected: the address at the other end of the connection, if that is a trusted proxy.
    :param upstream: the name of the route's upstream, if it has one.
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
    context = Context(request, NamedPlace(route, upstream), id.encode("ascii"))
    context._toolbox = ToolboxDouble() if toolbox is None else toolbox
    context._exchange = _Interim()
    request._context = context
    return context


class _Interim:
    """Keeps what is sent before the final answer."""

    isAnswered = False

    def __init__(self) -> None:
        self.sent: list[tuple[int, Headers]] = []

    def informational(self, status: int, headers: Headers) -> bool:
        self.sent.append((status, headers))
        return True


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
    :ivar rerouted: how often a plugin had the route chosen anew.
    """

    status: int
    headers: Headers
    body: bytes
    context: Context
    forwarded: Request | None
    received: bytes
    rerouted: int = 0

    @property
    def informational(self) -> list[tuple[int, Headers]]:
        """What plugins sent before the final answer."""
        exchange = self.context._exchange
        return exchange.sent if isinstance(exchange, _Interim) else []


class EdgeDouble:
    """
    An edge of one route whose chain is the middleware given, lowest priority first. A plugin that has the route chosen
    anew finds itself on the same one: ``answer.rerouted`` counts it.

    :ivar toolbox: what the plugins find in their contexts; one for all.
    """

    def __init__(
        self,
        *chain: IMiddleware,
        toolbox: ToolboxDouble | None = None,
        upstreams: Mapping[str, Sequence[str]] | None = None,
        permissions: Permissions | Mapping[str, Any] | None = None,
    ) -> None:
        """
        :param upstreams: what plugins may choose among: by name, the URLs of targets. Not with a toolbox.
        :param permissions: what they may touch, as plugin.json has it: ``plugin.permissions`` of :func:`loadPlugin`.
            None: everything.
        """
        self.toolbox = ToolboxDouble(upstreams=upstreams) if toolbox is None else toolbox
        may = Permissions.of(permissions) if isinstance(permissions, Mapping) else permissions
        self.toolbox.client.granted = None if may is None else may.upstreams
        self._chain: tuple[IMiddleware, ...] = tuple(guardedMiddleware(middleware, may) for middleware in chain)
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
        outcome = context._outcome = Outcome()
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
                    done = _started(middleware.finished(context))
                    if isawaitable(done):
                        await done

    async def _run(self, context: Context, outcome: Outcome) -> Answer:
        passed: list[IMiddleware] = []
        forwarded, received, rerouted = None, b"", 0
        try:
            rerouted = await self._wayIn(context, outcome, passed)
            if outcome.interruptedBy is None:
                received = await _drained(context.request._body)
                forwarded = context.request
                status, headers, body = self._origin
                context.response = makeResponse(status, headers, body)
        except Refused as refused:
            outcome.interruptedBy = context._interruptedBy
            context.respond(refused.status, refused.body, dict(refused.headers))
        try:
            await self._wayOut(context, passed)
            data = await _drained(_answerOf(context).body)
        except Refused as refused:
            outcome.interruptedBy = context._interruptedBy
            context.respond(refused.status, refused.body, dict(refused.headers))
            data = refused.body
        response = _answerOf(context)
        return Answer(response.status, response.headers, data, context, forwarded, received, rerouted)

    async def _wayIn(self, context: Context, outcome: Outcome, passed: list[IMiddleware]) -> int:
        """:returns: how often a plugin had the route chosen anew."""
        rerouted = 0
        for middleware in self._chain:
            verdict = await _called(context, middleware, middleware.handle, lambda: context.request._body)
            assert verdict is True or verdict is False, f"handle returns a bool, not {verdict!r}"
            if not verdict:
                assert context.response is not None, "handle returned False, but there is no context.response"
                outcome.interruptedBy = str(middleware.name)
                return rerouted
            passed.append(middleware)
            goal = context._goal
            if goal is not None and goal.isRerouting:
                goal.isRerouting = False
                rerouted += 1
        if context._goal is None:
            context._goal = SETTLED
        else:
            context._goal.isSettled = True
        return rerouted

    async def _wayOut(self, context: Context, passed: list[IMiddleware]) -> None:
        response = _answerOf(context)
        for middleware in reversed(passed):
            if IResponseMiddleware.providedBy(middleware):
                await _called(context, middleware, middleware.handleResponse, lambda: response.body)


async def _called(
    context: Context, middleware: IMiddleware, call: Callable[[Context], Any], body: Callable[[], Body | None]
) -> Any:
    """What a call answers, while a body arrives."""
    try:
        answer = _started(call(context))
        _begin(body())
        return await answer if isawaitable(answer) else answer
    except Refused:
        context._interruptedBy = context._interruptedBy or str(middleware.name)
        raise


def _answerOf(context: Context) -> Response:
    response = context.response
    assert response is not None
    return response


def _started(result: Any) -> Any:
    # A coroutine does nothing until somebody awaits it; the body arrives while it waits.
    return Deferred.fromCoroutine(result) if iscoroutine(result) else result


class _Drain(SinkDouble):
    """:ivar over: fires when the body has ended."""

    def __init__(self, body: Body) -> None:
        self.over: Deferred[bytes] = Deferred()
        super().__init__(body)

    def bodyFinished(self) -> None:
        super().bodyFinished()
        self.over.callback(self.data)

    def bodyFailed(self, reason: Failure) -> None:
        super().bodyFailed(reason)
        self.over.errback(reason)


async def _drained(body: Body | None) -> bytes:
    if body is None:
        return b""
    drain = _Drain(body)
    _begin(body)
    return await drain.over
