"""
What a service manager is told: systemd's protocol (``sd_notify``), as far as an edge has something to say.

A datagram to the socket that ``NOTIFY_SOCKET`` names, and that is all; where nobody asks for it nothing is sent. The
heartbeat comes out of the event loop, so a manager with ``WatchdogSec=`` restarts an edge whose loop does not turn.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from typing import Any

from twisted.internet.interfaces import IDelayedCall

from revproxy.errors import printable

__all__ = ["Notifier"]


class Notifier:
    """
    Tells how far we are. Nothing here raises.
    """

    def __init__(
        self,
        clock: Any,
        environment: MutableMapping[str, str] = os.environ,
        monotonic: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """
        :param clock: provides `IReactorTime`.
        :param environment: what the manager has said is taken out of it: processes that plugins start are not we.
        :param monotonic: nanoseconds.
        """
        self._clock = clock
        self._monotonic = monotonic
        self._address = environment.pop("NOTIFY_SOCKET", "")
        self._beat = _beatOf(environment)
        self._next: IDelayedCall | None = None
        self._socket: socket.socket | None = None

    def ready(self, status: str) -> None:
        """The edge serves, or has taken up what it was to reload. The heart beats from then on."""
        self._tell(f"READY=1\nSTATUS={_line(status)}")
        if self._beat and self._next is None:
            self._alive()

    def reloading(self) -> None:
        """Something is read anew; `ready` follows."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={self._monotonic() // 1000}")

    def stopping(self) -> None:
        """The edge ends; running requests may take their time."""
        self._tell("STOPPING=1\nSTATUS=stopping: running requests finish")

    def status(self, text: str) -> None:
        """One line for whoever asks."""
        self._tell(f"STATUS={_line(text)}")

    def stop(self) -> None:
        """Tell nothing more."""
        if self._next is not None:
            self._next.cancel()
            self._next = None
        self._beat = 0.0
        self._address = ""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _alive(self) -> None:
        self._tell("WATCHDOG=1")
        self._next = self._clock.callLater(self._beat, self._alive)

    def _tell(self, message: str) -> None:
        if not self._address:
            return
        with suppress(OSError, ValueError):
            if self._socket is None:
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                self._socket.setblocking(False)
            # A name that begins with @ is not in the file system.
            address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
            self._socket.sendto(message.encode(errors="replace"), address)


def _line(text: str) -> str:
    """Each line of a message says something else."""
    return printable(" ".join(text.splitlines()), 500)


def _beatOf(environment: MutableMapping[str, str]) -> float:
    """Seconds between two beats: half of what the manager waits for. 0: it waits for none, or not for ours."""
    microseconds, process = environment.pop("WATCHDOG_USEC", ""), environment.pop("WATCHDOG_PID", "")
    if not microseconds.isdecimal() or process not in ("", str(os.getpid())):
        return 0.0
    return int(microseconds) / 2e6
