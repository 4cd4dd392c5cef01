"""
What plugins say through Python's own `logging` and `warnings`: lines of the edge's log, under the plugin's name.

A handler at the root of ``logging`` takes every record that gets there. Whose it is tells the code that logged, not the
name of the logger, which is anybody's choice: if that is a plugin's, the record's namespace is ``plugin.NAME``, as for
``context.log``. Records of libraries keep their logger's name. Warnings whose place is in a plugin's code are told once
for each place and version; all others go where they went before.

Nothing in a record is to be relied on: it is foreign code that has made it. Nor are logging's locks: foreign code may
hold them in its threads, and the event loop does not wait for that.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator
from types import FrameType
from typing import Any
from weakref import WeakKeyDictionary

from twisted.logger import Logger, LogLevel

from revproxy.config.settings import LoggingConfig
from revproxy.errors import printable
from revproxy.loading.tracebacks import MAX_TRACEBACK, plainFile
from revproxy.worker.guard.culprits import Culprits
from revproxy.worker.lifecycle.instance import Version

MAX_TEXT = 8_000
"""Characters of a message that are shown."""

_MOST_PLACES = 1_000
"""Places of a version whose warnings are told."""

_DEEPEST = 100
"""Frames that are looked at for a plugin's."""

LOCKED = 0.2
"""Seconds that logging's lock is waited for; a plugin may hold it as long as it likes."""

_THRESHOLDS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}


class StdlibRecords(logging.Handler):
    """
    The handler, and the hook for warnings. One of a process is in use: that which was put there last.
    """

    def __init__(self, culprits: Culprits) -> None:
        """
        :param culprits: knows whose code a module is.
        """
        super().__init__()
        self._culprits = culprits
        self._threshold = logging.INFO
        self._busy = threading.local()
        self._warned: WeakKeyDictionary[Version, set[tuple[Any, ...]]] = WeakKeyDictionary()
        self._rootLevel: int | None = None
        self._isInUse = False
        self._placing: threading.Thread | None = None
        self._showBefore: Any = None

    def adopt(self, config: LoggingConfig) -> None:
        """
        Be in place, also if somebody has cleared it since, and let pass what the configuration wants to see.
        """
        root, self._threshold, self._isInUse = logging.root, _THRESHOLDS[config.level], True
        for handler in list(root.handlers):
            if isinstance(handler, StdlibRecords) and handler is not self:
                handler.remove()
        if self._rootLevel is None:
            self._rootLevel = root.level
        self._place()
        if warnings.showwarning != self._show:
            self._showBefore, warnings.showwarning = warnings.showwarning, self._show

    def remove(self) -> None:
        """All is as it was."""
        self._isInUse = False
        self._place()
        if warnings.showwarning == self._show:
            warnings.showwarning = self._showBefore

    def _place(self) -> None:
        """Have the root of logging as it is to be; if its lock cannot be had now, as soon as it can."""
        if self._isPlaced() or (self._placing is not None and self._placing.is_alive()):
            return
        self._placing = threading.Thread(target=self._placeWithLock, name="revproxy logging", daemon=True)
        self._placing.start()
        self._placing.join(LOCKED)

    def _isPlaced(self) -> bool:
        root = logging.root
        if self._isInUse:
            return self in root.handlers and root.level == self._threshold
        return self not in root.handlers and self._rootLevel is None

    def _placeWithLock(self) -> None:
        """In a thread. What is wanted may change while it waits."""
        root = logging.root
        while not self._isPlaced():
            if self._isInUse:
                root.addHandler(self)
                root.setLevel(self._threshold)
            else:
                root.removeHandler(self)
                level, self._rootLevel = self._rootLevel, None
                if level is not None:
                    root.setLevel(level)

    def handle(self, record: logging.LogRecord) -> bool:
        """As of `logging.Handler`, but without a lock: foreign code runs while a record's text is made."""
        isWanted = bool(self.filter(record))
        if isWanted:
            self.emit(record)
        return isWanted

    def emit(self, record: logging.LogRecord) -> None:
        """Put a record into the log. What the log's own observers log meanwhile is passed over."""
        if getattr(self._busy, "isLogging", False):
            return
        self._busy.isLogging = True
        try:
            self._emit(record)
        finally:
            self._busy.isLogging = False

    def _emit(self, record: logging.LogRecord) -> None:
        caller = sys._getframe(1)
        where = str(record.pathname)
        if record.name == "py.warnings":  # `logging.captureWarnings`: it was logging that has logged
            where = _whereWarned(caller)
        version = self._originOf(where, caller)
        if version is not None:
            if version.isCopy:
                return
            namespace = f"plugin.{version.name}"
        elif record.levelno < logging.WARNING and self._threshold > logging.DEBUG:
            return  # of a library: what it tells on its way is for whoever looks for something
        else:
            namespace = printable(str(record.name), 200)
            version = self._among(caller)
        more: dict[str, Any] = {} if version is None else {"plugin": version.name, "version": version.id}
        text, below = _textOf(record)
        Logger(namespace=namespace).emit(
            _levelOf(record.levelno), "{text}{below}", text=text, below=below, logger=record.name, **more
        )

    def _show(
        self, message: Any, category: Any, filename: str, lineno: int, file: Any = None, line: Any = None
    ) -> None:
        """In the place of `warnings.showwarning`."""
        version = self._originOf(filename, sys._getframe(1)) if file is None else None
        if version is None:
            self._showBefore(message, category, filename, lineno, file, line)
            return
        if version.isCopy:
            return
        told = self._warned.setdefault(version, set())
        place = filename, lineno, category
        if place in told or len(told) >= _MOST_PLACES:
            return
        told.add(place)
        Logger(namespace=f"plugin.{version.name}").warn(
            "{category}: {text}, at {where}",
            category=category.__name__,
            text=_shown(message),
            where=f"{plainFile(filename)}:{lineno}",
            plugin=version.name,
            version=version.id,
        )

    def _originOf(self, filename: str, frame: FrameType) -> Version | None:
        """Whose the code of a file is, which runs in a frame below this one, if it is a plugin's."""
        for each in _framesFrom(frame):
            if each.f_code.co_filename == filename:
                return self._culprits.versionOf(str(each.f_globals.get("__name__", "")))
        return self._culprits.versionOfFile(filename)  # in another thread, or at another time

    def _among(self, frame: FrameType) -> Version | None:
        """The plugin that has called whoever runs now."""
        modules = (str(each.f_globals.get("__name__", "")) for each in _framesFrom(frame))
        return next(filter(None, map(self._culprits.versionOf, modules)), None)


