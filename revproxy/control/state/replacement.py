"""
A file that is replaced as a whole.
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
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        os.replace(new, path)
    except BaseException:
        with suppress(OSError):
            new.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
