"""``python -m benchmarks.profile``: where our own time goes.

Starts our edge on its core, loads it as a row of the benchmark does, samples it with py-spy and writes the raw stacks
(one ``frame;frame;frame count`` per line; https://www.speedscope.app and flamegraph.pl read them), then prints the
functions with the most time of their own and the most time including what they call. The shares are of the reactor's
thread, and the microseconds those shares of the whole process's CPU time per request.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from benchmarks.measure import Bench, Subject, writeCertificate
from benchmarks.origin import Origin
from benchmarks.peers import Us, UsWithFive
from benchmarks.processes import BenchmarkError, Placement, Running
from benchmarks.report import table
from benchmarks.rows import ROWS, Kind, Row

_EVERYWHERE = 0.97
"""What is in more samples than this is the way to the reactor's loop, and not shown."""


def selfAndTotal(lines: Iterable[str]) -> tuple[Counter[str], Counter[str]]:
    """Count collapsed stacks: samples in which a frame was the last, and samples in which it occurred at all.

    Only those of the main thread, where the reactor runs: py-spy takes waiting threads of the pool for busy ones.
    """
    own: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for line in lines:
        stack, _, count = line.rstrip().rpartition(" ")
        thread, *frames = stack.split(";")
        if not frames or not thread.endswith("MainThread"):
            continue
        own[frames[-1]] += int(count)
        for frame in set(frames):
            total[frame] += int(count)
    return own, total


def hotTable(counts: Counter[str], samples: int, cpuMicros: float, length: int) -> str:
    """Lay out the biggest counts as shares and as microseconds per request."""
    shown = [(frame, count) for frame, count in counts.most_common() if count < samples * _EVERYWHERE][:length]
    lines = [(frame, f"{count / samples:.1%}", f"{count / samples * cpuMicros:.2f}") for frame, count in shown]
    return table(("function", "share", "µs/request"), lines)


def options(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description="Where our own time goes.")
    parser.add_argument("--plugins", action="store_true", help="with the five plugins of the benchmark")
    parser.add_argument("--tls", action="store_true", help="over TLS: the row tls-64 rather than small-64")
    parser.add_argument("--row", help="another row of the benchmark: 1m, upload, small-512, …")
    parser.add_argument("--native", action="store_true", help="show frames of C extensions (slows the edge down)")
    parser.add_argument("--lines", action="store_true", help="tell lines of a function apart")
    parser.add_argument("--seconds", type=float, default=8.0, help="how long to sample (8)")
    parser.add_argument("--sampleRate", type=int, default=400, metavar="HZ", help="samples per second (400)")
    parser.add_argument("--top", type=int, default=40, help="length of the tables (40)")
    parser.add_argument("--output", type=Path, default=Path("var/profile.txt"), help="raw stacks (var/profile.txt)")
    return parser.parse_args(arguments)


def profile(chosen: argparse.Namespace) -> str:
    """Take the profile; return the report.

    :raises BenchmarkError: when it cannot be taken.
    """
    row = _row(chosen.row or ("tls-64" if chosen.tls else "small-64"))
    placement = Placement.choose()
    os.sched_setaffinity(0, placement.load)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="revproxy-profile-")))
        writeCertificate(directory)
        origin = Origin(directory, placement)
        stack.callback(origin.stop)
        bench = Bench(directory, placement, origin, chosen.seconds)
        subject = stack.enter_context(Subject(UsWithFive() if chosen.plugins else Us(), bench))
        subject.check(row)
        undisturbed = subject.measure(row)
        # Its first second falls into the warm-up: the load lasts a second longer than the sampling.
        spy = Running(_spyCommand(chosen, subject.process.pid), placement.load, directory / "spy")
        stack.callback(spy.stop)
        sampled = subject.measure(row)
        spy.wait(30)
        if not chosen.output.exists():
            raise BenchmarkError(f"py-spy: {spy.lastWords()}")
    own, total = selfAndTotal(chosen.output.read_text().splitlines())
    samples = sum(own.values())
    if not samples:
        raise BenchmarkError("py-spy took no samples")
    head = (
        f"{row.title}: {undisturbed.cpu:.1f} µs per request undisturbed ({undisturbed.system:.0%} in the kernel), "
        f"{sampled.cpu:.1f} while sampled; {samples} samples in {chosen.output}\n"
    )
    tables = (hotTable(counts, samples, undisturbed.cpu, chosen.top) for counts in (own, total))
    return "{}\nOwn time\n\n{}\n\nWith what it calls\n\n{}\n".format(head, *tables)


def _spyCommand(chosen: argparse.Namespace, pid: int) -> list[str]:
    program = shutil.which("py-spy", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    if program is None:
        raise BenchmarkError("py-spy is needed (pip install py-spy)")
    chosen.output.parent.mkdir(parents=True, exist_ok=True)
    chosen.output.unlink(missing_ok=True)
    command = [program, "record", "--pid", str(pid), "--format", "raw", "--output", str(chosen.output)]
    command += ["--duration", str(round(chosen.seconds)), "--rate", str(chosen.sampleRate), "--threads"]
    if not chosen.lines:
        command.append("--function")
    if chosen.native:
        command.append("--native")
    return command


def _row(name: str) -> Row:
    for row in ROWS:
        if row.name == name and row.kind is not Kind.IDLE:
            return row
    raise BenchmarkError(f"no row with load is called {name!r}")


def main(arguments: list[str]) -> int:
    """Print the profile; return the exit code."""
    chosen = options(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        print(profile(chosen))
    except BenchmarkError as error:
        print(f"cannot profile: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
