"""valgrind's callgrind as a counter of user instructions that can be read while the process runs.

The process starts with counting off, which is several times faster; :meth:`Callgrind.zero` and :meth:`Callgrind.read`
then frame what is of interest. What they cost is not counted: they are done by valgrind, not by what runs in it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from benchmarks.processes import BenchmarkError

_TOTALS = re.compile(r"^totals: (\d+)", re.MULTILINE)
_SECONDS = 60.0
"""Until an order must have been carried out."""


def parseTotals(text: str) -> int:
    """Return how many instructions a dump of callgrind is about.

    :raises BenchmarkError: when it is no complete dump.
    """
    found = _TOTALS.findall(text)
    if not found:
        raise BenchmarkError("callgrind's dump has no line of totals")
    return int(found[-1])


class Callgrind:
    """The counter of one process, which is started with :meth:`command`.

    :param directory: its own; dumps, valgrind's log and the pipes to it are there.
    :raises BenchmarkError: when valgrind is not installed.
    """

    def __init__(self, directory: Path) -> None:
        if shutil.which("valgrind") is None or shutil.which("vgdb") is None:
            raise BenchmarkError("valgrind is needed to count instructions (Debian: apt install valgrind)")
        directory.mkdir()
        self._directory = directory
        self._prefix = f"--vgdb-prefix={directory / 'vgdb'}"
        self._parts = 0

    def command(self, command: list[str]) -> list[str]:
        """Return the command that runs a program under the counter, not counting yet."""
        options = ["--tool=callgrind", "--instr-atstart=no", self._prefix]
        options += [f"--callgrind-out-file={self._directory / 'dump'}", f"--log-file={self._directory / 'log'}"]
        return ["valgrind", *options, *command]

    def start(self, pid: int) -> None:
        """Count from now on. To be called once."""
        self._order(pid, "instrumentation", "on")

    def zero(self, pid: int) -> None:
        """Forget what was counted."""
        self._order(pid, "zero")

    def read(self, pid: int) -> int:
        """Return what was counted since :meth:`zero` or the last reading, of all threads."""
        self._parts += 1
        self._order(pid, "dump")
        dump = self._directory / f"dump.{self._parts}"
        try:
            return parseTotals(dump.read_text(errors="replace"))
        except FileNotFoundError:
            raise BenchmarkError(f"callgrind wrote no dump: {self._lastWords()}") from None
        finally:
            dump.unlink(missing_ok=True)

    def _order(self, pid: int, *words: str) -> None:
        command = ["vgdb", self._prefix, f"--pid={pid}", *words]
        try:
            subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_SECONDS, check=True
            )
        except subprocess.SubprocessError as error:
            said = str(getattr(error, "stderr", "") or error).strip().splitlines()
            raise BenchmarkError(f"vgdb {words[0]}: {said[-1] if said else 'failed'}; {self._lastWords()}") from error

    def _lastWords(self) -> str:
        log = self._directory / "log"
        lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
        return f"valgrind said: {lines[-1][:200]}" if lines else "valgrind said nothing"
