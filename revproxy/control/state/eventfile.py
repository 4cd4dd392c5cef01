"""
The file that holds the events: one JSON object a line, appended; and one before it, when that had become long.

It is for people who look for what happened before a restart. A process that ends in the midst of a line leaves the
beginning of one, which is cut off. A file with anything else in it that is no event is put aside.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from revproxy.control.state.recordfile import setAside
from revproxy.plan.events import Event
from revproxy.plan.versionid import VersionId
from revproxy.regularfile import readFile

#: Bytes from which on a file is the one before.
MAX_BYTES = 1 << 20

#: Characters of a text and of a traceback that are written.
MAX_TEXT = 4000
MAX_TRACEBACK = 16000

#: Bytes that are read of a file at most: what was appended last may be long.
_MOST_READ = 4 * MAX_BYTES

_STEP = 65536

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class EventFile:
    """
    The events of one state folder. All methods block, and one is called at a time.
    """

    def __init__(self, path: Path) -> None:
        """:param path: of the file; the one before has another ending."""
        self.path = path
        self.before = path.with_name(f"{path.stem}.1{path.suffix}")
        self._isExpected = False

    def read(self) -> tuple[list[Event], list[str]]:
        """
        :returns: the events, the oldest first; and what was found damaged, and what has become of it.
        """
        events: list[Event] = []
        damaged = []
        for path in (self.before, self.path):
            try:
                found, problem = _parse(readFile(path, _MOST_READ))
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                found, problem = [], str(getattr(error, "strerror", None) or error)
            events += found
            self._isExpected = path is self.path and not problem
            if problem:
                damaged.append(setAside(path, f"{path}: {problem}; what else is in it is shown until the next restart"))
        return events, damaged

    def append(self, events: Sequence[Event], remembered: Sequence[Event] = ()) -> None:
        """
        Write these down.

        :param remembered: all that are, these among them; they are written if somebody has deleted the file.
        :raises OSError: that could not be done, or not wholly.
        """
        if self._isExpected and remembered and not os.path.lexists(self.path):
            events = remembered
        descriptor = os.open(self.path, _FLAGS, 0o600)
        try:
            size = _wholeLines(descriptor)
            written = _lines(events)
            while written:
                done = os.write(descriptor, written)
                size, written = size + done, written[done:]
        finally:
            os.close(descriptor)
        self._isExpected = size <= MAX_BYTES
        if size > MAX_BYTES:
            os.replace(self.path, self.before)


class _Written(msgspec.Struct, frozen=True):
    """An event as it is written."""

    number: int
    at: float
    kind: str
    plugin: str
    version: str
    digest: str | None
    text: str
    traceback: str = ""
    about: dict[str, str] = {}


_decoder = msgspec.json.Decoder(_Written)


def _line(event: Event) -> bytes:
    version = event.version
    written = _Written(
        event.number,
        event.at,
        event.kind,
        event.plugin,
        version.number,
        version.digest,
        _cut(event.text, MAX_TEXT),
        _cut(event.traceback, MAX_TRACEBACK),
        {_cut(name, MAX_TEXT): _cut(text, MAX_TEXT) for name, text in event.about.items()},
    )
    return msgspec.json.encode(written) + b"\n"


def _lines(events: Sequence[Event]) -> bytes:
    """Of more than a file holds, the last ones."""
    lines: list[bytes] = []
    room = MAX_BYTES
    for event in reversed(events):
        lines.append(_line(event))
        room -= len(lines[-1])
        if room < 0:
            break
    return b"".join(reversed(lines))


def _cut(text: str, limit: int) -> str:
    """What is too long loses its middle; halves of surrogate pairs cannot be written."""
    if len(text) > limit:
        text = f"{text[: limit // 2]} … {text[-limit // 2 :]}"
    return text.encode("utf-8", "replace").decode("utf-8")


def _parse(data: bytes) -> tuple[list[Event], str]:
    """:returns: what could be read, and why not all of it; an unfinished line at the end is none."""
    *lines, _ = data.split(b"\n")
    events: list[Event] = []
    problem = ""
    for number, line in enumerate(lines, 1):
        try:
            known = _decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            problem = problem or f"line {number} is no event: {error}"
        else:
            version = VersionId(known.version, known.digest)
            text, traceback, number = known.text, known.traceback, known.number
            events.append(Event(known.at, known.kind, known.plugin, version, text, traceback, number, known.about))
    return events, problem


def _wholeLines(descriptor: int) -> int:
    """Cut off what is no whole line at the end of a file. :returns: its size then."""
    whole = size = os.fstat(descriptor).st_size
    while whole and os.pread(descriptor, 1, whole - 1) != b"\n":
        start = max(0, whole - _STEP)
        whole = start + os.pread(descriptor, whole - start, start).rfind(b"\n") + 1
    if whole < size:
        os.ftruncate(descriptor, whole)
    return whole
