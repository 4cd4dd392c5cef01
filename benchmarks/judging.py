"""``python -m benchmarks.judging``: is the judge of rollouts right, and how soon? See README.md.

A simulation with given seeds, which drives the judge and the planner of the product with a clock that is advanced.
Nothing is measured, so it does not matter what else the machine does.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.edge import RESULTS, RESULTS_HEAD
from benchmarks.judgingcases import COLD, DETECTION, IDENTICAL, PLANNED, SHADOW, Planned
from benchmarks.report import table
from benchmarks.simulatedrollout import CanaryCase, CanaryRun, ShadowCase, ShadowRun, runCanary, runShadow

SEED = 12

Runs = Sequence[CanaryRun]


@dataclass(slots=True)
class Outcome:
    """What came of all, by the name of the case."""

    canaries: dict[str, tuple[CanaryCase, Runs]] = field(default_factory=dict)
    shadows: dict[str, tuple[ShadowCase, Sequence[ShadowRun]]] = field(default_factory=dict)
    planned: dict[str, tuple[Planned, Runs]] = field(default_factory=dict)


def share(values: Sequence[float], part: float) -> float:
    """What so large a part of them does not exceed."""
    return float(np.quantile(values, part))


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"


def _cells(values: Sequence[float]) -> list[str]:
    """Median, and what nine tenths do not exceed."""
    return [_figure(share(values, part)) for part in (0.5, 0.9)] if values else ["–", "–"]


def identicalTable(outcome: Outcome) -> str:
    """Of versions that do the same: how often the judge says they do not."""
    lines, alarms, total = [], 0, 0
    for case, runs in _of(outcome, IDENTICAL):
        found = [run for run in runs if run.found is not None]
        well = [run.well for run in runs if run.well is not None]
        alarms, total = alarms + len(found), total + len(runs)
        families = ", ".join(sorted({run.family for run in found})) or "–"
        lines.append([case.name, f"{case.seconds:,} s", str(len(runs)), str(len(found)), families,
                      str(len(well)), *_cells(well)])  # fmt: skip
    lines.append(["all", "", str(total), str(alarms), "", "", "", ""])
    head = ("identical versions, canary 5 %", "length", "runs", "false alarms", "by", "ended well", "median s", "p90 s")
    return table(head, lines)


def detectionTable(outcome: Outcome) -> str:
    """Of a candidate that is worse: how soon it is found, and at whose cost."""
    lines = []
    for case, runs in _of(outcome, DETECTION):
        found = [run for run in runs if run.found is not None]
        first = [run for run in runs if run.well is not None]
        lines.append([
            case.name, f"{len(found)}/{len(runs)} in {case.seconds:,} s", str(len(first)),
            *_cells([run.found for run in found if run.found is not None]),
            *_cells([run.afterWarmUp for run in found if run.afterWarmUp is not None]),
            *_cells([run.faulty for run in found] if _isFaulty(case) else []),
        ])  # fmt: skip
    head = ("planted, clustered traffic", "found", "ended well before", "median s", "p90 s", "since warm: median",
            "p90", "faulty answers: median", "p90")  # fmt: skip
    return table(head, lines)


def _isFaulty(case: CanaryCase) -> bool:
    return case.plant.errors > 0


def coldTable(outcome: Outcome) -> str:
    """Of an instance that has just begun."""
    lines = [
        [case.name, str(len(runs)), str(sum(run.found is not None for run in runs))]
        for case, runs in _of(outcome, COLD)
    ]
    return table(("identical, first 50 calls 5 × slower", "runs", "false alarms"), lines)


def shadowTable(outcome: Outcome) -> str:
    """Of pairs."""
    lines = []
    for case, runs in outcome.shadows.values():
        found = [run.found for run in runs if run.found is not None]
        lines.append([case.name, f"{case.pairs:,}", str(len(runs)), str(len(found)), *_cells(found)])
    return table(("shadow, three noisy fields", "pairs at most", "runs", "found", "pairs: median", "p90"), lines)


def plannedTable(outcome: Outcome) -> str:
    """What the planner says beside what came."""
    lines = []
    for case, runs in outcome.planned.values():
        times = case.times(runs)
        middle = share(times, 0.5) if times else float("nan")
        lines.append([case.name, f"{len(times)}/{len(runs)}", _figure(case.says()), *_cells(times),
                      f"{case.says() / middle:.2f}"])  # fmt: skip
    return table(("planner", "runs", "says s", "came, median s", "p90 s", "says / came"), lines)


def _of(outcome: Outcome, cases: Sequence[CanaryCase]) -> Iterator[tuple[CanaryCase, Runs]]:
    yield from (outcome.canaries[case.name] for case in cases if case.name in outcome.canaries)


def verdicts(outcome: Outcome) -> Mapping[str, tuple[bool, str]]:
    """What is to be reached, whether it is, and the figure."""
    found: dict[str, tuple[bool, str]] = {}
    identical = [run for _, runs in _of(outcome, IDENTICAL) for run in runs]
    if identical:
        alarms = sum(run.found is not None for run in identical)
        found["identical: false alarms ≤ 1 %"] = alarms <= 0.01 * len(identical), f"{alarms} of {len(identical):,}"
    for case, runs in _of(outcome, DETECTION):
        found |= _detected(case, [run for run in runs if run.found is not None], len(runs))
    for case, runs in _of(outcome, COLD):
        if case.warmUp.calls:
            alarms = sum(run.found is not None for run in runs)
            found[f"{case.name}: no alarm"] = alarms == 0, f"{alarms} of {len(runs)}"
    for shadow, pairs in outcome.shadows.values():
        found |= _shown(shadow, pairs)
    for planned, runs in outcome.planned.values():
        if times := planned.times(runs):
            ratio = planned.says() / share(times, 0.5)
            found[f"planner, {planned.name}: ± 30 %"] = 0.7 <= ratio <= 1.3, f"{ratio:.2f}"
    return found


def _detected(case: CanaryCase, found: Sequence[CanaryRun], runs: int) -> Mapping[str, tuple[bool, str]]:
    faulty = [run.faulty for run in found] or [10**6]
    middle, most = share(faulty, 0.5), share(faulty, 0.9)
    told: dict[str, tuple[bool, str]] = {}
    if case.plant.errors and case.plant.errorClients == 1 and not case.background:
        isReached = middle <= 4 and most <= 8
        told[f"{case.name}: faulty answers, median ≤ 4, p90 ≤ 8"] = isReached, f"{middle:.0f}, {most:.0f}"
    elif case.plant.errors and case.plant.errorClients == 1 and case.rate == 200:
        told[f"{case.name}: faulty answers, p90 ≤ 45"] = most <= 45, f"{most:.0f}"
    if case.plant.later and case.rate >= 200:
        times = [run.afterWarmUp or 0.0 for run in found] if len(found) == runs else [float("inf")]
        told[f"{case.name}: p90 ≤ 2 s, once it is judged"] = share(times, 0.9) <= 2, f"{share(times, 0.9):.1f} s"
    return told


def _shown(case: ShadowCase, runs: Sequence[ShadowRun]) -> Mapping[str, tuple[bool, str]]:
    found = [run.found for run in runs if run.found is not None]
    if case.plant.header:
        most = share(found, 0.9) if len(found) >= 0.9 * len(runs) else float("inf")
        return {f"{case.name}: p90 ≤ 3,600 pairs": (most <= 3600, f"{most:,.0f}")}
    if case.isIdentical:
        return {f"{case.name}: ≤ 1 %": (len(found) <= 0.01 * len(runs), f"{len(found)} of {len(runs)}")}
    return {}


def options(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.judging", description="Is the judge of rollouts right, and how soon?"
    )
    parts = "identical, detection, cold, shadow, planner"
    parser.add_argument("--only", metavar="PARTS", help=f"of {parts}")
    parser.add_argument("--seed", type=int, default=SEED, help=f"another draw ({SEED})")
    parser.add_argument("--jobs", type=int, help="processes (as many as there are processors)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the runs")
    parser.add_argument("--results", action="store_true", help="append the tables to benchmarks/RESULTS.md")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Simulate and print; return the exit code: 1 when something is missed."""
    chosen = options(arguments)
    only = {part.strip() for part in chosen.only.split(",")} if chosen.only else set(_PARTS)
    if unknown := only - set(_PARTS):
        print(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(_PARTS)}", file=sys.stderr)
        return 2
    title = (
        f"Judging rollouts, simulated: {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}; Python "
        f"{platform.python_version()}, numpy {np.__version__}; seed {chosen.seed}"
    )
    print(f"{title}\n", flush=True)
    start = time.monotonic()
    try:
        outcome = simulate(only, chosen.seed, chosen.jobs or len(os.sched_getaffinity(0)), 10 if chosen.quick else 1)
    except KeyboardInterrupt:
        return 130
    text = report(outcome)
    print(f"\n{text}\n({time.monotonic() - start:.0f} s)")
    if chosen.results:
        head = "" if RESULTS.exists() else RESULTS_HEAD
        with RESULTS.open("a") as sink:
            sink.write(f"{head}\n## {title}\n\n{text}")
    return 0 if all(isReached for isReached, _ in verdicts(outcome).values()) else 1


