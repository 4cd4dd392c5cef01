"""
A response edit: ``handleResponse`` sees the response's headers before a byte of the body is sent.

Adds ``Server-Timing: origin;dur=12.3`` (W3C Server Timing; milliseconds), which browsers show beside the request. The
time runs from this plugin's turn on the way in to its turn on the way out: with a high priority number it is the last
on the way in, so what it measures is the origin.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from zope.interface import implementer

from revproxy.context import Context
from revproxy.interfaces import IMiddleware, IResponseMiddleware


@implementer(IMiddleware, IResponseMiddleware)
class ServerTiming:
    name = "server-timing"

    def __init__(self, config: Mapping[str, Any], clock: Callable[[], float] = time.perf_counter) -> None:
        self.metric = config.get("metric", "origin")
        self.clock = clock

    def handle(self, context: Context) -> bool:
        # One instance serves all requests: what belongs to one request is kept in its context.
        context.values[self.name] = self.clock()
        return True

    def handleResponse(self, context: Context) -> None:
        milliseconds = (self.clock() - context.values[self.name]) * 1000
        # add, not set: the origin may have metrics of its own.
        context.response.headers.add("Server-Timing", f"{self.metric};dur={milliseconds:.1f}")


PluginMain = ServerTiming
