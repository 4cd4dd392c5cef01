"""
Admin: the API of one edge, and its doors.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.task import deferLater

from revproxy.admin.api import Api
from revproxy.admin.controlsocket import ControlSocket
from revproxy.admin.router import Router
from revproxy.admin.table import allOperations
from revproxy.control.control import Control


class Admin:
    """
    :ivar socket: the control socket.
    """

    def __init__(self, reactor: Any, control: Control, socketPath: Path) -> None:
        """Makes everything and opens nothing."""
        api = Api(Router(allOperations(control)), lambda: deferLater(reactor, 0))
        self.socket = ControlSocket(reactor, socketPath, api)

    async def close(self) -> None:
        """Close all doors; what has been asked for goes on."""
        await self.socket.close()


__all__ = ["Admin"]
