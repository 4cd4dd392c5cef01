"""
Locked processes whose template has ended before them.
"""

from __future__ import annotations

import os
from contextlib import suppress

from twisted.python.failure import Failure

from revproxy.isolation.process.descriptors import Descriptor, Descriptors


class Orphan(Descriptor):
    """
    A locked process whose template has ended. The kernel ends it; then it is init's to be reaped, or that of the edge
    where that is process 1, as in a container.
    """

    def __init__(self, descriptors: Descriptors, pidfd: int) -> None:
        """:param pidfd: closed in the end."""
        self.fd = pidfd
        self._descriptors = descriptors
        descriptors.read(self)

    def doRead(self) -> None:
        """It has ended."""
        if self.fd < 0:
            return
        with suppress(ChildProcessError):
            os.waitid(os.P_PIDFD, self.fd, os.WEXITED | os.WNOHANG)
        self._descriptors.forget(self)
        os.close(self.fd)
        self.fd = -1

    def connectionLost(self, reason: Failure) -> None:
        """For the reactor: it has ended."""
        self.doRead()
