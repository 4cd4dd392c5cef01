"""
What a locked process says by itself: who does what it asks for, and where it is put down what it tells.

All of it is bounded, for a process may say anything at any rate: lines of the log are counted and dropped, figures have
few labels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.logger import Logger, LogLevel

from revproxy.errors import LimitName, WrongAnswer, printable
from revproxy.isolation.brokering import Broker
from revproxy.isolation.frames import Counted, FailedOutside, Fields, Logged, ReadBody, SendRequest, UseStore
from revproxy.isolation.knownrequests import KnownRequests
from revproxy.isolation.pluginprocess import PluginProcess
from revproxy.isolation.processfigures import ProcessFigures
from revproxy.isolation.processlimits import ProcessLimits, Rate
from revproxy.isolation.remotefailure import RemoteFailure, failureOutside
from revproxy.permissions import Permissions
from revproxy.secrets import masked

MOST_TEXT: Final = 8_000
"""Characters of a line that are shown."""

FAILURES: Final = 10.0
"""Failures outside of calls that are told in one second, and ten times as many in a burst."""


class Upcalls:
    """
    Of one instance.

    :ivar broker: does what is asked for.
    :ivar sendInterim: sends 1xx answers of a request, by its number.
    """

    def __init__(
        self,
        name: str,
        version: str,
        permissions: Permissions,
        limits: ProcessLimits,
        requests: KnownRequests,
        figures: ProcessFigures,
        now: Callable[[], float],
        *,
        failed: Callable[[BaseException], None],
        exceeded: Callable[[LimitName, str], None],
        isHeard: bool = True,
    ) -> None:
        """
        :param failed: told what the plugin's code has raised outside of calls.
        :param exceeded: told of a limit that was exceeded, in words.
        :param isHeard: whether what it logs is.
        """
        self.broker: Broker
        self.sendInterim: Callable[[int, tuple[tuple[int, Fields], ...]], None] = lambda request, answers: None
        self._name = name
        self._version = version
        self._permissions = permissions
        self._requests = requests
        self._figures = figures
        self._failed = failed
        self._exceeded = exceeded
        self._isHeard = isHeard
        self._lines = Rate(limits.lines, 10 * limits.lines, now)
        self._failures = Rate(FAILURES, 10 * FAILURES, now)
        self._linesPerSecond = limits.lines
        self._own = Logger(namespace=f"plugin.{name}")
        self._logs: dict[str, Logger] = {}

    def serve(self, process: PluginProcess, frame: ReadBody | SendRequest | UseStore) -> None:
        """As `revproxy.isolation.pluginprocess.TakesUpcalls.serve`."""
        self.broker.serve(process, frame)

    def isReading(self, request: int) -> bool:
        """As `revproxy.isolation.pluginprocess.TakesUpcalls.isReading`."""
        known = self._requests.find(request)
        return known is not None and bool(known.readings)

    def left(self, process: PluginProcess) -> None:
        """As `revproxy.isolation.pluginprocess.TakesUpcalls.left`."""
        self.broker.left(process)

    def hear(self, process: PluginProcess, frame: Logged | Counted | FailedOutside) -> None:
        """As `revproxy.isolation.pluginprocess.TakesUpcalls.hear`."""
        if isinstance(frame, Logged):
            self._log(frame)
        elif isinstance(frame, Counted):
            self._count(frame)
        else:
            if not self._failures.takes():
                return
            error = failureOutside(frame)
            if self._takesLine():
                self._own.error(
                    "{function} of version {version} failed: {error}{more}", function=error.function,
                    version=self._version, error=error, more=f"\n{error.traceback}" if error.traceback else "",
                )  # fmt: skip
            self._failed(error)

    def interim(self, request: int, answers: tuple[tuple[int, Fields], ...]) -> None:
        """As `revproxy.isolation.pluginprocess.TakesUpcalls.interim`."""
        try:
            self.sendInterim(request, answers)
        except WrongAnswer as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        if self._failures.takes():
            self._failed(error)

    def output(self, line: str) -> None:
        """As `revproxy.isolation.pluginprocess.TakesUpcalls.output`."""
        if self._takesLine():
            self._own.info("{text}", text=printable(masked(line), MOST_TEXT))

    def exceeded(self, limit: LimitName, text: str) -> None:
        """As `revproxy.isolation.pluginprocess.TakesUpcalls.exceeded`."""
        self._exceeded(limit, text)

    # What it tells

    def _takesLine(self) -> bool:
        if not self._isHeard:
            return False
        if self._lines.takes():
            return True
        self.exceeded("log", f"it logs more than {self._linesPerSecond:g} lines a second, which are dropped")
        return False

    def _log(self, frame: Logged) -> None:
        if not self._takesLine():
            return
        text = printable(masked(frame.text), MOST_TEXT)
        if frame.traceback:
            text += f"\n{printable(masked(frame.traceback), MOST_TEXT)}"
        self._logger(frame.namespace).emit(LogLevel.levelWithName(frame.level), "{text}", text=text)

    def _logger(self, namespace: str) -> Any:
        """Lines that libraries log by a name of their own are the plugin's all the same."""
        if not namespace:
            return self._own
        name = "".join(each for each in namespace[:100] if each.isalnum() or each in "._-")
        log = self._logs.get(name)
        if log is None:
            if len(self._logs) >= 100:
                return self._own
            log = self._logs[name] = Logger(namespace=f"plugin.{self._name}.{name}")
        return log

    def _count(self, frame: Counted) -> None:
        if not self._permissions.figures:
            self._fail(RemoteFailure("PermissionError", "figures are not granted to this plugin (figures)"))
            return
        for counted in frame.figures:
            try:
                self._figures.add(counted)
            except ValueError as error:
                self._fail(RemoteFailure("ValueError", str(error), "", "a figure"))
                return
