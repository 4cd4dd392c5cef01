"""
``revproxy run --reload``: the process is started anew when its own code changes. For development.

There are two processes. The first reads the options and from then on only watches, by `hupper`. The second is the edge,
and tells the first which files its modules are from. Files in site-packages are not among them. Plugins are not either:
they are imported from memory, under file names that no disk has, and are replaced without a restart, as always. For the
same reason the configuration is not watched; only when the edge could not start because of it, a change of it starts
another.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import hupper
from hupper.interfaces import IFileMonitor
from twisted.python.reflect import namedAny

from revproxy.control.watch.filemonitor import FileMonitor, logError
from revproxy.control.watch.fingerprint import Root, statOf

__all__ = ["ModuleMonitor", "main", "superviseUnlessSupervised"]

_INTERVAL = 0.2
"""Seconds at least between the starts of two edges."""

_RESCAN = 1.0
"""Seconds between looks at what has no events."""

_DRAIN = 10.0
"""Seconds that an edge has to finish what it has begun, also when it is stopped by hand."""

_PLUGIN_FILES = ("*.py@*",)

_retryOn: tuple[str, ...] = ()


def superviseUnlessSupervised(retryOn: Iterable[Path] = (), command: str = "twisted.scripts.twistd.run") -> None:
    """
    Become the process that watches, and do not return; or, in the process that is the edge, return.

    Call this before there is a reactor or a thread.

    :param retryOn: files; a change of any of them starts another edge when one has ended with an error.
    :param command: the dotted name of what has read our command line; it does so again, in the edge.
    :raises SystemExit: in the process that watches, at the end; status 0 if it was asked to end.
    """
    global _retryOn
    _retryOn = tuple(str(path.absolute()) for path in retryOn)
    if hupper.is_active():
        return
    try:
        hupper.start_reloader(
            f"{__name__}.main",
            worker_args=[command],
            reload_interval=_INTERVAL,
            shutdown_interval=_DRAIN,
            monitor_factory=_makeMonitor,
            ignore_files=_PLUGIN_FILES,
        )
    except SystemExit as end:
        # It was asked to end before it had installed the handlers with which it ends gracefully.
        asked = (-signal.SIGTERM, -signal.SIGINT)
        raise SystemExit(0 if end.code in asked else end.code) from None


def main(command: str) -> None:
    """
    The edge, started by hupper with the command line of the process that watches.

    :param command: the dotted name of what reads it.
    """
    try:
        namedAny(command)()
    except SystemExit as end:
        if not end.code or not _retryOn:
            raise
        _restartOnChange(_retryOn)


class ModuleMonitor(IFileMonitor):  # type: ignore[misc]
    """
    The files of modules, watched as `hupper` has it: by the kernel's events, and by a thread that compares them.

    hupper's own comparing is of modification times, and misses older ones and deletions.

    :param callback: called with the path of what has changed, in a thread. What it raises is said.
    :param logger: a `hupper.interfaces.ILogger`; the default is Twisted's log.
    :param rescan: seconds between comparisons.
    :param more: for the `FileMonitor`.
    """

    def __init__(
        self, callback: Callable[[str], object], logger: Any = None, rescan: float = _RESCAN, **more: Any
    ) -> None:
        self._callback = callback
        self._error: Callable[[str], object] = logger.error if logger is not None else logError
        self._rescan = rescan
        self._events = FileMonitor(self._changed, error=self._error, **more)
        self._known: dict[str, tuple[int, ...] | None] = {}
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="module monitor", daemon=True)

    def add_path(self, path: str) -> None:
        """Watch a file; it need not be there yet. In any thread."""
        path = os.path.abspath(path)
        if path not in self._known:
            self._known[path] = statOf(path)
            self._events.add(Root(path))
            self._wake.set()

    def start(self) -> None:
        """Begin, without waiting."""
        self._thread.start()

    def stop(self) -> None:
        """Call nothing more, apart from what is being called this moment. Does not wait."""
        self._stopping = True
        self._wake.set()

    def join(self) -> None:
        """Wait until the threads have ended."""
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping:
            self._compare()
            self._wake.wait(self._rescan)
            self._wake.clear()
        self._events.close()

    def _compare(self) -> None:
        found = self._events.check()
        for path, known in tuple(self._known.items()):
            # What an event told of meanwhile is known.
            if found.get(path) != known and statOf(path) != self._known[path]:
                try:
                    self._changed(path)
                except Exception as error:  # foreign code
                    self._error(f"{path} has changed, and being told so failed: {type(error).__name__}: {error}")

    def _changed(self, path: str) -> None:
        self._known[path] = statOf(path)
        if not self._stopping:
            self._callback(path)


def _makeMonitor(callback: Callable[[str], object], logger: Any = None, **kw: Any) -> ModuleMonitor:
    return ModuleMonitor(callback, logger)


def _restartOnChange(paths: tuple[str, ...]) -> None:
    """Wait until a file changes, ask for another edge, and wait to be ended."""
    print(f"waiting for a change of {', '.join(paths)}", file=sys.stderr, flush=True)
    changed = threading.Event()
    monitor = ModuleMonitor(lambda path: changed.set())
    for path in paths:
        monitor.add_path(path)
    monitor.start()
    try:
        changed.wait()
        hupper.get_reloader().trigger_reload()
        threading.Event().wait()  # to be ended
    except KeyboardInterrupt:
        raise SystemExit(0) from None
