"""
``twistd -n revproxy --reload``: the process is started anew when its own code changes. For development.

There are two processes. The first reads the options and from then on only watches, by `hupper`. The second is the edge,
and tells the first which files its modules are from. Files in site-packages are not among them. Plugins are not either:
they are imported from memory, under file names that no disk has, and are replaced without a restart, as always. For the
same reason the configuration is not watched; only when the edge could not start because of it, a change of it starts
another.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import hupper

from revproxy.control.watch.filemonitor import FileMonitor

__all__ = ["main", "superviseUnlessSupervised"]

_INTERVAL = 0.2
"""Seconds at least between the starts of two edges."""

_DRAIN = 10.0
"""Seconds that an edge has to finish what it has begun, also when it is stopped by hand."""

_PLUGIN_FILES = ("*.py@*",)

_retryOn: tuple[str, ...] = ()


def superviseUnlessSupervised(retryOn: Iterable[Path] = ()) -> None:
    """
    Become the process that watches, and do not return; or, in the process that is the edge, return.

    Call this before there is a reactor or a thread.

    :param retryOn: files; a change of any of them starts another edge when one has ended with an error.
    :raises SystemExit: in the process that watches, at the end; status 0 if it was asked to end.
    """
    global _retryOn
    _retryOn = tuple(str(path.absolute()) for path in retryOn)
    if hupper.is_active():
        return
    try:
        hupper.start_reloader(
            f"{__name__}.main",
            reload_interval=_INTERVAL,
            shutdown_interval=_DRAIN,
            monitor_factory=_makeMonitor,
            ignore_files=_PLUGIN_FILES,
        )
    except SystemExit as end:
        # It was asked to end before it had installed the handlers with which it ends gracefully.
        asked = (-signal.SIGTERM, -signal.SIGINT)
        raise SystemExit(0 if end.code in asked else end.code) from None


def main() -> None:
    """The edge, started by hupper with the command line of the process that watches."""
    from twisted.scripts.twistd import run

    try:
        run()
    except SystemExit as end:
        if not end.code or not _retryOn:
            raise
        _restartOnChange(_retryOn)


def _makeMonitor(callback: Callable[[str], object], logger: Any = None, **kw: Any) -> FileMonitor:
    return FileMonitor(callback, logger=logger)


def _restartOnChange(paths: tuple[str, ...]) -> None:
    """Wait until a file changes, ask for another edge, and wait to be ended."""
    print(f"waiting for a change of {', '.join(paths)}", file=sys.stderr, flush=True)
    changed = threading.Event()
    monitor = FileMonitor(lambda path: changed.set())
    for path in paths:
        monitor.add_path(path)
    monitor.start()
    try:
        changed.wait()
        hupper.get_reloader().trigger_reload()
        threading.Event().wait()  # to be ended
    except KeyboardInterrupt:
        raise SystemExit(0) from None
