"""Names of origins are resolved anew for each connection: an origin that has moved is found without a restart."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHostnameResolver, IHostResolution, IResolutionReceiver
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from revproxy.config.configfile import parseConfig
from revproxy.loop.deadlines import Deadlines
from revproxy.worker.routetable import makeRouteTable
from revproxy.worker.upstreamfactory import Parts, PluginClient


@implementer(IHostResolution)
class Resolution:
    """One answer."""

    def __init__(self, name: str) -> None:
        self.name = name

    def cancel(self) -> None:
        """It was given at once."""


@implementer(IHostnameResolver)
class Resolver:
    """
    Gives the addresses it was told, one for each question.

    :ivar asked: the names.
    """

    def __init__(self, *addresses: str) -> None:
        self._addresses = list(addresses)
        self.asked: list[str] = []

    def resolveHostName(
        self, receiver: IResolutionReceiver, name: str, portNumber: int = 0, *_: Any, **__: Any
    ) -> Resolution:
        self.asked.append(name)
        resolution = Resolution(name)
        receiver.resolutionBegan(resolution)
        receiver.addressResolved(IPv4Address("TCP", self._addresses.pop(0), portNumber))
        receiver.resolutionComplete()
        return resolution


class MovingTests(TestCase):
    """An origin whose name leads elsewhere after the first connection."""

    async def test_moved(self) -> None:
        """The second connection goes to the second address."""
        resolver = Resolver("127.0.0.1", "127.0.0.2")
        before = reactor.installNameResolver(resolver)
        self.addCleanup(reactor.installNameResolver, before)
        with socket.create_server(("0.0.0.0", 0)) as origin:
            port = origin.getsockname()[1]
            target = f"http://origin.test:{port}"
            text = f"listeners: [{{endpoint: 'tcp:0'}}]\nupstreams: {{app: {{targets: ['{target}']}}}}\n"
            config = parseConfig(text, "revproxy.yaml", Path.cwd())
            clock = Clock()
            parts = Parts(reactor, Deadlines(clock, 0.5), Deadlines(clock, 0.02))
            table = makeRouteTable(config, parts, PluginClient(config, parts).client)
            pool = table.upstreams["app"][1].targets[0].pool
            origin.settimeout(60)
            for address in ("127.0.0.1", "127.0.0.2"):
                connected: Deferred[Any] = pool._connect(pool._build)
                connection = await connected
                accepted, _ = origin.accept()
                self.assertEqual(accepted.getsockname()[0], address)
                accepted.close()
                connection.abort()
        self.assertEqual(resolver.asked, ["origin.test"] * 2)
