"""
What runs in the template process: it imports what the inside of a locked process needs, and forks.

A Python that has imported all that takes a third of a second and 25 MB; a fork of one takes a millisecond, and what
nobody writes to is there once for all. So one process, which never sees a byte of a plugin, is forked for each. It has
one thread, reads nothing but what the edge tells it, and waits for those it has forked: there are no zombies, and the
number of one that has ended stays its own until the edge says that it needs it no more.

It ends with the edge, and all that it has forked end with it, by the kernel (``PR_SET_PDEATHSIG``): there is no way for
the edge to end that leaves a locked process behind, and a plugin that spins is no exception.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import select
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Final

from revproxy.isolation.holdpage import HoldPage
from revproxy.isolation.lock.layers import Lock
from revproxy.isolation.lock.limits import addressSpace
from revproxy.isolation.lock.lockdown import lockDown
from revproxy.isolation.process.machinecheck import MachineCheck
from revproxy.isolation.process.orders import (
    MOST,
    AnyOrder,
    Begin,
    Ended,
    Fork,
    Forked,
    NotForked,
    Reap,
    Standing,
    Tried,
    decodeOrder,
    encodeOrder,
)

STREAM: Final = 3
"""The descriptor of a locked process's stream."""

KEPT: Final = (0, 1, 2, STREAM)
"""Those that a locked process has: nothing to read, twice the pipe of its output, and the stream."""

FAILED: Final = 70
"""The exit code of one that could not become a locked process: what is wrong stands in its output."""

_NOT_FIRST: Final = "500"
"""Where the machine runs out of memory, a locked process is ended before the edge and the template are."""

_PDEATHSIG: Final = 1

Serve = Callable[[int, HoldPage], None]


def main(control: socket.socket) -> None:
    """Becomes the template; the path of modules is as it is to be. The process ends here, when the edge has gone."""
    begin = decodeOrder(control.recv(MOST))
    assert isinstance(begin, Begin)
    _endWith(begin.parent)
    _heedNobody()
    check = MachineCheck.begin(begin.uid, begin.without, _endWith)
    serve: Serve = import_module(begin.inside).serve
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    layers = check.layers()
    template = Template(control, serve, layers.usable - frozenset(begin.without), check)
    gc.collect()
    gc.freeze()
    template.say(Standing(layers.asList(), addressSpace() if layers.level is not None else 0))
    template.run()
    check.finish()
    os._exit(0)


def _endWith(parent: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def _heedNobody() -> None:
    """
    Who ends an edge may send a signal to all of its processes (systemd does), and requests go on to their end.
    """
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(each, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


class Template:
    """
    Forks, and waits for those it has forked.
    """

    def __init__(self, control: socket.socket, serve: Serve, use: frozenset[str], check: MachineCheck) -> None:
        """
        :param control: the socket to the edge, of packets.
        :param serve: what each calls when it is locked.
        :param use: names of the optional layers of the lock.
        :param check: which still tries what must end a process.
        """
        self._control = control
        self._serve = serve
        self._use = use
        self._pid = os.getpid()
        self._living: dict[int, int] = {}
        """By pidfd, the process's number."""
        self._check = check
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)
        self._poll.register(check.fd, select.POLLIN)

    def say(self, order: AnyOrder, fds: tuple[int, ...] = ()) -> None:
        """To the edge. If that has gone, so have we in a moment."""
        with suppress(OSError):
            socket.send_fds(self._control, [encodeOrder(order)], fds)

    def run(self) -> None:
        """Until the edge has gone."""
        while True:
            for fd, _ in self._poll.poll():
                if fd in self._living:
                    self._ended(fd)
                elif fd == self._check.fd:
                    self._checked()
                elif not self._heed():
                    return

    def _heed(self) -> bool:
        data, fds, _, _ = socket.recv_fds(self._control, MOST, 8)
        if not data:
            return False
        order = decodeOrder(data)
        try:
            if isinstance(order, Fork):
                self._fork(order, fds)
            elif isinstance(order, Reap):
                os.waitpid(order.pid, 0)
        finally:
            for fd in fds:
                os.close(fd)
        return True

    def _fork(self, order: Fork, fds: list[int]) -> None:
        pid = 0
        try:
            pid = os.fork()
            if pid == 0:
                self._child(order, fds)
            pidfd = os.pidfd_open(pid)
        except OSError as error:
            if pid:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            self.say(NotForked(order.number, str(error)))
            return
        self._living[pidfd] = pid
        self._poll.register(pidfd, select.POLLIN)
        self.say(Forked(order.number, pid), (pidfd,))

    def _ended(self, pidfd: int) -> None:
        pid = self._living.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert ended is not None
        self.say(Ended(pid, ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status))

    def _child(self, order: Fork, fds: list[int]) -> None:
        """Never returns: what the template has on its stack is not its child's."""
        try:
            self._become(order, *fds)
            os._exit(0)
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)  # first: a traceback's end is cut off in places
            traceback.print_exc()
        finally:
            os._exit(FAILED)

    def _become(self, order: Fork, stream: int, output: int, page: int) -> None:
        holdPage = HoldPage(page)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.dup2(stream, STREAM)
        _write("/proc/self/oom_score_adj", _NOT_FIRST)
        if order.cgroup:
            _write(f"{order.cgroup}/cgroup.procs", "0")
        report = lockDown(Lock(order.addressBytes, self._pid, KEPT, order.uid, self._use))
        said = json.dumps(report.asDict()).encode()
        os.write(STREAM, struct.pack("<I", len(said)) + said)
        if report.level is not None:
            self._serve(STREAM, holdPage)

    def _checked(self) -> None:
        self._poll.unregister(self._check.fd)
        self.say(Tried(self._check.survived()))


def _write(path: str, text: str) -> None:
    """Where a machine lets us."""
    with suppress(OSError), open(path, "w") as file:
        file.write(text)
