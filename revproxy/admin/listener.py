"""
The listener that `admin.endpoint` names, and how it becomes another one.

It changes as the listeners for clients do: what cannot be listened on, or has no certificate, refuses the change of the
configuration, and until the change takes effect, what was there before serves. A connection stays as it was made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.logger import Logger

from revproxy.admin.apisite import ApiSite
from revproxy.admin.door import Page
from revproxy.admin.listenerdoor import ListenerDoor
from revproxy.config.settings import AdminConfig, TLSConfig, documentOf
from revproxy.dataplane.net.eagerreactor import FEW_ACCEPTS, EagerReactor, described
from revproxy.loop.serverendpoint import serverEndpoint
from revproxy.plan.pemfiles import PemFiles, pemKey
from revproxy.plan.plan import Plan
from revproxy.plan.refusal import Refusal


class TLSRefused(Exception):
    """Nothing of these certificates can be used; the text says why, and where."""


class Secure(Protocol):
    """The certificates that the listener serves with."""

    def prepare(self, tls: TLSConfig, files: PemFiles) -> Callable[[], Any]:
        """
        Read them. Changes nothing.

        :returns: has them served with from now on; gives what makes transports of accepted sockets.
        :raises TLSRefused: nothing of them can be used.
        """


class AdminListener:
    """
    Of one edge; see `revproxy.control.crew.Besides`.

    :ivar onCommitted: called with what is in force when it has changed.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        site: ApiSite,
        door: ListenerDoor,
        secure: Secure,
        dashboard: Callable[[], Deferred[Mapping[str, Page]]],
        onCommitted: Callable[[AdminConfig | None], None],
    ) -> None:
        """
        :param reactor: a POSIX reactor.
        :param dashboard: reads the files of the dashboard.
        """
        self._reactor = reactor
        self._site = site
        self._door = door
        self._secure = secure
        self._dashboard = dashboard
        self._onCommitted = onCommitted
        self._plainPages = door.pages
        self._files: Mapping[str, Page] = {}
        self._config: AdminConfig | None = None
        self._port: Any = None
        self._prepared: AdminConfig | None = None
        self._preparedPort: Any = None
        self._serveWith: Callable[[], Any] | None = None
        self._isOver = False

    @property
    def address(self) -> str:
        """What it listens on; empty: nothing."""
        return "" if self._port is None else described(self._port.getHost())

    async def listen(self, plan: Plan) -> None:
        """
        Listen for the first time.

        :raises CannotListenError, OSError: it cannot be done.
        """
        try:
            await self._bind(plan)
        except TLSRefused as refused:
            raise OSError(None, str(refused)) from None
        self.commit()

    async def prepare(self, plan: Plan) -> tuple[Refusal, ...]:
        """Listen where the plan says, beside what is listened on now. :returns: why that cannot be."""
        key = "endpoint"
        try:
            await self._bind(plan)
            return ()
        except TLSRefused as refused:
            key, text = "tls", str(refused)
        except (CannotListenError, OSError) as error:
            text = str(error)
        problem = documentOf(plan.config).problem(("admin", key), text)
        return (Refusal("", "listen", str(problem), problems=(problem,)),)

    def commit(self) -> None:
        """What was prepared takes the place of what was there."""
        if self._isOver:
            return
        old, config = self._config, self._prepared
        if (config and config.endpoint) != (old and old.endpoint):
            self._close()
            self._port, self._preparedPort = self._preparedPort, None
        if old is not None and (config is None or (config.endpoint, config.tls) != (old.endpoint, old.tls)):
            self._site.dismiss()  # who is connected comes again, where and how it is said now
        self._config = config
        if self._port is not None and config is not None:
            self._adopt(config)
            if old is None or old.endpoint != config.endpoint:
                self._log.info("admin: listening on {address}", address=self.address)
        if config != old:
            self._onCommitted(config)

    def _adopt(self, config: AdminConfig) -> None:
        door, host = self._door, self._port.getHost()
        door.hosts, door.origins = frozenset(config.hosts), frozenset(config.trustedOrigins)
        door.isSecure, door.port = config.tls is not None, getattr(host, "port", 0)
        door.pages = {**(self._files if config.dashboard else {}), **self._plainPages}
        serveWith, self._serveWith = self._serveWith, None
        if serveWith is not None:
            self._port.transport = serveWith()
            self._port.startReading()
        elif config.tls is None:
            vars(self._port).pop("transport", None)

    async def abandon(self) -> None:
        """What was prepared is given up."""
        port, self._preparedPort = self._preparedPort, None
        self._prepared, self._serveWith = self._config, None
        if port is not None:
            await maybeDeferred(port.stopListening)

    async def stop(self) -> None:
        """Listen no more, answer nobody."""
        self._isOver = True
        await self.abandon()
        port, self._port = self._port, None
        if port is not None:
            await maybeDeferred(port.stopListening)
        await self._site.close()

    async def _bind(self, plan: Plan) -> None:
        """:raises TLSRefused: it has no certificates to serve with."""
        await self.abandon()
        config, old = plan.config.admin, self._config
        if config is None:
            self._prepared = None
            return
        if config.dashboard and not self._files:
            self._files = await self._dashboard()
        if config.tls is not None:
            self._serveWith = self._certified(config.tls, plan, config == old)
        if old is None or old.endpoint != config.endpoint:
            self._preparedPort = await serverEndpoint(EagerReactor(self._reactor), config.endpoint).listen(self._site)
            self._preparedPort.acceptsPerTurn = FEW_ACCEPTS  # requests go on, however many come here
            if self._isOver:
                await self.abandon()
                return
            if self._serveWith is not None:
                # Nobody is served in the clear until the change takes effect.
                self._preparedPort.stopReading()
        self._prepared = config

    def _certified(self, tls: TLSConfig, plan: Plan, isSame: bool) -> Callable[[], Any] | None:
        files = plan.certificates.get(pemKey(tls))
        try:
            if files is None:
                raise TLSRefused(f"{tls.certificates}: it was not read")
            return self._secure.prepare(tls, files)
        except TLSRefused as refused:
            if not isSame:
                raise
            self._log.warn("admin: {reason}; what was served with before is served with on", reason=refused)
            return None

    def _close(self) -> None:
        port, self._port = self._port, None
        if port is not None:
            closing: Deferred[Any] = maybeDeferred(port.stopListening)
            closing.addErrback(lambda failure: self._log.failure("closing the port of admin", failure))


__all__ = ["AdminListener", "Secure", "TLSRefused"]
