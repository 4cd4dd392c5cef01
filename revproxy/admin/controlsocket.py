"""
The Unix socket through which a running edge is asked and steered, by HTTP. Its client is
:mod:`revproxy.cli.edgeclient`; others will do::

    curl --unix-socket var/control.sock http://edge/api/v1/plugins

Whoever may open the file may do everything, without a token: its mode is 0600. A call that has begun goes on when its
client leaves.
"""

from __future__ import annotations

import os
import pwd
import socket
import struct
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.error import CannotListenError

from revproxy.admin.api import Api
from revproxy.admin.apisite import ApiSite
from revproxy.admin.callers import CONNECTIONS, Callers
from revproxy.admin.door import Entry, Head, Page
from revproxy.admin.problem import Problem
from revproxy.admin.role import Role
from revproxy.admin.stream import Streams
from revproxy.control.actor import Actor
from revproxy.control.socketfile import removeStale, shortened
from revproxy.dataplane.net.eagerreactor import EagerReactor

STREAMS = CONNECTIONS // 2
"""Clients that are told something: others must find a place, too."""

_PEER = struct.Struct("3i")


class SocketDoor:
    """
    Whoever comes in by the socket is admin; who that is, the kernel says.

    Only the edge's user, and root, can open it: their names are asked for once, for such questions can take long.
    """

    def __init__(self, pages: Mapping[str, Page]) -> None:
        self.pages = pages
        self._names = {number: _nameOf(number) for number in (0, os.geteuid())}

    def admit(self, head: Head) -> None:
        """Whatever it is. A browser does not get here."""

    def enter(self, head: Head, needed: Role | None) -> Entry:
        """Who has opened the socket."""
        return Entry(self._actor(head))

    def cookie(self, session: str) -> str:
        """:raises Problem: always."""
        raise Problem(409, "sessions are for browsers, at the admin listener; here nobody needs one")

    def _actor(self, head: Head) -> Actor:
        with suppress(OSError, AttributeError):
            raw = head.connection.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
            user = _PEER.unpack(raw)[1]
            return Actor("socket", self._names.get(user, f"user {user}"))
        return Actor("socket")


def _nameOf(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"


class ControlSocket:
    """
    The socket of one edge.

    :ivar site: what is behind it.
    """

    def __init__(self, reactor: Any, path: Path, api: Api, pages: Mapping[str, Page] | None = None) -> None:
        self._reactor = reactor
        self._path = path
        door = SocketDoor(pages or {})
        callers, streams = Callers(reactor, True, areKnown=True), Streams(reactor, STREAMS)
        self.site = ApiSite(reactor, api, door, callers, streams, "control socket")
        self._port: Any = None
        self._shortName = ExitStack()

    def open(self) -> None:
        """
        Listen. Call this in the process that goes on after a daemon has forked. The folder must exist; the file that a
        dead process has left there is replaced.

        :raises OSError: another process listens there, or the file cannot be made.
        """
        removeStale(self._path)
        with ExitStack() as held:
            short = held.enter_context(shortened(self._path))
            # listenUNIX binds the file, sets its mode, and only then listens.
            try:
                self._port = EagerReactor(self._reactor).listenUNIX(short, self.site, mode=0o600)
            except CannotListenError as error:
                reason = error.socketError
                raise OSError(getattr(reason, "errno", None), getattr(reason, "strerror", None), str(self._path))
            self._port.isUrgent = True  # see EdgeReactor
            # The short name is needed again, to remove the file.
            self._shortName = held.pop_all()

    async def reopen(self) -> None:
        """
        Listen anew, where the file was deleted. Connections stay.

        :raises OSError: as :meth:`open`; nobody listens then.
        """
        await self._stopListening()
        self.open()

    async def close(self) -> None:
        """Stop listening, remove the file, end the connections. Does not wait for calls that are running."""
        await self._stopListening()
        await self.site.close()

    async def _stopListening(self) -> None:
        port, self._port = self._port, None
        if port is not None:
            await maybeDeferred(port.stopListening)
            self._shortName.close()


__all__ = ["ControlSocket"]
