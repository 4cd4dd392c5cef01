"""
The listeners of a running edge, and how they become other ones.

A change has three steps. :meth:`ListenerSet.load` reads what the new listeners need, :meth:`ListenerSet.bind` binds the
ports that are new and lets nobody in yet, :meth:`ListenerSet.commit` makes it so: at once, and it cannot fail. Until
then :meth:`ListenerSet.discard` gives the change up, and nobody has noticed. Changes are made one at a time.

What happens to a listener is decided by its endpoint, as it is written, wherever it stands in the list:

- settings are the same: nothing. Not bound again, certificates not read again;
- other settings: the port goes on listening, and what it accepts from now on has the new ones. Certificates are kept
  when ``tls`` is the same, so that sessions can be resumed;
- new: bound, and accepting when committed;
- gone: who already waits is let in, then the port closes.

Connections with settings that are no longer true finish the request they are at, and close.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from errno import EADDRINUSE, ECANCELED
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.logger import Logger

from revproxy.addresses import AddressSet
from revproxy.config.document import Document
from revproxy.config.problems import ConfigErrors
from revproxy.config.settings import ListenerConfig, TLSConfig
from revproxy.dataplane.edge import Edge
from revproxy.dataplane.listener import Listener
from revproxy.dataplane.net.eagerreactor import EagerReactor, described
from revproxy.dataplane.net.servertransport import serverTransport
from revproxy.dataplane.net.tlscontexts import ServerContexts
from revproxy.worker.certificates import CertificateError, CertificateFolder

_ALL = frozenset(("", "0.0.0.0", "::"))


class Certificates:
    """The certificates of one listener, looked at again and again once they are in use."""

    def __init__(self, settings: TLSConfig) -> None:
        """
        Read them.

        :raises CertificateError: as :meth:`CertificateFolder.read`.
        """
        self._folder = CertificateFolder(settings)
        self.contexts: ServerContexts = self._folder.contexts()
        self._stop: Callable[[], None] | None = None

    def watch(self, clock: Any) -> None:
        """Begin to look for changes, if that has not begun."""
        if self._stop is None:
            self._stop = self._folder.watch(clock, self.contexts)

    def unwatch(self) -> None:
        """Look no more."""
        stop, self._stop = self._stop, None
        if stop is not None:
            stop()


class Listening:
    """
    One listener as it runs, or is about to.

    :ivar config: what it was made from.
    :ivar listener: makes its connections' protocols.
    :ivar transport: makes their transports.
    :ivar port: what it listens on; None until it is bound, or has taken over that of its predecessor.
    """

    def __init__(self, config: ListenerConfig, certificates: Certificates | None, edge: Edge) -> None:
        contexts = None if certificates is None else certificates.contexts
        trusted = AddressSet(config.trustedProxies)
        guards = None
        if contexts is not None and config.tls is not None and (config.tls.clientAuth or config.tls.hosts):
            guards = _guard(contexts)
        self.config = config
        self.certificates = certificates
        self.listener = Listener(edge, tls=contexts is not None, trusted=trusted or None, guards=guards)
        self.transport = serverTransport(contexts, trusted if config.proxyProtocol else None)
        self.port: Any = None


class Prepared:
    """
    A change that can still be given up.

    :ivar listeners: all that there are to be, in the order of the configuration.
    :ivar replaced: for those that take over a port: whose.
    """

    def __init__(self, listeners: Sequence[Listening], replaced: dict[Listening, Listening]) -> None:
        self.listeners = tuple(listeners)
        self.replaced = replaced

    @property
    def unbound(self) -> list[Listening]:
        """Those that need a port of their own and have none yet."""
        return [one for one in self.listeners if one.port is None and one not in self.replaced]


class ListenerSet:
    """
    All listeners of an edge.

    :param reactor: a POSIX reactor.
    """

    _log = Logger()

    def __init__(self, reactor: Any, edge: Edge) -> None:
        self._reactor = reactor
        self._eager = EagerReactor(reactor)
        self._edge = edge
        self._running: tuple[Listening, ...] = ()
        self._waiting: list[Listening] = []
        self._closing: list[Awaitable[Any]] = []
        self._hardStops: list[Any] = []
        self._stopped = False

    @property
    def ports(self) -> list[Any]:
        """What is accepted on, in the order of the configuration."""
        return [one.port for one in self._running]

    def load(self, configs: Sequence[ListenerConfig], where: Document) -> Prepared:
        """
        Make what can be made without a port. Reads certificates, changes nothing; may run in a thread while no other
        change is under way.

        :param where: the document they come from, for positions.
        :raises ConfigErrors: if a listener has no certificate that can be used.
        """
        before = {one.config.endpoint: one for one in self._running}
        listeners: list[Listening] = []
        replaced: dict[Listening, Listening] = {}
        problems = []
        for index, config in enumerate(configs):
            old = before.pop(config.endpoint, None)
            if old is not None and old.config == config:
                listeners.append(old)
                continue
            try:
                new = Listening(config, _certificatesFor(config, old), self._edge)
            except (CertificateError, OSError) as error:
                texts = error.problems if isinstance(error, CertificateError) else (f"cannot be read: {error}",)
                problems += [where.problem(("listeners", index, "tls", "certificates"), text) for text in texts]
                continue
            listeners.append(new)
            if old is not None:
                replaced[new] = old
        if problems:
            raise ConfigErrors(problems)
        return Prepared(listeners, replaced)

    async def bind(self, prepared: Prepared) -> None:
        """
        Bind what is new; who connects waits in the kernel until :meth:`commit`.

        :raises CannotListenError, OSError: naming the address; what was bound is closed again.
        """
        await self._closed()
        try:
            for one in prepared.unbound:
                if self._stopped:
                    raise OSError(ECANCELED, "the edge is being stopped", one.config.endpoint)
                port = await self._bound(one)
                port.transport = one.transport
                port.stopReading()
                one.port = port
                self._waiting.append(one)
        except Exception:  # an endpoint may be a plugin of Twisted's; also when it is cancelled
            await self.discard(prepared)
            raise

    def commit(self, prepared: Prepared) -> None:
        """Make it so. Has to be bound. Nothing happens if everything has been stopped meanwhile."""
        if self._stopped:
            return
        before, self._running = self._running, prepared.listeners
        for one in prepared.listeners:
            old = prepared.replaced.get(one)
            if old is not None:
                self._takeOver(one, old)
            elif one in self._waiting:
                self._waiting.remove(one)
                one.port.startReading()
                self._log.info("listening on {address}", address=described(one.port.getHost()))
        kept = {one.certificates for one in prepared.listeners}
        for old in before:
            if old.certificates is not None and old.certificates not in kept:
                old.certificates.unwatch()
            if old not in prepared.listeners and old not in prepared.replaced.values():
                self._end(old)
        for one in prepared.listeners:
            if one.certificates is not None:
                one.certificates.watch(self._reactor)

    async def discard(self, prepared: Prepared) -> None:
        """Give it up: ports bound for it are closed."""
        for one in prepared.listeners:
            if one in self._waiting:
                self._waiting.remove(one)
                self._close(one.port)
                one.port = None
        await self._closed()

    async def stop(self) -> None:
        """Accept nothing more and watch nothing; connections are left to :meth:`Edge.drain`."""
        self._stopped = True
        for hardStop in self._hardStops:
            if hardStop.active():
                hardStop.cancel()
        for one in self._running:
            if one.certificates is not None:
                one.certificates.unwatch()
        for one in (*self._running, *self._waiting):
            self._close(one.port)
        self._running = ()
        self._waiting.clear()
        await self._closed()

    async def _bound(self, one: Listening) -> Any:
        """:raises CannotListenError, OSError: naming the address."""
        endpoint = one.config.endpoint
        try:
            return await serverFromString(self._eager, endpoint).listen(one.listener)
        except CannotListenError as error:
            ours = self._holder(error.interface, error.port)
            if ours is None:
                raise
            text = f'this edge listens there already, as "{ours}"; take that away first, then add this'
            raise CannotListenError(error.interface, error.port, OSError(EADDRINUSE, text)) from error
        except OSError as error:  # of a Unix socket's lock: it names that, and our process
            raise OSError(error.errno, error.strerror, endpoint) from error

    def _holder(self, interface: str | None, port: Any) -> str | None:
        """The endpoint of ours that has this address, or one that includes it."""
        for one in (*self._running, *self._waiting):
            # Of Unix sockets, Twisted has the path as it was given, and as bytes.
            names = [getattr(one.port, name, None) for name in ("port", "_realPortNumber", "_bindPath")]
            if port and port in names and _overlap(interface, getattr(one.port, "interface", None)):
                return one.config.endpoint
        return None

    def _takeOver(self, new: Listening, old: Listening) -> None:
        new.port = old.port
        new.port.factory = new.listener
        new.port.transport = new.transport
        old.listener.drain()
        self._log.info("listening on {address} with other settings", address=described(new.port.getHost()))

    def _end(self, old: Listening) -> None:
        address = described(old.port.getHost())
        old.port.acceptRest()
        self._close(old.port)
        old.listener.drain()
        self._hardStops = [one for one in self._hardStops if one.active()]
        self._hardStops.append(self._reactor.callLater(self._edge.timeouts.drain, old.listener.breakOff))
        self._log.info("no longer listening on {address}", address=address)

    def _close(self, port: Any) -> None:
        self._closing.append(maybeDeferred(port.stopListening))

    async def _closed(self) -> None:
        """A port is free a turn of the loop after it was closed, and may be wanted again."""
        closing, self._closing = self._closing, []
        for one in closing:
            await one


def _certificatesFor(config: ListenerConfig, old: Listening | None) -> Certificates | None:
    """:raises CertificateError, OSError: if there are to be some and cannot."""
    if config.tls is None:
        return None
    if old is not None and old.config.tls == config.tls:
        return old.certificates
    return Certificates(config.tls)


def _overlap(one: str | None, other: str | None) -> bool:
    """Whether two interfaces are the same, or one of them is all; files have none."""
    return one == other or not _ALL.isdisjoint((one, other))


def _guard(contexts: ServerContexts) -> Callable[[str | None, bytes], bool]:
    def guards(serverName: str | None, host: bytes) -> bool:
        return contexts.protectedHost(serverName, host.decode("latin-1"))

    return guards


__all__ = ["ListenerSet", "Prepared"]
