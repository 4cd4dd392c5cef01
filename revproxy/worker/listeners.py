"""
The listeners of a worker, and how they become other ones.

:meth:`ListenerSet.prepare` makes the contexts of certificates, binds the ports that are new and lets nobody in yet;
:meth:`ListenerSet.commit` makes it so: at once, and it cannot fail. Until then :meth:`ListenerSet.abandon` gives the
change up, and nobody has noticed.

What happens to a listener is decided by its endpoint, as it is written, wherever it stands in the list:

- settings are the same: nothing. Not bound again; certificates that were renewed take the place of those before, and
  if none of the new ones can be used, those before stay;
- other settings: the port goes on listening, and what it accepts from now on has the new ones. Certificates are kept
  when ``tls`` is the same, so that sessions can be resumed;
- new: bound, and accepting when committed;
- gone: who already waits is let in, then the port closes.

Connections with settings that are no longer true finish the request they are at, and close.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from errno import EADDRINUSE, ECANCELED
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.logger import Logger

from revproxy.addresses import AddressSet
from revproxy.config.problems import ConfigErrors, Problem
from revproxy.config.settings import ListenerConfig, TLSConfig, documentOf
from revproxy.dataplane.edge import Edge
from revproxy.dataplane.listener import Listener
from revproxy.dataplane.net.eagerreactor import EagerReactor, described
from revproxy.dataplane.net.servertransport import serverTransport
from revproxy.dataplane.net.tlscontexts import ServerContexts
from revproxy.loop.jobthread import DiskSilent, JobThread
from revproxy.plan.pemfiles import PemFiles, pemKey
from revproxy.plan.plan import Plan
from revproxy.plan.refusal import Refusal
from revproxy.plan.words import CertificateState, Prepare
from revproxy.worker.certificates import CertificateError, CertificateFolder, Loaded
from revproxy.worker.participant import Refused

_ALL = frozenset(("", "0.0.0.0", "::"))


class Certificates:
    """
    The certificates that one listener serves with.

    :ivar loaded: what is in use.
    :ivar seen: the files that were looked at last, whether they could be used or not.
    :ivar contexts: what connections look up.
    """

    def __init__(self, settings: TLSConfig, files: PemFiles) -> None:
        """:raises CertificateError: as :meth:`CertificateFolder.load`."""
        self.seen = files
        self._files = files
        self._folder = CertificateFolder(settings)
        loaded = self.loaded = self._folder.load(files)
        self._folder.adopt(loaded)
        self.contexts = ServerContexts(loaded.table, loaded.default)

    def load(self, files: PemFiles) -> Loaded:
        """
        Other files, for :meth:`adopt`. Changes nothing; may run in a thread.

        :raises CertificateError: nothing of it can be used.
        """
        return self.loaded if files == self._files else self._folder.load(files)

    def adopt(self, files: PemFiles, loaded: Loaded | None) -> bool:
        """
        Serve with what was loaded.

        :param loaded: None: it cannot be used, and what is in use stays.
        :returns: whether other certificates than before are served.
        """
        self.seen = files
        if loaded is None or loaded is self.loaded:
            return False
        self._files, self.loaded = files, loaded
        self._folder.adopt(loaded)
        self.contexts.swap(loaded.table, loaded.default)
        return True


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


@dataclass(frozen=True, slots=True)
class Renewal:
    """
    Files of certificates that a listener has not seen yet.

    :ivar loaded: what they give; None if they cannot be used.
    """

    certificates: Certificates
    files: PemFiles
    loaded: Loaded | None


class Prepared:
    """
    A change that can still be given up.

    :ivar listeners: all that there are to be, in the order of the configuration.
    :ivar replaced: for those that take over a port: whose.
    :ivar renewals: of the certificates of those that stay.
    :ivar states: what control is to know of certificates when it has taken effect.
    :ivar expired: a text for each certificate that is served although its time is over.
    """

    def __init__(self, plan: Plan) -> None:
        self.listeners: list[Listening] = []
        self.replaced: dict[Listening, Listening] = {}
        self.renewals: list[Renewal] = []
        self.states: list[CertificateState] = []
        self.expired: list[str] = []
        self._configs = plan.config.listeners
        self._certificates = plan.certificates

    def isFor(self, plan: Plan) -> bool:
        """Whether it is what a plan wants."""
        return self._configs == plan.config.listeners and self._certificates == plan.certificates

    def note(self, config: ListenerConfig, loaded: Loaded, problems: tuple[str, ...] = ()) -> None:
        """
        What control is to know of a listener's certificates.

        :param loaded: what serves.
        :param problems: why nothing of the files that are there now can be used; empty if something can.
        """
        assert config.tls is not None
        if not problems:
            self.expired += loaded.expired
        place, told = str(config.tls.certificates), problems or loaded.problems
        self.states.append(
            CertificateState(config.endpoint, place, loaded.names, loaded.expires, told, isKept=bool(problems))
        )

    @property
    def unbound(self) -> list[Listening]:
        """Those that need a port of their own and have none yet."""
        return [each for each in self.listeners if each.port is None and each not in self.replaced]


class ListenerSet:
    """
    All listeners of a worker; see `Participant`.
    """

    _log = Logger()

    def __init__(
        self, reactor: Any, edge: Edge, files: JobThread, tell: Callable[[CertificateState], None]
    ) -> None:
        """
        :param reactor: a POSIX reactor.
        :param files: makes contexts in a thread: hundreds of certificates take their time.
        :param tell: takes what control is to know of certificates.
        """
        self._reactor = reactor
        self._eager = EagerReactor(reactor)
        self._edge = edge
        self._files = files
        self._tell = tell
        self._running: tuple[Listening, ...] = ()
        self._prepared: Prepared | None = None
        self._waiting: list[Listening] = []
        self._closing: list[Awaitable[Any]] = []
        self._hardStops: list[Any] = []
        self._stopped = False

    @property
    def ports(self) -> list[Any]:
        """What is accepted on, in the order of the configuration."""
        return [each.port for each in self._running]

    # The steps of a change

    async def prepare(self, word: Prepare) -> None:
        """
        Make what is needed, and bind what is new; who connects waits in the kernel until the commit.

        :raises Refused: naming the listener, or the address; what was bound is closed again.
        """
        plan = word.plan
        if self._prepared is not None and not self._prepared.isFor(plan):
            await self.abandon()
        try:
            if self._prepared is None:
                isServing = word.starts and bool(self._running)
                self._prepared = await self._files.do(self._load, plan) if isServing else self._load(plan)
            if word.starts:
                await self.bind()
        except ConfigErrors as errors:
            raise Refused(Refusal("", "listen", str(errors), problems=errors.problems)) from None
        except DiskSilent as silent:
            raise Refused(Refusal("", "files", f"the files cannot be looked at: {silent}")) from None
        except (CannotListenError, OSError) as error:
            problem = Problem(plan.config.source, 0, 0, "$.listeners", str(error))
            raise Refused(Refusal("", "listen", str(problem), problems=(problem,))) from None

    async def ready(self) -> None:
        """Nothing comes last."""

    def commit(self) -> None:
        """Let everybody in. Nothing happens if everything has been stopped meanwhile."""
        prepared, self._prepared = self._prepared, None
        if self._stopped or prepared is None:
            return
        before, self._running = self._running, tuple(prepared.listeners)
        for listening in prepared.listeners:
            self._begin(listening, prepared.replaced.get(listening))
        for listening in before:
            if listening not in prepared.listeners and listening not in prepared.replaced.values():
                self._end(listening)
        self._renew(prepared)

    async def abandon(self) -> None:
        """Ports bound for it are closed; certificates stay."""
        prepared, self._prepared = self._prepared, None
        if prepared is not None:
            await self._giveUp(prepared)

    async def bind(self) -> None:
        """
        Bind what was prepared and has no port yet.

        :raises CannotListenError, OSError: naming the address; what was bound is closed again.
        """
        await self._closed()
        prepared = self._prepared
        if prepared is None:
            return
        try:
            for listening in prepared.unbound:
                self._refuseAtEnd(listening)
                await self._bind(listening)
                self._refuseAtEnd(listening)
        except Exception:  # an endpoint may be a plugin of Twisted's; also when it is cancelled
            if self._prepared is prepared:
                self._prepared = None
            await self._giveUp(prepared)
            raise

    async def stop(self) -> None:
        """Accept nothing more; connections are left to :meth:`Edge.drain`."""
        self._stopped = True
        await self.abandon()
        for hardStop in self._hardStops:
            if hardStop.active():
                hardStop.cancel()
        for each in self._running:
            self._close(each.port)
        self._running = ()
        await self._closed()

    def _load(self, plan: Plan) -> Prepared:
        """
        Make what can be made without a port. Changes nothing; may run in a thread.

        :raises ConfigErrors: a new listener has no certificate that can be used.
        """
        prepared = Prepared(plan)
        before = {each.config.endpoint: each for each in self._running}
        problems: list[Problem] = []
        for index, config in enumerate(plan.config.listeners):
            old = before.pop(config.endpoint, None)
            try:
                certificates = _certificatesFor(config, old, plan, prepared)
            except CertificateError as error:
                path = ("listeners", index, "tls", "certificates")
                problems += [documentOf(plan.config).problem(path, text) for text in error.problems]
                continue
            if old is not None and old.config == config:
                prepared.listeners.append(old)
                continue
            new = Listening(config, certificates, self._edge)
            prepared.listeners.append(new)
            if old is not None:
                prepared.replaced[new] = old
        if problems:
            raise ConfigErrors(problems)
        return prepared

    def _refuseAtEnd(self, listening: Listening) -> None:
        """:raises OSError: nothing is to be bound any more."""
        if self._stopped:
            raise OSError(ECANCELED, "the edge is being stopped", listening.config.endpoint)

    async def _bind(self, listening: Listening) -> None:
        """:raises CannotListenError, OSError: naming the address."""
        port = await self._bound(listening)
        port.transport = listening.transport
        port.stopReading()
        listening.port = port
        self._waiting.append(listening)

    async def _bound(self, listening: Listening) -> Any:
        """:raises CannotListenError, OSError: naming the address."""
        endpoint = listening.config.endpoint
        try:
            return await serverFromString(self._eager, endpoint).listen(listening.listener)
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
        for each in (*self._running, *self._waiting):
            # Of Unix sockets, Twisted has the path as it was given, and as bytes.
            names = [getattr(each.port, name, None) for name in ("port", "_realPortNumber", "_bindPath")]
            if port and port in names and _overlap(interface, getattr(each.port, "interface", None)):
                return each.config.endpoint
        return None

    def _begin(self, listening: Listening, old: Listening | None) -> None:
        """Let its clients in, unless they are already. :param old: whose port it takes over."""
        if old is not None:
            self._takeOver(listening, old)
        elif listening in self._waiting:
            self._waiting.remove(listening)
            listening.port.startReading()
            self._log.info("listening on {address}", address=described(listening.port.getHost()))

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
        self._hardStops = [hardStop for hardStop in self._hardStops if hardStop.active()]
        self._hardStops.append(self._reactor.callLater(self._edge.timeouts.drain, old.listener.breakOff))
        self._log.info("no longer listening on {address}", address=address)

    def _renew(self, prepared: Prepared) -> None:
        for renewal in prepared.renewals:
            if renewal.certificates.adopt(renewal.files, renewal.loaded):
                self._log.info("certificates of {place} read again", place=renewal.files.place)
        for text in prepared.expired:
            self._log.warn("{problem}", problem=text)
        for state in prepared.states:
            self._tell(state)

    async def _giveUp(self, prepared: Prepared) -> None:
        """Close the ports that were bound for a change."""
        for listening in prepared.listeners:
            if listening in self._waiting:
                self._waiting.remove(listening)
                self._close(listening.port)
                listening.port = None
        await self._closed()

    def _close(self, port: Any) -> None:
        self._closing.append(maybeDeferred(port.stopListening))

    async def _closed(self) -> None:
        """A port is free a turn of the loop after it was closed, and may be wanted again."""
        closing, self._closing = self._closing, []
        for closed in closing:
            await closed


def _certificatesFor(
    config: ListenerConfig, old: Listening | None, plan: Plan, prepared: Prepared
) -> Certificates | None:
    """
    :param old: the listener that has this endpoint now.
    :param prepared: what is news goes in there.
    :raises CertificateError: there is to be one, and none can be used.
    """
    if config.tls is None:
        return None
    files = plan.certificates[pemKey(config.tls)]
    if old is None or old.certificates is None or old.config.tls != config.tls:
        certificates = Certificates(config.tls, files)
        prepared.note(config, certificates.loaded)
        return certificates
    certificates = old.certificates
    if files != certificates.seen:
        loaded, problems = _loadedOf(certificates, files)
        prepared.renewals.append(Renewal(certificates, files, loaded))
        prepared.note(config, loaded or certificates.loaded, problems)
    return certificates


def _loadedOf(certificates: Certificates, files: PemFiles) -> tuple[Loaded | None, tuple[str, ...]]:
    """What files give; or None, and why they cannot be used."""
    try:
        return certificates.load(files), ()
    except CertificateError as error:
        return None, error.problems


def _overlap(interface: str | None, other: str | None) -> bool:
    """Whether two interfaces are the same, or one of them is all; files have none."""
    return interface == other or not _ALL.isdisjoint((interface, other))


def _guard(contexts: ServerContexts) -> Callable[[str | None, bytes], bool]:
    def guards(serverName: str | None, host: bytes) -> bool:
        return contexts.protectedHost(serverName, host.decode("latin-1"))

    return guards


__all__ = ["ListenerSet", "Prepared"]
