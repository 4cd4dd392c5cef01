"""
What a plugin reaches through the context while it is being called in a locked process.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface.interface import InterfaceClass

from revproxy.errors import LimitName, NotPermitted
from revproxy.permissions import Permissions


class KnownTargets:
    """
    The upstreams that the plugin may choose among, as the edge has told them last
    (`revproxy.destination.Destinations`).

    :ivar known: by the name of an upstream, the URLs of its targets, and whether each is available.
    """

    def __init__(self, permissions: Permissions) -> None:
        self._permissions = permissions
        self.known: Mapping[str, Sequence[tuple[str, bool]]] = {}

    def origins(self, upstream: str) -> Sequence[str]:
        """:raises ValueError: if there is no such upstream. :raises NotPermitted: if it may not be chosen."""
        return [url for url, _ in self._of(upstream)]

    def available(self, upstream: str) -> Sequence[str]:
        """Those that take requests. :raises ValueError: as `origins`."""
        return [url for url, isAvailable in self._of(upstream) if isAvailable]

    def _of(self, upstream: str) -> Sequence[tuple[str, bool]]:
        if upstream in self.known:
            return self.known[upstream]
        if upstream not in self._permissions.upstreams:
            raise NotPermitted(f"the choice of upstream {upstream}", f"upstreams: {upstream}")
        raise ValueError(f"no upstream: {upstream!r}; there are {', '.join(self.known) or 'none'}")

    def leaf(self, upstream: str, origin: str | None, strip: bytes) -> Any:
        """The edge itself sends it there."""


async def _awaited(answer: Awaitable[Any]) -> Any:
    return await answer


class InsideToolbox:
    """
    A `revproxy.toolbox.Toolbox`.

    Nobody's time is measured here, and nothing is booked: the edge does both, and it is told of failures.
    """

    def __init__(
        self,
        name: str,
        clientOf: Callable[[], Any],
        log: Any,
        destinations: KnownTargets,
        later: Callable[..., Any],
        blamed: Callable[[Failure, str], None],
    ) -> None:
        """
        :param later: calls a function after so many seconds.
        :param blamed: told of failures that nobody waits for, and where.
        """
        self.name = name
        self.log = log
        self.destinations = destinations
        self._clientOf = clientOf
        self._later = later
        self._blamed = blamed

    @property
    def client(self) -> Any:
        """A treq client, whose requests the edge sends."""
        return self._clientOf()

    def service(self, interface: InterfaceClass) -> Any:
        """:raises KeyError: always: there are no other plugins here."""
        raise KeyError(
            f"{interface.__name__}: what other plugins provide cannot be had in a locked process; "
            "plain data goes from one to the other by context.values"
        )

    def awaited(self, context: Any, answer: Any, isPiece: bool = False) -> Deferred[Any]:
        """As `Toolbox.awaited`; the edge measures the time."""
        return answer if isinstance(answer, Deferred) else Deferred.fromCoroutine(_awaited(answer))

    def later(self, function: Callable[[], None]) -> Any:
        """As `Toolbox.later`."""
        return _Turn(self._later(0, function))

    def blame(self, failure: Failure, message: str) -> None:
        """As `Toolbox.blame`."""
        self._blamed(failure, message)

    def exceeded(self, limit: LimitName, text: str) -> None:
        """As :meth:`revproxy.toolbox.Toolbox.exceeded`: the edge sees it itself, for it gives the bodies."""

    def filterFailed(self, context: Any, failure: Failure, isFirst: bool) -> Failure | None:
        """As `Toolbox.filterFailed`: the edge, which is told, decides whether the body goes on without it."""
        return failure


class _Turn:
    """A call that is to come, until it is cancelled; that may be too late."""

    def __init__(self, call: Any) -> None:
        self._call = call

    def cancel(self) -> None:
        """Do not make it."""
        if self._call.active():
            self._call.cancel()
