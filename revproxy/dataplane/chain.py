"""
The compiled order of middleware, run forth and back.

While middleware answer at once, a request goes through in one loop; the first Deferred or coroutine moves the rest
into its callbacks. Both paths run the same rules, and a test runs the same suite over both.

The rules: on the way in, links run in order until one answers False. On the way out, those that let the request pass
run in reverse. Observers hear of every end. What a link raises, or answers instead of a bool, or does not answer in
time, is its own failure: with ``on_error: closed`` the request fails with 500, with ``open`` the link is passed over.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from inspect import isawaitable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface.interface import InterfaceClass

from revproxy.context import Context, Response
from revproxy.dataplane.deadlines import NEVER, Deadlines
from revproxy.errors import EdgeError, PluginFailed
from revproxy.interfaces import IMiddleware, IObserver, IResponseMiddleware

Foreign = (Exception, SystemExit)
"""What may come out of foreign code and must not go further."""


class Link:
    """
    One middleware in a chain, with what the edge knows and holds for it (a :class:`revproxy.context.Toolbox`).

    :ivar failures: how often it raised or answered nonsense.
    :ivar timeouts: how often it did not answer in time.
    """

    __slots__ = (
        "_client",
        "_makeClient",
        "_services",
        "bodyBytes",
        "deadlines",
        "failures",
        "finished",
        "handle",
        "handleResponse",
        "instance",
        "log",
        "name",
        "open",
        "timeout",
        "timeouts",
        "version",
    )

    def __init__(
        self,
        instance: Any,
        name: str,
        version: str,
        *,
        open: bool,
        timeout: float | None,
        deadlines: Deadlines,
        makeClient: Callable[[], Any],
        services: Callable[[InterfaceClass], Any],
        bodyBytes: int | None = None,
    ) -> None:
        """
        :param bodyBytes: the most of a body that it may hold in memory, or None.
        :param open: pass the link over when it fails.
        :param timeout: seconds an asynchronous answer may take, or None.
        """
        self.instance = instance
        self.name = name
        self.version = version
        self.open = open
        self.timeout = timeout
        self.bodyBytes = bodyBytes
        self.deadlines = deadlines
        self.handle: Callable[[Context], Any] = instance.handle
        self.handleResponse: Callable[[Context], Any] | None = (
            instance.handleResponse if IResponseMiddleware.providedBy(instance) else None
        )
        self.finished: Callable[[Context], Any] | None = (
            instance.finished if IObserver.providedBy(instance) else None
        )
        self.log = Logger(namespace=f"plugin.{name}")
        self.failures = 0
        self.timeouts = 0
        self._makeClient = makeClient
        self._client: Any = None
        self._services = services

    @property
    def client(self) -> Any:
        """The plugin's own treq client, made when first asked for."""
        if self._client is None:
            self._client = self._makeClient()
        return self._client

    def service(self, interface: InterfaceClass) -> Any:
        """What a running plugin provides for an interface. :raises KeyError: if none does."""
        return self._services(interface)

    def failed(self, context: Context, failure: Failure) -> None:
        """
        Count, log and note a failure of this link; return if it is to be passed over.

        :raises PluginFailed: if its policy is ``closed``.
        :raises EdgeError: if it only passed on why a body it read broke off, which is no failure of its own.
        """
        if isinstance(failure.value, EdgeError) and context.bodyBrokenBy(failure.value):
            raise failure.value
        if failure.check(PluginTimeout):
            self.timeouts += 1
        self.failures += 1
        self.log.failure("{name} {version} failed", failure, name=self.name, version=self.version)
        if self.open:
            context.pluginsSkipped += (self.name,)
        else:
            context.pluginErrors += (self.name,)
            raise PluginFailed(f"{self.name} {self.version}: {failure.getErrorMessage()}")


def unsendable(response: Any) -> str | None:
    """What keeps plugins' work from being an answer, or None."""
    if not isinstance(response, Response):
        return "left no response"
    status = response.status
    if not isinstance(status, int) or not (200 <= status <= 599 or (status == 101 and hasattr(response, "tunnel"))):
        return f"left a response of status {status!r}"
    return None


