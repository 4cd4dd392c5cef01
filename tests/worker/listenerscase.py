"""A set of listeners with real sockets and a clock that stands still."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.configfile import parseConfig
from revproxy.config.document import Document
from revproxy.config.settings import Config, ListenerConfig
from revproxy.control.certificatefiles import CertificateReader
from revproxy.dataplane.http.limits import Timeouts
from revproxy.loop.jobthread import JobThread
from revproxy.plan.plan import Plan
from revproxy.plan.words import CertificateState, Prepare
from revproxy.worker.listeners import ListenerSet
from revproxy.worker.participant import Refused
from tests.coordinators import Loopless
from tests.dataplane.doubles import EdgeDouble, RecordingLeaf
from tests.socketfolder import socketFolder

NOWHERE = Document("r.yaml", None)
PLAIN = parseConfig("listeners: [{endpoint: 'tcp:1'}]\nroutes: [{respond: {}}]\n", "r.yaml", Path("/"))
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def on(port: int, **settings: Any) -> ListenerConfig:
    return ListenerConfig(f"tcp:{port}:interface=127.0.0.1", **settings)


def prepareWord(
    configs: Sequence[ListenerConfig], reader: CertificateReader, document: Document = NOWHERE, starts: bool = True
) -> Prepare:
    """A plan with these listeners, and the certificates that are on the disk now."""
    config: Config = replace(PLAIN, listeners=tuple(configs), document=document)
    return Prepare(1, Plan(1, config, {}, (), (), certificates=reader.read(config)), starts)


class ListenersCase(SynchronousTestCase):
    """
    A set whose ports accept when they are told to.

    :ivar told: what control was told of certificates.
    """

    def setUp(self) -> None:
        self.reactor: Any = Loopless()
        self.leaf = RecordingLeaf()
        self.double = EdgeDouble(self.leaf, timeouts=Timeouts(drain=10))
        self.told: list[CertificateState] = []
        self.reader = CertificateReader()
        files = JobThread(self.reactor, self.inThread)
        self.set = ListenerSet(self.reactor, self.double.edge, files, self.told.append)
        self.addCleanup(lambda: self.done(self.set.stop()))

    def inThread(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        """At once."""
        return maybeDeferred(function, *arguments)

    def socketPath(self) -> Path:
        """A file of the test's own."""
        return socketFolder(self) / "unix"

    def word(self, configs: Sequence[ListenerConfig], document: Document = NOWHERE, starts: bool = True) -> Prepare:
        """As `prepareWord`."""
        return prepareWord(configs, self.reader, document, starts)

    def begin(self, work: Any) -> Deferred[Any]:
        """A coroutine, after as many turns as ports need to close."""
        deferred = Deferred.fromCoroutine(work)
        for _ in range(5):
            self.reactor.advance(0)
        return deferred

    def done(self, work: Any) -> Any:
        """The result of a coroutine."""
        return self.successResultOf(self.begin(work))

    def failed(self, work: Any, kind: type[Exception] = Refused) -> str:
        """How it failed."""
        return str(self.failureResultOf(self.begin(work), kind).value)

    def prepare(self, *configs: ListenerConfig) -> None:
        """What is to be is bound."""
        self.done(self.set.prepare(self.word(configs)))

    def refused(self, *configs: ListenerConfig) -> str:
        """Why these cannot be."""
        return self.failed(self.set.prepare(self.word(configs)))

    def become(self, *configs: ListenerConfig) -> list[Any]:
        """:return: the ports afterwards."""
        self.prepare(*configs)
        self.done(self.set.ready())
        self.set.commit()
        return self.set.ports

    def accepting(self) -> list[Any]:
        """Ports that the reactor looks at."""
        return [reader for reader in self.reactor.getReaders() if hasattr(reader, "acceptRest")]

    def refuses(self, port: int) -> bool:
        """Whether nobody listens there."""
        for _ in range(3):
            self.reactor.advance(0)
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            return True
        return False
