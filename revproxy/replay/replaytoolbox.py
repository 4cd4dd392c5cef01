"""
What a plugin reaches through the context of a copy: nothing that anybody else has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface.interface import InterfaceClass

from revproxy.destination import Destinations
from revproxy.errors import LimitName
from revproxy.loop.waiting import notLonger

OTHERS_SERVICE = "it uses what another plugin provides"
UNKNOWN_TARGETS = "it looks at the targets of an upstream"


class AnyDestinations:
    """Upstreams of which nobody knows more than their names: each may be chosen."""

    def __init__(self, unknown: Callable[[str], Exception]) -> None:
        self._unknown = unknown

    def origins(self, upstream: str) -> Sequence[str]:
        """None that are known."""
        return ()

    def available(self, upstream: str) -> Sequence[str]:
        """Which of them are, is not known."""
        self._unknown(UNKNOWN_TARGETS)
        return ()

    def leaf(self, upstream: str, origin: str | None, strip: bytes) -> None:
        """Nothing is sent anywhere."""


class ReplayToolbox:
    """
    A :class:`revproxy.toolbox.Toolbox` for one call that is made again.

    :ivar log: writes nowhere.
    """

    def __init__(
        self,
        name: str,
        client: Any,
        destinations: Destinations,
        clock: Any,
        seconds: float,
        unknown: Callable[[str], Exception],
    ) -> None:
        """
        :param clock: an `IReactorTime`.
        :param seconds: that an answer of the plugin's may take.
        :param unknown: told what is wanted and not known.
        """
        self.name = name
        self.client = client
        self.destinations = destinations
        self.log = Logger(namespace=f"plugin.{name}", observer=_unheard)  # type: ignore[arg-type]
        self._clock = clock
        self._seconds = seconds
        self._unknown = unknown

    def service(self, interface: InterfaceClass) -> Any:
        """:raises KeyError: always."""
        self._unknown(OTHERS_SERVICE)
        raise KeyError(f"no plugin provides {interface.__name__} to a copy of a request")

    def awaited(self, context: Any, answer: Any, isPiece: bool = False) -> Deferred[Any]:
        """As :meth:`revproxy.toolbox.Toolbox.awaited`."""
        waiting = answer if isinstance(answer, Deferred) else Deferred.fromCoroutine(_awaited(answer))
        return notLonger(waiting, self._seconds, self._clock)

    def later(self, function: Callable[[], None]) -> Any:
        """As :meth:`revproxy.toolbox.Toolbox.later`."""
        return self._clock.callLater(0, function)

    def blame(self, failure: Failure, message: str) -> None:
        """Whoever takes the call down knows of it."""

    def exceeded(self, limit: LimitName, text: str) -> None:
        """Nobody counts it."""

    def filterFailed(self, context: Any, failure: Failure, isFirst: bool) -> Failure:
        """The body breaks off."""
        return failure


async def _awaited(answer: Any) -> Any:
    return await answer


def _unheard(event: Any) -> None:
    """What copies log is not heard."""
