"""
The figures of an edge, and the listener where Prometheus reads them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from revproxy.admin.metrics.collection import Collection
from revproxy.admin.metrics.listener import MetricsListener
from revproxy.admin.metrics.scraper import Scraper
from revproxy.config.settings import Config
from revproxy.control.control import Control
from revproxy.plan.events import EventLog


class Metrics:
    """
    Parts, and what they are given of each other. From when it is made, it takes part in changes.

    :ivar collection: adds up.
    :ivar scraper: makes text of it.
    """

    def __init__(
        self, reactor: Any, control: Control, events: EventLog, inThread: Callable[..., Deferred[Any]]
    ) -> None:
        """
        :param inThread: runs a function, with arguments, in a thread.
        """
        crew = control.coordinator.crew
        self.collection = Collection(control, events, reactor)
        self.scraper = Scraper(reactor, crew.ask, self.collection.settle, self.collection.sources, inThread)
        self._listener = MetricsListener(reactor, self.scraper)
        crew.besides.append(self._listener)

    @property
    def address(self) -> str:
        """What it listens on; empty: nothing."""
        return self._listener.address

    async def listen(self, config: Config) -> None:
        """
        Bind the port; who connects is answered.

        :raises CannotListenError, OSError: naming the address.
        """
        await self._listener.listen(config)

    async def stop(self) -> None:
        """Listen no more, answer nobody."""
        await self._listener.stop()
        self.collection.stop()
