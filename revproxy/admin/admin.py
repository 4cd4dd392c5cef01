"""
Admin: the API of one edge, and its doors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from revproxy.admin.api import Api
from revproxy.admin.apisite import ApiSite
from revproxy.admin.attempts import Attempts
from revproxy.admin.callers import Callers
from revproxy.admin.controlsocket import ControlSocket
from revproxy.admin.door import Page
from revproxy.admin.listener import AdminListener, Secure
from revproxy.admin.listenerdoor import ListenerDoor
from revproxy.admin.openapi import describe
from revproxy.admin.operations.sessions import sessionOperations
from revproxy.admin.operations.tokens import tokenOperations
from revproxy.admin.pages import BytesPage, dashboardPages, probes
from revproxy.admin.reply import ALWAYS, JSON
from revproxy.admin.role import Role
from revproxy.admin.router import Router
from revproxy.admin.sessions import Sessions
from revproxy.admin.stream import Streams
from revproxy.admin.table import allOperations
from revproxy.admin.tokenfiles import TokenFiles
from revproxy.admin.tokens import Tokens
from revproxy.config.settings import AdminConfig
from revproxy.control.control import Control
from revproxy.control.state.directory import StateFolder

CONNECTIONS = 128
"""Clients of the listener, at a time. For one more, who asks nothing gives way."""


class Admin:
    """
    Parts, and what they are given of each other. From when it is made, it takes part in changes.

    :ivar socket: the control socket.
    :ivar router: the table of all operations.
    :ivar api: what they are asked by.
    :ivar door: that of the listener.
    :ivar tokens: who may come in by the listener.
    """

    def __init__(
        self,
        reactor: Any,
        control: Control,
        state: StateFolder,
        secure: Secure,
        inThread: Callable[..., Deferred[Any]],
    ) -> None:
        """
        Makes everything and opens nothing.

        :param secure: the certificates of the listener.
        :param inThread: runs a function, with arguments, in a thread.
        """
        self._control = control
        self.tokens = Tokens(control.latestFile(state.tokensPath), control.events, reactor)
        self._files = TokenFiles(self.tokens, control.events, reactor, inThread)
        sessions = Sessions(reactor.seconds, self.tokens.roleOf)
        attempts, streams = Attempts(reactor.seconds), Streams(reactor)
        self.router = Router([
            *allOperations(control),
            *tokenOperations(self.tokens, sessions, streams, control.audit),
            *sessionOperations(self.tokens, sessions, attempts, control.audit),
        ])
        api = self.api = Api(self.router, lambda: deferLater(reactor, 0))
        described = msgspec.json.encode(describe(self.router.operations))
        pages: Mapping[str, Page] = {
            **probes(lambda: control.readiness.isReady),
            "/openapi.json": BytesPage.of(JSON, described, ALWAYS["Content-Security-Policy"], Role.READ),
        }
        self.socket = ControlSocket(reactor, state.socketPath, api, pages)
        door = self.door = ListenerDoor(pages, self.tokens, sessions, control.audit, attempts)
        site = ApiSite(reactor, api, door, Callers(reactor, False, CONNECTIONS), streams, "admin")
        self._listener = AdminListener(
            reactor, site, door, secure, lambda: inThread(dashboardPages), self._committed
        )
        control.coordinator.crew.besides.append(self._listener)

    @property
    def address(self) -> str:
        """What the listener listens on; empty: there is none."""
        return self._listener.address

    async def listen(self) -> None:
        """
        Bind the port of the listener, if there is to be one.

        :raises CannotListenError, OSError: it cannot be done.
        """
        plan = self._control.coordinator.starting
        assert plan is not None, "there is a plan from when the edge is made"
        await self._listener.listen(plan)

    async def close(self) -> None:
        """Close all doors; what has been asked for goes on."""
        self._files.stop()
        self.tokens.stop()
        await self.socket.close()
        await self._listener.stop()

    def _committed(self, config: AdminConfig | None) -> None:
        self._files.adopt(() if config is None else config.tokens)


__all__ = ["Admin"]
