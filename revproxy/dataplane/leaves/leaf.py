"""What every leaf is: the end of a route, which answers requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.web.resource import Resource
from zope.interface import implementer

from revproxy.dataplane.http.interfaces import ILeaf

if TYPE_CHECKING:
    from revproxy.dataplane.exchange import Exchange

InThread = Callable[..., Deferred[Any]]
"""Calls a function with arguments in a thread: ``partial(deferToThreads, reactor, threads)``."""


@implementer(ILeaf)
class Leaf(Resource):  # type: ignore[misc]
    """A leaf of the resource tree. Subclasses override :meth:`render`."""

    isLeaf = True

    def render(self, exchange: Exchange) -> int:
        """
        Begin to answer.

        :returns: ``NOT_DONE_YET``, always.
        """
        raise TypeError(f"{type(self).__name__} does not say how it answers")
