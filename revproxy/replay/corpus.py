"""
A recording as a file: a line that says what it is of, a line for each request, and one that says how it ended.

Lines of JSON, so that ``head``, ``grep`` and ``jq`` work on them. A file whose last line is not whole, or that has no
line about its end, was cut off: what is before that is good.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from revproxy.replay.corpustext import NotARecord, parseRecord, recordText
from revproxy.replay.recordedrequest import RecordedRequest

FORMAT: Final = "revproxy-recording"

VERSION: Final = 1
"""That is written, and the highest that is read."""

LONGEST: Final = 16 << 20
"""Bytes of a line."""


class CorpusError(ValueError):
    """
    It is no recording, or one that cannot be read here; the text begins with ``FILE:LINE``.
    """


class Header(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    The first line.

    :ivar name: of the recording.
    :ivar begun: when, in seconds since the epoch.
    :ivar edge: the version of the edge.
    :ivar routes: whose requests were meant; empty: of all.
    :ivar share: of them.
    :ivar redacted: names of fields, keys and parameters whose values were taken out besides the usual ones; ``kept``:
        of those that usually are, and were not.
    :ivar hidesClients: whether addresses of clients are others than they were.
    """

    name: str
    begun: float
    edge: str = ""
    routes: tuple[str, ...] = ()
    share: float = 1.0
    redacted: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    hidesClients: bool = False
    format: str = ""
    version: int = 0


class End(msgspec.Struct, frozen=True):
    """
    The last line.

    :ivar ended: when, in seconds since the epoch.
    :ivar why: in words.
    :ivar requests: that are in it; ``dropped``: for which there was no room, or no time.
    """

    ended: float
    why: str
    requests: int
    dropped: int = 0


def headerLine(header: Header) -> bytes:
    """The first line of a file."""
    return msgspec.json.encode(msgspec.structs.replace(header, format=FORMAT, version=VERSION)) + b"\n"


def requestLine(request: RecordedRequest) -> bytes:
    """A line of one request."""
    return recordText(request) + b"\n"


def endLine(end: End) -> bytes:
    """The last line of a file."""
    return msgspec.json.encode(end) + b"\n"


class CorpusReader:
    """
    Reads a recording, request by request: iterate over it, once.

    :ivar header: its first line.
    :ivar end: its last line, once all is read; None: it was cut off.
    :ivar cut: what of it was cut off, once all is read; empty: nothing.
    """

    def __init__(self, name: str, lines: Iterable[bytes]) -> None:
        """
        :param name: what messages call it.
        :param lines: each with its end; the last may have none.
        :raises CorpusError: there is no line that says what it is.
        """
        self.end: End | None = None
        self.cut = ""
        self._name = name
        self._lines = iter(lines)
        self.header = self._header(next(self._lines, b""))

    def __iter__(self) -> Iterator[RecordedRequest]:
        """
        The requests, in order.

        :raises CorpusError: a line that has an end is none of a recording.
        """
        for number, line in enumerate(self._lines, 2):
            if not line.endswith(b"\n"):
                self.cut = f"{self._name}:{number}: the last line is cut off, and passed over"
                return
            if self.end is not None:
                raise self._error(number, "there is more after the line that says how it ended")
            if line.startswith(b'{"ended":'):
                self.end = self._end(number, line)
            elif line.strip():
                yield self._request(number, line)
        if self.end is None:
            self.cut = f"{self._name}: it does not say how it ended: the edge was ended in the midst of it"

    def _header(self, line: bytes) -> Header:
        try:
            header = msgspec.json.decode(line, type=Header)
        except (msgspec.DecodeError, UnicodeError):
            header = None
        if header is None or header.format != FORMAT:
            raise self._error(1, "it is no recording: revproxy record makes them")
        if not 0 < header.version <= VERSION:
            raise self._error(1, f"it is of version {header.version}, and this revproxy reads up to {VERSION}")
        return header

    def _end(self, number: int, line: bytes) -> End:
        try:
            return msgspec.json.decode(line, type=End)
        except (msgspec.DecodeError, UnicodeError) as error:
            raise self._error(number, str(error)) from None

    def _request(self, number: int, line: bytes) -> RecordedRequest:
        try:
            return parseRecord(line)
        except NotARecord as error:
            raise self._error(number, f"it is no recorded request: {error}") from None

    def _error(self, number: int, text: str) -> CorpusError:
        return CorpusError(f"{self._name}:{number}: {text}")


def linesOf(file: Any, longest: int = LONGEST) -> Iterator[bytes]:
    """
    The lines of a file that is open for bytes.

    :raises CorpusError: one is longer than any line of a recording.
    """
    number = 0
    while line := file.readline(longest + 1):
        number += 1
        if len(line) > longest:
            raise CorpusError(f"{file.name}:{number}: a line has more than {longest} bytes")
        yield line


__all__ = [
    "FORMAT", "LONGEST", "VERSION", "CorpusError", "CorpusReader", "End", "Header", "endLine", "headerLine", "linesOf",
    "requestLine",
]  # fmt: skip
