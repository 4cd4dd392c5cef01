"""
The listener that `metrics.endpoint` names, and how it becomes another one.

It changes as the listeners for clients do: what cannot be listened on refuses the change of the configuration, and
until the change takes effect, what was there before serves.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.logger import Logger

from revproxy.admin.metrics.scraper import Scraper
from revproxy.admin.metrics.site import MetricsSite
from revproxy.config.problems import quoted
from revproxy.config.settings import Config, documentOf
from revproxy.dataplane.net.eagerreactor import FEW_ACCEPTS, EagerReactor, described
from revproxy.loop.serverendpoint import serverEndpoint
from revproxy.plan.plan import Plan
from revproxy.plan.refusal import Refusal

_PLACE = ("metrics", "endpoint")


class MetricsListener:
    """
    Of one edge; see `revproxy.control.crew.Besides`.
    """

    _log = Logger()

    def __init__(self, reactor: Any, scraper: Scraper) -> None:
        """
        :param reactor: a POSIX reactor.
        """
        self._reactor = reactor
        self._scraper = scraper
        self._endpoint: str | None = None
        self._port: Any = None
        self._site: MetricsSite | None = None
        self._preparedEndpoint: str | None = None
        self._preparedPort: Any = None
        self._preparedSite: MetricsSite | None = None
        self._isOver = False

    @property
    def address(self) -> str:
        """What it listens on; empty: nothing."""
        return "" if self._port is None else described(self._port.getHost())

    async def listen(self, config: Config) -> None:
        """
        Listen for the first time.

        :raises CannotListenError, OSError: it cannot be done.
        """
        await self._bind(config.metrics.endpoint)
        self.commit()

    async def prepare(self, plan: Plan) -> tuple[Refusal, ...]:
        """Listen where the plan says, beside what is listened on now. :returns: why that cannot be."""
        config = plan.config
        try:
            await self._bind(config.metrics.endpoint)
        except (CannotListenError, OSError) as error:
            problem = documentOf(config).problem(_PLACE, f"{error}{self._ours(error)}")
            return (Refusal("", "listen", str(problem), problems=(problem,)),)
        return ()

    def _ours(self, error: Exception) -> str:
        """What to do where it is our own port that is in the way."""
        if self._port is None or getattr(error, "port", None) != getattr(self._port.getHost(), "port", ""):
            return ""
        return f" This edge tells its metrics there already, as {quoted(self._endpoint or '')}: first take that away"

    def commit(self) -> None:
        """What was prepared takes the place of what was there."""
        if self._preparedEndpoint == self._endpoint or self._isOver:
            return
        old, oldSite = self._port, self._site
        self._endpoint, self._port, self._site = self._preparedEndpoint, self._preparedPort, self._preparedSite
        self._preparedPort = self._preparedSite = None
        if self._port is not None:
            self._log.info("metrics: listening on {address}", address=self.address)
        self._close(old, oldSite)

    async def abandon(self) -> None:
        """What was prepared is given up."""
        port, self._preparedPort = self._preparedPort, None
        self._preparedEndpoint = self._endpoint
        if port is not None:
            await maybeDeferred(port.stopListening)

    async def stop(self) -> None:
        """Listen no more, answer nobody."""
        self._isOver = True
        await self.abandon()
        self._scraper.stop()
        port, self._port = self._port, None
        if port is not None:
            await maybeDeferred(port.stopListening)
        if self._site is not None:
            self._site.endAll()

    async def _bind(self, endpoint: str | None) -> None:
        if endpoint == self._preparedEndpoint:
            return
        await self.abandon()
        if endpoint is not None and endpoint != self._endpoint:
            site = MetricsSite(self._scraper, self._reactor)
            self._preparedPort = await serverEndpoint(EagerReactor(self._reactor), endpoint).listen(site)
            self._preparedPort.acceptsPerTurn = FEW_ACCEPTS
            self._preparedSite = site
            if self._isOver:
                await self.abandon()
                return
        self._preparedEndpoint = endpoint

    def _close(self, port: Any, site: MetricsSite | None) -> None:
        if port is None:
            return
        closing: Deferred[Any] = maybeDeferred(port.stopListening)
        closing.addErrback(lambda failure: self._log.failure("closing the port of metrics", failure))
        assert site is not None
        site.endAll()
