"""
What is written is on disk: a file that is replaced as a whole, and what that takes.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def replaceFile(path: Path, content: bytes) -> None:
    """Replace a file (mode 0600), so that a crash leaves the one or the other. Blocks; one call at a time for a path.

    :raises OSError: it was not replaced, or it is not certain that the new one would outlive a crash.
    """
    new = path.with_name(f".{path.name}.new")
    with suppress(FileNotFoundError):
        new.unlink()
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            writeAll(descriptor, content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(new, path)
    except BaseException:
        with suppress(OSError):
            new.unlink()
        raise
    syncFolder(path.parent)


def writeAll(descriptor: int, data: bytes) -> None:
    """All of it, however little the disk takes at a time. Blocks. :raises OSError: not all was written."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def syncFolder(folder: Path) -> None:
    """What a folder has is on disk. Blocks. :raises OSError: that is not certain."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


__all__ = ["replaceFile", "syncFolder", "writeAll"]
