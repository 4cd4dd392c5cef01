"""What a run of trial says, as it is shown: how far it is, every few seconds; failures at once; then all the rest."""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import Callable, Iterable

INTERVAL = 5.0
"""Seconds between two lines that say how far it is."""

_TOTAL = re.compile(r"Running (\d+) tests")
_MODULE = re.compile(r"(tests\.[\w.]+)\Z")
_CLASS = re.compile(r"  (\w+)\Z")
_TEST = re.compile(r"    (\w+) \.\.\. +\[([A-Z!?]+)\]\Z")
_MORE = re.compile(r" +\[[A-Z!?]+\]\Z")
_RULE = "=" * 79


class Progress:
    """
    Reads trial's lines, as its reporter ``verbose`` writes them.

    :ivar done: tests that are over.
    :ivar total: of how many.
    """

    def __init__(self, show: Callable[[str], None], now: Callable[[], float] = time.monotonic) -> None:
        """:param show: given each line that people are to see, without its end."""
        self.done = 0
        self.total = 0
        self._show = show
        self._now = now
        self._began = now()
        self._module = self._class = ""
        self._isOver = False

    def feed(self, line: str) -> None:
        """One line, without its end."""
        if self._isOver or line == _RULE or line.startswith("-" * 79):
            self._isOver = True
            self._show(line)
        elif match := _TEST.match(line):
            self.done += 1
            if match[2] in ("FAIL", "ERROR", "SUCCESS!?!"):
                self._show(f"{match[2]} {self._module}.{self._class}.{match[1]}")
        elif match := _MODULE.match(line):
            self._module = match[1]
        elif match := _CLASS.match(line):
            self._class = match[1]
        elif match := _TOTAL.match(line):
            self.total = int(match[1])
            self._show(line)
        elif line and not _MORE.match(line):
            self._show(line)

    def tell(self) -> None:
        """Say how far it is."""
        if not self._isOver:
            seconds = self._now() - self._began
            self._show(f"{seconds:5.0f} s  {self.done:5} of {self.total}  {self._module}")


def follow(lines: Iterable[str], progress: Progress, interval: float = INTERVAL) -> list[str]:
    """
    Have the lines shown as they come, and how far it is meanwhile, however long nothing comes.

    :returns: all of them.
    """
    kept = []
    over = threading.Event()

    def tell() -> None:
        while not over.wait(interval):
            progress.tell()

    teller = threading.Thread(target=tell, name="progress", daemon=True)
    teller.start()
    try:
        for line in lines:
            kept.append(line)
            progress.feed(line.rstrip("\n"))
    finally:
        over.set()
        teller.join()
    return kept


def shown(line: str) -> None:
    """Written at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def skips(lines: Iterable[str]) -> dict[str, list[str]]:
    """The tests that were skipped, by the reason, out of what trial writes when all is over."""
    found: dict[str, list[str]] = {}
    blocks = "".join(lines).split(_RULE + "\n")[1:]
    for block in blocks:
        head, _, rest = block.partition("\n")
        if head == "[SKIPPED]":
            reason, _, names = rest.partition("\n\n")
            tests = [name for name in names.partition("-" * 79)[0].split() if name.startswith("tests.")]
            found.setdefault(reason.strip(), []).extend(tests)
    return found
