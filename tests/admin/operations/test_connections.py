"""Tests for `revproxy.admin.operations.connections`."""

from __future__ import annotations

from revproxy.admin.operations.connections import connectionOperations
from revproxy.plan.counted import ConnectionNow
from revproxy.plan.words import Connections
from tests.admin.operations.controls import NOW, ControlCase


def idle(peer: str, since: float) -> ConnectionNow:
    """One without a request."""
    return ConnectionNow(peer, "tcp:80", "http", "1.1", since, 1, "idle")


def busy(peer: str, began: float) -> ConnectionNow:
    """One with a request."""
    return ConnectionNow(peer, "tcp:443", "https", "1.1", NOW - 500, 3, "answering", "shop", f"id-{peer}", began)


class ConnectionsTests(ControlCase):
    """``GET /connections``."""

    def setUp(self) -> None:
        super().setUp()
        self.offer(connectionOperations)
        self.workers[0].connections = Connections(0, 2, (busy("a", NOW - 5), idle("b", NOW - 9)))
        self.workers[1].connections = Connections(0, 5000, (busy("c", NOW - 70), idle("d", NOW - 100)))

    def test_order(self) -> None:
        """Of all workers: first those with a request, the oldest first; then the others."""
        answer = self.ask("listConnections")
        self.assertEqual((answer["count"], [each["peer"] for each in answer["items"]]), (5002, ["c", "a", "d", "b"]))
        first, last = answer["items"][0], answer["items"][-1]
        self.assertEqual((first["route"], first["request_id"], first["request_at"]), ("shop", "id-c", NOW - 70))
        self.assertEqual((last["route"], last["request_id"], last["request_at"]), (None, None, None))
        self.assertEqual((first["listener"], first["scheme"], first["requests"]), ("tcp:443", "https", 3))

    def test_limit(self) -> None:
        """So many at most."""
        self.assertEqual([each["peer"] for each in self.ask("listConnections", limit=1)["items"]], ["c"])

    def test_silent(self) -> None:
        """A worker that does not answer keeps nobody from hearing of the others."""
        self.workers[1].silent = True
        self.assertEqual(self.ask("listConnections")["count"], 2)
