"""How long swaps take, and what they cost those who are being served."""

from __future__ import annotations

import re
import socket
import statistics
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import BenchmarkError, Running, coreBusySeconds
from benchmarks.swapedge import FIVE, SWAPPED, SwapEdge, manifest, stampedSource
from benchmarks.traffic import PLAIN, Traffic, Window

_SERIAL = re.compile(rb"\r\nX-Stamp-swapped: \d+ (\d+) ")


@dataclass(frozen=True, slots=True)
class Latencies:
    """Alternating windows without and with swaps.

    :ivar quiet: without.
    :ivar swapping: with.
    :ivar swaps: how many were made per second in the latter.
    :ivar foreign: the highest share of the edge's core that anybody else used in a window.
    """

    quiet: list[Window]
    swapping: list[Window]
    swaps: float
    foreign: float

    @property
    def ratio(self) -> float:
        """The median, over the rounds, of p99 with swaps to p99 without."""
        return statistics.median(b.p99 / a.p99 for a, b in zip(self.quiet, self.swapping, strict=True))

    @property
    def trouble(self) -> str:
        """What should not have been."""
        return "; ".join(filter(None, (window.trouble for window in [*self.quiet, *self.swapping])))


def measureLatencies(
    edge: SwapEdge, traffic: Traffic, core: int, rounds: int, seconds: float, perSecond: float, rate: float = 0.0
) -> Latencies:
    """Load from 64 connections on five plugins, windows of ``seconds`` in turn without and with swaps.

    :param core: the one that the edge has.
    :param perSecond: swaps.
    :param rate: requests per second; 0: as fast as they are answered.
    """
    with Asking(edge.port) as asking:
        serial = asking.serial()
    traffic.begin(edge.port, len(FIVE), SWAPPED, PLAIN, rate)
    quiet, swapping, swaps, foreign = [], [], 0, 0.0
    time.sleep(1.0)
    for _ in range(rounds):
        traffic.window()
        others = _Others(edge, core)
        time.sleep(seconds)
        quiet.append(traffic.window())
        foreign = max(foreign, others.share())
        others = _Others(edge, core)
        began = time.monotonic()
        for number in range(round(seconds * perSecond)):
            if (moment := time.monotonic()) > began + seconds:
                break
            time.sleep(max(began + number / perSecond - moment, 0.0))
            serial += 1
            swaps += 1
            edge.swap(serial, 1, SWAPPED)
        time.sleep(max(began + seconds - time.monotonic(), 0.0))
        swapping.append(traffic.window())
        foreign = max(foreign, others.share())
        edge.cutLog()
        time.sleep(0.5)
    traffic.end()
    return Latencies(quiet, swapping, swaps / sum(window.seconds for window in swapping), foreign)


class _Others:
    """Who else uses the edge's core, from here on."""

    def __init__(self, edge: SwapEdge, core: int) -> None:
        self._process = edge.process
        self._core = core
        self._began = self._now()

    def _now(self) -> tuple[float, float]:
        return time.monotonic(), coreBusySeconds(self._core) - self._process.cpuSeconds()

    def share(self) -> float:
        """How much of it that was, from 0 to 1."""
        (since, before), (now, after) = self._began, self._now()
        return max(after - before, 0.0) / (now - since)


class Asking:
    """One connection that asks and reads, for looking at single answers."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 20)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Asking:
        return self

    def __exit__(self, *exception: object) -> None:
        self._socket.close()

    def head(self) -> bytes:
        """Ask for something short.

        :raises BenchmarkError: the answer is not 200, or the connection is closed.
        """
        self._socket.sendall(b"GET /plain/0/0 HTTP/1.1\r\nHost: a\r\n\r\n")
        data = self._socket.recv(65536)
        if not data.startswith(b"HTTP/1.1 200 "):
            raise BenchmarkError(f"answers {data[:80]!r}")
        return data

    def serial(self) -> int:
        """The version of the swapped plugin that serves."""
        found = _SERIAL.search(self.head())
        if found is None:
            raise BenchmarkError("the answer has no stamp")
        return int(found[1])


def measureSaves(edge: SwapEdge, count: int, pause: float = 0.5) -> list[float]:
    """Save new code and ask until it answers: the seconds that each took.

    :raises BenchmarkError: it did not come within ten seconds.
    """
    taken = []
    with Asking(edge.port) as asking:
        serial = asking.serial()
        for number in range(count + 1):
            serial += 1
            began = time.perf_counter()
            edge.write(SWAPPED, "plugin.py", stampedSource(SWAPPED, serial, 1))
            while asking.serial() != serial:
                if time.perf_counter() - began > 10:
                    raise BenchmarkError(f"version {serial} does not serve ten seconds after it was saved")
            if number:  # the first may be seen by the look that the edge takes when it has begun to watch
                taken.append(time.perf_counter() - began)
            time.sleep(pause)
    return taken


def quantile(values: list[float], share: float) -> float:
    """The value below which that share of them is."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