def _framesFrom(frame: FrameType | None) -> Iterator[FrameType]:
    for _ in range(_DEEPEST):
        if frame is None:
            return
        yield frame
        frame = frame.f_back


def _whereWarned(frame: FrameType) -> str:
    between = (__name__, "logging", "warnings")
    frames = (each for each in _framesFrom(frame) if each.f_globals.get("__name__") not in between)
    return next((each.f_code.co_filename for each in frames), "")


def _levelOf(number: int) -> Any:
    if number >= logging.CRITICAL:
        return LogLevel.critical
    levels = {logging.ERROR: LogLevel.error, logging.WARNING: LogLevel.warn, logging.INFO: LogLevel.info}
    return next((level for least, level in levels.items() if number >= least), LogLevel.debug)


def _textOf(record: logging.LogRecord) -> tuple[str, str]:
    """The message of a record, and what is to be shown below it."""
    try:
        text = printable(str(record.getMessage()), MAX_TEXT)
    except Exception as error:  # arguments that do not fit, or whose text cannot be had
        text = f"{_shown(record.msg)} (cannot be formatted: {type(error).__name__}: {_shown(error)})"
    try:
        below = "".join(traceback.format_exception(*record.exc_info)) if record.exc_info else ""
        below += str(record.stack_info) if record.stack_info else ""
    except Exception as error:
        below = f"(its traceback cannot be shown: {type(error).__name__})"
    below = below.strip("\n")
    return text, f"\n{printable(below[-MAX_TRACEBACK:])}" if below and below != "NoneType: None" else ""


def _shown(thing: object) -> str:
    try:
        return printable(str(thing), MAX_TEXT)
    except Exception as error:
        return f"({type(thing).__name__} whose text cannot be had: {type(error).__name__})"
