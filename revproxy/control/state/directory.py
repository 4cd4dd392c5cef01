"""The folder that ``state`` names: one process at a time, and what is where in it.

    lock           held while an edge runs; its number is in it
    plugins.json   what is remembered of plugins
    targets.json   what somebody has said of targets
    certificates.json  which certificates were told of
    rollouts.json  rollouts that go on, with what was seen, and what became of the others
    alerts.json    what fires, who is still to be told of it, and silences
    events.jsonl   what has happened; events.1.jsonl is what was before
    audit/         who changed what: records that hold each other
    history/       what was changed, with texts of the configuration
    recordings/    requests that were taken down, a file for each recording
    versions/      the plugins that ran, each version whole
    store/         what plugins keep over restarts, a file each; the worker's business
    control.sock   where commands come in
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable, Iterable
from errno import ESTALE
from pathlib import Path
from typing import Any, TypeVar

from revproxy.bundles.versionstore import VersionStore

_Result = TypeVar("_Result")


class StateError(Exception):
    """The folder cannot be used; says where, why, and what to do."""


class StateInUse(StateError):
    """Another process has it.

    :ivar pid: of that process, as far as it is known.
    """

    def __init__(self, message: str, pid: int | None) -> None:
        super().__init__(message)
        self.pid = pid


class StateFolder:
    """A state folder; nothing is touched before `acquire`.

    The lock goes with the process, however it ends. A child made by ``fork`` shares it, so it is to be taken after a
    daemon has detached itself.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None
        self._store = VersionStore(path / "versions")

    @property
    def store(self) -> VersionStore:
        """The versions of plugins; the same object each time."""
        return self._store

    @property
    def recordsPath(self) -> Path:
        """For `revproxy.control.state.records`."""
        return self.path / "plugins.json"

    @property
    def targetsPath(self) -> Path:
        """For `revproxy.control.targetoverrides`."""
        return self.path / "targets.json"

    @property
    def certificatesPath(self) -> Path:
        """For `revproxy.control.certificatetimes`."""
        return self.path / "certificates.json"

    @property
    def alertsPath(self) -> Path:
        """For `revproxy.control.alerts`."""
        return self.path / "alerts.json"

    @property
    def rolloutsPath(self) -> Path:
        """For `revproxy.control.rolloutbook`."""
        return self.path / "rollouts.json"

    @property
    def eventsPath(self) -> Path:
        """For `revproxy.control.state.eventfile`."""
        return self.path / "events.jsonl"

    @property
    def auditPath(self) -> Path:
        """For `revproxy.control.history.auditfiles`."""
        return self.path / "audit"

    @property
    def historyPath(self) -> Path:
        """For `revproxy.control.history.historyfiles`."""
        return self.path / "history"

    @property
    def recordingsPath(self) -> Path:
        """For `revproxy.control.recordingfiles`."""
        return self.path / "recordings"

    @property
    def trustPath(self) -> Path:
        """For `revproxy.control.trust.memory`."""
        return self.path / "trust.json"

    @property
    def tokensPath(self) -> Path:
        """For `revproxy.admin.tokens`."""
        return self.path / "tokens.json"

    @property
    def socketPath(self) -> Path:
        """For the Unix socket that commands use."""
        return self.path / "control.sock"

    def acquire(self) -> int | None:
        """Take the folder for this process, making it (mode 0700) if it is not there. No matter if it is taken already.

        :returns: the mode it had, if others could look into it and cannot any more.
        :raises StateInUse: another process has it, or another object of this one.
        :raises StateError: it cannot be made or written.
        """
        if self._lock is not None:
            return None
        try:
            os.makedirs(self.path, 0o700, exist_ok=True)
            if not os.access(self.path, os.W_OK | os.X_OK):
                raise PermissionError(0, "revproxy may not write in it")
            self._lock = self._locked()
            return self._closed()
        except OSError as error:
            raise StateError(f"{self.path}: cannot be used as the state folder: {error.strerror}; "
                             'let revproxy write there, or name another folder with "state"') from None

    @property
    def isHeld(self) -> bool:
        """Whether the folder that is there now is the one that was acquired. Blocks."""
        if self._lock is None:
            return False
        try:
            found = os.lstat(f"{self.path}/lock")
        except OSError:
            return False
        return os.path.samestat(found, os.fstat(self._lock))

    def missing(self, expected: Iterable[str]) -> tuple[str, ...]:
        """
        What is not there any more, of the lock and what is expected besides. Blocks.

        :param expected: paths below the folder.
        """
        if not self.isHeld:
            return ("lock",)
        folder = str(self.path)  # to join paths by pathlib costs many times this, every few seconds
        return tuple(path for path in expected if not os.path.lexists(f"{folder}/{path}"))

    def retake(self) -> None:
        """
        Take the folder again, which was deleted or put there anew while we had it; no matter if it is still ours.
        Blocks.

        :raises StateInUse: another process was quicker.
        :raises StateError: as :meth:`acquire`.
        """
        if self.isHeld:
            return
        before, self._lock = self._lock, None
        if before is not None:
            os.close(before)
        self.acquire()

    def guarded(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        """
        Write in the folder, if it is still ours. Blocks.

        :raises OSError: it is not.
        """
        if self._lock is not None and not self.isHeld:
            raise OSError(ESTALE, "the state folder was deleted, or another edge has it")
        return function(*arguments)

    def handOver(self, uid: int, gid: int) -> None:
        """
        While we are root: make the folder for a user that this process is about to become.

        A folder that is there is left as it is, unless it is root's and nobody else could write in it: an empty one, or
        one that an edge has used, becomes the user's with all in it.

        :raises OSError: it cannot be made, or not be given away.
        """
        try:
            os.makedirs(self.path.parent, exist_ok=True)
            os.mkdir(self.path, 0o700)
        except FileExistsError:
            if not self._isRoots():
                return
        for _, folders, files, descriptor in os.fwalk(self.path):
            for name in (*folders, *files):
                os.chown(name, uid, gid, dir_fd=descriptor, follow_symlinks=False)
        os.chown(self.path, uid, gid, follow_symlinks=False)

    def _isRoots(self) -> bool:
        """Whether nobody but root can have made what is in it, and that is an edge's or nothing."""
        found = os.lstat(self.path)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != 0 or found.st_mode & 0o022:
            return False
        try:
            lock = os.lstat(self.path / "lock")
        except FileNotFoundError:
            return not os.listdir(self.path)
        return stat.S_ISREG(lock.st_mode) and lock.st_uid == 0

    def forgetStore(self, name: str) -> None:
        """
        Remove what a plugin has kept, if anything.

        :raises OSError: it cannot be removed.
        """
        for path in (self.path / "store").glob(f"{name}.sqlite*"):
            path.unlink(missing_ok=True)

    def release(self) -> None:
        """Let others have it; no matter if it is not held."""
        if self._lock is not None:
            lock, self._lock = self._lock, None
            os.ftruncate(lock, 0)
            os.close(lock)

    def _closed(self) -> int | None:
        """See that nobody else looks into it, if it is ours, and what is in it is for nobody else."""
        known = os.stat(self.path)
        mode = stat.S_IMODE(known.st_mode)
        if not mode & 0o077 or known.st_uid != os.geteuid() or self._hasOthers():
            return None
        try:
            os.chmod(self.path, 0o700)
        except OSError:
            return None  # modes mean nothing there, and whoever looks for such things says so
        return mode if not os.stat(self.path).st_mode & 0o077 else None

    def _hasOthers(self) -> bool:
        """Whether anything is in it that an edge has not made, all of whose files are for itself alone."""
        with os.scandir(self.path) as entries:
            return any(entry.stat(follow_symlinks=False).st_mode & 0o077 for entry in entries)

    def _locked(self) -> int:
        # The file stays for ever: were it removed, two processes could hold locks of two files of that name.
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        lock = os.open(self.path / "lock", flags, 0o600)
        try:
            if not stat.S_ISREG(os.fstat(lock).st_mode):
                raise OSError(0, '"lock" in it is no file')
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(lock, 0)
            os.pwrite(lock, b"%d\n" % os.getpid(), 0)
        except BlockingIOError:
            pid = os.pread(lock, 32, 0).strip()
            os.close(lock)
            raise self._inUse(int(pid) if pid.isdigit() else None) from None
        except BaseException:
            os.close(lock)
            raise
        return lock

    def _inUse(self, pid: int | None) -> StateInUse:
        who = f"process {pid}" if pid is not None else "another process"
        return StateInUse(f"{self.path}: is in use by {who}; stop that, or name another folder with \"state\"", pid)
