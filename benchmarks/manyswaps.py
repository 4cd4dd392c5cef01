"""Thousands of swaps under load: what the clients met, and what stayed in memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from benchmarks.swapedge import PARTNER, SWAPPED, SwapEdge
from benchmarks.traffic import Traffic, Window

BOTH_EVERY = 10
"""Each so many swaps two plugins are changed in one transaction."""
_AROUND = 3
"""Readings of the memory that are averaged, against the jitter of single ones."""


@dataclass(slots=True)
class SwapRun:
    """One run.

    :ivar swaps: how many were made.
    :ivar seconds: for how long.
    :ivar requests: responses that were verified.
    :ivar trouble: what was wrong with them, or with connections, and how often.
    :ivar failed: requests without a right answer.
    :ivar mixed: requests that saw two generations.
    :ivar dropped: connections that the edge ended.
    :ivar resident: number of swaps, and resident memory of the edge after them, bytes.
    :ivar seen: how many of the versions clients met.
    :ivar kept: objects of each plugin that clients met.
    :ivar alive: generations of the swapped plugin in memory at the end.
    """

    swaps: int = 0
    seconds: float = 0.0
    requests: int = 0
    trouble: dict[str, int] = field(default_factory=dict)
    failed: int = 0
    mixed: int = 0
    dropped: int = 0
    resident: list[tuple[int, int]] = field(default_factory=list)
    seen: int = 0
    kept: Mapping[str, int] = field(default_factory=dict)
    alive: int = 0

    def add(self, window: Window) -> None:
        """Count what the clients met in a window."""
        self.requests += window.requests
        self.failed += window.failed
        self.mixed += window.mixed
        self.dropped += window.dropped
        for told in (window.failures, window.mixtures, window.drops):
            for what, count in told.items():
                self.trouble[what] = self.trouble.get(what, 0) + count
        self.seen, self.kept = window.serials, window.instances

    @property
    def growth(self) -> float:
        """Bytes by which resident memory grew in the second half."""
        half = next(number for number, (swaps, _) in enumerate(self.resident) if swaps >= self.swaps / 2)
        before = [size for _, size in self.resident[half : half + _AROUND]]
        after = [size for _, size in self.resident[-_AROUND:]]
        return sum(after) / len(after) - sum(before) / len(before)


def swapManyTimes(
    edge: SwapEdge,
    traffic: Traffic,
    count: int,
    progress: Callable[[str], None] = lambda line: None,
    seconds: float = 1800.0,
    least: int = 0,
) -> SwapRun:
    """Swap under a load that has begun, and end the load.

    The watched plugin gets new code each time, now and then together with its partner.

    :param progress: is given a line now and then.
    :param seconds: when they are over, no further swap is made,
    :param least: unless there were fewer than this.
    :raises BenchmarkError: the edge or the load generator died, or does not answer.
    """
    run = SwapRun()
    began = time.monotonic()
    step = max(count // 40, 1)
    epoch = 1
    for serial in range(1, count + 1):
        both = serial % BOTH_EVERY == 0
        epoch += both
        edge.swap(serial, epoch, *((PARTNER, SWAPPED) if both else (SWAPPED,)))
        run.swaps, run.seconds = serial, time.monotonic() - began
        over = run.seconds > seconds and serial >= least
        if serial % step == 0 or over:
            _read(edge, traffic, run)
            progress(_line(run, count))
        if over:
            break
    run.add(traffic.end())
    run.alive = edge.generationsAlive(SWAPPED)
    return run


def _read(edge: SwapEdge, traffic: Traffic, run: SwapRun) -> None:
    run.add(traffic.window())
    run.resident.append((run.swaps, edge.process.residentBytes()))
    edge.cutLog()


def _line(run: SwapRun, count: int) -> str:
    left = run.seconds / run.swaps * (count - run.swaps)
    return (
        f"{run.swaps:,} of {count:,} swaps, {run.requests:,} requests: {run.failed} failed, {run.mixed} mixed, "
        f"{run.dropped} connections dropped; {run.resident[-1][1] / 1e6:.1f} MB; {left:.0f} s left"
    )
