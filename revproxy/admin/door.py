"""
A way into the API: who comes in by it, and what may be asked there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.web.http_headers import Headers

from revproxy.admin.problem import Problem
from revproxy.admin.reply import Reply
from revproxy.admin.role import Role
from revproxy.control.actor import Actor


@dataclass(frozen=True, slots=True)
class Head:
    """
    A request, but for its body.

    :ivar path: as it was sent, without the query.
    :ivar query: as it was sent, without its question mark.
    :ivar connection: by whom it came; provides `twisted.internet.interfaces.ITransport`.
    """

    method: str
    path: str
    query: str
    headers: Headers
    connection: Any

    def header(self, name: str) -> str | None:
        """
        The value of a field that may be there once.

        :raises Problem: it is there more than once, or not in ASCII.
        """
        values = self.headers.getRawHeaders(name.encode())
        if not values:
            return None
        if len(values) > 1 or not values[0].isascii():
            raise Problem(400, f"{name} is to be there once, in ASCII")
        return values[0].decode()

    @property
    def isReading(self) -> bool:
        """Whether it is of a method that changes nothing."""
        return self.method in ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Entry:
    """
    Who is in.

    :ivar session: the key of the session by which it is; empty without one.
    :ivar expiresAt: when it has to show something else, in seconds since the epoch; None: never.
    :ivar stays: whether whoever came in then would be let in now; a stream asks that now and then.
    """

    actor: Actor
    session: str = ""
    expiresAt: float | None = None
    stays: Callable[[], bool] = lambda: True


class Page(Protocol):
    """What is at a path beside the API."""

    @property
    def role(self) -> Role | None:
        """That it takes; None: anybody may have it."""

    def reply(self, head: Head) -> Reply:
        """To a GET."""


class Door(Protocol):
    """
    One way in.

    :ivar pages: what it has beside the API, by path.
    """

    pages: Mapping[str, Page]

    def admit(self, head: Head) -> None:
        """
        Before anything else is looked at.

        :raises Problem: nothing may be asked so.
        """

    def enter(self, head: Head, needed: Role | None) -> Entry:
        """
        Whoever asks for an operation.

        :param needed: the role that it takes; None: anybody may.
        :raises Problem: nobody knows who that is (401), or it may not (403).
        """

    def cookie(self, session: str) -> str:
        """
        The value of ``Set-Cookie`` that gives a browser a session; or, if that is empty, takes it.

        :raises Problem: there are no sessions here.
        """


__all__ = ["Door", "Entry", "Head", "Page"]
