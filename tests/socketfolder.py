"""
Folders for the files of Unix sockets. Their paths may have 107 bytes, and that of a checkout, or ``TMPDIR``, may have
most of them.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from twisted.trial.unittest import TestCase

_ROOM = 60
"""Bytes that the path of such a folder may have."""


def socketFolder(case: TestCase) -> Path:
    """A new folder with a short path, for one test."""
    for place in (tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm"):
        try:
            folder = tempfile.mkdtemp(prefix="revproxy-", dir=place)
        except OSError:
            continue
        case.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        if len(folder.encode()) <= _ROOM:
            return Path(folder)
    raise AssertionError("no folder has a path short enough for a socket")
