"""Tests for `revproxy.worker.connectionreports`."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.plan.words import Connections
from revproxy.worker import connectionreports
from revproxy.worker.connectionreports import ConnectionReports
from tests.dataplane.doubles import EdgeDouble, RecordingLeaf

GET = b"GET / HTTP/1.1\r\nHost: x\r\nX-Request-Id: from-client\r\n\r\n"


class ConnectionReportsTests(SynchronousTestCase):
    """`ConnectionReports`."""

    def setUp(self) -> None:
        self.leaf = RecordingLeaf()
        self.double = EdgeDouble(self.leaf)
        self.double.clock.advance(100)
        self.told: list[Connections] = []
        endpoints: dict[Any, str] = {self.double.listener: "tcp:80"}
        self.reports = ConnectionReports(
            self.double.clock, self.double.edge, lambda: endpoints, self.told.append
        )

    def test_states(self) -> None:
        """What each is at."""
        new, idle, partial, busy, uploading = [self.double.connect(f"192.0.2.{number}") for number in range(5)]
        idle.send(GET)
        self.leaf.answer(0)
        partial.send(b"GET / HT")
        self.double.clock.advance(1)
        busy.send(GET)
        uploading.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab")
        self.reports.ask(7)
        (word,) = self.told
        states = {each.peer: each.state for each in word.items}
        self.assertEqual(states, {
            "192.0.2.0": "head", "192.0.2.1": "idle", "192.0.2.2": "head", "192.0.2.3": "answering",
            "192.0.2.4": "body"})  # fmt: skip
        self.assertEqual((word.asked, word.count), (7, 5))
        one = next(each for each in word.items if each.peer == "192.0.2.3")
        self.assertEqual((one.listener, one.scheme, one.protocol, one.since), ("tcp:80", "http", "1.1", 100.0))
        self.assertEqual((one.requests, one.route, one.requestAt), (1, "default", 101.0))
        self.assertTrue(one.requestId)
        self.assertEqual(new.server.stateName, "head")

    def test_oldestFirst(self) -> None:
        """First those with requests, the oldest first; not more than so many."""
        self.patch(connectionreports, "MOST", 3)
        clients = [self.double.connect(f"192.0.2.{number}") for number in range(5)]
        for at in (3, 1):
            clients[at].send(GET)
            self.double.clock.advance(1)
        self.reports.ask(1)
        self.assertEqual([each.peer for each in self.told[0].items][:2], ["192.0.2.3", "192.0.2.1"])
        self.assertEqual((len(self.told[0].items), self.told[0].count), (3, 5))

    def test_slices(self) -> None:
        """Where there are many, others have the loop between; who asks meanwhile is answered, too."""
        self.patch(connectionreports, "AT_ONCE", 2)
        self.patch(connectionreports, "_TOLD_AT_ONCE", 2)
        for number in range(5):
            self.double.connect(f"192.0.2.{number}").send(GET)
        self.reports.ask(1)
        self.reports.ask(2)
        self.assertEqual(self.told, [])
        self.double.settle()
        self.assertEqual([(word.asked, len(word.items)) for word in self.told], [(1, 5), (2, 5)])
        self.reports.ask(3)
        self.reports.stop()
        self.double.settle()
        self.assertEqual(len(self.told), 2)
