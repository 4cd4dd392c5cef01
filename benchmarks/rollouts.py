"""``python -m benchmarks.rollouts``: rollouts on a running edge. See README.md.

Identical versions beside each other raise no alarm; each planted fault is found, after how long and how many spoilt
answers; what a shadow costs those who are served; and what a restart in mid-step forgets. What is a matter of chance is
measured by ``make bench-judge``, over thousands of runs; this is whether the edge does the same.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.armcosts import armCosts
from benchmarks.load import Wrk
from benchmarks.processes import Placement
from benchmarks.report import table
from benchmarks.rolloutedge import CANARY, OPEN, SHADOW, SLOW, WIDE, RolloutEdge, mixing, raising
from benchmarks.rows import Row
from benchmarks.sitting import Sitting, sit
from benchmarks.traffic import Traffic
from revproxy.demo.rollout import PEOPLE, headersOf, wrongIn
from revproxy.demo.rolloutversions import FIRST, Candidate
from revproxy.demo.visitors import Met, Visitors

RATE = 200.0
"""Requests a second."""

SETTLING = 3.0
"""Seconds until visitors come at a steady rate."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is done. :param pairs: identical ones, of ``seconds`` each; ``longest``: seconds to find a fault in."""

    pairs: int
    seconds: float
    runs: int
    longest: float
    windows: int
    window: int


USUAL = Effort(20, 60.0, 5, 300.0, 9, 4)
QUICK = Effort(2, 20.0, 1, 240.0, 3, 2)


@dataclass(frozen=True, slots=True)
class Plant:
    """
    A fault.

    :ivar most: answers that it may spoil at 90 % of all runs, as the judge's simulation has it.
    """

    title: str
    candidate: Candidate
    base: Candidate
    steps: Sequence[Any]
    most: int

    @property
    def isInShadow(self) -> bool:
        """Whether it is found before any client meets it."""
        return "canary" not in self.steps[0]


PLANTS = (
    Plant("1 % errors, none before", raising(100, "new"), FIRST, CANARY, 8),
    Plant("1 % errors, 0.1 % before", raising(100), raising(1000), CANARY, 45),
    Plant("+5 ms", SLOW, FIRST, CANARY, 400),
    Plant("lets all through, 25 % of clients", OPEN, FIRST, WIDE, 400),
    Plant("wrong header in 1 of 200", mixing(200), FIRST, SHADOW, 0),
    Plant("1 % errors, in shadow", raising(100), FIRST, SHADOW, 0),
    Plant("+5 ms, in shadow", SLOW, FIRST, SHADOW, 0),
)


@dataclass(slots=True)
class Found:
    """Runs of one fault. :ivar seconds: until it was found, of each that was; ``spoilt``: answers, by then."""

    runs: int = 0
    seconds: list[float] = field(default_factory=list)
    spoilt: list[int] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Restart:
    """
    A kill in mid-step.

    :ivar forgotten: seconds of evidence that are gone; ``moved``: clients that met another version afterwards, of
        ``clients``; ``back``: seconds until it was judged again.
    """

    forgotten: float = 0.0
    moved: int = 0
    clients: int = 0
    back: float = 0.0


@dataclass(slots=True)
class Outcome:
    """
    What was measured.

    :ivar alarms: reasons, of identical pairs that ended as worse; ``pairs``: how many there were.
    :ivar arms: microseconds that a request takes more because its arm is chosen, by what clients are told apart by.
    :ivar plain: microseconds of p50 without a rollout, in windows; ``full`` and ``twentieth``: with a shadow of 100 and
        of 5 %; ``errors``: requests that failed meanwhile.
    """

    pairs: int = 0
    alarms: list[str] = field(default_factory=list)
    broken: int = 0
    found: dict[str, Found] = field(default_factory=dict)
    plain: list[float] = field(default_factory=list)
    full: list[float] = field(default_factory=list)
    twentieth: list[float] = field(default_factory=list)
    compared: int = 0
    errors: list[str] = field(default_factory=list)
    restart: Restart = field(default_factory=Restart)
    arms: dict[str, float] = field(default_factory=dict)


