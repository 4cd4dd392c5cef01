"""
The Python process that a loop runs in: where it finds modules, how it collects garbage and switches threads, and how it
ends.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path

LAST = 10.0
"""Seconds that threads may keep the process after the edge has ended."""


def importBeside(config: Path) -> None:
    """Have modules in a configuration file's folder found: resources to be mounted, libraries of plugins.

    Last on the path: what is installed is never hidden by a file that happens to have its name.
    """
    folder = str(config.absolute().parent)
    if folder not in sys.path:
        sys.path.append(folder)


def tuneInterpreter() -> None:
    """
    Have the interpreter put requests first. To be called before plugins are loaded: what is frozen is never collected,
    and a plugin is to be gone when it is replaced.

    The collector: an edge is 60,000 objects, and the resource tree of 10,000 routes as many more. A request makes no
    cycles, so by default it runs every dozen requests to find nothing, and each full collection walks all of them, tens
    of milliseconds that every connection waits for.

    Threads: while one computes (a long configuration is parsed, a hundred folders are read), the reactor's thread gives
    the interpreter away with each system call and by default gets it back after 5 ms. During the parse of 1,000 routes
    a request took 5.5 ms; with this it takes 0.5.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    sys.setswitchinterval(0.0002)


def exitOne() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


def exitSoon() -> None:
    """Threads that do not come back, from a disk that hangs or because a plugin has not ended them, keep no process."""
    late = threading.Timer(LAST, _exitAnyhow)
    late.daemon = True
    late.start()


def _exitAnyhow() -> None:
    left = [each.name for each in threading.enumerate() if not (each.daemon or each is threading.main_thread())]
    sys.stdout.flush()
    sys.stderr.flush()
    # Not by way of sys.stderr, which twistd may have made part of a log that has ended.
    with suppress(OSError):
        os.write(2, f"revproxy ends although threads still run: {', '.join(left)}\n".encode(errors="replace"))
    os._exit(0)
