"""
A process that was ordered of the template, and what it has to be before anybody is given it.
"""

from __future__ import annotations

import resource
from dataclasses import dataclass, replace

from revproxy.isolation.lock.layers import Layers, Lock
from revproxy.isolation.lock.outside import checkOutside
from revproxy.isolation.process.cgroups import Cgroup
from revproxy.isolation.process.limit import Limit
from revproxy.isolation.process.lockedprocess import LockedProcess


@dataclass(slots=True, eq=False)
class Made:
    """
    A process that was ordered.

    :ivar lock: that it has to put on.
    :ivar cgroup: of its own; None: it has none.
    :ivar limit: how long its making may take.
    :ivar isMade: whether it is locked.
    """

    process: LockedProcess
    lock: Lock
    cgroup: Cgroup | None
    limit: Limit | None = None
    isMade: bool = False

    def stopLimit(self) -> None:
        """It is made, or has ended."""
        if self.limit is not None:
            self.limit.cancel()
            self.limit = None

    def wrong(self, minimumLevel: str) -> str:
        """What is wrong with its lock, from inside and from outside; empty: nothing."""
        report = self.process.report
        assert report is not None
        if seen := [*report.holes, *checkOutside(self.process.pid, self.lock)]:
            return f"a process is not locked: {'; '.join(seen)}"
        if wrong := tooLow(report.layers, minimumLevel, "a process is locked"):
            return wrong
        # What a machine has each process has: one that could not put it on is no worse locked in silence.
        lacking = "; ".join(f"{layer.name}: {layer.reason}" for layer in report.layers.lacking(self.lock))
        return f"a process has not put on what this machine has: {lacking}" if lacking else ""

    def narrow(self, addressBytes: int) -> bool:
        """
        Limit its address space further.

        :returns: whether that could be done: in some containers not even root can.
        """
        if addressBytes != self.lock.memoryBytes:
            try:
                # Its number is nobody else's, even if it has ended: we have not said that it may be reaped.
                resource.prlimit(self.process.pid, resource.RLIMIT_AS, (addressBytes, addressBytes))
            except (OSError, ValueError):
                return False
            self.lock = replace(self.lock, memoryBytes=addressBytes)
        return True


def tooLow(layers: Layers, minimumLevel: str, what: str) -> str:
    """In words that begin with ``what``, with all that is missing; empty: it is as it has to be."""
    if layers.level is not None and layers.level <= minimumLevel:
        return ""
    at = f"at level {layers.level}" if layers.level is not None else "at no level"
    return f"{what} {at}, and trust.minimum_level is {minimumLevel}. Missing: {'; '.join(layers.reasons)}"
