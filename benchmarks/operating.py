"""``python -m benchmarks.operating``: what it costs those who are served that others look at the edge. See README.md.

A real edge with 500 routes and five plugins, loaded at half the rate that it can do, in pairs: with those who look at
it and without; with alerts whose receivers never answer and without. Beside them how long the API takes meanwhile, what
holds the loop, and when the dashboard is seen.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import loopprobe
from benchmarks.firstpaint import Seen, firstPaints
from benchmarks.operatededge import SEARCHES, Asker, OperatedEdge, SilentReceiver, silentAlerts
from benchmarks.processes import BenchmarkError, Placement
from benchmarks.report import table
from benchmarks.sitting import Sitting, sit
from benchmarks.swapedge import FIVE, SWAPPED
from benchmarks.swaptimes import quantile
from benchmarks.traffic import PLAIN, Traffic

P99_RATIO, P99_MORE = 1.10, 0.3
"""By how much p99 may be more: as a ratio, or in milliseconds."""

ANSWER, SEARCH, HOLD, PAINT = 20.0, 200.0, 5.0, 300.0
"""Milliseconds."""

TRANSFER = 200_000
"""Bytes."""

_BUSY = 5.0
"""Milliseconds of p50 above which requests wait for each other: that is no half of what it can do."""

_TRIES = 4

_SETTLE = 0.7
"""Seconds after a change before one looks."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is done.

    :param window: seconds of each half of a pair.
    :param asks: of each operation.
    """

    pairs: int
    window: float
    asks: int
    paints: int
    holds: float


USUAL = Effort(7, 3.0, 60, 5, 15.0)
QUICK = Effort(3, 1.5, 15, 2, 6.0)


@dataclass(frozen=True, slots=True)
class Half:
    """
    :param p50: and the others: milliseconds.
    :param cpu: microseconds of CPU time of the edge per request.
    """

    p50: float
    p99: float
    cpu: float


@dataclass(slots=True)
class Pairs:
    """Windows without something, and with it."""

    without: list[Half] = field(default_factory=list)
    having: list[Half] = field(default_factory=list)

    def differences(self, name: str) -> list[float]:
        """Of a figure, in each pair, in order of size."""
        pairs = zip(self.without, self.having, strict=True)
        return sorted(getattr(after, name) - getattr(before, name) for before, after in pairs)

    @property
    def ratio(self) -> float:
        """p99 with it, in times of that without; the median of the pairs."""
        return statistics.median(b.p99 / a.p99 for a, b in zip(self.without, self.having, strict=True))

    @property
    def more(self) -> float:
        """By how many milliseconds p99 is more; the median of the pairs."""
        return statistics.median(self.differences("p99"))

    @property
    def holds(self) -> bool:
        """Whether that is as much as it may be."""
        return self.ratio <= P99_RATIO or self.more <= P99_MORE


@dataclass(slots=True)
class Outcome:
    """What was measured.

    :ivar answers: milliseconds of each answer, by operation; ``searches`` by what was searched for.
    :ivar heard: bytes a second that onlookers were told.
    """

    rate: float = 0.0
    heard: float = 0.0
    watched: Pairs = field(default_factory=Pairs)
    alerting: Pairs = field(default_factory=Pairs)
    answers: dict[str, list[float]] = field(default_factory=dict)
    searches: dict[str, list[float]] = field(default_factory=dict)
    holds: list[loopprobe.Hold] = field(default_factory=list)
    seen: Seen | None = None
    absent: str = ""


class Operating:
    """The phases."""

    def __init__(self, directory: Path, placement: Placement, effort: Effort, say: Callable[[str], None]) -> None:
        self.outcome = Outcome()
        self._directory = directory
        self._placement = placement
        self._effort = effort
        self._say = say

    def run(self, stack: ExitStack) -> None:
        """All of them."""
        traffic = stack.enter_context(Traffic(self._placement.load))
        cpus = frozenset([self._placement.proxy])
        with OperatedEdge(self._directory / "plain", traffic.origin, cpus) as edge:
            self._measureLatencies(edge, traffic)
        probed = self._directory / "holds"
        with OperatedEdge(self._directory / "probed", traffic.origin, cpus, probed) as edge:
            self._measureHolds(edge, traffic, probed)

    def _measureLatencies(self, edge: OperatedEdge, traffic: Traffic) -> None:
        out = self.outcome
        out.rate = self._halfRate(edge, traffic, edge.filled(traffic))
        asker = Asker(edge, edge.token())
        with edge.onlookers(self._placement.load) as onlookers:
            self._pairs(edge, traffic, out.watched, lambda does: self._look(onlookers, does))
            self._say(f"looked at: p99 × {out.watched.ratio:.2f}, {out.watched.more:+.2f} ms")
            onlookers.look(True)
            self._ask(asker)
            self._search(asker)
            onlookers.look(False)
        self._measureAlerts(edge, traffic)
        traffic.end()
        try:
            out.seen = firstPaints(edge, self._effort.paints)
        except ImportError as error:
            out.absent = f"no first paint: {error}"

    def _halfRate(self, edge: OperatedEdge, traffic: Traffic, rate: float) -> float:
        """Load it with half of what it can do; with less, as long as others on the machine keep it from that."""
        for _ in range(_TRIES):
            rate /= 2
            traffic.begin(edge.port, len(FIVE), SWAPPED, PLAIN, rate)
            time.sleep(_SETTLE)
            traffic.window()
            time.sleep(1)
            window = traffic.window()
            self._say(f"{rate:,.0f} requests/s: p50 {window.p50:.2f} ms, p99 {window.p99:.2f} ms")
            if window.p50 <= _BUSY:
                break
            traffic.end()
        else:
            raise BenchmarkError(f"others use the machine: at {rate:,.0f} requests/s p50 is {window.p50:.0f} ms")
        return rate

    def _look(self, onlookers: object, does: bool) -> None:
        heard = onlookers.look(does)  # type: ignore[attr-defined]
        if not does:
            self.outcome.heard = max(self.outcome.heard, heard / (self._effort.window + _SETTLE))

    def _pairs(self, edge: OperatedEdge, traffic: Traffic, pairs: Pairs, switch: Callable[[bool], object]) -> None:
        for number in range(self._effort.pairs):
            for does in (True, False) if number % 2 else (False, True):
                switch(does)
                time.sleep(_SETTLE)
                traffic.window()
                before = edge.process.cpuSeconds()
                time.sleep(self._effort.window)
                spent, window = edge.process.cpuSeconds() - before, traffic.window()
                if window.trouble:
                    raise BenchmarkError(window.trouble)
                half = Half(window.p50, window.p99, spent / max(window.requests, 1) * 1e6)
                (pairs.having if does else pairs.without).append(half)
            edge.cutLog()

    def _ask(self, asker: Asker) -> None:
        """Every operation in turn, a little apart, so that what one leaves behind is not the next one's."""
        answers = self.outcome.answers
        targets = asker.targets()
        for target in targets:
            answers[target] = []
            asker.ask(target)
        for _ in range(self._effort.asks):
            for target in targets:
                answers[target].append(asker.ask(target)[0] * 1e3)
                time.sleep(0.002)
        self._say(f"{len(targets)} operations, {self._effort.asks} times each")

    def _search(self, asker: Asker) -> None:
        for name, query in SEARCHES.items():
            target = searchTarget(query)
            for _ in range(max(self._effort.asks // 8, 3)):
                seconds, body = asker.ask(target)
                if json.loads(body)["items"]:
                    raise BenchmarkError(f"{target} has found something")
                self.outcome.searches.setdefault(name, []).append(seconds * 1e3)

    def _measureAlerts(self, edge: OperatedEdge, traffic: Traffic) -> None:
        with SilentReceiver() as receiver:
            sections = {True: edge.sections(silentAlerts(receiver.port)), False: edge.sections()}
            self._pairs(edge, traffic, self.outcome.alerting, lambda does: edge.configure(sections[does]))
            self._say(f"alerting: p99 × {self.outcome.alerting.ratio:.2f}, {self.outcome.alerting.more:+.2f} ms")
            edge.configure(sections[False])

    def _measureHolds(self, edge: OperatedEdge, traffic: Traffic, probed: Path) -> None:
        edge.filled(traffic)
        traffic.begin(edge.port, len(FIVE), SWAPPED, PLAIN, self.outcome.rate)
        asker = Asker(edge, edge.token())
        with edge.onlookers(self._placement.load) as onlookers:
            onlookers.look(True)
            began, targets = time.time(), asker.targets()
            targets += ["/requests?limit=1000", *map(searchTarget, SEARCHES.values())]
            while time.time() < began + self._effort.holds:
                for target in targets:
                    asker.ask(target)
                    time.sleep(0.005)
            time.sleep(1)
        traffic.end()
        self.outcome.holds = loopprobe.read(probed, began, time.time())


def searchTarget(query: Mapping[str, str]) -> str:
    """What is asked for, below /api/v1."""
    return "/requests?" + "&".join(f"{key}={value}" for key, value in query.items())


# The report


def pairsTable(outcome: Outcome) -> str:
    """Lay out the pairs."""
    lines = []
    for name, pairs in (("looked at", outcome.watched), ("alerts, and nobody answers", outcome.alerting)):
        line = [name]
        for figure in ("p50", "p99", "cpu"):
            digits = 1 if figure == "cpu" else 2
            halves = pairs.without, pairs.having
            middles = [statistics.median(getattr(half, figure) for half in side) for side in halves]
            more = pairs.differences(figure)
            line += [f"{middles[0]:.{digits}f} → {middles[1]:.{digits}f}", f"{statistics.median(more):+.{digits}f}"]
        more = pairs.differences("p99")
        lines.append([*line, f"{pairs.ratio:.2f}", f"{more[0]:+.2f}–{more[-1]:+.2f}"])
    head = ("", "p50 ms", "more", "p99 ms", "more", "CPU µs/request", "more", "× p99", "p99 more, lowest–highest")
    return table(head, lines)


def answersTable(answers: dict[str, list[float]], most: int | None = None) -> str:
    """Lay out how long answers took, the slowest first."""
    lines = sorted(answers.items(), key=lambda item: -quantile(item[1], 0.99))
    shown = [
        [target, f"{statistics.median(taken):.1f}", f"{quantile(taken, 0.99):.1f}", f"{max(taken):.1f}"]
        for target, taken in lines[:most]
    ]
    return table(("GET", "p50 ms", "p99 ms", "longest"), shown)


def holdsTable(holds: list[loopprobe.Hold]) -> str:
    """Lay out what held the loop, by name, the longest first."""
    names: dict[str, list[float]] = {}
    for hold in holds:
        names.setdefault(hold.name.partition(": ")[0].rstrip(")").replace(" (", ": "), []).append(hold.seconds * 1e3)
    lines = [[name, f"{len(taken)}", f"{statistics.median(taken):.1f}", f"{max(taken):.1f}"]
             for name, taken in sorted(names.items(), key=lambda item: -max(item[1]))[:12]]  # fmt: skip
    return table(("what held the loop over 1 ms", "times", "median ms", "longest ms"), lines)


def verdicts(outcome: Outcome) -> list[tuple[str, bool, str]]:
    """What is to be reached, whether it is, and what was measured."""
    slow = {target: quantile(taken, 0.99) for target, taken in outcome.answers.items()}
    late = [target for target, taken in slow.items() if taken > ANSWER]
    searched = max(max(taken) for taken in outcome.searches.values())
    longest = outcome.holds[0] if outcome.holds else loopprobe.Hold(0, 0, "nothing")
    rows = [
        (f"{what}: p99 ≤ +10 % or +{P99_MORE} ms", pairs.holds, f"× {pairs.ratio:.2f}, {pairs.more:+.2f} ms")
        for what, pairs in (("ten streams, a scrape, a dashboard", outcome.watched),
                            ("alerts, and nobody answers", outcome.alerting))
    ]  # fmt: skip
    rows += [
        (f"API under load: p99 ≤ {ANSWER:g} ms", not late,
         f"{len(late)} of {len(slow)} take longer, at most {max(slow.values()):.1f} ms"),
        (f"search over 50,000 requests ≤ {SEARCH:g} ms", searched <= SEARCH, f"at most {searched:.0f} ms"),
        (f"nothing holds the loop over {HOLD:g} ms", longest.seconds * 1e3 <= HOLD,
         f"at most {longest.seconds * 1e3:.1f} ms: {longest.name}"),
    ]  # fmt: skip
    if outcome.seen is not None:
        paint = statistics.median(outcome.seen.paints)
        rows += [
            (f"dashboard, cold: first paint ≤ {PAINT:g} ms", paint <= PAINT, f"median {paint:.0f} ms"),
            (f"dashboard: ≤ {TRANSFER // 1000} KB in all", outcome.seen.transfer <= TRANSFER,
             f"{outcome.seen.transfer / 1000:.0f} KB in {outcome.seen.files} files"),
        ]  # fmt: skip
    return rows


def report(outcome: Outcome) -> str:
    """All tables."""
    reached = [[what, f"{'reached' if holds else 'missed'}, {told}"] for what, holds, told in verdicts(outcome)]
    seen = outcome.absent if outcome.seen is None else (
        f"First paint, cold, each in a new browser: {', '.join(f'{paint:.0f}' for paint in outcome.seen.paints)} ms."
    )  # fmt: skip
    return "\n\n".join((
        f"64 connections, {outcome.rate:,.0f} requests/s; {outcome.heard / 1e6:.1f} MB/s told to "
        "onlookers. Differences and ratios are medians of the pairs.",
        pairsTable(outcome),
        answersTable(outcome.answers, 10),
        answersTable({f"/requests, {name}": taken for name, taken in outcome.searches.items()}),
        holdsTable(outcome.holds),
        seen,
        table(("target", "measured"), reached),
    ))  # fmt: skip


def options(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.operating", description="What does it cost those who are served to look at the edge?"
    )
    parser.add_argument("--quick", action="store_true", help="fewer and shorter windows")
    parser.add_argument("--results", action="store_true", help="append the tables to benchmarks/RESULTS.md")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Measure and print; return the exit code: 1 when something is not reached, or nothing was measured."""
    chosen = options(arguments)

    def measure(sitting: Sitting) -> tuple[str, bool]:
        operating = Operating(sitting.directory, sitting.placement, QUICK if chosen.quick else USUAL, sitting.say)
        operating.run(sitting.stack)
        text = report(operating.outcome)
        return text, all(holds for _, holds, _ in verdicts(operating.outcome))

    return sit("Operating", "operating", measure, chosen.results)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
