"""
The line of time on disk.

    history/changes.jsonl   a line for each change, the newest last
    history/objects/HASH    how things stood, and texts of configurations, each once, named by its SHA-256

They have what a configuration has, so nobody but the edge's user may read them. What no line names any more goes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from revproxy.control.state.recordfile import setAside
from revproxy.control.state.replacement import replaceFile, writeAll
from revproxy.regularfile import readFile

MOST = 1000
"""Changes that are kept."""

SLACK = 200
"""Lines more than these, before the file is written anew."""

MOST_BYTES = 64 << 20
"""Of all objects together; with more, the oldest changes go."""

_FILE_BYTES = 64 << 20
_OBJECT_BYTES = 32 << 20

Entry = dict[str, Any]
"""A change, as JSON says it."""


class HistoryFiles:
    """
    For one thread at a time; all methods block.
    """

    def __init__(self, folder: Path, most: int = MOST, mostBytes: int = MOST_BYTES) -> None:
        self.folder = folder
        self._path = folder / "changes.jsonl"
        self._objects = folder / "objects"
        self._most = most
        self._mostBytes = mostBytes
        self._entries: list[Entry] = []
        self._lines = 0
        self._bytes = 0

    def open(self) -> tuple[list[Entry], list[str]]:
        """
        :returns: what is kept, the oldest first, and what was found damaged.
        :raises OSError: it cannot be read.
        """
        self._makeFolders()
        self._entries, problem = self._read()
        damaged = [setAside(self._path, f"{self._path}: {problem}; what else is in it is kept")] if problem else []
        if problem:
            self._rewrite()
        self._lines = len(self._entries)
        self._bytes = sum(self._sizes().values())
        return list(self._entries), damaged

    def append(self, entries: Sequence[Entry], objects: Mapping[str, bytes]) -> list[Entry]:
        """
        What is known already, for a disk that took long has written it after all, is not written once more.

        :param objects: by hash, what these changes name.
        :returns: what is kept.
        :raises OSError: that could not be done.
        """
        self._makeFolders()
        for name, data in objects.items():
            if not os.path.lexists(self._objects / name):
                replaceFile(self._objects / name, data)
                self._bytes += len(data)
        before = self._entries
        last = before[-1]["number"] if before else 0
        entries = [entry for entry in entries if entry["number"] > last]
        self._entries = [*before, *entries]
        isGone = self._lines > 0 and not os.path.lexists(self._path)
        isMuch = len(self._entries) > self._most + SLACK or self._bytes > self._mostBytes
        try:
            if isGone or isMuch:
                self._shorten()
            else:
                self._append(entries)
        except OSError:
            self._entries = before
            raise
        return list(self._entries)

    def object(self, name: str) -> bytes | None:
        """What has this hash; None if it is not there, or not what it was."""
        try:
            data = readFile(self._objects / name, _OBJECT_BYTES)
        except OSError:
            return None
        return data if hashlib.sha256(data).hexdigest() == name else None

    def _makeFolders(self) -> None:
        for folder in (self.folder, self._objects):
            os.makedirs(folder, 0o700, exist_ok=True)

    def _read(self) -> tuple[list[Entry], str]:
        try:
            *lines, _ = readFile(self._path, _FILE_BYTES).split(b"\n")
        except FileNotFoundError:
            return [], ""
        entries, problem = [], ""
        for number, line in enumerate(lines, 1):
            try:
                entries.append(_parsed(line))
            except (ValueError, RecursionError, TypeError) as error:
                problem = problem or f"line {number} is no change: {error}"
        return entries, problem

    def _append(self, entries: Sequence[Entry]) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(self._path, flags, 0o600)
        try:
            size = _wholeLines(descriptor)
            try:
                writeAll(descriptor, _lines(entries))
                os.fsync(descriptor)
            except OSError:
                with suppress(OSError):
                    os.ftruncate(descriptor, size)
                raise
        finally:
            os.close(descriptor)
        self._lines += len(entries)

    def _shorten(self) -> None:
        """Only the last changes, and of the objects what they name."""
        del self._entries[: -self._most]
        sizes = self._sizes()
        room, named, first = self._mostBytes, set[str](), 0
        for index in range(len(self._entries) - 1, -1, -1):
            new = set(objectsOf(self._entries[index])) - named
            room -= sum(sizes.get(name, 0) for name in new)
            if room < 0 and index < len(self._entries) - 1:
                first = index + 1
                break
            named |= new
        del self._entries[:first]
        self._rewrite()
        for name in sizes.keys() - named:
            (self._objects / name).unlink(missing_ok=True)
        self._bytes = sum(sizes.get(name, 0) for name in named)

    def _rewrite(self) -> None:
        replaceFile(self._path, _lines(self._entries))
        self._lines = len(self._entries)

    def _sizes(self) -> dict[str, int]:
        with os.scandir(self._objects) as found:
            return {each.name: each.stat(follow_symlinks=False).st_size for each in found}


def objectsOf(entry: Entry) -> Iterable[str]:
    """The hashes that a change names."""
    return [name for name in (entry["standing"], entry["config"]) if name]


def _parsed(line: bytes) -> Entry:
    entry = json.loads(line)
    wanted = {"number": int, "at": (int, float), "actor": dict, "action": str, "plugin": str, "reason": str,
              "result": str, "text": list, "refused": list, "standing": str, "config": str}  # fmt: skip
    for name, kind in wanted.items():
        if not isinstance(entry.get(name), kind):  # type: ignore[arg-type]
            raise ValueError(f"it has no {name}")
    for name in objectsOf(entry):
        if not (len(name) == 64 and all(digit in "0123456789abcdef" for digit in name)):
            raise ValueError("it names what is no hash")
    return dict(entry)


def _lines(entries: Iterable[Entry]) -> bytes:
    return b"".join(json.dumps(entry, ensure_ascii=True).encode() + b"\n" for entry in entries)


def _wholeLines(descriptor: int) -> int:
    """Cut off what is no whole line at the end. :returns: the size then."""
    size = os.fstat(descriptor).st_size
    start = max(0, size - (1 << 20))
    whole = start + os.pread(descriptor, size - start, start).rfind(b"\n") + 1
    if whole < size:
        os.ftruncate(descriptor, whole)
    return whole


__all__ = ["Entry", "HistoryFiles", "objectsOf"]
