"""
A locked process's runtime in a test's own process: frames in, frames out, on a clock that the test moves.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from textwrap import dedent
from typing import Any, TypeVar

import msgspec
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.isolation.frames import (
    Call,
    Down,
    Load,
    Loaded,
    OutcomeSeen,
    Over,
    Phase,
    Reply,
    RequestHead,
    ResponseHead,
    Step,
    StepName,
    Up,
    decodeDown,
    decodeUp,
    encode,
)
from revproxy.isolation.inside.edgelog import EdgeLog
from revproxy.isolation.inside.holding import Holding
from revproxy.isolation.inside.runtime import Runtime
from revproxy.loading.bundlefinder import ROOT, finder, forget

ALL = {
    "read_headers": ["*", "Cookie", ":authority", ":path", "X-Forwarded-For"],
    "write_headers": ["*", ":authority", ":path", ":method"],
    "body": "write",
    "respond": True,
    "upstreams": ["billing", "app"],
    "store": True,
    "figures": True,
}
"""Permissions for everything that tests do."""

HEAD = RequestHead(
    b"GET",
    b"/shop?item=5",
    b"www.example.com",
    "https",
    "1.1",
    ((b"Host", b"www.example.com"), (b"X-Tenant", b"a"), (b"Accept", b"*/*")),
    ("192.0.2.1", 50000, "192.0.2.1"),
    None,
    "request-1",
    "default",
    "app",
)

OUTCOME = OutcomeSeen(200, 0, 5, 0.25, "10.0.0.1:80", 0.1, None, "it broke")

PREFACE = """
from zope.interface import implementer
from revproxy.errors import Refused
from revproxy.interfaces import *
"""

T = TypeVar("T", bound=Up)


class PageDouble:
    """:ivar said: what was written into it, in order; 0 for nobody."""

    def __init__(self) -> None:
        self.said: list[int] = []

    def enter(self, number: int) -> None:
        self.said.append(number)

    def leave(self) -> None:
        self.said.append(0)


class ClockDouble(Clock):
    """Calls whoever asks from a thread at once."""

    def callFromThread(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        function(*args, **kwargs)


def load(source: str, **changed: Any) -> Load:
    """A plugin of one file, whose source may be indented."""
    plain: dict[str, Any] = {
        "name": "guest",
        "version": "1.0",
        "digest": "ab" * 32,
        "directory": "/plugins/guest",
        "entryPoint": "PluginMain",
        "files": {"plugin.py": (PREFACE + dedent(source)).encode(), "plugin.json": b"{}"},
        "libraries": {},
        "config": b"{}",
        "permissions": json.dumps(ALL).encode(),
        "bodyBytes": 1000,
    }
    return Load(**{**plain, **changed})


class Room:
    """
    :ivar clock: its time; ``said``: frames that it has sent and nobody has taken yet.
    :ivar page: whose code has run.
    """

    def __init__(self) -> None:
        self.clock = ClockDouble()
        self.page = PageDouble()
        self.holding = Holding(self.page)
        self.said: list[Up] = []
        self.runtime = Runtime(self.clock, self._send, self.holding, EdgeLog(self._send))
        self._last = 0

    def _send(self, frame: Up) -> None:
        self.said.append(decodeUp(encode(frame)[4:]))

    def tell(self, frame: Down) -> None:
        """A frame comes to it, as it would be decoded."""
        self.runtime.take(decodeDown(encode(frame)[4:]))

    def load(self, source: str, **changed: Any) -> None:
        """:raises AssertionError: it is not loaded."""
        self.tell(load(source, **changed))
        self.take(Loaded)

    def take(self, kind: type[T]) -> T:
        """The first frame of those that were sent. :raises AssertionError: it is another."""
        assert self.said, f"nothing was said, and {kind.__name__} was expected"
        frame = self.said.pop(0)
        assert isinstance(frame, kind), frame
        return frame

    def step(self, step: StepName, argument: Any = None) -> int:
        """:returns: its number."""
        self._last += 1
        self.tell(Step(self._last, step, json.dumps(argument).encode()))
        return self._last

    def call(
        self,
        phase: Phase = "handle",
        request: int = 1,
        head: RequestHead | None = HEAD,
        response: ResponseHead | None = None,
        **more: Any,
    ) -> int:
        """:returns: its number."""
        self._last += 1
        self.tell(Call(self._last, request, phase, head, response, **more))
        return self._last

    def number(self) -> int:
        """The next."""
        self._last += 1
        return self._last

    def reply(self, number: int, value: Any = b"", kind: str = "", text: str = "") -> None:
        """The edge answers what was asked."""
        data = value if isinstance(value, bytes) else msgspec.msgpack.encode(value)
        self.tell(Reply(number, data, kind, text))

    def over(self, request: int = 1) -> None:
        """A request is over."""
        self.tell(Over(request))

    def close(self) -> None:
        """Take the plugin out of this process."""
        for package in list(finder.bundles):
            if package.startswith(f"{ROOT}.guest_"):
                forget(package)


def answerHead(status: int = 200, length: int | None = None, fields: Any = ()) -> ResponseHead:
    """An answer of the origin."""
    return ResponseHead(status, None, tuple(fields), length)


def changed(head: RequestHead, **fields: Any) -> RequestHead:
    """A head with some of it different."""
    return msgspec.structs.replace(head, **fields)


PASSES = """
    @implementer(IMiddleware)
    class PluginMain:
        name = "guest"
        def __init__(self, config): self.config = config
        def handle(self, context): return True
"""


class RoomCase(SynchronousTestCase):
    """A room, and what is loaded into it is taken out again."""

    def setUp(self) -> None:
        self.room = Room()
        self.addCleanup(self.room.close)

    def handles(self, body: str, **loaded: Any) -> None:
        """Load a plugin whose ``handle`` has this body."""
        lines = "\n".join("            " + line for line in body.strip("\n").splitlines())
        kind = "async def" if "await " in body else "def"
        source = PASSES.replace("def handle(self, context): return True", f"{kind} handle(self, context):\n{lines}")
        self.room.load(source, **loaded)
