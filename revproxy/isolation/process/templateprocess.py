"""
The template process, as the edge has it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
from twisted.python.failure import Failure

import revproxy
from revproxy.isolation.lock.watching import RUNTIME
from revproxy.isolation.process.descriptors import Descriptor, Descriptors
from revproxy.isolation.process.orders import (
    MOST,
    AnyOrder,
    Begin,
    Fork,
    Reap,
    decodeOrder,
    encodeOrder,
)
from revproxy.isolation.process.output import Output

_BOOT: Final = """
import json, socket, sys
control = socket.socket(fileno=int(sys.argv[1]))
sys.path[:] = json.loads(control.recv(1 << 16))
from revproxy.isolation.process.template import main
main(control)
"""

GRACE: Final = 0.5
"""Seconds that it has to end when the socket is closed."""

_LAST_LINES: Final = 20


def command(version: tuple[int, int] = sys.version_info[:2]) -> tuple[list[str], dict[str, str]]:
    """
    How the template's Python is started: without what a user or a site has configured, and with an empty environment.

    From 3.13 on, two things are switched off that only the environment can: the compiler at run time, which needs what
    a locked process must not have, and code that others have a process run (PEP 768). So ``-I``, under which Python
    does not look there, is written out.
    """
    if version < (3, 13):
        return ["-I", "-S"], {}
    return ["-s", "-P", "-S"], {"PYTHON_JIT": "0", "PYTHON_DISABLE_REMOTE_DEBUG": "1"}


def modulePath() -> list[str]:
    """Where this process finds modules: absolute, and that of the edge itself first."""
    own = str(Path(revproxy.__file__).absolute().parent.parent)
    return [own, *(each for each in sys.path if os.path.isabs(each) and each != own)]


class TemplateProcess(Descriptor):
    """
    The template process, as the edge has it. It begins when it is made.

    :ivar pid: its number.
    :ivar lastLines: what it has written last.
    """

    def __init__(
        self,
        descriptors: Descriptors,
        begin: Begin,
        onOrder: Callable[[AnyOrder, list[int]], None],
        onGone: Callable[[str], None],
        onLine: Callable[[str], None],
    ) -> None:
        """
        :param onOrder: called with what it says, and descriptors, which are the callee's then.
        :param onGone: called once, when it has ended, with how.
        :param onLine: called with each line that it writes.
        :raises OSError: it cannot be started.
        """
        self.lastLines: deque[str] = deque(maxlen=_LAST_LINES)
        self._descriptors = descriptors
        self._onOrder = onOrder
        self._onGone = onGone
        self._onLine = onLine
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        reading, writing = os.pipe()
        try:
            self._process = _started(theirs.fileno(), writing)
        except OSError:
            self._control.close()
            os.close(reading)
            raise
        finally:
            theirs.close()
            os.close(writing)
        self.pid = self._process.pid
        self._grace: Any = None
        self._output = Output(descriptors, reading)
        self._output.onLine = self._line
        self._end = _End(descriptors, self._pidfd(), self._hasEnded)
        self._control.setblocking(False)
        self.fd = self._control.fileno()
        descriptors.read(self)
        self._send(json.dumps(modulePath()).encode())
        self._send(encodeOrder(begin))

    def _pidfd(self) -> int:
        """:raises OSError: a process cannot be held by a descriptor; the template is ended then."""
        try:
            return os.pidfd_open(self.pid)
        except OSError as error:
            self._output.close()
            self._control.close()
            self._process.kill()
            self._process.wait()
            raise OSError(error.errno, f"pidfd_open: {error.strerror}; {RUNTIME}") from None

    def fork(self, order: Fork, fds: list[int]) -> None:
        """:param fds: the stream, the output and the page; they stay the caller's."""
        self._send(encodeOrder(order), fds)

    def reap(self, pid: int) -> None:
        """Nobody needs the number of one that has ended any more."""
        self._send(encodeOrder(Reap(pid)))

    def close(self) -> None:
        """Let it do what it was told, and end."""
        self._hasClosed()

    def kill(self) -> None:
        """End it now, and all that it has forked."""
        with suppress(OSError):
            signal.pidfd_send_signal(self._end.fd, signal.SIGKILL)

    def _send(self, data: bytes, fds: list[int] | None = None) -> None:
        if self.fd < 0:
            return
        try:
            socket.send_fds(self._control, [data], fds or [])
        except OSError:
            # It does not take what it is sent, or has gone: either way there is to be another.
            self.kill()

    def doRead(self) -> None:
        """It has said something, or closed the socket."""
        while self.fd >= 0:
            try:
                data, fds, flags, _ = socket.recv_fds(self._control, MOST, 8)
            except BlockingIOError:
                return
            except OSError:
                data, fds, flags = b"", [], 0
            if not data:
                self._hasClosed()
                return
            if flags & socket.MSG_CTRUNC:
                # Descriptors were lost: this process has too many. What was forked cannot be ended by itself.
                self.kill()
                return
            self._onOrder(decodeOrder(data), fds)

    def connectionLost(self, reason: Failure) -> None:
        """For the reactor: it has closed the socket."""
        self._hasClosed()

    def _hasClosed(self) -> None:
        """It has a moment to end by itself."""
        if self.fd >= 0:
            self._stopReading()
            self._grace = self._descriptors.later(GRACE, self.kill)

    def _line(self, line: str) -> None:
        self.lastLines.append(line)
        self._onLine(line)

    def _stopReading(self) -> None:
        if self.fd >= 0:
            self._descriptors.forget(self)
            self.fd = -1
            self._control.close()

    def _hasEnded(self) -> None:
        with suppress(msgspec.DecodeError):
            self.doRead()  # what it has said last
        self._stopReading()
        if self._grace is not None and self._grace.active():
            self._grace.cancel()
        self._output.finish()
        code = self._process.wait()  # it has ended: nobody waits
        self._onGone(f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}")


class _End(Descriptor):
    """Waits for the end of a process that is a child of this one."""

    def __init__(self, descriptors: Descriptors, pidfd: int, onEnd: Callable[[], None]) -> None:
        self.fd = pidfd
        self._descriptors = descriptors
        self._onEnd = onEnd
        descriptors.read(self)

    def doRead(self) -> None:
        if self.fd >= 0:
            self._descriptors.forget(self)
            os.close(self.fd)
            self.fd = -1
            self._onEnd()

    def connectionLost(self, reason: Failure) -> None:
        self.doRead()


def _started(control: int, output: int) -> Any:
    options, environment = command()
    if not sys.executable:
        raise OSError("no one knows which program this Python is: sys.executable is empty")
    return subprocess.Popen(
        [sys.executable, *options, "-c", _BOOT, str(control)],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        cwd="/",
        env=environment,
        pass_fds=(control,),
        start_new_session=True,  # not for what somebody types into the edge's terminal
    )
