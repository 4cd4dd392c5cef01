"""
What a plugin gets from the edge beyond a request, booked so that it can be ended with the plugin.

A plugin that is replaced leaves behind whatever it forgot: a timer that goes on, a thread's result that arrives in code
nobody runs any more, a handler in the logging tree. Everything got through :class:`Host` is in its book until it is
over by itself, and :meth:`Host.close` ends the rest.
"""

from __future__ import annotations

import collections
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from inspect import iscoroutine
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from revproxy.destination import Destinations
from revproxy.errors import Foreign, NotPermitted, asException
from revproxy.figures import BUCKETS, Counter, Figures, Histogram
from revproxy.interfaces import IHost
from revproxy.loop.threads import Job, Threads, ThreadsFull, deferToThreads
from revproxy.loop.waiting import notLonger
from revproxy.permissions import Permissions
from revproxy.store import BookedStore, MemoryStore

if TYPE_CHECKING:
    from revproxy.hostclient import HostClient
    from revproxy.loop.asyncioloop import Tasks

THREADS = 8
"""Threads of a plugin that does not say how many it needs."""

QUEUE = 256
"""Calls that may wait for the threads of a plugin."""

__all__ = ["CLOSE_TIMEOUT", "Host", "Job", "ThreadsFull", "notLonger"]

CLOSE_TIMEOUT = 5.0
"""Seconds that all ends together may take that do not happen at once."""

ENDINGS = ("close", "stop", "stopListening", "loseConnection", "cancel")
"""Methods that end things, in the order in which they are looked for."""


class _Booking:
    """One thing, until it is over."""

    __slots__ = ("_kind", "end")

    def __init__(self, kind: str, end: Callable[[], Any]) -> None:
        self._kind = kind
        self.end = end

    def kind(self) -> str:
        """What it is, in words."""
        return self._kind


def threadsName(name: str, version: str) -> str:
    """What the threads of a plugin are called."""
    return f"plugin {name} {version}"


