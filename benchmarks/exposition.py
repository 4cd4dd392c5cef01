"""``python -m benchmarks.exposition``: what it costs to tell Prometheus of 500 routes. See README.md.

CPU time of this thread, for the clock would measure who else is at work. Beside it, what the library that Python
programs usually have for it takes for the same, in one go.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from twisted.internet.task import Clock

from revproxy.admin.metrics.exposition import Exposition
from revproxy.admin.metrics.families import SERVER_DURATION
from revproxy.admin.metrics.requestfigures import RequestFigures, labelsOf
from revproxy.plan.counted import RequestSeries
from revproxy.plan.durations import STANDARD, fine
from revproxy.plan.words import Counters

STATUSES = (200, 404, 502)
AGAIN = 10
"""Times that it is made, after the first."""


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--routes", type=int, default=500)
    routes = parser.parse_args().routes
    figures = RequestFigures(Clock())
    figures.counted(word(routes))
    row("added up", [measured(figures.settle())])
    exposition = Exposition()
    first = measured(exposition.slices(figures.sources(), False))
    row("made first", [first])
    row("made again", [measured(exposition.slices(figures.sources(), turn % 2 == 1)) for turn in range(AGAIN)])
    registry = library(routes)
    begun = time.thread_time()
    text = generate_latest(registry)
    took = (time.thread_time() - begun) * 1e3
    lines = text.count(b"\n")
    print(f"prometheus_client  {took:8.1f} ms in one go, {lines} lines, {len(text) / 1e6:.1f} MB")


def word(routes: int) -> Counters:
    """What a worker tells when each route has had requests with each status."""
    buckets = {fine(0.004 * step): 3 for step in range(1, 9)}
    return Counters(requests=tuple(
        RequestSeries(f"route-{number}", "GET", status, "http", "1.1", "", 24, 0.4, buckets)
        for number in range(routes) for status in STATUSES
    ))  # fmt: skip


def measured(steps: Iterable[Any]) -> tuple[float, float, int]:
    """:returns: milliseconds in all, and of the longest step; and bytes that were made."""
    total = longest = 0.0
    size = 0
    iterator: Iterator[Any] = iter(steps)
    while True:
        begun = time.thread_time()
        made = next(iterator, iterator)
        took = (time.thread_time() - begun) * 1e3
        total, longest = total + took, max(longest, took)
        if made is iterator:
            return total, longest, size
        size += len(made or b"")


def row(what: str, found: list[tuple[float, float, int]]) -> None:
    """One line: the median of all, and the longest step of any."""
    totals = sorted(total for total, _, _ in found)
    longest, size = max(longest for _, longest, _ in found), found[-1][2]
    print(f"{what:<18} {totals[len(totals) // 2]:8.1f} ms, longest step {longest:.2f} ms, {size / 1e6:.1f} MB")


def library(routes: int) -> CollectorRegistry:
    """The same, as that library keeps it."""
    registry = CollectorRegistry()
    histogram = Histogram(
        SERVER_DURATION.name, SERVER_DURATION.help, SERVER_DURATION.labels, buckets=STANDARD, registry=registry
    )
    for number in range(routes):
        for status in STATUSES:
            labels = labelsOf(f"route-{number}", "GET", status, "http", "1.1", "")
            histogram.labels(*labels).observe(0.02)
    return registry


if __name__ == "__main__":
    main()
