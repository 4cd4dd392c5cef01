"""Tests for :mod:`revproxy.dataplane.net.servertransport`."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.protocol import Protocol
from twisted.trial.unittest import SynchronousTestCase

from revproxy.addresses import AddressSet
from revproxy.dataplane.net.eagerserver import EagerServer, EagerUNIXServer
from revproxy.dataplane.net.proxyprotocol import ProxyHeaders
from revproxy.dataplane.net.servertransport import serverTransport
from revproxy.dataplane.net.tlscontexts import ServerContexts
from revproxy.dataplane.net.tlsserver import TLSServer, TLSUNIXServer
from tests.dataplane.net.tlscase import OPEN, makeHost


class NoReactor:
    """Watches nothing."""

    def addReader(self, reader: Any) -> None:
        """Part of IReactorFDSet."""

    removeReader = addWriter = removeWriter = addReader


class KindTests(SynchronousTestCase):
    """Which class of transport it becomes."""

    def made(self, transport: Any, family: int) -> Any:
        """What becomes of an accepted socket."""
        ours, theirs = socket.socketpair(socket.AF_UNIX)
        if family == socket.AF_INET:
            ours.close()
            theirs.close()
            with socket.create_server(("127.0.0.1", 0)) as server:
                theirs = socket.create_connection(server.getsockname())
                ours, _ = server.accept()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        ours.setblocking(False)
        client = ("127.0.0.1", 50000) if family == socket.AF_INET else None
        return transport(ours, Protocol(), client, None, 0, NoReactor())

    def test_kinds(self) -> None:
        """Plain or TLS, TCP or UNIX, by one function for all ports of a listener."""
        contexts = ServerContexts({}, makeHost(OPEN))
        for given, family, kind in (
            (None, socket.AF_INET, EagerServer),
            (None, socket.AF_UNIX, EagerUNIXServer),
            (contexts, socket.AF_INET, TLSServer),
            (contexts, socket.AF_UNIX, TLSUNIXServer),
        ):
            made = self.made(serverTransport(given), family)
            self.assertIsInstance(made, kind)
            self.assertNotIsInstance(made, ProxyHeaders)
            if given is not None:
                self.assertIs(made.contexts, contexts)

    def test_proxyHeader(self) -> None:
        """Behind a proxy that is trusted, a header comes first; what is counted is counted per listener."""
        trusted = AddressSet(["127.0.0.1"])
        first, second = serverTransport(None, trusted), serverTransport(None, trusted)
        made = [self.made(transport, socket.AF_INET) for transport in (first, first, second)]
        for transport in made:
            self.assertIsInstance(transport, ProxyHeaders)
            self.assertIsInstance(transport, EagerServer)
            self.assertIs(transport.trusted, trusted)
        self.assertIs(made[0].refusals, made[1].refusals)
        self.assertIsNot(made[0].refusals, made[2].refusals)