class PluginTimeout(Exception):
    """A middleware did not answer within its time."""


class _Answer:
    """
    Waits for one asynchronous answer of foreign code, no longer than its link's time, and can be cancelled.

    While the plugin waits for a body, its time does not run: that is the client's slowness, or the origin's, and they
    have deadlines of their own.
    """

    __slots__ = ("_context", "_inner", "_link", "_over", "deadline", "outer")

    def __init__(self, context: Context, link: Link, inner: Deferred[Any]) -> None:
        self._context = context
        self._link = link
        self._inner = inner
        self._over = False
        self.outer: Deferred[Any] = Deferred(self._cancelled)
        deadlines = link.deadlines
        self.deadline = NEVER
        if link.timeout is not None:
            self.deadline = deadlines.now() + link.timeout
            deadlines.watch(self)

    def arrived(self, result: Any) -> None:
        """The answer. After a time-out or cancellation nobody waits for it any more."""
        self._link.deadlines.forget(self)
        if self._over:
            return
        self._over = True
        if not isinstance(result, Failure):
            self.outer.callback(result)
        elif result.check(CancelledError):
            # Not our doing: somebody inside the plugin cancelled. To the chain, cancelled means that the client left.
            self.outer.errback(Failure(RuntimeError("the middleware's own Deferred was cancelled")))
        else:
            self.outer.errback(result)

    def deadlineExpired(self) -> None:
        if self._link.timeout is not None and self._context.isReadingBody:
            self.deadline = self._link.deadlines.now() + self._link.timeout
            return
        # The inner Deferred may ignore being cancelled; the request does not wait for it any longer.
        self._over = True
        self._link.deadlines.forget(self)
        self._inner.cancel()
        self.outer.errback(Failure(PluginTimeout(f"no answer within {self._link.timeout} s")))

    def _cancelled(self, outer: Deferred[Any]) -> None:
        self._over = True
        self._link.deadlines.forget(self)
        self._inner.cancel()


def _waitFor(context: Context, link: Link, answer: Any, method: str, wanted: str) -> Deferred[Any]:
    """:raises TypeError: if it is nothing that can be waited for: what the method answered, and what was wanted."""
    if isinstance(answer, Deferred):
        inner = answer
    elif isawaitable(answer):
        inner = Deferred.fromCoroutine(_awaited(answer))
    else:
        raise TypeError(f"{method} answered {answer!r}: it must be {wanted}, or a Deferred or coroutine of that")
    waiting = _Answer(context, link, inner)
    inner.addBoth(waiting.arrived)
    return waiting.outer


async def _awaited(answer: Awaitable[Any]) -> Any:
    return await answer


