"""
Who has something changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Via = Literal["socket", "http", "files", "edge"]
"""How a change comes in: by the control socket, by the admin listener, by what was written, or from the edge itself."""


@dataclass(frozen=True, slots=True)
class Actor:
    """
    Whoever asks for a change.

    :ivar name: of the token; of the user who opened the socket, as far as that is known; ``files``; or the part of the
        edge.
    :ivar token: the id of the token, never the token itself; empty if there is none.
    :ivar role: what it may do, in the words of `revproxy.admin.role`.
    :ivar address: of the client; empty if there is none.
    """

    via: Via
    name: str = ""
    token: str = ""
    role: str = "admin"
    address: str = ""


FILES = Actor("files", "files")
"""Somebody has written the configuration, or a plugin's folder."""

EDGE = Actor("edge", "edge")
"""The edge by itself: quarantine, an expiry."""
