"""
What files look like from outside, without reading them.

Two equal fingerprints mean that nothing worth reading has happened; different ones, that contents should be compared.
Modification times alone would miss a file replaced by an older one, and one that is gone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from stat import S_ISDIR, S_ISLNK

__all__ = ["MAX_DEPTH", "Enter", "Fingerprint", "Root", "addFolder", "entryOf", "fingerprintOf", "nothing", "statOf"]

MAX_DEPTH = 17
"""Folders below folders that are walked; one more than a plugin may have, its own folder included."""

Fingerprint = dict[str, tuple[int, ...]]
"""
Path to what is known of it. Of files: mode, device, inode, size, times of modification and of change in nanoseconds. Of
folders without size and times, which every file that is passed over would alter.
"""


def nothing(name: str) -> bool:
    """No name is passed over."""
    return False


@dataclass(frozen=True, slots=True)
class Root:
    """
    A file, or a folder with what is in it. It need not be there, and may be a link.

    :ivar skip: which names in it are passed over, with all below.
    :ivar depth: folders below folders that belong to it; 0, only what is directly in it, as with certificates.
    """

    path: str
    skip: Callable[[str], bool] = nothing
    depth: int = MAX_DEPTH

    def counts(self, path: str) -> bool:
        """Whether a path is this one, or belongs to it."""
        below = path.removeprefix(self.path.rstrip(os.sep) + os.sep)
        names = below.split(os.sep)
        isBelow = below != path and len(names) <= self.depth + 1 and not any(map(self.skip, names))
        return path == self.path or isBelow


Enter = Callable[[str, Root, int], object]
"""Called before a folder is listed, with its path, and how far below the root it is."""


def fingerprintOf(
    roots: Iterable[Root | str | os.PathLike[str]],
    skip: Callable[[str], bool] = nothing,
    enter: Enter = lambda folder, root, depth: None,
) -> Fingerprint:
    """
    The fingerprint of files and folders. Never raises: what is not there, or may not be seen, is not in it.

    Links to files are followed, so that a file renewed behind a link makes a difference. Links to folders are followed
    when they are a root or directly in one; not further down, so that no circle is walked.

    :param skip: what is passed over below those that are given as paths.
    """
    found: Fingerprint = {}
    for place in roots:
        root = place if isinstance(place, Root) else Root(os.fspath(place), skip)
        if (known := statOf(root.path)) is None:
            continue
        found[root.path] = known
        if S_ISDIR(known[0]):
            addFolder(found, root.path, root, 0, enter)
    return found


def addFolder(found: Fingerprint, folder: str, root: Root, depth: int, enter: Enter) -> None:
    """
    Add what is in a folder of a root.

    :param depth: of the folder, below the root.
    """
    enter(folder, root, depth)
    try:
        names = os.listdir(folder)
    except (OSError, ValueError):
        return
    for name in names:
        path = os.path.join(folder, name)
        if root.skip(name) or (known := entryOf(path, depth)) is None:
            continue
        found[path] = known
        if S_ISDIR(known[0]) and depth < root.depth:
            addFolder(found, path, root, depth + 1, enter)


def entryOf(path: str, depth: int) -> tuple[int, ...] | None:
    """What a fingerprint says of what is in a folder of this depth; of a link that is not followed, the link itself."""
    known = statOf(path, False)
    if known is not None and S_ISLNK(known[0]):
        there = statOf(path)
        if there is not None and (depth == 0 or not S_ISDIR(there[0])):
            return there
    return known


def statOf(path: str, follow: bool = True) -> tuple[int, ...] | None:
    """What a fingerprint says of a path; None if there is nothing, or it may not be seen."""
    try:
        known = os.stat(path, follow_symlinks=follow)
    except (OSError, ValueError):
        return None
    if S_ISDIR(known.st_mode):
        return known.st_mode, known.st_dev, known.st_ino
    return known.st_mode, known.st_dev, known.st_ino, known.st_size, known.st_mtime_ns, known.st_ctime_ns