class Chain:
    """
    The middleware of one route, in order.

    :ivar links: all of them.
    :ivar hasResponders: whether any of them wants responses.
    :ivar hasObservers: whether any of them wants to know the end.
    """

    __slots__ = ("_bounds", "_observers", "_responders", "hasObservers", "hasResponders", "links")

    def __init__(self, links: Sequence[Link]) -> None:
        for link in links:
            if not IMiddleware.providedBy(link.instance):
                raise TypeError(f"{link.name} does not provide IMiddleware")
        self.links = tuple(links)
        self._bounds = any(link.bodyBytes is not None for link in links)
        self._responders = tuple(
            (index, link, link.handleResponse)
            for index, link in reversed(list(enumerate(links)))
            if link.handleResponse is not None
        )
        self.hasResponders = bool(self._responders)
        self.hasObservers = any(link.finished is not None for link in links)
        self._observers = tuple((link, link.finished) for link in links if link.finished is not None)

    def enter(self, context: Context) -> bool | Deferred[bool]:
        """
        Run the way in. Sets ``context.depth`` to the number of links that let the request pass.

        :returns: True to go on to the leaf; False if ``context.response`` is the answer; or a Deferred of that.
        :raises PluginFailed: if a link failed and its policy is ``closed``.
        """
        depth = 0
        bounds = self._bounds
        for link in self.links:
            context._toolbox = link
            if bounds:
                context.request.body.readLimit = link.bodyBytes
            try:
                verdict = link.handle(context)
            except Foreign:
                context.depth = depth
                link.failed(context, Failure())
                verdict = True
            if verdict is True:
                depth += 1
            elif verdict is False:
                context.depth = depth
                return self._interrupted(context, link)
            else:
                context.depth = depth
                return Deferred.fromCoroutine(self._enterLater(context, depth, verdict))
        context.depth = depth
        return True

    async def _enterLater(self, context: Context, depth: int, verdict: Any) -> bool:
        """The rest of the way in, from the link whose answer is awaited."""
        links = self.links
        while True:
            link = links[depth]
            try:
                if verdict is not True and verdict is not False:
                    verdict = await _waitFor(context, link, verdict, "handle", "True or False")
                    if verdict is not True and verdict is not False:
                        raise TypeError(f"handle answered {verdict!r}, which is neither True nor False")
            except CancelledError:
                raise
            except Foreign:
                link.failed(context, Failure())
                verdict = True
            if verdict is False:
                return self._interrupted(context, link)
            depth += 1
            context.depth = depth
            if depth == len(links):
                return True
            link = links[depth]
            context._toolbox = link
            if self._bounds:
                context.request.body.readLimit = link.bodyBytes
            try:
                verdict = link.handle(context)
            except Foreign:
                link.failed(context, Failure())
                verdict = True

    def _interrupted(self, context: Context, link: Link) -> bool:
        wrong = unsendable(context.response)
        if wrong is not None:
            try:
                raise TypeError(f"handle answered False, but {wrong}: return context.respond(status, body)")
            except TypeError:
                link.failed(context, Failure())
            # Passed over is no option once it said stop: nobody knows what it wanted.
            raise PluginFailed(f"{link.name} {link.version}: stopped the request, but {wrong}")
        context.interruptedBy = link.name
        return False

    def leave(self, context: Context) -> Deferred[None] | None:
        """
        Run the way out for the links that let the request pass.

        :returns: None when done, or a Deferred of that.
        :raises PluginFailed: as :meth:`enter`.
        """
        responders = self._responders
        depth = context.depth
        for index, link, handleResponse in responders:
            if index >= depth:
                continue
            context._toolbox = link
            if self._bounds and context.response is not None:
                context.response.body.readLimit = link.bodyBytes
            try:
                answer = handleResponse(context)
            except Foreign:
                link.failed(context, Failure())
                continue
            # False too: ``return context.respond(…)`` puts another answer in the place of this one.
            if answer is not None and answer.__class__ is not bool:
                return Deferred.fromCoroutine(self._leaveLater(context, index, answer))
        return None

    async def _leaveLater(self, context: Context, waiting: int, answer: Any) -> None:
        """The rest of the way out, from the link (by its index) whose answer is awaited."""
        for index, link, handleResponse in self._responders:
            if index > waiting:
                continue
            context._toolbox = link
            if self._bounds and context.response is not None:
                context.response.body.readLimit = link.bodyBytes
            try:
                if index < waiting:
                    answer = handleResponse(context)
                if answer is not None and answer.__class__ is not bool:
                    answer = await _waitFor(context, link, answer, "handleResponse", "None")
                    if answer is not None and answer.__class__ is not bool:
                        raise TypeError(f"handleResponse answered {answer!r}: it must be None")
            except CancelledError:
                raise
            except Foreign:
                link.failed(context, Failure())

    def finished(self, context: Context) -> None:
        """Tell the observers. What they raise is logged."""
        for link, finished in self._observers:
            context._toolbox = link
            try:
                finished(context)
            except Foreign:
                link.failures += 1
                link.log.failure("{name} {version} failed as observer", name=link.name, version=link.version)
