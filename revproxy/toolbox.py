"""
What a plugin reaches through the context while it is being called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from zope.interface.interface import InterfaceClass

from revproxy.destination import Destinations
from revproxy.errors import LimitName

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure


class Toolbox(Protocol):
    """What the edge holds ready for one plugin: reached through the context while that plugin runs."""

    @property
    def name(self) -> str:
        """The plugin's."""

    @property
    def client(self) -> Any:
        """The plugin's own treq client."""

    @property
    def log(self) -> Any:
        """The plugin's own logger."""

    @property
    def destinations(self) -> Destinations:
        """The upstreams it may choose among."""

    def service(self, interface: InterfaceClass) -> Any:
        """What some plugin provides for an interface."""

    def awaited(self, context: Any, answer: Any, isPiece: bool = False) -> Deferred[Any]:
        """
        What the plugin's code answers later, if it does so in its time. Cancelling it cancels the answer.

        :param isPiece: it makes the next piece of an answer, which may take as long as an origin's.
        """

    def later(self, function: Callable[[], None]) -> Any:
        """Call a function in the next turn of the event loop. What is returned has ``cancel``."""

    def blame(self, failure: Failure, message: str) -> None:
        """
        Book a failure of the plugin's code.

        :param message: for the log, with ``{name}`` and ``{version}``.
        """

    def exceeded(self, limit: LimitName, text: str) -> None:
        """
        The plugin wanted too much of something.

        :param text: how much, and how much it may have.
        """

    def filterFailed(self, context: Any, failure: Failure, isFirst: bool) -> Failure | None:
        """
        A filter of the plugin's, or what makes its body, has failed, or refuses.

        :param isFirst: whether it was its first call, so that nothing of the body has passed it.
        :returns: why the body breaks off; None if the filter is passed over instead.
        """


class Services:
    """
    Looks up what other plugins provide: ``context.services[IAccounts]``.
    """

    __slots__ = ("_toolbox",)

    def __init__(self, toolbox: Toolbox) -> None:
        self._toolbox = toolbox

    def __getitem__(self, interface: InterfaceClass) -> Any:
        """:raises KeyError: if no running plugin provides it; declare it under ``requires``."""
        return self._toolbox.service(interface)

    def get(self, interface: InterfaceClass, default: Any = None) -> Any:
        """
        As indexing, with a default.

        :param interface: the zope interface that is provided.
        :param default: given where no running plugin provides it.
        """
        try:
            return self._toolbox.service(interface)
        except KeyError:
            return default