# With a hundred plugins

_SMALL = """\
from zope.interface import implementer

from revproxy.interfaces import IMiddleware


@implementer(IMiddleware)
class PluginMain:
    name = "{name}"

    def __init__(self, config):
        self.words = {{str(number): number for number in range(config["words"])}}

    def handle(self, context):
        return context.request.headers.get("X-Nobody") is None
"""


def manyPlugins(count: int) -> dict[str, dict[str, str]]:
    """The files of so many plugins: one that stamps, the others small, each with a configuration and a schema."""
    schema = {"type": "object", "properties": {"words": {"type": "integer", "minimum": 0}}}
    made = {SWAPPED: {"plugin.json": manifest(SWAPPED), "plugin.py": stampedSource(SWAPPED, 0, 1)}}
    for number in range(1, count):
        name = f"small-{number:03}"
        made[name] = {
            "plugin.json": manifest(name, config={"words": number}, config_schema=schema, priority=number),
            "plugin.py": _SMALL.format(name=name),
        }
    return made


def coldStart(directory: Path, cpus: frozenset[int], plugins: Mapping[str, Mapping[str, str]]) -> float:
    """Start an edge: seconds from its command to the first answer.

    :raises BenchmarkError: when it ends, or does not answer for half a minute.
    """
    edge = SwapEdge(directory, None, cpus, plugins)
    began = time.perf_counter()
    process = edge.launch()
    try:
        while True:
            try:
                edge.ask()
                return time.perf_counter() - began
            except OSError:
                if not process.alive or time.perf_counter() - began > 30:
                    raise BenchmarkError(f"does not start: {process.lastWords()}") from None
                time.sleep(0.001)
    finally:
        process.stop()


def reactorSeconds(process: Running) -> float:
    """For how long the main thread, in which the reactor runs, has been on a core: in nanoseconds by the scheduler."""
    told = Path(f"/proc/{process.pid}/task/{process.pid}/schedstat").read_text()
    return int(told.split()[0]) / 1e9


@dataclass(frozen=True, slots=True)
class SwapCost:
    """What one swap took.

    :ivar reactor: CPU seconds of the thread in which the reactor runs, over those of the same time without a swap.
    :ivar whole: the same of all threads.
    """

    reactor: float
    whole: float


def measureCost(edge: SwapEdge, serial: int, seconds: float) -> SwapCost:
    """Swap once on an edge that has nothing else to do, and look at its CPU time until ``seconds`` later."""

    def reading() -> tuple[float, float]:
        return reactorSeconds(edge.process), edge.process.cpuSeconds()

    def spent(action: Callable[[], None]) -> tuple[float, float]:
        reactor, whole = reading()
        began = time.perf_counter()
        action()
        time.sleep(max(began + seconds - time.perf_counter(), 0.0))
        reactorAfter, wholeAfter = reading()
        return reactorAfter - reactor, wholeAfter - whole

    idle = spent(lambda: None)
    busy = spent(lambda: edge.swap(serial, 1, SWAPPED))
    return SwapCost(busy[0] - idle[0], busy[1] - idle[1])


def measureHold(edge: SwapEdge, action: Callable[[], None], seconds: float) -> float:
    """Ask each millisecond while something is done: by how many seconds the slowest answer was later than usual.

    Usual is the median of a tenth of a second before.
    """
    with Asking(edge.port) as asking:
        usual = statistics.median(delays(asking, 0.1))
        doing = threading.Thread(target=action)
        doing.start()
        slowest = max(delays(asking, seconds))
        doing.join()
    return max(slowest - usual, 0.0)


def delays(asking: Asking, seconds: float) -> list[float]:
    """Ask each millisecond, or as soon as there is an answer; for how many seconds each was waited for."""
    found = []
    began = due = time.perf_counter()
    while due < began + seconds:
        time.sleep(max(due - time.perf_counter(), 0.0))
        asked = time.perf_counter()
        asking.head()
        found.append(time.perf_counter() - asked)
        due = max(due + 0.001, time.perf_counter() - 0.001)
    return found
