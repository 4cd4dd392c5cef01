"""
The audit records of one state folder on disk.

    audit/key                   made on first use; without it nobody can write a record that fits
    audit/head.json             signed: where the chain begins, and its last record
    audit/000000000001.jsonl    records, a line each; named by the number of the first of them

A file that has become long is followed by another, and when there are many the oldest goes, after the head has been
told where the chain begins now. Records are on disk before the head says so: a crash in between leaves a head that is
behind.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from revproxy.control.history.chain import MOST_BYTES, Head, checked, opened, sealed, signed
from revproxy.control.state.recordfile import setAside
from revproxy.control.state.replacement import replaceFile, syncFolder, writeAll
from revproxy.regularfile import readFile

FILE_BYTES = 4 << 20
"""From this size on, a file is followed by another."""

FILES = 16
"""So many are kept."""

KEY, HEAD = "key", "head.json"

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class AuditFiles:
    """
    For one thread at a time; all methods block.

    :ivar folder: where they are.
    :ivar head: of what was written.
    :ivar damaged: what was not as it had been left, and what has become of it; whoever tells of it empties the list.
    :ivar unsigned: why the head could not be written; empty if it was.
    """

    def __init__(self, folder: Path, fileBytes: int = FILE_BYTES, files: int = FILES) -> None:
        self.folder = folder
        self.head = Head()
        self.damaged: list[str] = []
        self.unsigned = ""
        self._first = Head()
        self._key: bytes | None = None
        self._path: Path | None = None
        self._size = 0
        self._fileBytes = fileBytes
        self._files = files

    def open(self) -> None:
        """
        Find out where the chain ends; the folder, and a key, are made if there are none.

        :raises OSError: it cannot be read, or not be made.
        """
        if self._key is not None:
            return
        os.makedirs(self.folder, 0o700, exist_ok=True)
        key = readKey(self.folder)
        wrong = "is gone or damaged"
        if key is not None and (everybody := self._closeKey()):
            key, wrong = None, everybody
        if key is None and any(name != KEY for name in os.listdir(self.folder)):
            text = f"{self.folder}: its key {wrong}, so nobody can say whether these records are true"
            self.damaged.append(setAside(self.folder, text))
            os.makedirs(self.folder, 0o700, exist_ok=True)
        key = key or _makeKey(self.folder)
        self._findEnd(key)
        self._key = key

    def append(self, records: Sequence[Mapping[str, Any]]) -> None:
        """
        Write these, and wait until they are on disk.

        :param records: all fields but those of the chain.
        :raises OSError: that could not be done; none of them was written.
        """
        self.open()
        assert self._key is not None
        lines, head = [], self.head
        for record in records:
            line, head = sealed(self._key, record, head)
            lines.append(line)
        if lines:
            self._write(b"".join(lines))
            self.head = head
        self._sign()
        if self._size >= self._fileBytes:
            self._path = None
            try:
                self._prune()
            except OSError as error:
                self.unsigned = f"{self.folder}: what is old cannot be removed: {error.strerror or error}"

    def page(self, before: int | None, count: int) -> list[dict[str, Any]]:
        """
        :param before: only records with lower numbers.
        :param count: how many.
        :returns: the last ones, the newest first, as they are in the files.
        """
        found: list[dict[str, Any]] = []
        for path in reversed(recordFiles(self.folder)):
            if before is not None and int(path.stem) >= before:
                continue
            for line in reversed(_linesOf(path)):
                record, _ = opened(self._key or b"", line)
                if record and (before is None or record["seq"] < before):
                    found.append(record)
                    if len(found) == count:
                        return found
        return found

    def _closeKey(self) -> str:
        """
        See that the key is for nobody else. One that a group could read, as Kubernetes makes it of what it mounts with
        ``fsGroup``, is closed again.

        :returns: what is wrong with it, if everybody could read or write it; it is not to be used then.
        """
        path = self.folder / KEY
        mode = stat.S_IMODE(os.stat(path).st_mode)
        if mode & 0o007:
            return f"could be read by everybody (mode {mode:04o})"
        if mode & 0o070:
            with suppress(OSError):
                os.chmod(path, 0o600)
            self.damaged.append(f"{path}: its group could read it (mode {mode:04o}); it has mode 0600 now")
        return ""

    def _findEnd(self, key: bytes) -> None:
        files, damaged = recordFiles(self.folder), self.damaged
        told = readHead(self.folder, key)
        if told is None and files:
            damaged.append(f"{self.folder / HEAD}: is gone or was changed; it is written anew")
        last, problem = self._lastIn(files, key)
        if problem:
            damaged.append(problem)
        first, head = (Head(), Head()) if told is None else told
        if head.seq > last.seq:
            damaged.append(f"{self.folder}: the last record is {last.seq}, and {head.seq} were written: "
                           f"{head.seq - last.seq} were taken away")
        self.head = max(head, last, key=lambda each: each.seq)
        self._first = first if told is not None else self._beginningOf(files, key)
        if files and not damaged:
            self._path = files[-1]
            self._size = sum(len(line) + 1 for line in _linesOf(files[-1]))

    def _lastIn(self, files: Sequence[Path], key: bytes) -> tuple[Head, str]:
        """The last record that is as it was written, and what is wrong behind it."""
        problem = ""
        for path in reversed(files):
            for line in reversed(_linesOf(path)):
                record, wrong = opened(key, line)
                if not wrong:
                    return Head(record["seq"], record["hash"]), problem
                problem = problem or f"{path}: its last record {wrong}"
        return Head(), problem

    def _beginningOf(self, files: Sequence[Path], key: bytes) -> Head:
        """The head before the first record that there is."""
        for path in files:
            for line in _linesOf(path):
                record, wrong = opened(key, line)
                if not wrong:
                    return Head(record["seq"] - 1, record["prev"])
        return Head()

    def _write(self, data: bytes) -> None:
        os.makedirs(self.folder, 0o700, exist_ok=True)
        path = self._path
        isNew = path is None or _sizeOf(path) < self._size  # somebody has cut it, or it is gone
        if path is None or isNew:
            path = self.folder / f"{self.head.seq + 1:012d}.jsonl"
            if _sizeOf(path) > 0:  # what that is, somebody may want to know
                setAside(path, str(path))
        descriptor = os.open(path, _FLAGS, 0o600)
        try:
            size = 0 if isNew else self._size
            os.ftruncate(descriptor, size)  # what a crash or a full disk has left there
            try:
                writeAll(descriptor, data)
                os.fsync(descriptor)
            except OSError:
                with suppress(OSError):
                    os.ftruncate(descriptor, size)
                raise
        finally:
            os.close(descriptor)
        if isNew:
            syncFolder(self.folder)
        self._path, self._size = path, size + len(data)

    def _sign(self) -> None:
        """What could not be signed now is with what is appended next, be it nothing."""
        assert self._key is not None
        value = {
            "first": self._first.seq + 1, "before": self._first.hash, "seq": self.head.seq, "hash": self.head.hash,
        }
        try:
            if not os.path.lexists(self.folder / KEY):
                replaceFile(self.folder / KEY, self._key.hex().encode() + b"\n")
            replaceFile(self.folder / HEAD, signed(self._key, value))
            self.unsigned = ""
        except OSError as error:
            self.unsigned = f"{self.folder / HEAD}: {error.strerror or error}"

    def _prune(self) -> None:
        assert self._key is not None
        files = recordFiles(self.folder)
        gone, kept = files[: -self._files], files[-self._files :]
        if not gone:
            return
        self._first = self._beginningOf(kept, self._key)
        self._sign()
        if not self.unsigned:
            for path in gone:
                path.unlink(missing_ok=True)


def recordFiles(folder: Path) -> list[Path]:
    """The files with records, the oldest first."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    return [folder / name for name in sorted(names) if name.endswith(".jsonl") and name[:-6].isdecimal()]


