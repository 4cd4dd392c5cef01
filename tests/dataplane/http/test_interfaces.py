"""What the data plane's parts ask of each other is there: see :mod:`revproxy.dataplane.http.interfaces`."""

from __future__ import annotations

import inspect
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from revproxy.dataplane.http.interfaces import (
    IClientConnection,
    IClientStream,
    IDeadlines,
    IEdge,
    IExchange,
    ILeaf,
    IListener,
)
from tests.dataplane.doubles import EdgeDouble, RecordingLeaf

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def members(protocol: Any) -> set[str]:
    """The names that a protocol of :mod:`typing` has."""
    return {name for name in vars(protocol) if not name.startswith("_")} | set(protocol.__annotations__)


class ConformanceTests(SynchronousTestCase):
    """The classes that the interfaces stand for have what those say; mypy compares the types."""

    def setUp(self) -> None:
        self.leaf = RecordingLeaf()
        self.edge = EdgeDouble(self.leaf)
        self.client = self.edge.connect()
        self.client.send(GET)

    def test_declared(self) -> None:
        """The connection is a stream, and a leaf is one."""
        self.assertTrue(verifyObject(IClientStream, self.client.server))
        self.assertTrue(verifyObject(ILeaf, self.leaf))

    def test_protocols(self) -> None:
        """Every member is there, and a method takes the same arguments by the same names."""
        provided: tuple[tuple[Any, Any], ...] = (
            (IEdge, self.edge.edge),
            (IListener, self.edge.listener),
            (IExchange, self.leaf.exchanges[0]),
            (IClientConnection, self.client.server),
            (IDeadlines, self.edge.edge.deadlines),
        )
        for protocol, provider in provided:
            self.assertGreater(len(members(protocol)), 2, protocol)
            for name in members(protocol):
                self.assertTrue(hasattr(provider, name), f"{protocol.__name__}.{name}")
                asked = vars(protocol).get(name)
                if inspect.isfunction(asked):
                    wanted = list(inspect.signature(asked).parameters)[1:]
                    got = list(inspect.signature(getattr(provider, name)).parameters)
                    self.assertEqual(got, wanted, f"{protocol.__name__}.{name}")

    def test_asksNoMore(self) -> None:
        """A connection gets along with a listener that has these members and no others."""

        class Only:
            def __init__(self, provider: Any, protocol: Any) -> None:
                vars(self).update({name: getattr(provider, name) for name in members(protocol)})

        listener, edge = self.edge.listener, self.edge.edge
        narrow = Only(listener, IListener)
        narrow.edge = Only(edge, IEdge)  # type: ignore[attr-defined]
        narrow.edge.deadlines = Only(edge.deadlines, IDeadlines)  # type: ignore[attr-defined]
        server = type(self.client.server)(narrow)  # type: ignore[arg-type]
        transport = self.client.transport
        server.makeConnection(transport)
        server.dataReceived(GET + b"nonsense\r\n\r\n")
        self.leaf.answer(1, b"hi")
        received = self.client.received()
        self.assertIn(b"HTTP/1.1 200 ", received)
        self.assertIn(b"HTTP/1.1 400 ", received)
        self.edge.pass_(5)
        self.assertEqual(self.client.end, "abort")
