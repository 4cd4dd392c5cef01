"""
Who has something changed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Via = Literal["socket", "http", "files", "edge"]
"""How a change comes in: by the control socket, by the admin listener, by what was written, or from the edge itself."""


class Deed:
    """
    One thing that somebody asks for. However many parts have to do with it, it becomes one audit record.

    :ivar isTaken: whether a part that knows more of it has undertaken to record it.
    """

    __slots__ = ("isTaken",)

    def __init__(self) -> None:
        self.isTaken = False


@dataclass(frozen=True, slots=True)
class Actor:
    """
    Whoever asks for a change.

    :ivar name: of the token; of the user who opened the socket, as far as that is known; ``files``; or the part of the
        edge.
    :ivar token: the id of the token, never the token itself; empty if there is none.
    :ivar role: what it may do, in the words of `revproxy.admin.role`.
    :ivar address: of the client; empty if there is none.
    :ivar deed: what it is about to do; assigned by `revproxy.control.history.audit.Audit.around`, and to be passed on.
    """

    via: Via
    name: str = ""
    token: str = ""
    role: str = "admin"
    address: str = ""
    deed: Deed | None = field(default=None, compare=False, repr=False)


FILES = Actor("files", "files")
"""Somebody has written the configuration, or a plugin's folder."""

EDGE = Actor("edge", "edge")
"""The edge by itself: quarantine, an expiry."""
