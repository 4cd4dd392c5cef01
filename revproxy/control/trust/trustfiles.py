"""
The files that the section ``trust`` names, as they were read last.

A file that cannot be read, or not understood, takes nothing back: what it said before stays in force, and of the file
of what is revoked also what can be understood of it now. Until a file was read once, whole, nothing runs by it: a
line that cannot be understood may be the one that revokes what would run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from revproxy.config import lockfile, revokedfile
from revproxy.config.document import decodeText
from revproxy.config.lockfile import LockFile, parseLock
from revproxy.config.problems import ConfigErrors, Problem
from revproxy.config.revokedfile import parseRevoked
from revproxy.config.trustconfig import TrustConfig
from revproxy.regularfile import readFile


@dataclass(frozen=True, slots=True)
class Lists:
    """
    What is known of the files of one configuration.

    :ivar lock: what may run; None: there is no such file, or it was never read.
    :ivar revoked: ``key:ID`` and ``sha256:DIGEST``.
    :ivar problems: what is wrong with the files now.
    :ivar isComplete: whether each file that is named was read and understood, now or before.
    """

    lock: LockFile | None = None
    revoked: frozenset[str] = frozenset()
    problems: tuple[Problem, ...] = ()
    isComplete: bool = True


@dataclass(frozen=True, slots=True)
class _Read:
    """
    A file.

    :ivar data: what was read last; None: nothing yet.
    :ivar value: what it says; None: nothing that could be understood yet.
    """

    data: bytes | None = None
    value: LockFile | frozenset[str] | None = None
    problems: tuple[Problem, ...] = ()


_NOTHING = _Read()


class TrustFiles:
    """
    Reads again and again. For one thread at a time; what was read is there for any.
    """

    def __init__(self) -> None:
        self._locks: dict[Path, _Read] = {}
        self._revoked: dict[Path, _Read] = {}

    def read(self, config: TrustConfig, isLockRead: bool = True) -> None:
        """
        Blocks while it reads.

        :param isLockRead: whether the lock file is looked at also if it was read before.
        """
        if config.lock is not None and (isLockRead or self._locks.get(config.lock, _NOTHING).value is None):
            self._look(self._locks, config.lock, lockfile.MAX_BYTES, _locked)
        if config.revoked is not None:
            self._look(self._revoked, config.revoked, revokedfile.MAX_BYTES, _revoked)

    def isStale(self, config: TrustConfig) -> bool:
        """Whether the file of what is revoked is another one than it was when it was read. Blocks."""
        if config.revoked is None:
            return False
        known = self._revoked.get(config.revoked, _NOTHING)
        try:
            return readFile(config.revoked, revokedfile.MAX_BYTES) != known.data
        except OSError:
            return known.data is not None

    def of(self, config: TrustConfig) -> Lists:
        """What is known of the files of a configuration."""
        lock = _NOTHING if config.lock is None else self._locks.get(config.lock, _NOTHING)
        revoked = _NOTHING if config.revoked is None else self._revoked.get(config.revoked, _NOTHING)
        isComplete = (config.lock is None or lock.value is not None) and (
            config.revoked is None or revoked.value is not None
        )
        return Lists(
            lock.value if isinstance(lock.value, LockFile) else None,
            revoked.value if isinstance(revoked.value, frozenset) else frozenset(),
            (*lock.problems, *revoked.problems),
            isComplete,
        )

    @staticmethod
    def _look(
        known: dict[Path, _Read], path: Path, limit: int, parsed: Callable[[bytes, Path, _Read], _Read]
    ) -> None:
        before = known.get(path, _NOTHING)
        try:
            data = readFile(path, limit)
        except FileNotFoundError:
            known[path] = _unread(path, before, "is not there", f". {_MAKE}")
        except OSError as error:
            known[path] = _unread(path, before, f"cannot be read: {error.strerror or error}")
        else:
            if data != before.data:
                known[path] = parsed(data, path, before)


_MAKE = "Make it: `revproxy lock` writes the lock file; where nothing is revoked, the file of that is empty"


def _unread(path: Path, before: _Read, why: str, more: str = "") -> _Read:
    stands = "until it can be read, nothing runs" if before.value is None else "what it said before stays in force"
    return replace(before, data=None, problems=(Problem(str(path), 0, 0, "", f"{why}; {stands}{more}"),))


def _locked(data: bytes, path: Path, before: _Read) -> _Read:
    try:
        return _Read(data, parseLock(decodeText(data, str(path)), str(path)))
    except ConfigErrors as errors:
        return replace(before, data=data, problems=errors.problems)


def _revoked(data: bytes, path: Path, before: _Read) -> _Read:
    """Where a line cannot be understood, what was revoked before stays so: it may be the line that says it."""
    found = parseRevoked(data, str(path))
    if not found.problems:
        return _Read(data, found.entries)
    if not isinstance(before.value, frozenset):
        return _Read(data, None, found.problems)
    return _Read(data, found.entries | before.value, found.problems)


__all__ = ["Lists", "TrustFiles"]