class Rolling:
    """The phases."""

    def __init__(self, directory: Path, placement: Placement, effort: Effort, say: Callable[[str], None]) -> None:
        self.outcome = Outcome()
        self._directory = directory
        self._placement = placement
        self._effort = effort
        self._say = say
        self._edges = 0

    def run(self, names: Sequence[str]) -> None:
        """Those of these names."""
        for name in names:
            PHASES[name](self)

    @contextmanager
    def _edge(self, steps: Sequence[Any], base: Candidate = FIRST, **more: Any) -> Iterator[RolloutEdge]:
        self._edges += 1
        folder = self._directory / f"edge-{self._edges}"
        edge = RolloutEdge(folder, frozenset([self._placement.proxy]), steps, base, **more)
        with edge:
            yield edge

    def _visitors(self, edge: RolloutEdge) -> Visitors:
        return Visitors(edge.port, RATE, PEOPLE, headersOf, wrongIn)

    def identical(self) -> None:
        """Versions that do the same, one after the other."""
        with self._edge(CANARY) as edge, self._visitors(edge) as visitors:
            time.sleep(SETTLING)
            for _ in range(self._effort.pairs):
                number = edge.begin(FIRST, "canary")
                time.sleep(self._effort.seconds)
                view = edge.view(number)
                self.outcome.pairs += 1
                if view["state"] != "canary":
                    self.outcome.alarms.append(f"{view['state']}: {view['verdict']['reason']}")
                else:
                    edge.abort()
            met = visitors.take()
            self.outcome.broken += met.broken + sum(met.wrong.values())
        self._say(f"{self.outcome.pairs} identical pairs: {len(self.outcome.alarms)} alarms")

    def faults(self) -> None:
        """Each of `PLANTS`, over and over."""
        for plant in PLANTS:
            found = self.outcome.found[plant.title] = Found()
            with self._edge(plant.steps, plant.base) as edge, self._visitors(edge) as visitors:
                time.sleep(SETTLING)
                for _ in range(self._effort.runs):
                    self._find(plant, found, edge, visitors)
            times = ", ".join(f"{seconds:.0f}" for seconds in found.seconds)
            self._say(f"{plant.title}: {len(found.seconds)} of {found.runs} found, after {times or '–'} s")

    def _find(self, plant: Plant, found: Found, edge: RolloutEdge, visitors: Visitors) -> None:
        number = edge.begin(plant.candidate, "shadow" if plant.isInShadow else "canary")
        visitors.take()
        began, view = time.monotonic(), edge.view(number)
        found.runs += 1
        while time.monotonic() < began + self._effort.longest:
            view = edge.view(number)
            if view["ended"] is not None or (plant.isInShadow and view["held"]):
                break
            time.sleep(0.1)
        else:
            edge.abort()
            return
        found.seconds.append(time.monotonic() - began)
        found.reasons.append(view["verdict"]["reason"])
        if view["ended"] is None:
            edge.abort()
        time.sleep(0.5)
        found.spoilt.append(self._spoilt(plant, view, visitors.take()))

    def _spoilt(self, plant: Plant, view: Any, met: Met) -> int:
        """Answers that are not as they should be. Slow ones are those of the candidate."""
        if plant.candidate is SLOW and not plant.isInShadow:
            return int(view["arms"]["candidate"]["requests"])
        if plant.base is not FIRST:
            return int(view["arms"]["candidate"]["faults"])
        return met.broken + sum(met.wrong.values())

    def shadow(self) -> None:
        """What those wait who are served while copies of their requests are tried."""
        twentieth = ({"shadow": "5%", "until": {"pairs": 1_000_000_000}},)
        everything = ({"shadow": "100%", "until": {"pairs": 1_000_000_000}},)
        out = self.outcome
        with Traffic(self._placement.load) as traffic, ExitStack() as stack:
            edges = [
                stack.enter_context(self._edge(steps, OPEN, origin=traffic.origin, by="address"))
                for steps in ((), everything, twentieth)
            ]
            numbers = [edge.begin(OPEN, "shadow") for edge in edges[1:]]
            sides = list(zip(edges, (out.plain, out.full, out.twentieth), strict=True))
            for number in range(self._effort.windows):
                for edge, waits in sides[number % 3 :] + sides[: number % 3]:
                    waits.append(self._p50(edge))
                    edge.cutLog()
            out.compared = edges[1].view(numbers[0])["pairs"]["compared"]
        self._say(f"p50 {statistics.median(out.plain):.0f} µs, with a shadow of all "
                  f"{statistics.median(out.full):.0f} µs; {out.compared} pairs")  # fmt: skip

    def _p50(self, edge: RolloutEdge) -> float:
        row = Row("rollouts", "rollouts", connections=1, path="/plain/0/0")
        with Wrk(row, edge.port, self._effort.window, self._placement.load, self._directory) as wrk:
            result = wrk.result()
        if result.trouble:
            self.outcome.errors.append(result.trouble)
        return result.p50 * 1e3

    def arms(self) -> None:
        """What it costs to choose."""
        self.outcome.arms = armCosts(5 * self._effort.windows)
        self._say(", ".join(f"{name} {more:.2f} µs" for name, more in self.outcome.arms.items()))

    def restart(self) -> None:
        """Kill it in mid-step, and start it again."""
        base = Candidate("1.0.0", "what runs", "", False, "promoted", response=_stamp("1"))
        other = Candidate("1.0.0", "another", "", False, "promoted", response=_stamp("2"))
        out = self.outcome.restart
        with self._edge(({"canary": "25%", "until": {"fault": "0.01%"}},), base) as edge:
            number = edge.begin(other, "canary")
            before = {person: edge.stampOf(headersOf(person, 1)) for person in range(300)}
            with self._visitors(edge):
                time.sleep(20.0)
                known = edge.view(number)["arms"]["candidate"]["requests"]
                time.sleep(2.0)
                last = edge.view(number)["arms"]["candidate"]["requests"]
            edge.kill()
            edge.start()
            began = time.monotonic()
            edge.until(lambda: edge.view(number).get("state") == "canary", "the rollout does not go on")
            out.back = time.monotonic() - began
            again = edge.view(number)["arms"]["candidate"]["requests"]
            rate = max((last - known) / 2.0, 1.0)
            out.forgotten = max(0.0, (last - again) / rate)
            after = {person: edge.stampOf(headersOf(person, 1)) for person in before}
            out.clients = len(before)
            out.moved = sum(before[person] != after[person] for person in before)
        self._say(f"killed: {out.forgotten:.1f} s of evidence forgotten, {out.moved} of {out.clients} clients moved")


