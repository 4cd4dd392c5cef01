"""
Memory that the kernel counts for a process whole: a cgroup of its own (version 2) for each, where the edge was given a
part of the tree (systemd: ``Delegate=memory pids``; a container with a private, writable one).

The limit of address space sees neither page cache nor what files in memory take; a cgroup does, and it ends what is in
it. Where there is none, the other layers hold without it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from revproxy.isolation.process.descriptors import Descriptors

CONTROLLERS: Final = ("memory", "pids")
OWN: Final = "edge"
"""The group that the edge's own processes are moved to: one that has groups in it may not have processes, too."""

BESIDE: Final = 64 << 20
"""Bytes that a process may take beside those of its plugin: its own copies of what it has from the template."""

_TRIES: Final = 20
_AGAIN: Final = 0.1
_DELEGATED: Final = ("user.delegate", "trusted.delegate")


class NotDelegated(Exception):
    """There is no part of the tree that is the edge's; the text says why."""


class Cgroup:
    """
    The group of one process.

    :ivar path: its folder.
    """

    def __init__(self, descriptors: Descriptors, path: Path) -> None:
        self.path = str(path)
        self._descriptors = descriptors
        self._folder = path
        self._tries = 0

    def has(self, pid: int) -> bool:
        """Whether a process is in it."""
        try:
            return str(pid) in (self._folder / "cgroup.procs").read_text("ascii").split()
        except OSError:
            return False

    def limit(self, memoryBytes: int) -> None:
        """:param memoryBytes: that its plugin may take; more ends it. :raises OSError: the kernel refuses."""
        (self._folder / "memory.max").write_text(str(memoryBytes + BESIDE))

    @property
    def isOverLimit(self) -> bool:
        """Whether a process in it was ended because it has taken too much."""
        with suppress(OSError, ValueError):
            pairs = (line.split() for line in (self._folder / "memory.events").read_text("ascii").splitlines())
            return any(name == "oom_kill" and int(count) > 0 for name, count in pairs)
        return False

    def remove(self) -> None:
        """End what is in it, and remove it; a process that is not quite gone yet is waited for."""
        with suppress(OSError):
            (self._folder / "cgroup.kill").write_text("1")
        self._remove()

    def _remove(self) -> None:
        self._tries += 1
        try:
            os.rmdir(self.path)
        except FileNotFoundError:
            return
        except OSError:
            if self._tries < _TRIES:
                self._descriptors.later(_AGAIN, self._remove)


class Cgroups:
    """
    The part of the tree that is the edge's.

    :param folder: of a group that the edge has prepared: see :meth:`find`.
    """

    def __init__(self, descriptors: Descriptors, folder: Path) -> None:
        self._descriptors = descriptors
        self._folder = folder

    @classmethod
    def find(
        cls,
        descriptors: Descriptors,
        root: Path = Path("/sys/fs/cgroup"),
        own: Path = Path("/proc/self/cgroup"),
    ) -> Cgroups:
        """
        Prepare the group that this process is in: its processes are moved one below, and others may be beside them.

        :raises NotDelegated: there is none for us.
        """
        if not (root / "cgroup.controllers").exists():
            raise NotDelegated("this machine has no cgroups of version 2")
        path = _pathOf(own)
        folder = root / path
        if path.name == OWN:  # systemd's DelegateSubgroup, or this edge, before
            folder = folder.parent
        try:
            _prepare(folder, folder == root)
        except OSError as error:
            raise NotDelegated(f"{folder} cannot be divided: {error}") from None
        return cls(descriptors, folder)

    def make(self, number: int) -> Cgroup | None:
        """:returns: the group of one process; None: the kernel refuses."""
        path = self._folder / f"locked-{os.getpid()}-{number}"
        try:
            path.mkdir()
            (path / "pids.max").write_text("1")
            (path / "memory.oom.group").write_text("1")
        except OSError:
            with suppress(OSError):
                path.rmdir()
            return None
        return Cgroup(self._descriptors, path)


def _pathOf(own: Path) -> Path:
    try:
        lines = own.read_text("utf-8", "replace").splitlines()
    except OSError as error:
        raise NotDelegated(f"nobody knows which cgroup this process is in: {error}") from None
    for line in lines:
        if line.startswith("0::/"):
            return Path(line.removeprefix("0::/"))
    raise NotDelegated("this process is in no cgroup of version 2")


def _prepare(folder: Path, isRoot: bool) -> None:
    if not (folder / "cgroup.type").exists():
        raise NotDelegated(f"{folder} is the whole machine's")
    if not _isOurs(folder, isRoot):
        raise NotDelegated(f"{folder} is not delegated to this service (systemd: Delegate=memory pids)")
    there = (folder / "cgroup.controllers").read_text("ascii").split()
    if missing := [name for name in CONTROLLERS if name not in there]:
        raise NotDelegated(f"{folder} has no control of {', '.join(missing)}")
    (folder / OWN).mkdir(exist_ok=True)
    for pid in (folder / "cgroup.procs").read_text("ascii").split():
        with suppress(ProcessLookupError):
            (folder / OWN / "cgroup.procs").write_text(pid)
    (folder / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in CONTROLLERS))


def _isOurs(folder: Path, isRoot: bool) -> bool:
    """Said by systemd in an attribute; in a container, whose root this is, by being writable."""
    for name in _DELEGATED:
        with suppress(OSError):
            if os.getxattr(folder, name) == b"1":
                return True
    return isRoot and os.access(folder / "cgroup.procs", os.W_OK)
