"""
One sitting of a benchmark: the machine is described and its processors divided, then it measures, in a folder of its
own; at the end its tables are printed, and kept if somebody wants that.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.edge import RESULTS, RESULTS_HEAD, describeMachine
from benchmarks.processes import BenchmarkError, Placement


@dataclass(frozen=True, slots=True)
class Sitting:
    """
    What a benchmark is given.

    :ivar directory: a folder that is deleted at the end.
    :ivar placement: which processors are whose.
    :ivar say: prints a line, after the seconds since the beginning.
    :ivar stack: what is entered there is left at the end.
    """

    directory: Path
    placement: Placement
    say: Callable[[str], None]
    stack: ExitStack


def sit(title: str, name: str, measure: Callable[[Sitting], tuple[str, bool]], results: bool) -> int:
    """
    Measure, and print.

    :param title: what stands above its tables in benchmarks/RESULTS.md.
    :param name: of the folder.
    :param measure: gives the tables as text, and whether all was reached.
    :param results: whether the tables are kept.
    :returns: the exit code: 1 when something is not reached, or nothing was measured; 130 when somebody has ended it.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    start, ours = time.monotonic(), os.sched_getaffinity(0)

    def say(text: str) -> None:
        print(f"{time.monotonic() - start:4.0f} s  {text}", flush=True)

    try:
        placement = Placement.choose()
        machine = describeMachine(placement)
        print(f"{machine}\n", flush=True)
        os.sched_setaffinity(0, placement.load)
        with ExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=f"revproxy-{name}-")))
            text, isReached = measure(Sitting(directory, placement, say, stack))
    except BenchmarkError as error:
        print(f"cannot measure: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        os.sched_setaffinity(0, ours)
    print(f"\n{text}\n\n({time.monotonic() - start:.0f} s)")
    if results:
        head = "" if RESULTS.exists() else RESULTS_HEAD
        with RESULTS.open("a") as sink:
            sink.write(f"{head}\n## {title}: {machine}\n\n{text}\n")
    return 0 if isReached else 1
