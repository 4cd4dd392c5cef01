"""
The whole edge in memory while its plugins change: files and transactions are real, sockets and time are not.

A :class:`Stage` is what plugins of these tests act on: it writes down what they see, and has them wait where a test
wants that. Plugins find it by the name that is in their code.
"""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.changes import ChangeRequest
from revproxy.control.control import Control
from revproxy.dataplane.chain import Chain
from revproxy.dataplane.listener import Listener
from revproxy.worker import upstreamfactory as origins
from revproxy.worker.lifecycle.stages import StageLimits
from tests.behaviour.pipeline import Client, Heard, Origin, OriginConnection, answerTo
from tests.coordinators import Bench, Loopless

STAGES: dict[str, Stage] = {}
"""By the name that plugins know."""

STAMP = """
from zope.interface import implementer
from revproxy.interfaces import *
from tests.behaviour.changes import STAGES

@implementer(IMiddleware, IResponseMiddleware, IObserver, ILifecycle{interfaces})
class Stamp:
    name = {name!r}
    stage = STAGES[{stage!r}]
    def __init__(self, config):
        self.config = dict(config)
        self.mark = {mark!r} + self.config.get("mark", "")
    def start(self):
        return self.stage.started(self)
    def stop(self):
        return self.stage.stopped(self)
    def handle(self, context):
        return self.stage.visit(self, "in", context)
    def handleResponse(self, context):
        return self.stage.visit(self, "out", context)
    def finished(self, context):
        self.stage.visit(self, "end", context)
{body}
PluginMain = Stamp
"""
"""A plugin that stamps each request with its mark: on the way in, on the way out, and at the end."""

Stamp = tuple[str, str, str]
"""Way (``in``, ``out``, ``end``), plugin and mark."""


