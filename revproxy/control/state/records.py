"""What is remembered of plugins over restarts: which versions ran and when, what is pinned, switched, quarantined.

A `Ledger` is a value; each method gives another one. On disk it is one JSON file, replaced as a whole. A file that
cannot be understood is kept under another name, and one begins anew: the edge must come up without it.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any, Literal

import msgspec

from revproxy.regularfile import readFile

#: Of the file; a higher one was written by a newer revproxy.
FORMAT = 1

#: How many versions of one plugin are remembered, how many bytes the file may have, and how many characters a reason.
MAX_VERSIONS = 100
MAX_BYTES = 64 << 20
MAX_REASON = 1000

#: Who pinned a version.
PinnedBy = Literal["user", "rollback", "quarantine"]


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """One version of a plugin that ran.

    :ivar digest: of its bundle.
    :ivar version: as its manifest says.
    :ivar ranAt: when it began to run last, in seconds since the epoch.
    :ivar quarantined: why it was taken out; ``None``: it was not.
    """

    digest: str
    version: str
    ranAt: float
    quarantined: str | None = None


@dataclass(frozen=True, slots=True)
class Pin:
    """A plugin runs this version, whatever its directory has.

    :ivar by: a user's pin stays until it is taken away; the others end when the directory has other content.
    :ivar against: the digest of the directory's content at that time; ``None``: there was none that could be read.
    """

    digest: str
    by: PinnedBy
    against: str | None = None


@dataclass(frozen=True, slots=True)
class PluginRecord:
    """What is remembered of one plugin.

    :ivar versions: no digest twice; the one that began to run last is the last.
    :ivar running: the digest of what runs, or ran when the edge ended.
    :ivar enabled: switched by a command; ``None``: as the configuration says.
    :ivar folder: the name of the folder that had what ran last; ``None``: not known.
    :ivar endedAt: when nothing of it ran any more, in seconds since the epoch; ``None``: it runs, or that is not known.
    """

    versions: tuple[VersionRecord, ...] = ()
    running: str | None = None
    pin: Pin | None = None
    enabled: bool | None = None
    folder: str | None = None
    endedAt: float | None = None

    def find(self, digest: str) -> VersionRecord | None:
        """The record of a version."""
        return next((one for one in self.versions if one.digest == digest), None)

    @property
    def pinnedTo(self) -> str:
        """Version and the beginning of the digest; empty when nothing is pinned."""
        known = None if self.pin is None else self.find(self.pin.digest)
        return "" if self.pin is None else f"{known.version if known else ''} ({self.pin.digest[:12]})".strip()


@dataclass(frozen=True, slots=True)
class Ledger:
    """Everything that is remembered.

    :ivar plugins: by name; those of which there is nothing to remember are not in it. To be left unchanged.
    """

    plugins: Mapping[str, PluginRecord] = field(default_factory=dict)

    def get(self, name: str) -> PluginRecord:
        """What is remembered of a plugin; an empty record when nothing is."""
        return self.plugins.get(name, PluginRecord())

    def ran(self, name: str, digest: str, version: str, now: float) -> Ledger:
        """A version has begun to run. What is known of its quarantine stays.

        :param now: seconds since the epoch.
        """
        record = self.get(name)
        known = record.find(digest)
        newest = VersionRecord(digest, version, now, known.quarantined if known else None)
        others = [one for one in record.versions if one.digest != digest]
        pinned = record.pin.digest if record.pin else None
        while len(others) >= MAX_VERSIONS:
            del others[1 if others[0].digest == pinned else 0]
        return self._with(name, replace(record, versions=(*others, newest), running=digest, endedAt=None))

    def stopped(self, name: str, now: float) -> Ledger:
        """Nothing of the plugin runs any more, and nothing is to run after a restart because it ran now.

        :param now: seconds since the epoch.
        """
        return self._with(name, replace(self.get(name), running=None, endedAt=now))

    def pinned(self, name: str, pin: Pin) -> Ledger:
        """In the place of the pin there may be."""
        return self._with(name, replace(self.get(name), pin=pin))

    def unpinned(self, name: str) -> Ledger:
        """Without its pin."""
        return self._with(name, replace(self.get(name), pin=None))

    def switched(self, name: str, enabled: bool | None) -> Ledger:
        """On, off, or again as the configuration says (``None``)."""
        return self._with(name, replace(self.get(name), enabled=enabled))

    def housed(self, name: str, folder: str) -> Ledger:
        """What runs is what a folder has; it is the plugin's own from now on."""
        return self._with(name, replace(self.get(name), folder=folder))

    def quarantined(self, name: str, digest: str, reason: str) -> Ledger:
        """A version was taken out; nothing changes when it never ran."""
        text = reason[:MAX_REASON].encode("utf-8", "replace").decode("utf-8")
        return self._marked(name, digest, text)

    def cleared(self, name: str, digest: str) -> Ledger:
        """A version's quarantine was lifted."""
        return self._marked(name, digest, None)

    def forgotten(self, name: str, digests: Collection[str]) -> Ledger:
        """Versions that are not in the store any more. What runs and what is pinned stays as it is."""
        record = self.get(name)
        versions = tuple(one for one in record.versions if one.digest not in digests)
        return self._with(name, replace(record, versions=versions))

    def longGone(self, here: Collection[str], keep: int) -> list[str]:
        """Plugins that are not worth remembering: neither there, nor running, pinned or switched, and not among the
        last that went. The first that went comes first.

        :param here: names of plugins that are there, running or not.
        :param keep: how many of the last.
        """
        gone = [
            (record.endedAt or max((one.ranAt for one in record.versions), default=0.0), name)
            for name, record in self.plugins.items()
            if name not in here and record.running is None and record.pin is None and record.enabled is None
        ]
        return [name for _, name in sorted(gone)[: max(0, len(gone) - keep)]]

    def without(self, name: str) -> Ledger:
        """Nothing is remembered of a plugin."""
        return Ledger({each: record for each, record in self.plugins.items() if each != name})

    def previousGood(self, name: str, digest: str) -> VersionRecord | None:
        """Where to go back to from a version: what ran last before it and is not quarantined.

        :param digest: of a version that never ran: what ran last of all is before it.
        """
        versions = self.get(name).versions
        end = next((index for index, one in enumerate(versions) if one.digest == digest), len(versions))
        return next((one for one in reversed(versions[:end]) if one.quarantined is None), None)

    def toKeep(self, name: str, count: int) -> set[str]:
        """The digests that the store must not lose: what runs, what is pinned, and the last ``count`` others."""
        record = self.get(name)
        keep = {record.running, record.pin.digest if record.pin else None} - {None}
        others = [one.digest for one in record.versions if one.digest not in keep]
        return {digest for digest in (*keep, *others[max(0, len(others) - count):]) if digest is not None}

    def _marked(self, name: str, digest: str, reason: str | None) -> Ledger:
        record = self.get(name)
        versions = tuple(
            replace(one, quarantined=reason) if one.digest == digest else one for one in record.versions
        )
        return self._with(name, replace(record, versions=versions))

    def _with(self, name: str, record: PluginRecord) -> Ledger:
        plugins = {**self.plugins, name: record}
        if replace(record, folder=None, endedAt=None) == PluginRecord():
            del plugins[name]
        return Ledger(plugins)


