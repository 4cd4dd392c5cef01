"""
``python -m tests [NAME ...]``: trial in two processes (in one, of one name, with what its tests print), and one
closing line that every CI can read.

The line is ``N passed, N failed`` with ``, N skipped`` when there are any. A run that ends without trial's own summary,
or without a single test, counts as failed.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
from collections.abc import Iterable

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


def main(names: list[str]) -> int:
    """
    Run the tests of these names, all by default.

    :return: the exit status.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Whatever a test has printed, and whatever the terminal can show.
        sys.stdout.reconfigure(errors="backslashreplace")
    # In several processes trial shows nothing of what tests print.
    jobs = [] if len(names) == 1 else ["-j2"]
    command = [sys.executable, "-m", "twisted.trial", *jobs, "--reporter=text", *(names or ["tests"])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="backslashreplace") as trial:
        assert trial.stdout is not None
        lines = []
        for line in trial.stdout:
            lines.append(line)
            sys.stdout.write(line)
            sys.stdout.flush()
    passed, failed, skipped = summarize(lines)
    if trial.returncode and not failed:
        failed = 1
    print(closingLine(passed, failed, skipped))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
