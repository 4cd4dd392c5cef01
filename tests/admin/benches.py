"""An edge on a bench, with all of its API: the table, the doors, tokens and sessions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import maybeDeferred
from twisted.web.http_headers import Headers

from revproxy.admin.admin import Admin
from revproxy.admin.door import Head
from revproxy.admin.listenerdoor import ListenerDoor
from revproxy.admin.problem import Problem
from revproxy.admin.reply import Reply
from revproxy.admin.role import Role
from revproxy.admin.stream import Stream
from tests.control.test_coordinator import LifecycleCase


class FakeConnection:
    """By which a request came."""

    def __init__(self, host: str = "192.0.2.7") -> None:
        self.host = host
        self.isUrgent = False

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", self.host, 1234)


@dataclass
class Said:
    """One answer."""

    status: int
    headers: dict[str, str]
    json: Any


class AdminCase(LifecycleCase):
    """
    :ivar admin: of an edge with one plugin, ``a``.
    :ivar door: of the listener.
    :ivar host: by which it is asked.
    :ivar connection: by which it is asked.
    """

    def setUp(self) -> None:
        super().setUp()
        self.bench.write("a")
        self.bench.start()
        self.open()

    def open(self) -> None:
        """There is an API."""
        self.admin = Admin(self.bench.clock, self.bench.control, self.bench.state, None, maybeDeferred)
        self.door: ListenerDoor = self.admin.door
        self.api = self.admin.api
        self.api._turn = lambda: maybeDeferred(lambda: None)
        self.door.port = 9900
        self.host = "127.0.0.1:9900"
        self.connection = FakeConnection()
        self.audited: list[tuple[str, str, str, str]] = []
        record = self.bench.control.audit.record

        def audit(actor: Any, action: str, target: str = "", **more: Any) -> None:
            self.audited.append((actor.name, action, target, more.get("result", "done")))
            record(actor, action, target, **more)

        self.bench.control.audit.record = audit  # type: ignore[method-assign]

    def token(self, role: Role, name: str = "ann") -> tuple[str, str]:
        """The id of a new token, and it."""
        record, token = self.admin.tokens.new(name, role, 86400.0, "root")
        return record.id, token

    def head(self, method: str, path: str, fields: dict[str, str] | None = None, token: str = "") -> Head:
        every = {"Host": self.host, **({"Authorization": f"Bearer {token}"} if token else {}), **(fields or {})}
        headers = Headers({name.encode(): [value.encode("latin-1")] for name, value in every.items()})
        place, _, query = path.partition("?")
        return Head(method, place if place.startswith("/") else f"/api/v1/{place}", query, headers, self.connection)

    def ask(
        self, method: str, path: str, body: Any = None, fields: dict[str, str] | None = None, token: str = ""
    ) -> Said:
        """What is answered, also if that is a problem."""
        content = b"" if body is None else json.dumps(body).encode()
        kind = {} if body is None else {"Content-Type": "application/json"}
        try:
            visit = self.api.visit(self.head(method, path, {**kind, **(fields or {})}, token), self.door)
            result: Reply | Stream = self.bench.result(self.api.perform(visit, content))
        except Problem as problem:
            return Said(problem.status, problem.headers, problem.asDict())
        assert isinstance(result, Reply)
        data = b"".join(result.pieces)
        isJSON = "json" in result.headers.get("Content-Type", "")
        return Said(result.status, dict(result.headers), json.loads(data) if isJSON and data else data)


__all__ = ["AdminCase", "FakeConnection", "Said"]
