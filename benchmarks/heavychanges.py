"""Changes that are much work: a plugin of 50,000 lines, a configuration of 1,000 routes. Who is served meanwhile?"""

from __future__ import annotations

import statistics
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.swapedge import SWAPPED, SwapEdge, manifest, stampedSource
from benchmarks.swaptimes import Asking, delays, quantile

MODULES, FUNCTIONS = 50, 100

_FUNCTION = '''\
def step{number}(record, limit={number}, *, strict=False):
    """One of many."""
    total = 0
    for name, value in sorted(record.items()):
        if strict and value is None or name.startswith("_{number}"):
            raise ValueError(f"{{name}} has no value in {{record!r}}")
        total += len(name) * limit if value else -1
    return {{"total": total, "limit": limit, "name": "step{number}"}}
'''


def largePlugin(serial: int) -> dict[str, str]:
    """The files of a plugin of 50,000 lines in 50 modules, all of them imported.

    :param serial: different for each version; in every file.
    """
    functions = "\n\n".join(_FUNCTION.format(number=number) for number in range(FUNCTIONS))
    files = {f"part{number}.py": f"SERIAL = {serial}\n\n\n{functions}" for number in range(MODULES)}
    imports = "".join(f"from . import part{number}\n" for number in range(MODULES))
    files["plugin.py"] = stampedSource(SWAPPED, serial, 1, head=imports)
    return files | {"plugin.json": manifest(SWAPPED)}


def lines(files: dict[str, str]) -> int:
    """How many lines of Python."""
    return sum(text.count("\n") for name, text in files.items() if name.endswith(".py"))


def routesText(count: int, limit: int) -> str:
    """Routes as block YAML, as people write them.

    :param limit: ``max_headers``; what differs between two configurations.
    """
    routes = "".join(
        f"  - host: tenant{number}.example.com\n    path: /api/v1/\n    respond: {{status: 200, body: tenant}}\n"
        for number in range(count)
    )
    return f"limits: {{max_headers: {limit}}}\nroutes:\n{routes}  - respond: {{status: 200, body: ok}}\n"


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """What a client met that asks once each millisecond, or as soon as it is answered.

    :ivar usual: median answer before, milliseconds.
    :ivar median: the same while the change was made; ``p99`` and ``worst`` likewise.
    :ivar seconds: how long that took.
    """

    usual: float
    median: float
    p99: float
    worst: float
    seconds: float


def meanwhile(edge: SwapEdge, change: Callable[[], float]) -> Meanwhile:
    """Ask while something is done.

    :param change: to be called in a thread; returns how many seconds the edge took for it.
    """
    taken: list[float] = []
    with Asking(edge.port) as asking:
        usual = statistics.median(delays(asking, 0.2))
        doing = threading.Thread(target=lambda: taken.append(change()))
        doing.start()
        found = [delay for slice_ in _slices(asking, doing) for delay in slice_]
        doing.join()
    middle, high, worst = statistics.median(found), quantile(found, 0.99), max(found)
    return Meanwhile(*(one * 1e3 for one in (usual, middle, high, worst)), taken[0])


def _slices(asking: Asking, doing: threading.Thread) -> Iterator[list[float]]:
    while doing.is_alive():
        yield delays(asking, 0.02)
