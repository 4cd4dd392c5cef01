"""``python -m benchmarks.isolation``: what it costs to run plugins that nobody trusts. See README.md.

The same plugin in the edge's own process and in a locked one, in pairs: how long one client waits, and what the edge
itself computes for each of 64. A call that spins, and what it costs the others. A process that is killed. The memory of
one, and of eight. And the guards in the edge's own process: permissions of a call, the signature of a folder.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.guardcosts import facadeCosts, verificationCost
from benchmarks.isolatededge import (
    BUDGET,
    PLUGIN,
    SOURCE,
    IsolatedEdge,
    Tier,
    filesOf,
    kill,
    namesOf,
    parentOf,
    proportionalBytes,
)
from benchmarks.load import Wrk
from benchmarks.processes import BenchmarkError, Placement
from benchmarks.report import table
from benchmarks.rows import Row
from benchmarks.sitting import Sitting, sit
from benchmarks.traffic import PLAIN, Traffic
from revproxy.bundles.bundle import readBundle
from revproxy.bundles.signature import Signers, verify
from revproxy.config.trustconfig import SignerConfig

_ROOT = Path(__file__).resolve().parent.parent

SPIN_RATE = 1000
"""Requests a second of 64 clients, while a call spins."""

_SPIN_WINDOW = 1.5
"""Seconds."""

FILES = 20
"""Of the folder that is verified."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is done.

    :param seconds: of each window.
    :param rounds: of what takes a moment.
    """

    pairs: int
    seconds: int
    spins: int
    kills: int
    rounds: int


USUAL = Effort(7, 3, 5, 5, 30)
QUICK = Effort(3, 2, 2, 2, 10)


@dataclass(slots=True)
class Pairs:
    """Windows of the plugin in the edge's own process, and in a locked one.

    :ivar inline: microseconds; ``process`` likewise.
    """

    inline: list[float] = field(default_factory=list)
    process: list[float] = field(default_factory=list)

    @property
    def differences(self) -> list[float]:
        """By how many microseconds the second is more, of each pair, in order of size."""
        return sorted(after - before for before, after in zip(self.inline, self.process, strict=True))

    @property
    def more(self) -> float:
        """The median of that."""
        return statistics.median(self.differences)


@dataclass(slots=True)
class Outcome:
    """What was measured.

    :ivar level: how well processes are locked here.
    :ivar alone: p50 at one connection; ``edge``: processor time of the edge itself, of each request at 64.
    :ivar failed: of each spinning call, how many requests it cost; ``spun``: milliseconds until it was ended: longer
        than it may compute where others have the processor, too; ``waited``: that the longest of the others took, and
        ``usual``, of those when none spins.
    :ivar recovered: milliseconds from a kill to the next answer, with a spare process; ``remade``: without.
    :ivar cold: milliseconds until there is a process, when there was nothing; ``forked``, and ``spare``.
    :ivar memory: by how many plugins, MB of their processes and the one they are forked from; and of spare ones.
    :ivar facade: microseconds; ``verified``: milliseconds.
    """

    level: str = ""
    alone: Pairs = field(default_factory=Pairs)
    edge: Pairs = field(default_factory=Pairs)
    failed: list[int] = field(default_factory=list)
    spun: list[float] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)
    usual: list[float] = field(default_factory=list)
    recovered: list[float] = field(default_factory=list)
    remade: list[float] = field(default_factory=list)
    cold: list[float] = field(default_factory=list)
    forked: list[float] = field(default_factory=list)
    spare: list[float] = field(default_factory=list)
    memory: dict[int, tuple[float, float]] = field(default_factory=dict)
    facade: dict[str, float] = field(default_factory=dict)
    verified: float = 0.0


class Isolation:
    """The phases."""

    def __init__(self, directory: Path, placement: Placement, effort: Effort, say: Callable[[str], None]) -> None:
        self.outcome = Outcome()
        self._directory = directory
        self._placement = placement
        self._effort = effort
        self._say = say
        self._edges = 0

    def run(self) -> None:
        """All of them."""
        self._measureGuards()
        self._measureProcesses()
        self._measureRequests()
        self._measureSpins()
        self._measureKills()
        self._measureMemory()

    @contextmanager
    def _edge(
        self, tier: Tier, origin: int | None = None, count: int = 1, cpus: frozenset[int] = frozenset()
    ) -> Iterator[IsolatedEdge]:
        """:param cpus: the cores that it and its plugins may use; none: the proxy's."""
        self._edges += 1
        folder = self._directory / f"edge-{self._edges}"
        with IsolatedEdge(folder, origin, cpus or frozenset([self._placement.proxy]), tier, count) as edge:
            yield edge

    # In the edge's own process

    def _measureGuards(self) -> None:
        self.outcome.facade = facadeCosts(10 * self._effort.rounds)
        folder, signers = self._signedFolder()
        bundle = readBundle(folder)
        self.outcome.verified = verificationCost(lambda: verify(bundle, signers, now=time.time()), self._effort.rounds)
        self._say(f"guards: {max(self.outcome.facade.values()):.2f} µs a call, {self.outcome.verified:.2f} ms a folder")

    def _signedFolder(self) -> tuple[Path, Signers]:
        folder, key = self._directory / "signed" / PLUGIN, self._directory / "key"
        folder.mkdir(parents=True)
        files = {**filesOf(PLUGIN, "inline"), **{f"part{number}.py": SOURCE for number in range(FILES - 2)}}
        for name, content in files.items():
            (folder / name).write_text(content)
        manifest = json.loads(files["plugin.json"])
        (folder / "plugin.json").write_text(json.dumps({**manifest, "revision": 1}))
        _revproxy("keygen", str(key), "--no-passphrase")
        _revproxy("sign", "--key", str(key), str(folder))
        return folder, Signers([SignerConfig("bench", key.with_name("key.pub").read_text().strip())])

    # Locked processes

    def _measureProcesses(self) -> None:
        told = subprocess.run(
            [sys.executable, "-m", "benchmarks.lockedprobe", str(self._effort.rounds)],
            cwd=_ROOT, capture_output=True, text=True,
        )  # fmt: skip
        if told.returncode:
            raise BenchmarkError(f"no locked process: {(told.stderr.strip().splitlines() or ['(nothing said)'])[-1]}")
        measured = json.loads(told.stdout)
        out = self.outcome
        out.level, out.cold, out.forked, out.spare = (measured[name] for name in ("level", "cold", "forked", "spare"))
        self._say(f"level {out.level}; there in {out.cold[0]:.0f} ms, forked in {statistics.median(out.forked):.0f} ms")

    def _measureRequests(self) -> None:
        with self._edge("inline") as inline, self._edge("process") as process:
            sides = (inline, self.outcome.alone.inline, self.outcome.edge.inline), (
                process, self.outcome.alone.process, self.outcome.edge.process,
            )  # fmt: skip
            for number in range(self._effort.pairs):
                for edge, waits, costs in sides if number % 2 else sides[::-1]:
                    waits.append(self._load(edge, 1)[0])
                    costs.append(self._load(edge, 64)[1])
                    edge.cutLog()
        self._say(f"p50 {self.outcome.alone.more:+.0f} µs, the edge itself {self.outcome.edge.more:+.1f} µs a request")

    def _load(self, edge: IsolatedEdge, connections: int) -> tuple[float, float]:
        """:returns: microseconds of p50, and of the edge's processor time per request."""
        row = Row("isolation", "isolation", connections=connections, path="/plain/0/0")
        before = edge.cpuSeconds()
        with Wrk(row, edge.port, self._effort.seconds, self._placement.load, self._directory) as wrk:
            result = wrk.result()
        if result.trouble:
            raise BenchmarkError(result.trouble)
        return result.p50 * 1e3, (edge.cpuSeconds() - before) / max(result.requests, 1) * 1e6

    def _measureSpins(self) -> None:
        # Not on one core: what spins there takes it from the edge, too, and that is the scheduler's to share out.
        cpus = self._placement.load | {self._placement.proxy}
        with Traffic(self._placement.load) as traffic, self._edge("process", traffic.origin, cpus=cpus) as edge:
            traffic.begin(edge.port, 0, PLUGIN, PLAIN, rate=SPIN_RATE)
            time.sleep(2)
            for _ in range(self._effort.spins):
                traffic.window()
                time.sleep(_SPIN_WINDOW)
                self.outcome.usual.append(traffic.window().worst)
                began = time.monotonic()
                if edge.get("/spin")[0] != 500:
                    raise BenchmarkError("a call that spins is answered")
                self.outcome.spun.append((time.monotonic() - began) * 1e3)
                time.sleep(max(0.0, began + _SPIN_WINDOW - time.monotonic()))
                window = traffic.window()
                if window.drops or window.mixtures:
                    raise BenchmarkError(window.trouble)
                self.outcome.failed.append(1 + window.failed)
                self.outcome.waited.append(window.worst)
                edge.replace(PLUGIN, {"plugin.py": f"{SOURCE}# {began}\n"})  # what it did before does not count
                time.sleep(1.2)
            traffic.end()
        self._say(f"a call that spins: others wait {max(self.outcome.waited):.0f} ms at most")

    def _measureKills(self) -> None:
        with self._edge("process") as edge:
            for number in range(self._effort.kills * 2):
                isRemade = number % 2 == 1
                edge.replace(PLUGIN, {"plugin.py": f"{SOURCE}# {number}\n"})  # what it did before does not count
                pid = edge.pluginPid()
                edge.until(lambda: len(edge.locked()) > 1, "there is no spare process", 20)
                time.sleep(1.2)  # one that ends at once counts as one that cannot be made
                victims = edge.locked() if isRemade else [pid]
                began = time.perf_counter()
                kill(victims)
                edge.answersElsewhere(pid)
                taken = (time.perf_counter() - began) * 1e3
                (self.outcome.remade if isRemade else self.outcome.recovered).append(taken)
        out = self.outcome
        self._say(f"killed: back in {statistics.median(out.recovered):.0f} ms, without a spare process in "
                  f"{statistics.median(out.remade):.0f} ms")

    def _measureMemory(self) -> None:
        for count in (1, 8):
            with self._edge("process", count=count) as edge:
                time.sleep(2)
                pid = edge.pluginPid()
                locked = edge.locked()
                sizes = sorted(proportionalBytes(each) / 1e6 for each in locked)
                spares = sizes[: max(0, len(locked) - count)]  # they have loaded nothing, and are the smallest
                total = proportionalBytes(parentOf(pid)) / 1e6 + sum(sizes)
                self.outcome.memory[count] = total - sum(spares), sum(spares)
        one, eight = self.outcome.memory[1][0], self.outcome.memory[8][0]
        self._say(f"memory: {one:.1f} MB alone, {eight / 8:.1f} MB each of {len(namesOf(8))}")


