"""``python -m benchmarks.edge``: our edge beside its peers, one core each. See benchmarks/README.md."""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks.measure import Bench, Subject, writeCertificate
from benchmarks.origin import Origin
from benchmarks.peers import Peer, choosePeers
from benchmarks.processes import BenchmarkError, Placement
from benchmarks.report import Results, rowTable, targetTable
from benchmarks.rows import Kind, Row, chooseRows

RESULTS = Path(__file__).with_name("RESULTS.md")
RESULTS_HEAD = "# Results\n\nWhat the figures mean and what they do not: [README](README.md).\n"
_NOISY = 0.05
"""Above this share of the proxy's core for others, a sample is called disturbed."""


class Benchmark:
    """All rows, all proxies, all runs.

    A row is run through by all proxies in turn before it is repeated, each time beginning with another proxy: drift of
    the machine meets everybody. All proxies run all the time; those that are not measured are idle.
    """

    def __init__(self, bench: Bench, peers: list[Peer], rows: list[Row], runs: int) -> None:
        self._bench = bench
        self._peers = peers
        self._rows = rows
        self._runs = runs
        self._subjects: dict[str, Subject] = {}
        self.results = Results({peer.name: peer.title for peer in peers})
        self.foreign: list[float] = []

    def run(self) -> None:
        """Measure everything, printing each row's table when it is complete."""
        with ExitStack() as stack:
            if any(row.kind is not Kind.IDLE for row in self._rows):
                self._startAll(stack)
            for row in self._rows:
                if row.kind is not Kind.IDLE:
                    self._measureRow(row)
        for row in self._rows:
            if row.kind is Kind.IDLE:
                self._measureIdleRow(row)

    def _startAll(self, stack: ExitStack) -> None:
        for peer in self._peers:
            try:
                self._subjects[peer.name] = stack.enter_context(Subject(peer, self._bench))
            except BenchmarkError as error:
                self.results.absent[peer.name] = str(error)

    def _measureRow(self, row: Row) -> None:
        for subject in self._subjects.values():
            self._attempt(row, subject.peer.name, partial(subject.check, row))
        for run in range(self._runs):
            for name in _rotated(list(self._subjects), run):
                if (row.name, name) not in self.results.failures:
                    self._attempt(row, name, partial(self._measureRunning, row, self._subjects[name]))
        print(rowTable(row, self.results), flush=True)

    def _measureIdleRow(self, row: Row) -> None:
        """Each sample needs a fresh process: memory once had is not given back."""
        for run in range(self._runs):
            for peer in self._peers:
                if (row.name, peer.name) not in self.results.failures:
                    self._attempt(row, peer.name, partial(self._measureFresh, row, peer, run))
        print(rowTable(row, self.results), flush=True)

    def _measureRunning(self, row: Row, subject: Subject) -> None:
        sample = subject.measure(row)
        self.results.add(row, subject.peer.name, sample)
        self.foreign.append(sample.foreign)

    def _measureFresh(self, row: Row, peer: Peer, run: int) -> None:
        with Subject(peer, self._bench, f"-{row.name}-{run}") as subject:
            self.results.add(row, peer.name, subject.measure(row))

    def _attempt(self, row: Row, name: str, action: Callable[[], None]) -> None:
        """Do it; a failure becomes the row's note for that proxy, which is then left out of the row's later runs."""
        try:
            action()
        except BenchmarkError as error:
            self.results.failures[row.name, name] = str(error)

    def legend(self) -> str:
        """Say of each proxy what it was: version, log, remark, cipher."""
        lines = []
        for peer in self._peers:
            if peer.name in self.results.absent:
                lines.append(f"- {peer.title}: absent: {self.results.absent[peer.name]}")
                continue
            try:
                version = peer.version()
            except BenchmarkError as error:
                lines.append(f"- {peer.title}: absent: {error}")
                continue
            subject = self._subjects.get(peer.name)
            log = f"access log: {peer.logs}" if subject is None or subject.loggedBytes else "access log: WROTE NOTHING"
            parts = [version, peer.remark, log, subject.cipher if subject else ""]
            lines.append(f"- {peer.title}: {'; '.join(filter(None, parts))}")
        return "\n".join(lines) + "\n"