def report(outcome: Outcome) -> str:
    """All tables, and what is reached."""
    tables = [make(outcome) for make in _TABLES]
    lines = [
        [what, f"reached, {figure}" if isReached else f"missed, {figure}"]
        for what, (isReached, figure) in verdicts(outcome).items()
    ]
    found = "\n\n".join(made for made in tables if made.count("\n") > 1)
    return f"{found}\n\n### To reach\n\n{table(('target', 'simulated'), lines)}\n"


_TABLES: Sequence[Callable[[Outcome], str]] = (identicalTable, detectionTable, coldTable, shadowTable, plannedTable)

_PARTS: Mapping[str, Sequence[Any]] = {
    "identical": IDENTICAL, "detection": DETECTION, "cold": COLD, "shadow": SHADOW, "planner": PLANNED,
}  # fmt: skip


def simulate(only: set[str], seed: int, jobs: int, less: int = 1) -> Outcome:
    """Run all cases of these parts, in so many processes; of each one part in ``less`` of its runs."""
    outcome = Outcome()
    with ProcessPoolExecutor(jobs) as pool:
        for number, (part, case) in enumerate((part, case) for part, cases in _PARTS.items() for case in cases):
            if part not in only:
                continue
            began = time.monotonic()
            runs, ran = max(1, case.runs // less), case.ran if part == "planner" else case
            function: Callable[..., Any] = runShadow if part == "shadow" else runCanary
            seeds = [(seed, number, run) for run in range(runs)]
            made: list[Any] = list(pool.map(function, [ran] * runs, seeds, chunksize=max(1, runs // (4 * jobs))))
            _keep(outcome, part, case, made)
            print(f"{time.monotonic() - began:5.0f} s  {part}: {case.name}, {runs} runs", flush=True)
    return outcome


def _keep(outcome: Outcome, part: str, case: Any, made: list[Any]) -> None:
    kept = {"shadow": outcome.shadows, "planner": outcome.planned}.get(part, outcome.canaries)
    kept[case.name] = (case, made)  # type: ignore[index]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
