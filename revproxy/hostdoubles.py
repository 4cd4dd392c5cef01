"""
Doubles of what the edge holds ready for a plugin: its host, its toolbox, its client; :mod:`revproxy.testing` has them,
too.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, SimpleQueue
from threading import get_ident
from typing import Any
from urllib.parse import urlsplit

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface.interface import InterfaceClass

from revproxy.context import Context
from revproxy.errors import LimitName, NotPermitted, Refused
from revproxy.headers import Headers
from revproxy.host import Host, Job
from revproxy.permissions import Permissions
from revproxy.store import MemoryStore

__all__ = ["ClientAnswer", "ClientDouble", "DestinationsDouble", "HostDouble", "ToolboxDouble"]

_PATIENCE = 10
"""Seconds that a double waits for asyncio's thread."""


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
    :ivar granted: names of the upstreams that it sends requests to (``http://NAME/…``); None: it sends them anywhere.
    """

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, Any]]] = []
        self.granted: frozenset[str] | None = None
        self._answers: dict[tuple[str, str], ClientAnswer | Exception | Deferred[Any]] = {}

    def answers(self, method: str, url: str, answer: ClientAnswer | Exception | Deferred[Any]) -> None:
        """Have a request answered so; an exception is what the Deferred fails with."""
        self._answers[method, url] = answer

    def request(self, method: str, url: str, **arguments: Any) -> Deferred[Any]:
        """
        As ``treq.request``.

        :raises AssertionError: if nothing was laid ready.
        :raises NotPermitted: if it goes to no upstream that was granted.
        """
        if self.granted is not None and (host := urlsplit(url).netloc) not in self.granted:
            raise NotPermitted(f"a request to {host}", f"upstreams: {host}")
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


class DestinationsDouble:
    """
    The upstreams that a plugin may choose among.

    :ivar upstreams: by name, the URLs of their targets.
    :ivar down: the URLs of targets that are out of service, or marked down.
    """

    def __init__(self, upstreams: Mapping[str, Sequence[str]] | None = None) -> None:
        self.upstreams = dict(upstreams or {})
        self.down: set[str] = set()

    def origins(self, upstream: str) -> Sequence[str]:
        """:raises ValueError: if there is no such upstream."""
        if upstream not in self.upstreams:
            there = ", ".join(self.upstreams) or "none: EdgeDouble(…, upstreams={NAME: [URL]})"
            raise ValueError(f"no upstream: {upstream!r}; there are {there}")
        return self.upstreams[upstream]

    def available(self, upstream: str) -> Sequence[str]:
        """Those that are not ``down``."""
        return [url for url in self.origins(upstream) if url not in self.down]

    def leaf(self, upstream: str, origin: str | None, strip: bytes) -> None:
        """Nothing is sent anywhere."""


class _Turn:
    """A function that is called once, unless it is cancelled."""

    def __init__(self, function: Callable[[], None]) -> None:
        self._function: Callable[[], None] | None = function

    def run(self) -> None:
        function, self._function = self._function, None
        if function is not None:
            function()

    def cancel(self) -> None:
        self._function = None


async def _awaited(answer: Awaitable[Any]) -> Any:
    return await answer


class ToolboxDouble:
    """
    What a plugin reaches through its context.

    :ivar client: a :class:`ClientDouble`.
    :ivar events: what was logged.
    :ivar provided: interface to object, for ``context.services``.
    :ivar destinations: a :class:`DestinationsDouble`, for ``context.upstream`` and ``context.origin``.
    """

    def __init__(
        self,
        name: str = "plugin",
        provided: Mapping[InterfaceClass, Any] | None = None,
        upstreams: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.name = name
        self.client = ClientDouble()
        self.events: list[Any] = []
        self.log = Logger(namespace=f"plugin.{name}", observer=self.events.append)  # type: ignore[arg-type]
        self.provided = dict(provided or {})
        self._turns: deque[_Turn] = deque()
        self.destinations = DestinationsDouble(upstreams)

    def service(self, interface: InterfaceClass) -> Any:
        """:raises KeyError: if nothing is provided for it."""
        return self.provided[interface]

    def later(self, function: Callable[[], None]) -> Any:
        """As :meth:`revproxy.toolbox.Toolbox.later`: as soon as what runs now has returned."""
        call = _Turn(function)
        self._turns.append(call)
        if len(self._turns) == 1:
            while self._turns:
                self._turns[0].run()
                self._turns.popleft()
        return call

    def blame(self, failure: Failure, message: str) -> None:
        """As :meth:`revproxy.toolbox.Toolbox.blame`: it is among the events."""
        self.log.failure(message, failure, name=self.name, version="")

    def exceeded(self, limit: LimitName, text: str) -> None:
        """As :meth:`revproxy.toolbox.Toolbox.exceeded`: it is among the events."""
        self.log.warn("{limit}: {text}", limit=limit, text=text)

    def awaited(self, context: Context, answer: Any, isPiece: bool = False) -> Deferred[Any]:
        """As :meth:`revproxy.toolbox.Toolbox.awaited`, however long it takes."""
        return answer if isinstance(answer, Deferred) else Deferred.fromCoroutine(_awaited(answer))

    def filterFailed(self, context: Context, failure: Failure, isFirst: bool) -> Failure:
        """As :meth:`revproxy.toolbox.Toolbox.filterFailed`: the body breaks off, and a test sees why."""
        if isinstance(failure.value, Refused):
            context._interruptedBy = self.name
        return failure


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
    :ivar storeDouble: what ``store`` has; give it to another host, and that one goes on with it, as after a restart.
    :ivar destinationsDouble: the upstreams there are.
    :ivar events: what was logged.
    """

    def __init__(
        self,
        name: str = "plugin",
        version: str = "1",
        storeDouble: MemoryStore | None = None,
        permissions: Permissions | Mapping[str, Any] | None = None,
        upstreams: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """
        :param permissions: what the plugin may touch, as plugin.json has it; None: everything.
        :param upstreams: by name, the URLs of targets; for plugins with permissions.
        """
        self.clock = _ReactorDouble()
        self.clientDouble = ClientDouble()
        self.storeDouble = storeDouble or MemoryStore()
        self.destinationsDouble = DestinationsDouble(upstreams)
        super().__init__(
            self.clock,
            name,
            version,
            lambda: self.clientDouble,
            makeStore=lambda: self.storeDouble,
            permissions=Permissions.of(permissions) if isinstance(permissions, Mapping) else permissions,
            destinations=lambda: self.destinationsDouble,
        )
        self._threads: Any = self.clock
        self.events: list[Any] = []
        self.log = Logger(namespace=f"plugin.{name}", observer=self.events.append)  # type: ignore[arg-type]

    def work(self) -> None:
        """Do what waits for a thread, here and now."""
        self.clock.work()

    def asyncio(self, work: Any) -> Deferred[Any]:
        """
        As :meth:`revproxy.host.Host.asyncio`, in the real loop; it has come back when this does.

        :raises AssertionError: if it does not come back within ten seconds.
        """
        result = super().asyncio(work)
        self.clock.workUntil(lambda: result.called)
        return result

    def close(self) -> Deferred[list[str]]:
        """As :meth:`revproxy.host.Host.close`."""
        hasTasks = self._tasks is not None
        closing = super().close()
        if hasTasks:
            self.clock.workUntil(lambda: closing.called)
        return closing


class _ReactorDouble(Clock):
    """A clock whose one thread works when told to."""

    def __init__(self) -> None:
        super().__init__()
        self._jobs: deque[Job] = deque()
        self._fromThreads: SimpleQueue[Callable[[], Any]] = SimpleQueue()
        self._thread = get_ident()

    def callFromThread(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        if get_ident() == self._thread:
            function(*args, **kwargs)
        else:
            self._fromThreads.put(partial(function, *args, **kwargs))

    def workUntil(self, isDone: Callable[[], bool]) -> None:
        """Do what other threads ask for, until something is so."""
        while not isDone():
            try:
                self._fromThreads.get(timeout=_PATIENCE)()
            except Empty:
                raise AssertionError(f"it did not come back within {_PATIENCE} s") from None

    def begin(
        self, onResult: Callable[[bool, Any], object], function: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Job:
        job = Job(onResult, function, args, kwargs)
        self._jobs.append(job)
        return job

    def take(self, job: Job) -> None:
        self._jobs.remove(job)
        job.forget()

    def work(self) -> None:
        while self._jobs:
            self._jobs.popleft().run()