def _revproxy(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "revproxy.cli", *arguments], cwd=_ROOT, capture_output=True, text=True
    )
    if done.returncode:
        raise BenchmarkError(f"revproxy {arguments[0]}: {(done.stderr.strip().splitlines() or [''])[-1]}")


# The report


def verdicts(outcome: Outcome) -> list[tuple[str, bool, str]]:
    """What is to be reached, whether it is, and what was measured."""
    alone, each = outcome.memory[1][0], outcome.memory[8][0] / 8
    facade = max(outcome.facade.values())
    recovered, remade = statistics.median(outcome.recovered), statistics.median(outcome.remade)
    waited = max(outcome.waited)
    return [
        ("p50 at one connection ≤ +60 µs", outcome.alone.more <= 60, f"{outcome.alone.more:+.0f} µs"),
        ("the edge itself, at 64 ≤ +12 µs a request", outcome.edge.more <= 12, f"{outcome.edge.more:+.1f} µs"),
        ("a call that spins costs one request", max(outcome.failed) <= 1, f"at most {max(outcome.failed)}"),
        (f"… and nobody more than its {BUDGET} ms and 20", waited <= BUDGET + 20, f"at most {waited:.0f} ms"),
        ("killed, with a spare process: back in ≤ 10 ms", recovered <= 10, f"median {recovered:.1f} ms"),
        ("… without ≤ 250 ms", remade <= 250, f"median {remade:.0f} ms"),
        ("a process from nothing ≤ 150 ms", outcome.cold[0] <= 150, f"{outcome.cold[0]:.0f} ms"),
        ("… a spare one ≤ 10 ms", statistics.median(outcome.spare) <= 10,
         f"median {statistics.median(outcome.spare):.2f} ms"),
        ("one alone ≤ 25 MB", alone <= 25, f"{alone:.1f} MB"),
        ("… of eight, each ≤ 12 MB", each <= 12, f"{each:.1f} MB"),
        ("permissions in the edge's own process ≤ 2 µs a call", facade <= 2, f"{facade:.2f} µs"),
        (f"the signature of {FILES} files ≤ 5 ms", outcome.verified <= 5, f"{outcome.verified:.2f} ms"),
    ]  # fmt: skip


