"""
Looks at drop-ins before any of them is imported: what they were installed with, and whether that may run.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from twisted.logger import Logger

import revproxy.plugins
from revproxy.bundles.distributions import Altered, Installed, distributionsOf, dropInModules, foldersOf
from revproxy.config import lockfile, revokedfile
from revproxy.config.document import decodeText
from revproxy.config.lockfile import LockFile, parseLock
from revproxy.config.problems import ConfigErrors
from revproxy.config.revokedfile import parseRevoked
from revproxy.config.trustconfig import TrustConfig
from revproxy.loading.verifiedfinder import serve
from revproxy.plan.catalog import BrokenModule, Distribution
from revproxy.plan.installedrule import whyNotInstalled
from revproxy.regularfile import readFile

_log = Logger()


@dataclass(frozen=True, slots=True)
class Checked:
    """
    :ivar allowed: modules that may be imported, each with its distribution, as far as that is known.
    :ivar broken: those that may not, and why.
    """

    allowed: dict[str, Distribution | None] = field(default_factory=dict)
    broken: tuple[BrokenModule, ...] = ()


def isChecked(trust: TrustConfig) -> bool:
    """Whether drop-ins are looked at."""
    return trust.mode != "off" or trust.revoked is not None


def checkInstalled(trust: TrustConfig) -> Checked:
    """
    Which drop-ins may be imported. What may is imported from the bytes that were looked at. Blocks.

    A lock file that cannot be read has nothing in it; where nobody can say what is revoked, all is. Control says so,
    and the edge does not start.
    """
    lock, revoked = _lockOf(trust), _revokedOf(trust)
    allowed: dict[str, Distribution | None] = {}
    broken, served = [], set()
    modules = dropInModules(revproxy.plugins)
    for name, installed in distributionsOf(modules).items():
        told = None if installed is None else factsOf(installed)
        try:
            refused = _whyNot(name, told, trust, lock, revoked)
            if refused:
                broken.append(BrokenModule(name, refused))
                continue
            if installed is not None and not installed.isOwn:
                installed.check(modules[name].resolve())
            if installed is not None and installed.name not in served:
                served.add(installed.name)
                _compare(installed, modules)
        except (Altered, ImportError) as error:
            broken.append(BrokenModule(name, f"distribution: {error}"))
        else:
            allowed[name] = told
    return Checked(allowed, tuple(broken))


def ownModules() -> dict[str, Distribution]:
    """Our own drop-ins; the others are not looked at."""
    found = distributionsOf(dropInModules(revproxy.plugins), isOthers=False)
    return {name: factsOf(installed) for name, installed in found.items() if installed is not None}


def factsOf(installed: Installed) -> Distribution:
    """What is told of a distribution."""
    return Distribution(installed.name, installed.version, installed.record, installed.isOwn)


def _whyNot(
    name: str, told: Distribution | None, trust: TrustConfig, lock: LockFile | None, revoked: frozenset[str] | None
) -> str:
    """Why a drop-in may not be imported; empty: it may."""
    if revoked is None and (told is None or not told.isOwn):
        return f"{trust.revoked}: revoked: until it can be read and understood, nothing of others is imported"
    refused = whyNotInstalled(name, told, trust, lock, revoked or frozenset())
    return "" if refused is None else str(refused)


def _compare(installed: Installed, modules: dict[str, Path]) -> None:
    """
    :raises Altered: it is not what was installed.
    :raises ImportError: it was imported already.
    """
    if not installed.isOwn:
        serve(installed.folder, installed.read(), foldersOf(installed))
    elif installed.isEditable:
        text = "revproxy runs from a checkout: its own plugins cannot be compared with what was installed"
        _log.warn("{text}", text=text)
    else:
        ours = {str(path.resolve().relative_to(installed.folder).as_posix()) for path in modules.values()
                if path.resolve().is_relative_to(installed.folder)}  # fmt: skip
        installed.read(path for path in sorted(ours) if path in installed.files)


def _lockOf(trust: TrustConfig) -> LockFile | None:
    if trust.lock is None:
        return None
    try:
        data = readFile(trust.lock, lockfile.MAX_BYTES)
        return parseLock(decodeText(data, str(trust.lock)), str(trust.lock))
    except (OSError, ConfigErrors):
        return None


def _revokedOf(trust: TrustConfig) -> frozenset[str] | None:
    """None: it cannot be read, or a line of it not understood."""
    if trust.revoked is None:
        return frozenset()
    try:
        found = parseRevoked(readFile(trust.revoked, revokedfile.MAX_BYTES), str(trust.revoked))
    except OSError:
        return None
    return None if found.problems else found.entries


__all__ = ["Checked", "checkInstalled", "factsOf", "isChecked", "ownModules"]
