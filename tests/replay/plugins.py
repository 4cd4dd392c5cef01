"""
Middleware that calls are taken down of, and made again with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zope.interface import implementer

from revproxy.context import Context
from revproxy.interfaces import IMiddleware, IResponseMiddleware
from revproxy.replay.capture import Capture
from revproxy.replay.recordedcall import RecordedCall
from revproxy.testing import makeContext


@implementer(IMiddleware)
class Handles:
    """Does with requests what it is given."""

    name = "handles"

    def __init__(self, handle: Callable[[Context], Any] = lambda context: True) -> None:
        self.handle = handle


@implementer(IMiddleware, IResponseMiddleware)
class Responds(Handles):
    """Does with answers what it is given."""

    name = "responds"

    def __init__(
        self, handleResponse: Callable[[Context], Any], handle: Callable[[Context], Any] = lambda context: True
    ) -> None:
        super().__init__(handle)
        self.handleResponse = handleResponse


def callOf(*arguments: Any, values: dict[str, Any] | None = None, **more: Any) -> RecordedCall:
    """What a plugin is asked of a request that `makeContext` makes."""
    context = makeContext(*arguments, **more)
    context.values.update(values or {})
    capture = Capture(context, "handle")
    capture.over(True)
    return capture.call()