def pairsTable(outcome: Outcome) -> str:
    """Lay out the pairs."""
    lines = []
    for name, pairs in (("p50 at one connection", outcome.alone), ("the edge itself, at 64", outcome.edge)):
        more = pairs.differences
        middles = (f"{statistics.median(side):.1f}" for side in (pairs.inline, pairs.process))
        lines.append([name, *middles, f"{pairs.more:+.1f}", f"{more[0]:+.1f}–{more[-1]:+.1f}"])
    return table(("µs", "inline", "process", "more", "lowest–highest"), lines)


def timesTable(outcome: Outcome) -> str:
    """Lay out what takes a moment."""
    times: Mapping[str, list[float]] = {
        "a process, when there was nothing": outcome.cold,
        "a process, forked": outcome.forked,
        "a spare process": outcome.spare,
        "from a kill to the next answer, with a spare process": outcome.recovered,
        "from a kill to the next answer, without": outcome.remade,
        "a call that spins, until it was ended": outcome.spun,
        "the longest that others waited meanwhile": outcome.waited,
        "… and when none does": outcome.usual,
    }
    lines = [[name, str(len(taken)), f"{statistics.median(taken):.2f}", f"{max(taken):.2f}"]
             for name, taken in times.items()]  # fmt: skip
    return table(("ms", "times", "median", "longest"), lines)


