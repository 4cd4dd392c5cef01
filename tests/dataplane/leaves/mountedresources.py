"""Resources, mounted behind the edge's own connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from revproxy.dataplane.leaves.mounted import MountedLeaf
from revproxy.dataplane.routing import Route, Tree
from tests.dataplane.doubles import ClientDouble, EdgeDouble


class Page(Resource):
    """Calls a function for every request, whatever its method."""

    isLeaf = True

    def __init__(self, render: Callable[[Any], Any]) -> None:
        super().__init__()
        self.render = render  # type: ignore[method-assign]


class Threads:
    """
    Calls at once, and answers with a Deferred as a thread would.

    :ivar held: a list that takes the calls instead, to be made later.
    """

    def __init__(self) -> None:
        self.held: list[Callable[[], None]] | None = None

    def __call__(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        if self.held is None:
            return maybeDeferred(function, *arguments)
        result: Deferred[Any] = Deferred()
        self.held.append(lambda: result.callback(function(*arguments)))
        return result


class MountedCase(SynchronousTestCase):
    """A resource mounted at a prefix."""

    def mount(self, resource: Any, prefix: str = "/app/", **options: Any) -> None:
        self.edge = EdgeDouble(routes=[])
        self.threads = Threads()
        self.leaf = MountedLeaf(resource, prefix.encode(), self.edge.clock, self.threads, **options)
        self.edge.generation.find = Tree([Route("m", b"", prefix.encode(), self.leaf)]).find

    def send(self, data: bytes) -> ClientDouble:
        client = self.edge.connect()
        client.send(data)
        return client

    def get(
        self, target: str = "/app/", fields: str = "", method: str = "GET", host: str = "a.example"
    ) -> ClientDouble:
        return self.send(f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n".encode("latin-1"))

    def post(self, body: bytes, fields: str = "") -> ClientDouble:
        head = f"POST /app/ HTTP/1.1\r\nHost: a.example\r\n{fields}Content-Length: {len(body)}\r\n\r\n"
        return self.send(head.encode() + body)

    def body(self, client: ClientDouble) -> bytes:
        head, _, body = client.received().partition(b"\r\n\r\n")
        self.head = head
        return body
