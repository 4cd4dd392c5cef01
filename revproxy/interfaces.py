"""
What a plugin may provide, and the host that it is given.

Only :class:`IMiddleware` is required of a plugin. Every other interface is optional, small, and asked for with
``providedBy`` when the plugin is loaded, never per request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IReactorTime
from zope.interface import Attribute, Interface

from revproxy.body import IBodySink, IBodySource
from revproxy.figures import BUCKETS

if TYPE_CHECKING:
    import logging

    from twisted.internet.defer import Deferred
    from twisted.internet.task import LoopingCall

    from revproxy.context import Context
    from revproxy.figures import Counter, Histogram

__all__ = [
    "IBodySink",
    "IBodySource",
    "IConfigurable",
    "IHealthCheck",
    "IHost",
    "IHosted",
    "ILifecycle",
    "IMiddleware",
    "IMiddlewareFactory",
    "IObserver",
    "IResponseMiddleware",
    "IStateful",
]


class IMiddleware(Interface):
    """One link of the chain."""

    name = Attribute("The plugin's name, as in its plugin.json.")

    def handle(context: Context) -> bool | Awaitable[bool]:
        """
        Look at a request on its way in; the body has not been read yet.

        :returns: True to go on; False to stop and answer with ``context.response``
            (see :meth:`revproxy.context.Context.respond`). A Deferred or coroutine of the same.
        :raises Exception: anything; the plugin's ``on_error`` then decides.
        """


class IResponseMiddleware(Interface):
    """A middleware that also wants responses."""

    def handleResponse(context: Context) -> Awaitable[None] | None:
        """
        Look at a response on its way out, in reverse order: headers are ready, no byte of the body is sent.

        Called for answers of the origin, of other plugins and of the edge itself (error pages), for each plugin
        whose :meth:`IMiddleware.handle` let the request pass.

        :param context: :attr:`revproxy.context.Context.response` is the answer, which may be changed or replaced.
        :returns: None, or a Deferred or coroutine of that.
        :raises Exception: anything; the plugin's ``on_error`` then decides.
        """


class IObserver(Interface):
    """A middleware that wants to know how each request ended."""

    def finished(context: Context) -> Awaitable[None] | None:
        """
        Called once per request after its last byte, also when it was interrupted, failed or cancelled.
        ``context.outcome`` has status, bytes, timings and error. Must not block.

        :returns: None, or a Deferred or coroutine of that: the request is over, and the plugin is kept until it has
            done, for ``limits.timeout_ms`` at most. The access log does not wait for it.
        :raises Exception: anything; it is logged and counted, and changes nothing for the request.
        """


class ILifecycle(Interface):
    """A middleware with side effects of its own: they begin and end here."""

    def start() -> Awaitable[None] | None:
        """
        Called once before the first request.

        :raises Exception: to refuse: this version is not put to use.
        """

    def stop() -> Awaitable[None] | None:
        """
        Called once after the last request that uses this instance.

        :raises Exception: anything; it is logged, and the plugin ends all the same.
        """


class IHealthCheck(Interface):
    """A middleware that can tell whether it is able to work."""

    def checkHealth() -> Awaitable[None] | None:
        """
        Return if healthy.

        :raises Exception: if not, with the reason as its message.
        """


class IConfigurable(Interface):
    """A middleware whose configuration can change in place."""

    def validateConfig(config: Mapping[str, Any]) -> None:
        """
        Look at a configuration, also one that never takes effect, and change nothing.

        :raises ValueError: if it will not do, with the reason as its message.
        """

    def updateConfig(config: Mapping[str, Any]) -> Awaitable[None] | None:
        """
        Take the new configuration; requests may be under way.

        :raises Exception: to refuse it; ``updateConfig`` is then called once more, with the old one.
        """


class IStateful(Interface):
    """A middleware whose state is handed over between versions."""

    def exportState() -> Any:
        """
        Plain data (what JSON can hold) for the instance that takes this one's place. Called twice: before that one
        starts, and right before the swap. If it returns a Deferred or is a coroutine, and requests come while that is
        waited for, it is called again. Between the calls this instance goes on serving requests.
        """

    def importState(state: Any, version: str) -> None:
        """
        Take over what the instance before this one exported; ``version`` is the version number of that one.

        Called before :meth:`ILifecycle.start`, and again right before the swap, each time with the whole state as it
        is by then. So what comes replaces what is there, and is not added to it. An instance that follows several gets
        the state of each, one after the other, that of the nearest route last; it may keep the larger of two figures.

        Called as well when a rollout ends, on the instance that stays and has served all the while: with the state of
        the version that leaves; and if that was the one on trial, with its own after it, as it was right before.

        :raises Exception: to refuse the change.
        """


class IHosted(Interface):
    """A middleware that needs what outlives a request: timers, threads, a client, things to be closed."""

    def attach(host: IHost) -> None:
        """
        Called once after the instance was made, before ``importState`` and ``start``. Keep the host; no side effects
        here.

        What is got through the host is booked to the plugin and ended with it.
        """


class IStore(Interface):
    """
    A few values that outlive the edge, by name: for what must not be lost with a restart. What is asked for is done in
    a thread, in the order in which it was asked for; nobody waits for it but the plugin.

    Every method fails with :class:`~revproxy.store.StoreError` if it cannot be done: the disk is full, the plugin has
    all that it may have (``plugins.store_bytes``), or a thousand operations wait already. A wrong key or value is a
    TypeError or ValueError at once.
    """

    def get(key: str, default: Any = None) -> Deferred[Any]:
        """:returns: the value; the default if there is none."""

    def set(key: str, value: Any) -> Deferred[None]:
        """
        Keep a value. When the Deferred has fired, it is on disk.

        :param key: text, 256 bytes at most.
        :param value: what JSON can hold, 64 KiB at most.
        """

    def delete(key: str) -> Deferred[bool]:
        """:returns: whether there was one."""

    def keys(prefix: str = "") -> Deferred[list[str]]:
        """:returns: the keys that begin so, in order; the first thousand."""


class IHost(IReactorTime):
    """
    What the edge does for one plugin beyond a request. All of it ends after the plugin's ``stop``.

    It is a clock, so it can be ``LoopingCall.clock`` and the clock of ``Deferred.addTimeout``. Used in the reactor's
    thread only, :meth:`callFromThread` apart. Once the plugin was stopped, every method that books something raises
    RuntimeError.
    """

    name = Attribute("The plugin's name.")
    version = Attribute("The plugin's version.")
    log = Attribute("A twisted.logger.Logger in the plugin's name.")
    client = Attribute(
        "A treq client, as context.client; requests still under way at the end are cancelled. Of a plugin with"
        " permissions: to upstreams that were granted, http://NAME/path."
    )
    store = Attribute("An IStore: what the plugin keeps over restarts. All its versions and instances share it.")

    def callEvery(
        interval: float, function: Callable[..., Any], *args: Any, now: bool = False, **kwargs: Any
    ) -> LoopingCall:
        """
        Call a function again and again. What it raises, or its Deferred fails with, is logged and counted, and the
        next call comes all the same; while its Deferred waits, calls are left out.

        :param interval: seconds.
        :param now: whether the first call comes at once.
        """

    def callInThread(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Deferred[Any]:
        """
        Call a function in a thread. Each version of a plugin has its own, ``limits.threads`` of plugin.json at most;
        they are daemons, and nobody waits for them.

        :returns: its result; cancelled when the plugin is stopped. What runs by then cannot be interrupted, what has
            not begun never does. Fails with ``revproxy.host.ThreadsFull`` if all are busy and 256 calls wait
            for them already.
        """

    def asyncio(work: Coroutine[Any, Any, Any] | Callable[[], Coroutine[Any, Any, Any]]) -> Deferred[Any]:
        """
        Run a coroutine that is written for asyncio, in the edge's asyncio loop; that has a thread of its own, and all
        plugins share it.

        :param work: a coroutine, or a function that is called in the loop and gives one. Make clients and sessions of
            such libraries inside, so that they find their loop.
        :returns: its result. Cancelling cancels the task; so does the end of the plugin, and with it every other task
            that was begun by this one.
        :raises TypeError: if it is neither.
        """

    def callFromThread(function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """
        Call a function in the reactor's thread soon; the one method for use in other threads. Nothing happens once
        the plugin was stopped.
        """

    def counter(name: str, description: str = "", labels: Sequence[str] = ()) -> Counter:
        """
        A figure that counts up: ``sold = host.counter("shop_sold_total", labels=("kind",))``, then
        ``sold.inc(kind="book")``, in any thread. What all versions and instances of the plugin count is added up.

        :param name: of letters, digits and ``_``; Prometheus' custom is to end it with the unit and ``_total``.
        :param labels: names; each ``inc`` then gives a value for each. For a few values each: the combinations beyond
            a thousand are counted together.
        :raises ValueError: the name is none, or another figure's, or there are 50 figures already.
        """

    def histogram(
        name: str, description: str = "", labels: Sequence[str] = (), buckets: Sequence[float] = BUCKETS
    ) -> Histogram:
        """
        A figure that counts values by their size: ``took = host.histogram("db_seconds")``, then ``took.observe(0.02)``.

        :param buckets: upper bounds, the smallest first.
        :raises ValueError: as :meth:`counter`, or the buckets are none.
        """

    def own(thing: Any, end: Callable[[], Any] | None = None) -> Any:
        """
        Book anything that must not outlive the plugin: a socket, file, port, Deferred. What is booked last ends first.

        :param end: ends it, and may answer with a Deferred; if left out, the first that the thing has of ``close``,
            ``stop``, ``stopListening``, ``loseConnection`` and ``cancel``.
        :returns: the thing.
        :raises TypeError: if nothing is known to end it.
        """

    def disown(thing: Any) -> None:
        """The plugin has ended it itself. Deferreds that fire need no word; unknown things are ignored."""

    def addLogHandler(handler: logging.Handler, logger: str = "") -> None:
        """
        Add a handler to a logger of the standard library; at the end it is removed and closed.

        :param logger: its name; the root's if left out.
        """


class IMiddlewareFactory(Interface):
    """What is discovered: announces a middleware and makes instances of it."""

    manifest = Attribute("A mapping with the keys of plugin.json.")

    def create(config: Mapping[str, Any]) -> IMiddleware:
        """
        Make an instance; no side effects.

        :raises Exception: if it cannot be made from this configuration.
        """




_MOVED = dict.fromkeys(("IClientStream", "ILeaf"), "revproxy.dataplane.http.interfaces")


def __getattr__(name: str) -> Any:
    """What was here before and is the data plane's own; imports of it go on working."""
    if name in _MOVED:
        return getattr(import_module(_MOVED[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
