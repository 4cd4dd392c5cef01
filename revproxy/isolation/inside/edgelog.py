"""
What is logged in a locked process: it goes to the edge, which bounds it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final, Literal

from twisted.logger import ILogObserver, Logger, LogLevel, formatEvent
from zope.interface import implementer

from revproxy.isolation.frames import Logged
from revproxy.loading.tracebacks import stampIn, tracebackOf

Level = Literal["debug", "info", "warn", "error", "critical"]

LONGEST: Final = 8_000
"""Characters of a line."""

_OF_TWISTED: Final[dict[Any, Level]] = {
    LogLevel.debug: "debug",
    LogLevel.info: "info",
    LogLevel.warn: "warn",
    LogLevel.error: "error",
    LogLevel.critical: "critical",
}


@implementer(ILogObserver)
class EdgeLog:
    """
    An observer of Twisted's log.

    :ivar own: the namespace of the plugin's own logger; empty as long as there is no plugin.
    """

    def __init__(self, send: Callable[[Logged], None]) -> None:
        self._send = send
        self.own = ""
        self._isTelling = False

    def logger(self, name: str) -> Logger:
        """The plugin's own. :param name: the plugin's."""
        self.own = f"plugin.{name}"
        return Logger(namespace=self.own, observer=self)

    def __call__(self, event: Any) -> None:
        """As `twisted.logger.ILogObserver`."""
        failure = event.get("log_failure")
        traceback = "" if failure is None or failure.value is None else tracebackOf(failure.value)
        namespace = str(event.get("log_namespace") or "")
        self.tell(
            _OF_TWISTED.get(event.get("log_level"), "info"),
            formatEvent(event),
            "" if namespace == self.own else namespace,
            traceback,
        )

    def tell(self, level: Level, text: str, namespace: str, traceback: str = "") -> None:
        """One line. What is logged while one is told is dropped: it would never end."""
        if self._isTelling:
            return
        self._isTelling = True
        try:
            self._send(Logged(level, text[:LONGEST], namespace[:200], traceback))
        finally:
            self._isTelling = False


class EdgeHandler(logging.Handler):
    """
    A handler for the root logger of the standard library.
    """

    def __init__(self, log: EdgeLog) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """As `logging.Handler.emit`."""
        try:
            text = record.getMessage()
            error = record.exc_info[1] if record.exc_info else None
            namespace = record.name if stampIn(record.pathname) is None else ""
            self._log.tell(_levelOf(record.levelno), text, namespace, tracebackOf(error) if error else "")
        except Exception:
            self.handleError(record)


def _levelOf(number: int) -> Level:
    if number >= logging.CRITICAL:
        return "critical"
    if number >= logging.ERROR:
        return "error"
    if number >= logging.WARNING:
        return "warn"
    return "info" if number >= logging.INFO else "debug"
