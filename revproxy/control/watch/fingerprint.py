"""
What files look like from outside, without reading them.

Two equal fingerprints mean that nothing worth a look has happened; different ones, that contents should be compared.
Modification times alone would miss a file replaced by an older one, and one that is gone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from stat import S_ISDIR

__all__ = ["MAX_DEPTH", "Fingerprint", "entriesOf", "fingerprintOf", "nothing", "statOf"]

MAX_DEPTH = 17
"""Folders below folders that are looked at; one more than a plugin may have, its own folder included."""

Fingerprint = dict[str, tuple[int, ...]]
"""
Path to what is known of it. Of files: mode, device, inode, size, times of modification and of change in nanoseconds. Of
folders without size and times, which every file that is passed over would alter.
"""


def nothing(name: str) -> bool:
    """No name is passed over."""
    return False


def fingerprintOf(paths: Iterable[str | os.PathLike[str]], skip: Callable[[str], bool] = nothing) -> Fingerprint:
    """
    The fingerprint of files, and of folders with all below them. Never raises: what is gone is not in it.

    A path itself may be a link, and so may be what is directly in a folder: both are followed. Links further down are
    not, so that no circle is walked.

    :param skip: whether a name below one of the paths is passed over, with all that it holds.
    """
    found: Fingerprint = {}
    for path in paths:
        name = os.fspath(path)
        if (known := statOf(name)) is None:
            continue
        found[name] = known
        if S_ISDIR(known[0]):
            _addTree(found, name, skip, 0)
    return found


def statOf(path: str, follow: bool = True) -> tuple[int, ...] | None:
    """What a fingerprint says of one path; None if there is nothing."""
    try:
        known = os.stat(path, follow_symlinks=follow)
    except (OSError, ValueError):
        return None
    if S_ISDIR(known.st_mode):
        return known.st_mode, known.st_dev, known.st_ino
    return known.st_mode, known.st_dev, known.st_ino, known.st_size, known.st_mtime_ns, known.st_ctime_ns


def entriesOf(folder: str, follow: bool, skip: Callable[[str], bool] = nothing) -> tuple[list[str], list[str]]:
    """
    The paths of what is directly in a folder: folders, and all else. Nothing if it cannot be listed.

    :param follow: whether a link to a folder counts as one.
    :param skip: which names are passed over.
    """
    folders: list[str] = []
    others: list[str] = []
    for name in _names(folder):
        if skip(name):
            continue
        path = os.path.join(folder, name)
        known = statOf(path, follow)
        (folders if known is not None and S_ISDIR(known[0]) else others).append(path)
    return folders, others


def _addTree(found: Fingerprint, folder: str, skip: Callable[[str], bool], depth: int) -> None:
    for name in _names(folder):
        if skip(name):
            continue
        path = os.path.join(folder, name)
        # A link that leads nowhere is itself what there is.
        known = (statOf(path) if depth == 0 else None) or statOf(path, False)
        if known is None:
            continue
        found[path] = known
        if S_ISDIR(known[0]) and depth < MAX_DEPTH:
            _addTree(found, path, skip, depth + 1)


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except (OSError, ValueError):
        return []
