"""
The file of a Unix socket: names of any length, and what a dead process has left.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EADDRINUSE
from pathlib import Path

from revproxy.config.syntax import SOCKET_PATH_LIMIT


@contextmanager
def shortened(path: Path) -> Iterator[str]:
    """
    A name of the same file that fits into ``sun_path``, while the context lasts.

    :raises OSError: if there is no such folder.
    """
    if len(os.fsencode(path)) <= SOCKET_PATH_LIMIT:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def connect(path: Path, timeout: float | None) -> socket.socket:
    """:raises OSError: as ``connect``."""
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        client.settimeout(timeout)
        with shortened(path) as short:
            client.connect(short)
    except BaseException:
        client.close()
        raise
    return client


def removeStale(path: Path) -> None:
    """
    :raises OSError: if it is no socket, or somebody listens on it.
    """
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise FileExistsError(EADDRINUSE, "it is in the way, and no socket; move it elsewhere", str(path))
        connect(path, 0).close()
    except FileNotFoundError:
        return
    except ConnectionRefusedError:
        path.unlink(missing_ok=True)
        return
    except BlockingIOError:
        pass  # it has so many clients that one more would have to wait
    raise OSError(EADDRINUSE, "another process listens there; stop that first", str(path))


__all__ = ["connect", "removeStale", "shortened"]
