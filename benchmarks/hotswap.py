"""``python -m benchmarks.hotswap``: what swapping plugins costs those who are served meanwhile. See README.md."""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.badversions import BAD_VERSIONS, BadVersion, Shows, TooLate, endure, restore, threePlugins
from benchmarks.edge import describeMachine
from benchmarks.heavychanges import Meanwhile, largePlugin, lines, meanwhile, routesText
from benchmarks.manyswaps import SwapRun, swapManyTimes
from benchmarks.processes import BenchmarkError, Placement
from benchmarks.report import figure, table
from benchmarks.swapedge import FIVE, PARTNER, SWAPPED, SwapEdge, fivePlugins
from benchmarks.swaptimes import (
    Latencies,
    coldStart,
    manyPlugins,
    measureCost,
    measureHold,
    measureLatencies,
    measureSaves,
    quantile,
)
from benchmarks.traffic import EVERY_WAY, Traffic

_RESULTS = Path(__file__).with_name("RESULTS.md")
_MANY = 100
_ROUTES = 10_000


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is done of each."""

    swaps: int = 10_000
    rounds: int = 5
    window: float = 10.0
    saves: int = 50
    starts: int = 5
    costs: int = 20
    settle: float = 2.0


QUICK = Sizes(swaps=500, rounds=2, window=3.0, saves=10, starts=2, costs=5, settle=1.0)


@dataclass(frozen=True, slots=True)
class Goal:
    """Something to reach.

    :ivar reached: whether it was.
    """

    what: str
    measured: str
    reached: bool


@dataclass(frozen=True, slots=True)
class Section:
    """A row of the benchmark, ready to be shown.

    :ivar text: Markdown.
    """

    title: str
    text: str
    goals: Sequence[Goal]

    def __str__(self) -> str:
        return f"### {self.title}\n\n{self.text}\n"


class HotSwap:
    """All rows. :param directory: temporary; everything is written below it."""

    def __init__(self, directory: Path, placement: Placement, sizes: Sizes) -> None:
        self._directory = directory
        self._core = placement.proxy
        self._proxy = frozenset([placement.proxy])
        self._load = placement.load
        self._sizes = sizes
        self._count = 0

    def _fresh(self) -> Path:
        self._count += 1
        return self._directory / f"edge-{self._count}"

    def many(self) -> Section:
        """Row a."""
        with Traffic(self._load) as traffic, self._five(traffic) as edge:
            traffic.begin(edge.port, len(FIVE), SWAPPED, EVERY_WAY)
            return manySection(swapManyTimes(edge, traffic, self._sizes.swaps, _progress))

    def latency(self) -> Section:
        """Row b."""
        sizes = self._sizes
        with Traffic(self._load) as traffic, self._five(traffic) as edge:
            full = measureLatencies(edge, traffic, self._core, sizes.rounds, sizes.window, 10.0)
            _progress(f"as fast as answers come: {full.ratio:.2f} × p99")
            # A quarter: both ends of the edge share a core, and must keep time.
            rate = round(statistics.median(window.rate for window in full.quiet) / 4, -2)
            light = measureLatencies(edge, traffic, self._core, sizes.rounds, sizes.window, 10.0, rate)
        return latencySection(full, light, rate)

    def saves(self) -> Section:
        """Row c."""
        with Traffic(self._load) as traffic, self._five(traffic) as edge:
            taken = [seconds * 1e3 for seconds in measureSaves(edge, self._sizes.saves)]
        middle = statistics.median(taken)
        text = table(
            ("saves", "median ms", "p95 ms", "lowest", "highest"),
            [[str(len(taken)), *map(figure, (middle, quantile(taken, 0.95), min(taken), max(taken)))]],
        )
        note = "From before the file is replaced to the first answer by the new code; the settling of 150 ms is in it."
        goal = Goal("file saved → new code serves: median ≤ 300 ms", f"{middle:.0f} ms", middle <= 300)
        return Section("File saved → new code serves", f"{text}\n\n{note}", [goal])

    def hundred(self) -> Section:
        """Row d."""
        sizes = self._sizes
        plugins = manyPlugins(_MANY)
        empty, full = [], []
        for number in range(sizes.starts):
            empty.append(coldStart(self._fresh(), self._proxy, {}))
            full.append(coldStart(self._fresh(), self._proxy, plugins))
            _progress(f"cold start {number + 1}: {empty[-1]:.2f} s empty, {full[-1]:.2f} s with {_MANY} plugins")
        with SwapEdge(self._fresh(), None, self._proxy, plugins) as edge:
            edge.ask()
            swaps = self._swaps(edge)
        return hundredSection(empty, full, swaps)

    def routes(self) -> Section:
        """Row g."""
        swaps = []
        for count in (1, _ROUTES):
            sections = routesText(count - 1, 100)
            with SwapEdge(self._fresh(), None, self._proxy, fivePlugins(), sections=sections) as edge:
                edge.ask()
                swaps.append(self._swaps(edge))
            _progress(f"{count} routes: {statistics.median(swaps[-1].reactor):.1f} ms of reactor time")
        return routesSection(*swaps)

    def _swaps(self, edge: SwapEdge) -> OneSwap:
        sizes = self._sizes
        serials = iter(range(1, 1_000_000))

        def swap() -> None:
            edge.swap(next(serials), 1, SWAPPED)

        swap()
        costs = [measureCost(edge, next(serials), sizes.settle) for _ in range(sizes.costs)]
        noise = [measureHold(edge, lambda: None, sizes.settle) for _ in range(sizes.costs)]
        holds = [measureHold(edge, swap, sizes.settle) for _ in range(sizes.costs)]
        reactor, whole = [cost.reactor * 1e3 for cost in costs], [cost.whole * 1e3 for cost in costs]
        return OneSwap(reactor, whole, [hold * 1e3 for hold in holds], [hold * 1e3 for hold in noise])

    def bad(self) -> Section:
        """Row e."""
        rows = []
        affected, explained = 0, 0
        with Traffic(self._load) as traffic, SwapEdge(
            self._fresh(), traffic.origin, self._proxy, threePlugins()
        ) as edge:
            edge.ask()
            traffic.begin(edge.port, 3, SWAPPED, EVERY_WAY)
            for number, kind in enumerate(BAD_VERSIONS):
                line = self._badVersion(edge, traffic, kind, 10_000 * (number + 1))
                rows.append([kind.title, *line.cells])
                affected += line.affected
                explained += line.explained
                _progress(f"{kind.title}: {line.affected} affected; {line.cells[-1]}")
            traffic.end()
        text = table(("bad version", "requests", "affected", "note"), rows)
        goals = [
            Goal(f"{len(rows)} kinds of bad version: no request affected", f"{affected}", affected == 0),
            Goal("each with its reason: file and cause", f"{explained} of {len(rows)}", explained == len(rows)),
        ]
        return Section("Bad versions under load", text, goals)

    def _badVersion(
        self, edge: SwapEdge, traffic: Traffic, kind: BadVersion, serial: int, attempts: int = 5
    ) -> _BadLine:
        restore(edge.folder / SWAPPED, serial)
        edge.reload()
        edge.cutLog()
        traffic.window()
        traffic.forget()
        try:
            outcome = endure(edge, kind, serial)
            reason, explained = outcome.reason, outcome.explained
        except TooLate:
            if attempts > 1:
                return self._badVersion(edge, traffic, kind, serial + 1000, attempts - 1)
            raise
        except BenchmarkError as error:
            reason, explained = f"NOT AS IT MUST BE: {error}", False
        time.sleep(0.3)
        window = traffic.window()
        affected = window.failed + window.mixed + window.dropped
        if kind.shows is Shows.AT_ONCE and serial + 1 in window.lastSerials:
            reason, affected = f"IT SERVED: {reason}", window.requests
        shortened = " ".join(reason.replace(str(edge.folder), "plugins").replace("|", "\\|").split())
        cells = [f"{window.requests:,}", str(affected), shortened[:200] + (f"; {window.trouble}" if affected else "")]
        return _BadLine(cells, affected, explained)

    def heavy(self) -> Section:
        """Row f."""
        serials = iter(range(1, 1_000_000))
        files = largePlugin(0)
        size = f"a plugin of {lines(files):,} lines"
        changes: list[tuple[str, Callable[[SwapEdge], float]]] = [
            (size, lambda edge: edge.replace(SWAPPED, largePlugin(next(serials)))),
            ("revproxy.yaml of 1,000 routes", lambda edge: edge.configure(routesText(1000, 100 + next(serials)))),
        ]
        measured = []
        with SwapEdge(self._fresh(), None, self._proxy, {SWAPPED: files}) as edge:
            edge.ask()
            for title, change in changes:
                change(edge)
                found = [meanwhile(edge, partial(change, edge)) for _ in range(self._sizes.costs)]
                measured.append((title, found))
                _progress(f"{title}: {statistics.median(one.worst for one in found):.1f} ms")
        return heavySection(measured)

    def _five(self, traffic: Traffic) -> SwapEdge:
        return SwapEdge(self._fresh(), traffic.origin, self._proxy, fivePlugins())


@dataclass(frozen=True, slots=True)
class _BadLine:
    cells: list[str]
    affected: int
    explained: bool


def manySection(run: SwapRun) -> Section:
    """Row a as text."""
    head = ("swaps", "requests", "failed", "mixed", "dropped", "versions met", "seconds", "alive at the end")
    cells = [run.swaps, run.requests, run.failed, run.mixed, run.dropped, run.seen, round(run.seconds), run.alive]
    kept = sum(count for name, count in run.kept.items() if name not in (SWAPPED, PARTNER))
    others = len(FIVE) - 2
    readings = run.resident[:: max(len(run.resident) // 10, 1)]
    memory = table(
        ("after swaps", *(f"{swaps:,}" for swaps, _ in readings)),
        [("resident MB", *(f"{size / 1e6:.1f}" for _, size in readings))],
    )
    trouble = "; ".join(f"{count} × {what}" for what, count in run.trouble.items())
    notes = [
        "64 kept-alive connections; every tenth swap changes two plugins at once. Of the "
        f"{others} plugins that did not change, clients met {kept} objects.",
        f"Wrong: {trouble}." if trouble else "",
    ]
    growth = run.growth / 1e6
    lost = f"{run.failed} failed, {run.mixed} mixed, {run.dropped} dropped"
    goals = [
        Goal(f"{run.swaps:,} swaps under load: none failed, mixed, dropped", lost, not run.trouble),
        Goal("resident memory over the second half: ≤ 5 MB more", f"{growth:+.1f} MB", growth <= 5),
        Goal("generations_alive back to 1", str(run.alive), run.alive == 1),
    ]
    text = "\n\n".join(filter(None, [table(head, [[f"{cell:,}" for cell in cells]]), memory, *notes]))
    return Section("Swaps under load", text, goals)


def latencySection(full: Latencies, light: Latencies, rate: float) -> Section:
    """Row b as text."""
    lines = []
    for title, one in (("as fast as answered", full), (f"{rate:,.0f} requests/s", light)):
        p50 = [statistics.median(w.p50 for w in windows) for windows in (one.quiet, one.swapping)]
        p99 = [statistics.median(w.p99 for w in windows) for windows in (one.quiet, one.swapping)]
        worst = [max(w.worst for w in windows) for windows in (one.quiet, one.swapping)]
        cells = [f"{one.swaps:.1f}", *(f"{figure(a)} → {figure(b)}" for a, b in (p50, p99, worst)), f"{one.ratio:.2f}"]
        lines.append([title, *cells, one.trouble])
    head = ("load, 64 connections", "swaps/s", "p50 ms", "p99 ms", "highest ms", "× p99", "note")
    note = (
        f"{len(full.quiet)} rounds of windows of {full.quiet[0].seconds:.0f} s in turn without → with swaps; medians, "
        "the ratio that of the rounds. At a fixed rate each request has its time, from which its latency counts. "
        f"Others used the edge's core for {max(full.foreign, light.foreign):.0%} of a window at worst."
    )
    goal = Goal("p99 at 10 swaps a second ≤ 1.5 × without", f"{full.ratio:.2f}", full.ratio <= 1.5)
    return Section("Latency while plugins are swapped", f"{table(head, lines)}\n\n{note}", [goal])


@dataclass(frozen=True, slots=True)
class OneSwap:
    """What one swap took each time, in milliseconds.

    :ivar reactor: CPU time of the reactor's thread; ``whole``: of the process.
    :ivar holds: the longest delay of a probe; ``noise``: the same without a swap.
    """

    reactor: list[float]
    whole: list[float]
    holds: list[float]
    noise: list[float]

    @property
    def rows(self) -> list[tuple[str, list[float]]]:
        """For a table."""
        return [
            ("one swap: CPU of the reactor's thread, ms", self.reactor),
            ("one swap: CPU of the whole process, ms", self.whole),
            ("one swap: longest delay of a probe each ms, ms", self.holds),
            ("the same without a swap, ms", self.noise),
        ]

    @property
    def holdGoal(self) -> Goal:
        """Nobody waits for long."""
        held = statistics.median(self.holds)
        return Goal("no single hold over 20 ms", f"{held:.1f} ms, at most {max(self.holds):.1f} ms", held <= 20)


def hundredSection(empty: list[float], full: list[float], swaps: OneSwap) -> Section:
    """Row d as text; starts in seconds, the others in milliseconds."""
    more = statistics.median(full) - statistics.median(empty)
    rows: list[tuple[str, list[float]]] = [
        ("cold start, no plugins, s", empty),
        (f"cold start, {_MANY} plugins, s", full),
        *swaps.rows,
    ]
    spent = statistics.median(swaps.reactor)
    goals = [
        Goal(f"{_MANY} plugins: cold start ≤ 1.5 s over an empty edge", f"{more:.2f} s", more <= 1.5),
        Goal("one swap among them: ≤ 50 ms of reactor time", f"{spent:.1f} ms", spent <= 50),
        swaps.holdGoal,
    ]
    return Section(f"{_MANY} plugins", _spread(rows), goals)


def routesSection(one: OneSwap, many: OneSwap) -> Section:
    """Row g as text."""
    rows = [
        (f"{count:,} route{'s' * (count > 1)}, {title}", values)
        for count, swaps in ((1, one), (_ROUTES, many))
        for title, values in swaps.rows
    ]
    more = statistics.median(many.reactor) - statistics.median(one.reactor)
    goals = [
        Goal(f"one swap with {_ROUTES:,} routes: ≤ 5 ms of reactor time over one route", f"{more:+.1f} ms", more <= 5),
        many.holdGoal,
    ]
    return Section(f"{_ROUTES:,} routes", _spread(rows), goals)


def _spread(rows: list[tuple[str, list[float]]]) -> str:
    lines = [[title, *map(figure, (statistics.median(v), min(v), max(v)))] for title, v in rows]
    return table(("", "median", "lowest", "highest"), lines)


def heavySection(measured: Sequence[tuple[str, Sequence[Meanwhile]]]) -> Section:
    """Row f as text: medians over the changes of each kind."""
    rows = []
    for title, found in measured:
        columns = [[getattr(one, name) for one in found] for name in ("usual", "median", "p99", "worst", "seconds")]
        rows.append([title, str(len(found)), *(figure(statistics.median(column)) for column in columns)])
    head = ("what is replaced", "times", "answer before, ms", "meanwhile p50", "p99", "longest", "the change, s")
    note = "One client asks each millisecond, or as soon as it is answered; medians over the times of each."
    return Section("Large changes", f"{table(head, rows)}\n\n{note}", [])


ROWS: dict[str, Callable[[HotSwap], Section]] = {
    "a": HotSwap.many,
    "b": HotSwap.latency,
    "c": HotSwap.saves,
    "d": HotSwap.hundred,
    "e": HotSwap.bad,
    "f": HotSwap.heavy,
    "g": HotSwap.routes,
}


def goalTable(goals: Sequence[Goal]) -> str:
    """What was to be reached, and whether it was."""
    lines = [[goal.what, f"{'reached' if goal.reached else 'missed'}, {goal.measured}"] for goal in goals]
    return f"### To reach\n\n{table(('target', 'measured'), lines)}\n"


def _progress(line: str) -> None:
    print(f"  {line}", flush=True)


def options(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hotswap", description="Plugins swapped under load.")
    parser.add_argument("--only", metavar="ROWS", default=",".join(ROWS), help="letters; see benchmarks/README.md")
    parser.add_argument("--quick", action="store_true", help="500 swaps instead of 10,000, and less of the others")
    parser.add_argument("--swaps", type=int, help="so many swaps in row a")
    parser.add_argument("--results", action="store_true", help="append to benchmarks/RESULTS.md")
    chosen = parser.parse_args(arguments)
    chosen.rows = [name.strip() for name in chosen.only.split(",") if name.strip()]
    for name in chosen.rows:
        if name not in ROWS:
            parser.error(f"no row is called {name!r}; there are: {', '.join(ROWS)}")
    return chosen


def main(arguments: list[str]) -> int:
    """Measure and print; return the exit code: 1 when nothing could be measured or a goal was missed."""
    chosen = options(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sizes = QUICK if chosen.quick else Sizes()
    if chosen.swaps:
        sizes = Sizes(**{name: getattr(sizes, name) for name in Sizes.__slots__} | {"swaps": chosen.swaps})
    try:
        report, reached = _run(chosen.rows, sizes)
    except BenchmarkError as error:
        print(f"cannot measure: {error}", file=sys.stderr)
        return 1
    if chosen.results:
        with _RESULTS.open("a") as sink:
            sink.write(f"\n{report}")
    return 0 if reached else 1


def _run(rows: list[str], sizes: Sizes) -> tuple[str, bool]:
    placement = Placement.choose()
    machine = describeMachine(placement)
    print(f"{machine}\n", flush=True)
    ours = os.sched_getaffinity(0)
    os.sched_setaffinity(0, placement.load)
    sections = []
    try:
        with ExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="revproxy-hotswap-")))
            hotSwap = HotSwap(directory, placement, sizes)
            for name in rows:
                sections.append(ROWS[name](hotSwap))
                print(f"\n{sections[-1]}", flush=True)
    finally:
        os.sched_setaffinity(0, ours)
    goals = [goal for section in sections for goal in section.goals]
    tail = goalTable(goals)
    print(tail)
    body = "\n".join(map(str, sections))
    return f"## Hot swap: {machine}\n\n{body}\n{tail}", all(goal.reached for goal in goals)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
