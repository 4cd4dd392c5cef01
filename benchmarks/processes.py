"""Processes on a core: started, measured and ended by process id.

CPU time is read from each process's own CPU clock (``clock_getcpuclockid(3)``), which counts user and system time of
all its threads, living and dead, in nanoseconds. ``/proc/PID/stat`` has the same total in ticks of 10 ms, too coarse
for a peer that is busy for a tenth of a second in a window.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class BenchmarkError(Exception):
    """Something a reader of the table should be told in one line."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Which cores do what.

    :param proxy: the one core on which every proxy runs.
    :param load: the cores of the load generator, the origin and this program.
    """

    proxy: int
    load: frozenset[int]

    @classmethod
    def choose(cls) -> Placement:
        """Give the last allowed core to the proxy and the others to the rest.

        :raises BenchmarkError: when only one core is allowed.
        """
        allowed = sorted(os.sched_getaffinity(0))
        if len(allowed) < 2:
            raise BenchmarkError("two cores are needed: one for the proxy alone, one for load and origin")
        return cls(allowed[-1], frozenset(allowed[:-1]))

    def describe(self) -> str:
        """Say in a few words who runs where."""
        return f"proxy alone on core {self.proxy}; load generator and origin on {sorted(self.load)}"


def freePorts(count: int) -> list[int]:
    """Return distinct TCP ports of loopback that nobody listens on at this moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets:
            s.close()


class Running:
    """A child process pinned to cores; it is ended with us, even if we are killed.

    :param command: program and arguments.
    :param cpus: the cores that it and its children may use.
    :param output: where stdout and stderr go, appended.
    :param environment: variables over our own.
    """

    def __init__(
        self, command: list[str], cpus: frozenset[int], output: Path, environment: dict[str, str] | None = None
    ) -> None:
        self.output = output

        def inChild() -> None:
            os.sched_setaffinity(0, cpus)
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

        with output.open("ab") as sink:
            self._popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                preexec_fn=inChild,
            )
        self.pid = self._popen.pid

    @property
    def alive(self) -> bool:
        """Whether the process has not ended."""
        return self._popen.poll() is None

    def waitForPorts(self, ports: list[int], seconds: float = 20.0) -> None:
        """Return when every port accepts a connection.

        :raises BenchmarkError: when the process ends or the time is over; with the last words of the process.
        """
        end = time.monotonic() + seconds
        for port in ports:
            while not _accepts(port):
                if not self.alive:
                    raise BenchmarkError(f"ended at once, exit {self._popen.returncode}: {self.lastWords()}")
                if time.monotonic() > end:
                    raise BenchmarkError(f"does not listen after {seconds:.0f} s: {self.lastWords()}")
                time.sleep(0.05)

    def lastWords(self) -> str:
        """Return the last line of the output, at most 200 characters."""
        lines = self.output.read_text(errors="replace").strip().splitlines()
        return lines[-1][:200] if lines else "(no output)"

    def cpuSeconds(self) -> float:
        """Return the CPU time, user and system, of the process and its living descendants."""
        total = 0.0
        for pid in processTree(self.pid):
            try:
                total += time.clock_gettime((~pid << 3) | 2)
            except OSError:
                pass
        return total

    def systemSeconds(self) -> float:
        """Return how much of the CPU time was the kernel's, in steps of 10 ms."""
        return sum(_systemTicks(pid) for pid in processTree(self.pid)) / os.sysconf("SC_CLK_TCK")

    def residentBytes(self) -> int:
        """Return the resident memory of the process and its descendants; pages they share count in each."""
        return sum(_residentBytes(pid) for pid in processTree(self.pid))

    def wait(self, seconds: float) -> None:
        """Return when the process has ended by itself.

        :raises BenchmarkError: when it has not within that time.
        """
        try:
            self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise BenchmarkError(f"has not ended after {seconds:.0f} s: {self.lastWords()}") from None

    def stop(self) -> None:
        """End the process: SIGTERM, and SIGKILL after five seconds. Returns when it is gone."""
        if not self.alive:
            return
        self._popen.terminate()
        try:
            self._popen.wait(5)
        except subprocess.TimeoutExpired:
            for pid in reversed(processTree(self.pid)):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self._popen.wait()


def processTree(pid: int) -> list[int]:
    """Return the process and its descendants, parents first; empty when it is gone."""
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                found += processTree(int(child))
    except (FileNotFoundError, ProcessLookupError):
        return found
    return [pid, *found]


def coreBusySeconds(core: int) -> float:
    """Return for how long a core has been busy with anything at all since boot, in steps of 10 ms."""
    for line in Path("/proc/stat").read_text().splitlines():
        fields = line.split()
        if fields and fields[0] == f"cpu{core}":
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[1:9])
            return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
    raise BenchmarkError(f"/proc/stat does not know core {core}")


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _systemTicks(pid: int) -> int:
    try:
        # Field 15 of proc_pid_stat(5), counted from behind the name, which may have spaces in it.
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[12])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _residentBytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (FileNotFoundError, ProcessLookupError):
        return 0
