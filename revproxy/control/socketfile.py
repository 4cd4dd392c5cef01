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
    While the context lasts, a name of the same file that fits into ``sun_path``.

    :raises OSError: the folder of the path does not exist.
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
    """
    A blocking connection to whoever listens on a path of any length.

    :param timeout: seconds for each of connecting, sending and receiving; None waits for ever.
    :raises OSError: as ``connect`` of :class:`socket.socket`.
    """
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
    Remove the socket that a dead process has left, so that its path can be bound again. Nothing there is fine, too.

    :raises OSError: what is there is no socket, or somebody listens on it; it stays.
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
