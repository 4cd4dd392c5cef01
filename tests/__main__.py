"""
``python -m tests [--quick | --all | NAME ...]``: trial in twice as many processes as there are processors (in one, of
one name, with what its tests print), and one closing line that every CI can read.

Without a name: all but `tests.thorough`. ``--quick``: what is over in a moment. ``--all``: only `tests.thorough`, and a
skip is a failure. What was skipped, and why, is said at the end.

The line is ``N passed, N failed`` with ``, N skipped`` when there are any. A run that ends without trial's own summary,
or without a single test, counts as failed.
"""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from tests import selection
from tests.progress import Progress, follow, shown, skips

_SUMMARY = re.compile(r"(?:PASSED|FAILED)(?: \((.*)\))?\Z")


def summarize(lines: Iterable[str]) -> tuple[int, int, int]:
    """
    What trial counted, out of the last summary among its lines.

    :return: how many passed, failed, and were skipped. Expected failures count as skipped, unexpected successes as
        failed. No test at all is one failure.
    """
    counts: dict[str, int] = {}
    for line in lines:
        if match := _SUMMARY.match(line.rstrip()):
            pairs = re.findall(r"(\w+)=(\d+)", match[1] or "")
            counts = {name: int(number) for name, number in pairs}
    passed = counts.get("successes", 0)
    failed = sum(counts.get(name, 0) for name in ("failures", "errors", "unexpectedSuccesses"))
    skipped = counts.get("skips", 0) + counts.get("expectedFailures", 0)
    return (passed, failed, skipped) if passed + failed + skipped else (0, 1, 0)


def closingLine(passed: int, failed: int, skipped: int) -> str:
    """
    The line alone, without line end.
    """
    return f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else "")


def skipLines(skipped: Mapping[str, list[str]]) -> list[str]:
    """What was skipped, by the reason: loudly."""
    if not skipped:
        return []
    lines = ["", f"SKIPPED: {sum(map(len, skipped.values()))} tests did not run here"]
    for reason, tests in skipped.items():
        lines += [f"  {reason}", *(f"    {test}" for test in tests)]
    return [*lines, ""]


def jobs() -> int:
    """
    Processes at a time: twice as many as there are processors for us, for tests of the whole wait half of their time.
    On two processors, 4 minutes instead of 6.
    """
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return 2 * max(2, usable or 2)


def environment() -> dict[str, str]:
    """
    Ours, but what is imported is kept compiled: without that, hundreds of edges are half of their start at compiling
    the same files again.
    """
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def run(command: list[str], isQuiet: bool) -> tuple[list[str], int]:
    """
    Trial.

    :param isQuiet: whether to say how far it is, instead of all that trial writes.
    :returns: its lines, and its exit status.
    """
    how: dict[str, Any] = {"stdout": subprocess.PIPE, "text": True, "errors": "backslashreplace"}
    with subprocess.Popen(command, env=environment(), **how) as trial:
        assert trial.stdout is not None
        if isQuiet:
            lines = follow(trial.stdout, Progress(shown))
        else:
            lines = []
            for line in trial.stdout:
                lines.append(line)
                shown(line.rstrip("\n"))
    return lines, trial.returncode


def main(arguments: list[str]) -> int:
    """
    Run the tests of these names, or of an option.

    :return: the exit status.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Whatever a test has printed, and whatever the terminal can show.
        sys.stdout.reconfigure(errors="backslashreplace")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # As shells start what is to run in the background: tests interrupt processes, and would wait for ever.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    isAll = arguments == ["--all"]
    chosen = {(): selection.usual, ("--quick",): selection.quick, ("--all",): selection.thorough}.get(tuple(arguments))
    names = arguments if chosen is None else chosen()
    # In several processes trial shows nothing of what tests print.
    alone = len(arguments) == 1 and chosen is None
    how = ["--reporter=text"] if alone else [f"-j{jobs()}", "--reporter=verbose"]
    lines, status = run([sys.executable, "-m", "twisted.trial", *how, *names], not alone)
    passed, failed, skipped = summarize(lines)
    for line in skipLines(skips(lines)):
        shown(line)
    if isAll and skipped:
        shown("Here a skip is a failure: the rest of the tests has to run somewhere.")
        failed, skipped = failed + skipped, 0
    if status and not failed:
        failed = 1
    shown(closingLine(passed, failed, skipped))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