def readKey(folder: Path) -> bytes | None:
    """:returns: None if it is not there, or is none. :raises OSError: it cannot be read."""
    try:
        text = readFile(folder / KEY, 1024)
        key = bytes.fromhex(text.decode("ascii").strip())
    except (FileNotFoundError, ValueError):
        return None
    return key if len(key) == 32 else None


def readHead(folder: Path, key: bytes) -> tuple[Head, Head] | None:
    """:returns: the head before the first record, and the last; None if there is no such file, or it was changed."""
    try:
        value = checked(key, readFile(folder / HEAD, 4096))
    except FileNotFoundError:
        return None
    if value is None or value.keys() != {"first", "before", "seq", "hash"}:
        return None
    return Head(value["first"] - 1, value["before"]), Head(value["seq"], value["hash"])


def linesOf(path: Path) -> tuple[list[bytes], bool]:
    """The whole lines of a file, and whether there is the beginning of another. :raises OSError: it cannot be read."""
    *lines, rest = readFile(path, FILE_BYTES + 2 * MOST_BYTES + (64 << 20)).split(b"\n")
    return lines, bool(rest)


def _linesOf(path: Path) -> list[bytes]:
    return linesOf(path)[0]


def _makeKey(folder: Path) -> bytes:
    key = secrets.token_bytes(32)
    replaceFile(folder / KEY, key.hex().encode() + b"\n")
    return key


def _sizeOf(path: Path) -> int:
    try:
        return os.lstat(path).st_size
    except FileNotFoundError:
        return -1


__all__ = ["FILES", "FILE_BYTES", "HEAD", "KEY", "AuditFiles", "linesOf", "readHead", "readKey", "recordFiles"]
