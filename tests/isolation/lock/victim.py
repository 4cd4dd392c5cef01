"""
The process that is attacked: what it has, and what of that an attack has touched.
"""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.isolation.lock.attacks.attack import SECRET, World

_LIMITS = (resource.RLIMIT_NOFILE, resource.RLIMIT_CORE, resource.RLIMIT_AS)


class Victim:
    """
    Keeps a file, memory, sockets that listen, and itself as it is.

    :param user: that all of it belongs to; None: whoever runs this.
    """

    def __init__(self, user: int | None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="revproxy-attacks-"))
        self.memory = ctypes.create_string_buffer(SECRET, len(SECRET))
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.abstract = socket.socket(socket.AF_UNIX)
        self.abstract.bind("")
        self.inside = socket.socket(socket.AF_UNIX)
        self.inside.bind(str(self.folder / "socket"))
        for listening in (self.abstract, self.inside):
            listening.listen(8)
        for each in (self.tcp, self.udp, self.abstract, self.inside):
            each.setblocking(False)
        self.signals: list[int] = []
        self._write()
        os.chdir(self.folder)
        if user is not None:
            for path in (self.folder, *self.folder.iterdir()):
                os.chown(path, user, user)
        self.inherited = os.open(self.folder / "secret", os.O_RDONLY)

    def watch(self) -> None:
        """Begins to count signals, and remembers how it is."""
        for number in (signal.SIGUSR1, signal.SIGIO):
            signal.signal(number, lambda number, frame: self.signals.append(number))
        self._own = self._seenOfItself()
        self._files = self._seenOfFiles()

    def world(self, stream: int) -> World:
        """As the attacker knows it."""
        name = self.abstract.getsockname()
        return World(
            self.folder,
            self.inherited,
            stream,
            os.getpid(),
            ctypes.addressof(self.memory),
            self.tcp.getsockname()[1],
            self.udp.getsockname()[1],
            name[1:].decode(),
        )

    def effects(self) -> Iterator[str]:
        """What is not as it was, a few words each; afterwards it is as it was."""
        if self.signals:
            yield f"signals came: {self.signals}"
            self.signals.clear()
        yield from self._guests()
        if self.memory.raw != SECRET:
            yield "memory was changed"
            self.memory.raw = SECRET
        if (files := self._seenOfFiles()) != self._files:
            yield f"files were changed: {self._files} is now {files}"
            self._restoreFiles()
        if (own := self._seenOfItself()) != self._own:
            yield f"the process was changed: {self._own} is now {own}"
            self._restoreItself()
        if left := survivors():
            yield f"processes stayed: {left}"

    def close(self) -> None:
        """Removes its files."""
        os.chdir("/")
        shutil.rmtree(self.folder)

    def _guests(self) -> Iterator[str]:
        for name, listening in (("TCP", self.tcp), ("Unix", self.inside), ("abstract", self.abstract)):
            while True:
                try:
                    listening.accept()[0].close()
                except BlockingIOError:
                    break
                yield f"somebody has connected: {name}"
        try:
            yield f"a datagram came: {self.udp.recv(100)!r}"
        except BlockingIOError:
            pass

    def _write(self) -> None:
        for name in ("secret", "doomed"):
            path = self.folder / name
            path.unlink(missing_ok=True)
            path.write_bytes(SECRET)
            path.chmod(0o600)

    def _seenOfFiles(self) -> dict[str, Any]:
        seen: dict[str, Any] = {}
        for path in sorted(self.folder.iterdir()):
            status = path.lstat()
            seen[path.name] = (status.st_mode, status.st_uid, status.st_size, status.st_nlink, status.st_mtime_ns)
        return seen

    def _restoreFiles(self) -> None:
        for path in self.folder.iterdir():
            if path.name not in self._files:
                path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        self._write()
        self._files = self._seenOfFiles()

    def _seenOfItself(self) -> tuple[Any, ...]:
        limits = tuple(resource.getrlimit(number) for number in _LIMITS)
        scheduling = (os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0), tuple(os.sched_getaffinity(0)))
        return limits, scheduling, os.uname().nodename

    def _restoreItself(self) -> None:
        limits, (priority, _, affinity), _ = self._own
        for number, values in zip(_LIMITS, limits, strict=True):
            resource.setrlimit(number, values)
        os.setpriority(os.PRIO_PROCESS, 0, priority)
        os.sched_setaffinity(0, affinity)


def survivors() -> list[int]:
    """
    Ends whatever is left of an attack, and says what it was. The process that calls this has to be the one to which
    orphans come.
    """
    ended = []
    for name in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
        os.kill(int(name), signal.SIGKILL)
        # One that has ended by itself was there, but did not stay.
        if os.WIFSIGNALED(os.waitpid(int(name), 0)[1]):
            ended.append(int(name))
    return ended