@implementer(IHost)
class Host:
    """
    The edge, as an instance of a plugin sees it.

    :ivar figures: all that it counts.
    :ivar errors: how many functions of :meth:`callLater`, :meth:`callEvery` and :meth:`callFromThread` have failed.
    """

    def __init__(
        self,
        reactor: Any,
        name: str,
        version: str,
        makeClient: Callable[[], Any],
        *,
        failed: Callable[[Failure], None] = lambda failure: None,
        threads: Threads | None = None,
        figures: Figures | None = None,
        makeStore: Callable[[], Any] = MemoryStore,
        permissions: Permissions | None = None,
        destinations: Callable[[], Destinations] | None = None,
    ) -> None:
        """
        :param reactor: the clock, and whose thread results arrive in.
        :param makeClient: makes the client, when it is first asked for.
        :param failed: told of each failure of the plugin's code that nobody waits for, after it was logged.
        :param threads: those of the plugin's version, which its instances share; None: the instance has some of its
            own.
        :param figures: those of its version; None: the instance has some of its own.
        :param makeStore: gives the plugin's store, when it is first asked for.
        :param permissions: what the plugin may touch; None: everything.
        :param destinations: gives the upstreams there are, for plugins with permissions.
        """
        self.name = name
        self.version = version
        self.log = Logger(namespace=f"plugin.{name}")
        self.errors = 0
        self._reactor = reactor
        self._makeClient = makeClient
        self._tellFailed = failed
        self._threads = threads or Threads(threadsName(name, version), THREADS, QUEUE)
        self.figures = Figures() if figures is None else figures
        self._makeStore = makeStore
        self._permissions = permissions
        self._destinations = destinations
        self._store: BookedStore | None = None
        self._client: HostClient | None = None
        self._tasks: Tasks | None = None
        # In the order of booking; a million calls come and go, so each is found at once.
        self._bookings: dict[_Booking | _Call, None] = {}
        self._owned: dict[int, _Booking] = {}
        self._closed = False

    @property
    def client(self) -> Any:
        """A treq client over the edge's connections."""
        if self._client is None:
            self._client = self._clientFor(self._permissions)
        return self._client

    def answersAlone(self) -> None:
        """What sends its requests answers them, and goes by what they were called: there is nothing to permit."""
        self._client = self._clientFor(None)

    def _clientFor(self, permissions: Permissions | None) -> HostClient:
        # Imported by whoever asks for one first: it brings much of twisted.web.
        from revproxy.guardedclient import GuardedClient
        from revproxy.hostclient import HostClient

        if permissions is None:
            return HostClient(self._makeClient(), self)
        if not permissions.upstreams or self._destinations is None:
            raise NotPermitted("a request of its own", "upstreams: NAME")
        return GuardedClient(self._makeClient(), self, permissions.upstreams, self._destinations)

    def _permitFigures(self) -> None:
        if self._permissions is not None and not self._permissions.figures:
            raise NotPermitted("a figure of its own", "figures: true")

    @property
    def store(self) -> BookedStore:
        """As :attr:`~revproxy.interfaces.IHost.store`."""
        if self._permissions is not None and not self._permissions.store:
            raise NotPermitted("host.store", "store: true")
        if self._store is None:
            self._store = BookedStore(self._makeStore(), self)
        return self._store

    # Time

    def seconds(self) -> float:
        """The reactor's time, which :meth:`callLater` goes by: good for differences, not for dates."""
        now: float = self._reactor.seconds()
        return now

    def callLater(self, delay: float, callable: Callable[..., Any], *args: object, **kwargs: object) -> IDelayedCall:
        """Call a function after ``delay`` seconds. What it raises is logged and counted."""
        self.check()
        call = _Call(self, callable, args, kwargs)
        call.start(self._reactor, delay)
        self._bookings[call] = None
        return call

    def getDelayedCalls(self) -> Sequence[IDelayedCall]:
        """Those of :meth:`callLater` that are still to come."""
        return [booking for booking in self._bookings if isinstance(booking, _Call)]

    def callEvery(
        self, interval: float, function: Callable[..., Any], *args: Any, now: bool = False, **kwargs: Any
    ) -> LoopingCall:
        """As :meth:`~revproxy.interfaces.IHost.callEvery`."""
        self.check()
        running: list[Deferred[Any]] = []

        def call() -> Deferred[None]:
            running[:] = [maybeDeferred(function, *args, **kwargs).addErrback(self._failed, function)]
            return running[0]

        def end() -> None:
            if loop.running:
                loop.stop()
            for waiting in running:
                waiting.cancel()

        loop = LoopingCall(call)
        loop.clock = self._reactor
        unbook = self.booked(f"looping call {nameOf(function)}", end)
        loop.start(interval, now).addBoth(lambda _: unbook())
        return loop

    # Threads

    def callInThread(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Deferred[Any]:
        """As :meth:`~revproxy.interfaces.IHost.callInThread`."""
        self.check()

        def call() -> Any:
            # In the thread: the plugin may have ended while this call waited for one.
            if self._closed:
                raise CancelledError
            return function(*args, **kwargs)

        result = deferToThreads(self._reactor, self._threads, call)
        result.onUnhandled = partial(self._reactor.callFromThread, self._unhandled, nameOf(function))
        return self.untilFired(f"thread {nameOf(function)}", result)

    def callFromThread(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """As :meth:`~revproxy.interfaces.IHost.callFromThread`."""
        self._reactor.callFromThread(self._call, function, args, kwargs)

    def asyncio(self, work: Coroutine[Any, Any, Any] | Callable[[], Coroutine[Any, Any, Any]]) -> Deferred[Any]:
        """As :meth:`~revproxy.interfaces.IHost.asyncio`."""
        if not (iscoroutine(work) or callable(work)):
            what = f"a value of type {type(work).__name__}"
            raise TypeError(f"host.asyncio takes a coroutine, or a function that gives one, not {what}")
        try:
            self.check()
        except RuntimeError:
            if iscoroutine(work):
                work.close()
            raise
        if self._tasks is None:
            # Imported by whoever uses it first: it brings all of asyncio.
            from revproxy.loop.asyncioloop import Tasks

            self._tasks = Tasks(self._reactor, self._unheard)
        result = self._tasks.begin(work)
        result.onUnhandled = partial(self._reactor.callFromThread, self._unhandled, nameOf(work))
        return self.untilFired(f"asyncio {nameOf(work)}", result)

    def _unhandled(self, function: str, failure: Failure) -> None:
        """A result was a failure, and the plugin has not looked at it."""
        self._failed(failure, function)

    def _unheard(self, failure: Failure) -> None:
        self._failed(failure, "a task of asyncio")

    # Figures

    def counter(self, name: str, description: str = "", labels: Sequence[str] = ()) -> Counter:
        """As :meth:`~revproxy.interfaces.IHost.counter`."""
        self._permitFigures()
        return self.figures.counter(name, description, labels)

    def histogram(
        self, name: str, description: str = "", labels: Sequence[str] = (), buckets: Sequence[float] = BUCKETS
    ) -> Histogram:
        """As :meth:`~revproxy.interfaces.IHost.histogram`."""
        self._permitFigures()
        return self.figures.histogram(name, description, labels, buckets)

    # Things

    def own(self, thing: Any, end: Callable[[], Any] | None = None) -> Any:
        """As :meth:`~revproxy.interfaces.IHost.own`."""
        if isinstance(thing, Deferred) and end is None:
            self.check()
            return self.untilFired("Deferred", thing)
        if end is None:
            end = next((method for name in ENDINGS if callable(method := getattr(thing, name, None))), None)
            if end is None:
                raise TypeError(f"nothing is known to end a {type(thing).__qualname__}: it has no {', '.join(ENDINGS)}")
        self.check()
        self.disown(thing)
        booking = self._owned[id(thing)] = _Booking(type(thing).__name__, partial(self._end, thing, end))
        self._bookings[booking] = None
        return thing

    def disown(self, thing: Any) -> None:
        """As :meth:`~revproxy.interfaces.IHost.disown`."""
        booking = self._owned.pop(id(thing), None)
        if booking is not None:
            self._bookings.pop(booking, None)

    def addLogHandler(self, handler: logging.Handler, logger: str = "") -> None:
        """As :meth:`~revproxy.interfaces.IHost.addLogHandler`."""
        target = logging.getLogger(logger)

        def end() -> None:
            target.removeHandler(handler)
            handler.close()

        self.booked(f"log handler {type(handler).__name__}", end)
        target.addHandler(handler)

    # The book

    def check(self) -> None:
        """:raises RuntimeError: if the plugin was stopped."""
        if self._closed:
            raise RuntimeError(f"plugin {self.name} {self.version} was stopped")

    def untilFired(self, kind: str, waiting: Deferred[Any]) -> Deferred[Any]:
        """
        Book a Deferred until it fires.

        :returns: the same.
        """

        def over(result: Any) -> Any:
            unbook()
            return result

        def end() -> None:
            waiting.cancel()
            # Whoever waited has been told by now; if nobody did, that is no error.
            waiting.addErrback(lambda failure: failure.trap(CancelledError) and None)

        unbook = self.booked(kind, end)
        return waiting.addBoth(over)

    def booked(self, kind: str, end: Callable[[], Any]) -> Callable[[], None]:
        """
        Book what tells when it is over.

        :param kind: what it is, in words.
        :param end: ends it; may answer with a Deferred.
        :returns: takes it out again; may be called more than once.
        :raises RuntimeError: if the plugin was stopped.
        """
        self.check()
        booking = _Booking(kind, end)
        self._bookings[booking] = None
        return lambda: self._bookings.pop(booking, None)

    def pending(self) -> dict[str, int]:
        """What is booked: kinds, such as ``"delayed call Plugin.tick"``, and how many of each."""
        return dict(collections.Counter(booking.kind() for booking in self._bookings))

    def close(self) -> Deferred[list[str]]:
        """
        End whatever is still booked, last things first; nothing can be booked any more.

        :returns: what had to be ended, as ``"2 × delayed call Plugin.tick"``. Never fails: an end that raises is
            logged, and :data:`CLOSE_TIMEOUT` seconds after the first the rest are not waited for.
        """
        return Deferred.fromCoroutine(self._close())

    async def _close(self) -> list[str]:
        self._closed = True
        ended = [f"{count} × {kind}" for kind, count in self.pending().items()]
        deadline = self.seconds() + CLOSE_TIMEOUT
        while self._bookings:
            booking, _ = self._bookings.popitem()
            waiting = maybeDeferred(booking.end).addErrback(asException)
            try:
                await notLonger(waiting, max(0.0, deadline - self.seconds()), self._reactor)
            except Foreign:
                self.log.failure("ending a {kind} of version {version}", kind=booking.kind(), version=self.version)
        if self._tasks is not None:
            await self._closeTasks(self._tasks, max(0.0, deadline - self.seconds()))
        self._owned.clear()
        self._client = self._store = None
        return ended

    async def _closeTasks(self, tasks: Tasks, seconds: float) -> None:
        try:
            await notLonger(tasks.close(), seconds, self._reactor)
        except Foreign:
            message = "{count} tasks of asyncio of version {version} do not end, and are left alone"
            self.log.warn(message, count=tasks.left(), version=self.version)

    def _end(self, thing: Any, end: Callable[[], Any]) -> Any:
        # It holds the thing, whose id must not become another's while it is booked.
        self._owned.pop(id(thing), None)
        return end()

    def _call(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        if not self._closed:
            maybeDeferred(function, *args, **kwargs).addErrback(self._failed, function)

    def _failed(self, failure: Failure, function: Callable[..., Any] | str) -> None:
        if self._closed and failure.check(CancelledError):
            return
        self.errors += 1
        self.log.failure(
            "{function} of version {version} failed", failure, function=nameOf(function), version=self.version
        )
        self._tellFailed(failure)


@implementer(IDelayedCall)
class _Call:
    """A call to come, and its own booking: what fires or is cancelled is out of the book at once."""

    __slots__ = ("_args", "_delayed", "_function", "_host", "_kwargs")

    def __init__(
        self, host: Host, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> None:
        self._host = host
        self._function: Callable[..., Any] | None = function
        self._args = args
        self._kwargs = kwargs
        self._delayed: Any = None

    def start(self, reactor: Any, delay: float) -> None:
        """Have the reactor make it."""
        self._delayed = reactor.callLater(delay, self._fire)

    def _fire(self) -> None:
        self._host._bookings.pop(self, None)
        function, args, kwargs = self._function, self._args, self._kwargs
        self._forget()
        assert function is not None
        self._host._call(function, args, kwargs)

    def _forget(self) -> None:
        # Whoever keeps the call does not keep the plugin.
        self._function, self._args, self._kwargs = None, (), {}

    def cancel(self) -> None:
        """As :meth:`IDelayedCall.cancel`."""
        self._delayed.cancel()
        self._host._bookings.pop(self, None)
        self._forget()

    def end(self) -> None:
        """At the plugin's end."""
        if self.active():
            self.cancel()

    def kind(self) -> str:
        """What it is, in words."""
        return f"delayed call {nameOf(self._function)}"

    def getTime(self) -> float:
        """As :meth:`IDelayedCall.getTime`."""
        time: float = self._delayed.getTime()
        return time

    def delay(self, secondsLater: float) -> None:
        """As :meth:`IDelayedCall.delay`."""
        self._delayed.delay(secondsLater)

    def reset(self, secondsFromNow: float) -> None:
        """As :meth:`IDelayedCall.reset`."""
        self._delayed.reset(secondsFromNow)

    def active(self) -> bool:
        """As :meth:`IDelayedCall.active`."""
        return bool(self._delayed.active())


def nameOf(function: Any) -> str:
    if isinstance(function, str):
        return function
    while isinstance(function, partial):
        function = function.func
    return getattr(function, "__qualname__", None) or type(function).__qualname__