def readLedger(path: Path) -> tuple[Ledger, str | None]:
    """What was remembered.

    :returns: with a text for the log when the file was there and could not be understood; it has another name then,
        and the ledger is empty.
    """
    try:
        return _parse(readFile(path, MAX_BYTES)), None
    except FileNotFoundError:
        return Ledger(), None
    except (OSError, ValueError) as error:
        reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)
    text = f"{path}: {reason}; nothing is remembered of plugins"
    try:
        aside = next(place for place in _aside(path) if not os.path.lexists(place))
        os.rename(path, aside)
    except OSError as error:
        return Ledger(), f"{text}, and it could not be put aside ({error.strerror})"
    return Ledger(), f"{text}; the file is now {aside.name}, put it right and back while revproxy does not run"


def writeLedger(path: Path, ledger: Ledger) -> None:
    """Replace the file, so that a crash leaves the one or the other. Blocks; one call at a time.

    :raises OSError: it was not replaced, or it is not certain that the new one would outlive a crash.
    """
    new = path.with_name(f".{path.name}.new")
    with suppress(FileNotFoundError):
        new.unlink()
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "wb") as file:
            file.write(_format(ledger))
            file.flush()
            os.fsync(descriptor)
        os.replace(new, path)
    except BaseException:
        with suppress(OSError):
            new.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


# The form on disk: strict where dataclasses would pass over what they do not know.


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class _Version(_Strict, frozen=True, rename={"ranAt": "ran_at"}):
    digest: str
    version: str
    ranAt: float
    quarantined: str | None = None


class _Pin(_Strict, frozen=True):
    digest: str
    by: PinnedBy
    against: str | None = None


class _Plugin(_Strict, frozen=True, rename={"endedAt": "ended_at"}):
    versions: tuple[_Version, ...] = ()
    running: str | None = None
    pin: _Pin | None = None
    enabled: bool | None = None
    folder: str | None = None
    endedAt: float | None = None


class _File(_Strict, frozen=True):
    format: int
    plugins: dict[str, _Plugin]


class _Head(msgspec.Struct):
    format: int


def _aside(path: Path) -> Iterator[Path]:
    return (path.with_name(f"{path.name}.damaged-{number}") for number in count(1))


def _format(ledger: Ledger) -> bytes:
    plugins = {name: _plain(record) for name, record in sorted(ledger.plugins.items())}
    return msgspec.json.format(msgspec.json.encode({"format": FORMAT, "plugins": plugins}), indent=2) + b"\n"


def _plain(record: PluginRecord) -> Any:
    return msgspec.convert(record, _Plugin, from_attributes=True)


def _parse(data: bytes) -> Ledger:
    """The ledger; a `ValueError` says why there is none."""
    try:
        written = msgspec.json.decode(data, type=_Head).format
        if written > FORMAT:
            raise ValueError(f"has format {written}, this revproxy knows {FORMAT}: a newer one wrote it")
        file = msgspec.json.decode(data, type=_File)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"is damaged: {error}") from None
    if file.format != FORMAT:
        raise ValueError(f"is damaged: there is no format {file.format}")
    return Ledger({name: _record(name, one) for name, one in file.plugins.items()})


def _record(name: str, plugin: _Plugin) -> PluginRecord:
    versions = tuple(VersionRecord(one.digest, one.version, one.ranAt, one.quarantined) for one in plugin.versions)
    if len({one.digest for one in versions}) < len(versions):
        raise ValueError(f"is damaged: a version of {name} stands in it twice")
    pin = None if plugin.pin is None else Pin(plugin.pin.digest, plugin.pin.by, plugin.pin.against)
    return PluginRecord(versions, plugin.running, pin, plugin.enabled, plugin.folder, plugin.endedAt)
