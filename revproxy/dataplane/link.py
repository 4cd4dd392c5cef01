"""
One middleware as its chain has it: what the edge holds ready for it, how its failures count, and how its answer is
waited for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from inspect import isawaitable, iscoroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface.interface import InterfaceClass

from revproxy.context import Context, Response
from revproxy.dataplane.counters import BODY, FINISHED, HANDLE, RESPONSE, Counters
from revproxy.dataplane.memorymeter import MemoryMeter
from revproxy.dataplane.story import note
from revproxy.destination import Destinations
from revproxy.errors import (
    EdgeError,
    FailedElsewhere,
    LimitExceeded,
    LimitName,
    PluginFailed,
    PluginTimeout,
    Refused,
    WrongAnswer,
    asException,
    hintFor,
    printable,
)
from revproxy.interfaces import IObserver, IResponseMiddleware
from revproxy.loop.deadlines import NEVER, Deadlines
from revproxy.secrets import masked

NOTED = 200
"""Characters of what a plugin failed with that are noted of the request."""


class Link:
    """
    One middleware in a chain, with what the edge knows and holds for it (a :class:`revproxy.toolbox.Toolbox`).

    :param open: pass the link over when it fails.
    :param timeout: seconds an asynchronous answer may take, or None.
    :param pieceTimeout: seconds until the next piece of a body that it makes.
    :param deadlines: for asynchronous answers; their clock measures self time, too.
    :param makeClient: makes :attr:`client`.
    :param services: what a running plugin provides for an interface, or KeyError.
    :param destinations: the upstreams that it may choose among.
    :param bodyBytes: the most of a body that it may hold in memory, or None.
    :param counters: of its version; by default one of its own.
    :param onFailure: told of each of its failures, after it was counted.
    :param concurrency: how many of its version's answers may be awaited at a time, or None.
    :param memory: what its version's calls have taken; None: nobody asks.
    :param original: what ``instance`` stands for, where it is a wrapper around that.
    :ivar counters: what its version has done, here and elsewhere.
    :ivar finishing: how many calls of its ``finished`` are awaited.
    """

    __slots__ = (
        "_client",
        "_makeClient",
        "_services",
        "bodyBytes",
        "counters",
        "deadlines",
        "destinations",
        "finished",
        "finishing",
        "handle",
        "handleResponse",
        "instance",
        "log",
        "memory",
        "name",
        "onFailure",
        "open",
        "original",
        "pieceTimeout",
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
        pieceTimeout: float = 60.0,
        deadlines: Deadlines,
        makeClient: Callable[[], Any],
        services: Callable[[InterfaceClass], Any],
        destinations: Destinations,
        bodyBytes: int | None = None,
        counters: Counters | None = None,
        onFailure: Callable[[Failure], None] | None = None,
        concurrency: int | None = None,
        memory: MemoryMeter | None = None,
        original: Any = None,
    ) -> None:
        self.instance = instance
        self.original = instance if original is None else original
        self.name = name
        self.version = version
        self.open = open
        self.timeout = timeout
        self.pieceTimeout = pieceTimeout
        self.bodyBytes = bodyBytes
        self.deadlines = deadlines
        self.destinations = destinations
        self.log = Logger(namespace=f"plugin.{name}")
        self.counters = Counters() if counters is None else counters
        self.onFailure = onFailure
        self.memory = memory
        self.handle, self.handleResponse, self.finished = _callsOf(instance, memory, concurrency, self.counters)
        self.finishing = 0
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
        """
        What a running plugin provides for an interface.

        :raises KeyError: if none does.
        """
        return self._services(interface)

    def failed(self, context: Context, failure: Failure, phase: str = HANDLE) -> None:
        """
        Count, log and note a failure of this link; return if it is to be passed over.

        :param phase: where it failed, as `revproxy.dataplane.counters` calls it.
        :raises PluginFailed: if its policy is ``closed``.
        :raises Refused: if it answers so, which is no failure.
        :raises EdgeError: if it only passed on why a body it read broke off, which is no failure of its own.
        """
        error = failure.value
        if isinstance(error, EdgeError):
            if context.bodyBrokenBy(error):
                raise error
            if isinstance(error, Refused):
                self.interrupted(context, phase)
                raise error
        self.blame(failure, "{name} {version} failed", phase, context)
        note(context, self.name, self._noted(failure), "failed")
        if self.open:
            self.counters.skipped(phase, "on_error")
            context._pluginsSkipped += (self.name,)
        else:
            context._pluginErrors += (self.name,)
            raise self._asFailed(failure)

    def awaited(self, context: Context, answer: Any, isPiece: bool = False) -> Deferred[Any]:
        """As :meth:`revproxy.toolbox.Toolbox.awaited`: in its own time, whatever bodies are being read meanwhile."""
        return waitFor(None, self, answer, "an iterator" if isPiece else "a filter", "bytes", isPiece)

    def later(self, function: Callable[[], None]) -> Any:
        """As :meth:`revproxy.toolbox.Toolbox.later`."""
        return self.deadlines.later(function)

    def exceeded(self, limit: LimitName, text: str) -> None:
        """As :meth:`revproxy.toolbox.Toolbox.exceeded`."""
        self.counters.exceeded(limit, text)

    def filterFailed(self, context: Context, failure: Failure, isFirst: bool) -> Failure | None:
        """As :meth:`revproxy.toolbox.Toolbox.filterFailed`; with ``on_error: open`` the first piece passes as it is."""
        error = failure.value
        if isinstance(error, Refused):
            if not context.isAnswered:
                self.interrupted(context, BODY)
                return failure
            failure = Failure(RuntimeError(f"it refused with {error}, but the answer was on its way"))
        self.blame(failure, "{name} {version} failed in a body", BODY, context)
        note(context, self.name, f"in a body, {self._noted(failure)}", "failed")
        if isFirst and self.open:
            self.counters.skipped(BODY, "on_error")
            context._pluginsSkipped += (self.name,)
            return None
        context._pluginErrors += (self.name,)
        return Failure(self._asFailed(failure))

    def _asFailed(self, failure: Failure) -> PluginFailed:
        reason = f"{failure.getErrorMessage()}{hintFor(failure.value)}"
        return PluginFailed(masked(f"{self.name} {self.version}: {reason}"))

    def _noted(self, failure: Failure) -> str:
        return f"failed: {printable(masked(failure.getErrorMessage()), NOTED)}"

    def interrupted(self, context: Context, phase: str) -> None:
        """It has answered the request instead of its route."""
        self.counters.interrupted(phase)
        context._interruptedBy = self.name

    def lasted(self, seconds: float, phase: str, context: Context | None) -> None:
        """
        A coroutine of its is over.

        :param seconds: that its own steps took.
        :param context: of the request that it has answered in; None where that does not matter.
        """
        self.counters.lasted(seconds, phase)

    def blame(self, failure: Failure, message: str, phase: str = BODY, context: Context | None = None) -> None:
        """
        Count and log a failure of this link, and tell who wants to know.

        :param message: for the log, with ``{name}`` and ``{version}``.
        :param context: of the request that it is in; None where that is over.
        """
        self.counters.failed(failure, phase)
        error = failure.value
        if isinstance(error, FailedElsewhere):
            told = error.traceback.rstrip() or str(error)  # how it came here says nothing
            self.log.error(message + "\n{error}", name=self.name, version=self.version, error=told)
        else:
            self.log.failure(message, failure, name=self.name, version=self.version)
        if self.onFailure is not None:
            try:
                self.onFailure(failure)
            except Exception:
                self.log.failure("while hearing of a failure of {name} {version}", name=self.name, version=self.version)


_Call = Callable[[Context], Any]


def _callsOf(
    instance: Any, memory: MemoryMeter | None, concurrency: int | None, counters: Counters
) -> tuple[_Call, _Call | None, _Call | None]:
    """A middleware's ``handle``, ``handleResponse`` and ``finished``, within its limits; None: it has none."""
    handle: _Call = instance.handle
    handleResponse: _Call | None = instance.handleResponse if IResponseMiddleware.providedBy(instance) else None
    finished: _Call | None = instance.finished if IObserver.providedBy(instance) else None
    if memory is not None:
        handle = memory.checked(handle)
        handleResponse = None if handleResponse is None else memory.measured(handleResponse)
    if concurrency is not None:
        handle = _notMoreThan(concurrency, handle, counters)
    return handle, handleResponse, finished


