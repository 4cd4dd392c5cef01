"""
The Python process that a loop runs in: where it finds modules, how it collects garbage and switches threads, and how it
ends.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LAST = 2.0
"""Seconds that threads may keep the process after the edge has ended: it has waited for all that is to end well."""


def importBeside(config: Path) -> None:
    """
    Let the interpreter find modules in a configuration file's folder: resources to be mounted, libraries of plugins.

    The folder comes last on the path, so a file never hides what is installed under the same name.
    """
    folder = str(config.absolute().parent)
    if folder not in sys.path:
        sys.path.append(folder)


@contextmanager
def uncollected() -> Iterator[None]:
    """
    While much is imported, no garbage is looked for: what is imported stays, and to look through it again and again
    takes a tenth of the time.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def tuneInterpreter() -> None:
    """
    Make the interpreter put requests first. Call it before plugins are loaded: frozen objects are never collected, and
    a plugin must be gone when it is replaced.

    The collector: an edge is 60,000 objects, and the resource tree of 10,000 routes as many more. A request makes no
    cycles, so by default the collector runs every dozen requests to find nothing, and each full collection walks all of
    them, tens of milliseconds that every connection waits for.

    Threads: while a thread computes (a long configuration is parsed, a hundred folders are read), the reactor's thread
    gives the interpreter away with each system call and by default gets it back after 5 ms. During the parse of 1,000
    routes a request took 5.5 ms; with this it takes 0.5.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    sys.setswitchinterval(0.0002)


def exitWithFailure() -> None:
    """End the process now, with status 1 and without further exit handlers. For ``atexit``."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


def exitDespiteThreads(seconds: float | None = None) -> None:
    """
    End the process so many seconds from now, with status 0, if it has not ended by itself.

    :param seconds: :data:`LAST` if left out.

    Threads would keep it that do not come back from a disk that hangs, or that a plugin has not ended.
    """
    late = threading.Timer(LAST if seconds is None else seconds, _exitNow)
    late.daemon = True
    late.start()


def _exitNow() -> None:
    main = threading.main_thread()
    running = [thread.name for thread in threading.enumerate() if not (thread.daemon or thread is main)]
    sys.stdout.flush()
    sys.stderr.flush()
    # Not through sys.stderr, which twistd may have made part of a log that has ended.
    with suppress(OSError):
        os.write(2, f"revproxy ends although threads still run: {', '.join(running)}\n".encode(errors="replace"))
    os._exit(0)