class Stage:
    """
    What plugins see, by the path of the request, and what they are to wait for.

    :ivar seen: the stamps of each request, in order.
    :ivar holds: decides where a plugin waits, given way, plugin and path.
    :ivar raises: decides where it fails, likewise.
    :ivar started: marks, in order; ``stops`` likewise, each with the paths of requests that were in it at that time.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.seen: dict[str, list[Stamp]] = {}
        self.holds: Callable[[str, str, str], bool] = lambda way, plugin, path: False
        self.raises: Callable[[str, str, str], bool] = lambda way, plugin, path: False
        self.starts: list[str] = []
        self.stops: list[tuple[str, tuple[str, ...]]] = []
        self.wrong: list[str] = []
        self._within: dict[str, set[str]] = {}
        self._waiting: dict[str, Deferred[Any]] = {}
        self._dead: set[str] = set()

    def started(self, plugin: Any) -> None:
        """A plugin starts."""
        self.starts.append(f"{plugin.name} {plugin.mark}")
        plugin.serial = len(self.starts)

    def stopped(self, plugin: Any) -> None:
        """A plugin stops."""
        label = f"{plugin.name} {plugin.mark}"
        key = f"{label} {getattr(plugin, 'serial', 0)}"
        if key in self._dead:
            self.wrong.append(f"{label} was stopped twice")
        self._dead.add(key)
        self.stops.append((label, tuple(sorted(self._within.pop(key, ())))))

    def visit(self, plugin: Any, way: str, context: Any) -> Any:
        """A plugin is called."""
        path = context.request.path
        key = f"{plugin.name} {plugin.mark} {getattr(plugin, 'serial', 0)}"
        if key in self._dead:
            self.wrong.append(f"{way} of {plugin.name} {plugin.mark} was called after its stop")
        self.seen.setdefault(path, []).append((way, plugin.name, plugin.mark))
        within = self._within.setdefault(key, set())
        if way == "in":
            within.add(path)
        elif way == "end":
            within.discard(path)
            return None
        if self.raises(way, plugin.name, path):
            raise ArithmeticError(f"{way} of {plugin.name}")
        if self.holds(way, plugin.name, path):
            assert path not in self._waiting
            waiting = self._waiting[path] = Deferred(lambda _: self._waiting.pop(path, None) and None)
            return waiting.addCallback(lambda _: True if way == "in" else None)
        return True if way == "in" else None

    def isHeld(self, path: str) -> bool:
        """Whether a plugin waits with this request."""
        return path in self._waiting

    def release(self, path: str) -> None:
        """It waits no more."""
        self._waiting.pop(path).callback(None)

    def marks(self, path: str, way: str) -> dict[str, str]:
        """By plugin."""
        return {plugin: mark for each, plugin, mark in self.seen.get(path, ()) if each == way}

    def stopsOf(self, label: str) -> int:
        """How often a plugin with a mark was stopped."""
        return sum(1 for one, _ in self.stops if one == label)


class Steps(Loopless):
    """
    A clock that is enough of a reactor; what is given to threads happens at once, or step by step.

    :ivar stepping: whether it waits for :meth:`step`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stepping = False
        self._jobs: deque[Callable[[], None]] = deque()

    def callInThreadWithCallback(
        self, onResult: Callable[[bool, Any], None], function: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> None:
        job = partial(super().callInThreadWithCallback, onResult, function, *args, **kwargs)
        if self.stepping:
            self._jobs.append(job)
        else:
            job()

    def step(self) -> bool:
        """:returns: False if no thread had anything to do."""
        if not self._jobs:
            return False
        self._jobs.popleft()()
        return True

    def drain(self) -> None:
        """All that is given to threads, until there is no more."""
        while self.step():
            pass


class Answers(Origin):
    """
    An origin that answers as told, by target.

    :ivar answers: what is sent when a request with this target is whole; nothing, if it is empty.
    :ivar asked: the connection that each target came on last.
    """

    def __init__(self, clock: Any) -> None:
        super().__init__(clock)
        self.answers: dict[bytes, bytes] = {}
        self.asked: dict[bytes, OriginConnection] = {}

    def wholeHeard(self, connection: OriginConnection, heard: Heard) -> None:
        self.asked[heard.target] = connection
        answer = self.answers.get(heard.target, answerTo(heard.method, heard.target))
        if answer:
            connection.wire.arrive(answer)


class Switching(Origin):
    """An origin that switches protocols at once and then echoes."""

    def __init__(self, clock: Any) -> None:
        super().__init__(clock)
        self.deaf = True

    def bytesHeard(self, connection: OriginConnection) -> None:
        data = bytes(connection.bytes)
        connection.bytes.clear()
        if data.startswith(b"GET "):
            data = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
        connection.wire.arrive(data)


UPSTREAMS = """
upstreams:
  app: {targets: ["http://127.0.0.1:9000"]}
  echo: {targets: ["http://127.0.0.1:9001"]}
timeouts: {drain: 30, response: 3600, body: 3600, idle: 3600}
"""
ROUTES = "[{upstream: app}, {path: /tunnel, upstream: echo}]"
TIMEOUTS = "timeouts: {drain: 30, response: 3600, body: 3600, idle: 3600}\n"


class Changing(Bench):
    """
    A bench whose edge serves connections.

    :ivar origin: at port 9000; ``echo`` at port 9001.
    :ivar stage: for its plugins.
    """

    _serial = itertools.count(1)

    def __init__(self, case: SynchronousTestCase, routes: str = ROUTES, extra: str = UPSTREAMS) -> None:
        super().__init__(Path(case.mktemp()), routes, extra)
        self.clock: Steps = Steps()
        self.clock.advance(1_000_000)
        self.origin = Answers(self.clock)
        self.echo = Switching(self.clock)
        self.origins: dict[tuple[str, int], Origin] = {
            ("127.0.0.1", 9000): self.origin, ("127.0.0.1", 9001): self.echo
        }
        self.stage = Stage(f"stage{next(self._serial)}")
        STAGES[self.stage.name] = self.stage
        # Nothing here survives a power failure, nor takes the time for it.
        case.patch(os, "fsync", lambda descriptor: None)
        case.patch(origins.Upstreams, "_endpoint", lambda _, target, tls: _Endpoint(self, target))
        case.addCleanup(self._end)

    def prepare(self, limits: StageLimits | None = None) -> Control:
        control = super().prepare(limits)
        self._listener = Listener(self.edge, tls=False)
        return control

    def stamp(self, name: str, mark: str, body: str = "", interfaces: str = "", **manifest: Any) -> None:
        """A plugin that stamps. Its version follows from the mark."""
        code = STAMP.format(name=name, mark=mark, stage=self.stage.name, body=body, interfaces=interfaces)
        self.write(name, code, **manifest)

    def swap(self, names: str, mark: str) -> None:
        """These plugins, of one letter each, have another mark, and run."""
        for name in names:
            self.stamp(name, mark)
        self.apply()

    def result(self, coroutine: Any) -> Any:
        stepping, self.clock.stepping = self.clock.stepping, False
        self.clock.drain()
        try:
            return super().result(coroutine)
        finally:
            self.clock.stepping = stepping

    def changing(self, change: ChangeRequest = ChangeRequest()) -> Iterator[int]:  # noqa: B008
        """A transaction, step by step: stops at each moment between two of its steps, and at last when it is over."""
        self.clock.stepping = True
        done = self.later(self.coordinator.apply(change))
        for number in itertools.count():
            yield number
            self.settle()
            if not self.clock.step():
                break
        self.clock.stepping = False
        for _ in range(100):
            if done.called:
                break
            self.clock.advance(0.1)
        assert done.called, "the transaction waits for something else"
        failures: list[Any] = []
        done.addErrback(failures.append)
        assert not failures, failures
        yield number + 1

    def marks(self, path: str = "/") -> dict[str, str]:
        """What the plugins of the current generation would stamp on a request."""
        return {link.name: link.instance.mark for link in self.chainAt(path).links}

    def chainAt(self, path: str) -> Chain:
        """What a request would go through now."""
        generation = self.edge.generation
        route = generation.find(b"h", path.encode())
        assert route is not None
        return generation.chains[route.group]

    # As a pipeline: see tests.behaviour.pipeline

    def connect(self) -> Client:
        """A client connects."""
        return Client(self, self._listener)  # type: ignore[arg-type]

    def settle(self) -> None:
        """Let happen what happens at once."""
        for _ in range(10000):
            calls = self.clock.getDelayedCalls()
            if not any(call.getTime() <= self.clock.seconds() for call in calls):
                return
            self.clock.advance(0)
        raise AssertionError("it does not come to rest")

    def wait(self, seconds: float) -> None:
        """Time passes."""
        for _ in range(int(seconds * 2)):
            self.clock.advance(0.5)
            self.settle()

    def ask(self, path: str, client: Client | None = None, headers: Mapping[str, str] = {}) -> Client:
        """A request, on a connection of its own if none is given."""
        client = client or self.connect()
        fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        client.send(f"GET {path} HTTP/1.1\r\nHost: h\r\n{fields}\r\n".encode())
        return client

    def tunnel(self, path: str = "/tunnel") -> Client:
        """An open tunnel."""
        return self.ask(path, headers={"Connection": "Upgrade", "Upgrade": "echo"})

    def retired(self) -> int:
        """Instances that are on their way out."""
        return len(self.worker.retirement._leaving)

    def _end(self) -> None:
        STAGES.pop(self.stage.name, None)
        if hasattr(self, "state"):
            self.clock.stepping = False
            self.clock.drain()
            self.edge.breakOff()
            self.settle()
            self.stop()


class _Endpoint:
    """Leads to an origin in memory."""

    def __init__(self, bench: Changing, target: Any) -> None:
        self._bench = bench
        self._where = target.host, target.port

    def connect(self, factory: Any) -> Deferred[Any]:
        address = IPv4Address("TCP", *self._where)
        return self._bench.origins[self._where].connect(lambda: factory.buildProtocol(address))


class ChangingCase(SynchronousTestCase):
    """With a bench; whatever a test does, no plugin is called after its stop, nor stopped twice or in use."""

    def setUp(self) -> None:
        self.bench = Changing(self)
        self.stage = self.bench.stage

    def check(self) -> None:
        """Of every plugin that was stopped."""
        self.assertEqual(self.stage.wrong, [])
        self.assertEqual([stop for stop in self.stage.stops if stop[1]], [], "stopped while requests were in it")