def _notMoreThan(most: int, handle: _Call, counters: Counters) -> _Call:
    """The same call, which is not made while so many answers are awaited."""

    def bounded(context: Context) -> Any:
        if counters.inFlight >= most:
            text = f"{counters.inFlight} of its answers are awaited, and limits.concurrency is {most}"
            raise LimitExceeded("concurrency", text)
        return handle(context)

    return bounded


_PHASES = frozenset((HANDLE, RESPONSE, FINISHED))


def unsendable(response: Any) -> str | None:
    """What keeps plugins' work from being an answer, or None."""
    if not isinstance(response, Response):
        return "left no response"
    status = response._status
    if not isinstance(status, int) or not (200 <= status <= 599 or (status == 101 and hasattr(response, "tunnel"))):
        return f"left a response of status {status!r}"
    return None


class PendingAnswer:
    """
    Waits for one asynchronous answer of foreign code, no longer than its link's time, and can be cancelled.

    While the plugin waits for a body, its time does not run: that is the client's slowness, or the origin's, and they
    have deadlines of their own.
    """

    __slots__ = ("_context", "_inner", "_link", "_over", "_seconds", "deadline", "outer")

    def __init__(self, context: Context | None, link: Link, inner: Deferred[Any], seconds: float | None) -> None:
        """:param context: whose bodies it may wait for; None if they do not matter."""
        self._seconds = seconds
        self._context = context
        self._link = link
        self._inner = inner
        self._over = False
        self.outer: Deferred[Any] = Deferred(self._cancelled)
        link.counters.inFlight += 1
        deadlines = link.deadlines
        self.deadline = NEVER
        if seconds is not None:
            self.deadline = deadlines.now() + seconds
            deadlines.watch(self)

    def arrived(self, result: Any) -> None:
        """The answer. After a time-out or cancellation nobody waits for it any more."""
        self._link.deadlines.forget(self)
        if self._over:
            return
        self._ends()
        if not isinstance(result, Failure):
            self.outer.callback(result)
        elif result.check(CancelledError):
            # Not our doing: somebody inside the plugin cancelled. To the chain, cancelled means that the client left.
            self.outer.errback(Failure(RuntimeError("the middleware's own Deferred was cancelled")))
        else:
            self.outer.errback(asException(result))

    def deadlineExpired(self) -> None:
        """It has taken too long, unless it waits for a body."""
        if self._seconds is not None and self._context is not None and self._context.isReadingBody:
            self.deadline = self._link.deadlines.now() + self._seconds
            return
        # The inner Deferred may ignore being cancelled; the request does not wait for it any longer.
        self._ends()
        self._link.deadlines.forget(self)
        self._inner.cancel()
        self.outer.errback(Failure(PluginTimeout(f"no answer within {self._seconds} s")))

    def _ends(self) -> None:
        self._over = True
        self._link.counters.inFlight -= 1

    def _cancelled(self, outer: Deferred[Any]) -> None:
        self._ends()
        self._link.deadlines.forget(self)
        self._inner.cancel()


