"""
Whatever a plugin does that does not come back, commands that rescue answer, other plugins are replaced, and the edge
ends. Real processes, real files; the times are measured and printed.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from tests.harness import EdgeProcess
from tests.integration.test_reconfiguring import ReconfiguringCase, plugin

SLACK = 4.0
"""Times what is promised: machines that run tests are busy."""

RESCUED = 1.0
"""Seconds until a command that rescues answers."""

SWAPPED = 2.0
"""Seconds until another plugin's new version serves."""

DRAIN = 2
"""Seconds that requests have at the end, and then plugins, all together."""

VICTIM = """
import asyncio, logging, threading, time
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from zope.interface import implementer
from revproxy.interfaces import IConfigurable, IHealthCheck, IHosted, ILifecycle, IMiddleware, IStateful

never = threading.Event()

def sign(name):
    open(name, "w").close()

def spin():
    sign("begun")
    while True:
        pass

async def stubborn():
    sign("begun")
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass

async def blocking():
    sign("begun")
    never.wait()

@implementer(IMiddleware, IHosted, ILifecycle, IHealthCheck, IStateful)
class Victim:
    name = "victim"

    def __init__(self, config):
        pass

    def attach(self, host):
        self.host = host

    def start(self):
        {start}

    def stop(self):
        {stop}

    def checkHealth(self):
        {checkHealth}

    def exportState(self):
        {exportState}

    def importState(self, state, version):
        {importState}

    def handle(self, context):
        if context.request.path not in ("/hang", b"/hang"):
            return True
        sign("begun")
        {handle}
        return True

PluginMain = Victim
"""

HANG = "sign('begun'); return Deferred()"
"""Something that never fires."""


@dataclass(frozen=True, slots=True)
class Kind:
    """
    A way to hang.

    :ivar body: by method, what the victim does there.
    :ivar requests: to it, which nobody waits for.
    :ivar replaced: it hangs while another version takes its place, whose body this is.
    """

    body: dict[str, str] = field(default_factory=dict)
    requests: int = 1
    replaced: dict[str, str] | None = None


KINDS = {
    "threads of the host": Kind({"handle": "self.host.callInThread(never.wait)"}, requests=24),
    "threads of the reactor": Kind({"handle": "deferToThread(never.wait)"}, requests=24),
    "a thread that is no daemon": Kind({"handle": "threading.Thread(target=never.wait).start()"}),
    "a thread at 100 %": Kind({"handle": "self.host.callInThread(spin)"}),
    "a thread that holds the lock of logging": Kind(
        {"handle": "self.host.callInThread(lambda: (logging._acquireLock(), never.wait()))"}
    ),
    "a task that heeds no cancelling": Kind({"handle": "self.host.asyncio(stubborn)"}, requests=3),
    "a task that holds the asyncio loop": Kind({"handle": "self.host.asyncio(blocking)"}, requests=3),
    "start": Kind(replaced={"start": HANG}),
    "health": Kind(replaced={"checkHealth": HANG}),
    "export": Kind({"exportState": HANG, "importState": "pass"}, replaced={}),
    "import": Kind({"exportState": "return {}"}, replaced={"exportState": "return {}", "importState": HANG}),
    "stop": Kind({"stop": HANG}),
    "a stop that holds the loop": Kind({"stop": "time.sleep(30)"}),
    "handle": Kind({"handle": "return Deferred()"}, requests=3),
    "a filter": Kind({"handle": "context.request.body.addFilter(lambda data, last: time.sleep(0.4) or data)"}, 3),
    "held again and again": Kind({"handle": "time.sleep(0.4)"}, requests=12),
    "an endless loop": Kind({"handle": "spin()"}),
}
"""What there is of them."""


def victim(body: dict[str, str]) -> str:
    """Code of the plugin."""
    methods = ("start", "stop", "checkHealth", "exportState", "importState", "handle")
    usual = {"exportState": "return {}"}
    return VICTIM.format(**{method: body.get(method, usual.get(method, "pass")) for method in methods})


def manifest(name: str, version: str, **more: Any) -> str:
    """Its plugin.json; calls may take as long as they like, unless it says otherwise."""
    return json.dumps({"name": name, "version": version, **more})


class RescueTests(ReconfiguringCase):
    """Each kind, once with everything."""

    def begun(self, kind: Kind) -> EdgeProcess:
        """An edge with the victim and another plugin; the victim hangs."""
        files: dict[str, str | bytes] = {
            "plugins/victim/plugin.json": manifest("victim", "1.0.0"),
            "plugins/victim/plugin.py": victim(kind.body),
            "plugins/says/plugin.json": manifest("says", "1.0.0"),
            "plugins/says/plugin.py": plugin("'one'"),
        }
        edge = self.begin(files, f"timeouts: {{drain: {DRAIN}}}\n")
        sign = edge.folder / "begun"
        if kind.replaced is not None:
            folder = edge.folder / "plugins/victim"
            (folder / "plugin.py").write_text(victim(kind.replaced))
        elif "handle" in kind.body:
            for _ in range(kind.requests):
                self.hang(edge)
        if kind.replaced is not None or "handle" in kind.body:
            self.until(sign.exists, edge.said())
        return edge

    def hang(self, edge: EdgeProcess) -> None:
        """A request that nobody waits for."""
        client = socket.create_connection(("127.0.0.1", edge.port))
        self.addCleanup(client.close)
        client.sendall(b"POST /hang HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")

    def timed(self, kind: str, what: str, promised: float, since: float) -> None:
        took = time.monotonic() - since
        print(f"{kind}: {what}: {took:.2f} s", file=sys.stderr)
        self.assertLess(took, promised * SLACK, f"{kind}: {what}")

    def judge(self, name: str) -> None:
        kind = KINDS[name]
        edge = self.begun(kind)
        began = time.monotonic()
        self.ask(edge, "GET", "plugins")
        self.timed(name, "plugins", RESCUED, began)
        began = time.monotonic()
        (edge.folder / "plugins/says/plugin.py").write_text(plugin("'two'"))
        self.until(lambda: self.says(edge) == "two", edge.said())
        self.timed(name, "another plugin's swap", SWAPPED, began)
        if kind.replaced is None and "handle" in kind.body:
            self.hang(edge)
        began = time.monotonic()
        answer = self.ask(edge, "POST", "plugins", "victim", "disable")
        self.timed(name, "disable", RESCUED, began)
        self.assertEqual((answer["text"][:1], answer["refused"]), (["victim: switched off"], []), edge.said())
        began = time.monotonic()
        edge.terminate()
        self.assertEqual(edge.status(), 0, edge.said())
        self.timed(name, "end", 2 * DRAIN, began)


def _addTests() -> None:
    for name in KINDS:
        def test(self: RescueTests, name: str = name) -> None:
            self.judge(name)

        test.__doc__ = f"Hangs: {name}."
        title = "".join(word.capitalize() for word in name.replace("%", "percent").split())
        setattr(RescueTests, f"test_{title[0].lower()}{title[1:]}", test)


_addTests()
