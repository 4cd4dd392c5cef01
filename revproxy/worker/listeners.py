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
from twisted.internet.error import CannotListenError
from twisted.logger import Logger

from revproxy.config.problems import ConfigErrors, Problem
from revproxy.config.settings import documentOf
from revproxy.dataplane.edge import Edge
from revproxy.dataplane.listener import Listener
from revproxy.dataplane.net.eagerreactor import EagerReactor, described
from revproxy.loop.jobthread import DiskSilent, JobThread
from revproxy.loop.serverendpoint import serverEndpoint
from revproxy.plan.plan import Plan
from revproxy.plan.refusal import Refusal
from revproxy.plan.words import CertificateState, Prepare
from revproxy.worker.certificates import CertificateError
from revproxy.worker.listening import Listening, Prepared, certificatesFor, makesContexts
from revproxy.worker.participant import Refused

_ALL = frozenset(("", "0.0.0.0", "::"))


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

    def endpoints(self) -> dict[Any, str]:
        """By listener, the endpoint that it is at."""
        return {each.listener: each.config.endpoint for each in self._running}

    @property
    def ports(self) -> list[Any]:
        """What is accepted on, in the order of the configuration."""
        return [each.port for each in self._running]

    def listenerFor(self, scheme: str) -> Listener | None:
        """The first whose connections speak ``http``, or ``https``; None if there is none."""
        return next((each.listener for each in self._running if each.listener.scheme == scheme), None)

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
                inThread = word.starts and bool(self._running) and self._isSlow(plan)
                self._prepared = await self._files.do(self._load, plan) if inThread else self._load(plan)
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

    def _byEndpoint(self) -> dict[str, Listening]:
        return {listening.config.endpoint: listening for listening in self._running}

    def _isSlow(self, plan: Plan) -> bool:
        """Whether it takes its time to make what a plan wants; a change of plugins does not wait for a thread."""
        before = self._byEndpoint()
        return any(makesContexts(config, before.get(config.endpoint), plan) for config in plan.config.listeners)

    def _load(self, plan: Plan) -> Prepared:
        """
        Make what can be made without a port. Changes nothing; may run in a thread.

        :raises ConfigErrors: a new listener has no certificate that can be used.
        """
        prepared = Prepared(plan)
        before = self._byEndpoint()
        problems: list[Problem] = []
        for index, config in enumerate(plan.config.listeners):
            old = before.pop(config.endpoint, None)
            try:
                certificates = certificatesFor(config, old, plan, prepared)
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
            return await serverEndpoint(self._eager, endpoint).listen(listening.listener)
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


def _overlap(interface: str | None, other: str | None) -> bool:
    """Whether two interfaces are the same, or one of them is all; files have none."""
    return interface == other or not _ALL.isdisjoint((interface, other))


__all__ = ["ListenerSet"]
