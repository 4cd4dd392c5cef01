"""How long a locked process takes to be there, without an edge. Run as ``python -m benchmarks.lockedprobe [ROUNDS]``.

It says one line of JSON: milliseconds of each time it was asked for one: ``cold``, when there was nothing; ``forked``,
when there was the process that they are forked from; ``spare``, when one was ready.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from twisted.internet import defer, task

from revproxy.isolation.process.processes import Processes

_VERSION = "probe 1.0"


async def measure(reactor: Any, rounds: int) -> dict[str, Any]:
    """All of it."""
    told: dict[str, Any] = {"cold": [], "forked": [], "spare": []}
    without = Processes(reactor, spares=0)
    for number in range(rounds + 1):
        began = time.perf_counter()
        process = await without.take(f"{_VERSION}{number}")
        told["forked" if number else "cold"].append((time.perf_counter() - began) * 1e3)
        told["level"] = process.level
    await without.close()
    having = Processes(reactor, spares=1)
    await having.take(_VERSION)
    for number in range(rounds):
        while not having.spares:
            await task.deferLater(reactor, 0.01)
        began = time.perf_counter()
        await having.take(f"{_VERSION}{number}")
        told["spare"].append((time.perf_counter() - began) * 1e3)
    await having.close()
    return told


def main(reactor: Any, rounds: str = "20") -> defer.Deferred[None]:
    """Measure, and say it."""

    async def run() -> None:
        print(json.dumps(await measure(reactor, int(rounds))))

    return defer.ensureDeferred(run())


if __name__ == "__main__":
    task.react(main, sys.argv[1:])
