"""Doors with operations that tests can steer, and blocking clients that speak plain HTTP."""

from __future__ import annotations

import contextlib
import json
import socket
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from revproxy.admin.api import Api
from revproxy.admin.controlsocket import ControlSocket
from revproxy.admin.operation import Call, Operation, Parameter
from revproxy.admin.role import Role
from revproxy.admin.router import Router
from revproxy.admin.stream import Stream, StreamEvent, Tell
from revproxy.cli.edgeclient import EdgeClient
from revproxy.control.commands import CommandError, NotThere
from revproxy.control.socketfile import connect
from tests.socketfolder import socketFolder

reactor: Any = _reactor
PATIENCE = 60.0

_TEXT = {"type": "string", "maxLength": 20}


class OperationsDouble:
    """
    ``POST /do/NAME``, which does different things by its name; ``POST /rescue/NAME``; ``GET /echo``; ``GET /stream``.

    :ivar calls: what was called, in order.
    :ivar gate: what ``wait`` waits for.
    :ivar told: functions that tell the streams something.
    :ivar stopped: how many streams are over.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.actors: list[Any] = []
        self.finished: list[str] = []
        self.gate: Deferred[str] = Deferred()
        self.waits = ""
        self.told: list[Tell] = []
        self.stopped = 0
        self.last: list[str | None] = []

    async def do(self, call: Call) -> Any:
        name = call.values["name"]
        self.calls.append((name, call.body))
        self.actors.append(call.actor)
        if name == "refuse":
            raise CommandError("not today")
        if name == "missing":
            raise NotThere("what?")
        if name == "break":
            raise ZeroDivisionError("ours")
        if name == "nojson":
            return object()
        if name in ("wait", self.waits):
            await self.gate
            self.finished.append(name)
        if name == "big":
            return "x" * (1 << 20)
        if name == "long":
            return {"items": [{"number": number} for number in range(100_000)]}
        return {"called": name, "body": call.body}

    async def echo(self, call: Call) -> Any:
        return dict(call.values)

    async def stream(self, call: Call) -> Any:
        self.last.append(call.lastEventId)

        def begin(tell: Tell) -> Any:
            self.told.append(tell)
            return self._stop

        return Stream(begin)

    def tell(self, data: Any, id: str = "") -> None:
        for tell in list(self.told):
            tell(StreamEvent(data, id=id))

    def _stop(self) -> None:
        self.stopped += 1

    def operations(self) -> list[Operation]:
        named = Parameter("name", "Which.", _TEXT, "path", required=True)
        body = {"type": "object", "properties": {"version": {"type": ["string", "null"]}}}
        whole = {"type": "integer", "minimum": 1, "default": 7}
        query = (
            Parameter("number", "A number.", whole),
            Parameter("flag", "A flag.", {"type": "boolean", "default": False}),
            Parameter("share", "A share.", {"type": "number"}),
            Parameter("word", "Words.", {"type": "array", "items": _TEXT, "maxItems": 3}),
            Parameter("text", "A text.", _TEXT),
        )
        return [
            Operation("POST", "/do/{name}", Role.OPERATE, "do", "Does.", self.do, (named,), body),
            Operation(
                "POST", "/rescue/{name}", Role.OPERATE, "rescue", "Rescues.", self.do, (named,), body, isRescue=True
            ),
            Operation("GET", "/echo", Role.READ, "echo", "Says it again.", self.echo, query),
            Operation("GET", "/stream", Role.READ, "stream", "Goes on.", self.stream, streams=True),
        ]


def request(
    path: str = "do/x", method: str = "POST", body: bytes = b"", fields: tuple[str, ...] = (), host: str = "edge"
) -> bytes:
    """A request, as bytes."""
    lines = [f"{method} {path if path.startswith('/') else f'/api/v1/{path}'} HTTP/1.1", f"Host: {host}", *fields]
    if body:
        lines += ["Content-Type: application/json"]
    if body or method in ("POST", "PUT"):
        lines += [f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Answered:
    """One answer, taken apart."""

    def __init__(self, status: int, fields: dict[str, str], body: bytes) -> None:
        self.status = status
        self.fields = fields
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class RawClient:
    """A blocking connection that reads answers with a length."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._unread = b""

    def answers(self, count: int) -> list[Answered]:
        """The next ones; fewer at the end of the connection."""
        found = []
        while len(found) < count and (one := self._answer()) is not None:
            found.append(one)
        return found

    def _more(self) -> bool:
        data = self.socket.recv(1 << 18)
        self._unread += data
        return bool(data)

    def _answer(self) -> Answered | None:
        while b"\r\n\r\n" not in self._unread:
            if not self._more():
                return None
        head, _, self._unread = self._unread.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = int(fields["content-length"])
        while len(self._unread) < length:
            if not self._more():
                return None
        body, self._unread = self._unread[:length], self._unread[length:]
        return Answered(int(first.split()[1]), fields, body)


class DoorCase(TestCase):
    """A control socket in a folder of its own, before operations that tests can steer."""

    timeout = 180

    def setUp(self) -> None:
        # In a short path: test_longPath is the one about long ones.
        self.path = socketFolder(self) / "control.sock"
        self.double = OperationsDouble()
        self.api = Api(Router(self.double.operations()), lambda: deferLater(reactor, 0))
        self.socket = self.opened(self.path)

    def opened(self, path: Any) -> ControlSocket:
        made = ControlSocket(reactor, path, self.api)
        made.open()
        self.addCleanup(lambda: Deferred.fromCoroutine(made.close()))
        return made

    def call(self, name: str, path: Any = None, timeout: float = PATIENCE, kind: str = "do", **body: Any) -> Any:
        client = EdgeClient(path or self.path)
        return deferToThread(client.ask, "POST", f"{kind}/{name}", None, body, timeout)

    def client(self) -> RawClient:
        one = connect(self.path, PATIENCE)
        self.addCleanup(one.close)
        return RawClient(one)

    async def until(self, fact: Any) -> None:
        ends = reactor.seconds() + PATIENCE
        while not fact():
            if reactor.seconds() > ends:
                self.fail("it did not come to pass")
            await deferLater(reactor, 0.002)

    async def answers(self, one: RawClient, count: int) -> list[Answered]:
        """The next answers; fewer at the end of the connection."""
        result: list[Answered] = await deferToThread(one.answers, count)
        return result

    async def asked(self, data: bytes, count: int = 1) -> list[Answered]:
        """What a new connection is answered."""
        one = self.client()

        def ask() -> list[Answered]:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                one.socket.sendall(data)
            return one.answers(count)

        result: list[Answered] = await deferToThread(ask)
        return result
