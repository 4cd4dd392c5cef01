"""The load on an edge whose plugins change: a process of its own that verifies every response."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.processes import BenchmarkError

_ROOT = Path(__file__).resolve().parent.parent
_PATIENCE = 120.0

EVERY_WAY = {"plain": 48, "held": 4, "split": 4, "pause": 8}
"""64 connections: most are answered at once, of the others a swap always finds some half-way."""
PLAIN = {"plain": 64}


@dataclass(frozen=True, slots=True)
class Window:
    """What the clients met for a time.

    :param requests: responses that were complete.
    :param seconds: the time.
    :param p50: median latency of those the origin answers at once, milliseconds.
    :param p99: the same, 99th percentile.
    :param worst: the same, highest.
    :param failures: what was wrong with responses, and how often.
    :param mixtures: how more than one generation had a hand in a response, and how often.
    :param drops: how connections ended, and how often; none should.
    :param serials: how many versions of the watched plugin were seen since the load began, or was told to forget.
    :param lastSerials: the three highest of them.
    :param instances: how many objects of each plugin were seen in the same time.
    """

    requests: int
    seconds: float
    p50: float
    p99: float
    worst: float
    failures: Mapping[str, int]
    mixtures: Mapping[str, int]
    drops: Mapping[str, int]
    serials: int
    lastSerials: tuple[int, ...]
    instances: Mapping[str, int]

    @property
    def failed(self) -> int:
        """Requests without a right answer."""
        return sum(self.failures.values())

    @property
    def mixed(self) -> int:
        """Requests that saw two generations."""
        return sum(self.mixtures.values())

    @property
    def dropped(self) -> int:
        """Connections that the edge ended."""
        return sum(self.drops.values())

    @property
    def trouble(self) -> str:
        """Everything that should not have been, in words; empty when nothing was."""
        told = [*self.failures.items(), *self.mixtures.items(), *self.drops.items()]
        return "; ".join(f"{count} × {what}" for what, count in told)

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds if self.seconds else 0.0


class Traffic:
    """The process of :mod:`benchmarks.bothends`. Use as a context manager.

    :param cpus: the cores it may use.
    :ivar origin: the port of the origin to put behind the edge.
    """

    def __init__(self, cpus: frozenset[int]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.bothends"],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            preexec_fn=lambda: os.sched_setaffinity(0, cpus),
        )
        try:
            self.origin = int(self._answer()["origin"])
        except BaseException:
            self.close()
            raise

    def begin(self, port: int, plugins: int, watched: str, mix: Mapping[str, int], rate: float = 0.0) -> None:
        """Connect to the edge and ask without end.

        :param plugins: how many stamps each response must have.
        :param watched: the plugin whose versions are counted.
        :param mix: connections of each kind.
        :param rate: requests per second of all together; 0 is as fast as they are answered.
        """
        self._ask(do="load", port=port, plugins=plugins, watched=watched, mix=dict(mix), rate=rate)

    def window(self) -> Window:
        """What there was since the window before, or since the load began."""
        return _window(self._ask(do="window"))

    def forget(self) -> None:
        """Count versions and instances from here."""
        self._ask(do="forget")

    def end(self) -> Window:
        """Wait until everything asked is answered, close the connections; what there was since the last window."""
        return _window(self._ask(do="stop"))

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.close()
            self._process.wait(5)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def __enter__(self) -> Traffic:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _ask(self, **command: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise BenchmarkError("the load generator has died") from None
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], _PATIENCE)
        line = self._process.stdout.readline() if ready else ""
        if not line:
            raise BenchmarkError("the load generator has died" if ready else "the load generator does not answer")
        answer: dict[str, Any] = json.loads(line)
        return answer


def _window(told: dict[str, Any]) -> Window:
    return Window(**told | {"lastSerials": tuple(told["lastSerials"])})
