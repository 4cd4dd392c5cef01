"""
Whether what is installed with Python may run: the one rule of both halves. The worker asks it before it imports
anything, control whenever the rules have changed since.
"""

from __future__ import annotations

from dataclasses import dataclass

from revproxy.config.lockfile import LockFile
from revproxy.config.trustconfig import TrustConfig
from revproxy.plan.catalog import Distribution


@dataclass(frozen=True, slots=True)
class NotInstalled:
    """
    Why a drop-in may not run.

    :ivar file: which file is the reason.
    :ivar rule: by which rule: ``revoked`` or ``distribution``.
    :ivar message: what is wrong, and what to do.
    """

    file: str
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}: {self.rule}: {self.message}"


def whyNotInstalled(
    source: str,
    distribution: Distribution | None,
    trust: TrustConfig,
    lock: LockFile | None,
    revoked: frozenset[str],
) -> NotInstalled | None:
    """
    Why a drop-in may not run; None: it may.

    :param source: its module, as messages call it.
    :param distribution: what it was installed with, and compared with; None: that was not looked at, or nobody knows.
    """
    if distribution is not None and distribution.record and f"sha256:{distribution.record}" in revoked:
        text = f"the distribution {distribution.record} was revoked; uninstall it"
        return NotInstalled(distribution.name, "revoked", text)
    if trust.mode == "off" or (distribution is not None and distribution.isOwn):
        return None
    if distribution is None:
        text = (
            "what is installed with Python is compared with its distribution before it is imported; this was not: "
            "restart the edge, or, if it belongs to none, make a distribution of it"
        )
        return NotInstalled(source, "distribution", text)
    return _notListed(distribution, trust, lock)


def _notListed(distribution: Distribution, trust: TrustConfig, lock: LockFile | None) -> NotInstalled | None:
    name = distribution.name
    locked = None if lock is None else lock.distributions.get(name)
    where = str(trust.lock or "plugins.lock") if lock is None else lock.source
    if locked is None:
        text = (
            f"nobody signs what is installed with Python, so the lock file has to have it, and there is no {name} in "
            "one: name the file under trust.lock, and run `revproxy lock`"
        )
    elif (locked.version, locked.record) != (distribution.version, distribution.record):
        text = (
            f"it has {name} {locked.version}, and {distribution.version} is installed, or has other files; if that is "
            "to run, `revproxy lock`"
        )
    else:
        return None
    return NotInstalled(where, "distribution", text)


__all__ = ["NotInstalled", "whyNotInstalled"]
