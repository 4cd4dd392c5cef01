"""The API of an edge without sockets: what is asked, and what is answered."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import succeed
from twisted.web.http_headers import Headers

from revproxy.admin.api import Api
from revproxy.admin.door import Entry, Head, Page
from revproxy.admin.problem import Problem
from revproxy.admin.reply import Reply
from revproxy.admin.role import Role
from revproxy.admin.router import Router
from revproxy.admin.stream import Stream
from revproxy.admin.table import allOperations
from revproxy.control.actor import Actor
from tests.control.test_coordinator import LifecycleCase


class OpenDoor:
    """Lets a given actor in, who may all that its role says."""

    def __init__(self, actor: Actor) -> None:
        self.who = actor
        self.pages: dict[str, Page] = {}

    def admit(self, head: Head) -> None:
        """Anything."""

    def enter(self, head: Head, needed: Role | None) -> Entry:
        if needed is not None and Role.named(self.who.role) < needed:
            raise Problem(403, "not you")
        return Entry(self.who)

    def cookie(self, session: str) -> str:
        return f"session={session}"


class ApiCase(LifecycleCase):
    """
    An edge on a bench, with its plugins in ``self.bench``, and its API.

    :ivar door: who asks.
    """

    def setUp(self) -> None:
        super().setUp()
        self.door = OpenDoor(Actor("http", "tester", "t1", "admin", "192.0.2.1"))
        self._api: Api | None = None

    @property
    def api(self) -> Api:
        """That of the edge, once it has started."""
        if self._api is None:
            self._api = Api(Router(self.operations()), lambda: succeed(None))
        return self._api

    def operations(self) -> list[Any]:
        """Those that there are."""
        return allOperations(self.bench.control)

    def ask(
        self, method: str, path: str, body: Any = None, fields: dict[str, str] | None = None, raw: bytes = b""
    ) -> Any:
        """
        What is answered, as JSON.

        :param path: below the prefix, with its query.
        :raises Problem: that is what is answered.
        """
        reply = self.reply(method, path, body, fields, raw)
        return reply if isinstance(reply, Stream) else json.loads(b"".join(reply.pieces) or b"null")

    def reply(
        self, method: str, path: str, body: Any = None, fields: dict[str, str] | None = None, raw: bytes = b""
    ) -> Reply | Stream:
        """The same, with all about it."""
        content = raw or (b"" if body is None else json.dumps(body).encode())
        headers = Headers({name.encode(): [value.encode()] for name, value in (fields or {}).items()})
        if content and not headers.hasHeader(b"content-type"):
            headers.setRawHeaders(b"content-type", [b"application/json"])
        place, _, query = path.partition("?")
        head = Head(method, f"/api/v1/{place}", query, headers, None)
        visit = self.api.visit(head, self.door)
        result: Reply | Stream = self.bench.result(self.api.perform(visit, content))
        return result

    def problem(self, status: int, method: str, path: str, *more: Any, **named: Any) -> Problem:
        """That something is answered with a problem of this status."""
        problem = self.assertRaises(Problem, self.ask, method, path, *more, **named)
        self.assertEqual(problem.status, status, problem.detail)
        return problem


__all__ = ["ApiCase", "OpenDoor"]
