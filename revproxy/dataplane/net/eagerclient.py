"""
Eager connections that we open.
"""

# Twisted's transports carry no annotations.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import select
from typing import Any

from twisted.internet import tcp, unix

from revproxy.dataplane.net.eagerconnection import EagerConnection


class EagerBaseClient(EagerConnection, tcp.BaseClient):
    """A connection that we open."""

    _poll: Any = None

    def isQuiet(self) -> bool:
        """
        Whether the kernel holds nothing that we have not seen: no bytes, no end.

        Asked before a kept connection is used again. The loop would tell, but only in its next turn, and by then
        what an origin has sent unasked would pass for the answer. Half a microsecond.
        """
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(self.fileno(), select.POLLIN)
        return not self._poll.poll(0)

    def _connectDone(self) -> None:
        self.setTcpNoDelay(True)
        self._established()

    def _established(self) -> None:
        """The socket is connected: begin. A stage that comes before the protocol's bytes overrides this."""
        # Set before the protocol is connected, so that its first write goes out at once.
        self._eager = True
        tcp.BaseClient._connectDone(self)
        self._resetEager()


class EagerClient(EagerBaseClient, tcp.Client):
    """A TCP connection that we open."""


class EagerUNIXClient(EagerBaseClient, unix.Client):
    """A UNIX connection that we open. Descriptors sent along are not taken."""

    def sendFileDescriptor(self, fileno: int) -> None:
        """:raises NotImplementedError: always."""
        raise NotImplementedError("descriptors are not sent over these connections")


__all__ = ["EagerBaseClient", "EagerClient", "EagerUNIXClient"]
