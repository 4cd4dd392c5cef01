"""
Recordings on disk: a file each, in ``recordings/`` of the state folder. What lets in is not in them.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from revproxy.control.state.replacement import syncFolder, writeAll
from revproxy.replay.corpus import LONGEST, CorpusError, CorpusReader, End, Header, endLine, headerLine, requestLine
from revproxy.replay.corpusredaction import redacted
from revproxy.replay.recordedrequest import RecordedRequest
from revproxy.replay.redactionrules import Redaction

NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")

MOST_TOTAL: Final = 1 << 30
"""Bytes of all recordings together."""

MOST_FILES: Final = 200

_SUFFIX = ".jsonl"
_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_LAST = 4096
"""Bytes in which the last line of a file is looked for: that it has ended is a short one."""

_requests = msgspec.msgpack.Decoder(tuple[RecordedRequest, ...])


@dataclass(frozen=True, slots=True)
class RecordingFile:
    """
    One of them.

    :ivar end: how it ended; None: it has not, or it was cut off.
    :ivar problem: why it cannot be read; empty: it can.
    """

    name: str
    bytes: int
    header: Header
    end: End | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Written:
    """:ivar requests: that were written; ``dropped``: that were not, for they could not be, or there was no room."""

    requests: int
    bytes: int
    dropped: int


class TooMany(Exception):
    """There are as many recordings as there may be; the text says what to do."""


class RecordingFiles:
    """
    For one thread at a time; all methods block.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def pathOf(self, name: str) -> Path:
        """Where it is. :raises KeyError: that is no name of a recording."""
        if not NAME.fullmatch(name):
            raise KeyError(name)
        return self.folder / f"{name}{_SUFFIX}"

    def begin(self, header: Header) -> int:
        """
        Make a file. :returns: its bytes.

        :raises TooMany: there is no room for another.
        :raises FileExistsError: there is one of that name.
        :raises OSError: it cannot be written.
        """
        os.makedirs(self.folder, 0o700, exist_ok=True)
        there = self._sizes()
        if len(there) >= MOST_FILES or sum(there.values()) >= MOST_TOTAL:
            raise TooMany(f"{self.folder} has {len(there)} recordings of {sum(there.values()) >> 20} MB: "
                          "`revproxy recordings delete NAME` removes one")  # fmt: skip
        line = headerLine(header)
        descriptor = os.open(self.pathOf(header.name), os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600)
        try:
            writeAll(descriptor, line)
        finally:
            os.close(descriptor)
        syncFolder(self.folder)
        return len(line)

    def append(self, name: str, batch: bytes, redaction: Redaction, requests: int, room: int) -> Written:
        """
        Write requests, without what lets in.

        :param batch: in MessagePack.
        :param requests: that it takes at most; ``room``: bytes.
        :raises OSError: it cannot be written.
        """
        lines: list[bytes] = []
        size = dropped = 0
        for request in self._decoded(batch):
            line = _lineOf(request, redaction)
            if line is None or len(lines) >= requests or size + len(line) > room:
                dropped += 1
            else:
                lines.append(line)
                size += len(line)
        self._append(name, b"".join(lines))
        return Written(len(lines), size, dropped)

    def end(self, name: str, end: End) -> None:
        """Write how it ended. :raises OSError: it cannot be written."""
        self._append(name, endLine(end), isLast=True)

    def all(self) -> list[RecordingFile]:
        """Those that there are, in the order of their beginnings."""
        found = [file for name in self._sizes() if (file := self._read(name)) is not None]
        return sorted(found, key=lambda each: (each.header.begun, each.name))

    def read(self, name: str, offset: int, most: int) -> tuple[list[str], int | None]:
        """
        Whole lines of it, from an offset on.

        :param most: bytes, but for a line that is longer by itself.
        :returns: with the offset of the next; None: there is no more now.
        :raises KeyError: there is none of that name.
        :raises OSError: it cannot be read.
        """
        try:
            descriptor = os.open(self.pathOf(name), os.O_RDONLY | _FLAGS)
        except FileNotFoundError:
            raise KeyError(name) from None
        with open(descriptor, "rb") as file:
            file.seek(offset)
            data = file.read(most)
            if not data.endswith(b"\n"):
                data += file.readline(LONGEST)
            isMore = bool(file.read(1))
        # Only these are the ends of lines: what clients have sent may have others in it.
        lines = data.removesuffix(b"\n").decode("utf-8", "replace").split("\n") if data else []
        return lines, offset + len(data) if isMore else None

    def delete(self, name: str) -> None:
        """:raises KeyError: there is none of that name. :raises OSError: it cannot be removed."""
        try:
            self.pathOf(name).unlink()
        except FileNotFoundError:
            raise KeyError(name) from None

    def _decoded(self, batch: bytes) -> tuple[RecordedRequest, ...]:
        try:
            return _requests.decode(batch)
        except msgspec.DecodeError:
            return ()

    def _append(self, name: str, data: bytes, isLast: bool = False) -> None:
        # Not made anew: whoever deletes one that goes on has ended it.
        descriptor = os.open(self.pathOf(name), os.O_WRONLY | os.O_APPEND | _FLAGS)
        try:
            before = os.fstat(descriptor).st_size
            try:
                writeAll(descriptor, data)
                if isLast:
                    os.fsync(descriptor)
            except OSError:
                with suppress(OSError):  # half a line would end it
                    os.ftruncate(descriptor, before)
                raise
        finally:
            os.close(descriptor)

    def _sizes(self) -> dict[str, int]:
        sizes = {}
        with suppress(OSError), os.scandir(self.folder) as entries:
            for entry in entries:
                name = entry.name.removesuffix(_SUFFIX)
                if name != entry.name and NAME.fullmatch(name) and entry.is_file(follow_symlinks=False):
                    sizes[name] = entry.stat(follow_symlinks=False).st_size
        return sizes

    def _read(self, name: str) -> RecordingFile | None:
        try:
            with open(os.open(self.pathOf(name), os.O_RDONLY | _FLAGS), "rb") as file:
                size = os.fstat(file.fileno()).st_size
                header = CorpusReader(f"{name}{_SUFFIX}", [file.readline(LONGEST)]).header
                file.seek(max(size - _LAST, 0))
                last = file.read(_LAST)
        except CorpusError as error:
            return RecordingFile(name, size, Header(name, 0.0), problem=str(error))
        except OSError:
            return None
        return RecordingFile(name, size, header, _endIn(last))


def _endIn(last: bytes) -> End | None:
    if not last.endswith(b"\n"):
        return None
    line = last[:-1].rpartition(b"\n")[2]
    try:
        return msgspec.json.decode(line, type=End) if line.startswith(b'{"ended":') else None
    except msgspec.DecodeError:
        return None


def _lineOf(request: RecordedRequest, redaction: Redaction) -> bytes | None:
    try:
        line = requestLine(redacted(request, redaction))
    except Exception:  # what plugins have put into it may be anything; of one that is not redacted nothing is written
        return None
    return line if len(line) <= LONGEST else None


__all__ = ["MOST_FILES", "MOST_TOTAL", "NAME", "RecordingFile", "RecordingFiles", "TooMany", "Written"]
