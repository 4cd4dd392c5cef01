"""
Where to listen, from the text that says so: as Twisted understands it, with a reason where systemd is to hand over a
socket and has not.
"""

from __future__ import annotations

from errno import ENOENT
from typing import Any

from twisted.internet.endpoints import serverFromString

__all__ = ["serverEndpoint"]

def serverEndpoint(reactor: Any, text: str) -> Any:
    """
    :raises OSError: systemd has handed over no such socket.
    """
    try:
        return serverFromString(reactor, text)
    except LookupError:
        if not text.startswith("systemd:"):
            raise
        why = "systemd has handed over no such socket; see FileDescriptorName= and Service= of the socket's unit"
        raise OSError(ENOENT, why, text) from None