def report(outcome: Outcome) -> str:
    """All tables."""
    memory = [[str(count), f"{of:.1f}", f"{of / count:.1f}", f"{spare:.1f}"]
              for count, (of, spare) in outcome.memory.items()]  # fmt: skip
    facade = [[f"a call that looks at {'nothing' if name == 'empty' else 'a field, and sets one'}", f"{more:.2f}"]
              for name, more in outcome.facade.items()]  # fmt: skip
    reached = [[what, f"{'reached' if holds else 'missed'}, {told}"] for what, holds, told in verdicts(outcome)]
    return "\n\n".join((
        f"Locked processes of level {outcome.level}. Differences are medians of the pairs.",
        pairsTable(outcome),
        timesTable(outcome),
        table(("plugins in processes of their own", "PSS MB", "each", "spare ones besides"), memory),
        table(("permissions, in the edge's own process", "more µs"), facade),
        table(("target", "measured"), reached),
    ))  # fmt: skip


def options(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.isolation", description="What does it cost to run plugins that nobody trusts?"
    )
    parser.add_argument("--quick", action="store_true", help="fewer and shorter windows")
    parser.add_argument("--results", action="store_true", help="append the tables to benchmarks/RESULTS.md")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Measure and print; return the exit code: 1 when something is not reached, or nothing was measured."""
    chosen = options(arguments)

    def measure(sitting: Sitting) -> tuple[str, bool]:
        isolation = Isolation(sitting.directory, sitting.placement, QUICK if chosen.quick else USUAL, sitting.say)
        isolation.run()
        text = report(isolation.outcome)
        return text, all(holds for _, holds, _ in verdicts(isolation.outcome))

    return sit("Isolation", "isolation", measure, chosen.results)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
