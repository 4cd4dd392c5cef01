"""
The file that holds the plugins' records: one JSON file, replaced as a whole.

A file that cannot be understood is kept under another name, and records begin anew: the edge must come up without it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

from revproxy.control.state.records import OnTrial, Pin, PinnedBy, PluginRecord, PluginRecords, VersionRecord
from revproxy.control.state.replacement import replaceFile
from revproxy.regularfile import readFile

#: Of the file; a higher one was written by a newer revproxy.
FORMAT = 1

#: How many bytes the file may have.
MAX_BYTES = 64 << 20


def readRecords(path: Path) -> tuple[PluginRecords, str | None]:
    """What was remembered.

    :returns: with a text for the log when the file was there and could not be understood; it has another name then,
        and there are no records.
    """
    try:
        return _parse(readFile(path, MAX_BYTES)), None
    except FileNotFoundError:
        return PluginRecords(), None
    except (OSError, ValueError) as error:
        reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)
    return PluginRecords(), setAside(path, f"{path}: {reason}; nothing is remembered of plugins")


def setAside(path: Path, text: str) -> str:
    """Give a damaged file another name. :returns: the text, with what has become of the file."""
    try:
        aside = next(place for place in _aside(path) if not os.path.lexists(place))
        os.rename(path, aside)
    except OSError as error:
        return f"{text}, and it could not be put aside ({error.strerror})"
    return f"{text}; the file is now {aside.name}, put it right and back while revproxy does not run"


def peekRecords(path: Path) -> PluginRecords:
    """What was remembered, for who only looks: nothing where that cannot be read, and the file stays where it is."""
    try:
        return _parse(readFile(path, MAX_BYTES))
    except (OSError, ValueError):
        return PluginRecords()


def writeRecords(path: Path, records: PluginRecords) -> None:
    """Replace the file, so that a crash leaves the one or the other. Blocks; one call at a time.

    :raises OSError: it was not replaced, or it is not certain that the new one would outlive a crash.
    """
    replaceFile(path, _format(records))


# The form on disk: strict where dataclasses would pass over what they do not know.


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class _OnTrial(_Strict, frozen=True):
    state: str
    reason: str = ""
    at: float = 0.0
    blocks: bool = False


class _Version(_Strict, frozen=True, rename={"ranAt": "ran_at"}):
    digest: str
    version: str
    ranAt: float
    quarantined: str | None = None
    served: float = 0.0
    trial: _OnTrial | None = None


class _Pin(_Strict, frozen=True):
    digest: str
    by: PinnedBy
    against: str | None = None
    left: tuple[str, ...] = ()


class _Plugin(_Strict, frozen=True, rename={"endedAt": "ended_at", "endedBecause": "ended_because"}):
    versions: tuple[_Version, ...] = ()
    running: str | None = None
    pin: _Pin | None = None
    enabled: bool | None = None
    folder: str | None = None
    required: bool = False
    endedAt: float | None = None
    endedBecause: str | None = None


class _File(_Strict, frozen=True):
    format: int
    plugins: dict[str, _Plugin]


class _Head(msgspec.Struct):
    format: int


def _aside(path: Path) -> Iterator[Path]:
    return (path.with_name(f"{path.name}.damaged-{number}") for number in count(1))


def _format(records: PluginRecords) -> bytes:
    plugins = {name: _plain(record) for name, record in sorted(records.plugins.items())}
    return msgspec.json.format(msgspec.json.encode({"format": FORMAT, "plugins": plugins}), indent=2) + b"\n"


def _plain(record: PluginRecord) -> Any:
    """A trial only where there is one: an older revproxy does not know the word."""
    plain = msgspec.to_builtins(msgspec.convert(record, _Plugin, from_attributes=True))
    for version in plain["versions"]:
        if version["trial"] is None:
            del version["trial"]
    return plain


def _parse(data: bytes) -> PluginRecords:
    """The records; a `ValueError` says why there is none."""
    try:
        written = msgspec.json.decode(data, type=_Head).format
        if written > FORMAT:
            raise ValueError(f"has format {written}, this revproxy knows {FORMAT}: a newer one wrote it")
        file = msgspec.json.decode(data, type=_File)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"is damaged: {error}") from None
    if file.format != FORMAT:
        raise ValueError(f"is damaged: there is no format {file.format}")
    return PluginRecords({name: _record(name, plugin) for name, plugin in file.plugins.items()})


def _record(name: str, plugin: _Plugin) -> PluginRecord:
    versions = tuple(
        VersionRecord(known.digest, known.version, known.ranAt, known.quarantined, known.served, _trial(known.trial))
        for known in plugin.versions
    )
    if len({known.digest for known in versions}) < len(versions):
        raise ValueError(f"is damaged: a version of {name} stands in it twice")
    pinned = plugin.pin
    pin = None if pinned is None else Pin(pinned.digest, pinned.by, pinned.against, pinned.left)
    return PluginRecord(
        versions,
        plugin.running,
        pin,
        plugin.enabled,
        plugin.folder,
        plugin.required,
        plugin.endedAt,
        plugin.endedBecause,
    )


def _trial(written: _OnTrial | None) -> OnTrial | None:
    return None if written is None else OnTrial(written.state, written.reason, written.at, written.blocks)
