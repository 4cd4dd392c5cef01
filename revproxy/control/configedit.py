"""
Writes revproxy.yaml for somebody who edits it through the edge, as carefully as an editor would, and more so: what
somebody else has saved meanwhile is never lost.

The new file is made beside the old one, with its mode and owner, and the two change places in one step of the kernel;
if what comes out is not what the edit was made of, they change places again. Where the kernel cannot do that, the old
one is compared once more right before it is replaced.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from threading import Lock

from revproxy.config.document import MAX_BYTES
from revproxy.config.settings import Config
from revproxy.control.changes import ChangeRefused
from revproxy.control.state.replacement import syncFolder, writeAll
from revproxy.plan.refusal import Refusal
from revproxy.regularfile import NotAFile, readFile

CHANGED = "changed"
"""Stage of a refusal: the file is not what the edit was made of."""

UNWRITABLE = "unwritable"
"""Stage of a refusal: the file cannot be written by us."""

_EXCHANGE = 2
"""``RENAME_EXCHANGE`` of renameat2(2)."""

_NOT_THERE = frozenset((errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP))


class ConfigEdit:
    """
    One edit; see `revproxy.control.changes.Edit`.
    """

    def __init__(self, path: Path, before: bytes, text: str, config: Config) -> None:
        """
        :param path: of the file, absolute.
        :param before: what it is to have now.
        :param config: what the text says.
        """
        self.config = config
        self.text = text
        self._path = path
        self._before = before
        self._after = text.encode()
        self._isGivenUp = False
        self._isWritten = False
        self._lock = Lock()

    def begin(self) -> None:
        """It is to be written, also if it was given up before."""
        with self._lock:
            self._isGivenUp = False

    def write(self) -> None:
        """:raises ChangeRefused: it cannot be written, or somebody else has written it since."""
        if self._isWritten:  # before, when it was given up and then asked for again
            return
        try:
            self._put(self._before, self._after)
            with self._lock:
                self._isWritten = not self._isGivenUp
            if not self._isWritten:  # so long has it taken
                self._putBack()
        except OSError as error:
            with suppress(OSError):  # it may be written, and not be certain to outlive a crash
                self._putBack()
            raise _refused(UNWRITABLE, f"{self._path}: {_reason(error)}; change it where it comes from") from None

    def undo(self) -> None:
        """:raises OSError: it cannot be put back."""
        if self._isWritten:
            self._isWritten = False
            self._putBack()

    def _putBack(self) -> None:
        with suppress(ChangeRefused):  # somebody has written since: that is to stay
            self._put(self._after, self._before)

    def giveUp(self) -> bool:
        """For any thread."""
        with self._lock:
            self._isGivenUp = not self._isWritten
            return self._isGivenUp

    def _put(self, before: bytes, after: bytes) -> None:
        place = realPlace(self._path)
        if readFile(place, MAX_BYTES) != before:
            raise self._changed()
        if before == after:
            return
        new = place.with_name(f".{place.name}.{secrets.token_hex(6)}.new")
        try:
            _make(new, after, os.stat(place))
            if self._isGivenUp and before == self._before:
                raise OSError(errno.ETIMEDOUT, "the disk took too long")
            if not _exchanged(new, place):
                if readFile(place, MAX_BYTES) != before:
                    raise self._changed()
                os.replace(new, place)
            elif readFile(new, MAX_BYTES) != before:
                _exchanged(new, place)
                if readFile(new, MAX_BYTES) != after:  # and once more, meanwhile
                    os.replace(new, place.with_name(f"{place.name}.saved-{secrets.token_hex(3)}"))
                raise self._changed()
        finally:
            with suppress(FileNotFoundError):
                new.unlink()
        syncFolder(place.parent)

    def _changed(self) -> ChangeRefused:
        return _refused(CHANGED, f"{self._path} was changed by somebody else meanwhile; read it again")


def etagOf(data: bytes) -> str:
    """Of what a file has."""
    return hashlib.sha256(data).hexdigest()


def whyUnwritable(path: Path) -> str:
    """Why a file cannot be replaced by us, as far as can be said without trying; empty if it can. Blocks."""
    try:
        place = realPlace(path)
        found = os.stat(place)
        if not os.access(place, os.W_OK) or not os.access(place.parent, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "the edge's user may not write it, or not in its folder")
        if os.geteuid() not in (0, found.st_uid):
            raise PermissionError(errno.EPERM, "it belongs to another user, and would not any more")
        if os.stat(place.parent).st_dev != found.st_dev or os.path.ismount(place):
            raise OSError(errno.EBUSY, "it is mounted by itself")
    except OSError as error:
        return f"{path}: {_reason(error)}"
    return ""


def realPlace(path: Path) -> Path:
    """
    Where the file itself is, behind links.

    :raises OSError: it is none that may be changed.
    """
    place = Path(os.path.realpath(path))
    if place != path and any(part.startswith("..") for part in place.parts):
        raise OSError(errno.EROFS, "it is part of a mounted ConfigMap")
    found = os.stat(place)
    if not stat.S_ISREG(found.st_mode):
        raise NotAFile(errno.EINVAL, "it is no plain file", str(path))
    if found.st_nlink > 1:
        raise OSError(errno.EMLINK, "it has another name, too (a hard link), which would keep the old text")
    return place


def _make(path: Path, data: bytes, like: os.stat_result) -> None:
    """With owner, group and mode of another."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o600)
    try:
        own = os.fstat(descriptor)
        if (own.st_uid, own.st_gid) != (like.st_uid, like.st_gid):
            os.fchown(descriptor, like.st_uid, like.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(like.st_mode))
        writeAll(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _exchanged(one: Path, other: Path) -> bool:
    """:returns: False if the kernel, or the disk, cannot do that. :raises OSError: it was not done."""
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        return False
    here = -100  # AT_FDCWD
    if call(here, os.fsencode(one), here, os.fsencode(other), _EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NOT_THERE:
        return False
    raise OSError(number, os.strerror(number), str(other))


def _reason(error: OSError) -> str:
    if error.errno == errno.EBUSY:
        return "it is mounted by itself"
    return error.strerror or str(error)


def _refused(stage: str, text: str) -> ChangeRefused:
    return ChangeRefused(Refusal("", stage, text))


__all__ = ["CHANGED", "UNWRITABLE", "ConfigEdit", "etagOf", "realPlace", "whyUnwritable"]
