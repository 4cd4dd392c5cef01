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
    """The certificates of one listener: in use, and perhaps others that wait for a commit."""

    def __init__(self, settings: TLSConfig, files: PemFiles) -> None:
        """:raises CertificateError: as :meth:`CertificateFolder.load`."""
        self.files = files
        self._folder = CertificateFolder(settings)
        self._waiting: tuple[PemFiles, Loaded] | None = None
        self._refused: PemFiles | None = None
        loaded = self._folder.load(files)
        self.loaded = loaded
        self._folder.adopt(loaded)
        self.contexts = ServerContexts(loaded.table, loaded.default)

    def isNews(self, files: PemFiles) -> bool:
        """Whether these are others than those in use, and than those that could not be used."""
        return files not in (self.files, self._refused)

    def renew(self, files: PemFiles) -> tuple[str, ...]:
        """
        Load other files, for :meth:`commit`. What is in use is not touched.

        :returns: why nothing of it can be used; then what is in use stays.
        """
        try:
            self._waiting = files, self._folder.load(files)
        except CertificateError as error:
            self._refused = files
            return error.problems
        return ()

    @property
    def newest(self) -> Loaded:
        """What was loaded last, in use or not yet."""
        return self.loaded if self._waiting is None else self._waiting[1]

    def commit(self) -> bool:
        """Use what was loaded last. :returns: whether there was anything."""
        if self._waiting is None:
            return False
        (self.files, self.loaded), self._waiting = self._waiting, None
        self._refused = None
        self._folder.adopt(self.loaded)
        self.contexts.swap(self.loaded.table, self.loaded.default)
        return True

    def abandon(self) -> None:
        """Go on with what is in use."""
        self._waiting = None


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
    :ivar states: what control is to know of certificates when it has taken effect.
    """

    def __init__(self, plan: Plan) -> None:
        self.listeners: list[Listening] = []
        self.replaced: dict[Listening, Listening] = {}
        self.states: list[CertificateState] = []
        self._configs = plan.config.listeners
        self._certificates = plan.certificates

    def isFor(self, plan: Plan) -> bool:
        """Whether it is what a plan wants."""
        return self._configs == plan.config.listeners and self._certificates == plan.certificates

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
        for each in prepared.listeners:
            old = prepared.replaced.get(each)
            if old is not None:
                self._takeOver(each, old)
            elif each in self._waiting:
                self._waiting.remove(each)
                each.port.startReading()
                self._log.info("listening on {address}", address=described(each.port.getHost()))
            if each.certificates is not None and each.certificates.commit():
                self._log.info("certificates of {place} read again", place=each.certificates.files.place)
        for old in before:
            if old not in prepared.listeners and old not in prepared.replaced.values():
                self._end(old)
        for state in prepared.states:
            self._tell(state)

    async def abandon(self) -> None:
        """Ports bound for it are closed; certificates stay."""
        prepared, self._prepared = self._prepared, None
        if prepared is None:
            return
        for each in prepared.listeners:
            if each in self._waiting:
                self._waiting.remove(each)
                self._close(each.port)
                each.port = None
            if each.certificates is not None:
                each.certificates.abandon()
        await self._closed()

    async def bind(self) -> None:
        """
        Bind what was prepared and has no port yet.

        :raises CannotListenError, OSError: naming the address; what was bound is closed again.
        """
        await self._closed()
        unbound = [] if self._prepared is None else self._prepared.unbound
        try:
            for each in unbound:
                if self._stopped:
                    raise OSError(ECANCELED, "the edge is being stopped", each.config.endpoint)
                port = await self._bound(each)
                port.transport = each.transport
                port.stopReading()
                each.port = port
                self._waiting.append(each)
        except Exception:  # an endpoint may be a plugin of Twisted's; also when it is cancelled
            await self.abandon()
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
                certificates = self._certificatesFor(config, old, plan, prepared)
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

    def _certificatesFor(
        self, config: ListenerConfig, old: Listening | None, plan: Plan, prepared: Prepared
    ) -> Certificates | None:
        """:raises CertificateError: there is to be one, and none can be used."""
        if config.tls is None:
            return None
        files = plan.certificates[pemKey(config.tls)]
        if old is None or old.certificates is None or old.config.tls != config.tls:
            certificates = Certificates(config.tls, files)
            prepared.states.append(self._stateOf(config, certificates.loaded))
            return certificates
        certificates = old.certificates
        if certificates.isNews(files):
            problems = certificates.renew(files)
            prepared.states.append(self._stateOf(config, certificates.newest, problems))
        return certificates

    def _stateOf(self, config: ListenerConfig, loaded: Loaded, kept: tuple[str, ...] = ()) -> CertificateState:
        """
        :param kept: why what is in use stays; empty if it does not.
        """
        assert config.tls is not None
        for text in () if kept else loaded.expired:
            self._log.warn("{problem}", problem=text)
        place = str(config.tls.certificates)
        problems = kept or loaded.problems
        return CertificateState(config.endpoint, place, loaded.names, loaded.expires, problems, bool(kept))

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

    def _close(self, port: Any) -> None:
        self._closing.append(maybeDeferred(port.stopListening))

    async def _closed(self) -> None:
        """A port is free a turn of the loop after it was closed, and may be wanted again."""
        closing, self._closing = self._closing, []
        for closed in closing:
            await closed


def _overlap(one: str | None, other: str | None) -> bool:
    """Whether two interfaces are the same, or one of them is all; files have none."""
    return one == other or not _ALL.isdisjoint((one, other))


def _guard(contexts: ServerContexts) -> Callable[[str | None, bytes], bool]:
    def guards(serverName: str | None, host: bytes) -> bool:
        return contexts.protectedHost(serverName, host.decode("latin-1"))

    return guards


__all__ = ["ListenerSet", "Prepared"]
