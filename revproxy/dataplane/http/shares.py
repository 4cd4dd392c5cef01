"""
What the connections to one target are taken up by, counted.

Whoever can make a connection last as long as he likes gets a part of them only, so that others are served: requests
whose body is not whole yet, and tunnels.
"""

from __future__ import annotations

PLAIN, UPLOAD, TUNNEL = range(3)
"""What takes up a connection: a request, or nothing; a request whose body is not whole yet; bytes both ways."""


class Shares:
    """
    The counts of one target.

    :ivar connections: those that exist or are being made; tunnels are none of them.
    :ivar uploads: requests whose body is not whole yet and that have a connection, or are to have the next one.
    :ivar tunnels: connections that became tunnels.
    :ivar maxUploads: half of the connections, but one at least: an upload has to be possible where there is only one.
    """

    __slots__ = ("_maxConnections", "_maxTunnels", "connections", "maxUploads", "tunnels", "uploads")

    def __init__(self, maxConnections: int, maxTunnels: int) -> None:
        self._maxConnections = maxConnections
        self._maxTunnels = maxTunnels
        self.maxUploads = max(1, maxConnections // 2)
        self.connections = 0
        self.uploads = 0
        self.tunnels = 0

    @property
    def hasRoom(self) -> bool:
        """Whether there may be another connection."""
        return self.connections < self._maxConnections

    def beginUpload(self) -> bool:
        """Count another upload. :returns: whether there may be one; if not, nothing is counted."""
        if self.uploads >= self.maxUploads:
            return False
        self.uploads += 1
        return True

    def beginTunnel(self) -> bool:
        """A connection is to become a tunnel. :returns: whether it may; if not, nothing is counted."""
        if self.tunnels >= self._maxTunnels:
            return False
        self.connections -= 1
        self.tunnels += 1
        return True

    def end(self, share: int) -> None:
        """A connection is no more. :param share: what it was taken up by."""
        if share == TUNNEL:
            self.tunnels -= 1
            return
        self.connections -= 1
        if share == UPLOAD:
            self.uploads -= 1
