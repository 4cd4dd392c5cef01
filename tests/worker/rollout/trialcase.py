"""A worker with versions on trial, and clients that come to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from revproxy.dataplane.listener import Listener
from revproxy.plan.catalog import CatalogEntry
from revproxy.plan.plan import Plan
from revproxy.plan.trial import Trial
from revproxy.requestrecord import RequestRecord
from tests.dataplane.doubles import TransportDouble
from tests.trials import onTrial
from tests.worker.workers import WorkerCase, entry

ANSWERS = """
    def handle(self, context):
        seen = context.request.headers.get("x-seen") or ""
        context.request.headers.set("X-Seen", seen + {says!r} + self.config.get("mark", "") + ";")
        if not self.config.get("last"):
            return True
        return context.respond(200, context.request.headers.get("x-seen"), {{"Cache-Control": "no-store"}})
{body}
"""


def answering(name: str, number: str = "1.0", body: str = "", interfaces: str = "", **manifest: Any) -> CatalogEntry:
    """A plugin that adds its name and version to a field; with ``last`` in its configuration it answers with that."""
    code = ANSWERS.format(says=f"{name} {number}", body=body)
    return entry(name, number, code, interfaces, **manifest)


class Records:
    """In the place of the recorder of requests."""

    def __init__(self) -> None:
        self.found: list[RequestRecord] = []

    def record(self, record: RequestRecord) -> None:
        self.found.append(record)


class TrialCase(WorkerCase):
    """
    One route.

    :ivar records: of requests that are over.
    """

    def setUp(self) -> None:
        super().setUp()
        self.settings = self.config()
        self.records = Records()
        self.number = 0

    def runs(self, *entries: CatalogEntry, tried: Sequence[tuple[Trial, Sequence[CatalogEntry]]] = ()) -> Plan:
        """From now on these run, and those are on trial."""
        self.number += 1
        plan = onTrial(self.plan(self.number, self.settings, *entries), *tried)
        self.become(plan)
        self.worker.edge.recorder = self.records  # type: ignore[assignment]
        return plan

    def ask(self, host: str = "192.0.2.1", *headers: str, path: str = "/", method: str = "GET") -> bytes:
        """:returns: the whole answer that a client of this address gets."""
        transport = TransportDouble(host)
        server = self.connect(transport)
        lines = [f"{method} {path} HTTP/1.1", "Host: h", "Connection: close", *headers, "", ""]
        server.dataReceived("\r\n".join(lines).encode())
        self.elapse(lambda: transport.end is not None)
        self.lose(server)
        return bytes(transport.sent)

    def connect(self, transport: TransportDouble) -> Any:
        """A connection that stays until it is lost."""
        server = Listener(self.worker.edge, tls=False).buildProtocol(transport.getPeer())
        assert server is not None
        server.makeConnection(transport)
        return server

    def lose(self, server: Any) -> None:
        """It ends."""
        server.connectionLost(Failure(ConnectionDone()))

    def seen(self, host: str = "192.0.2.1", *headers: str, path: str = "/") -> Any:  # type: ignore[override]
        """What the plugins that it came to say of themselves."""
        return self.ask(host, *headers, path=path).partition(b"\r\n\r\n")[2].decode()
