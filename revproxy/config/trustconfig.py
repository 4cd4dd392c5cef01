"""
The section ``trust``: whose code may run, and where.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from revproxy.config.section import Section
from revproxy.permissions import NOTHING, Permissions

_DAY = 86400.0

Mode = Literal["off", "lock", "signed", "signed+lock"]
Level = Literal["A", "B", "C"]


@dataclass(frozen=True, slots=True)
class SignerConfig:
    """
    A key whose signatures count, and for what.

    :ivar name: as revproxy.yaml calls it.
    :ivar key: a line of an OpenSSH public key (``ssh-ed25519 AAAA…``), or a minisign public key (``RW…``).
    :ivar plugins: globs of the names of plugins that it signs.
    :ivar tier: ``"inline"``: its plugins may run in the edge's own process.
    :ivar permissions: the most that its plugins may be granted; None: whatever revproxy.yaml grants.
    :ivar notAfter: seconds since the epoch; from then on nothing new is taken that it has signed. None: no end.
    """

    name: str
    key: str
    plugins: tuple[str, ...] = ("*",)
    tier: Literal["inline", "process"] = "process"
    permissions: Permissions | None = None
    notAfter: float | None = None

    def signsFor(self, plugin: str) -> bool:
        """Whether a plugin of that name is among those that it signs."""
        return any(fnmatchcase(plugin, glob) for glob in self.plugins)


@dataclass(frozen=True, slots=True)
class TrustConfig:
    """
    Whose code may run, and where.

    :ivar minimumLevel: a locked process that cannot be locked at least so is not used, and its plugin is refused.
    :ivar signers: in the order of the file.
    :ivar lock: the file that says which version of each plugin may run.
    :ivar revoked: the file that says which keys and versions do not count any more.
    :ivar uids: the first and the last of the users that locked processes may run as, one each; None: none.
    """

    mode: Mode = "off"
    minimumLevel: Level = "C"
    signers: tuple[SignerConfig, ...] = ()
    lock: Path | None = None
    revoked: Path | None = None
    uids: tuple[int, int] | None = None

    @property
    def isSigned(self) -> bool:
        """Whether a signature is needed."""
        return self.mode.startswith("signed")

    @property
    def isLocked(self) -> bool:
        """Whether a version has to be in the lock file."""
        return self.mode.endswith("lock")


def trustOf(root: Section) -> TrustConfig:
    """The section ``trust`` of a configuration."""
    section, plain = root.section("trust"), TrustConfig()
    mode: Any = section.text("mode", plain.mode)
    level: Any = section.text("minimum_level", plain.minimumLevel)
    found = TrustConfig(
        mode,
        level,
        tuple(_signer(name, signer) for name, signer in section.entries("signers")),
        section.pathAt("lock"),
        section.pathAt("revoked"),
        _uids(section),
    )
    if found.isSigned and not found.signers:
        section.refuse(f"{mode} takes what somebody has signed, and nobody is named under trust.signers", "mode")
    if found.isLocked and found.lock is None:
        section.refuse(f"{mode} needs the file that says which versions may run: lock: ./plugins.lock", "mode")
    return found


def _signer(name: str, section: Section) -> SignerConfig:
    globs = section.value.get("plugins")
    tier: Any = section.text("tier", "process")
    return SignerConfig(
        name,
        section.text("key", ""),
        tuple(glob for glob in globs if isinstance(glob, str)) if isinstance(globs, list) else ("*",),
        tier,
        permissionsAt(section.section("permissions")) if section.has("permissions") else None,
        _endOf(section),
    )


def _endOf(section: Section) -> float | None:
    """A date holds to its end, in UTC."""
    said = section.value.get("not_after")
    if said is None:
        return None
    try:
        day = said if isinstance(said, date) else date.fromisoformat(str(said))
    except ValueError:
        section.refuse("write a date: 2027-12-31", "not_after")
        return None
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() + _DAY  # of the last day there is, too


def _uids(section: Section) -> tuple[int, int] | None:
    said = re.fullmatch(r"(\d{1,10})-(\d{1,10})", section.text("uids", "")) if section.has("uids") else None
    if said is None:
        return None
    first, last = int(said[1]), int(said[2])
    if not 0 < first <= last < 2**32 - 1:
        section.refuse("write the first and the last number of users that nobody else has: 300000-300999", "uids")
        return None
    return first, last


def permissionsAt(section: Section) -> Permissions:
    """Those that a section has, as far as they are what the schema says."""
    value: dict[str, Any] = {}
    for key, said in section.value.items():
        plain = NOTHING.asDict().get(key)
        if isinstance(plain, list):
            value[key] = [name for name in said if isinstance(name, str)] if isinstance(said, list) else []
        elif isinstance(said, type(plain)):
            value[key] = said
    if value.get("body") not in ("none", "read", "write"):
        value.pop("body", None)
    return Permissions.of(value)
