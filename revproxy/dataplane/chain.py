"""
The compiled order of middleware, run forth and back.

While middleware answer at once, a request goes through in one loop; the first Deferred or coroutine moves the rest
into its callbacks. Both paths run the same rules, and a test runs the same suite over both.

The rules: on the way in, links run in order until one answers False. On the way out, those that let the request pass
run in reverse. Observers hear of every end. What a link raises, or answers instead of a bool, or does not answer in
time, is its own failure: with ``on_error: closed`` the request fails with 500, with ``open`` the link is passed over.

What each plugin does is counted in its :class:`~revproxy.dataplane.counters.Tally`; what requests are under way, in the
chain, so that whoever has taken it out of service knows when nobody uses its plugins any more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from inspect import isawaitable
from itertools import cycle
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface.interface import InterfaceClass

from revproxy.context import Context, Response
from revproxy.dataplane.counters import SAMPLE, Tally
from revproxy.errors import EdgeError, Foreign, PluginFailed, PluginQuarantined, PluginStalled
from revproxy.interfaces import IMiddleware, IObserver, IResponseMiddleware
from revproxy.loop.deadlines import NEVER, Deadlines


class Link:
    """
    One middleware in a chain, with what the edge knows and holds for it (a :class:`revproxy.context.Toolbox`).

    :ivar tally: what its version has done, here and elsewhere.
    """

    __slots__ = (
        "_client",
        "_makeClient",
        "_services",
        "bodyBytes",
        "deadlines",
        "finished",
        "handle",
        "handleResponse",
        "instance",
        "log",
        "name",
        "onFailure",
        "open",
        "tally",
        "timeout",
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
        tally: Tally | None = None,
        onFailure: Callable[[Failure], None] | None = None,
    ) -> None:
        """
        :param bodyBytes: the most of a body that it may hold in memory, or None.
        :param deadlines: for asynchronous answers; their clock measures self time, too.
        :param makeClient: makes :attr:`client`.
        :param onFailure: told of each of its failures, after it was counted.
        :param open: pass the link over when it fails.
        :param services: what a running plugin provides for an interface, or KeyError.
        :param tally: of its version; by default one of its own.
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
        self.tally = Tally() if tally is None else tally
        self.onFailure = onFailure
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
        self.blame(failure, "{name} {version} failed")
        if self.open:
            context.pluginsSkipped += (self.name,)
        else:
            context.pluginErrors += (self.name,)
            raise PluginFailed(f"{self.name} {self.version}: {failure.getErrorMessage()}")

    def blame(self, failure: Failure, message: str) -> None:
        """
        Count and log a failure of this link, and tell who wants to know.

        :param message: for the log, with ``{name}`` and ``{version}``.
        """
        tally = self.tally
        tally.errors += 1
        if failure.check(PluginTimeout):
            tally.timeouts += 1
        elif failure.check(PluginStalled):
            tally.stalls += 1
        self.log.failure(message, failure, name=self.name, version=self.version)
        if self.onFailure is not None:
            try:
                self.onFailure(failure)
            except Exception:
                self.log.failure("while hearing of a failure of {name} {version}", name=self.name, version=self.version)


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
        # A coroutine begins to run only here. To the price of one, looking at the clock every time adds little.
        now = link.deadlines.now
        began = now()
        inner = Deferred.fromCoroutine(_awaited(answer))
        link.tally.seconds += now() - began
    else:
        raise TypeError(f"{method} answered {answer!r}: it must be {wanted}, or a Deferred or coroutine of that")
    waiting = _Answer(context, link, inner)
    inner.addBoth(waiting.arrived)
    return waiting.outer


async def _awaited(answer: Awaitable[Any]) -> Any:
    return await answer


def _timed(call: Callable[[Context], Any], link: Link, weight: int) -> Callable[[Context], Any]:
    """The same call, which adds its time to the link's tally, so many times."""
    now = link.deadlines.now
    tally = link.tally

    def timed(context: Context) -> Any:
        began = now()
        try:
            return call(context)
        finally:
            tally.seconds += (now() - began) * weight

    return timed


def _rounds(plain: Any, timed: Any) -> Callable[[], Any]:
    """What gives one or the other: the timed one once in :data:`SAMPLE` times, and not first, when all is cold."""
    before = SAMPLE // 2
    return cycle([plain] * before + [timed] + [plain] * (SAMPLE - before - 1)).__next__


_Calls = tuple[tuple[Link, Callable[[Context], Any], Tally], ...]
_Responders = tuple[tuple[int, Link, Callable[[Context], Any]], ...]