def waitFor(
    context: Context | None, link: Link, answer: Any, method: str, wanted: str, isPiece: bool = False
) -> Deferred[Any]:
    """
    :param context: whose bodies the plugin may wait for without its time running; None if they do not matter.
    :raises TypeError: if it is nothing that can be waited for: what the method answered, and what was wanted.
    :param isPiece: it has the time of a body, and not of an answer.
    """
    if getattr(answer.__class__, "isBounded", False):
        bounded: Deferred[Any] = answer
        return bounded
    if isinstance(answer, Deferred):
        inner = answer
    elif isawaitable(answer):
        # A coroutine begins to run only here.
        phase = method if method in _PHASES else BODY
        if link.memory is not None:
            answer = link.memory.steps(answer)
        inner = Deferred.fromCoroutine(_inSteps(answer, link, phase, context))
    else:
        raise WrongAnswer(method, f"{answer!r}: it must be {wanted}, or a Deferred or coroutine of that")
    waiting = PendingAnswer(context, link, inner, link.pieceTimeout if isPiece else link.timeout)
    inner.addBoth(waiting.arrived)
    return waiting.outer


def giveUp(answer: Any) -> None:
    """Nobody waits for this answer of foreign code."""
    if isinstance(answer, Deferred):
        answer.addErrback(lambda failure: None)
        answer.cancel()
    elif iscoroutine(answer):
        answer.close()


def _inSteps(
    answer: Awaitable[Any], link: Link, phase: str, context: Context | None
) -> Generator[Any, Any, Any]:
    """
    Await foreign code, and time each of its steps: from one wait to the next nobody else runs. To the price of a
    coroutine, looking at the clock every time adds little.
    """
    steps: Any = answer.__await__() if hasattr(answer, "__await__") else answer
    send = getattr(steps, "send", None) or (lambda value: next(steps))
    resume, value = send, None
    seconds, isOver = 0.0, True
    now, counters = link.deadlines.now, link.counters
    while True:
        began = now()
        try:
            wait = resume(value)
            isOver = False
        except StopIteration as done:
            return done.value
        finally:
            step = now() - began
            seconds += step
            counters.took(step, phase)
            if isOver:
                link.lasted(seconds, phase, context)
        isOver = True
        try:
            value = yield wait
        except GeneratorExit:
            steps.close()
            raise
        except BaseException as error:  # what it waited for has failed, or it is cancelled
            resume, value = steps.throw, error
        else:
            resume = send
