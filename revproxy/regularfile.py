"""
Files that others may have put there: read whole, within a bound, and never waited for.

A folder that is watched, or a file that a configuration names, may have become anything meanwhile: a named pipe, whose
``open`` waits for a writer for ever; a device, of which opening alone can have effects; a socket, a folder; a file of
any size. What is no regular file is not opened at all; should it become one of these in between, opening it does not
wait (``O_NONBLOCK``), and it is looked at once more before it is read.
"""

from __future__ import annotations

import errno
import os
import stat

__all__ = ["FLAGS", "NotAFile", "readFile"]

FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
"""With which what may be no regular file is opened: nothing is waited for, and no terminal taken."""

_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a folder",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFLNK: "a symbolic link",
}
_PIECE = 1 << 20


class NotAFile(OSError):
    """
    What has that name cannot be read as a file. ``strerror`` says what it is and what to do, the text names it, too.
    """

    def __str__(self) -> str:
        return f"{self.filename}: {self.strerror}"


def readFile(path: str | os.PathLike[str], limit: int, folder: int | None = None) -> bytes:
    """
    The content of a regular file; a link to one will do, unless it is in a folder that is open.

    :param limit: bytes that it may have.
    :param folder: a descriptor that ``path`` is relative to.
    :raises NotAFile: it is something else, or larger.
    :raises OSError: it is not there, or cannot be opened or read.
    """
    name = os.fspath(path)
    _check(os.stat(name, dir_fd=folder, follow_symlinks=folder is None), name)
    descriptor = os.open(name, FLAGS if folder is None else FLAGS | os.O_NOFOLLOW, dir_fd=folder)
    try:
        _check(os.fstat(descriptor), name)
        return _content(descriptor, name, limit)
    finally:
        os.close(descriptor)


def _check(found: os.stat_result, name: str) -> None:
    kind = stat.S_IFMT(found.st_mode)
    if kind != stat.S_IFREG:
        what = _KINDS.get(kind, "something else")
        number = errno.EISDIR if kind == stat.S_IFDIR else errno.EINVAL
        raise NotAFile(number, f"it is {what} and no file; put a plain file there", name)


def _content(descriptor: int, name: str, limit: int) -> bytes:
    """Not believing its size: it may grow meanwhile, and files of ``/proc`` have none."""
    pieces = []
    room = limit
    while piece := os.read(descriptor, min(_PIECE, room + 1)):
        room -= len(piece)
        if room < 0:
            raise NotAFile(errno.EFBIG, f"it has more than {limit} bytes, the most it may have", name)
        pieces.append(piece)
    return b"".join(pieces)
