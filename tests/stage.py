"""``python -m tests.stage NAME COMMAND ...``, a stage of ``make test``: what runs, that it does, how long it took."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from tests.progress import shown

INTERVAL = 20.0
"""Seconds between two lines of a stage that says nothing by itself."""


def stage(name: str, command: Sequence[str], interval: float = INTERVAL, show: Callable[[str], None] = shown) -> int:
    """:returns: the exit status of the command."""
    show(f"== {name}: {' '.join(command)}")
    began = time.monotonic()
    with subprocess.Popen(command) as process:
        while True:
            try:
                status = process.wait(interval)
                break
            except subprocess.TimeoutExpired:
                show(f"== {name}: {time.monotonic() - began:.0f} s")
    show(f"== {name}: {'failed' if status else 'passed'} in {time.monotonic() - began:.0f} s")
    return status


if __name__ == "__main__":
    sys.exit(stage(sys.argv[1], sys.argv[2:]))
