"""``python -m benchmarks.instructions``: is a change slower on the hot path? Said by counts. See benchmarks/README.md.

CPU time of the same code scatters by 15 % on a shared machine; the number of instructions that a request costs in user
space does not. Two source trees are run by the same interpreter with the same packages, in turns.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.callgrind import Callgrind
from benchmarks.conversation import Asker, Ordering, SteadyOrigin
from benchmarks.edge import RESULTS, RESULTS_HEAD, describeMachine
from benchmarks.measure import writeCertificate
from benchmarks.peers import Site, Us, UsWithFive
from benchmarks.processes import BenchmarkError, Placement, Running, freePorts
from benchmarks.report import figure, table
from benchmarks.trees import Tree, snapshot, usualBefore

LIMIT = 0.03
"""How many more instructions a change may cost."""
CUSTOMIZE = """\
import gc, os
gc.disable()
import revproxy
with open(os.environ["REVPROXY_WITNESS"], "w") as witness:
    witness.write(revproxy.__file__)
"""
"""The interpreter's ``sitecustomize``. The edge sets thresholds of the collector and does not switch it on."""
_SETTLE = 300
"""Requests before the first that is looked at: caches fill, the specializing interpreter specializes."""
_REST = 1.3
"""Seconds before and after what is counted: the access log is formatted up to a second later, and belongs to it."""
_BLOCK = 500
"""Requests between two looks at the CPU clock."""


Configuration = Mapping[str, Any]
"""A part of revproxy.yaml."""


def merged(configuration: Configuration, besides: Configuration) -> dict[str, Any]:
    """A configuration with another one over it: mappings are merged, all else takes the place of what was there."""
    both = dict(configuration)
    for key, value in besides.items():
        known = both.get(key)
        both[key] = merged(known, value) if isinstance(known, dict) and isinstance(value, Mapping) else value
    return both


@dataclass(frozen=True, slots=True)
class Case:
    """A row of the table.

    :param memory: with client and origin in memory; else a real ``twistd revproxy`` and loopback.
    :param plugins: with the five plugins of the benchmark.
    """

    name: str
    title: str
    memory: bool = False
    plugins: bool = False
    tls: bool = False