def _stamp(text: str) -> str:
    return f'        context.response.headers.set("X-Stamp", "{text}")'


PHASES: dict[str, Callable[[Rolling], None]] = {
    "identical": Rolling.identical,
    "faults": Rolling.faults,
    "shadow": Rolling.shadow,
    "arms": Rolling.arms,
    "restart": Rolling.restart,
}


# The report


def verdicts(outcome: Outcome, names: Sequence[str]) -> list[tuple[str, bool, str]]:
    """What is to be reached, whether it is, and what was measured."""
    rows: list[tuple[str, bool, str]] = []
    if "identical" in names:
        told = "; ".join(outcome.alarms) or f"none, {outcome.broken} broken answers"
        rows.append((f"{outcome.pairs} identical pairs: no alarm", not outcome.alarms and not outcome.broken, told))
    for plant in PLANTS if "faults" in names else ():
        found = outcome.found[plant.title]
        isFound = len(found.seconds) == found.runs
        rows.append((f"{plant.title}: found each time", isFound, f"{len(found.seconds)} of {found.runs}"))
        most = max(found.spoilt, default=0)
        rows.append((f"… and ≤ {plant.most} answers spoilt", most <= plant.most, f"at most {most}"))
    if "shadow" in names:
        plain = statistics.median(outcome.plain)
        full, little = statistics.median(outcome.full), statistics.median(outcome.twentieth)
        noise = max(outcome.plain) - min(outcome.plain)
        rows += [
            ("a shadow of all: ≤ 10 % of p50", full <= plain * 1.1, f"{full / plain - 1:+.1%}"),
            ("… of 5 %: lost in the noise", little - plain <= noise, f"{little - plain:+.0f} µs of {noise:.0f}"),
            ("… and no error", not outcome.errors, "; ".join(outcome.errors) or "none"),
        ]
    for name, more in outcome.arms.items():
        most = 1.0 if name == "address" else 4.0
        if name != "address, new":  # that is once for each connection, and has no bound of its own
            rows.append((f"an arm by {name} ≤ {most:g} µs", more <= most, f"{more:.2f} µs"))
    if "restart" in names:
        again = outcome.restart
        rows += [
            ("killed in mid-step: ≤ 1 s of evidence forgotten", again.forgotten <= 1.0, f"{again.forgotten:.2f} s"),
            ("… and no client moved", again.moved == 0, f"{again.moved} of {again.clients}"),
        ]
    return rows


