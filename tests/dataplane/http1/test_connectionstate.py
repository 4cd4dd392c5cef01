"""Tests for :mod:`revproxy.dataplane.http1.connectionstate`: what leads from one state to another."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.context import Headers, Response
from revproxy.dataplane.http1.connectionstate import BODY, BUSY, CLOSED, HEAD, LINGER, TUNNEL, State
from tests.dataplane.http1.served import CHUNKED, GET, Recorded, post
from tests.dataplane.http1.test_server import TunnelDouble


class TransitionTests(SynchronousTestCase):
    """As in the picture."""

    def setUp(self) -> None:
        self.recorded = Recorded()
        self.client = self.recorded.client

    def at(self, state: State) -> None:
        self.assertIs(self.client.server._state, state)

    def test_withoutBody(self) -> None:
        """From HEAD to BUSY, and back after the answer."""
        self.at(HEAD)
        self.client.send(GET[:5])
        self.at(HEAD)
        self.client.send(GET[5:])
        self.at(BUSY)
        self.recorded.leaf.answer(0)
        self.at(HEAD)

    def test_withBody(self) -> None:
        """BODY lies between them, until the body is whole; an answer before that changes nothing."""
        self.client.send(post(5) + b"ab")
        self.at(BODY)
        self.recorded.leaf.answer(0)
        self.at(BODY)
        self.client.send(b"cde")
        self.at(HEAD)
        self.client.send(CHUNKED)
        self.at(BODY)
        self.client.send(b"0\r\n\r\n")
        self.at(BUSY)

    def test_refused(self) -> None:
        """What is no request leads to LINGER, which ends when its time is over."""
        self.client.send(b"nonsense\r\n\r\n")
        self.at(LINGER)
        self.recorded.edge.pass_(3)
        self.assertEqual(self.client.end, "abort")

    def test_tunnel(self) -> None:
        """After 101 there is no way back but the end."""
        self.client.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
        tunnel = TunnelDouble()
        headers = Headers([(b"upgrade", b"Upgrade", b"x")])
        self.client.server.switchProtocols(Response(101, None, headers, None), tunnel)
        self.at(TUNNEL)
        self.client.leave()
        self.at(CLOSED)
