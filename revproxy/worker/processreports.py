"""
What a worker's process takes: time, memory, descriptors; and how late its event loop is.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from time import monotonic
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from revproxy.plan.counted import ProcessNow

PROBE = 0.25
"""Seconds between two looks at how late the loop is."""

RARELY = 10.0
"""Seconds between two counts of descriptors, where that takes a thread."""

_OPEN = "/proc/self/fd"


class ProcessReports:
    """
    Of this process.
    """

    _log = Logger()

    def __init__(
        self,
        clock: Any,
        inThread: Callable[..., Deferred[Any]],
        monotonic: Callable[[], float] = monotonic,
        folder: str = _OPEN,
    ) -> None:
        """
        :param clock: provides `IReactorTime`.
        :param inThread: runs a function in a thread.
        :param folder: that has an entry for each open descriptor.
        """
        self._clock = clock
        self._inThread = inThread
        self._monotonic = monotonic
        self._folder = folder
        self._startedAt = _startedAt(clock.seconds())
        self._descriptors = 0
        self._counted = -RARELY
        self._lag = 0.0
        self._due = 0.0
        self._later: IDelayedCall | None = None

    def start(self) -> None:
        """Look at the loop from now on."""
        self._due = self._monotonic() + PROBE
        self._later = self._clock.callLater(PROBE, self._probe)

    def stop(self) -> None:
        """No more."""
        if self._later is not None:
            self._later.cancel()
            self._later = None

    def take(self) -> ProcessNow:
        """What it takes now; the lag begins anew."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        lag, self._lag = max(self._lag, self._monotonic() - self._due if self._later else 0.0), 0.0
        return ProcessNow(
            self._startedAt,
            used.ru_utime + used.ru_stime,
            _residentBytes() or used.ru_maxrss * 1024,
            self._countDescriptors(),
            max(most, 0),
            lag,
        )

    def _probe(self) -> None:
        now = self._monotonic()
        self._lag = max(self._lag, now - self._due)
        self._due = now + PROBE
        self._later = self._clock.callLater(PROBE, self._probe)

    def _countDescriptors(self) -> int:
        """By the size of the folder, which newer kernels know; else a thread lists it, now and then."""
        try:
            count = os.stat(self._folder).st_size
        except OSError:
            return 0
        if count:
            return count
        if self._monotonic() - self._counted >= RARELY:
            self._counted = self._monotonic()
            listing = self._inThread(os.listdir, self._folder)
            listing.addCallback(self._listed)
            listing.addErrback(lambda failure: self._log.failure("counting the descriptors that are open", failure))
        return self._descriptors

    def _listed(self, names: list[str]) -> None:
        self._descriptors = len(names)


def _residentBytes() -> int:
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return 0


def _startedAt(now: float) -> float:
    """When the process began, in seconds since the epoch; now, where nobody knows."""
    try:
        with open("/proc/self/stat", "rb") as file:
            ticks = int(file.read().rpartition(b") ")[2].split()[19])
        with open("/proc/uptime", "rb") as file:
            uptime = float(file.read().split()[0])
    except (OSError, ValueError, IndexError):
        return now
    return now - uptime + ticks / os.sysconf("SC_CLK_TCK")