def report(outcome: Outcome, names: Sequence[str]) -> str:
    """All tables."""
    parts = []
    if outcome.found:
        lines = []
        for title, found in outcome.found.items():
            times, spoilt = sorted(found.seconds), sorted(found.spoilt)
            lines.append([title, f"{len(times)} of {found.runs}", *_middle(times, ".0f"), *_middle(spoilt, "g")])
        head = ("planted", "found", "median s", "longest s", "median answers spoilt", "most")
        parts.append(table(head, lines))
    if outcome.plain:
        sides = {"none": outcome.plain, "of 5 %": outcome.twentieth, "of all": outcome.full}
        lines = [[name, f"{statistics.median(waits):.0f}", f"{min(waits):.0f}–{max(waits):.0f}"]
                 for name, waits in sides.items()]  # fmt: skip
        parts.append(table(("shadow", "p50 µs", "lowest–highest"), lines))
    if outcome.arms:
        costs = [[name, f"{more:.2f}"] for name, more in outcome.arms.items()]
        parts.append(table(("an arm is chosen by", "µs"), costs))
    reached = [[what, f"{'reached' if holds else 'missed'}, {told}"] for what, holds, told in verdicts(outcome, names)]
    return "\n\n".join([*parts, table(("target", "measured"), reached)])


def _middle(values: Sequence[float], form: str) -> tuple[str, str]:
    return (f"{statistics.median(values):{form}}", f"{values[-1]:{form}}") if values else ("–", "–")


def options(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rollouts", description="Rollouts on a running edge.")
    parser.add_argument("--only", metavar="NAMES", default=",".join(PHASES), help=f"of {', '.join(PHASES)}")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs")
    parser.add_argument("--results", action="store_true", help="append the tables to benchmarks/RESULTS.md")
    chosen = parser.parse_args(arguments)
    chosen.only = chosen.only.split(",")
    unknown = [name for name in chosen.only if name not in PHASES]
    if unknown:
        parser.error(f"no phase is called {unknown[0]!r}; there are: {', '.join(PHASES)}")
    return chosen


def main(arguments: list[str]) -> int:
    """Measure and print; return the exit code: 1 when something is not reached, or nothing was measured."""
    chosen = options(arguments)

    def measure(sitting: Sitting) -> tuple[str, bool]:
        rolling = Rolling(sitting.directory, sitting.placement, QUICK if chosen.quick else USUAL, sitting.say)
        rolling.run(chosen.only)
        text = report(rolling.outcome, chosen.only)
        return text, all(holds for _, holds, _ in verdicts(rolling.outcome, chosen.only))

    return sit("Rollouts on a running edge", "rollouts", measure, chosen.results)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
