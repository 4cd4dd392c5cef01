"""
Further files of tokens, which the edge only reads: ``admin.tokens`` names them.

They are JSON or YAML, like ``tokens.json``. One that changes is read again within seconds; one that cannot be
understood, or that everybody may write to, lets nobody in, and an event says so.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from revproxy.admin.tokens import TokenFile, TokenRecord, Tokens
from revproxy.config.document import parseYAML
from revproxy.config.problems import ConfigErrors
from revproxy.errors import printable
from revproxy.loop.jobthread import JobThread
from revproxy.plan.events import EventLog
from revproxy.regularfile import readFile

INTERVAL = 3.0
"""Seconds between two looks at them."""

FILE_LIMIT = 1 << 20
"""Bytes of one."""


class TokenFiles:
    """Those of one edge."""

    _log = Logger()

    def __init__(
        self, tokens: Tokens, events: EventLog, clock: Any, inThread: Callable[..., Deferred[Any]]
    ) -> None:
        """
        :param clock: provides `IReactorTime`.
        :param inThread: runs a function, with arguments, in a thread.
        """
        self._tokens = tokens
        self._events = events
        self._clock = clock
        self._jobs = JobThread(clock, inThread)
        self._paths: tuple[Path, ...] = ()
        self._looks: dict[Path, Any] = {}
        self._next: IDelayedCall | None = None
        self._isLooking = False

    def adopt(self, paths: Sequence[Path]) -> None:
        """These it is now."""
        if tuple(paths) == self._paths:
            return
        self._paths = tuple(paths)
        self._looks = {path: look for path, look in self._looks.items() if path in self._paths}
        named = {str(path) for path in self._paths}
        for path in [path for path in self._tokens.others if path not in named]:
            del self._tokens.others[path]
        self._again(0.0)

    def stop(self) -> None:
        """Look no more."""
        self._paths = ()
        self._again(0.0)

    def _again(self, seconds: float) -> None:
        if self._next is not None and self._next.active():
            self._next.cancel()
        self._next = self._clock.callLater(seconds, self._begin) if self._paths and not self._isLooking else None

    def _begin(self) -> None:
        self._isLooking = True
        looking = Deferred.fromCoroutine(self._look())
        looking.addErrback(lambda failure: self._log.failure("files of tokens", failure))

    async def _look(self) -> None:
        try:
            found = await self._jobs.do(_changed, dict.fromkeys(self._paths) | self._looks)
        except OSError as error:  # the disk is silent: what is known is good for now
            self._log.warn("files of tokens: {error}", error=error)
            found = {}
        finally:
            self._isLooking = False
        for path, (look, records, problem) in found.items():
            if path in self._paths:
                self._looks[path] = look
                self._tokens.others[str(path)] = records
                if problem:
                    text = f"{path}: {problem}; nobody of it is let in"
                    self._events.add("tokens-damaged", text, about={"file": str(path)})
        self._again(INTERVAL)


_Found = dict[Path, tuple[Any, tuple[TokenRecord, ...], str]]


def _changed(looks: dict[Path, Any]) -> _Found:
    """What has changed, of files that looked so. Blocks."""
    found: _Found = {}
    for path, before in looks.items():
        look = _lookOf(path)
        if look != before:
            records, problem = _read(path)
            found[path] = look, records, problem
    return found


def _lookOf(path: Path) -> Any:
    try:
        seen = os.stat(path)
    except OSError as error:
        return error.errno, error.strerror
    return seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_mode


def _read(path: Path) -> tuple[tuple[TokenRecord, ...], str]:
    """Who is in it, and why nobody is."""
    try:
        if os.stat(path).st_mode & 0o002:
            return (), "everybody may write to it; chmod o-w"
        text = readFile(path, FILE_LIMIT).decode()
        return msgspec.convert(parseYAML(text, str(path)).value, TokenFile, strict=True).tokens, ""
    except ConfigErrors as errors:
        return (), printable(str(errors.problems[0]), 300).removeprefix(f"{path}: ")
    except OSError as error:
        return (), error.strerror or str(error)
    except (ValueError, RecursionError) as error:
        return (), printable(str(error), 300)


__all__ = ["TokenFiles"]
