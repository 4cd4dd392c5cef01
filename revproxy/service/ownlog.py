"""
Where the edge's own log goes when nobody else has begun it: standard output, or a file that can be opened anew.

A line is written when it is logged, so that the last one before a sudden end is there. What the disk does not take is
lost: a log must not end what it tells about.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    Logger,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogBeginner,
)

from revproxy.worker.logform import ownForm
from revproxy.worker.logoutput import NoReader, Output, openOutput

__all__ = ["OwnLog"]


class OwnLog:
    """
    A text file as `twisted.logger` writes it.
    """

    _log = Logger()

    def __init__(self, path: Path | None) -> None:
        """
        :param path: None for standard output.
        :raises OSError: it cannot be opened.
        """
        # Plugins may change the working directory.
        self._path = "-" if path is None else str(path.absolute())
        self._output: Output | None = self._opened()

    def begin(self) -> None:
        """Take all that is logged from now on, and what was logged before; and what is printed."""
        file: Any = self
        observers: list[Any] = [FileLogObserver(file, ownForm)]
        if self._path != "-":
            # Whoever has started it at a prompt, or reads the journal, is to see why it ends.
            critical = LogLevelFilterPredicate(defaultLogLevel=LogLevel.critical)
            observers.append(FilteringLogObserver(FileLogObserver(sys.stderr, ownForm), [critical]))
        globalLogBeginner.beginLoggingTo(observers)

    def write(self, text: str) -> None:
        """Part of a file."""
        rest = memoryview(text.encode("utf-8", "backslashreplace"))
        with suppress(OSError):
            if self._output is None:
                self._output = self._opened()
            while rest and self._output is not None and (count := self._output.write(rest)):
                rest = rest[count:]

    def flush(self) -> None:
        """Part of a file."""

    def reopen(self) -> None:
        """Go on in a new file of the same path: the old one was renamed. If there cannot be one, in the old one."""
        if self._path == "-":
            return
        try:
            new = self._opened()
        except OSError as error:
            self._log.warn("{path} cannot be opened anew: {error}; lines go on to the old file",
                           path=self._path, error=error.strerror)
            return
        old, self._output = self._output, new
        if old is not None:
            old.close()

    def _opened(self) -> Output | None:
        try:
            return openOutput(self._path)
        except NoReader:  # of a named pipe; there may be one later
            return None


def said(text: Any) -> None:
    """Write a line where even a log that has begun does not take it: to standard error itself."""
    with suppress(OSError):
        os.write(2, f"{text}\n".encode(errors="backslashreplace"))
