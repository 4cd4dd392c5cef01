"""``python -m benchmarks.observability``: what a request costs more because the edge can be seen into. See README.md.

The same tree is run twice at the same time: with all switches as they are by default, and with all of them off. Counted
are instructions, which do not scatter; CPU time stands beside them, of pairs of processes.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.conversation import SteadyOrigin
from benchmarks.edge import RESULTS, RESULTS_HEAD, describeMachine
from benchmarks.instructions import (
    CUSTOMIZE,
    QUICK,
    USUAL,
    Bench,
    Case,
    Configuration,
    Edge,
    Outcome,
    chooseCases,
    merged,
)
from benchmarks.measure import writeCertificate
from benchmarks.processes import BenchmarkError, Placement
from benchmarks.report import table
from benchmarks.trees import snapshot

SWITCHES: Mapping[str, Configuration] = {
    "count": {"metrics": {"count": False}},
    "records": {"logging": {"remember": 0}},
    "traces": {"traces": {"propagate": False}},
    "explain": {"explain": {"collect": False}},
}
"""By name, what switches each of them off."""

ACCESS_OFF: Configuration = {"logging": {"access": "off"}}
"""Without a log, a record of each request is made only for these; with one, it is there anyhow."""

LIMIT = 5.0
"""Microseconds that a request may cost more with all of them on."""

_HEAD = ("", "on", "instructions off", "on", "more", "CPU µs off", "on", "more", "lowest–highest")


class QuietBench(Bench):
    """
    What is done each second is not counted: under valgrind a second has some hundred requests instead of ten thousand,
    and reports would seem to cost each of them a lot. The same time without requests is counted, and taken off.
    """

    def _window(self, edges: list[Edge], requests: int) -> list[int]:
        began = time.monotonic()
        counts = super()._window(edges, requests)
        seconds = time.monotonic() - began
        for edge in edges:
            edge.zero()
        time.sleep(seconds)
        return [count - edge.instructions() for count, edge in zip(counts, edges, strict=True)]


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """
    :param names: of the switches that are on, beside none.
    """

    case: Case
    names: tuple[str, ...]
    hasLog: bool

    @property
    def title(self) -> str:
        """What the table calls it."""
        return self.case.title + ("" if self.hasLog else ", no access log")

    def configurations(self) -> tuple[Configuration, Configuration]:
        """All off, and those on."""
        off: dict[str, Any] = {} if self.hasLog else dict(ACCESS_OFF)
        on = off
        for name, switch in SWITCHES.items():
            off = merged(off, switch)
            if name not in self.names:
                on = merged(on, switch)
        return off, on


def differences(outcome: Outcome) -> list[float]:
    """Microseconds of CPU time that a request costs more, of each pair, in order of size."""
    return sorted(on - off for off, on in zip(*outcome.cpu, strict=True))


def outcomeTable(outcomes: Mapping[Row, Outcome]) -> str:
    """Lay out all rows."""
    lines = []
    for row, outcome in outcomes.items():
        off, on = (statistics.median(counts) for counts in outcome.counts)
        names = "all" if len(row.names) == len(SWITCHES) else ", ".join(row.names)
        line = [row.title, names, f"{off:,.0f}", f"{on:,.0f}", f"{on - off:+,.0f}"]
        if more := differences(outcome):
            line += [f"{statistics.median(cpu):.1f}" for cpu in outcome.cpu]
            line += [f"{statistics.median(more):+.1f}", f"{more[0]:+.1f}–{more[-1]:+.1f}"]
        lines.append(line + ["–"] * (len(_HEAD) - len(line)))
    return table(_HEAD, lines)


def verdict(outcomes: Mapping[Row, Outcome]) -> str:
    """Say whether all switches together cost no more than they may."""
    told = f"All on, over all off: ≤ {LIMIT:g} µs a request: "
    over = []
    for row, outcome in outcomes.items():
        more = differences(outcome)
        if len(row.names) == len(SWITCHES) and more and statistics.median(more) > LIMIT:
            over.append(f"{row.title} {statistics.median(more):+.1f} µs")
    return told + (f"missed: {', '.join(over)}" if over else "reached in every row")


def rowsFor(cases: list[Case], each: bool) -> list[Row]:
    """All switches on, with an access log and without; or each of them alone."""
    if each:
        return [Row(case, (name,), True) for case in cases for name in SWITCHES]
    return [Row(case, tuple(SWITCHES), hasLog) for case in cases for hasLog in (True, False)]


def options(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.observability", description="What does it cost to see into the edge?"
    )
    parser.add_argument("--only", metavar="NAMES", default="memory,process", help="rows of benchmarks.instructions")
    parser.add_argument("--each", action="store_true", help=f"each alone, of {', '.join(SWITCHES)}")
    parser.add_argument("--commit", help="what is measured (the working tree)")
    parser.add_argument("--pairs", type=int, help="pairs of processes whose CPU time is measured (7; quick: 3)")
    parser.add_argument("--quick", action="store_true", help="fewer requests, fewer pairs")
    parser.add_argument("--results", action="store_true", help="append the table to benchmarks/RESULTS.md")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Measure and print; return the exit code: 1 when it costs too much, or nothing was measured."""
    chosen = options(arguments)
    try:
        rows = rowsFor(chooseCases(chosen.only), chosen.each)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        outcomes, report = _measure(chosen, rows)
    except BenchmarkError as error:
        print(f"cannot measure: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if chosen.results:
        head = "" if RESULTS.exists() else RESULTS_HEAD
        with RESULTS.open("a") as sink:
            sink.write(f"{head}\n{report}")
    return 1 if "missed" in verdict(outcomes) else 0


def _measure(chosen: argparse.Namespace, rows: list[Row]) -> tuple[dict[Row, Outcome], str]:
    placement = Placement.choose()
    effort = QUICK if chosen.quick else USUAL
    if chosen.pairs is not None:
        effort = dataclasses.replace(effort, pairs=chosen.pairs)
    start, ours = time.monotonic(), os.sched_getaffinity(0)
    try:
        with ExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="revproxy-observability-")))
            tree = snapshot(chosen.commit, directory / "tree")
            title = f"What it costs to see into the edge: {tree.title}"
            machine = describeMachine(placement)
            print(f"{title}\n{machine}\n", flush=True)
            writeCertificate(directory)
            customize = directory / "customize"
            customize.mkdir()
            (customize / "sitecustomize.py").write_text(CUSTOMIZE)
            origin = stack.enter_context(SteadyOrigin())
            os.sched_setaffinity(0, placement.load)

            def say(text: str) -> None:
                print(f"{time.monotonic() - start:4.0f} s  {text}", flush=True)

            outcomes = {}
            for number, row in enumerate(rows):
                folder = directory / str(number)
                folder.mkdir()
                _lend(directory, folder)
                bench = QuietBench(folder, customize, placement, origin, (tree, tree), effort, row.configurations())
                outcomes[row] = bench.measure(row.case, say)
    finally:
        os.sched_setaffinity(0, ours)
    text = f"{outcomeTable(outcomes)}\n\n{verdict(outcomes)}\n"
    print(f"\n{text}\n({time.monotonic() - start:.0f} s)")
    return outcomes, f"## {machine}\n\n### {title}\n\n{text}"


def _lend(directory: Path, folder: Path) -> None:
    """Certificates for the edges of a row."""
    for name in ("certificates", "edge.crt", "edge.key"):
        (folder / name).symlink_to(directory / name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
