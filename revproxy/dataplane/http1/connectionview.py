"""
What others see of a connection: the edge that breaks it off, and whoever asks what goes on.
"""

from __future__ import annotations

from typing import Any

from revproxy.context import Peer
from revproxy.dataplane.http.interfaces import IExchange, IListener
from revproxy.dataplane.http1.connectionstate import CLOSED, HEAD, STATE_NAMES, State


class ConnectionView:
    """
    That part of a `revproxy.dataplane.http1.requestreader.RequestReader`, which has what is looked at here.
    """

    __slots__ = ()

    served: int
    _ahead: bytes
    _exchange: IExchange | None
    _listener: IListener
    _peer: Peer | None
    _state: State
    _version: str

    @property
    def listener(self) -> IListener:
        """What accepted it."""
        return self._listener

    @property
    def chain(self) -> Any:
        """That of the running request, or of the tunnel it has become; None if it is idle, or was broken off."""
        exchange = self._exchange
        return None if exchange is None or self._state is CLOSED else exchange.chain

    @property
    def exchange(self) -> IExchange | None:
        """The running request, or the one that became a tunnel; None between requests."""
        return self._exchange

    @property
    def peer(self) -> str:
        """The address of the client; empty as long as a PROXY header may still say it, or where there is none."""
        return "" if self._peer is None else self._peer.host

    @property
    def protocol(self) -> str:
        """The version of HTTP that it speaks."""
        return self._version

    @property
    def stateName(self) -> str:
        """What it is at, for people."""
        if self._state is HEAD and self._exchange is None:
            return "head" if self._ahead or not self.served else "idle"
        return STATE_NAMES[self._state]
