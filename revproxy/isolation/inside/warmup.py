"""
A plugin of our own goes through what plugins go through, once, in the process that all others are forked from.

Python adapts code to what it meets when it runs, fills its caches, and makes at the first use what it needs for all.
Whatever of that happens before the fork is there once for all processes; what happens behind it is written by each into
memory of its own, and takes the time of its first requests.
"""

from __future__ import annotations

import gc
from typing import Any, Final

from twisted.internet.task import Clock

from revproxy.isolation.frames import (
    Call,
    Down,
    Filter,
    Load,
    Over,
    ReadBody,
    Reply,
    RequestHead,
    ResponseHead,
    Step,
    Up,
    decodeDown,
    encode,
)
from revproxy.isolation.inside.edgelog import EdgeLog
from revproxy.isolation.inside.holding import Holding
from revproxy.isolation.inside.runtime import Runtime
from revproxy.loading.bundlefinder import ROOT, finder, forget

REQUESTS: Final = 20
"""After so many calls, code has been adapted."""

_SOURCE: Final = b'''
from __future__ import annotations

import json
from typing import Any

from zope.interface import implementer

from revproxy.context import Context
from revproxy.interfaces import IHosted, ILifecycle, IMiddleware, IObserver, IResponseMiddleware


@implementer(IMiddleware, IResponseMiddleware, IObserver, IHosted, ILifecycle)
class PluginMain:
    name = "warmup"

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config

    def attach(self, host: Any) -> None:
        self.host = host

    def start(self) -> None:
        self.host.callLater(1, json.dumps, self.config).cancel()

    async def stop(self) -> None:
        self.host.log.info("stopped")

    def handle(self, context: Context) -> bool:
        context.request.headers.set("X-Seen", context.request.headers.get("X-Tenant") or context.request.path)
        context.values["seen"] = True
        if context.request.method == "HEAD":
            return context.respond(403, "no", {"X-Why": "because"})
        context.request.body.addFilter(lambda data, last: data.upper())
        return True

    async def handleResponse(self, context: Context) -> None:
        data = await context.response.body.read(1000)
        context.response.headers.remove("Server")
        context.response.body.replace(data)

    def finished(self, context: Context) -> None:
        context.outcome.status
'''


def warmUp() -> None:
    """To be called before anything is forked. Nothing of it is left but what Python has learnt."""
    room = _Room()
    room.load()
    for number in range(1, REQUESTS + 1):
        room.request(number)
    room.step("stop")
    for package in list(finder.bundles):
        if package.startswith(f"{ROOT}.warmup_"):
            forget(package)
    del room
    gc.collect()


class _Page:
    def enter(self, number: int) -> None: ...

    def leave(self) -> None: ...


class _Clock(Clock):
    def callFromThread(self, function: Any, *args: Any, **kwargs: Any) -> None:
        self.callLater(0, function, *args, **kwargs)


class _Room:
    """One runtime, whose frames go nowhere."""

    def __init__(self) -> None:
        holding = Holding(_Page())
        self._number = self._asked = 0
        self._runtime = Runtime(_Clock(), self._send, holding, EdgeLog(self._send))

    def _send(self, frame: Up) -> None:
        encode(frame)
        if isinstance(frame, ReadBody):
            self._asked = frame.number

    def _tell(self, frame: Down) -> None:
        self._runtime.take(decodeDown(encode(frame)[4:]))

    def load(self) -> None:
        permissions = b'{"read_headers": ["*"], "write_headers": ["*"], "body": "write", "respond": true}'
        files = {"plugin.py": _SOURCE, "plugin.json": b"{}"}
        self._tell(
            Load("warmup", "1", "0" * 64, "/warmup", "PluginMain", files, {}, b"{}", permissions, 1000)
        )
        self.step("attach")
        self.step("start")

    def step(self, name: Any) -> None:
        self._number += 1
        self._tell(Step(self._number, name))

    def request(self, request: int) -> None:
        method = b"HEAD" if request % 5 == 0 else b"POST"
        fields = ((b"Host", b"www.example.com"), (b"X-Tenant", b"a"), (b"Accept", b"*/*"))
        peer = ("192.0.2.1", 5, "192.0.2.1")
        head = RequestHead(method, b"/a?b=c", b"a.example", "https", "1.1", fields, peer, 5, "id", "", None)
        self._call(request, "handle", head)
        self._number += 1
        self._tell(Filter(self._number, request, False, b"hello", True))
        self._call(request, "handleResponse", None, ResponseHead(200, None, ((b"Server", b"x"),), 5))
        self._tell(Reply(self._asked, b"hello"))
        self._call(request, "finished", None)
        self._tell(Over(request))

    def _call(self, request: int, phase: Any, head: RequestHead | None, response: ResponseHead | None = None) -> None:
        self._number += 1
        self._tell(Call(self._number, request, phase, head, response))
