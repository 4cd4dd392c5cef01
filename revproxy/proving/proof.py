"""
All that is proved of a version, one process after the other: it is loaded, its tests are run, a recording is replayed.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from time import monotonic
from typing import Any

import msgspec

from revproxy.errors import printable
from revproxy.loading.contract import PluginError
from revproxy.proving.orders import Job, Order, Report, Subject
from revproxy.proving.provingprocess import ProvingProcess
from revproxy.proving.subjects import withLibraries

_RAN = re.compile(r"^Ran (\d+) tests? in ", re.MULTILINE)
_FAILURE = re.compile(
    r"^(?:E +)?((?:\w+\.)*\w*(?:Error|Exception|FailTest|Failed|Interrupt|Exit)\b:? .*)$", re.MULTILINE
)
_PASSED = re.compile(r"^(?:=+ )?(\d+) passed", re.MULTILINE)


class Proof:
    """Of one version. Blocks: for a thread."""

    def __init__(
        self,
        candidate: Subject,
        running: Subject | None = None,
        corpus: Path | None = None,
        seconds: float = 300.0,
        minimumLevel: Any = "C",
        uids: tuple[int, int] | None = None,
        process: Callable[..., Any] = ProvingProcess,
    ) -> None:
        """
        :param running: what runs, to know what differs by itself.
        :param corpus: the recording; None: none is replayed.
        :param seconds: that all may take.
        """
        self._order = Order("load", candidate, running, minimumLevel=minimumLevel, uids=uids)
        self._corpus = corpus
        self._seconds = seconds
        self._makes = process
        self._lock = threading.Lock()
        self._process: Any = None
        self._isEnded = False

    def run(self) -> Report:
        """:returns: what came of all of it, up to the first that has a problem."""
        late = monotonic() + self._seconds
        try:
            candidate = withLibraries(self._order.candidate)
        except PluginError as error:
            return Report((" ".join(str(error).split()),))
        self._order = msgspec.structs.replace(self._order, candidate=candidate)
        report = self._job("load", late)
        if not report.problems and candidate.tests:
            report = tested(self._job("tests", late), candidate)
        if report.problems or self._corpus is None:
            return report
        replayed = self._job("replay", late)
        return msgspec.structs.replace(replayed, tests=report.tests)

    def end(self) -> None:
        """Give it up: end what goes on. For any thread."""
        with self._lock:
            self._isEnded = True
            if self._process is not None:
                self._process.end()

    def _job(self, job: Job, late: float) -> Report:
        seconds = max(late - monotonic(), 0.1)
        order = msgspec.structs.replace(self._order, job=job, seconds=seconds)
        corpus = None
        if job == "replay":
            order = msgspec.structs.replace(order, corpus=str(self._corpus))
            corpus = self._corpus
        with self._lock:
            if self._isEnded:
                return Report(("it was given up",))
            process = self._process = self._makes(order, corpus)
        report: Report = process.run()
        return report


def tested(report: Report, candidate: Subject) -> Report:
    """
    What the tests' report amounts to: how many there were, and what was wrong. That none says a word is no success.
    """
    count = report.tests or counted(report.output)
    problems = report.problems
    if problems:
        said = failureIn(report.output)
        problems = (f"{problems[0]}: {said}" if said else problems[0], *problems[1:])
    elif not count and (files := [path for path in candidate.tests if isTest(path)]):
        problems = (f"no test has run: there is none in {files[0]}, or its process ended before",)
    return msgspec.structs.replace(report, problems=problems, tests=count)


def isTest(path: str) -> bool:
    """Whether a file has tests: as ``revproxy test-plugin`` finds them."""
    name = PurePosixPath(path).name
    return name.endswith(".py") and (name.startswith("test_") or name.endswith("_test.py"))


def failureIn(output: str) -> str:
    """What was wrong, as trial or pytest say it first; empty: they do not."""
    found = _FAILURE.search(output)
    return printable(" ".join(found[1].split())[:300]) if found else ""


def counted(output: str) -> int:
    """How many tests ran, as trial or pytest say it at the end of what they print."""
    found = [*_RAN.finditer(output), *_PASSED.finditer(output)]
    return int(max(found, key=lambda match: match.start())[1]) if found else 0


__all__ = ["Proof", "counted", "failureIn", "isTest", "tested"]