CASES = (
    Case("memory", "in memory", memory=True),
    Case("memory5", "in memory, five plugins", memory=True, plugins=True),
    Case("process", "process, HTTP"),
    Case("process5", "process, HTTP, five plugins", plugins=True),
    Case("tls", "process, TLS 1.3", tls=True),
    Case("tls5", "process, TLS 1.3, five plugins", plugins=True, tls=True),
)


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is done.

    :param few: requests of the shorter counted window.
    :param many: of the longer one.
    :param windows: how often both are counted.
    :param pairs: of processes whose CPU time is measured.
    :param busy: seconds of CPU time of such a process that are looked at.
    """

    few: int
    many: int
    windows: int
    pairs: int
    busy: float


USUAL = Effort(100, 2100, 3, 7, 0.5)
QUICK = Effort(100, 600, 1, 3, 0.2)


def perRequest(few: int, many: int, countFew: int, countMany: int) -> float:
    """Return what one request costs, of two windows; what does not depend on their number falls out."""
    return (countMany - countFew) / (many - few)


@dataclass(slots=True)
class Outcome:
    """What one case has shown; ``[0]`` is the tree before, ``[1]`` the one after.

    :ivar counts: instructions per request, of each pair of windows.
    :ivar cpu: microseconds of CPU time per request, of each process; the same index is the same pair.
    """

    counts: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))
    cpu: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))

    @property
    def change(self) -> float:
        """By which part the instructions of a request have become more; 0.01 is one per cent."""
        before, after = map(statistics.median, self.counts)
        return after / before - 1

    @property
    def scatter(self) -> float:
        """How far the counts of one tree lie apart, at worst, as a part of them."""
        return max((max(counts) - min(counts)) / statistics.median(counts) for counts in self.counts)

    @property
    def ratios(self) -> list[float]:
        """CPU time after, in times of that before, of each pair, in order of size."""
        return sorted(after / before for before, after in zip(*self.cpu, strict=True))

    @property
    def holds(self) -> bool:
        """Whether the change, as the table shows it, is within :data:`LIMIT`."""
        return round(self.change, 4) <= LIMIT


_HEAD = (
    "", "instructions before", "after", "change", "scatter", "CPU µs before", "after", "× before", "lowest–highest"
)  # fmt: skip


def outcomeTable(outcomes: dict[Case, Outcome]) -> str:
    """Lay out all cases."""
    lines = []
    for case, outcome in outcomes.items():
        counts = [f"{statistics.median(counts):,.0f}" for counts in outcome.counts]
        line = [case.title, *counts, f"{outcome.change:+.2%}"]
        line.append(f"{outcome.scatter:.2%}" if len(outcome.counts[0]) > 1 else "–")
        if ratios := outcome.ratios:
            line += [figure(statistics.median(cpu)) for cpu in outcome.cpu]
            line += [f"{statistics.median(ratios):.3f}", f"{ratios[0]:.2f}–{ratios[-1]:.2f}"]
        lines.append(line + ["–"] * (len(_HEAD) - len(line)))
    return table(_HEAD, lines)


def verdict(outcomes: dict[Case, Outcome]) -> str:
    """Say whether every case is within the limit, and which is not."""
    over = [f"{case.title} {outcome.change:+.2%}" for case, outcome in outcomes.items() if not outcome.holds]
    told = f"Instructions per request ≤ {LIMIT:+.0%}: "
    return told + (f"missed: {', '.join(over)}" if over else "reached in every row")


class Edge:
    """An edge of one tree, started on entering and ended on leaving.

    :param directory: its own, to be made.
    :param counter: whether its instructions are counted; else it runs without valgrind, on the proxy's core.
    :param besides: what its configuration has besides.
    """

    def __init__(
        self, bench: Bench, case: Case, tree: Tree, directory: Path, counter: bool, besides: Configuration
    ) -> None:
        directory.mkdir()
        self._case = case
        self._tree = tree
        self._witness = directory / "witness"
        self._callgrind = Callgrind(directory / "callgrind") if counter else None
        self._orders, plain, tls = freePorts(3)
        folder = bench.directory
        self._site = Site(
            directory, folder / "certificates", folder / "edge.crt", folder / "edge.key", bench.origin.port, plain, tls
        )
        us = UsWithFive(tree.path) if case.plugins else Us(tree.path)
        command = us.prepare(self._site)
        written = Path(command[-1])
        written.write_text(json.dumps(merged(json.loads(written.read_text()), besides), indent=2))
        if case.memory:
            # Each tree by its own: it imports from within the package.
            script = tree.path / "benchmarks" / "memoryedge.py"
            command = ["-P", str(script), command[-1], str(plain), str(self._orders)]
        command = [sys.executable, *command]
        if self._callgrind is not None:
            command = self._callgrind.command(command)
        environment = {
            "PYTHONPATH": f"{bench.customize}:{tree.path}",
            "PYTHONHASHSEED": "0",
            "PYTHONSAFEPATH": "1",
            "REVPROXY_WITNESS": str(self._witness),
        }
        everywhere = bench.placement.load | {bench.placement.proxy}
        cpus = everywhere if counter else frozenset([bench.placement.proxy])
        self.process = Running(command, cpus, directory / "output", environment)

    def __enter__(self) -> Edge:
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.stop()

    def settle(self) -> None:
        """Wait until it serves, and see that it is the right tree; make it warm.

        :raises BenchmarkError: when it is another tree, or does not serve.
        """
        try:
            self._settle()
        except BenchmarkError as error:
            raise BenchmarkError(
                f"{self._tree.title}, {self._case.title}: {error}; its last words: {self.process.lastWords()}"
            ) from error

    def _settle(self) -> None:
        site = self._site
        self.process.waitForPorts([site.plain, site.tls, *([self._orders] if self._case.memory else [])], 120)
        if not Path(self._witness.read_text()).is_relative_to(self._tree.path):
            raise BenchmarkError(f"{self._witness.read_text()} was imported instead of {self._tree.path}")
        first = Asker(site.plain)
        first.ask(1)
        first.close()
        self._client = self._connect()
        self._client.ask(_SETTLE)
        if self._callgrind is not None:
            self._callgrind.start(self.process.pid)
            self._client.ask(20)

    def _connect(self) -> Asker | Ordering:
        if self._case.memory:
            return Ordering(self._orders)
        return Asker(self._site.tls, True) if self._case.tls else Asker(self._site.plain)

    def ask(self, requests: int) -> None:
        """Have that many requests answered."""
        self._client.ask(requests)

    def zero(self) -> None:
        """Forget the instructions counted so far."""
        assert self._callgrind is not None
        self._callgrind.zero(self.process.pid)

    def instructions(self) -> int:
        """Return how many there were since :meth:`zero`."""
        assert self._callgrind is not None
        return self._callgrind.read(self.process.pid)

    def cpuMicros(self, busy: float) -> float:
        """Return the CPU time of a request, user and system, after so many seconds of it."""
        requests = 0
        start = now = self.process.cpuSeconds()
        while now - start < busy:
            self._client.ask(_BLOCK)
            requests += _BLOCK
            now = self.process.cpuSeconds()
        return (now - start) / requests * 1e6


@dataclass(frozen=True, slots=True)
class Bench:
    """What all edges share.

    :param directory: temporary; everything is below it.
    :param customize: the folder with ``sitecustomize.py``.
    :param trees: before and after.
    :param besides: what the configuration of each has besides.
    """

    directory: Path
    customize: Path
    placement: Placement
    origin: SteadyOrigin
    trees: tuple[Tree, Tree]
    effort: Effort
    besides: tuple[Configuration, Configuration] = ({}, {})

    def measure(self, case: Case, say: Callable[[str], None]) -> Outcome:
        """Count and time one case."""
        outcome = Outcome()
        self._count(case, outcome)
        before, after = (f"{statistics.median(counts):,.0f}" for counts in outcome.counts)
        say(f"{case.title}: {before} → {after} instructions per request, {outcome.change:+.2%}")
        self._time(case, outcome)
        if ratios := outcome.ratios:
            say(f"{case.title}: CPU time × {statistics.median(ratios):.3f} ({len(ratios)} pairs)")
        return outcome

    def _count(self, case: Case, outcome: Outcome) -> None:
        effort = self.effort
        with self._edges(case, True, "count") as edges:
            for _ in range(effort.windows):
                few, many = self._window(edges, effort.few), self._window(edges, effort.many)
                for counts, countFew, countMany in zip(outcome.counts, few, many, strict=True):
                    counts.append(perRequest(effort.few, effort.many, countFew, countMany))

    def _window(self, edges: list[Edge], requests: int) -> list[int]:
        """Count both over the same time: the timers of an edge that has nothing to do are in the count."""
        time.sleep(_REST)
        for edge in edges:
            edge.zero()
        for edge in edges:
            edge.ask(requests)
        time.sleep(_REST)
        return [edge.instructions() for edge in edges]

    def _time(self, case: Case, outcome: Outcome) -> None:
        """New processes for each pair: how one happens to lie in memory is worth some per cent."""
        for pair in range(self.effort.pairs):
            with self._edges(case, False, f"time{pair}") as edges:
                for i in (1, 0) if pair % 2 else (0, 1):
                    outcome.cpu[i].append(edges[i].cpuMicros(self.effort.busy))

    @contextmanager
    def _edges(self, case: Case, counter: bool, label: str) -> Iterator[list[Edge]]:
        """Both edges, started at the same time."""
        with ExitStack() as stack:
            edges = [
                stack.enter_context(
                    Edge(self, case, tree, self.directory / f"{case.name}-{label}-{i}", counter, self.besides[i])
                )
                for i, tree in enumerate(self.trees)
            ]
            for edge in edges:
                edge.settle()
            yield edges


def chooseCases(names: str | None) -> list[Case]:
    """Return the rows that a comma-separated list names; all when it is :obj:`None`.

    :raises ValueError: when a name is no row's.
    """
    if names is None:
        return list(CASES)
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    known = [case.name for case in CASES]
    for name in wanted:
        if name not in known:
            raise ValueError(f"no row is called {name!r}; there are: {', '.join(known)}")
    return [case for case in CASES if case.name in wanted]


def options(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.instructions", description="Is a change slower on the hot path? Said by counts."
    )
    parser.add_argument("--before", metavar="COMMIT", help="compared with (HEAD; where nothing is uncommitted, HEAD~1)")
    parser.add_argument("--after", metavar="COMMIT", help="what is judged (the working tree)")
    parser.add_argument("--only", metavar="NAMES", help=f"rows, of {','.join(case.name for case in CASES)}")
    parser.add_argument("--pairs", type=int, help="pairs of processes whose CPU time is measured (7; quick: 3)")
    parser.add_argument("--quick", action="store_true", help="fewer requests, fewer pairs")
    parser.add_argument("--results", action="store_true", help="append the table to benchmarks/RESULTS.md")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Compare and print; return the exit code: 1 when a change is over the limit or nothing was measured."""
    chosen = options(arguments)
    try:
        cases = chooseCases(chosen.only)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        outcomes, report = _compare(chosen, cases)
    except BenchmarkError as error:
        print(f"cannot compare: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if chosen.results:
        head = "" if RESULTS.exists() else RESULTS_HEAD
        with RESULTS.open("a") as sink:
            sink.write(f"{head}\n{report}")
    return 0 if all(outcome.holds for outcome in outcomes.values()) else 1


def _compare(chosen: argparse.Namespace, cases: list[Case]) -> tuple[dict[Case, Outcome], str]:
    placement = Placement.choose()
    effort = QUICK if chosen.quick else USUAL
    if chosen.pairs is not None:
        effort = dataclasses.replace(effort, pairs=chosen.pairs)
    start = time.monotonic()
    ours = os.sched_getaffinity(0)
    try:
        with ExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="revproxy-instructions-")))
            trees = snapshot(chosen.before or usualBefore(), directory / "1"), snapshot(chosen.after, directory / "2")
            title = f"Instructions per request: {trees[0].title} → {trees[1].title}"
            machine = describeMachine(placement)
            print(f"{title}\n{machine}\n", flush=True)
            writeCertificate(directory)
            customize = directory / "customize"
            customize.mkdir()
            (customize / "sitecustomize.py").write_text(CUSTOMIZE)
            origin = stack.enter_context(SteadyOrigin())
            os.sched_setaffinity(0, placement.load)
            bench = Bench(directory, customize, placement, origin, trees, effort)

            def say(text: str) -> None:
                print(f"{time.monotonic() - start:4.0f} s  {text}", flush=True)

            outcomes = {case: bench.measure(case, say) for case in cases}
    finally:
        os.sched_setaffinity(0, ours)
    text = f"{outcomeTable(outcomes)}\n\n{verdict(outcomes)}\n"
    print(f"\n{text}\n({time.monotonic() - start:.0f} s)")
    return outcomes, f"## {machine}\n\n### {title}\n\n{text}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