def describeMachine(placement: Placement) -> str:
    """Say when and where this is."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    now = datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
    cores = len(os.sched_getaffinity(0))
    return (
        f"{now}; {model}, {cores} cores, Linux {platform.release()}, Python {platform.python_version()}; "
        f"load average at the start {os.getloadavg()[0]:.1f}; {placement.describe()}"
    )


def options(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.edge", description="Our edge beside its peers.")
    parser.add_argument("--only", metavar="NAMES", help="proxies, comma-separated: us,nginx")
    parser.add_argument("--rows", metavar="NAMES", help="rows, comma-separated, or all: small,tls-64,idle")
    parser.add_argument("--runs", type=int, help="runs of each row, of which the median is shown (3; quick: 1)")
    parser.add_argument("--seconds", type=float, help="length of a window (4; quick: 2)")
    parser.add_argument("--quick", action="store_true", help="one short run of each row")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write every sample to a file")
    parser.add_argument("--results", action="store_true", help="append the tables to benchmarks/RESULTS.md")
    chosen = parser.parse_args(arguments)
    chosen.runs = chosen.runs or (1 if chosen.quick else 3)
    chosen.seconds = chosen.seconds or (2.0 if chosen.quick else 4.0)
    return chosen


def main(arguments: list[str]) -> int:
    """Measure and print; return the exit code: 1 when nothing could be measured, 2 for wrong usage."""
    chosen = options(arguments)
    try:
        peers, rows = choosePeers(chosen.only), chooseRows(chosen.rows)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    start = time.monotonic()
    try:
        report, results = _benchmark(chosen, peers, rows)
    except BenchmarkError as error:
        print(f"cannot measure: {error}", file=sys.stderr)
        return 1
    print(f"({time.monotonic() - start:.0f} s)")
    if chosen.json:
        chosen.json.write_text(json.dumps(_plain(results), indent=1))
    if chosen.results:
        head = "" if RESULTS.exists() else RESULTS_HEAD
        with RESULTS.open("a") as sink:
            sink.write(f"{head}\n{report}")
    return 0 if results.samples else 1


def _benchmark(chosen: argparse.Namespace, peers: list[Peer], rows: list[Row]) -> tuple[str, Results]:
    """Run everything in a temporary directory; return the report in Markdown and the results."""
    placement = Placement.choose()
    machine = describeMachine(placement)
    print(f"{machine}\n", flush=True)
    ours = os.sched_getaffinity(0)
    os.sched_setaffinity(0, placement.load)
    try:
        with ExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="revproxy-bench-")))
            writeCertificate(directory)
            origin = Origin(directory, placement)
            stack.callback(origin.stop)
            bench = Bench(directory, placement, origin, chosen.seconds)
            benchmark = Benchmark(bench, peers, rows, chosen.runs)
            benchmark.run()
            tail = _tail(chosen, benchmark)
    finally:
        os.sched_setaffinity(0, ours)
    print(tail)
    tables = "\n".join(rowTable(row, benchmark.results) for row in rows)
    return f"## {machine}\n\n{tables}\n{tail}", benchmark.results


def _tail(chosen: argparse.Namespace, benchmark: Benchmark) -> str:
    window = (
        f"{chosen.runs} runs of {chosen.seconds:g} s, medians."
        if chosen.runs > 1
        else f"1 run of {chosen.seconds:g} s."
    )
    if benchmark.foreign:
        noisy = sum(share > _NOISY for share in benchmark.foreign)
        window += (
            f" Others used the proxy's core for {max(benchmark.foreign):.0%} of a window at worst;"
            f" {noisy} of {len(benchmark.foreign)} windows were disturbed by more than {_NOISY:.0%}."
        )
    return "\n".join(filter(None, [targetTable(benchmark.results), window, "", benchmark.legend()]))


def _plain(results: Results) -> dict[str, object]:
    return {
        "samples": [
            {"row": row, "proxy": name, **dataclasses.asdict(sample)}
            for (row, name), samples in results.samples.items()
            for sample in samples
        ],
        "failures": [{"row": row, "proxy": name, "reason": why} for (row, name), why in results.failures.items()],
        "absent": results.absent,
    }


def _rotated(names: list[str], by: int) -> list[str]:
    by %= len(names) or 1
    return names[by:] + names[:by]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
