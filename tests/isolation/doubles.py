"""Doubles: a locked process that does what a test says, and a middleware in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from revproxy.context import Context
from revproxy.dataplane.counters import Counters
from revproxy.figures import Figures
from revproxy.headers import Headers
from revproxy.isolation.frames import Answered, Call, Done, Down, Load, Loaded, Step, Up
from revproxy.isolation.holdpage import Hold
from revproxy.isolation.lockedmiddleware import LockedMiddleware
from revproxy.isolation.process.gone import Gone
from revproxy.isolation.processlimits import ProcessLimits
from revproxy.isolation.tier import Books, ProcessTier
from revproxy.loop.deadlines import Deadlines
from revproxy.messages import Peer, Request
from revproxy.permissions import Permissions
from revproxy.store import MemoryStore

EVERYTHING = Permissions.of(
    {
        "read_headers": ["*", ":path", ":authority", "Cookie"],
        "write_headers": ["*", ":path", ":authority", ":method", "Set-Cookie"],
        "body": "write",
        "respond": True,
        "upstreams": ["app", "billing"],
        "store": True,
        "figures": True,
    }
)


class ProcessDouble:
    """
    A locked process.

    :ivar sent: frames that it was sent, in order.
    :ivar hold: what its page says.
    :ivar cpu: seconds that it has computed.
    :ivar runnable: whether it would compute.
    :ivar killed: why, and whether that was its fault; None: it was not.
    """

    def __init__(self, pid: int = 1) -> None:
        self.pid = pid
        self.sent: list[Any] = []
        self.hold: Hold | None = None
        self.cpu = 0.0
        self.runnable = True
        self.killed: tuple[str, bool] | None = None
        self.say: Callable[[Up], None]
        self.onOutput: Callable[[str], None]
        self._onGone: Callable[[Gone], None]

    def attach(
        self, onFrame: Callable[[Up], None], onGone: Callable[[Gone], None], onOutput: Callable[[str], None]
    ) -> None:
        self.say, self._onGone, self.onOutput = onFrame, onGone, onOutput

    def send(self, frame: Down) -> None:
        self.sent.append(frame)

    def kill(self, why: str, isFault: bool = True) -> None:
        if self.killed is None:
            self.killed = why, isFault

    def held(self) -> Hold | None:
        return self.hold

    def cpuSeconds(self) -> float:
        return self.cpu

    def isRunnable(self) -> bool:
        return self.runnable

    def memoryBytes(self) -> int:
        return 0

    def end(self, gone: Gone | None = None) -> None:
        """It ends, by itself if nobody says how."""
        self._onGone(gone or Gone(9, None, self.killed[0] if self.killed else "", self.killed is None))

    def of(self, kind: type[Any]) -> list[Any]:
        """Frames of a kind that it was sent."""
        return [frame for frame in self.sent if type(frame) is kind]

    def answer(self, verdict: bool | None = True, **changes: Any) -> None:
        """Its answer to the last call."""
        self.say(Answered(self.of(Call)[-1].number, verdict, **changes))


class Destinations:
    """Two upstreams."""

    def origins(self, upstream: str) -> list[str]:
        if upstream not in ("app", "billing"):
            raise ValueError(f"no upstream {upstream}")
        return [f"http://{upstream}:1", f"http://{upstream}:2"]

    def available(self, upstream: str) -> list[str]:
        return self.origins(upstream)[:1]


class Tools:
    """What a plugin that is called has at hand."""

    name = "p"
    destinations = Destinations()

    def awaited(self, context: Context, answer: Any, isPiece: bool = False) -> Deferred[Any]:
        return answer if isinstance(answer, Deferred) else Deferred.fromCoroutine(answer)

    def later(self, function: Callable[[], None]) -> Any:
        function()
        return type("Call", (), {"cancel": lambda self: None})()

    def filterFailed(self, context: Context, failure: Any, isFirst: bool) -> Any:
        return failure


def request(target: bytes = b"/a?b=c", **fields: str) -> Context:
    """A request on its way in."""
    headers = Headers([(b"host", b"Host", b"a.example")])
    for name, value in fields.items():
        headers.add(name.replace("_", "-"), value)
    made = Request(b"GET", target, b"a.example", "1.1", "http", headers, Peer("192.0.2.1", 5, "192.0.2.2"))
    context = Context(made, serial=b"id1")
    context._toolbox = Tools()  # type: ignore[assignment]
    return context


class LockedPluginBench:
    """
    One middleware, and the processes that it is given.

    :ivar waiting: those that asked for a process and have not been given one.
    :ivar failures: told of as outside of calls.
    :ivar exceeded: limits that were.
    """

    def __init__(
        self, permissions: Permissions = EVERYTHING, atOnce: bool = True, limits: ProcessLimits | None = None
    ) -> None:
        self.clock = Clock()
        self.deadlines = Deadlines(self.clock, 0.02)
        self.processes: list[ProcessDouble] = []
        self.waiting: list[Deferred[Any]] = []
        self.failures: list[BaseException] = []
        self.exceeded: list[tuple[str, str]] = []
        self.requests: list[tuple[Any, Deferred[Any]]] = []
        self.holds: list[Callable[[int], None]] = []
        self.atOnce = atOnce
        self.figures = Figures()
        self.store = MemoryStore()
        tier = ProcessTier(self.clock, self.deadlines, self._take, self._ask)
        load = Load("p", "1.0", "d1", "/p", "PluginMain", {"plugin.py": b""}, {}, b'{"a": 1}', b"{}", 16 << 20)
        books = Books(
            self.figures, Counters(), lambda: self.store, self.failures.append,
            lambda limit, text: self.exceeded.append((limit, text)),
        )  # fmt: skip
        self.middleware: LockedMiddleware = tier.middleware(load, permissions, limits or ProcessLimits(call=1.0), books)

    def _take(self, version: str, memory: int) -> Deferred[Any]:
        waiting: Deferred[Any] = Deferred()
        self.waiting.append(waiting)
        if self.atOnce:
            self.give()
        return waiting

    def _ask(self, frame: Any, seconds: float, most: int, hold: Any) -> Deferred[Any]:
        answer: Deferred[Any] = Deferred()
        self.requests.append((frame, answer))
        self.holds.append(hold)
        return answer

    def give(self) -> ProcessDouble:
        """Whoever waits longest gets a process."""
        process = ProcessDouble(len(self.processes) + 1)
        self.processes.append(process)
        self.waiting.pop(0).callback(process)
        return process

    def become(self, *interfaces: str) -> ProcessDouble:
        """The newest process becomes the plugin."""
        process = self.processes[-1]
        process.say(Loaded(("IMiddleware", *interfaces)))
        while isinstance(step := process.sent[-1], Step) and step.step in ("validateConfig", "attach", "start"):
            process.say(Done(step.number))
            if process.sent[-1] is step:
                break
        return process

    def load(self, *interfaces: str) -> ProcessDouble:
        """The plugin is loaded."""
        loading = Deferred.fromCoroutine(self.middleware.load())
        process = self.become(*interfaces)
        loading.addErrback(lambda failure: self.failures.append(failure.value))
        assert isinstance(process.sent[0], Load)
        return process

    def pass_(self, seconds: float) -> None:
        """Time passes, in small steps."""
        for _ in range(round(seconds / 0.01)):
            self.clock.advance(0.01)


def result(waiting: Deferred[Any]) -> Any:
    """What a Deferred has fired with, or the error; None if it has not."""
    known: Any = waiting
    if not hasattr(known, "found"):
        known.found = [None]
        waiting.addBoth(lambda value: known.found.__setitem__(0, getattr(value, "value", value)))
    return known.found[0]


__all__ = ["EVERYTHING", "LockedPluginBench", "ProcessDouble", "request", "result"]
