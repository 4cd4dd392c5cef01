"""
What is remembered of verifications, over restarts too: who vouched for which version and when, with which revision, and
that a key's end is over.

It makes nothing trusted by itself. A version from the store is verified again, whatever stands here; what is remembered
only spares it the questions that are for what is new (is the key's time over, is the revision lower). So whoever can
write the state folder comes no further with it than to versions that somebody has signed.
"""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path
from typing import Protocol

import msgspec

from revproxy.regularfile import readFile

MAX_BYTES = 64 << 20
"""Bytes that the file may have."""

MAX_VERSIONS = 50
"""Verified versions of one plugin that are remembered: the last ones."""


class Verified(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """
    A version that was verified.

    :ivar at: when, in seconds since the epoch.
    :ivar signer: as revproxy.yaml called the key.
    :ivar key: its id.
    :ivar envelope: in which the signature was.
    """

    at: float
    version: str
    signer: str
    key: str
    envelope: str
    revision: int


class _Plugin(msgspec.Struct, forbid_unknown_fields=True):
    """
    :ivar verified: by digest, what ran and was verified; the latest last.
    """

    verified: dict[str, Verified] = {}


class _Told(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """
    What was told of a key's end.

    :ivar end: in seconds since the epoch.
    :ivar days: how many days before it that was last.
    """

    end: float
    days: int


class _File(msgspec.Struct, forbid_unknown_fields=True):
    """
    :ivar seen: the latest end of a key that is known to be over, in seconds since the epoch.
    :ivar told: by key, what was told of its end.
    """

    format: int = 1
    seen: float = 0.0
    plugins: dict[str, _Plugin] = {}
    told: dict[str, _Told] = {}


class File(Protocol):
    """Where it is kept."""

    def save(self, content: bytes) -> None:
        """It is to hold this."""


class Memory:
    """
    That of one edge.
    """

    def __init__(self, known: _File | None = None, file: File | None = None) -> None:
        """
        :param known: what `parse` made of the file.
        :param file: None: nothing outlives the process.
        """
        self._known = known or _File()
        self._file = file
        self._isChanged = False

    @staticmethod
    def parse(content: bytes) -> _File:
        """:raises ValueError: it is not what we write."""
        try:
            found = msgspec.json.decode(content, type=_File)
        except msgspec.MsgspecError as error:
            raise ValueError(f"is damaged: {error}") from None
        if found.format != 1:
            raise ValueError(f"has format {found.format}: a newer revproxy wrote it")
        return found

    @classmethod
    def peek(cls, path: Path) -> Memory:
        """What is remembered, for who only looks: nothing where that cannot be read."""
        try:
            return cls(cls.parse(readFile(path, MAX_BYTES)))
        except (OSError, ValueError):
            return cls()

    @property
    def seen(self) -> float:
        """The time is later than this, whatever the clock says; seconds since the epoch."""
        return self._known.seen

    def verified(self, name: str, digest: str) -> Verified | None:
        """When, and by whom, a version was verified last; None: it was not, or long ago."""
        plugin = self._known.plugins.get(name)
        return None if plugin is None else plugin.verified.get(digest)

    def highest(self, name: str, revoked: Container[str] = ()) -> int:
        """
        The highest revision of a plugin that ran. What was revoked since does not count: whoever has stolen a key could
        else keep its owner from ever counting higher.

        :param revoked: ``key:ID`` and ``sha256:DIGEST``.
        """
        plugin = self._known.plugins.get(name)
        return max((
            each.revision
            for digest, each in ({} if plugin is None else plugin.verified).items()
            if f"key:{each.key}" not in revoked and f"sha256:{digest}" not in revoked
        ), default=0)  # fmt: skip

    def ran(self, name: str, digest: str, verified: Verified) -> None:
        """A version has begun to run, and was verified for it."""
        plugin = self._known.plugins.setdefault(name, _Plugin())
        before = plugin.verified.get(digest)
        if before is not None and (before.key, before.signer) == (verified.key, verified.signer):
            return
        plugin.verified = {**{key: each for key, each in plugin.verified.items() if key != digest}, digest: verified}
        self._isChanged = True

    def isOver(self, end: float) -> None:
        """A time has come."""
        if end > self._known.seen:
            self._known.seen = end
            self._isChanged = True

    def isNews(self, key: str, end: float, days: int) -> bool:
        """
        Whether nobody was told yet that a key ends within so many days; from now on somebody was.

        :param end: in seconds since the epoch.
        """
        told = self._known.told.get(key)
        if told is not None and told.end == end and told.days <= days:
            return False
        self._known.told[key] = _Told(end, days)
        self._isChanged = True
        return True

    def keepOnly(self, digests: Container[tuple[str, str]]) -> None:
        """Forget versions that are stored no more, but for the last ones, and of each key the highest revision."""
        for name, plugin in self._known.plugins.items():
            highest = {}
            for digest, each in sorted(plugin.verified.items(), key=lambda item: item[1].revision):
                highest[each.key] = digest
            staying = {*highest.values()}
            gone = [digest for digest in plugin.verified if (name, digest) not in digests and digest not in staying]
            for digest in gone[: max(0, len(gone) - MAX_VERSIONS)]:
                del plugin.verified[digest]
                self._isChanged = True

    def save(self) -> None:
        """Have it written, if it has changed."""
        if self._isChanged and self._file is not None:
            self._file.save(msgspec.json.encode(self._known))
        self._isChanged = False


__all__ = ["MAX_BYTES", "MAX_VERSIONS", "Memory", "Verified"]
