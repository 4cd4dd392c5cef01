"""
The host of a plugin in a locked process: the same books as in the edge's own, and what cannot be had here says so.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from inspect import iscoroutine
from typing import Any, NoReturn

from twisted.internet.defer import CancelledError
from twisted.python.failure import Failure

from revproxy.figures import BUCKETS, Counter, Histogram
from revproxy.host import Host, nameOf
from revproxy.permissions import Permissions


class NotInLockedProcess(RuntimeError):
    """What was asked for is not to be had in a locked process; the text says what is."""


class InsideHost(Host):
    """
    As `revproxy.host.Host`, without threads, asyncio's loop, and files.

    :ivar log: goes to the edge.
    """

    def __init__(
        self,
        reactor: Any,
        name: str,
        version: str,
        makeClient: Callable[[], Any],
        makeStore: Callable[[], Any],
        permissions: Permissions,
        log: Any,
        failedIn: Callable[[Failure, str], None],
        counts: Callable[[], None],
    ) -> None:
        """
        :param counts: called when it makes a figure.
        :param failedIn: told of each failure of the plugin's code that nobody waits for, and the name of the function.
        """
        super().__init__(reactor, name, version, makeClient, makeStore=makeStore, permissions=permissions)
        self.log = log
        self._failedIn = failedIn
        self._counts = counts

    @property
    def client(self) -> Any:
        """As `Host.client`; it books by itself."""
        return self._makeClient()

    def counter(self, name: str, description: str = "", labels: Sequence[str] = ()) -> Counter:
        """As `Host.counter`."""
        self._counts()
        return super().counter(name, description, labels)

    def histogram(
        self, name: str, description: str = "", labels: Sequence[str] = (), buckets: Sequence[float] = BUCKETS
    ) -> Histogram:
        """As `Host.histogram`."""
        self._counts()
        return super().histogram(name, description, labels, buckets)

    def callInThread(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> NoReturn:
        """:raises NotInLockedProcess: always."""
        raise NotInLockedProcess(
            "host.callInThread: a locked process has one thread. What computes is called directly, and its CPU time is "
            "bounded; what waits is asked for by host.client or host.store"
        )

    def asyncio(self, work: Any) -> NoReturn:
        """:raises NotInLockedProcess: always."""
        if iscoroutine(work):
            work.close()
        raise NotInLockedProcess(
            "host.asyncio: a locked process has no sockets, and no loop of asyncio. Coroutines are awaited as they "
            "are; upstreams are asked by host.client"
        )

    def addLogHandler(self, handler: logging.Handler, logger: str = "") -> None:
        """
        As `Host.addLogHandler`.

        :raises NotInLockedProcess: of a handler that writes to a file or a socket.
        """
        if not isinstance(handler, logging.Handler) or hasattr(handler, "baseFilename") or hasattr(handler, "address"):
            raise NotInLockedProcess(
                "host.addLogHandler: a locked process has no files and no sockets; what is logged goes to the log of "
                "the edge"
            )
        super().addLogHandler(handler, logger)

    def _failed(self, failure: Failure, function: Callable[..., Any] | str) -> None:
        if self._closed and failure.check(CancelledError):
            return
        self.errors += 1
        self._failedIn(failure, nameOf(function))