class Chain:
    """
    The middleware of one route, in order. Compiled when it is made: what becomes of its links later does not matter.

    :ivar active: exchanges that have begun with it and not ended.
    :ivar links: all of them.
    :ivar hasResponders: whether any of them wants responses.
    :ivar hasObservers: whether any of them wants to know the end.
    """

    __slots__ = (
        "__weakref__",
        "_bounds",
        "_idle",
        "_later",
        "_laterResponders",
        "_nextCalls",
        "_nextResponders",
        "_observers",
        "active",
        "hasObservers",
        "hasResponders",
        "links",
    )

    def __init__(self, links: Sequence[Link]) -> None:
        for link in links:
            if not IMiddleware.providedBy(link.instance):
                raise TypeError(f"{link.name} does not provide IMiddleware")
        self.active = 0
        self._idle: list[Deferred[None]] | None = None
        self.links = tuple(links)
        self._bounds = any(link.bodyBytes is not None for link in links)

        def calls(weight: int) -> _Calls:
            return tuple((link, _timed(link.handle, link, weight), link.tally) for link in links)

        def responders(weight: int) -> _Responders:
            return tuple((index, link, _timed(call, link, weight)) for index, link, call in plain)

        self._nextCalls: Callable[[], _Calls] = _rounds(
            tuple((link, link.handle, link.tally) for link in links), calls(SAMPLE)
        )
        self._later = calls(1)
        plain: _Responders = tuple(
            (index, link, link.handleResponse)
            for index, link in reversed(list(enumerate(links)))
            if link.handleResponse is not None
        )
        self._nextResponders: Callable[[], _Responders] = _rounds(plain, responders(SAMPLE))
        self._laterResponders = responders(1)
        self.hasResponders = bool(plain)
        self.hasObservers = any(link.finished is not None for link in links)
        self._observers = tuple((link, link.finished) for link in links if link.finished is not None)

    def enter(self, context: Context) -> bool | Deferred[bool]:
        """
        Run the way in. Sets ``context.depth`` to the number of links that let the request pass.

        :returns: True to go on to the leaf; False if ``context.response`` is the answer; or a Deferred of that.
        :raises PluginFailed: if a link failed and its policy is ``closed``.
        :raises PluginQuarantined: what stands in the place of a link raised it; this is nobody's failure.
        """
        depth = 0
        bounds = self._bounds
        for link, handle, tally in self._nextCalls():
            context._toolbox = link
            if bounds:
                context.request.body.readLimit = link.bodyBytes
            tally.calls += 1
            try:
                verdict = handle(context)
            except PluginQuarantined:
                tally.calls -= 1
                context.depth = depth
                raise
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
        calls = self._later
        while True:
            link = calls[depth][0]
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
            if depth == len(calls):
                return True
            link, handle, tally = calls[depth]
            context._toolbox = link
            if self._bounds:
                context.request.body.readLimit = link.bodyBytes
            tally.calls += 1
            try:
                verdict = handle(context)
            except PluginQuarantined:
                tally.calls -= 1
                raise
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
        link.tally.interrupts += 1
        context.interruptedBy = link.name
        return False

    def leave(self, context: Context) -> Deferred[None] | None:
        """
        Run the way out for the links that let the request pass.

        :returns: None when done, or a Deferred of that.
        :raises PluginFailed: as :meth:`enter`.
        """
        depth = context.depth
        for index, link, handleResponse in self._nextResponders():
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
        for index, link, handleResponse in self._laterResponders:
            if index > waiting:
                continue
            context._toolbox = link
            if self._bounds and context.response is not None:
                context.response.body.readLimit = link.bodyBytes
            if index < waiting:
                try:
                    answer = handleResponse(context)
                except Foreign:
                    link.failed(context, Failure())
                    continue
            try:
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
                link.blame(Failure(), "{name} {version} failed as observer")

    # Who uses it

    def release(self) -> None:
        """An exchange has ended."""
        self.active -= 1
        if self._idle is not None and self.active == 0:
            waiting, self._idle = self._idle, None
            for deferred in waiting:
                deferred.callback(None)

    def whenIdle(self) -> Deferred[None]:
        """Fires when no exchange uses it. Cancelling gives up the wait."""
        if self.active == 0:
            return succeed(None)
        if self._idle is None:
            self._idle = []
        waiting: Deferred[None] = Deferred(self._forget)
        self._idle.append(waiting)
        return waiting

    def _forget(self, waiting: Deferred[None]) -> None:
        if self._idle is not None and waiting in self._idle:
            self._idle.remove(waiting)
