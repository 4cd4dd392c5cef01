"""
What hostile clients cost, us beside our peers: ``make bench-hostile``.

One attack at a time, on one proxy at a time, each on its own core. How it measures is told in the README.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from benchmarks.attacks import BY_MEMORY, BY_WORK, MEGABYTE, Attack, Bystander, perform, pipeline
from benchmarks.edge import describeMachine
from benchmarks.measure import Bench, Subject, writeCertificate
from benchmarks.origin import Origin
from benchmarks.peers import Caddy, HAProxy, Nginx, Peer, Site, Us
from benchmarks.processes import BenchmarkError, Placement
from benchmarks.report import table

_RESULTS = Path(__file__).with_name("RESULTS.md")


class UsAttacked(Us):
    """revproxy, which believes its peer, and answers one route by itself."""

    def configuration(self, site: Site) -> dict[str, object]:
        configuration = super().configuration(site)
        for listener in configuration["listeners"]:  # type: ignore[attr-defined]
            listener["trusted_proxies"] = ["127.0.0.0/8"]
        configuration["routes"] = [
            {"path": "/", "upstream": "app"},
            {"path": "/fixed", "respond": {"body": "hello world\n"}},
        ]
        return configuration


PEERS: tuple[Peer, ...] = (Nginx(), HAProxy(), Caddy(), UsAttacked())


def work(attack: Attack, subject: Subject, seconds: float) -> str:
    """CPU seconds for each megabyte on the wire; with ``cut`` where the proxy ended it."""
    before = subject.process.cpuSeconds()
    sent, cut = perform(attack, subject.site.tls if attack.record else subject.site.plain, seconds)
    spent = subject.process.cpuSeconds() - before
    return f"{spent / sent * MEGABYTE:.4f}{', cut' if cut else ''}"


def memory(attack: Attack, subject: Subject, seconds: float) -> str:
    """Megabytes by which resident memory grew at most."""
    before = most = subject.process.residentBytes()

    def watch() -> None:
        nonlocal most
        most = max(most, subject.process.residentBytes())

    perform(attack, subject.site.plain, seconds, watch)
    return f"{(most - before) / MEGABYTE:.1f}"


def wait(target: bytes, subject: Subject) -> str:
    """Milliseconds that somebody else's request took at most while 128 KB of requests were answered, five times."""
    bystander = Bystander(subject.site.plain)
    over = threading.Event()
    asking = threading.Thread(target=bystander.ask, args=(over.is_set,))
    asking.start()
    try:
        for _ in range(5):
            pipeline(subject.site.plain, target)
    finally:
        over.set()
        asking.join()
    return f"{bystander.worst * 1000:.1f}"


def measure(bench: Bench, seconds: float) -> list[list[str]]:
    """Every attack on every proxy. :returns: lines of the table."""
    lines: dict[str, list[str]] = {}

    def row(title: str, act: Callable[[Subject], str], subject: Subject) -> None:
        try:
            figure = act(subject)
        except (OSError, BenchmarkError) as error:
            figure = f"{type(error).__name__}"
        print(f"{subject.peer.title}: {title}: {figure}", flush=True)
        lines.setdefault(title, [title]).append(figure)

    for peer in PEERS:
        with Subject(peer, bench) as subject:
            # First, while the process has not grown for another reason; some work is done all the same.
            pipeline(subject.site.plain, b"/small", 8192)
            for attack in BY_MEMORY:
                row(f"{attack.title}, MB", lambda one, attack=attack: memory(attack, one, seconds), subject)  # type: ignore[misc]
            for attack in BY_WORK:
                row(f"{attack.title}, s/MB", lambda one, attack=attack: work(attack, one, seconds), subject)  # type: ignore[misc]
            row("128 KB of proxied requests, others wait ms", lambda one: wait(b"/small", one), subject)
            if isinstance(peer, UsAttacked):
                row("128 KB of requests answered at once, others wait ms", lambda one: wait(b"/fixed", one), subject)
    own = lines.get("128 KB of requests answered at once, others wait ms")
    if own is not None:
        own[1:1] = ["–"] * (len(PEERS) - 1)
    return list(lines.values())


def main(arguments: list[str]) -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hostile", description="What hostile clients cost.")
    parser.add_argument("--seconds", type=float, default=8.0, help="length of an attack at most (8)")
    parser.add_argument("--results", action="store_true", help="append the table to benchmarks/RESULTS.md")
    chosen = parser.parse_args(arguments)
    placement = Placement.choose()
    machine = describeMachine(placement)
    print(f"{machine}\n", flush=True)
    os.sched_setaffinity(0, placement.load)
    try:
        with ExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="revproxy-bench-")))
            writeCertificate(directory)
            origin = Origin(directory, placement)
            stack.callback(origin.stop)
            lines = measure(Bench(directory, placement, origin, chosen.seconds), chosen.seconds)
            versions = ", ".join(f"{peer.title} {peer.version()}" for peer in PEERS)
    except BenchmarkError as error:
        print(f"cannot measure: {error}", file=sys.stderr)
        return 1
    report = f"{table(['attack', *(peer.title for peer in PEERS)], lines)}\n\n{versions}\n"
    print(f"\n{report}")
    if chosen.results:
        with _RESULTS.open("a") as sink:
            sink.write(f"\n## {machine}\n\n### Hostile clients\n\n{report}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
